//! Stories of two peers over a faulty link, on a clock that the test holds.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::identity::EndpointId;
use crate::usp::record::{
    Integrity, KEYING_MATERIAL, MacKeys, Payload, PayloadSecurity, Record, SarState, SessionContextRecord,
};

use super::{Env, Input, Output, Policy, Role, Secure, Secured, Session, Status};

mod hostile;
mod rules;
mod storm;

fn agent() -> EndpointId {
    EndpointId::parse("os::agent").unwrap()
}

fn controller() -> EndpointId {
    EndpointId::parse("self::controller").unwrap()
}

/// One endpoint and what it has seen.
struct Peer {
    session: Session,
    policy: Policy,
    sent: u64,
    /// Messages that arrived.
    got: Vec<Bytes>,
    /// Messages that were told lost.
    lost: Vec<u64>,
    ended: Vec<&'static str>,
    tls: FakeTls,
}

/// Stands for TLS: a hello in each direction, then payloads with every bit turned over.
#[derive(Default)]
struct FakeTls {
    client: bool,
    /// The next handshake fails with an alert.
    fails: bool,
}

/// What the link does to records, each in one of so many.
#[derive(Clone, Copy, Default)]
struct Faults {
    lost: u64,
    doubled: u64,
    /// The longest way, in milliseconds.
    delay: u64,
}

/// The link and its clock.
struct World {
    peers: [Peer; 2],
    faults: Faults,
    random: u64,
    now: u64,
    /// Records under way: when, in which order, to whom.
    flying: BTreeMap<(u64, u64), (usize, Bytes)>,
    order: u64,
    /// All that was sent, and by whom.
    log: Vec<(usize, SessionContextRecord)>,
}

const AGENT: usize = 0;
const CONTROLLER: usize = 1;

impl World {
    fn new(policy: Policy) -> Self {
        let peer = |own, peer, role| Peer {
            session: Session::new(own, peer, role),
            policy: policy.clone(),
            sent: 0,
            got: Vec::new(),
            lost: Vec::new(),
            ended: Vec::new(),
            tls: FakeTls::default(),
        };
        Self {
            peers: [peer(agent(), controller(), Role::Agent), peer(controller(), agent(), Role::Controller)],
            faults: Faults { delay: 10, ..Faults::default() },
            random: 1,
            now: 1_000,
            flying: BTreeMap::new(),
            order: 0,
            log: Vec::new(),
        }
    }

    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn one_in(&mut self, many: u64) -> bool {
        many > 0 && self.random().is_multiple_of(many)
    }

    /// Sends the next message of this peer.
    fn send(&mut self, from: usize) {
        let number = self.peers[from].sent;
        self.send_sized(from, usize::try_from(number % 7).unwrap() + 1);
    }

    fn send_sized(&mut self, from: usize, copies: usize) {
        let number = self.peers[from].sent;
        self.peers[from].sent += 1;
        self.handle(from, Input::Send(message(number, copies)));
    }

