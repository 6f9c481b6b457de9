//! TLS 1.2 over the payloads of session contexts (TR-369 "TLS Payload Encapsulation"): the connections of one
//! endpoint, one for each peer at most.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use rustls::Connection;

use crate::identity::EndpointId;
use crate::usp::Shown;
use crate::usp::record::session::{Secure, Secured};
use crate::usp::record::{EXPORTER_LABEL, KEYING_MATERIAL, MacKeys};

use super::keyring::Keyring;

/// The connections of one endpoint.
pub struct TlsSessions {
    own: EndpointId,
    keyring: Option<Arc<Keyring>>,
    open: HashMap<EndpointId, Session>,
}

/// The connection of one context.
struct Session {
    id: u64,
    connection: Connection,
    /// Whether the keys of MACs have been handed out.
    up: bool,
}

impl TlsSessions {
    pub fn new(own: &EndpointId, keyring: Option<Arc<Keyring>>) -> Self {
        Self { own: own.clone(), keyring, open: HashMap::new() }
    }

    /// Does what a session asks for; nothing is to be answered to the end of one.
    pub fn answer(&mut self, peer: &EndpointId, session_id: u64, request: Secure) -> Option<Secured> {
        match request {
            Secure::Start { client } => Some(self.start(peer, session_id, client)),
            Secure::Take(bytes) => {
                let keyring = self.keyring.clone();
                Some(self.of(peer, session_id, |it| it.take(keyring.as_deref(), peer, &bytes)))
            }
            Secure::Protect(message) => Some(self.of(peer, session_id, |it| it.protect(&message))),
            Secure::End => {
                if self.open.get(peer).is_some_and(|session| session.id == session_id) {
                    self.open.remove(peer);
                }
                None
            }
        }
    }

    fn start(&mut self, peer: &EndpointId, id: u64, client: bool) -> Secured {
        let Some(keyring) = &self.keyring else { return failed("no certificate for TLS is configured") };
        let connection = if client {
            keyring.client(&self.own, peer).map(Connection::from)
        } else {
            keyring.server(&self.own, peer).map(Connection::from)
        };
        let mut connection = match connection {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!(%peer, %error, "TLS for payloads cannot be begun");
                return failed("TLS cannot be begun");
            }
        };
        // A message is handed over whole.
        connection.set_buffer_limit(None);
        let mut session = Session { id, connection, up: false };
        let secured = Secured { send: session.outgoing(), ..Secured::default() };
        self.open.insert(peer.clone(), session);
        secured
    }

    fn of(&mut self, peer: &EndpointId, id: u64, then: impl FnOnce(&mut Session) -> Secured) -> Secured {
        match self.open.get_mut(peer).filter(|session| session.id == id) {
            Some(session) => then(session),
            None => failed("the TLS session is gone"),
        }
    }
}

impl Session {
    fn take(&mut self, keyring: Option<&Keyring>, peer: &EndpointId, mut bytes: &[u8]) -> Secured {
        let mut secured = Secured::default();
        let mut plain = Vec::new();
        while !bytes.is_empty() {
            let step = match self.connection.read_tls(&mut bytes) {
                Ok(0) => break,
                Ok(_) => self.connection.process_new_packets(),
                Err(error) => Err(rustls::Error::General(error.to_string())),
            };
            match step {
                Ok(state) => {
                    let start = plain.len();
                    plain.resize(start + state.plaintext_bytes_to_read(), 0);
                    if self.connection.reader().read_exact(&mut plain[start..]).is_err() {
                        plain.truncate(start);
                    }
                    if state.peer_has_closed() {
                        secured.failed = Some("the peer closed TLS");
                    }
                }
                Err(error) => {
                    tracing::info!(%peer, %error, "TLS for payloads failed");
                    secured.failed = Some("TLS failed");
                    break;
                }
            }
        }
        secured.send = self.outgoing();
        if secured.failed.is_some() {
            return secured;
        }
        secured.plain = plain.into();
        if !self.up && !self.connection.is_handshaking() {
            self.up = true;
            secured.up = self.keys();
            let chain = self.connection.peer_certificates().unwrap_or_default();
            secured.shown = keyring.map_or(Shown::Nothing, |keyring| keyring.shown(chain));
            if secured.up.is_none() {
                secured.failed = Some("TLS gives no keys for MACs");
            }
        }
        secured
    }

    fn protect(&mut self, message: &[u8]) -> Secured {
        let written = self.connection.writer().write_all(message);
        let failed = written.is_err().then_some("TLS took no message");
        Secured { send: self.outgoing(), failed, ..Secured::default() }
    }

    /// R-E2E.35 to R-E2E.37. A context that is empty is not none at all.
    fn keys(&self) -> Option<MacKeys> {
        let material = [0; KEYING_MATERIAL];
        let material = self.connection.export_keying_material(material, EXPORTER_LABEL, Some(b""));
        material.ok().map(|material| MacKeys::new(&material))
    }

    /// The TLS records that are due, one by one: records of USP are cut between them.
    fn outgoing(&mut self) -> Vec<Bytes> {
        let mut bytes = Vec::new();
        while self.connection.wants_write() {
            // A Vec takes all.
            if self.connection.write_tls(&mut bytes).is_err() {
                break;
            }
        }
        let mut bytes = Bytes::from(bytes);
        let mut records = Vec::new();
        while let Some(&[_, _, _, high, low]) = bytes.first_chunk::<HEAD>() {
            let length = HEAD + usize::from(u16::from_be_bytes([high, low]));
            records.push(bytes.split_to(length.min(bytes.len())));
        }
        records
    }
}

fn failed(why: &'static str) -> Secured {
    Secured { failed: Some(why), ..Secured::default() }
}

/// The head of a TLS record: type, version, length.
const HEAD: usize = 5;
