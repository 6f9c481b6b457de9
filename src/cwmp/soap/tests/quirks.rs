//! What CPEs of the field send and the decoder must bear, a test for each quirk of the catalogue.

use crate::cwmp::rpc::*;
use crate::cwmp::soap::{Header, Message, encode};
use crate::datamodel::ValueType;

use super::rig::{key, key_of_body, reboot, refused, value, values, with, wrap};

fn header(markup: &str) -> Header<'static> {
    let body = format!("<Envelope>{markup}<Body><Reboot/></Body></Envelope>");
    with(&body, |envelope| {
        let header = envelope.unwrap().header;
        let owned = |text: Option<std::borrow::Cow<'_, str>>| text.map(|text| text.into_owned().into());
        Header {
            id: owned(header.id),
            supported_cwmp_versions: owned(header.supported_cwmp_versions),
            use_cwmp_version: owned(header.use_cwmp_version),
            ..Header { id: None, supported_cwmp_versions: None, use_cwmp_version: None, ..header }
        }
    })
}

fn namespace(body: &str) -> String {
    with(body, |envelope| envelope.unwrap().namespace.into_owned())
}

fn inform(children: &str) -> Inform<'static> {
    let body = wrap(&format!("<cwmp:Inform>{children}</cwmp:Inform>"));
    with(&body, |envelope| match envelope.unwrap().message {
        Message::Request(request) => match request.into_owned() {
            Request::Inform(inform) => inform,
            other => panic!("no Inform but {other:?}"),
        },
        other => panic!("no Inform but {other:?}"),
    })
}

fn response(markup: &str) -> Response<'static> {
    with(&wrap(markup), |envelope| match envelope.unwrap().message {
        Message::Response(response) => response.into_owned(),
        other => panic!("no response but {other:?}"),
    })
}

#[test]
fn x02_underscores_in_prefixes() {
    let body = "<soap_env:Envelope><soap_env:Body><cwmp_x:Reboot><cwmp_x:CommandKey>k</cwmp_x:CommandKey>\
                </cwmp_x:Reboot></soap_env:Body></soap_env:Envelope>";
    assert_eq!(key_of_body(body.as_bytes(), None).unwrap(), "k");
}

#[test]
fn x03_x04_namespaces_by_default_or_on_the_inner_element_only() {
    let default = "<Envelope xmlns='http://schemas.xmlsoap.org/soap/envelope/'><Body>\
                   <Reboot xmlns='urn:dslforum-org:cwmp-1-0'><CommandKey>k</CommandKey></Reboot></Body>\
                   </Envelope>";
    assert_eq!(key_of_body(default.as_bytes(), None).unwrap(), "k");
    assert_eq!(namespace(default), "urn:dslforum-org:cwmp-1-0");
    let inner = "<s:Envelope xmlns:s='x'><s:Body><c:Reboot xmlns:c='urn:dslforum-org:cwmp-1-1'/></s:Body>\
                 </s:Envelope>";
    assert_eq!(namespace(inner), "urn:dslforum-org:cwmp-1-1");
}

#[test]
fn x05_single_quotes() {
    let element = "<Value xsi:type='xsd:int'>5</Value>";
    assert_eq!(value(element).value_type, Some(ValueType::Int));
    let body = format!("<?xml version='1.0' encoding='UTF-8'?>{}", reboot("k").replace('"', "'"));
    assert_eq!(key_of_body(body.as_bytes(), None).unwrap(), "k");
}

#[test]
fn x07_wrong_namespaces_of_soap() {
    for uri in ["http://www.w3.org/2003/05/soap-envelope", "HTTP://SCHEMAS.XMLSOAP.ORG/SOAP/ENVELOPE", ""] {
        let body = reboot("k").replace("http://schemas.xmlsoap.org/soap/envelope/", uri);
        assert_eq!(key_of_body(body.as_bytes(), None).unwrap(), "k", "{uri}");
    }
}

