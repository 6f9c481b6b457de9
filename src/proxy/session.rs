//! One CWMP session as the arbiter sees it. `LIFECYCLE.md` beside this file draws the phases.

use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;

use crate::agent::{Env, RpcId};
use crate::cwmp::rpc::{Inform, Request};
use crate::cwmp::soap::{Envelope, Message};
use crate::durable::Token;
use crate::relay::Leg;
use crate::transport::client::Client;
use crate::transport::http::Headers;

use super::io::{AcsId, Bodies, ExchangeId, Post, Reply, SessionId};
use super::outcome::Outcome;
use super::wake::Call;

/// A session from its first POST to its last answer.
#[derive(Debug)]
pub(super) struct Session {
    pub id: SessionId,
    /// The ACS that it is for.
    pub acs: AcsId,
    /// Who opened it.
    pub client: Arc<Client>,
    pub opened_at: u64,
    /// When the CPE or the ACS last said something.
    pub last_at: u64,
    /// The POST that awaits its answer; none while the CPE has the word.
    pub waiting: Option<ExchangeId>,
    /// The namespace of the CPE's Inform: all we say to it is said in that (quirk V01).
    pub namespace: String,
    /// Whether the door has authenticated the CPE.
    pub authenticated: bool,
    /// Whether the CPE comes because of a connection request of ours.
    pub call: Call,
    pub phase: Phase,
    /// The RPCs that passed, for the operator's line.
    pub rpcs: Vec<String>,
    /// How many more there were.
    unnoted: usize,
    pub bodies: Bodies,
    /// What is in the SOAP IDs of our RPCs in this session and hardly in those of another.
    mark: u64,
    next_id: u32,
}

/// Whose turn it is.
#[derive(Debug)]
pub(super) enum Phase {
    /// The ACS speaks with the CPE.
    Relayed(Box<Relayed>),
    /// We speak with the CPE.
    Ours(Ours),
}

#[derive(Debug, Default)]
pub(super) struct Relayed {
    pub leg: Leg,
    /// The Inform until the ACS has acknowledged it: before that its sender is not authenticated and
    /// nothing of it takes effect.
    pub inform: Option<HeldInform>,
    /// The ACS's RPC that the CPE is carrying out, kept if its outcome changes what we know.
    pub acs_request: Option<Request<'static>>,
    /// The CPE has not been told all of it.
    pub kept: bool,
    /// Its SOAP ID, where that could be one of ours: the ACS may be another gateway like this.
    pub like_ours: Option<String>,
    /// Why the session is still open though nothing needs to come any more.
    pub lingers: Option<Lingers>,
    /// The ACS has failed, and whether we may answer for it hangs on a connection request under way.
    pub undecided: bool,
    /// An answer that waits for a commit.
    pub held: Option<Held>,
}

/// An answer to the CPE that waits until it is on disk what lets the CPE forget something.
#[derive(Debug)]
pub(super) struct Held {
    pub reply: Reply,
    /// The commit that it waits for, and until when at most.
    pub after: Token,
    pub until: u64,
}

/// What has passed to the CPE as the last word, perhaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lingers {
    /// The ACS's empty answer, and the CPE, which was held up, may still have requests for it.
    HeldUp,
    /// This HTTP error of the ACS's: by it the session has failed, though few CPEs go on.
    Failed(u16),
    /// That an answer came which the ACS has not asked for: few CPEs go on.
    Late,
}

impl Lingers {
    /// How the session has ended if nothing comes any more.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::HeldUp => Outcome::Complete,
            Self::Failed(status) => Outcome::AcsError(status),
            Self::Late => Outcome::BadMessage,
        }
    }
}

/// An Inform whose effect waits.
#[derive(Debug)]
pub(super) struct HeldInform {
    pub inform: Inform<'static>,
    /// The id of its envelope.
    pub id: Option<String>,
    /// How many events are in it for the ACS.
    pub events: usize,
    /// What the ACS is told of in it that it was owed.
    pub told: Vec<CompactString>,
}

