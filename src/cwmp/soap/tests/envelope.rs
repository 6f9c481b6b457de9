//! What the envelope must bear and must refuse at the least, and that we read what we write.

use proptest::prelude::*;

use crate::cwmp::rpc::*;
use crate::datamodel::ValueType;
use crate::identity::DeviceId;

use crate::cwmp::soap::{
    Envelope, Header, Limits, Message, SoapError, decode, decode_charset, encode, sniff_device_id,
};

use super::rig::{refused, with, wrap};

#[test]
fn x16_x17_blanks_are_trimmed_around_names_and_kept_in_values() {
    let body = "<cwmp:GetParameterValuesResponse><ParameterList><ParameterValueStruct>\
                <Name> Device.A </Name><Value xsi:type=\"xsd:string\"> a &amp; b\n</Value>\
                </ParameterValueStruct></ParameterList></cwmp:GetParameterValuesResponse>";
    let whole = wrap(body);
    with(&whole, |envelope| {
        let envelope = envelope.unwrap();
        let Message::Response(Response::GetParameterValuesResponse(response)) = envelope.message else {
            panic!()
        };
        let parameter = &response.parameter_list[0];
        assert_eq!((&*parameter.name, &*parameter.value), ("Device.A", " a & b\n"));
        assert_eq!(parameter.value_type, Some(ValueType::String));
        assert_eq!(&whole[parameter.value_span.clone()], " a &amp; b\n");
        assert_eq!(envelope.header.id.as_deref(), Some("7"));
        assert_eq!(envelope.namespace, "urn:dslforum-org:cwmp-1-2");
    });
}

#[test]
fn x01_x03_x06_prefixes_and_namespaces_are_not_judged() {
    for body in [
        "<e:Envelope><e:Body><x:RebootResponse/></e:Body></e:Envelope>",
        "<Envelope><Body><RebootResponse xmlns=\"urn:dslforum-org:cwmp-1-0\"></RebootResponse></Body></Envelope>",
        "<?xml version='1.0'?>\n<soap_env:Envelope xmlns:soap_env='u'><soap_env:Body><c_x:RebootResponse/>\
         </soap_env:Body></soap_env:Envelope>\0\n",
    ] {
        with(body, |envelope| {
            let message = envelope.unwrap().message;
            assert_eq!(message, Message::Response(Response::RebootResponse(RebootResponse {})));
        });
    }
}

#[test]
fn x19_x31_missing_and_reordered_elements_cost_nothing() {
    let body = wrap(
        "<cwmp:Inform><MaxEnvelopes>1</MaxEnvelopes><RetryCount>05</RetryCount><Event>\
         <EventStruct><EventCode>1 BOOT</EventCode></EventStruct></Event><DeviceId><OUI>00256D</OUI>\
         <SerialNumber>S</SerialNumber></DeviceId><Vendor><Deep>1</Deep></Vendor></cwmp:Inform>",
    );
    with(&body, |envelope| {
        let Message::Request(Request::Inform(inform)) = envelope.unwrap().message else { panic!() };
        assert_eq!(inform.retry_count, 5);
        assert_eq!(inform.event[0].event_code, "1 BOOT");
        assert_eq!(inform.device_id.oui, "00256D");
        assert!(inform.parameter_list.is_empty());
    });
    assert_eq!(sniff_device_id(body.as_bytes()).unwrap().serial_number, "S");
}

#[test]
fn x24_an_inform_in_utf_16_is_one_without_mark_and_whatever_is_said_of_it() {
    let device = "<DeviceId><OUI>00256D</OUI><ProductClass/><SerialNumber>S</SerialNumber></DeviceId>";
    let body = wrap(&format!("<cwmp:Inform>{device}</cwmp:Inform>"));
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        let wide: Vec<u8> = body.encode_utf16().flat_map(order).collect();
        assert_eq!(sniff_device_id(&wide).unwrap().serial_number, "S");
        assert!(decode_charset(&wide, Some("text/xml; charset=utf-8")).unwrap().splice_offset().is_none());
    }
}

#[test]
fn x25_latin_1_bytes_cost_a_character_and_not_the_message() {
    let mut body = wrap("<cwmp:Reboot><CommandKey>x</CommandKey></cwmp:Reboot>").into_bytes();
    let at = body.windows(3).position(|window| window == b">x<").unwrap() + 1;
    body[at] = 0xFC;
    let text = decode_charset(&body, None).unwrap();
    assert_eq!(text.splice_offset(), None);
    assert!(decode(&text, &Limits::default()).is_ok());
    let declared = decode_charset(&body, Some("text/xml; charset=\"ISO-8859-1\"")).unwrap();
    let envelope = decode(&declared, &Limits::default()).unwrap();
    assert_eq!(envelope.message, Message::Request(Request::Reboot(Reboot { command_key: "ü".into() })));
}