#[test]
fn x08_x09_x10_x11_x12_headers_without_an_id_and_with_odd_ones() {
    assert_eq!(header(""), Header::default());
    assert_eq!(header("<Header/>"), Header::default());
    assert_eq!(header("<Header><Other>1</Other></Header>"), Header::default());
    assert_eq!(header("<Header><ID/></Header>").id.as_deref(), Some(""));
    assert_eq!(header("<Header><ID>\n \t</ID></Header>").id.as_deref(), Some(""));
    assert_eq!(header("<Header><ID>\n 5 </ID></Header>").id.as_deref(), Some("5"));
    assert_eq!(header("<Header><ID>a&lt;/ID&gt;&amp;</ID></Header>").id.as_deref(), Some("a</ID>&"));
    for id in ["0_THOM_TR69_ID", "SAGEM_ID_7591", "-1", "0", "1700000000"] {
        assert_eq!(header(&format!("<Header><ID>{id}</ID></Header>")).id.as_deref(), Some(id));
    }
}

#[test]
fn x13_x14_must_understand_is_understood_everywhere() {
    let markup = "<Header xmlns:soap='enc'><ID soap:mustUnderstand='1'>1</ID>\
                  <x:New soap:mustUnderstand='1'><Deep><ID>2</ID></Deep></x:New></Header>";
    assert_eq!(header(markup).id.as_deref(), Some("1"));
}

#[test]
fn x15_counts_in_array_types_are_never_believed() {
    let item = "<ParameterValueStruct><Name>Device.A</Name><Value>1</Value></ParameterValueStruct>";
    for count in [
        "soapenc:arrayType=\"cwmp:ParameterValueStruct[03]\"",
        "enc:arrayType=\"cwmp:ParameterValueStruct[0009]\" xsi:type=\"enc:Array\"",
        "arrayType=\"[]\"",
        "arrayType=\"x[99999999999999999999]\"",
        "arrayType=\"x[-1]\"",
        "",
    ] {
        let list = format!("<ParameterList {count}>{item}{item}</ParameterList>");
        assert_eq!(values(&list).len(), 2, "{count}");
    }
}

#[test]
fn x16_three_ways_to_write_nothing() {
    for empty in ["<CommandKey/>", "<CommandKey />", "<CommandKey></CommandKey>", ""] {
        let body = wrap(&format!("<cwmp:Reboot>{empty}</cwmp:Reboot>"));
        assert_eq!(key_of_body(body.as_bytes(), None).unwrap(), "");
    }
}

#[test]
fn x17_b18_pretty_printed_names_and_codes() {
    let inform = inform(
        "\n<DeviceId>\n<OUI>\n 00256D \n</OUI><SerialNumber> S\n</SerialNumber></DeviceId>\
         <Event><EventStruct><EventCode>\n 2 PERIODIC \n</EventCode></EventStruct></Event>\
         <ParameterList><ParameterValueStruct><Name>Device.A \n</Name><Value>1</Value></ParameterValueStruct>\
         </ParameterList>\n",
    );
    assert_eq!((&*inform.device_id.oui, &*inform.device_id.serial_number), ("00256D", "S"));
    assert_eq!(inform.event[0].event_code, "2 PERIODIC");
    assert_eq!(inform.parameter_list[0].name, "Device.A");
}

#[test]
fn x19_empty_answers_and_missing_values() {
    let empty = response("<cwmp:GetParameterNamesResponse/>");
    assert_eq!(empty, Response::GetParameterNamesResponse(GetParameterNamesResponse::default()));
    let bare =
        values("<ParameterList><ParameterValueStruct><Name>A</Name></ParameterValueStruct></ParameterList>");
    assert_eq!((&*bare[0].name, &*bare[0].value), ("A", ""));
    assert!(values("").is_empty());
}

#[test]
fn x20_wrong_case_is_no_crash() {
    let body = wrap("<cwmp:reboot><commandkey>k</commandkey></cwmp:reboot>");
    with(&body, |envelope| {
        assert_eq!(envelope.unwrap().message, Message::Request(Request::Unknown("reboot".into())));
    });
    refused("<envelope><body/></envelope>");
}

