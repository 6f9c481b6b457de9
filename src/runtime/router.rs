//! From MTPs to devices.

use bytes::Bytes;

use crate::identity::EndpointId;
use crate::mtp::AgentSide;
use crate::proxy::Input;
use crate::store::Store;

use super::fleet::Fleet;
use super::mailbox::Letter;

impl<S: Store> AgentSide for Fleet<S> {
    fn record(&self, agent: &EndpointId, record: Bytes) {
        if let Err(reason) = self.deliver(agent, None, Letter::Record(record)) {
            tracing::warn!(endpoint = %agent, %reason, "a USP record was dropped");
        }
    }

    fn connected(&self, agent: &EndpointId, controller: &EndpointId) {
        let input = Input::ControllerConnected(controller.clone());
        if let Err(reason) = self.deliver(agent, None, Letter::Input(input)) {
            tracing::warn!(endpoint = %agent, %reason, "an agent was not told of its MTP");
        }
    }
}
