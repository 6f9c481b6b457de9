//! Connection requests of the ACS that come to the gateway (TR-069 3.2.2), on a clock that the test holds.

use super::*;
use crate::cwmp::rpc::{EventStruct, ParameterValueStruct, SetParameterValues};
use crate::datamodel::ValueType;
use crate::transport::http::{Algorithm, Authorization, Challenge, Credentials};

pub(super) const BASE: &str = "http://gateway.example:7548/cr/";
pub(super) const URL: &str = "Device.ManagementServer.ConnectionRequestURL";

pub(super) struct Line {
    pub device: Device,
    pub bench: Bench,
    now: u64,
    number: u64,
    agent: Arc<AgentConfig>,
    proxy: Arc<ProxyConfig>,
    pub stored: Vec<Entry>,
    pub authenticated: bool,
}

fn configs() -> (Arc<AgentConfig>, Arc<ProxyConfig>) {
    let proxy = ProxyConfig { acs_calls: Some(BASE.into()), ..ProxyConfig::default() };
    (super::configs().0, Arc::new(proxy))
}

impl Line {
    fn new() -> Self {
        let (agent, proxy) = configs();
        Self::of(agent, proxy)
    }

    pub fn with(agent: AgentConfig) -> Self {
        Self::of(Arc::new(agent), configs().1)
    }

    fn of(agent: Arc<AgentConfig>, proxy: Arc<ProxyConfig>) -> Self {
        let mut it = Self::unseen(agent, proxy, Bench::new(MODEL));
        for _ in 0..2 {
            it.session(None);
        }
        it
    }

    /// One that has not called yet.
    pub fn unseen(agent: Arc<AgentConfig>, proxy: Arc<ProxyConfig>, bench: Bench) -> Self {
        let device = Device::restore(&bench.id(), Arc::clone(&agent), Arc::clone(&proxy), &[]).unwrap();
        let (stored, authenticated) = (Vec::new(), false);
        Self { device, bench, now: 1_000, number: 0, agent, proxy, stored, authenticated }
    }

    /// The gateway dies and comes back.
    pub fn restart(&mut self) {
        let (agent, proxy) = (Arc::clone(&self.agent), Arc::clone(&self.proxy));
        let restored = Device::restore(&self.bench.id(), agent, proxy, &self.stored);
        self.device = restored.unwrap();
    }

    pub fn tell(&mut self, input: Input) -> Vec<Output> {
        self.now += 1;
        let env = Env { now: self.now, wall: WallTime(1_700_000_000_000 + self.now), seed: self.now };
        let mut out = Vec::new();
        self.device.handle(&env, input, &mut out);
        let mut kept = Vec::new();
        for output in out {
            match output {
                Output::Persist { token, changes } => {
                    let put = |change| if let Change::Put(entry) = change { Some(entry) } else { None };
                    for entry in changes.into_iter().filter_map(put) {
                        self.stored.retain(|known| (known.kind, &known.key) != (entry.kind, &entry.key));
                        self.stored.push(entry);
                    }
                    kept.extend(self.tell(Input::Persisted(token)));
                }
                Output::LoadFirmware(id) => kept.extend(self.tell(Input::Firmware { id, model: None })),
                other => kept.push(other),
            }
        }
        kept
    }

    pub fn post(&mut self, body: Bytes) -> Vec<Output> {
        self.number += 1;
        let session = self.device.session.as_ref().map_or(SessionId(self.number), |session| session.id);
        self.tell(Input::Post(Post {
            session,
            acs: AcsId(0),
            exchange: ExchangeId(self.number),
            client: Arc::default(),
            authenticated: self.authenticated,
            target: "/".to_owned(),
            headers: Default::default(),
            body,
            original_body: None,
        }))
    }

