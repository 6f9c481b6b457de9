//! Hands the ACS's connection requests to their devices, and their answers back.

use tokio::sync::oneshot;

use crate::connection_request::CallHandler;
use crate::identity::EndpointId;
use crate::proxy::{AcsCall, CallAnswer};
use crate::store::Store;
use crate::transport::http::Authorization;

use super::fleet::Fleet;
use super::mailbox::Letter;

/// The handler behind the door for connection requests.
pub struct AcsCalls<S>(Fleet<S>);

impl<S: Store> AcsCalls<S> {
    pub fn new(fleet: Fleet<S>) -> Self {
        Self(fleet)
    }
}

impl<S: Store> CallHandler for AcsCalls<S> {
    async fn called(
        &self,
        agent: EndpointId,
        claim: Option<Authorization>,
        trusted: bool,
    ) -> Option<CallAnswer> {
        let config = &self.0.shared.config;
        if self.0.shared.beside().is_some_and(|beside| beside.holds(&agent)) {
            // Its session is the other process's, and ends soon.
            config.metrics.acs_call(agent.as_str(), None, CallAnswer::InSession.label());
            return Some(CallAnswer::InSession);
        }
        let (reply, answer) = oneshot::channel();
        let call = AcsCall { id: config.routes.number(), claim, trusted };
        if self.0.deliver(&agent, None, Letter::AcsCall { call, reply }).is_err() {
            config.metrics.acs_call(agent.as_str(), None, CallAnswer::TooMany.label());
            return Some(CallAnswer::TooMany);
        }
        // Of an answer the device's own task tells; a device that nobody knows drops its letters.
        let answer = answer.await.ok();
        if answer.is_none() {
            config.metrics.acs_call(agent.as_str(), None, "unknown");
        }
        answer
    }
}