#[test]
fn x21_x22_d05_types_that_are_missing_wrong_or_odd() {
    for (of, expected) in [
        ("", None),
        ("xsi:type=\"\"", None),
        ("xsi:type=\"xsd:\"", None),
        ("xsi:type=\"xsd:nonsense\"", None),
        ("xsi:type=\"XSD:UnsignedInt\"", Some(ValueType::UnsignedInt)),
        ("xsi:type=\"unsignedInt\"", Some(ValueType::UnsignedInt)),
        ("x:type=\"y:string\"", Some(ValueType::String)),
        ("xsi:type=\"xsd:base64\"", Some(ValueType::Base64)),
        ("xsi:type=\"xsd:base64Binary\"", Some(ValueType::Base64)),
        ("xsi:type=\"SOAP-ENC:base64\"", Some(ValueType::Base64)),
        ("xsi:type=\"xsd:hexBinary\"", Some(ValueType::HexBinary)),
    ] {
        let parameter = value(&format!("<Value {of}>no number</Value>"));
        assert_eq!((parameter.value_type, &*parameter.value), (expected, "no number"), "{of}");
    }
}

#[test]
fn x23_declarations_of_any_shape() {
    for declaration in [
        "",
        "\r\n  ",
        "<?xml version = '1.0' ?>",
        "<?xml version=\"1.1\" encoding=\"utf-8\"?>",
        "<?xml\n  version=\"1.0\"\n  encoding=\"UTF-8\"\n  standalone=\"no\"\n?>\n",
        " \n<?xml version=\"1.0\"?>",
    ] {
        let body = format!("{declaration}{}", reboot("ü"));
        assert_eq!(key_of_body(body.as_bytes(), None).unwrap(), "ü", "{declaration:?}");
    }
}

#[test]
fn x24_byte_order_marks_utf_16_and_unknown_encodings() {
    let text = reboot("ü€");
    let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
    assert_eq!(key_of_body(&marked, None).unwrap(), "ü€");
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(key_of_body(&[b"\xff\xfe", &little[..]].concat(), None).unwrap(), "ü€");
    assert_eq!(key_of_body(&[b"\xfe\xff", &big[..]].concat(), Some("text/xml")).unwrap(), "ü€");
    assert_eq!(key_of_body(&little, Some("text/xml; charset=utf-16le")).unwrap(), "ü€");
    let unknown = format!("<?xml version=\"1.0\" encoding=\"x-vendor\"?>{text}");
    assert_eq!(key_of_body(unknown.as_bytes(), None).unwrap(), "ü€");
    assert_eq!(key_of_body(unknown.as_bytes(), Some("text/xml; charset=nonsense")).unwrap(), "ü€");
    // A document that names UTF-16 in bytes of one each is none.
    let lying = format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?>{text}");
    assert_eq!(key_of_body(lying.as_bytes(), None).unwrap(), "ü€");
}

#[test]
fn x25_bytes_of_other_encodings() {
    let latin = |declaration: &str| {
        let text = format!("{declaration}{}", reboot("K\u{1}K"));
        text.bytes().map(|byte| if byte == 1 { 0xfc } else { byte }).collect::<Vec<u8>>()
    };
    assert_eq!(key_of_body(&latin(""), None).unwrap(), "K\u{fffd}K");
    let declared = latin("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>");
    assert_eq!(key_of_body(&declared, None).unwrap(), "KüK");
    assert_eq!(key_of_body(&latin(""), Some("text/xml;Charset='iso-8859-1'; x=y")).unwrap(), "KüK");
}

#[test]
fn x26_zeros_and_line_ends_after_the_root() {
    for tail in ["\0", "\r\n", "\n\0\0\n", " \t", "<!-- end -->", "\n<?end?>\n"] {
        let body = reboot("k") + tail;
        assert_eq!(key_of_body(body.as_bytes(), None).unwrap(), "k", "{tail:?}");
    }
}

#[test]
fn x27_control_characters_never_come_out_again() {
    for markup in ["a\u{2}b", "a&#2;b", "a&#x1B;b", "a&#0;b", "a&#xD800;b", "a&#xFFFF;b", "a&#99999999;b"] {
        let read = key(markup);
        assert!(read.starts_with('a') && read.ends_with('b'), "{markup:?}: {read:?}");
        let message = Message::Request(Request::Reboot(Reboot { command_key: read.into() }));
        let mut out = Vec::new();
        encode(&mut out, &crate::cwmp::soap::Envelope::of("", Header::default(), message));
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("<CommandKey>ab</CommandKey>"), "{markup:?}: {out}");
    }
}