    pub fn acs_says(&mut self, message: Option<Owned>) -> Vec<Output> {
        let body = message.map_or_else(Bytes::new, |message| write(NAMESPACE, Some("1"), message));
        let status = if body.is_empty() { 204 } else { 200 };
        let session = self.device.session.as_ref().expect("a session is open").id;
        let reply = Ok(AcsReply { status, headers: Default::default(), body, decoded_body: None });
        self.tell(Input::Acs { session, reply })
    }

    /// A controller asks for a command, which waits for the CPE.
    pub fn operates(&mut self, command: &str, args: &[(&str, &str)]) {
        let from = EndpointId::parse("self::ctl").unwrap();
        let input_args = args.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let (command, command_key) = (command.to_owned(), "key".to_owned());
        let operate = message::Operate { command, command_key, send_resp: true, input_args };
        let message = Message::request("op", message::Request::Operate(operate)).encode();
        let record = Record::plain(&from, &self.bench.id().endpoint_id(), message).encode();
        self.tell(Input::Record(record, Integrity::Trusted, Shown::Untold));
    }

    /// The CPE informs; returns what the ACS gets.
    pub fn informs(&mut self, code: &'static str) -> Bytes {
        to_acs(&self.says_inform(code)).expect("an Inform goes to the ACS")
    }

    pub fn says_inform(&mut self, code: &'static str) -> Vec<Output> {
        let mut inform = self.bench.open();
        inform.event.0 = vec![EventStruct { event_code: code.into(), command_key: "".into() }];
        self.post(write(NAMESPACE, Some("1"), Owned::Request(Request::Inform(inform))))
    }

    pub fn is_informed(&mut self) {
        self.acs_says(Some(Owned::Response(Response::InformResponse(InformResponse { max_envelopes: 1 }))));
    }

    /// A session in which the ACS asks this. Returns what the ACS gets for it.
    pub fn session(&mut self, rpc: Option<Request<'static>>) -> Option<Bytes> {
        self.informs("2 PERIODIC");
        self.is_informed();
        let mut post = Bytes::new();
        let mut seen = None;
        if let Some(request) = rpc {
            self.post(post);
            self.acs_says(Some(Owned::Request(request.clone())));
            let answer = self.bench.handle(&request).map_or_else(Owned::Fault, Owned::Response);
            post = write(NAMESPACE, Some("1"), answer);
        }
        let out = self.post(post.clone());
        if !post.is_empty() {
            seen = to_acs(&out);
        }
        let mut out = self.acs_says(None);
        self.work_off(&mut out);
        seen
    }

    /// A session in which the ACS asks this, and the CPE does what it is told of it. Returns what the ACS gets.
    pub fn session_as_told(&mut self, rpc: Request<'static>) -> Bytes {
        self.informs("2 PERIODIC");
        self.is_informed();
        self.post(Bytes::new());
        let told = ours(&self.acs_says(Some(Owned::Request(rpc)))).expect("the CPE is asked");
        let answer = self.bench.handle(&told).map_or_else(Owned::Fault, Owned::Response);
        let seen = to_acs(&self.post(write(NAMESPACE, Some("1"), answer))).expect("an answer");
        let mut out = self.acs_says(None);
        self.work_off(&mut out);
        seen
    }

    /// The CPE does what the gateway asks of it, until its session ends.
    pub fn work_off(&mut self, out: &mut Vec<Output>) {
        while let Some(request) = ours(out) {
            let answer = self.bench.handle(&request).map_or_else(Owned::Fault, Owned::Response);
            *out = self.post(write(NAMESPACE, Some("1"), answer));
        }
        self.now += 3_000;
        self.tell(Input::Tick);
        self.bench.close();
    }

    /// The ACS calls, and the CPE takes the call if it is asked.
    fn call(&mut self, claim: Option<Authorization>, trusted: bool) -> (CallAnswer, Vec<Output>) {
        let mut out = self.calling(claim, trusted);
        if answers(&out).is_empty() {
            out.extend(self.tell(Input::Woken(Ok(()))));
        }
        (answers(&out)[0], out)
    }

