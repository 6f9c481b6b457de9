//! What the ACS sees of transfers that the gateway has told the CPE to make: nothing, as far as a body can be cut.

use bytes::Bytes;

use crate::cwmp::rpc::{
    AllQueuedTransferStruct, Array, EventStruct, GetAllQueuedTransfers, GetAllQueuedTransfersResponse,
    Inform, InformResponse, Request, Response, TransferComplete,
};
use crate::sim::soap::{Owned, read, write};
use crate::transport::http::decode_body;

use super::*;

const KEY: &str = "dragoman-usp-0123456789abcdef";

/// A device in a session that the ACS has opened.
struct Told {
    device: Device,
    number: u64,
}

impl Told {
    fn new() -> Self {
        let bench = Bench::new(MODEL);
        let (agent, proxy) = configs();
        Self { device: Device::restore(&bench.id(), agent, proxy, &[]).unwrap(), number: 0 }
    }

    fn tell(&mut self, input: Input) -> Vec<Output> {
        let env = Env { now: 1_000, wall: WallTime(1_700_000_000_000), seed: 7 };
        let mut out = Vec::new();
        self.device.handle(&env, input, &mut out);
        let kept = out.iter().filter_map(|output| match output {
            Output::Persist { token, .. } => Some(*token),
            _ => None,
        });
        for token in kept.collect::<Vec<_>>() {
            out.extend(self.tell(Input::Persisted(token)));
        }
        out
    }

    fn post(
        &mut self,
        body: Bytes,
        headers: Vec<(String, String)>,
        original_body: Option<Bytes>,
    ) -> Vec<Output> {
        self.number += 1;
        let (session, exchange) = (SessionId(1), ExchangeId(self.number));
        let headers = headers.into();
        let (client, target, authenticated) = (Arc::default(), "/".to_owned(), false);
        let post = Post {
            session,
            acs: AcsId(0),
            exchange,
            client,
            authenticated,
            target,
            headers,
            body,
            original_body,
        };
        self.tell(Input::Post(post))
    }

    fn acs_says(&mut self, body: Bytes) -> Vec<Output> {
        let status = if body.is_empty() { 204 } else { 200 };
        let reply = AcsReply { status, headers: Default::default(), body, decoded_body: None };
        self.tell(Input::Acs { session: SessionId(1), reply: Ok(reply) })
    }

    /// The Inform of a CPE that has started with what it was told to load, as the ACS gets it.
    fn inform(&mut self, headers: Vec<(String, String)>, original_body: Option<Bytes>) -> (Vec<u8>, bool) {
        let out = self.post(inform(&["1 BOOT", "7 TRANSFER COMPLETE", "M Download"]), headers, original_body);
        let response = Response::InformResponse(InformResponse { max_envelopes: 1 });
        self.acs_says(write(NAMESPACE, Some("1"), Owned::Response(response)));
        to_acs(&out)
    }
}

fn inform(codes: &[&'static str]) -> Bytes {
    let key = |code: &&str| if code.starts_with("M ") { KEY } else { "" };
    let event =
        |code: &&'static str| EventStruct { event_code: (*code).into(), command_key: key(code).into() };
    let device_id = Bench::new(MODEL).id();
    let event = Array(codes.iter().map(event).collect());
    let inform = Inform { device_id, event, max_envelopes: 1, ..Inform::default() };
    write(NAMESPACE, Some("1"), Owned::Request(Request::Inform(inform)))
}

/// What goes to the ACS, and whether it is said to be compressed.
fn to_acs(out: &[Output]) -> (Vec<u8>, bool) {
    let sent = out.iter().find_map(|output| match output {
        Output::ToAcs { body, headers, .. } => Some((body.to_vec(), headers)),
        _ => None,
    });
    let (body, headers) = sent.expect("nothing goes to the ACS");
    (body, headers.iter().any(|(name, _)| name == "content-encoding"))
}

#[test]
fn tr_069_3_7_1_5_the_acs_sees_a_start_and_nothing_of_the_transfer_that_led_to_it() {
    let (body, _) = Told::new().inform(Vec::new(), None);
    assert_eq!(body, inform(&["1 BOOT"]).to_vec(), "all else stays, byte for byte");
    // What came compressed leaves compressed.
    let coding = vec![("content-encoding".to_owned(), "gzip".to_owned())];
    let (body, compressed) = Told::new().inform(coding, Some(Bytes::from_static(b"compressed")));
    assert!(compressed);
    let inflated = decode_body(Some("gzip"), &body.into(), 1 << 20).unwrap().unwrap();
    assert_eq!(inflated, inform(&["1 BOOT"]));
}

#[test]
fn a_body_that_the_cpes_digest_answer_covers_is_not_cut() {
    let covered = vec![("Authorization".to_owned(), "Digest qop=auth-int".to_owned())];
    let (body, _) = Told::new().inform(covered, None);
    assert!(String::from_utf8(body).unwrap().contains(KEY));
}

#[test]
fn the_end_of_a_transfer_of_ours_is_answered_here_and_one_of_the_acs_s_there() {
    let mut told = Told::new();
    told.inform(Vec::new(), None);
    let complete = |key: &'static str| {
        let transfer = TransferComplete { command_key: key.into(), ..TransferComplete::default() };
        write(NAMESPACE, Some("22"), Owned::Request(Request::TransferComplete(transfer)))
    };
    let out = told.post(complete(KEY), Vec::new(), None);
    assert!(!out.iter().any(|output| matches!(output, Output::ToAcs { .. })), "the ACS hears of it");
    let reply = out.iter().find_map(|output| match output {
        Output::Reply { reply, .. } => Some(reply.clone()),
        _ => None,
    });
    let answer = read(&reply.expect("no answer").body, None).unwrap();
    assert_eq!(answer.id.as_deref(), Some("22"));
    assert!(matches!(answer.message, Owned::Response(Response::TransferCompleteResponse(_))));
    let theirs = complete("acs-1");
    assert_eq!(to_acs(&told.post(theirs.clone(), Vec::new(), None)).0, theirs.to_vec());
}

