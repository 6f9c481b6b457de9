//! Bodies made to hurt (H01 to H11, H13): refused, and in little time.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::cwmp::soap::{Limits, SoapError, decode, decode_charset, sniff_device_id};

use super::rig::{key, key_of_body, reboot, refused, with, wrap};

/// What any body may take; a build without optimisation takes a tenth of it.
const SOON: Duration = Duration::from_secs(10);

/// Decodes as the door and the gateway do, and fails if it takes long.
fn soon(body: &[u8]) -> Result<(), SoapError> {
    let begin = Instant::now();
    let text = decode_charset(body, None)?;
    let decoded = decode(&text, &Limits::default()).map(|_| ());
    let _ = sniff_device_id(body);
    assert!(begin.elapsed() < SOON, "{} bytes took {:?}", body.len(), begin.elapsed());
    decoded
}

#[test]
fn h01_document_types_are_refused_in_every_disguise() {
    let external = "<!DOCTYPE x SYSTEM \"http://127.0.0.1/x.dtd\">";
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]>";
    let parameter = "<!DOCTYPE x [<!ENTITY % p SYSTEM \"file:///etc/passwd\"> %p;]>";
    for doctype in [external, bomb, parameter, "<!DOCTYPE x>", "<!doctype x []>"] {
        let body = format!("{doctype}{}", reboot("&b;"));
        assert!(soon(body.as_bytes()).is_err(), "{doctype}");
        let declared = format!("<?xml version=\"1.0\"?>\n<!-- x -->{body}");
        assert!(soon(declared.as_bytes()).is_err(), "{doctype}");
        let wide: Vec<u8> = body.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(soon(&[b"\xff\xfe", &wide[..]].concat()).is_err(), "{doctype} in UTF-16");
        let inside = reboot("k").replace("<soap:Body>", &format!("<soap:Body>{doctype}"));
        assert!(soon(inside.as_bytes()).is_err(), "{doctype} inside");
        let behind = reboot("k") + doctype;
        assert!(soon(behind.as_bytes()).is_err(), "{doctype} behind");
    }
    // UTF-7 is read as what its bytes are.
    let seven = b"<?xml version=\"1.0\" encoding=\"UTF-7\"?>+ADwAIQ-DOCTYPE x+AD4-<Envelope/>";
    assert!(soon(seven).is_err());
}

#[test]
fn h02_no_entity_is_ever_expanded() {
    assert_eq!(key("&file;&a;"), "&file;&a;");
    let many = key(&"&a;".repeat(100_000));
    assert_eq!(many.len(), 300_000);
}

#[test]
fn h03_nesting_is_bounded_wherever_it_stands() {
    let deep = format!("{}{}", "<a>".repeat(200_000), "</a>".repeat(200_000));
    for body in [
        deep.clone(),
        wrap(&deep),
        reboot(&deep),
        wrap(&format!("<cwmp:Inform>{deep}</cwmp:Inform>")),
        wrap(&format!("<cwmp:Inform><ParameterList>{deep}</ParameterList></cwmp:Inform>")),
        wrap(&format!("<cwmp:X>{deep}</cwmp:X>")),
        format!("<Envelope><Header>{deep}</Header></Envelope>"),
        "<a>".repeat(500_000),
    ] {
        assert!(soon(body.as_bytes()).is_err());
    }
}

#[test]
fn h04_every_truncation_is_refused() {
    let whole = reboot("k<![CDATA[x]]>&amp;<!-- c -->");
    for end in 0..whole.len() {
        assert!(soon(&whole.as_bytes()[..end]).is_err(), "taken: {}", &whole[..end]);
    }
    assert!(soon(whole.as_bytes()).is_ok());
}

