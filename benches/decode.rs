//! How fast envelopes and records are decoded, against the bare parsers on the same bytes: quick-xml's
//! `NsReader` for SOAP, prost for USP. A ratio of 1 means that our own work costs nothing.

#![expect(clippy::expect_used, reason = "a measurement that cannot be made must fail loudly")]

use std::hint::black_box;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use dragoman::cwmp::soap::{self, Limits};
use dragoman::datamodel::ValueType;
use dragoman::identity::EndpointId;
use dragoman::usp::message::{GetResp, Message, MessageBody, Msg, Request, Response, Set, get_resp, set};
use dragoman::usp::record::{Payload, Record};
use prost::Message as _;
use quick_xml::events::Event;
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

mod support {
    pub mod cpu;
    pub mod machine;
    pub mod table;
    pub mod turn;
}
use support::table::Row;
use support::turn::Turn;
use support::{cpu, machine, table};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    machine::heading("decoding: our throughput / that of the bare parser", "cargo bench --bench decode");
    println!(
        "measured median of {ROUNDS} rounds of CPU time, both sides in turn; mimalloc, as in the binary"
    );
    let rows = [
        soap_row("GetParameterValuesResponse, one line", &values_response("", BODY)),
        soap_row("GetParameterValuesResponse, indented", &values_response("\n      ", BODY)),
        usp_row("Record + GetResp, 100 parameters", get_resp(100)),
        usp_row("Record + Set, 100 parameters", set_request(100)),
        turn_row(100),
    ];
    table::print("dragoman", "bare parser", &rows);
}

/// Names, values, types and spans against the events of the bare reader.
fn soap_row(what: &str, body: &[u8]) -> Row {
    let limits = Limits::default();
    let ours = || {
        let text = soap::decode_charset(body, Some("text/xml; charset=utf-8")).expect("text");
        black_box(soap::decode(&text, &limits).expect("an envelope"));
    };
    let measured = compare(ours, || {
        black_box(bare_xml(body));
    });
    let row = format!("{what}, {} KB", body.len() / 1_000);
    measured.row(row, body.len(), GOAL)
}

/// Our checked structures against prost's own of the same schema, record and message.
fn usp_row(what: &str, message: Message) -> Row {
    let (from, to) = (endpoint("self::controller"), endpoint("os::00256D-000000000001"));
    let bytes = Record::plain(&from, &to, message.encode()).encode();
    let ours = || {
        let record = Record::decode(bytes.clone()).expect("a record");
        let Payload::NoSession(payload) = record.payload else { panic!("the payload is a message") };
        black_box(Message::decode(payload).expect("a message"));
    };
    let measured = compare(ours, || {
        let record = BareRecord::decode(bytes.clone()).expect("a record");
        let payload = record.no_session_context.expect("a payload").payload;
        black_box(Msg::decode(payload).expect("a message"));
    });
    measured.row(format!("{what}, {} KB", bytes.len() / 1_000), bytes.len(), GOAL)
}

/// A Get answered through CWMP against prost alone on the same two records. The bare side has no SOAP to read,
/// no paths to resolve and no shadow to keep: the ratio says what translation costs, and has no goal.
fn turn_row(parameters: usize) -> Row {
    let values: Vec<_> = (0..parameters).map(parameter).collect();
    let typed = values.iter().map(|(name, xsd, value)| {
        let text = value.replace("&amp;", "&");
        (name.clone(), ValueType::from_xsd(xsd).expect("a type"), text)
    });
    let answer = response_of(&values, "");
    let what = format!("Get of {parameters} through {} KB of SOAP", answer.len() / 1_000);
    let mut turn = Turn::new(&typed.collect::<Vec<_>>(), answer);
    let (request, response) = (turn.request.clone(), turn.take());
    let told = bare(response.clone());
    assert_eq!(bare_values(&told), parameters, "the answer lacks parameters");
    let ours = || {
        black_box(turn.take());
    };
    let measured = compare(ours, || {
        let asked = bare(request.clone());
        let record = BareRecord {
            version: asked.0.version,
            to_id: asked.0.from_id,
            from_id: asked.0.to_id,
            no_session_context: Some(BareNoSession { payload: told.1.encode_to_vec().into() }),
        };
        black_box(record.encode_to_vec());
    });
    measured.row(what, request.len() + response.len(), 0.0..f64::INFINITY)
}