impl HeldInform {
    pub fn of(request: &Request<'_>, id: Option<&str>) -> Option<Self> {
        match request.clone().into_owned() {
            Request::Inform(inform) => {
                let (id, events) = (id.map(str::to_owned), inform.event.len());
                Some(Self { inform, id, events, told: Vec::new() })
            }
            _ => None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Ours {
    /// The answer that ends the session: the ACS's own empty one, or ours.
    pub last: Reply,
    /// The ACS's leg where it is not over: the CPE was held up and may still have requests for the ACS.
    pub resume: Option<Box<Relayed>>,
    pub informed_by: InformedBy,
    pub outstanding: Option<Asked>,
    /// Whether USP work was done, so that more is likely to follow soon.
    pub used: bool,
    /// Set by an RPC that takes effect when the session ends: the session ends at once after it.
    pub closing: bool,
    /// Until when the CPE's POST is held open for more USP work.
    pub parked_until: Option<u64>,
}

/// An RPC of ours that awaits its answer.
#[derive(Debug)]
pub(super) struct Asked {
    pub rpc: RpcId,
    pub soap_id: String,
}

/// Who gave the InformResponse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InformedBy {
    Acs,
    /// The gateway, which is the ACS where none is configured: it answers the CPE's own requests too.
    Gateway,
    /// The gateway in a session that concerns USP alone: what the CPE asks of its own is still the ACS's.
    GatewayAlone,
}

impl Session {
    pub fn open(post: &Post, env: &Env, relayed: bool, call: Call) -> Self {
        let phase = if relayed {
            Phase::Relayed(Box::default())
        } else {
            Phase::Ours(Ours::new(empty(), InformedBy::Gateway))
        };
        Self {
            id: post.session,
            acs: post.acs,
            client: Arc::clone(&post.client),
            opened_at: env.now,
            last_at: env.now,
            waiting: None,
            namespace: String::new(),
            authenticated: post.authenticated,
            call,
            phase,
            rpcs: Vec::new(),
            unnoted: 0,
            bodies: Bodies::default(),
            mark: env.seed & MARK_BITS,
            next_id: 0,
        }
    }

    /// Notes an RPC for the operator's line; a session of thousands stays one line.
    pub fn note(&mut self, name: &str) {
        if self.rpcs.len() < MAX_NOTED {
            self.rpcs.push(name.to_owned());
        } else {
            self.unnoted += 1;
        }
    }

    /// What was noted, for the line.
    pub fn take_noted(&mut self) -> Vec<String> {
        let more = (self.unnoted > 0).then(|| format!("… and {} more", self.unnoted));
        std::mem::take(&mut self.rpcs).into_iter().chain(more).collect()
    }

    /// The SOAP ID of our next RPC: no other has it, in this session, in an earlier one, or from before a restart.
    pub fn next_soap_id(&mut self) -> String {
        self.next_id += 1;
        format!("{OWN_ID}{}-{:08x}", self.next_id, self.mark)
    }

    /// The ACS's RPC that the CPE answers, if that is watched, and whether what it says now it has said before.
    pub fn take_asked(&mut self) -> (Option<Request<'static>>, bool) {
        match &mut self.phase {
            Phase::Relayed(relayed) => (relayed.acs_request.take(), relayed.leg.wants_again()),
            Phase::Ours(_) => (None, false),
        }
    }

    /// Why it is still open, if nothing needs to come any more.
    pub fn lingers(&self) -> Option<Lingers> {
        match &self.phase {
            Phase::Relayed(relayed) => relayed.lingers,
            Phase::Ours(_) => None,
        }
    }

    /// Whether all that has come of it is the ACS's challenge, or that the CPE is to repeat its Inform.
    pub fn is_only_challenged(&self) -> bool {
        self.waiting.is_none() && matches!(&self.phase, Phase::Relayed(relayed) if relayed.leg.wants_inform())
    }

    pub fn is_relayed(&self) -> bool {
        match &self.phase {
            Phase::Relayed(_) => true,
            Phase::Ours(ours) => ours.informed_by == InformedBy::Acs,
        }
    }
}

impl Ours {
    pub fn new(last: Reply, informed_by: InformedBy) -> Self {
        Self {
            last,
            resume: None,
            informed_by,
            outstanding: None,
            used: false,
            closing: false,
            parked_until: None,
        }
    }
}

/// The empty answer that ends a session.
pub(super) fn empty() -> Reply {
    Reply { status: 204, headers: Headers::default(), body: Bytes::new(), close: false }
}

/// An HTTP error that makes the CPE end its session and retry later.
pub(super) fn refuse(status: u16) -> Reply {
    Reply { status, headers: Headers::default(), body: Bytes::new(), close: true }
}

/// Whether this answers an RPC of ours, but not the one with the ID `open`. A CPE may have cut that off at its end.
pub(super) fn is_late(envelope: &Envelope<'_>, open: Option<&str>) -> bool {
    let Some(id) = envelope.header.id.as_deref().filter(|id| is_like_ours(id)) else { return false };
    matches!(&envelope.message, Message::Response(_) | Message::Fault(_))
        && !open.is_some_and(|open| open.starts_with(id))
}

/// Whether an RPC with this SOAP ID may be one of ours.
pub(super) fn is_like_ours(id: &str) -> bool {
    id.starts_with(OWN_ID)
}

/// So long that hardly two of a CPE's sessions share a mark, and so short that any CPE has room for it.
const MARK_BITS: u64 = 0xffff_ffff;
/// What the SOAP IDs of our RPCs begin with.
const OWN_ID: &str = "dragoman-";
/// RPC names kept for the line that is logged when a session ends.
const MAX_NOTED: usize = 32;
