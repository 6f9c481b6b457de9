//! One session context: its identifier, its two counts, and its payload security.

use bytes::Bytes;

use crate::identity::EndpointId;
use crate::usp::record::{
    Integrity, MacKeys, Payload, PayloadSecurity, Record, SarState, SessionContextRecord,
};

use super::incoming::Incoming;
use super::io::{Env, Output};
use super::outgoing::Outgoing;
use super::segments::{Piece, Reassembly, split};

/// A context that both endpoints use, or that one of them has just begun.
pub(super) struct Context {
    pub id: u64,
    pub security: PayloadSecurity,
    /// Whether this endpoint began it.
    pub initiated: bool,
    /// Whether the peer has spoken in it.
    pub confirmed: bool,
    pub incoming: Incoming,
    pub outgoing: Outgoing,
    pub reassembly: Reassembly,
    pub tls: Tls,
    /// A shell has something of ours: what follows must wait for its answer.
    pub busy: bool,
    /// The message that is being encrypted.
    pub protecting: Option<u64>,
    pub active_at: u64,
}

/// The payload security of a context.
pub(super) enum Tls {
    /// Payloads are plain.
    None,
    /// Until when the handshake must be through.
    Handshake {
        until: u64,
    },
    Up(MacKeys),
}

impl Context {
    pub fn new(now: u64, id: u64, security: PayloadSecurity, initiated: bool) -> Self {
        let tls = match security {
            PayloadSecurity::Plaintext => Tls::None,
            PayloadSecurity::Tls12 => Tls::Handshake { until: now + HANDSHAKE_MS },
        };
        Self {
            id,
            security,
            initiated,
            confirmed: false,
            incoming: Incoming::new(),
            outgoing: Outgoing::new(),
            reassembly: Reassembly::default(),
            tls,
            busy: false,
            protecting: None,
            active_at: now,
        }
    }

    /// Whether messages can go out now.
    pub fn is_open(&self) -> bool {
        !self.busy && !matches!(self.tls, Tls::Handshake { .. })
    }

    /// R-E2E.23, R-E2E.33: the MAC counts where there are keys, the shell's word otherwise. Records of the
    /// handshake that come again later are still signed.
    pub fn is_genuine(&self, record: &Record, integrity: Integrity) -> bool {
        let by_mac = match &self.tls {
            Tls::Up(keys) => keys.fits(record, !self.initiated),
            Tls::None | Tls::Handshake { .. } => false,
        };
        by_mac || integrity != Integrity::Unproven
    }

    /// Sends a payload, in as many records as it needs. `message` is the message that it is.
    pub fn send(
        &mut self,
        env: &Env<'_>,
        ends: (&EndpointId, &EndpointId),
        parts: Vec<Bytes>,
        message: Option<u64>,
        out: &mut Vec<Output>,
    ) {
        let mut pieces = split(parts, self.room(env, ends)).into_iter().peekable();
        while let Some(piece) = pieces.next() {
            let message = message.filter(|_| pieces.peek().is_none());
            self.send_piece(env, ends, piece, 0, message, out);
        }
    }

    /// Sends a record without payload: it opens a context, or asks for a record.
    pub fn send_empty(
        &mut self,
        env: &Env<'_>,
        ends: (&EndpointId, &EndpointId),
        retransmit_id: u64,
        out: &mut Vec<Output>,
    ) {
        let (payload_sar_state, payloadrec_sar_state) = (SarState::None, SarState::None);
        let piece = Piece { payload: Vec::new(), payload_sar_state, payloadrec_sar_state };
        self.send_piece(env, ends, piece, retransmit_id, None, out);
    }

    fn send_piece(
        &mut self,
        env: &Env<'_>,
        (from, to): (&EndpointId, &EndpointId),
        piece: Piece,
        retransmit_id: u64,
        message: Option<u64>,
        out: &mut Vec<Output>,
    ) {
        let sequence_id = self.outgoing.sequence();
        let context = SessionContextRecord {
            session_id: self.id,
            sequence_id,
            expected_id: self.incoming.expected(),
            retransmit_id,
            payload_sar_state: piece.payload_sar_state,
            payloadrec_sar_state: piece.payloadrec_sar_state,
            payload: piece.payload,
        };
        let mut record = Record::of(from, to, Payload::Session(context));
        record.payload_security = self.security;
        self.seal(&mut record);
        self.outgoing.keep(sequence_id, record.clone(), message);
        self.active_at = env.now;
        out.push(Output::Send(record));
    }

    /// Sends a record again because the peer asked for it. What it asked for itself may have come since.
    pub fn resend(
        &mut self,
        env: &Env<'_>,
        sequence: u64,
        out: &mut Vec<Output>,
    ) -> Result<(), &'static str> {
        let expected = self.incoming.expected();
        let record = self.outgoing.again(sequence, env.policy.max_retransmit_tries)?;
        let mut stale = false;
        if let Payload::Session(context) = &mut record.payload
            && context.retransmit_id > 0
            && context.retransmit_id < expected
        {
            context.retransmit_id = 0;
            stale = true;
        }
        let mut record = record.clone();
        if stale {
            self.seal(&mut record);
        }
        self.active_at = env.now;
        out.push(Output::Send(record));
        Ok(())
    }

    fn seal(&self, record: &mut Record) {
        if let Tls::Up(keys) = &self.tls {
            keys.seal(record, self.initiated);
        }
    }

    /// What is left of a record for its payload.
    fn room(&self, env: &Env<'_>, (from, to): (&EndpointId, &EndpointId)) -> usize {
        let signature = match self.tls {
            Tls::Up(_) => MAC_ROOM,
            Tls::None | Tls::Handshake { .. } => env.policy.signature_room,
        };
        let head = HEAD_ROOM + from.as_str().len() + to.as_str().len() + signature;
        let limit = match env.policy.max_record {
            0 => crate::usp::record::MAX_RECORD,
            limit => limit.min(crate::usp::record::MAX_RECORD),
        };
        limit.saturating_sub(head).max(MIN_ROOM)
    }

    pub fn next_deadline(&self, lifetime: u64) -> u64 {
        let handshake = match self.tls {
            Tls::Handshake { until } => Some(until),
            Tls::None | Tls::Up(_) => None,
        };
        let others = [handshake, self.incoming.next_deadline(), self.reassembly.next_deadline()];
        others.into_iter().flatten().min().unwrap_or(u64::MAX).min(self.active_at.saturating_add(lifetime))
    }
}

/// How long a TLS handshake may take.
const HANDSHAKE_MS: u64 = 30_000;
/// Fields of a record besides payload, endpoints and signature, all at their longest.
const HEAD_ROOM: usize = 96;
/// A MAC, with its field.
const MAC_ROOM: usize = 36;
/// A record carries this much of a message at least, even where certificates leave less than the limit.
const MIN_ROOM: usize = 128;
