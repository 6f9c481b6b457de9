//! Envelopes as no encoder of the product would write them: in the words and the encoding of one CPE, or one ACS.

use super::random::Random;

/// How somebody writes envelopes.
#[derive(Debug, Clone)]
pub struct Dialect {
    serial: String,
    soap: &'static str,
    cwmp: &'static str,
    version: &'static str,
    declaration: &'static str,
    charset: Charset,
    pub content_type: Option<&'static str>,
    /// What stands between elements.
    space: &'static str,
    text: Text,
    tail: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charset {
    Utf8,
    Utf8WithMark,
    Latin1,
    Utf16 {
        big: bool,
    },
    /// Of little end, as only `Content-Type` says.
    Utf16WithoutMark,
    /// UTF-8 by its own word, with a byte in it that is none.
    Broken,
}

/// How somebody writes text.
#[derive(Debug, Clone, Copy)]
enum Text {
    Plain,
    Cdata,
    References,
    Padded,
}

/// What an envelope holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    Inform,
    InformResponse {
        hold: bool,
    },
    TransferComplete,
    GetRPCMethods,
    RequestDownload,
    AnswerToCpe,
    Get,
    Set,
    Names,
    Download,
    Vendor,
    Answer(Box<Shape>),
    Fault,
    /// The ACS asks for the same again.
    RetryRequest,
}

impl Dialect {
    pub fn of(seed: u64, random: &mut Random) -> Self {
        let (charset, declaration, content_type) = random.pick(&CHARSETS);
        Self {
            serial: format!("D{seed:08}"),
            soap: random.pick(&["soapenv", "SOAP-ENV", "s", "soap_env", ""]),
            cwmp: random.pick(&["cwmp", "q", "cwmp_x"]),
            version: random.pick(&["1-0", "1-0", "1-1", "1-2", "1-4"]),
            declaration,
            charset,
            content_type,
            space: random.pick(&["", "\n", "\r\n  ", "<!-- odd --> ", "\n<?odd pi?>\t"]),
            text: random.pick(&[Text::Plain, Text::Plain, Text::Cdata, Text::References, Text::Padded]),
            tail: random.pick(&["", "", "\n\n", "\r\n", "<!-- end -->", "\0\0"]),
        }
    }

    /// The ACS of such a CPE: it writes the same version in words of its own.
    pub fn of_acs(&self, random: &mut Random) -> Self {
        let soap = random.pick(&["SOAP-ENV", "soap", "e"]);
        Self { soap, text: Text::Plain, space: random.pick(&["", "\n"]), ..self.clone() }
    }

    pub fn envelope(&self, shape: Shape, random: &mut Random) -> Vec<u8> {
        let (space, soap, cwmp) = (self.space, self.soap, self.cwmp);
        let prefix = if soap.is_empty() { String::new() } else { format!("{soap}:") };
        let xmlns = if soap.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{soap}") };
        let hold = match shape {
            Shape::InformResponse { hold } => {
                format!("<{cwmp}:HoldRequests>{}</{cwmp}:HoldRequests>", u8::from(hold))
            }
            _ => String::new(),
        };
        let id = random.below(100_000);
        let header = match random.below(5) {
            0 if hold.is_empty() => String::new(),
            _ => format!(
                "<{prefix}Header>{space}<{cwmp}:ID {prefix}mustUnderstand='1'> {id} </{cwmp}:ID>{hold}</{prefix}Header>"
            ),
        };
        let mustless = if soap.is_empty() { header.replace(" mustUnderstand='1'", "") } else { header };
        let inner = self.inner(&shape, random);
        let xml = format!(
            "{}<{prefix}Envelope {xmlns}=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:{cwmp}='urn:dslforum-org:cwmp-{}' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' \
             xmlns:xsd='http://www.w3.org/2001/XMLSchema'>{space}{mustless}{space}<{prefix}Body >{space}{inner}\
             {space}</{prefix}Body>{space}</{prefix}Envelope>{}",
            self.declaration, self.version, self.tail
        );
        self.bytes(&xml)
    }

