//! Captures whole: what is written can be read, holds no secret, and what is no capture is refused.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::cwmp::rpc::{
    Array, Download, GetParameterValuesResponse, Inform, ParameterValueStruct, Request, Response,
    SetParameterValues,
};
use crate::cwmp::soap::{Envelope, Header, Message, encode};
use crate::datamodel::ValueType;
use crate::identity::{DeviceId, EndpointId};
use crate::usp::message::{self, get_resp};
use crate::usp::record::Record;

fn device() -> DeviceId {
    DeviceId { oui: "00256D".into(), serial_number: "A1B2C3D4".into(), ..DeviceId::default() }
}

fn envelope(message: Message<'_>) -> Bytes {
    let mut body = Vec::new();
    encode(&mut body, &Envelope::of("", Header { id: Some("7".into()), ..Header::default() }, message));
    body.into()
}

fn http(leg: LegName, body: Bytes, head: &[(&str, &str)]) -> Http {
    let head =
        head.iter().map(|(name, value)| ((*name).to_owned(), Bytes::copy_from_slice(value.as_bytes())));
    Http { leg, connection: 1, head: head.collect(), body, decoded: None }
}

fn request(body: Bytes, head: &[(&str, &str)], informs: bool) -> Event {
    let way = Way::Request {
        http: http(LegName::Cpe, body, head),
        target: "/acs?token=abcdefgh".into(),
        informs: informs.then(device),
    };
    Event { device: device().endpoint_id(), way }
}

fn answer(status: u16, body: Bytes, head: &[(&str, &str)]) -> Event {
    let way = Way::Answer { http: http(LegName::Cpe, body, head), status };
    Event { device: device().endpoint_id(), way }
}

fn inform() -> Bytes {
    let (device_id, retry_count) = (device(), 0);
    let inform = Inform { device_id, retry_count, ..Inform::default() };
    envelope(Message::Request(Request::Inform(inform)))
}

fn file(policy: Policy, events: &[Event]) -> String {
    let mut scribe = Scribe::new(policy, None);
    let mut file = scribe.opening("2026-01-01T00:00:00Z".into(), "0", &["00256D-A1B2C3D4".to_owned()]);
    (0..).zip(events).for_each(|(at, event)| file.push_str(&scribe.line(at, event).unwrap()));
    file + &scribe.ending(99, Ended::Stopped)
}

fn read(file: &str) -> Script {
    Script::read(file.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{file}"))
}

/// Names of parameters, secret by the standards' tables or by their names, in both roots.
const SECRETS: [&str; 6] = [
    "Device.WiFi.AccessPoint.1.Security.KeyPassphrase",
    "Device.ManagementServer.ConnectionRequestPassword",
    "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.PreSharedKey.1.PreSharedKey",
    "InternetGatewayDevice.X_ACME_Voice.SIPPassword",
    "Device.Users.User.1.Password",
    "Device.Hosts.Host.3.HostName",
];

fn policy(pseudonymise: bool) -> Policy {
    let redact = vec![HiddenPath::parse("Device.Hosts.").unwrap()];
    Policy { redact, pseudonymise, opaque: false }
}

fn values(pairs: &[(usize, String)]) -> Vec<ParameterValueStruct<'static>> {
    let pairs = pairs.iter().map(|(name, value)| (SECRETS[*name], value.clone()));
    pairs.map(|(name, value)| ParameterValueStruct::new(name, value, ValueType::String)).collect()
}

fn record(secret: &str) -> Event {
    let resolved = get_resp::ResolvedPathResult {
        resolved_path: "Device.WiFi.AccessPoint.1.Security.".into(),
        result_params: [("KeyPassphrase".to_owned(), secret.to_owned())].into(),
    };
    let result = get_resp::RequestedPathResult {
        requested_path: format!("Device.Users.User.[Password==\"{secret}\"]."),
        err_msg: format!("not '{secret}'"),
        resolved_path_results: vec![resolved],
        ..Default::default()
    };
    let response = message::Response::GetResp(message::GetResp { req_path_results: vec![result] });
    let message = message::Message::response("m1", response).encode();
    let to = EndpointId::parse("self::controller").unwrap();
    let bytes = Record::plain(&device().endpoint_id(), &to, message).encode();
    Event { device: device().endpoint_id(), way: Way::Record { outgoing: true, mtp: "mqtt", bytes } }
}

fn gzip(body: &[u8]) -> Bytes {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap().into()
}

