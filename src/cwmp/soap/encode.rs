//! Encodes an envelope: strictly in schema order, declaration first, children unqualified, booleans as
//! 1 and 0, `xsi:type` on values and a correct `arrayType`, since CPEs' parsers insist (quirks B25, B27,
//! B30 to B32, V06).

use super::envelope::{Envelope, Header, Message};

/// Appends the envelope to `out`.
pub fn encode(out: &mut Vec<u8>, envelope: &Envelope<'_>) {
    let mut sink = Sink { out };
    sink.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<SOAP-ENV:Envelope");
    for (prefix, uri) in NAMESPACES {
        sink.raw(&format!(" xmlns:{prefix}=\"{uri}\""));
    }
    sink.raw(" xmlns:cwmp=\"");
    sink.escaped(&envelope.namespace);
    sink.raw("\">");
    encode_header(&mut sink, &envelope.header);
    sink.raw("<SOAP-ENV:Body>");
    match &envelope.message {
        Message::Request(request) => request.encode(&mut sink),
        Message::Response(response) => response.encode(&mut sink),
        Message::Fault(fault) => fault.encode(&mut sink),
    }
    sink.raw("</SOAP-ENV:Body></SOAP-ENV:Envelope>\n");
}

fn encode_header(sink: &mut Sink<'_>, header: &Header<'_>) {
    if *header == Header::default() {
        return;
    }
    sink.raw("<SOAP-ENV:Header>");
    let mut element = |name: &str, must: bool, text: &str| {
        let must = if must { " SOAP-ENV:mustUnderstand=\"1\"" } else { "" };
        sink.raw(&format!("<cwmp:{name}{must}>"));
        sink.escaped(text);
        sink.raw(&format!("</cwmp:{name}>"));
    };
    if let Some(id) = &header.id {
        element("ID", true, id);
    }
    if header.hold_requests {
        element("HoldRequests", true, "1");
    }
    if header.no_more_requests {
        element("NoMoreRequests", false, "1");
    }
    if let Some(seconds) = header.session_timeout {
        element("SessionTimeout", false, &seconds.to_string());
    }
    if let Some(versions) = &header.supported_cwmp_versions {
        element("SupportedCWMPVersions", false, versions);
    }
    if let Some(version) = &header.use_cwmp_version {
        // A CPE that does not know the answer to its own header must not pass it over (CWMP 1.4 schema).
        element("UseCWMPVersion", true, version);
    }
    sink.raw("</SOAP-ENV:Header>");
}

/// Text as it stands between tags.
pub fn escape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    Sink { out: &mut out }.escaped(text);
    String::from_utf8(out).unwrap_or_default()
}

/// Where encoded XML goes.
pub struct Sink<'o> {
    out: &'o mut Vec<u8>,
}

impl Sink<'_> {
    /// Markup as it stands.
    pub fn raw(&mut self, markup: &str) {
        self.out.extend_from_slice(markup.as_bytes());
    }

    /// Text; characters that XML forbids are left out.
    pub fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.raw("&amp;"),
                '<' => self.raw("&lt;"),
                '>' => self.raw("&gt;"),
                '"' => self.raw("&quot;"),
                '\r' => self.raw("&#13;"),
                '\t' | '\n' => self.raw(c.encode_utf8(&mut [0; 4])),
                c if (c as u32) < 0x20 || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
                c => self.raw(c.encode_utf8(&mut [0; 4])),
            }
        }
    }

    /// `<name>text</name>`.
    pub fn element(&mut self, name: &str, text: &str) {
        self.raw("<");
        self.raw(name);
        self.raw(">");
        self.escaped(text);
        self.raw("</");
        self.raw(name);
        self.raw(">");
    }
}

/// The prefixes that CPEs know best.
const NAMESPACES: [(&str, &str); 4] = [
    ("SOAP-ENV", "http://schemas.xmlsoap.org/soap/envelope/"),
    ("SOAP-ENC", "http://schemas.xmlsoap.org/soap/encoding/"),
    ("xsd", "http://www.w3.org/2001/XMLSchema"),
    ("xsi", "http://www.w3.org/2001/XMLSchema-instance"),
];