    fn handle(&mut self, at: usize, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let seed = self.random();
            let mut out = Vec::new();
            let peer = &mut self.peers[at];
            let env = Env { now: self.now, seed, policy: &peer.policy };
            peer.session.handle(&env, input, &mut out);
            for output in out {
                match output {
                    Output::Send(record) => self.fly(at, record),
                    Output::Message(message) => self.peers[at].got.push(message),
                    Output::Ended { why, lost } => {
                        self.peers[at].ended.push(why);
                        self.peers[at].lost.extend(lost);
                    }
                    Output::Secure { session_id, request } => {
                        let answer = self.peers[at].tls.answer(request);
                        inputs.extend(answer.map(|secured| Input::Secured { session_id, secured }));
                    }
                }
            }
        }
    }

    fn fly(&mut self, from: usize, record: Record) {
        let Payload::Session(fields) = &record.payload else { panic!("{record:?}") };
        self.log.push((from, fields.clone()));
        if self.one_in(self.faults.lost) {
            return;
        }
        let copies = 1 + usize::from(self.one_in(self.faults.doubled));
        let bytes = record.encode();
        for _ in 0..copies {
            let at = self.now + 1 + self.random() % self.faults.delay.max(1);
            self.order += 1;
            self.flying.insert((at, self.order), (1 - from, bytes.clone()));
        }
    }

    /// Lets the world run for so long.
    fn pass(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds;
        for _ in 0..1_000_000 {
            let deadline = |peer: &Peer| {
                let env = Env { now: self.now, seed: 0, policy: &peer.policy };
                peer.session.next_deadline(&env).map(|at| at.max(self.now))
            };
            let deadlines = [deadline(&self.peers[0]), deadline(&self.peers[1])];
            let ticks = deadlines.into_iter().flatten().min();
            let arrival = self.flying.first_key_value().map(|((at, _), _)| *at);
            let Some(next) = [ticks, arrival].into_iter().flatten().min().filter(|at| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = next;
            if arrival == Some(next) {
                let (_, (to, bytes)) = self.flying.pop_first().unwrap();
                let record = Record::decode(bytes).unwrap();
                let integrity =
                    if record.mac_signature.is_empty() { Integrity::Trusted } else { Integrity::Unproven };
                self.handle(to, Input::Received { record, integrity });
            } else {
                for at in [AGENT, CONTROLLER] {
                    if deadlines[at].is_some_and(|deadline| deadline <= next) {
                        self.handle(at, Input::Tick);
                    }
                }
            }
        }
        panic!("the world does not come to rest");
    }

    /// A record of the controller's as a test writes it by hand.
    fn record(&mut self, fields: SessionContextRecord) {
        self.record_with(fields, PayloadSecurity::Plaintext, Integrity::Trusted);
    }

    fn record_with(&mut self, fields: SessionContextRecord, security: PayloadSecurity, integrity: Integrity) {
        let mut record = Record::of(&controller(), &agent(), Payload::Session(fields));
        record.payload_security = security;
        self.handle(AGENT, Input::Received { record, integrity });
    }

    /// What the agent has sent since this was last asked.
    fn said(&mut self) -> Vec<SessionContextRecord> {
        self.flying.clear();
        std::mem::take(&mut self.log).into_iter().filter(|(from, _)| *from == AGENT).map(|it| it.1).collect()
    }

    fn status(&self, of: usize) -> Status {
        self.peers[of].session.status()
    }
}

impl FakeTls {
    fn answer(&mut self, request: Secure) -> Option<Secured> {
        let keys = || Some(MacKeys::new(&[7; KEYING_MATERIAL]));
        let hello = Bytes::from_static(b"hello");
        let mut secured = Secured::default();
        match request {
            Secure::Start { client } => {
                self.client = client;
                secured.send.extend(client.then_some(hello));
            }
            Secure::Take(_) if self.fails => {
                secured.failed = Some("the handshake failed");
                secured.send.push(Bytes::from_static(b"alert"));
            }
            Secure::Take(bytes) if bytes == "alert" => secured.failed = Some("the peer sent an alert"),
            Secure::Take(bytes) if bytes == "hello" => {
                secured.send.extend((!self.client).then_some(hello));
                secured.up = keys();
            }
            Secure::Take(bytes) => secured.plain = bytes.iter().map(|byte| !byte).collect(),
            Secure::Protect(bytes) => {
                let turned: Bytes = bytes.iter().map(|byte| !byte).collect();
                secured.send.extend(turned.chunks(100).map(Bytes::copy_from_slice));
            }
            Secure::End => return None,
        }
        Some(secured)
    }
}

fn message(number: u64, copies: usize) -> Bytes {
    format!("message {number} ").repeat(copies).into()
}

fn fields(session_id: u64, sequence_id: u64, text: &str) -> SessionContextRecord {
    let payload = if text.is_empty() { Vec::new() } else { vec![Bytes::copy_from_slice(text.as_bytes())] };
    SessionContextRecord { session_id, sequence_id, expected_id: 1, payload, ..Default::default() }
}
