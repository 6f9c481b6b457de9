//! The CPE of a world: the simulated one, step by step, and what it knows that others must not be told otherwise.

use std::collections::BTreeSet;

use super::*;
use crate::cwmp::rpc::{EventStruct, Fault, Inform};

/// What the CPE is at.
#[derive(Debug, PartialEq)]
enum Turn {
    Idle,
    /// It has posted and awaits this answer.
    Waits(ExchangeId),
    /// It has this answer to work on.
    Has(Reply),
}

pub(super) struct Cpe {
    pub bench: Bench,
    turn: Turn,
    pub session: u64,
    exchange: u64,
    /// What it says in this session's Inform, and whether that was acknowledged.
    pub inform: Inform<'static>,
    acknowledged: bool,
    /// Whether the ACS had called when it said it.
    called: bool,
    /// It has asked the ACS something of its own in this session.
    asked: bool,
    /// Every value that a parameter ever had.
    pub had: BTreeSet<String>,
    /// How often it has carried out the writing of each value.
    pub written: BTreeMap<String, u32>,
    /// The instances that it was told to add by the gateway, and which of them are there.
    pub added: BTreeSet<String>,
    /// Deletions of the gateway's that it has refused.
    pub refused_deletes: usize,
    /// The parameters that have changed by what its Inform says.
    pub changed: Vec<String>,
    pub last_post: Bytes,
    /// A reboot that somebody has asked for has begun in this session.
    reboots: bool,
}

impl Cpe {
    pub fn new() -> Self {
        let bench = Bench::new(MODEL);
        let had = PARAMETERS.into_iter().map(|name| bench.value(name).unwrap().to_owned()).collect();
        Self {
            bench,
            turn: Turn::Idle,
            session: 0,
            exchange: 0,
            inform: Inform::default(),
            acknowledged: false,
            called: false,
            asked: false,
            had,
            written: BTreeMap::new(),
            added: BTreeSet::new(),
            refused_deletes: 0,
            changed: Vec::new(),
            last_post: Bytes::new(),
            reboots: false,
        }
    }

    pub fn is_idle(&self) -> bool {
        self.turn == Turn::Idle
    }

    pub fn posts(&self) -> u64 {
        self.exchange
    }

    pub fn state(&self) -> &'static str {
        match self.turn {
            Turn::Idle => "CPE: idle",
            Turn::Waits(_) if self.acknowledged => "CPE: waits",
            Turn::Waits(_) => "CPE: waits for InformResponse",
            Turn::Has(_) => "CPE: has an answer",
        }
    }

    pub fn value(&self, name: &str) -> &str {
        self.bench.value(name).unwrap()
    }

    pub fn gets(&mut self, exchange: ExchangeId, reply: Reply) {
        if self.turn == Turn::Waits(exchange) {
            self.turn = Turn::Has(reply);
        } else {
            // Only a POST that the CPE has given up may be answered late.
            assert!(exchange.0 < self.exchange || self.is_idle(), "answered twice");
        }
    }

    /// Its connection is gone, and with it the session.
    pub fn breaks_off(&mut self) {
        if !self.is_idle() {
            self.turn = Turn::Idle;
            self.bench.fail();
        }
    }

    /// Carries an RPC out, or refuses it.
    fn carry_out(&mut self, request: &Request<'static>, ours: bool, refuses: bool) -> Owned {
        if refuses {
            self.refused_deletes += usize::from(matches!(request, Request::DeleteObject(_)));
            return Owned::Fault(Fault::of(9002));
        }
        let response = match self.bench.handle(request) {
            Ok(response) => response,
            Err(fault) => return Owned::Fault(fault),
        };
        match (request, &response) {
            (Request::SetParameterValues(set), _) => {
                for one in set.parameter_list.iter() {
                    *self.written.entry(one.value.to_string()).or_default() += 1;
                    self.had.insert(one.value.to_string());
                }
            }
            (Request::AddObject(add), Response::AddObjectResponse(added)) if ours => {
                self.added.insert(format!("{}{}.", add.object_name, added.instance_number));
            }
            (Request::DeleteObject(delete), _) => _ = self.added.remove(&*delete.object_name),
            _ => {}
        }
        Owned::Response(response)
    }
}

impl World {
    /// The CPE says or hears the next thing.
    pub(super) fn cpe_steps(&mut self) {
        match std::mem::replace(&mut self.cpe.turn, Turn::Idle) {
            Turn::Idle => self.cpe_informs(),
            Turn::Waits(exchange) => self.cpe.turn = Turn::Waits(exchange),
            Turn::Has(reply) => self.cpe_hears(&reply),
        }
    }

    fn cpe_informs(&mut self) {
        if !self.cpe.bench.wants_session() {
            self.cpe.bench.raise("2 PERIODIC");
        }
        self.cpe.session += 1;
        (self.cpe.acknowledged, self.cpe.asked, self.cpe.reboots) = (false, false, false);
        self.acs.session_opens();
        self.cpe.called = self.acs.calls;
        self.cpe.inform = self.cpe.bench.open_unanswered();
        if self.cpe.inform.event.is_empty() {
            // It repeats a session whose events were acknowledged.
            let event = EventStruct { event_code: "2 PERIODIC".into(), command_key: "".into() };
            self.cpe.inform.event.0.push(event);
        }
        self.cpe.changed = self.cpe.bench.told_changes();
        let inform = Request::Inform(self.cpe.inform.clone());
        self.post(write(NAMESPACE, Some("1"), Owned::Request(inform)));
    }

