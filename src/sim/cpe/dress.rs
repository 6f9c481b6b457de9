//! Makes of a sound envelope what a CPE with quirks would send: the words stay, the writing changes.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::quirks::{Quirk, Quirks};

/// A body and the headers that go with it.
pub(super) struct Dressed {
    pub body: Bytes,
    pub headers: Vec<(&'static str, String)>,
}

/// Dresses a body of our encoder; an empty one is the empty POST.
pub(super) fn dress(quirks: &Quirks, body: &Bytes) -> Dressed {
    let blank = body.is_empty();
    if blank && !quirks.has(Quirk::BlankPost) {
        return Dressed { body: Bytes::new(), headers: Vec::new() };
    }
    let mut text = if blank { "\r\n".to_owned() } else { String::from_utf8_lossy(body).into_owned() };
    for quirk in &quirks.all {
        text = rewrite(*quirk, text);
    }
    let (mut body, charset) = encode(quirks, &text);
    let mut headers = Vec::new();
    if !quirks.has(Quirk::NoContentType) {
        headers.push(("Content-Type", format!("text/xml; charset=\"{charset}\"")));
    }
    if !quirks.has(Quirk::NoSoapAction) {
        headers.push(("SOAPAction", String::new()));
    }
    if quirks.has(Quirk::Gzip) {
        body = gzip(&body);
        headers.push(("Content-Encoding", "gzip".into()));
    }
    if quirks.has(Quirk::Chunked) {
        headers.push(("Transfer-Encoding", "chunked".into()));
    }
    Dressed { body: body.into(), headers }
}

fn rewrite(quirk: Quirk, text: String) -> String {
    match quirk {
        Quirk::NoId => between(&text, "<cwmp:ID", "</cwmp:ID>", |_| String::new()),
        Quirk::OddPrefixes => {
            let text = text.replace("SOAP-ENV:", "soap_env:").replace(":SOAP-ENV=", ":soap_env=");
            text.replace("cwmp:", "cwmp_x:").replace("xmlns:cwmp=", "xmlns:cwmp_x=")
        }
        Quirk::Padded => ["Name", "EventCode", "OUI", "SerialNumber"].into_iter().fold(text, |text, name| {
            let (open, close) = (format!("<{name}>"), format!("</{name}>"));
            text.replace(&open, &format!("\n  {open}\n    ")).replace(&close, &format!("\n  {close}\n"))
        }),
        Quirk::Cdata => between(&text, "<Value", "</Value>", cdata),
        Quirk::WrongCounts => between(&text, "arrayType=\"", "\"", |whole| {
            let kept = whole.split_once('[').map_or(whole, |(kept, _)| kept);
            format!("{kept}[0007]\"")
        }),
        Quirk::NoTypes => between(&text, "xsi:type=\"", "\"", |_| "xsi:type=\"xsd:\"".into()),
        Quirk::WordBooleans => between(&text, "xsi:type=\"xsd:boolean\">", "</Value>", |whole| {
            let word = if whole.contains(">1<") || whole.contains(">true<") { "True" } else { "FALSE" };
            format!("xsi:type=\"xsd:boolean\">{word}</Value>")
        }),
        _ => text,
    }
}

/// Rewrites every stretch of the text that begins and ends so.
fn between(text: &str, open: &str, close: &str, rewrite: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(open) {
        let Some(length) = rest[at + open.len()..].find(close) else { break };
        let end = at + open.len() + length + close.len();
        out.push_str(&rest[..at]);
        out.push_str(&rewrite(&rest[at..end]));
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// A Value with its text, unescaped, in a CDATA section.
fn cdata(element: &str) -> String {
    let Some((tag, rest)) = element.split_once('>') else { return element.to_owned() };
    let text = rest.strip_suffix("</Value>").unwrap_or(rest);
    let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#13;", "\r"), ("&amp;", "&")];
    let plain = plain.into_iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    // The end of a section cannot stand in one.
    let plain = plain.replace("]]>", "]]]]><![CDATA[>");
    format!("{tag}><![CDATA[{plain}]]></Value>")
}

fn encode(quirks: &Quirks, text: &str) -> (Vec<u8>, &'static str) {
    let declared = |name: &str| text.replacen("encoding=\"UTF-8\"", &format!("encoding=\"{name}\""), 1);
    if quirks.has(Quirk::Utf16) {
        let units = std::iter::once(0xFEFF).chain(declared("UTF-16").encode_utf16().collect::<Vec<_>>());
        return (units.flat_map(u16::to_le_bytes).collect(), "utf-16");
    }
    if quirks.has(Quirk::Latin1) {
        let mut body = Vec::new();
        for c in declared("ISO-8859-1").chars() {
            match u8::try_from(u32::from(c)) {
                Ok(byte) => body.push(byte),
                Err(_) => body.extend_from_slice(format!("&#{};", u32::from(c)).as_bytes()),
            }
        }
        return (body, "ISO-8859-1");
    }
    (text.as_bytes().to_vec(), "utf-8")
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    // Memory takes all that is written to it.
    written.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::rpc::*;
    use crate::datamodel::ValueType;
    use crate::sim::soap::{Owned, read, write};
    use crate::transport::http::decode_body;

    fn body() -> Bytes {
        let parameter_list = Array(vec![
            ParameterValueStruct::new(
                "Device.A",
                "M\u{fc}ller & <S\u{f6}hne> ]]> \u{20ac}",
                ValueType::String,
            ),
            ParameterValueStruct::new("Device.B", "1", ValueType::Boolean),
        ]);
        let response = Response::GetParameterValuesResponse(GetParameterValuesResponse { parameter_list });
        write("urn:dslforum-org:cwmp-1-2", Some("7"), Owned::Response(response))
    }

    #[test]
    fn every_dress_is_another_writing_of_the_same_words() {
        let plain = body();
        for quirk in Quirk::ALL {
            let dressed = dress(&Quirks::of(&[*quirk]), &plain);
            let header = |name: &str| dressed.headers.iter().find(|it| it.0 == name).map(|it| it.1.as_str());
            let decoded = decode_body(header("Content-Encoding"), &dressed.body, 1 << 20).unwrap();
            let received = read(&decoded.unwrap_or(dressed.body.clone()), header("Content-Type")).unwrap();
            let Owned::Response(Response::GetParameterValuesResponse(response)) = received.message else {
                panic!("{} lost the message", quirk.name())
            };
            let [text, flag] = &response.parameter_list[..] else { panic!("{}", quirk.name()) };
            assert_eq!((&*text.name, &*flag.name), ("Device.A", "Device.B"), "{}", quirk.name());
            assert_eq!(text.value, "M\u{fc}ller & <S\u{f6}hne> ]]> \u{20ac}", "{}", quirk.name());
            let rewritten = dressed.body != plain;
            let about_writing = !matches!(
                quirk,
                Quirk::NoCookies
                    | Quirk::NewConnection
                    | Quirk::Chunked
                    | Quirk::NoSoapAction
                    | Quirk::NoContentType
                    | Quirk::BlankPost
                    | Quirk::IgnoreHold
                    | Quirk::RepeatSession
                    | Quirk::Vanish
                    | Quirk::Oversize
                    | Quirk::Slow
            );
            assert_eq!(rewritten, about_writing, "{}", quirk.name());
        }
    }
}