    fn inner(&self, shape: &Shape, random: &mut Random) -> String {
        let cwmp = self.cwmp;
        let named = |name: &str, inner: String| format!("<{cwmp}:{name}>{inner}</{cwmp}:{name}>");
        match shape {
            Shape::Inform => named("Inform", self.inform(random)),
            Shape::InformResponse { .. } => named("InformResponse", "<MaxEnvelopes>1</MaxEnvelopes>".into()),
            Shape::TransferComplete => named("TransferComplete", TRANSFER_COMPLETE.into()),
            Shape::GetRPCMethods => named("GetRPCMethods", String::new()),
            Shape::RequestDownload => named("RequestDownload", "<FileType>1</FileType><FileTypeArg/>".into()),
            Shape::AnswerToCpe => named("TransferCompleteResponse", String::new()),
            Shape::Get => named("GetParameterValues", NAMES.into()),
            Shape::Set => {
                named("SetParameterValues", self.values("ParameterList", random) + "<ParameterKey/>")
            }
            Shape::Names => named(
                "GetParameterNames",
                "<ParameterPath>Device.</ParameterPath><NextLevel>1</NextLevel>".into(),
            ),
            Shape::Download => {
                named("X_00256D_Fetch", format!("<URL>{}</URL>", self.text("http://a/?b=1&c=2")))
            }
            Shape::Vendor => "<v:Do xmlns:v='urn:vendor'><![CDATA[<any/>]]></v:Do>".into(),
            Shape::Answer(asked) => match **asked {
                Shape::Set => named("SetParameterValuesResponse", "<Status>0</Status>".into()),
                Shape::Names => named("GetParameterNamesResponse", NAME_LIST.into()),
                _ => named("GetParameterValuesResponse", self.values("ParameterList", random)),
            },
            Shape::Fault => self.fault(random.pick(&[9000, 9002, 9005, 8000, 8003])),
            Shape::RetryRequest => self.fault(8005),
        }
    }

    fn fault(&self, code: u32) -> String {
        let (prefix, cwmp) = (if self.soap.is_empty() { "" } else { ":" }, self.cwmp);
        let fault = format!("{}{prefix}Fault", self.soap);
        format!(
            "<{fault}><faultcode>Client</faultcode><faultstring>CWMP fault</faultstring><detail><{cwmp}:Fault>\
             <FaultCode>{code}</FaultCode><FaultString>{}</FaultString></{cwmp}:Fault></detail></{fault}>",
            self.text("no & no")
        )
    }

    fn inform(&self, random: &mut Random) -> String {
        let space = self.space;
        let event = random.pick(&["0 BOOTSTRAP", "1 BOOT", "2 PERIODIC", "4 VALUE CHANGE", "X 00256D odd"]);
        let mut parts = vec![
            format!("<Event><EventStruct><EventCode>{event}</EventCode><CommandKey/></EventStruct></Event>"),
            "<MaxEnvelopes>1</MaxEnvelopes>".to_owned(),
            "<CurrentTime>0001-01-01T00:00:00</CurrentTime>".to_owned(),
            format!("<RetryCount>{}</RetryCount>", random.below(3)),
            self.values("ParameterList", random),
        ];
        if random.chance(20) {
            random.shuffle(&mut parts);
        }
        format!(
            "<DeviceId>{space}<Manufacturer>{}</Manufacturer>{space}<OUI>00256D</OUI><ProductClass>{}</ProductClass>\
             {space}<SerialNumber>{}</SerialNumber></DeviceId>{space}{}",
            self.text("Ütz & Söhne"),
            self.text("Odd"),
            self.serial,
            parts.join(space)
        )
    }