fn bare(bytes: Bytes) -> (BareRecord, Msg) {
    let mut record = BareRecord::decode(bytes).expect("a record");
    let payload = record.no_session_context.take().expect("a payload").payload;
    (record, Msg::decode(payload).expect("a message"))
}

fn bare_values(message: &(BareRecord, Msg)) -> usize {
    let decoded = Message::decode(message.1.encode_to_vec().into()).expect("a message");
    let MessageBody::Response(Response::GetResp(response)) = decoded.body else { return 0 };
    let objects = response.req_path_results.iter().flat_map(|path| &path.resolved_path_results);
    objects.map(|object| object.result_params.len()).sum()
}

/// Resolves namespaces, counts events and unescapes text: the least that any reader of SOAP does.
fn bare_xml(body: &[u8]) -> (usize, usize) {
    let mut reader = NsReader::from_str(std::str::from_utf8(body).expect("UTF-8"));
    let (mut events, mut bytes) = (0, 0);
    loop {
        let (namespace, event) = reader.read_resolved_event().expect("well-formed XML");
        events += usize::from(!matches!(namespace, ResolveResult::Unknown(_)));
        match event {
            Event::Text(text) => bytes += text.xml10_content().len(),
            Event::GeneralRef(entity) => {
                bytes += entity.resolve_char_ref().ok().flatten().map_or(1, char::len_utf8);
            }
            Event::Eof => return (events, bytes),
            _ => {}
        }
    }
}

/// The parts of a record (TR-369 4.2) that every receiver needs; the generated type is private to the crate.
#[derive(Clone, PartialEq, prost::Message)]
struct BareRecord {
    #[prost(string, tag = "1")]
    version: String,
    #[prost(string, tag = "2")]
    to_id: String,
    #[prost(string, tag = "3")]
    from_id: String,
    #[prost(message, optional, tag = "7")]
    no_session_context: Option<BareNoSession>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BareNoSession {
    #[prost(bytes = "bytes", tag = "2")]
    payload: Bytes,
}

/// The time that one run of each side takes, and the median of the rounds' ratios.
struct Measured {
    ours: Duration,
    theirs: Duration,
    ratio: f64,
}

impl Measured {
    fn row(&self, what: String, bytes: usize, wanted: Range<f64>) -> Row {
        let speed = |time: Duration| format!("{:.0} MB/s", bytes as f64 / 1e6 / time.as_secs_f64());
        Row { what, ours: speed(self.ours), theirs: speed(self.theirs), ratio: Some(self.ratio), wanted }
    }
}

/// Runs both sides in turn. What disturbs the machine for a while disturbs both, and outliers fall away.
fn compare(mut ours: impl FnMut(), mut theirs: impl FnMut()) -> Measured {
    let runs = runs_of_a_round(&mut theirs);
    let mut rounds: Vec<(Duration, Duration)> =
        (0..ROUNDS).map(|_| (time(runs, &mut ours), time(runs, &mut theirs))).collect();
    let ratio = |(ours, theirs): &(Duration, Duration)| theirs.as_secs_f64() / ours.as_secs_f64();
    rounds.sort_by(|one, other| ratio(one).total_cmp(&ratio(other)));
    let middle = rounds[ROUNDS / 2];
    Measured { ours: middle.0 / runs, theirs: middle.1 / runs, ratio: ratio(&middle) }
}

fn runs_of_a_round(run: &mut impl FnMut()) -> u32 {
    let mut runs = 1;
    while time(runs, run) < ROUND {
        runs *= 2;
    }
    runs
}

fn time(runs: u32, run: &mut impl FnMut()) -> Duration {
    let begin = cpu::of_main_thread();
    for _ in 0..runs {
        run();
    }
    cpu::of_main_thread() - begin
}

/// A response with parameters as gateways have them until the body is so large; `gap` stands between
/// elements.
fn values_response(gap: &str, size: usize) -> Vec<u8> {
    let mut values = Vec::new();
    let mut length = 0;
    while length < size - HEAD_ROOM {
        let (name, xsd, value) = parameter(values.len());
        length += name.len() + xsd.len() + value.len() + AROUND + 6 * gap.len();
        values.push((name, xsd, value));
    }
    response_of(&values, gap)
}

fn response_of(values: &[(String, &str, String)], gap: &str) -> Vec<u8> {
    let mut items = String::new();
    for (name, xsd, value) in values {
        let deeper = if gap.is_empty() { String::new() } else { format!("{gap}  ") };
        items.push_str(&format!(
            "{gap}<ParameterValueStruct>{deeper}<Name>{name}</Name>{deeper}\
             <Value xsi:type=\"xsd:{xsd}\">{value}</Value>{gap}</ParameterValueStruct>"
        ));
    }
    let count = values.len();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <SOAP-ENV:Envelope xmlns:SOAP-ENV=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:SOAP-ENC=\"http://schemas.xmlsoap.org/soap/encoding/\" \
         xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:cwmp=\"urn:dslforum-org:cwmp-1-2\">\
         <SOAP-ENV:Header><cwmp:ID SOAP-ENV:mustUnderstand=\"1\">17</cwmp:ID></SOAP-ENV:Header>\
         <SOAP-ENV:Body><cwmp:GetParameterValuesResponse>\
         <ParameterList SOAP-ENC:arrayType=\"cwmp:ParameterValueStruct[{count}]\">{items}{gap}\
         </ParameterList></cwmp:GetParameterValuesResponse></SOAP-ENV:Body></SOAP-ENV:Envelope>"
    )
    .into_bytes()
}