    fn cpe_hears(&mut self, reply: &Reply) {
        if reply.status == 401 {
            return self.post(self.cpe.last_post.clone());
        }
        if reply.status != 200 || is_empty(&reply.body) {
            return self.session_is_over(reply.status);
        }
        let received = read(&reply.body, None).unwrap();
        match received.message {
            Owned::Response(Response::InformResponse(_)) => {
                self.inform_is_acknowledged();
                self.cpe.acknowledged = true;
                self.cpe.bench.informed();
                self.cpe_goes_on();
            }
            Owned::Response(Response::TransferCompleteResponse(_)) => {
                assert!(self.acs.answered_request, "a TransferCompleteResponse that the ACS did not give");
                self.cpe.bench.request_answered();
                self.cpe.asked = false;
                self.cpe_goes_on();
            }
            Owned::Request(request) => self.cpe_is_asked(&request, received.id.as_deref()),
            other => panic!("a CPE is told {other:?}"),
        }
    }

    /// What it has to ask of its own, or nothing.
    fn cpe_goes_on(&mut self) {
        let request = self.cpe.bench.waiting_request();
        self.cpe.asked = request.is_some();
        let body = request.map_or_else(Bytes::new, |it| write(NAMESPACE, Some("own"), Owned::Request(it)));
        self.post(body);
    }

    fn cpe_is_asked(&mut self, request: &Request<'static>, id: Option<&str>) {
        let ours = id.is_some_and(|id| id.starts_with("dragoman-"));
        let alone = self.acs.is_not_asked();
        assert!(!ours || self.acs.is_done || alone, "{} of ours while it is the ACS's turn", request.name());
        assert!(!ours || !self.cpe.reboots, "{} of ours although the CPE is to reboot", request.name());
        if self.fails(25) {
            // The answer of the gateway never arrives.
            return self.cpe_drops_now();
        }
        let refuses = self.fails(40);
        let answer = self.cpe.carry_out(request, ours, refuses);
        if let (true, Request::SetParameterValues(set), Owned::Response(_)) = (ours, request, &answer) {
            for one in set.parameter_list.iter() {
                self.acs.usp_wrote(&one.name, &one.value);
            }
        }
        self.cpe.reboots |= matches!((request, &answer), (Request::Reboot(_), Owned::Response(_)));
        if self.fails(25) {
            // Its own answer never arrives.
            return self.cpe_drops_now();
        }
        if let (true, Owned::Response(Response::GetParameterValuesResponse(read))) = (ours, &answer) {
            for one in read.parameter_list.iter() {
                self.controller.is_read(&one.name, &one.value);
            }
        }
        self.post(write(NAMESPACE, id, answer));
    }

    fn session_is_over(&mut self, status: u16) {
        assert!(
            status != 204 || self.acs.is_done || self.acs.is_not_asked(),
            "204 that the ACS did not give"
        );
        if self.cpe.acknowledged && status == 204 {
            self.cpe.bench.close();
        } else {
            self.cpe.bench.fail();
        }
    }

    /// No event is acknowledged that was not handed on, but for those that are nobody's but ours.
    fn inform_is_acknowledged(&mut self) {
        let events = self.cpe.inform.event.iter();
        let told: Vec<(String, String)> =
            events.map(|it| (it.event_code.to_string(), it.command_key.to_string())).collect();
        if self.acs.answered_inform {
            for event in &told {
                let cut = event.0 == VALUE_CHANGE && self.acs.cares_for_no_change_of(&self.cpe);
                assert!(
                    self.acs.events.contains(event) || cut || event.0 == DIAGNOSED,
                    "{event:?} is acknowledged although the ACS was not told; it was told {:?}",
                    self.acs.events
                );
            }
            return;
        }
        let down = self.terms.answer_when_down && self.acs.failed;
        let alone = self.terms.calls_come_here && self.acs.is_not_asked();
        assert!(self.terms.authenticated && (down || alone), "an InformResponse that the ACS did not give");
        for (code, _) in &told {
            let called = code == CONNECTION_REQUEST && !self.cpe.called;
            let unwatched = code == VALUE_CHANGE && self.acs.cares_for_no_change_of(&self.cpe);
            assert!(
                called || unwatched || code == DIAGNOSED,
                "{code} is the ACS's, and the gateway has acknowledged it"
            );
        }
    }

    pub(super) fn post(&mut self, body: Bytes) {
        self.cpe.exchange += 1;
        let exchange = ExchangeId(self.cpe.exchange);
        self.cpe.turn = Turn::Waits(exchange);
        self.cpe.last_post = body.clone();
        let post = Post {
            session: SessionId(self.cpe.session),
            exchange,
            client: Arc::default(),
            authenticated: self.terms.authenticated,
            target: "/".to_owned(),
            headers: Default::default(),
            body,
            original_body: None,
            acs: AcsId(0),
        };
        self.tell(Input::Post(post));
    }

    /// The connection breaks: while the CPE waits, or with an answer on it that the CPE never sees.
    pub(super) fn cpe_drops(&mut self) {
        if !self.cpe.is_idle() {
            self.cpe_drops_now();
        }
    }

    fn cpe_drops_now(&mut self) {
        self.cpe.turn = Turn::Idle;
        self.cpe.bench.fail();
        let gone = Input::CpeGone { session: SessionId(self.cpe.session), roams: false };
        if self.chance(4) > 0 {
            self.tell(gone);
        }
        // The gateway does not notice; the CPE's next session will tell.
    }

    /// Somebody at the device changes something.
    pub(super) fn cpe_changes(&mut self) {
        let name = self.some_parameter();
        let value = format!("cpe {}", self.random % 100_000);
        if self.cpe.bench.value(name) == Some(&value) {
            return;
        }
        self.cpe.had.insert(value.clone());
        self.cpe.bench.change(name, &value);
        self.acs.value_changed(name, &value);
    }
}