#[test]
fn tr_069_a_4_1_7_a_list_of_queued_transfers_has_those_of_the_acs_alone() {
    let mut told = Told::new();
    told.inform(Vec::new(), None);
    told.post(Bytes::new(), Vec::new(), None);
    let ask = Request::GetAllQueuedTransfers(GetAllQueuedTransfers {});
    told.acs_says(write(NAMESPACE, Some("a"), Owned::Request(ask)));
    let list = |keys: &[&'static str]| {
        let transfer = |key: &&'static str| AllQueuedTransferStruct {
            command_key: (*key).into(),
            state: 2,
            is_download: true,
            file_type: "1 Firmware Upgrade Image".into(),
            ..AllQueuedTransferStruct::default()
        };
        let transfer_list = Array(keys.iter().map(transfer).collect());
        let response = GetAllQueuedTransfersResponse { transfer_list };
        write(NAMESPACE, Some("a"), Owned::Response(Response::GetAllQueuedTransfersResponse(response)))
    };
    let (body, _) = to_acs(&told.post(list(&["theirs", KEY]), Vec::new(), None));
    assert_eq!(body, list(&["theirs"]).to_vec());
}

/// A device whose CPE has been told to do this by a controller, and what goes to the ACS of the Inform that follows.
fn after(
    command: &str,
    args: &[(&str, &str)],
    codes: &[(&'static str, &'static str)],
) -> (Vec<String>, bool) {
    let mut line = super::calls::Line::with(AgentConfig::clone(&configs().0));
    line.authenticated = true;
    line.operates(command, args);
    line.session(None);
    let event = |(code, key): &(&'static str, &'static str)| EventStruct {
        event_code: (*code).into(),
        command_key: (*key).into(),
    };
    let mut inform = line.bench.open();
    inform.event.0 = codes.iter().map(event).collect();
    let out = line.post(write(NAMESPACE, Some("1"), Owned::Request(Request::Inform(inform))));
    let Some(seen) = super::calls::to_acs(&out) else { return (Vec::new(), true) };
    let Owned::Request(Request::Inform(inform)) = read(&seen, None).unwrap().message else {
        panic!("no Inform")
    };
    (inform.event.iter().map(|event| event.event_code.to_string()).collect(), false)
}

const PING: &str = "Device.IP.Diagnostics.IPPing()";

#[test]
fn tr_069_3_7_1_5_the_end_of_a_controllers_diagnostic_is_not_told_to_the_acs() {
    let host = [("Host", "127.0.0.1")];
    let complete = ("8 DIAGNOSTICS COMPLETE", "");
    let told = after(PING, &host, &[("2 PERIODIC", ""), complete]);
    assert_eq!(told, (vec!["2 PERIODIC".to_owned()], false));
    assert_eq!(
        after(PING, &host, &[complete]),
        (Vec::new(), true),
        "with nothing else the ACS is not called"
    );
    let alone = after("Device.LocalAgent.Nothing()", &[], &[complete]);
    assert_eq!(alone, (vec!["8 DIAGNOSTICS COMPLETE".to_owned()], false), "somebody else's");
}

#[test]
fn tr_069_3_7_1_5_a_controllers_reboot_is_a_start_to_the_acs_and_one_of_its_own_a_reboot() {
    let told = after("Device.Reboot()", &[], &[("1 BOOT", ""), ("M Reboot", "key")]);
    assert_eq!(told.0, ["1 BOOT"]);
    let told = after("Device.Reboot()", &[], &[("1 BOOT", ""), ("M Reboot", "acs")]);
    assert_eq!(told.0, ["1 BOOT", "M Reboot"]);
}

#[test]
fn tr_069_3_7_1_5_the_bootstrap_of_a_device_that_the_acs_knows_is_a_boot_but_for_a_factory_reset() {
    use crate::policy::KnownDevices;
    let hides = |list: &str, codes: &[&'static str], seen_before: bool| {
        let known = KnownDevices::parse(list).unwrap();
        let proxy = ProxyConfig { hide_bootstrap: Some(Arc::new(known)), ..ProxyConfig::default() };
        let mut told = Told::new();
        told.device = Device::restore(&Bench::new(MODEL).id(), configs().0, Arc::new(proxy), &[]).unwrap();
        told.device.first_contact = !seen_before;
        let events = told.post(inform(codes), Vec::new(), None);
        let Owned::Request(Request::Inform(inform)) = read(&to_acs(&events).0, None).unwrap().message else {
            panic!("no Inform")
        };
        inform.event.iter().map(|event| event.event_code.to_string()).collect::<Vec<_>>()
    };
    let ours = "00256D-S1";
    assert_eq!(hides(ours, &["0 BOOTSTRAP"], false), ["1 BOOT"]);
    assert_eq!(hides(ours, &["0 BOOTSTRAP", "1 BOOT"], false), ["1 BOOT"]);
    assert_eq!(hides(ours, &["0 BOOTSTRAP", "2 PERIODIC"], false), ["2 PERIODIC", "1 BOOT"]);
    assert_eq!(hides("00256D-S2", &["0 BOOTSTRAP", "1 BOOT"], false), ["0 BOOTSTRAP", "1 BOOT"]);
    assert_eq!(hides(ours, &["0 BOOTSTRAP", "1 BOOT"], true), ["0 BOOTSTRAP", "1 BOOT"], "a reset");
}