    fn calling(&mut self, claim: Option<Authorization>, trusted: bool) -> Vec<Output> {
        self.number += 1;
        self.tell(Input::AcsCall(AcsCall { id: self.number, claim, trusted }))
    }

    /// The ACS answers the Inform with a challenge, and the CPE goes away.
    fn is_challenged(&mut self) {
        let session = self.device.session.as_ref().unwrap().id;
        let challenge = "Digest realm=\"acs\", nonce=\"n\", qop=\"auth\"";
        let headers = vec![("WWW-Authenticate".to_owned(), challenge.to_owned())].into();
        let reply = Ok(AcsReply { status: 401, headers, body: Bytes::new(), decoded_body: None });
        self.tell(Input::Acs { session, reply });
        self.tell(Input::CpeGone { session, roams: false });
        self.bench.close();
    }

    fn acs_sets_credentials(&mut self) {
        let set = |name: &'static str, value: &'static str| {
            ParameterValueStruct::new(name, value, ValueType::String)
        };
        let parameter_list = Array(vec![
            set("Device.ManagementServer.ConnectionRequestUsername", "acs"),
            set("Device.ManagementServer.ConnectionRequestPassword", "secret"),
        ]);
        let parameter_key = "k".into();
        self.session(Some(Request::SetParameterValues(SetParameterValues { parameter_list, parameter_key })));
    }
}

/// What the ACS is answered.
fn answers(out: &[Output]) -> Vec<CallAnswer> {
    let answer =
        |it: &Output| if let Output::AcsCallAnswer { answer, .. } = it { Some(*answer) } else { None };
    out.iter().filter_map(answer).collect()
}

pub(super) fn to_acs(out: &[Output]) -> Option<Bytes> {
    out.iter().find_map(|it| if let Output::ToAcs { body, .. } = it { Some(body.clone()) } else { None })
}

pub(super) fn ours(out: &[Output]) -> Option<Request<'static>> {
    let reply =
        out.iter().find_map(|it| if let Output::Reply { reply, .. } = it { Some(reply) } else { None })?;
    match read(&reply.body, None).ok()?.message {
        Owned::Request(request) => Some(request),
        _ => None,
    }
}

fn woken(out: &[Output]) -> Option<Option<(String, String)>> {
    out.iter().find_map(|it| match it {
        Output::Wake { url, credentials } => {
            assert!(!url.starts_with(BASE), "the gateway calls the CPE itself");
            Some(credentials.clone())
        }
        _ => None,
    })
}

fn claim(user: &str, password: &str) -> Authorization {
    let challenge = Challenge {
        realm: "cpe".into(),
        nonce: "n".into(),
        opaque: None,
        algorithm: Algorithm::Md5,
        qop_auth: true,
        stale: false,
    };
    let answer = challenge.answer(Credentials { user, password, cnonce: "c", count: 1 }, "GET", "/cr/x");
    Authorization::parse(&answer).unwrap()
}

#[test]
fn tr069_3_2_2_informs_and_reads_tell_the_acs_the_gateways_address_and_nothing_else_changes() {
    let mut line = Line::new();
    let address = format!("{BASE}{}", line.bench.id().endpoint_id());
    let own = line.bench.value(URL).unwrap().to_owned();
    let seen = line.informs("2 PERIODIC");
    let seen = String::from_utf8(seen.to_vec()).unwrap();
    assert!(seen.contains(&address) && !seen.contains(&own));
    line.is_informed();
    line.post(Bytes::new());
    let names = Array(vec!["Device.ManagementServer.".into()]);
    let get = Request::GetParameterValues(GetParameterValues { parameter_names: names });
    line.acs_says(Some(Owned::Request(get.clone())));
    let answer = write(NAMESPACE, Some("1"), Owned::Response(line.bench.handle(&get).unwrap()));
    let seen = to_acs(&line.post(answer.clone())).unwrap();
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(text(&seen), text(&answer).replace(&own, &address));
}