    fn values(&self, list: &str, random: &mut Random) -> String {
        let huge = random.chance(2).then(|| "x".repeat(random.within(50_000, 500_000)));
        let mut values: Vec<(String, String)> = (0..random.below(12))
            .map(|n| {
                (
                    format!("Device.X_Odd.{n}.Name"),
                    random.pick(&["", "1", "a < b", "Öl\n ", "true"]).to_owned(),
                )
            })
            .collect();
        values.push(("Device.DeviceInfo.SoftwareVersion".into(), huge.unwrap_or_else(|| "1.0".into())));
        values.push(("Device.ManagementServer.ConnectionRequestURL".into(), "http://127.0.0.1:9/cr".into()));
        random.shuffle(&mut values);
        let value = |(name, value): &(String, String)| {
            format!(
                "<ParameterValueStruct><Name>{name}</Name><Value xsi:type='xsd:string'>{}</Value></ParameterValueStruct>",
                self.text(value)
            )
        };
        let inner: Vec<String> = values.iter().map(value).collect();
        format!("<{list}>{}</{list}>", inner.join(self.space))
    }

    fn text(&self, text: &str) -> String {
        let plain = text.replace('&', "&amp;").replace('<', "&lt;");
        match self.text {
            Text::Plain => plain,
            Text::Cdata => format!("<![CDATA[{text}]]>"),
            Text::Padded => format!("\n {plain} "),
            Text::References => text.chars().map(|letter| format!("&#x{:X};", u32::from(letter))).collect(),
        }
    }

    fn bytes(&self, xml: &str) -> Vec<u8> {
        match self.charset {
            Charset::Utf8 => xml.as_bytes().to_vec(),
            Charset::Utf8WithMark => [b"\xef\xbb\xbf", xml.as_bytes()].concat(),
            Charset::Latin1 => {
                xml.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?')).collect()
            }
            Charset::Utf16 { big } => {
                let pair = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
                std::iter::once(0xfeff).chain(xml.encode_utf16()).flat_map(pair).collect()
            }
            Charset::Utf16WithoutMark => xml.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Charset::Broken => {
                let bytes = xml.replace('Ö', "\u{1}").into_bytes();
                bytes.into_iter().map(|byte| if byte == 1 { 0xff } else { byte }).collect()
            }
        }
    }
}

type Encoding = (Charset, &'static str, Option<&'static str>);

/// The encoding, what the XML declaration says of it, and what `Content-Type` does.
const CHARSETS: [Encoding; 14] = [
    (Charset::Utf16WithoutMark, "<?xml version='1.0'?>", Some("text/xml; charset=utf-16le")),
    (Charset::Utf8, "<?xml version='1.1' encoding='x-unknown'?>", Some("text/xml;charset=odd")),
    (Charset::Utf8, "", Some("text/xml; charset=utf-8")),
    (Charset::Utf8, "<?xml version='1.0'?>\r\n", Some("text/xml; charset=\"UTF-8\"")),
    (Charset::Utf8, "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>", Some("text/xml")),
    (Charset::Utf8, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", None),
    (Charset::Utf8, "", Some("application/octet-stream")),
    (Charset::Utf8WithMark, "<?xml version='1.0' encoding='utf-8'?>", Some("TEXT/XML;CHARSET=UTF-8")),
    (Charset::Latin1, "<?xml version='1.0' encoding='ISO-8859-1'?>", Some("text/xml")),
    (Charset::Latin1, "", Some("text/xml; charset=iso-8859-1")),
    (
        Charset::Utf16 { big: true },
        "<?xml version='1.0' encoding='UTF-16'?>",
        Some("text/xml; charset=utf-16"),
    ),
    (Charset::Utf16 { big: false }, "<?xml version='1.0'?>", Some("text/xml")),
    (Charset::Broken, "<?xml version='1.0' encoding='UTF-8'?>", Some("text/xml; charset=utf-8")),
    (Charset::Broken, "", None),
];

const NAMES: &str = "<ParameterNames><string>Device.DeviceInfo.</string></ParameterNames>";
const NAME_LIST: &str = "<ParameterList><ParameterInfoStruct><Name>Device.DeviceInfo.</Name><Writable>0</Writable>\
                         </ParameterInfoStruct></ParameterList>";
const TRANSFER_COMPLETE: &str = "<CommandKey>k</CommandKey><FaultStruct><FaultCode>0</FaultCode><FaultString/>\
                                 </FaultStruct><StartTime>2026-01-01T00:00:00Z</StartTime>\
                                 <CompleteTime>2026-01-01T00:00:01Z</CompleteTime>";