/// The parameters of a host table; every eighth one has an entity in its value.
fn parameter(index: usize) -> (String, &'static str, String) {
    let host = index / 8 + 1;
    let of = |leaf: &str| format!("Device.Hosts.Host.{host}.{leaf}");
    match index % 8 {
        0 => (of("PhysAddress"), "string", format!("00:25:6D:{:02X}:{:02X}:01", host / 256, host % 256)),
        1 => (of("IPAddress"), "string", format!("192.168.{}.{}", host / 256, host % 256)),
        2 => (of("HostName"), "string", format!("Anna &amp; Bert's phone {host}")),
        3 => (of("Active"), "boolean", "1".into()),
        4 => (of("LeaseTimeRemaining"), "int", (40_000 + host).to_string()),
        5 => (of("Layer1Interface"), "string", format!("Device.WiFi.SSID.{}.", host % 4 + 1)),
        6 => (of("ActiveLastChange"), "dateTime", "2026-03-01T12:30:15Z".into()),
        _ => (of("WANStats.BytesSent"), "unsignedLong", (host * 7_654_321).to_string()),
    }
}

fn get_resp(parameters: usize) -> Message {
    let results = (0..parameters.div_ceil(8)).map(|host| get_resp::ResolvedPathResult {
        resolved_path: format!("Device.Hosts.Host.{}.", host + 1),
        result_params: leaves(host, parameters).collect(),
    });
    let result = get_resp::RequestedPathResult {
        requested_path: "Device.Hosts.Host.*.".into(),
        resolved_path_results: results.collect(),
        ..Default::default()
    };
    Message::response("17", Response::GetResp(GetResp { req_path_results: vec![result] }))
}

fn set_request(parameters: usize) -> Message {
    let objects = (0..parameters.div_ceil(8)).map(|host| set::UpdateObject {
        obj_path: format!("Device.Hosts.Host.{}.", host + 1),
        param_settings: leaves(host, parameters)
            .map(|(param, value)| set::UpdateParamSetting { param, value, required: true })
            .collect(),
    });
    Message::request("17", Request::Set(Set { allow_partial: false, update_objs: objects.collect() }))
}

/// Names, relative to a host, and values of those of its parameters that are among the first so many.
fn leaves(host: usize, parameters: usize) -> impl Iterator<Item = (String, String)> {
    (host * 8..parameters.min(host * 8 + 8)).map(|index| {
        let (name, _, value) = parameter(index);
        (name.splitn(5, '.').last().unwrap_or_default().to_owned(), value)
    })
}

fn endpoint(id: &str) -> EndpointId {
    EndpointId::parse(id).expect("an endpoint id")
}

/// Bytes of a SOAP body.
const BODY: usize = 200_000;
/// Bytes of an envelope beside its items.
const HEAD_ROOM: usize = 900;
/// Bytes of markup around a parameter.
const AROUND: usize = 92;
/// Odd, so that there is a middle.
const ROUNDS: usize = 41;
const ROUND: Duration = Duration::from_millis(40);
/// The share of the bare parser's throughput that is wanted.
const GOAL: Range<f64> = 0.8..f64::INFINITY;