#[test]
fn x28_what_looks_like_an_entity_is_text_and_decoded_once() {
    for (markup, text) in [
        ("a & b", "a & b"),
        ("a&b", "a&b"),
        ("AT&T;", "AT&T;"),
        ("x&", "x&"),
        ("&&", "&&"),
        ("a&nbsp;b", "a&nbsp;b"),
        ("&uuml;", "&uuml;"),
        ("&amp;lt;", "&lt;"),
        ("&amp;amp;", "&amp;"),
        ("?a=1&b=2&amp;c=3", "?a=1&b=2&c=3"),
        ("&lt;&gt;&quot;&apos;&#65;&#x42;", "<>\"'AB"),
    ] {
        assert_eq!(key(markup), text);
        assert_eq!(value(&format!("<Value>{markup}</Value>")).value, text);
    }
}

#[test]
fn x29_x30_cdata_comments_and_instructions_in_texts() {
    assert_eq!(key("<![CDATA[a<b>&amp;]]>"), "a<b>&amp;");
    assert_eq!(key("a<![CDATA[ & ]]>b"), "a & b");
    assert_eq!(key("a<!-- <b> -- -->c<?pi x?>d"), "acd");
    let between = reboot("k").replace("<cwmp:Reboot>", "<!-- x --><?y?><cwmp:Reboot><!-- z -->");
    assert_eq!(key_of_body(between.as_bytes(), None).unwrap(), "k");
}

#[test]
fn x32_elements_that_nobody_knows() {
    let rebooted = response("<cwmp:RebootResponse><Status>0</Status></cwmp:RebootResponse>");
    assert_eq!(rebooted, Response::RebootResponse(RebootResponse {}));
    let device =
        inform("<DeviceId><OUI>00256D</OUI><WanIPAddress><OUI>x</OUI></WanIPAddress></DeviceId>").device_id;
    assert_eq!(device.oui, "00256D");
    assert_eq!(key("k<b>bold</b>ey"), "key");
}

#[test]
fn v02_v03_v04_v05_the_message_s_own_namespace_is_kept_whatever_it_is() {
    for uri in ["urn:dslforum-org:cwmp-1-4", "urn:dslforum-org:cwmp-9-9", "URN:DSLFORUM-ORG:CWMP-1-0"] {
        assert_eq!(namespace(&reboot("").replace("urn:dslforum-org:cwmp-1-2", uri)), uri);
    }
    let two = "<Envelope xmlns:c='urn:dslforum-org:cwmp-1-2'><Header><c:ID>1</c:ID></Header>\
               <Body><c:Reboot xmlns:c='urn:dslforum-org:cwmp-1-0'/></Body></Envelope>";
    assert_eq!(namespace(two), "urn:dslforum-org:cwmp-1-0");
    let newer = header(
        "<Header><SessionTimeout> 60 </SessionTimeout><SupportedCWMPVersions>1.0,1.4</SupportedCWMPVersions>\
         <UseCWMPVersion>1.4</UseCWMPVersion></Header>",
    );
    assert_eq!(newer.session_timeout, Some(60));
    assert_eq!(newer.supported_cwmp_versions.as_deref(), Some("1.0,1.4"));
    assert_eq!(newer.use_cwmp_version.as_deref(), Some("1.4"));
}

#[test]
fn s08_s09_s16_headers_about_the_session() {
    let flags =
        header("<Header><HoldRequests>TRUE</HoldRequests><NoMoreRequests>1</NoMoreRequests></Header>");
    assert!(flags.hold_requests && flags.no_more_requests);
    let off = header("<Header><HoldRequests>0</HoldRequests><NoMoreRequests>no</NoMoreRequests></Header>");
    assert!(!off.hold_requests && !off.no_more_requests);
    assert_eq!(header("<Header><sessionTimeout>40</sessionTimeout></Header>").session_timeout, Some(40));
    assert_eq!(header("<Header><SessionTimeout>soon</SessionTimeout></Header>").session_timeout, None);
}

#[test]
fn d01_b05_booleans_in_any_spelling() {
    for (text, expected) in [
        ("1", true),
        ("true", true),
        ("TRUE", true),
        (" True ", true),
        ("0", false),
        ("False", false),
        ("", false),
    ] {
        let names = response(&format!(
            "<cwmp:GetParameterNamesResponse><ParameterList><ParameterInfoStruct><Name>A</Name>\
             <Writable>{text}</Writable></ParameterInfoStruct></ParameterList>\
             </cwmp:GetParameterNamesResponse>"
        ));
        let Response::GetParameterNamesResponse(names) = names else { panic!() };
        assert_eq!(names.parameter_list[0].writable, expected, "{text}");
    }
}

