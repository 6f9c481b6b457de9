//! The integrity of what is not payload (TR-369 "Validating the Integrity of the USP Record"): the bytes that
//! a signature or a MAC covers, and the MAC that keys of a TLS session give.
//!
//! Signatures need a private key and randomness, so they are made and checked by a shell; here it only says
//! what it found.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use bytes::{BufMut as _, Bytes, BytesMut};

use super::envelope::{Payload, Record};

/// What a shell found of a record's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integrity {
    /// The record carries no signature, and none is asked for: its transport protects it (R-E2E.28).
    Trusted,
    /// Its signature is its sender's (R-E2E.31).
    Signed,
    /// Its signature is wrong, or is missing where one is needed. A MAC is no signature: it ends here too,
    /// until the session that has its keys looks at it.
    Unproven,
}

/// The keys of a TLS session's MACs (R-E2E.37, R-E2E.39).
#[derive(Clone)]
pub struct MacKeys(Arc<Keys>);

struct Keys {
    client: hmac::Key,
    server: hmac::Key,
}

impl MacKeys {
    /// The first half is the TLS client's key, the other the server's.
    pub fn new(material: &[u8; KEYING_MATERIAL]) -> Self {
        let (client, server) = material.split_at(KEYING_MATERIAL / 2);
        let key = |half: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, half);
        Self(Arc::new(Keys { client: key(client), server: key(server) }))
    }

    /// Puts the MAC of a sender into a record; `client` is the sender's part in TLS.
    pub(super) fn seal(&self, record: &mut Record, client: bool) {
        record.mac_signature =
            Bytes::copy_from_slice(hmac::sign(self.key(client), &record.covered()).as_ref());
    }

    /// Whether a record carries the MAC of this sender, compared in constant time.
    pub(super) fn fits(&self, record: &Record, client: bool) -> bool {
        hmac::verify(self.key(client), &record.covered(), &record.mac_signature).is_ok()
    }

    fn key(&self, client: bool) -> &hmac::Key {
        if client { &self.0.client } else { &self.0.server }
    }
}

impl fmt::Debug for MacKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKeys")
    }
}

impl Record {
    /// The bytes that a signature or MAC covers (R-E2E.32, R-E2E.32.1): all fields but payload and signature by
    /// their numbers, numbers in big endian.
    pub fn covered(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(256);
        bytes.put_slice(self.version.as_bytes());
        bytes.put_slice(self.to_id.as_bytes());
        bytes.put_slice(self.from_id.as_bytes());
        bytes.put_i32(self.payload_security.number());
        bytes.put_slice(&self.sender_cert);
        if let Payload::Session(context) = &self.payload {
            let ids = [context.session_id, context.sequence_id, context.expected_id, context.retransmit_id];
            ids.into_iter().for_each(|id| bytes.put_u64(id));
            bytes.put_i32(context.payload_sar_state.number());
            bytes.put_i32(context.payloadrec_sar_state.number());
        }
        bytes.freeze()
    }
}

/// The label of the keying material (R-E2E.36); its context is there and empty.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-BBF-USP-Record";
/// Octets of keying material.
pub const KEYING_MATERIAL: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usp::record::{PayloadSecurity, SarState, SessionContextRecord};

    #[test]
    fn r_e2e_32_r_e2e_32_1_the_covered_bytes_are_all_fields_but_payload_and_signature_in_order() {
        let record = Record {
            version: "1.4".into(),
            to_id: "self::t".into(),
            from_id: "self::f".into(),
            payload_security: PayloadSecurity::Tls12,
            mac_signature: Bytes::from_static(b"not covered"),
            sender_cert: Bytes::from_static(b"PEM"),
            payload: Payload::Session(SessionContextRecord {
                session_id: 0x0102,
                sequence_id: 3,
                expected_id: 4,
                retransmit_id: 5,
                payload_sar_state: SarState::Begin,
                payloadrec_sar_state: SarState::Complete,
                payload: vec![Bytes::from_static(b"not covered")],
            }),
        };
        let expected = b"1.4self::tself::f\0\0\0\x01PEM\0\0\0\0\0\0\x01\x02\0\0\0\0\0\0\0\x03\
            \0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x05\0\0\0\x01\0\0\0\x03";
        assert_eq!(record.covered(), expected.as_slice());
    }

    #[test]
    fn the_keys_of_macs_are_not_shown() {
        assert_eq!(format!("{:?}", MacKeys::new(&[1; KEYING_MATERIAL])), "MacKeys");
    }
}
