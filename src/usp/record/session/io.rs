//! The contract of a session.

use bytes::Bytes;

use crate::usp::record::{Integrity, MacKeys, PayloadSecurity, Record};
use crate::usp::{Retry, Shown};

/// What a session needs to know of the world for one step.
#[derive(Debug, Clone, Copy)]
pub struct Env<'e> {
    /// Monotonic milliseconds.
    pub now: u64,
    /// Fresh randomness.
    pub seed: u64,
    pub policy: &'e Policy,
}

/// How sessions with the peer are to be: `Device.LocalAgent.Controller.{i}.E2ESession.`. It may change from one
/// step to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub mode: SessionMode,
    /// What a context of our own is secured by, and the least that we take from the peer.
    pub security: PayloadSecurity,
    /// A context without traffic ends after so long; 0 for the longest that there is.
    pub expiration_ms: u64,
    /// Largest record that we send, in bytes; 0 for no limit but the general one.
    pub max_record: usize,
    /// How often one record is sent again for the peer; `None` for as often as it asks.
    pub max_retransmit_tries: Option<u32>,
    /// The waits between failed contexts.
    pub retry: Retry,
    /// What a shell adds to records of ours for a signature and certificates, in bytes.
    pub signature_room: usize,
}

/// Whether session contexts are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionMode {
    Require,
    #[default]
    Allow,
    Forbid,
}

/// Which end this is. Where both begin a context at once the agent goes over to the controller's, as R-E2E.6
/// bids it; the controller keeps to its own, or they would change sides for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Agent,
    Controller,
}

/// How a session stands (`E2ESession.Status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Up,
    Negotiating,
    Down,
}

/// Something happened.
#[derive(Debug)]
pub enum Input {
    /// A record of a session context came from the peer.
    Received {
        record: Record,
        integrity: Integrity,
    },
    /// A message is to be sent. Messages are numbered from 0 in the order in which they come here.
    Send(Bytes),
    /// The answer to [`Output::Secure`]; there is one for each, in their order.
    Secured {
        session_id: u64,
        secured: Secured,
    },
    /// Begin a new context (`E2ESession.Reset()`).
    Restart,
    /// A Disconnect record came: what there was of a context is gone (R-MTP.7).
    Disconnected,
    Tick,
}

/// What the world must do.
#[derive(Debug)]
pub enum Output {
    /// Send this record. One without a MAC is to be signed where the transport does not protect it.
    Send(Record),
    /// A message has arrived.
    Message(Bytes),
    /// A shell with TLS must do something in the name of this context.
    Secure { session_id: u64, request: Secure },
    /// A context has ended otherwise than by time, or messages were given up. `lost` numbers the messages of
    /// which it is not known whether they arrived.
    Ended { why: &'static str, lost: Vec<u64> },
}

/// What a shell with TLS is asked for.
#[derive(Debug)]
pub enum Secure {
    /// Begin; who began the context is the client.
    Start { client: bool },
    /// Bytes of TLS from the peer.
    Take(Bytes),
    /// Encrypt a message.
    Protect(Bytes),
    /// Forget it; needs no answer.
    End,
}

/// What a shell with TLS answers.
#[derive(Debug, Default)]
pub struct Secured {
    /// TLS records for the peer.
    pub send: Vec<Bytes>,
    /// What the peer encrypted.
    pub plain: Bytes,
    /// The handshake is through and the peer is who it says.
    pub up: Option<MacKeys>,
    /// The certificates by which it is, where `up` says so.
    pub shown: Shown,
    /// TLS has failed; an alert may be in `send`.
    pub failed: Option<&'static str>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: SessionMode::Allow,
            security: PayloadSecurity::Plaintext,
            expiration_ms: 600_000,
            max_record: 0,
            max_retransmit_tries: Some(3),
            retry: Retry::default(),
            signature_room: 0,
        }
    }
}

impl Policy {
    /// How long a context lives without traffic, in milliseconds.
    pub(super) fn lifetime(&self) -> u64 {
        if self.expiration_ms == 0 { MAX_LIFETIME_MS } else { self.expiration_ms.min(MAX_LIFETIME_MS) }
    }
}

/// A context costs memory, so that none is held longer than this without traffic, whatever its owner asked.
const MAX_LIFETIME_MS: u64 = 3_600_000;