proptest! {
    #[test]
    fn no_secret_of_any_model_is_ever_written(
        pairs in proptest::collection::vec((0..SECRETS.len(), "[a-zA-Z0-9&<>'\" äß€]{2}[a-z0-9]{10}[&;%]?"), 1..6),
        proof in "[a-f0-9]{32}",
        cookie in "[A-Z0-9]{20}",
        pseudonymise: bool,
    ) {
        let list = values(&pairs);
        let set = SetParameterValues { parameter_list: Array(list.clone()), parameter_key: "k".into() };
        let secret = &pairs[0].1;
        let download = Download {
            url: format!("http://user:{proof}@acs/f?sig={cookie}").into(),
            username: secret.clone().into(),
            password: secret.clone().into(),
            ..Download::default()
        };
        let got = envelope(Message::Response(Response::GetParameterValuesResponse(GetParameterValuesResponse {
            parameter_list: Array(list),
        })));
        let digest = format!("Digest username=\"u\", nonce=\"n\", response=\"{proof}\"");
        let set_cookie = format!("JSESSIONID={cookie}; Path=/");
        let mut coded = request(gzip(&got), &[("Content-Encoding", "gzip")], false);
        if let Way::Request { http, .. } = &mut coded.way {
            http.decoded = Some(Some(got.clone()));
        }
        let mut latin = got.to_vec();
        latin.extend_from_slice(b"<!-- \xfc -->");
        let events = [
            request(inform(), &[("Authorization", &digest)], true),
            answer(200, envelope(Message::Request(Request::SetParameterValues(set))), &[("Set-Cookie", &set_cookie)]),
            request(got, &[("Cookie", &format!("JSESSIONID={cookie}"))], false),
            answer(200, envelope(Message::Request(Request::Download(download))), &[]),
            coded,
            answer(500, Bytes::from(format!("<html>{secret}</html>")), &[("X-Auth-Token", &proof)]),
            request(latin.into(), &[], false),
            answer(204, Bytes::new(), &[]),
            record(secret),
        ];
        let file = file(policy(pseudonymise), &events);
        let all = pairs.iter().map(|(_, value)| value).chain([&proof, &cookie]);
        for value in all {
            let json = serde_json::to_string(value).unwrap();
            let xml = crate::cwmp::soap::escape(value);
            let forms = [value.as_str(), json.trim_matches('"'), xml.as_str()];
            // The part without anything that a format could write otherwise.
            let core: String = value.chars().filter(char::is_ascii_alphanumeric).skip(2).collect();
            for form in forms.into_iter().chain([core.as_str()]).filter(|form| form.len() >= 8) {
                prop_assert!(!file.contains(form), "{form} is in\n{file}");
            }
        }
        prop_assert_eq!(pseudonymise, !file.contains("A1B2C3D4"));
        prop_assert_eq!(read(&file).sittings.len(), 1);
    }
}

#[test]
fn what_is_no_secret_comes_back_byte_for_byte_in_its_order_and_case() {
    let head = [("hOST", "gw"), ("SOAPAction", ""), ("x-B", "2"), ("X-a", "1")];
    let odd = b"<?xml version='1.0'?>\r\n<s:Envelope xmlns:s='x'><!-- \xfc --><s:Body ><X/></s:Body></s:Envelope>\n";
    let odd = Bytes::from_static(odd);
    let packed = gzip(&inform());
    let mut coded = request(packed.clone(), &[("Content-Encoding", "gzip")], false);
    if let Way::Request { http, .. } = &mut coded.way {
        http.decoded = Some(Some(inform()));
    }
    let file = file(
        Policy::default(),
        &[
            request(inform(), &head, true),
            answer(200, odd.clone(), &[]),
            coded,
            answer(204, Bytes::new(), &[]),
        ],
    );
    let script = read(&file);
    let [first, second] = &script.sittings[0].exchanges[..] else { panic!("{file}") };
    assert_eq!((first.request.body.as_ref(), first.request.name.as_str()), (Some(&inform()), "Inform"));
    let names: Vec<_> = first.request.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["hOST", "SOAPAction", "x-B", "X-a"]);
    assert_eq!(first.answer.as_ref().unwrap().1.body, Some(odd));
    assert_eq!(second.request.body, Some(packed));
    assert_eq!(second.request.coded, Some(("gzip".into(), inform())));
    assert_eq!((second.answer.as_ref().unwrap().0, script.end.as_str()), (204, "stopped"));
}

#[test]
fn the_length_of_a_redacted_body_is_that_of_what_is_stored() {
    let list = values(&[(0, "a secret of some length".into())]);
    let got =
        Response::GetParameterValuesResponse(GetParameterValuesResponse { parameter_list: Array(list) });
    let got = envelope(Message::Response(got));
    let head = [("Content-Length", &*got.len().to_string())];
    let file = file(Policy::default(), &[request(got, &head, false)]);
    let script = read(&file);
    let play = &script.sittings[0].exchanges[0].request;
    assert_eq!(play.headers[0].1, play.body.as_ref().unwrap().len().to_string().as_bytes());
    assert!(String::from_utf8_lossy(play.body.as_ref().unwrap()).contains(">redacted-1<"), "{file}");
}