#[test]
fn f02_f06_faults_carry_their_list() {
    let body = "<Envelope><Body><Fault><faultcode>Client</faultcode><faultstring>x</faultstring><detail><Fault>\
                <FaultCode>9003</FaultCode><FaultString>Invalid arguments</FaultString><SetParameterValuesFault>\
                <ParameterName>Device.A</ParameterName><FaultCode>9007</FaultCode></SetParameterValuesFault>\
                </Fault></detail></Fault></Body></Envelope>";
    with(body, |envelope| {
        let Message::Fault(fault) = envelope.unwrap().message else { panic!() };
        assert_eq!(fault.fault_code, 9003);
        assert_eq!(fault.set_parameter_values_fault[0].parameter_name, "Device.A");
        assert_eq!(fault.set_parameter_values_fault[0].fault_code, 9007);
    });
}

#[test]
fn h01_h02_no_document_type_is_ever_read() {
    let bomb = format!("<!DOCTYPE x [<!ENTITY a \"b\">]>{}", wrap("<cwmp:Reboot/>"));
    assert_eq!(refused(&bomb), SoapError::DocType);
}

#[test]
fn h03_h04_h05_h10_structure_is_judged_strictly() {
    let deep = wrap(&format!("{}{}", "<a>".repeat(100), "</a>".repeat(100)));
    assert_eq!(refused(&deep), SoapError::Depth(64));
    let whole = wrap("<cwmp:Reboot/>");
    assert!(matches!(refused(&whole[..whole.len() - 8]), SoapError::Xml(_)));
    assert!(matches!(refused(&whole.replace("</soap:Body>", "</soap:Bodi>")), SoapError::Xml(_)));
    assert_eq!(refused(&format!("{whole}junk")), SoapError::Trailing);
    assert_eq!(refused(&wrap("<cwmp:Reboot/><cwmp:Reboot/>")), SoapError::Messages(2));
    assert_eq!(refused(&wrap("")), SoapError::Messages(0));
    let two = whole.replace("</soap:Body>", "</soap:Body><soap:Body><cwmp:Reboot/></soap:Body>");
    assert_eq!(refused(&two), SoapError::Bodies);
    assert!(matches!(refused("<html/>"), SoapError::NotSoap(_)));
}

fn round_trip(message: Message<'_>) {
    let header = Header { id: Some("a<b".into()), hold_requests: true, ..Header::default() };
    let envelope = Envelope::of("urn:dslforum-org:cwmp-1-1", header, message);
    let mut body = Vec::new();
    encode(&mut body, &envelope);
    let text = decode_charset(&body, None).unwrap();
    let mut back = decode(&text, &Limits::default()).unwrap();
    if let Message::Response(Response::GetParameterValuesResponse(response)) = &mut back.message {
        response.parameter_list.0.iter_mut().for_each(|parameter| parameter.value_span = 0..0);
    }
    if let Message::Fault(_) = &back.message {
        // A fault stands in SOAP's namespace; the session's is known from the Inform.
        back.namespace = envelope.namespace.clone();
    }
    if let Message::Request(Request::Inform(inform)) = &mut back.message {
        inform.parameter_list.0.iter_mut().for_each(|parameter| parameter.value_span = 0..0);
    }
    assert_eq!(back, envelope);
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(
        name in "[A-Za-z][A-Za-z0-9.]{0,20}",
        value in "[ -~\t\n\r€ü]{0,40}",
        number: u32,
    ) {
        let parameter = ParameterValueStruct::new(name.as_str(), value.as_str(), ValueType::String);
        round_trip(Message::Response(Response::GetParameterValuesResponse(GetParameterValuesResponse {
            parameter_list: Array(vec![parameter.clone(), parameter.clone()]),
        })));
        let event = EventStruct { event_code: "0 BOOTSTRAP".into(), command_key: "".into() };
        let device_id = DeviceId { manufacturer: "M & M".into(), oui: "00256D".into(), ..DeviceId::default() };
        round_trip(Message::Request(Request::Inform(Inform {
            device_id,
            event: Array(vec![event]),
            max_envelopes: 1,
            current_time: "2026-01-01T00:00:00Z".into(),
            retry_count: number,
            parameter_list: Array(vec![parameter]),
        })));
        round_trip(Message::Fault(Fault {
            fault_code: 9003,
            fault_string: name.clone().into(),
            set_parameter_values_fault: vec![SetParameterValuesFault::default()],
        }));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(text) = decode_charset(&bytes, None) {
            let _ = decode(&text, &Limits::default());
        }
        let _ = sniff_device_id(&bytes);
    }

    #[test]
    fn arbitrary_markup_never_panics(
        body in "(<[a-zE/!?]{0,9}>|&[a-z#0-9]{0,4};?|[ -~]{0,3}|<Envelope><Body><Inform>){0,30}",
    ) {
        if let Ok(text) = decode_charset(body.as_bytes(), None) {
            let _ = decode(&text, &Limits::default());
        }
        let _ = sniff_device_id(body.as_bytes());
    }
}
