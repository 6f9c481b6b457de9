//! Faults as CPEs send them (quirks F01 to F08): the code counts, wherever it stands.

use crate::cwmp::rpc::Fault;
use crate::cwmp::soap::Message;

use super::rig::with;

fn fault(children: &str) -> Fault<'static> {
    let body = format!("<e:Envelope><e:Body><e:Fault>{children}</e:Fault></e:Body></e:Envelope>");
    with(&body, |envelope| match envelope.unwrap().message {
        Message::Fault(fault) => fault.into_owned(),
        other => panic!("no fault but {other:?}"),
    })
}

#[test]
fn f01_f03_f04_f06_only_the_code_decides() {
    for children in [
        "<faultcode>Client</faultcode><faultstring>CWMP fault</faultstring><detail><cwmp:Fault>\
         <FaultCode>9005</FaultCode><FaultString>Invalid name</FaultString></cwmp:Fault></detail>",
        "<faultcode xsi:type='xsd:string'>SOAP-ENV:Server</faultcode><faultstring>CWMP FAULT</faultstring>\
         <detail><cwmp:Fault><FaultCode xsi:type='xsd:unsignedInt'> 9005\n</FaultCode><FaultString>Invalid name\
         </FaultString></cwmp:Fault></detail>",
    ] {
        let fault = fault(children);
        assert_eq!((fault.fault_code, &*fault.fault_string), (9_005, "Invalid name"));
    }
}

#[test]
fn f05_vendor_codes_and_codes_that_are_texts() {
    for (code, expected) in [
        ("9899", 9_899),
        ("09003", 9_003),
        ("9003 Invalid arguments", 9_003),
        ("Internal", 9_002),
        ("", 9_002),
        ("-1", 9_002),
        ("99999999999", 9_002),
    ] {
        let read = fault(&format!("<detail><Fault><FaultCode>{code}</FaultCode></Fault></detail>"));
        assert_eq!(read.fault_code, expected, "{code}");
    }
    let text = "<detail><Fault><FaultString>漢 &lt;&amp;&gt; 😀</FaultString></Fault></detail>";
    assert_eq!(fault(text).fault_string, "漢 <&> 😀");
}

#[test]
fn f07_a_fault_without_detail_is_an_internal_error_with_its_text() {
    let gsoap = fault("<faultcode>SOAP-ENV:Server</faultcode><faultstring>out of memory</faultstring>");
    assert_eq!((gsoap.fault_code, &*gsoap.fault_string), (9_002, "out of memory"));
    assert_eq!(fault("").fault_code, 9_002);
    assert_eq!(fault("<detail/>").fault_code, 9_002);
    assert_eq!(fault("<detail><Fault/></detail>").fault_code, 9_002);
}

#[test]
fn f08_the_code_is_found_wherever_it_stands_and_the_first_one_counts() {
    for children in [
        "<Detail><Fault><FaultCode>9007</FaultCode></Fault></Detail>",
        "<detail><c:Fault><c:FaultString>x</c:FaultString><c:FaultCode>9007</c:FaultCode></c:Fault></detail>",
        "<detail><FaultCode>9007</FaultCode></detail>",
        "<detail><Fault><FaultCode>9007</FaultCode></Fault><Fault><FaultCode>9001</FaultCode></Fault>\
         </detail>",
        "<detail><Fault><FaultCode>9007</FaultCode><FaultCode>9001</FaultCode></Fault></detail>",
    ] {
        assert_eq!(fault(children).fault_code, 9_007, "{children}");
    }
}