#[test]
fn tr069_3_2_2_whoever_calls_proves_what_the_acs_has_set_and_the_cpe_is_called_with_it() {
    let mut line = Line::new();
    assert_eq!(line.call(None, false).0, CallAnswer::Forbidden, "nothing is known, and anybody may call");
    let (answer, out) = line.call(None, true);
    assert_eq!((answer, woken(&out)), (CallAnswer::Accepted, Some(None)));
    line.tell(Input::Woken(Ok(())));
    line.acs_sets_credentials();
    let (agent, proxy) = configs();
    line.device = Device::restore(&line.bench.id(), agent, proxy, &line.stored).unwrap();
    assert_eq!(
        line.call(None, true).0,
        CallAnswer::Unproven,
        "an address is no proof once there is a better one"
    );
    assert_eq!(line.call(Some(claim("acs", "guess")), true).0, CallAnswer::Wrong);
    assert_eq!(line.call(Some(claim("other", "secret")), true).0, CallAnswer::Wrong);
    let (answer, out) = line.call(Some(claim("acs", "secret")), false);
    let known = Some(("acs".to_owned(), "secret".to_owned()));
    assert_eq!((answer, woken(&out)), (CallAnswer::Accepted, Some(known)));
}

#[test]
fn an_acs_that_calls_while_a_controller_works_gets_its_own_session_next() {
    let mut line = Line::new();
    let from = EndpointId::parse("self::ctl").unwrap();
    let get = message::Get { param_paths: vec![SSID.into()], max_depth: 0 };
    let record = |id: &str| {
        let message = Message::request(id, message::Request::Get(get.clone())).encode();
        Record::plain(&from, &Bench::new(MODEL).id().endpoint_id(), message).encode()
    };
    for id in ["q1", "q2"] {
        line.tell(Input::Record(record(id), Integrity::Trusted, Shown::Untold));
    }
    line.informs("6 CONNECTION REQUEST");
    assert_eq!(line.call(None, true).0, CallAnswer::InSession, "the ACS has one open");
    line.is_informed();
    line.post(Bytes::new());
    let out = line.acs_says(None);
    let request = ours(&out).expect("the controller's RPC");
    assert_eq!(line.call(None, true).0, CallAnswer::Accepted);
    let answer = line.bench.handle(&request).map_or_else(Owned::Fault, Owned::Response);
    let out = line.post(write(NAMESPACE, Some("1"), answer));
    assert!(ours(&out).is_none(), "q2 can wait");
    assert!(out.iter().any(|it| matches!(it, Output::Reply { reply, .. } if reply.status == 204)));
    assert!(woken(&out).is_some(), "the CPE is called at once");
    line.bench.close();
    line.informs("6 CONNECTION REQUEST");
    line.is_informed();
    line.post(Bytes::new());
    assert!(ours(&line.acs_says(None)).is_some(), "q2's turn");
}

#[test]
fn calls_are_limited_where_no_session_comes_and_nobody_waits_for_ever() {
    let mut line = Line::new();
    let accepted =
        |line: &mut Line| (0..100).filter(|_| line.call(None, true).0 == CallAnswer::Accepted).count();
    assert_eq!(accepted(&mut line), 60);
    assert_eq!(line.call(None, true).0, CallAnswer::TooMany);
    assert!(!line.device.is_idle(), "the ACS waits");
    line.now += 61_000;
    line.tell(Input::Tick);
    assert!(line.device.is_idle());
    assert_eq!(accepted(&mut line), 60);
    line.informs("6 CONNECTION REQUEST");
    line.is_informed();
    line.post(Bytes::new());
    let mut out = line.acs_says(None);
    line.work_off(&mut out);
    assert_eq!(line.call(None, true).0, CallAnswer::Accepted, "the CPE comes whenever it is called");
}

