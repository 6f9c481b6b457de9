//! The leg to the ACS of one CPE session: requests one after the other on one connection.
//!
//! It is no task: the device's own drives it, so that nothing has to change threads between the CPE's POST
//! and the ACS.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::observe::Metrics;
use crate::proxy::{AcsFailure, AcsReply, Input, SessionId};
use crate::upstream::{Acs, AcsError, AcsRequest, Connection, Watch};

/// One session's leg; dropping it closes its connection.
pub(super) struct Leg {
    pub session: SessionId,
    acs: Arc<Acs>,
    watch: Watch,
    metrics: Arc<Metrics>,
    /// The connection while nothing is asked.
    connection: Option<Connection>,
    asking: Option<Asking>,
    /// What waits until the request before it is answered.
    waiting: VecDeque<AcsRequest>,
}

type Asking = Pin<Box<dyn Future<Output = (Connection, Result<AcsReply, AcsFailure>)> + Send>>;

impl Leg {
    /// The connection is made when the first request is sent.
    pub fn new(session: SessionId, acs: Arc<Acs>, watch: Watch, metrics: Arc<Metrics>) -> Self {
        Self { session, acs, watch, metrics, connection: None, asking: None, waiting: VecDeque::new() }
    }

    /// The leg of the session that the CPE begins, on the same connection of its own, in the midst of this one. Without
    /// the gateway the ACS would hear its Inform on the connection that it has, and know by that that this session is
    /// over; there are ACSs that let no other begin before. `None`: it begins on a connection of its own.
    pub fn cut_short(self, next: SessionId, acs: &Arc<Acs>) -> Option<Self> {
        let same = Arc::ptr_eq(&self.acs, acs) && self.asking.is_none() && self.waiting.is_empty();
        let connection = self.connection.filter(|_| same)?.for_next_session()?;
        Some(Self { session: next, connection: Some(connection), ..self })
    }

    /// The CPE sends one POST at a time, so a full queue is a CPE that did not wait: its session times out.
    pub fn send(&mut self, request: AcsRequest) {
        if self.waiting.len() < PENDING {
            self.waiting.push_back(request);
        }
    }

    fn ask(&mut self, request: AcsRequest) -> Asking {
        let fresh = || Connection::new(Arc::clone(&self.acs), self.watch.clone(), Arc::clone(&self.metrics));
        let mut connection = self.connection.take().unwrap_or_else(fresh);
        Box::pin(async move {
            let reply = connection.send(request).await;
            (connection, reply.map(from_upstream).map_err(failure))
        })
    }
}

/// Resolves when the ACS has answered, or has failed to; never, while it is asked nothing. Cancelling it
/// loses nothing.
pub(super) async fn replied(leg: &mut Option<Leg>) -> Input {
    let Some(leg) = leg else { return std::future::pending().await };
    if leg.asking.is_none()
        && let Some(request) = leg.waiting.pop_front()
    {
        leg.asking = Some(leg.ask(request));
    }
    let Some(asking) = &mut leg.asking else { return std::future::pending().await };
    let (connection, reply) = asking.await;
    (leg.asking, leg.connection) = (None, Some(connection));
    Input::Acs { session: leg.session, reply }
}

fn from_upstream(reply: crate::upstream::AcsReply) -> AcsReply {
    AcsReply {
        status: reply.status,
        headers: reply.headers,
        body: reply.body,
        decoded_body: reply.decoded_body,
    }
}

fn failure(error: AcsError) -> AcsFailure {
    match error {
        AcsError::Http(error) => AcsFailure::NoAnswer(error.to_string()),
        AcsError::Redirect(why) => AcsFailure::Redirect(why.to_string()),
    }
}

/// Requests of one session that may wait for the ACS.
const PENDING: usize = 4;
