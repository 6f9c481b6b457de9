//! A CPE that comes since its ManagementServer.URL is the gateway's: what its ACS reads, and what becomes of what it
//! writes.

use super::calls::{Line, to_acs};
use super::*;
use crate::cwmp::rpc::{ParameterValueStruct, SetParameterValues};
use crate::datamodel::ValueType;
use crate::policy::Takeover;

const ACS: &str = "http://acs.example/cwmp?a=1&b=2";
const GATEWAY: &str = "https://gw.example:7547/";
const URL: &str = "Device.ManagementServer.URL";
const OTHER: &str = "https://other.example/";

fn proxy(holds: bool) -> Arc<ProxyConfig> {
    let takeover = Some(Takeover::new(GATEWAY.into(), ACS.into(), holds));
    Arc::new(ProxyConfig { takeover, ..ProxyConfig::default() })
}

fn line(holds: bool) -> Line {
    let mut line = Line::unseen(configs().0, proxy(holds), Bench::new(MODEL));
    line.bench.change(URL, GATEWAY);
    line.session(None);
    line
}

fn set(list: &[(&'static str, &'static str)], key: &'static str) -> Request<'static> {
    let value = |(name, value): &(&'static str, &'static str)| {
        ParameterValueStruct::new(*name, *value, ValueType::String)
    };
    let parameter_list = Array(list.iter().map(value).collect());
    Request::SetParameterValues(SetParameterValues { parameter_list, parameter_key: key.into() })
}

fn get(name: &'static str) -> Request<'static> {
    Request::GetParameterValues(GetParameterValues { parameter_names: Array(vec![name.into()]) })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The ACS asks in a session; returns what the CPE gets, what the ACS gets back and the departures that were told.
fn relayed(line: &mut Line, asked: &Request<'static>) -> (Bytes, Bytes, Vec<(String, bool)>) {
    line.informs("2 PERIODIC");
    line.is_informed();
    line.post(Bytes::new());
    let out = line.acs_says(Some(Owned::Request(asked.clone())));
    let reply = out.iter().find_map(|it| match it {
        Output::Reply { reply, .. } => Some(reply.body.clone()),
        _ => None,
    });
    let told = reply.expect("the CPE is asked");
    let Owned::Request(request) = read(&told, None).unwrap().message else { panic!("no request") };
    let answer = line.bench.handle(&request).map_or_else(Owned::Fault, Owned::Response);
    let out = line.post(write(NAMESPACE, Some("1"), answer));
    let departures = out.iter().filter_map(|it| match it {
        Output::Departure { url, held } => Some((url.clone(), *held)),
        _ => None,
    });
    let departures = departures.collect();
    let seen = to_acs(&out).expect("the ACS is answered");
    let mut out = line.acs_says(None);
    line.work_off(&mut out);
    (told, seen, departures)
}

fn reads(line: &mut Line, name: &'static str) -> String {
    let (_, seen, _) = relayed(line, &get(name));
    let Owned::Response(Response::GetParameterValuesResponse(it)) = read(&seen, None).unwrap().message else {
        panic!("no values")
    };
    it.parameter_list.iter().find(|it| it.name == URL).expect("the URL").value.to_string()
}

#[test]
fn tr069_a_3_2_2_the_acs_reads_its_own_url_by_name_and_by_partial_path_and_all_else_stays() {
    let mut line = line(false);
    for name in [URL, "Device.ManagementServer.", "Device."] {
        line.informs("2 PERIODIC");
        line.is_informed();
        line.post(Bytes::new());
        line.acs_says(Some(Owned::Request(get(name))));
        let said = line.bench.handle(&get(name)).unwrap();
        let said = write(NAMESPACE, Some("1"), Owned::Response(said));
        let seen = to_acs(&line.post(said.clone())).unwrap();
        let wanted = text(&said).replace(GATEWAY, &ACS.replace('&', "&amp;"));
        assert_ne!(text(&said), wanted);
        assert_eq!(text(&seen), wanted, "{name}");
        let mut out = line.acs_says(None);
        line.work_off(&mut out);
    }
}

#[test]
fn tr069_a_3_3_1_an_inform_that_states_the_url_states_the_acs_s() {
    let mut line = line(false);
    let mut inform = line.bench.open();
    inform.parameter_list.0.push(ParameterValueStruct::new(URL, GATEWAY, ValueType::String));
    let said = write(NAMESPACE, Some("1"), Owned::Request(Request::Inform(inform)));
    let seen = to_acs(&line.post(said.clone())).unwrap();
    assert_eq!(text(&seen), text(&said).replace(GATEWAY, &ACS.replace('&', "&amp;")));
}

#[test]
fn tr069_a_3_2_1_the_acs_s_write_of_its_own_url_is_answered_and_kept_from_the_cpe() {
    let mut line = line(false);
    let among = set(&[(SSID, "new"), (URL, ACS)], "k1");
    let (told, seen, departures) = relayed(&mut line, &among);
    assert_eq!(text(&told), text(&write(NAMESPACE, Some("1"), Owned::Request(set(&[(SSID, "new")], "k1")))));
    assert!(text(&seen).contains("SetParameterValuesResponse") && departures.is_empty());
    let value = |line: &Line, name| line.bench.value(name).map(str::to_owned);
    assert_eq!(value(&line, SSID).as_deref(), Some("new"));
    let key = "Device.ManagementServer.ParameterKey";
    assert_eq!(value(&line, key).as_deref(), Some("k1"));
    // Nothing else is in it: the CPE is told what it has, and the key.
    let (told, ..) = relayed(&mut line, &set(&[(URL, ACS)], "k2"));
    assert_eq!(text(&told), text(&write(NAMESPACE, Some("1"), Owned::Request(set(&[(URL, GATEWAY)], "k2")))));
    assert_eq!(value(&line, URL).as_deref(), Some(GATEWAY));
    assert_eq!(value(&line, key).as_deref(), Some("k2"));
    assert_eq!(reads(&mut line, URL), ACS);
}

#[test]
fn a_write_with_a_fault_in_it_is_the_cpe_s_to_answer_and_changes_nothing_of_what_the_acs_reads() {
    let mut line = line(true);
    let (_, seen, departures) = relayed(&mut line, &set(&[("Device.No.Such", "1"), (URL, OTHER)], "k"));
    assert!(text(&seen).contains("9003") || text(&seen).contains("9005"), "{}", text(&seen));
    assert!(departures.is_empty());
    assert_eq!(reads(&mut line, URL), ACS);
}

#[test]
fn another_url_leads_the_cpe_away_and_is_told_or_is_held_back_and_reads_as_written() {
    let mut line = line(false);
    let (told, _, departures) = relayed(&mut line, &set(&[(URL, OTHER)], "k"));
    assert!(text(&told).contains(OTHER));
    assert_eq!(departures, [(OTHER.to_owned(), false)]);
    assert_eq!(line.bench.value(URL), Some(OTHER));
    assert_eq!(reads(&mut line, URL), OTHER, "the truth");

    let mut line = self::line(true);
    let (told, _, departures) = relayed(&mut line, &set(&[(URL, OTHER)], "k"));
    assert!(!text(&told).contains(OTHER));
    assert_eq!(departures, [(OTHER.to_owned(), true)]);
    assert_eq!(line.bench.value(URL), Some(GATEWAY));
    line.restart();
    assert_eq!(reads(&mut line, URL), OTHER, "what the ACS has set, over a restart");
    relayed(&mut line, &set(&[(URL, ACS)], "k"));
    assert_eq!(reads(&mut line, URL), ACS);
    relayed(&mut line, &set(&[(URL, GATEWAY)], "k"));
    assert_eq!(reads(&mut line, URL), GATEWAY, "the ACS itself may send its CPEs here");
}

#[test]
fn what_the_acs_compresses_stays_compressed() {
    use crate::transport::http::{decode_body, encode_body};
    let mut line = line(false);
    line.informs("2 PERIODIC");
    line.is_informed();
    line.post(Bytes::new());
    let plain = write(NAMESPACE, Some("1"), Owned::Request(set(&[(URL, ACS)], "k")));
    let body = encode_body("gzip", &plain, b"").unwrap();
    let headers = vec![("Content-Encoding".to_owned(), "gzip".to_owned())].into();
    let session = line.device.session.as_ref().unwrap().id;
    let reply = Ok(AcsReply { status: 200, headers, body, decoded_body: Some(plain.clone()) });
    let out = line.tell(Input::Acs { session, reply });
    let reply =
        out.iter().find_map(|it| if let Output::Reply { reply, .. } = it { Some(reply) } else { None });
    let reply = reply.unwrap();
    let told = decode_body(reply.headers.get("content-encoding"), &reply.body, 1 << 20).unwrap().unwrap();
    assert_eq!(text(&told), text(&plain).replace(&ACS.replace('&', "&amp;"), GATEWAY));
}

#[test]
fn tr069_annex_g_addresses_behind_a_nat_that_the_gateway_has_not_changed_pass_untouched() {
    let calls = Some("http://gateway.example:7548/cr/".to_owned());
    let config = ProxyConfig { acs_calls: calls, ..ProxyConfig::clone(&proxy(true)) };
    let mut line = Line::unseen(configs().0, Arc::new(config), Bench::new(MODEL));
    line.session(None);
    let mut inform = line.bench.open();
    for (name, value) in [
        ("UDPConnectionRequestAddress", "192.0.2.7:4000"),
        ("NATDetected", "true"),
        ("STUNEnable", "true"),
        ("STUNServerAddress", "stun.acs.example"),
        ("ConnReqXMPPConnection", "Device.XMPP.Connection.1"),
        ("ConnReqJabberID", "cpe@xmpp.example/x"),
    ] {
        let name = format!("Device.ManagementServer.{name}");
        inform.parameter_list.0.push(ParameterValueStruct::new(name, value, ValueType::String));
    }
    let own = line.bench.value(super::calls::URL).unwrap().to_owned();
    let address = format!("{}{}", super::calls::BASE, line.bench.id().endpoint_id());
    let said = write(NAMESPACE, Some("1"), Owned::Request(Request::Inform(inform)));
    let seen = to_acs(&line.post(said.clone())).unwrap();
    assert_eq!(text(&seen), text(&said).replace(&own, &address), "but for where the gateway is called");
}

#[test]
fn tr069_a_3_1_1_a_cpes_getrpcmethods_is_the_acs_s_to_answer() {
    let mut line = line(false);
    line.informs("2 PERIODIC");
    line.is_informed();
    let ask = write(NAMESPACE, Some("7"), Owned::Request(Request::GetRPCMethods(Default::default())));
    assert_eq!(to_acs(&line.post(ask.clone())), Some(ask));
    let method_list = Array(vec!["Inform".into(), "TransferComplete".into()]);
    let methods = crate::cwmp::rpc::GetRPCMethodsResponse { method_list };
    let answer = write(NAMESPACE, Some("1"), Owned::Response(Response::GetRPCMethodsResponse(methods)));
    let out = line.acs_says(Some(read(&answer, None).unwrap().message));
    let told =
        out.iter().find_map(|it| if let Output::Reply { reply, .. } = it { Some(&reply.body) } else { None });
    assert_eq!(told, Some(&answer), "what the ACS cannot do is the CPE's to know");
}