#[test]
fn an_inform_begins_a_session_but_for_the_one_that_answers_a_challenge() {
    let mut scribe = Scribe::new(Policy::default(), Some(2));
    let mut session = |event: &Event| {
        scribe.line(0, event).map(|line| serde_json::from_str::<HttpLine>(&line).unwrap().session)
    };
    let ask = request(inform(), &[], true);
    assert_eq!(session(&ask), Some(1));
    assert_eq!(session(&answer(401, Bytes::new(), &[])), Some(1));
    assert_eq!(session(&ask), Some(1), "it is the same one with a proof");
    assert_eq!(session(&answer(200, inform(), &[])), Some(1));
    assert_eq!(session(&ask), Some(2));
    assert_eq!(session(&answer(204, Bytes::new(), &[])), Some(2));
    assert_eq!(session(&ask), None, "one too many");
    assert!(scribe.has_enough());
}

#[test]
fn a_device_under_another_name_is_the_same_in_its_inform_and_in_each_line() {
    let odd = DeviceId { serial_number: "X-1".into(), product_class: "Box".into(), ..device() };
    let body =
        envelope(Message::Request(Request::Inform(Inform { device_id: odd.clone(), ..Inform::default() })));
    let way =
        Way::Request { http: http(LegName::Cpe, body, &[]), target: "/".into(), informs: Some(odd.clone()) };
    let file = file(policy(true), &[Event { device: odd.endpoint_id(), way }]);
    let script = read(&file);
    let sitting = &script.sittings[0];
    let told =
        crate::cwmp::soap::sniff_device_id(sitting.exchanges[0].request.body.as_ref().unwrap()).unwrap();
    assert_eq!(sitting.device, told.endpoint_id().as_str());
    assert!(!file.contains("X-1") && !file.contains("X%2D1"), "{file}");
}

#[test]
fn what_is_no_whole_capture_is_refused_with_its_line() {
    let whole = file(Policy::default(), &[request(inform(), &[], true), answer(200, inform(), &[])]);
    let lines: Vec<&str> = whole.lines().collect();
    let refused = |text: String| Script::read(text.as_bytes()).unwrap_err().to_string();
    let with = |at: usize, line: &str| {
        let mut lines = lines.clone();
        lines[at] = line;
        lines.join("\n") + "\n"
    };
    assert!(refused(String::new()).starts_with("line 1: is no capture"));
    assert!(refused("{}\n".into()).starts_with("line 1: is no capture"));
    let newer = with(0, "{\"dragoman-capture\":2}");
    assert_eq!(refused(newer), "line 1: is of version 2, and only 1 is read");
    assert!(refused(whole[..whole.len() - 3].to_owned()).starts_with("line 4: the capture is cut off"));
    assert!(refused(lines[..3].join("\n") + "\n").starts_with("line 4: the capture is cut off"));
    assert!(refused(whole.clone() + lines[1] + "\n").starts_with("line 5: something follows"));
    assert!(
        refused(with(1, "{\"leg\":\"cpe\",\"at\":1}"))
            .starts_with("line 2: is not understood: missing field")
    );
    assert!(refused(with(1, "{\"leg\":\"cpe")).starts_with("line 2: is not understood: EOF"));
    let bodies = lines[1].replacen("\"body\":\"", "\"body\":{\"base64\":\"*", 1).replacen(
        "\",\"redacted",
        "\"},\"redacted",
        1,
    );
    assert!(refused(with(1, &bodies)).starts_with("line 2: "), "{bodies}");
    assert!(refused(with(1, lines[2])).starts_with("line 2: an answer without a request"));
    let long = with(1, &format!("\"{}\"", "x".repeat(MAX_LINE)));
    assert!(refused(long).starts_with("line 2: is longer than"));
}

#[test]
fn what_cannot_be_decoded_is_its_length_and_hash_unless_the_operator_wants_it() {
    let broken = || request(Bytes::from_static(b"<Envelope><Body><Password>hunter22</Password>"), &[], false);
    let kept = |opaque| file(Policy { opaque, ..Policy::default() }, &[broken()]);
    assert!(
        kept(false).contains("\"body\":{\"bytes\":45,\"sha256\":\"") && !kept(false).contains("hunter22")
    );
    assert!(kept(true).contains("hunter22"));
    assert_eq!(read(&kept(false)).sittings[0].exchanges[0].request.body, None);
    let wide: Vec<u8> = "<a/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(file(Policy::default(), &[request(wide.into(), &[], false)]).contains("sha256"));
}

#[test]
fn only_ids_may_differ_between_a_capture_and_its_replay() {
    let play = |body: Bytes| Play { name: String::new(), headers: Vec::new(), body: Some(body), coded: None };
    let other = with_id(&inform(), "<8>");
    assert!(String::from_utf8_lossy(&other).contains(">&lt;8&gt;</cwmp:ID>"));
    assert_eq!(difference(&play(inform()), &other), None);
    let changed = String::from_utf8_lossy(&inform()).replace("00256D", "00256E");
    assert!(difference(&play(inform()), changed.as_bytes()).unwrap().contains("00256E"));
    assert!(difference(&play(inform()), b"").is_some());
    assert_eq!(normal(&other).id.as_deref(), Some("<8>"));
}