#[test]
fn tr069_3_2_2_the_acs_is_answered_what_the_cpe_answers() {
    let unreachable = vec![CallAnswer::Unreachable];
    let accepted = vec![CallAnswer::Accepted];
    let mut line = Line::new();
    let out = line.calling(None, true);
    assert_eq!((answers(&out), woken(&out)), (vec![], Some(None)), "the CPE is asked first");
    assert_eq!(answers(&line.tell(Input::Woken(Err("busy (503)".into())))), unreachable);
    // The next tries go on, and another call is not put off to one of them.
    assert!(woken(&line.calling(None, true)).is_some());
    assert!(woken(&line.calling(None, true)).is_none(), "one is under way");
    assert_eq!(answers(&line.tell(Input::Woken(Ok(())))), [CallAnswer::Accepted; 2]);
    let out = line.calling(None, true);
    assert_eq!((answers(&out), woken(&out)), (accepted.clone(), None), "its session is on the way");
    // A CPE that says nothing, and one that comes without a word.
    let mut line = Line::new();
    line.calling(None, true);
    let due = line.device.next_deadline().unwrap();
    assert!(due <= line.now + 1_500, "the ACS waits no longer than two seconds");
    line.now = due;
    assert_eq!(answers(&line.tell(Input::Tick)), unreachable);
    line.calling(None, true);
    let out = line.says_inform("6 CONNECTION REQUEST");
    assert_eq!(answers(&out), accepted);
    assert!(to_acs(&out).is_some(), "its session is the ACS's");
    assert!(answers(&line.tell(Input::Woken(Ok(())))).is_empty(), "one answer for each call");
    // A gateway that stops calls nobody.
    let mut line = Line::new();
    line.calling(None, true);
    assert_eq!(answers(&line.tell(Input::Shutdown)), unreachable);
    assert_eq!(answers(&line.calling(None, true)), unreachable);
}

#[test]
fn a_cpe_that_was_only_challenged_is_in_no_session() {
    let mut line = Line::new();
    line.informs("2 PERIODIC");
    line.is_challenged();
    assert_eq!(answers(&line.calling(None, true)), [CallAnswer::InSession], "its answer may be on the way");
    line.now += 1_000;
    assert_eq!(line.call(None, true).0, CallAnswer::Accepted);
    // Nobody calls: USP's work does not wait for a minute.
    let mut line = Line::new();
    line.informs("2 PERIODIC");
    line.is_challenged();
    line.now += 4_000;
    line.tell(Input::Tick);
    assert!(line.device.is_in_session());
    line.now += 1_000;
    line.tell(Input::Tick);
    assert!(!line.device.is_in_session());
    // One that comes back in time has its session, for as long as others.
    line.informs("2 PERIODIC");
    line.is_challenged();
    line.informs("2 PERIODIC");
    line.is_informed();
    line.now += 10_000;
    line.tell(Input::Tick);
    assert!(line.device.is_in_session());
    assert_eq!(answers(&line.calling(None, true)), [CallAnswer::InSession]);
}

/// A controller asks, and the gateway calls the CPE.
fn wanted(line: &mut Line, id: &str) {
    let from = EndpointId::parse("self::ctl").unwrap();
    let get = message::Get { param_paths: vec![SSID.into()], max_depth: 0 };
    let message = Message::request(id, message::Request::Get(get)).encode();
    let record = Record::plain(&from, &line.bench.id().endpoint_id(), message).encode();
    let out = line.tell(Input::Record(record, Integrity::Trusted, Shown::Untold));
    assert!(woken(&out).is_some(), "the CPE is called");
}

