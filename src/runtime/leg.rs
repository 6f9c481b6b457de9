//! The leg to the ACS of one CPE session: requests one after the other on one connection.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::proxy::{AcsFailure, AcsReply, Input, SessionId};
use crate::upstream::{Acs, AcsRequest, Connection};

use super::mailbox::Letter;

/// What one POST of the CPE asks of the ACS.
#[derive(Debug)]
pub(super) struct LegRequest {
    pub session: SessionId,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// A handle; dropping it ends the leg and closes its connection.
pub(super) struct Leg {
    pub session: SessionId,
    requests: mpsc::Sender<LegRequest>,
}

impl Leg {
    /// Starts the leg. The connection is made when the first request is sent.
    pub fn start(session: SessionId, acs: Arc<Acs>, mailbox: mpsc::WeakSender<Letter>) -> Self {
        let (requests, mut receiver) = mpsc::channel::<LegRequest>(PENDING);
        tokio::spawn(async move {
            let mut connection = Connection::new(acs);
            while let Some(request) = receiver.recv().await {
                let request =
                    AcsRequest { target: request.target, headers: request.headers, body: request.body };
                let reply = connection.send(request).await;
                let Some(mailbox) = mailbox.upgrade() else { return };
                let reply = reply.map(from_upstream).map_err(|error| AcsFailure(error.to_string()));
                if mailbox.send(Letter::Input(Input::Acs { session, reply })).await.is_err() {
                    return;
                }
            }
        });
        Self { session, requests }
    }

    /// The CPE sends one POST at a time, so a full queue is a CPE that did not wait: its session times out.
    pub fn send(&self, request: LegRequest) {
        let _ = self.requests.try_send(request);
    }
}

fn from_upstream(reply: crate::upstream::AcsReply) -> AcsReply {
    AcsReply {
        status: reply.status,
        headers: reply.headers,
        body: reply.body,
        decoded_body: reply.decoded_body,
    }
}

/// Requests of one session that may wait for the ACS.
const PENDING: usize = 4;
