//! Credentials for connection requests that the gateway gives a CPE of which it knows none (TR-069 3.2.2).

use super::calls::{BASE, Line};
use super::*;
use crate::cwmp::rpc::{ParameterValueStruct, SetParameterValues};
use crate::datamodel::ValueType;
use crate::policy::{Bypass, BypassMode, CallSecret};

const USER: &str = "Device.ManagementServer.ConnectionRequestUsername";
const PASSWORD: &str = "Device.ManagementServer.ConnectionRequestPassword";

fn line(by_operator: bool) -> Line {
    let secret = Some(CallSecret::of("a secret of the operator's"));
    let agent = AgentConfig { call_secret: secret, ..AgentConfig::clone(&configs().0) };
    let by_operator = by_operator.then(|| ("all".to_owned(), "all".to_owned()));
    let proxy =
        ProxyConfig { acs_calls: Some(BASE.into()), wake_credentials: by_operator, ..ProxyConfig::default() };
    let mut line = Line::unseen(Arc::new(agent), Arc::new(proxy), Bench::new(MODEL));
    line.bench.change(USER, "set years ago");
    line.bench.change(PASSWORD, "unknown");
    for _ in 0..4 {
        line.session(None);
    }
    line
}

fn acs_sets(line: &mut Line, list: &[(&'static str, &'static str)]) {
    let value = |(name, value): &(&'static str, &'static str)| {
        ParameterValueStruct::new(*name, *value, ValueType::String)
    };
    let parameter_list = Array(list.iter().map(value).collect());
    let set = SetParameterValues { parameter_list, parameter_key: "k".into() };
    let seen = line.session_as_told(Request::SetParameterValues(set));
    assert!(String::from_utf8(seen.to_vec()).unwrap().contains("SetParameterValuesResponse"));
}

fn reads_user(line: &mut Line) -> String {
    let names = Array(vec!["Device.ManagementServer.".into()]);
    let seen = line.session(Some(Request::GetParameterValues(GetParameterValues { parameter_names: names })));
    let Owned::Response(Response::GetParameterValuesResponse(it)) =
        read(&seen.unwrap(), None).unwrap().message
    else {
        panic!("no values")
    };
    it.parameter_list.iter().find(|it| it.name == USER).unwrap().value.to_string()
}

fn on_cpe(line: &Line) -> (String, String) {
    let value = |name| line.bench.value(name).unwrap().to_owned();
    (value(USER), value(PASSWORD))
}

#[test]
fn tr069_3_2_2_a_cpe_whose_credentials_are_not_known_gets_some_and_the_acs_reads_its_own() {
    let mut line = line(false);
    let ours = line.device.agent.own_credentials().expect("ours");
    assert_eq!(on_cpe(&line), ours);
    assert_eq!(line.device.wake_credentials(), Some(ours.clone()));
    assert_eq!(reads_user(&mut line), "set years ago");
    line.restart();
    assert_eq!(line.device.wake_credentials(), Some(ours));
    assert_eq!(reads_user(&mut line), "set years ago", "over a restart");
}

#[test]
fn tr069_3_2_2_what_the_acs_sets_later_is_learnt_and_kept_from_the_cpe_and_given_back_in_bypass() {
    let mut line = line(false);
    let ours = on_cpe(&line);
    acs_sets(&mut line, &[(USER, "acs"), (PASSWORD, "new")]);
    assert_eq!(on_cpe(&line), ours);
    assert_eq!(reads_user(&mut line), "acs");
    assert_eq!(line.bench.value("Device.ManagementServer.ParameterKey"), Some("k"));
    line.tell(Input::Bypass(Some(Bypass { mode: BypassMode::Bypass, since: WallTime(1) })));
    for _ in 0..3 {
        line.session(None);
    }
    assert_eq!(on_cpe(&line), ("acs".to_owned(), "new".to_owned()));
    assert_eq!(line.device.wake_credentials(), Some(("acs".to_owned(), "new".to_owned())));
}

#[test]
fn a_cpe_whose_credentials_are_known_keeps_them() {
    let line = self::line(true);
    assert_eq!(on_cpe(&line), ("set years ago".to_owned(), "unknown".to_owned()));
}