#[test]
fn d02_d09_b12_numbers_in_any_spelling() {
    for (text, expected) in [
        ("007", 7),
        ("+5", 5),
        (" 5\n", 5),
        ("-1", 0),
        ("4294967296", 0),
        ("", 0),
        ("five", 0),
        ("1485", 1_485),
    ] {
        let inform = inform(&format!("<RetryCount>{text}</RetryCount>"));
        assert_eq!(inform.retry_count, expected, "{text}");
    }
    let added = "<cwmp:AddObjectResponse><InstanceNumber>0012</InstanceNumber></cwmp:AddObjectResponse>";
    let expected = AddObjectResponse { instance_number: 12, status: 0 };
    assert_eq!(response(added), Response::AddObjectResponse(expected));
}

#[test]
fn d03_d04_d10_d11_informs_that_lack_nearly_everything() {
    for time in ["2019-03-05T11:54::14", "0001-01-01T00:00:00", "", "yesterday"] {
        assert_eq!(inform(&format!("<CurrentTime>{time}</CurrentTime>")).current_time, time);
    }
    let bare = inform("<DeviceId><OUI>00256D</OUI></DeviceId><Event/><ParameterList/>");
    assert_eq!((&*bare.device_id.serial_number, &*bare.device_id.manufacturer), ("", ""));
    assert!(bare.event.is_empty() && bare.parameter_list.is_empty());
    assert_eq!(inform(""), Inform::default());
    assert_eq!(inform("<Event><EventStruct/></Event>").event[0].event_code, "");
}

#[test]
fn d12_b19_b21_identities_and_paths_are_kept_as_they_are() {
    let device =
        inform("<DeviceId><OUI>00:25:6D</OUI><SerialNumber>10.0.0.1/%41 &lt;x&gt;</SerialNumber></DeviceId>");
    assert_eq!(device.device_id.serial_number, "10.0.0.1/%41 <x>");
    assert_eq!(device.device_id.oui, "00:25:6D");
    let path =
        "<ParameterList><ParameterValueStruct><Name>.X_[a b].ü</Name></ParameterValueStruct></ParameterList>";
    assert_eq!(values(path)[0].name, ".X_[a b].ü");
}

#[test]
fn b22_b23_attributes_and_methods_with_gaps() {
    let attributes = response(
        "<cwmp:GetParameterAttributesResponse><ParameterList><ParameterAttributeStruct><Name>A</Name>\
         <Notification>6</Notification></ParameterAttributeStruct></ParameterList>\
         </cwmp:GetParameterAttributesResponse>",
    );
    let Response::GetParameterAttributesResponse(attributes) = attributes else { panic!() };
    assert_eq!(attributes.parameter_list[0].notification, 6);
    assert!(attributes.parameter_list[0].access_list.is_empty());
    let methods = response(
        "<cwmp:GetRPCMethodsResponse><MethodList arrayType='string[08]'><string> Inform </string><string/>\
         <string>X_00256D_Own</string></MethodList></cwmp:GetRPCMethodsResponse>",
    );
    let Response::GetRPCMethodsResponse(methods) = methods else { panic!() };
    assert_eq!(methods.method_list.0, ["Inform", "", "X_00256D_Own"]);
}

#[test]
fn b15_transfers_without_key_or_fault() {
    let body = wrap("<cwmp:TransferComplete><StartTime/></cwmp:TransferComplete>");
    with(&body, |envelope| {
        let expected = Request::TransferComplete(TransferComplete::default());
        assert_eq!(envelope.unwrap().message, Message::Request(expected));
    });
}

#[test]
fn s07_methods_of_vendors_are_told_by_name() {
    let body = wrap("<x:X_00256D_Do><A><B>1</B></A></x:X_00256D_Do>");
    with(&body, |envelope| {
        assert_eq!(envelope.unwrap().message, Message::Request(Request::Unknown("X_00256D_Do".into())));
    });
    assert_eq!(response("<x:X_DoResponse/>"), Response::Unknown("X_DoResponse".into()));
}