#[test]
fn a_device_is_not_called_so_that_it_can_be_discovered_unless_the_operator_wants_that() {
    let booted = |discovery_calls: bool| {
        let controllers = super::configs().0.controllers.clone();
        let agent = AgentConfig { controllers, discovery_calls, ..AgentConfig::default() };
        let mut line = Line::unseen(Arc::new(agent), configs().1, Bench::new(MODEL));
        line.informs("1 BOOT");
        line.is_informed();
        line.post(Bytes::new());
        let out = line.acs_says(None);
        assert!(ours(&out).is_none(), "the CPE is not asked while it boots");
        line.bench.close();
        line.now += 20_000;
        let called = woken(&line.tell(Input::Tick)).is_some();
        (line, called)
    };
    assert!(booted(true).1);
    let (mut line, called) = booted(false);
    assert!(!called, "the ACS sees a session that nobody has asked for");
    line.informs("2 PERIODIC");
    line.is_informed();
    line.post(Bytes::new());
    let names = ours(&line.acs_says(None)).is_some_and(|it| it.name() == "GetParameterNames");
    assert!(names, "the next session is used");
    // What a controller asks for is reason enough.
    wanted(&mut booted(false).0, "q1");
}

#[test]
fn a_session_that_usp_alone_has_called_for_does_not_trouble_the_acs() {
    let mut line = Line::new();
    line.authenticated = true;
    wanted(&mut line, "q1");
    let out = line.says_inform("6 CONNECTION REQUEST");
    assert!(to_acs(&out).is_none(), "the ACS is not told");
    assert!(ours(&line.post(Bytes::new())).is_some(), "the controller's RPC");
}

#[test]
fn what_the_acs_is_entitled_to_reaches_it_whoever_has_called() {
    let stranger = |line: &mut Line| line.authenticated = false;
    let changed = |line: &mut Line| line.bench.change("Device.DeviceInfo.ProvisioningCode", "new");
    let called = |line: &mut Line| assert_eq!(line.call(None, true).0, CallAnswer::Accepted);
    let nothing = |_: &mut Line| {};
    type Happens<'h> = &'h dyn Fn(&mut Line);
    let reasons: [(&str, Happens<'_>, &'static str); 4] = [
        ("the CPE was not authenticated here", &stranger, "6 CONNECTION REQUEST"),
        ("a value is not as the ACS saw it", &changed, "6 CONNECTION REQUEST"),
        ("the ACS has called as well", &called, "6 CONNECTION REQUEST"),
        ("the event is another", &nothing, "2 PERIODIC"),
    ];
    for (why, happens, code) in reasons {
        let mut line = Line::new();
        line.authenticated = true;
        wanted(&mut line, "q1");
        happens(&mut line);
        assert!(to_acs(&line.says_inform(code)).is_some(), "{why}");
    }
    let mut line = Line::new();
    line.authenticated = true;
    assert!(to_acs(&line.says_inform("6 CONNECTION REQUEST")).is_some(), "nobody here has called");
}

#[test]
fn rfc7616_a_body_that_may_have_to_change_is_not_offered_a_digest_over_it() {
    let mut line = Line::new();
    line.informs("2 PERIODIC");
    let session = line.device.session.as_ref().unwrap().id;
    let challenge = "Digest realm=\"acs\", nonce=\"n\", qop=\"auth-int,auth\"";
    let headers = vec![("WWW-Authenticate".to_owned(), challenge.to_owned())].into();
    let reply = Ok(AcsReply { status: 401, headers, body: Bytes::new(), decoded_body: None });
    let out = line.tell(Input::Acs { session, reply });
    let reply =
        out.iter().find_map(|it| if let Output::Reply { reply, .. } = it { Some(reply) } else { None });
    let offered = reply.expect("the challenge passes").headers.get("www-authenticate");
    assert_eq!(offered.unwrap(), "Digest realm=\"acs\", nonce=\"n\", qop=\"auth\"");
}

#[test]
fn a_cpe_that_was_busy_at_the_first_try_is_still_ours_since_nobody_else_calls_it() {
    let mut line = Line::new();
    line.authenticated = true;
    wanted(&mut line, "q1");
    line.tell(Input::Woken(Err("busy (503)".into())));
    assert!(to_acs(&line.says_inform("6 CONNECTION REQUEST")).is_none());
}