#[test]
fn h05_mismatched_tags_and_junk_are_refused() {
    for body in [
        reboot("k").replace("</CommandKey>", "</Commandkey>"),
        reboot("k").replace("</CommandKey>", ""),
        reboot("k").replace("</cwmp:Reboot>", "</cwmp:Reboot></cwmp:Reboot>"),
        reboot("k") + "junk",
        reboot("k") + "<Envelope/>",
        reboot("k") + "</soap:Envelope>",
        reboot("k") + "<![CDATA[junk]]>",
        reboot("k") + "&amp;",
        "junk".to_owned() + &reboot("k"),
        "<![CDATA[junk]]>".to_owned() + &reboot("k"),
    ] {
        assert!(soon(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn h06_duplicate_attributes_are_refused() {
    for (from, to) in [
        ("<CommandKey>", "<CommandKey a=\"1\" a=\"2\">"),
        ("<cwmp:Reboot>", "<cwmp:Reboot xmlns:cwmp=\"a\" xmlns:cwmp=\"b\">"),
        ("<soap:Body>", "<soap:Body><!-- x --><cwmp:X><y z='1' z='1'/></cwmp:X>"),
    ] {
        let body = reboot("k").replace(from, to);
        assert!(soon(body.as_bytes()).is_err(), "{to}");
    }
}

#[test]
fn h07_zeros_within_the_message_are_refused() {
    for body in
        [reboot("a\0b"), reboot("k").replace("<soap:Body>", "\0<soap:Body>"), format!("\0{}", reboot("k"))]
    {
        assert!(soon(body.as_bytes()).is_err(), "{body:?}");
    }
}

#[test]
fn h08_long_names_and_crowds_of_attributes_cost_little() {
    let long = "x".repeat(1 << 20);
    assert!(soon(wrap(&format!("<{long}/>")).as_bytes()).is_ok());
    let crowd = |attribute: fn(usize) -> String| {
        let attributes: String = (0..50_000).map(attribute).collect();
        wrap(&format!("<cwmp:Reboot{attributes}/>"))
    };
    assert_eq!(soon(crowd(|n| format!(" a{n}=\"1\"")).as_bytes()), Err(SoapError::Attributes(64)));
    assert!(soon(crowd(|n| format!(" xmlns:a{n}=\"u\"")).as_bytes()).is_err());
    let nested = (0..50).map(|n| format!("<a{n}:b xmlns:a{n}=\"u\">")).collect::<String>();
    assert!(soon(wrap(&nested).as_bytes()).is_err());
    let signs = "<a b=\"<<<<<<<<\"/>".repeat(50_000);
    let _ = soon(wrap(&format!("<cwmp:X>{signs}</cwmp:X>")).as_bytes());
}

#[test]
fn h09_what_is_not_soap_is_refused() {
    for body in
        ["", " ", "\0", "{}", "<html><body>x</body></html>", "GET / HTTP/1.1", "<?xml version=\"1.0\"?>", "<"]
    {
        assert!(soon(body.as_bytes()).is_err(), "{body:?}");
    }
}

#[test]
fn h13_x34_large_bodies_are_read_in_time_and_too_large_ones_are_not() {
    let items = |count: usize| {
        let item = "<ParameterValueStruct><Name>Device.A</Name><Value>1</Value></ParameterValueStruct>";
        let list = item.repeat(count);
        wrap(&format!("<cwmp:Inform><ParameterList>{list}</ParameterList></cwmp:Inform>"))
    };
    assert!(soon(items(20_000).as_bytes()).is_ok());
    let most = Limits::default().size;
    let large = reboot(&"x".repeat(most));
    assert_eq!(refused(&large), SoapError::TooLarge(large.len(), most));
    assert!(soon(reboot(&"x".repeat(most - 1_000)).as_bytes()).is_ok());
    let small = "<a/>".repeat(600_000);
    for body in [wrap(&format!("<cwmp:X>{small}</cwmp:X>")), reboot(&small)] {
        assert_eq!(refused(&body), SoapError::Elements(Limits::default().elements));
    }
    let pieces = "&amp;<!---->".repeat(300_000);
    assert!(soon(reboot(&pieces).as_bytes()).is_ok());
}

#[test]
fn h11_markup_in_values_stays_text() {
    let escaped = "&lt;/CommandKey&gt;&lt;CommandKey&gt;";
    assert_eq!(key(escaped), "</CommandKey><CommandKey>");
    with(&reboot(escaped), |envelope| {
        let envelope = envelope.unwrap();
        let mut again = Vec::new();
        crate::cwmp::soap::encode(&mut again, &envelope);
        assert_eq!(key_of_body(&again, None).unwrap(), "</CommandKey><CommandKey>");
    });
}

proptest! {
    #[test]
    fn arbitrary_bytes_within_an_envelope_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        content_type in "(text/xml)?;? ?charset=[a-z0-9\"'-]{0,12}",
    ) {
        let head = "<Envelope><Body><Inform><DeviceId><OUI>";
        let tail = "</OUI></DeviceId></Inform></Body></Envelope>";
        let body = [head.as_bytes(), &bytes, tail.as_bytes()].concat();
        for body in [&body[..], &bytes[..]] {
            if let Ok(text) = decode_charset(body, Some(&content_type)) {
                let _ = decode(&text, &Limits::default());
            }
        }
        let _ = sniff_device_id(&body);
    }

    #[test]
    fn damage_anywhere_never_panics(at in 0_usize..400, with: u8, cut: bool) {
        let mut body = reboot("k &amp; <![CDATA[x]]> <!-- c --> &#65; <a b='c'/>").into_bytes();
        let at = at % body.len();
        if cut {
            body.remove(at);
        } else {
            body[at] = with;
        }
        let _ = soon(&body);
    }

    #[test]
    fn any_text_survives_escaping(text in "\\PC{0,60}") {
        let mut escaped = String::new();
        for c in text.trim().chars() {
            escaped += &format!("&#{};", u32::from(c));
        }
        prop_assert_eq!(key(&escaped), text.trim());
    }
}
