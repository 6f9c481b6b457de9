//! Agents at rest whose controllers can be reached again. When a broker comes back that is all of them, and hardly
//! any has something to say: one task looks at what is stored of each, and wakes those who have.

use std::sync::Weak;

use tokio::sync::{mpsc, oneshot};

use crate::agent;
use crate::identity::EndpointId;
use crate::proxy::Input;
use crate::store::Store;

use super::fleet::{Fleet, Shared};
use super::mailbox::Letter;

/// An agent and the controller that it can reach.
pub(super) type Reunion = (EndpointId, EndpointId);

/// Runs as long as there is a fleet. No more waits than there are pairs of agent and controller.
pub(super) async fn run<S: Store>(mut waiting: mpsc::UnboundedReceiver<Reunion>, shared: Weak<Shared<S>>) {
    while let Some((agent, controller)) = waiting.recv().await {
        let Some(shared) = shared.upgrade() else { return };
        Fleet { shared }.reunite(&agent, &controller).await;
    }
}

impl<S: Store> Fleet<S> {
    async fn reunite(&self, agent: &EndpointId, controller: &EndpointId) {
        // Who is awake, or was woken meanwhile, knows best what there is to say.
        if self.is_active(agent) || self.has_news(agent, controller).await || self.is_active(agent) {
            self.tell_connected(agent, controller);
        }
    }

    async fn has_news(&self, agent: &EndpointId, controller: &EndpointId) -> bool {
        let (sender, entries) = oneshot::channel();
        let then = move |entries| {
            let _ = sender.send(entries);
        };
        self.shared.config.store.peek(agent, agent::news(), Box::new(then));
        let Ok(Ok(entries)) = entries.await else { return true };
        agent::has_news(controller, &self.shared.config.agent, &entries)
    }

    pub(super) fn tell_connected(&self, agent: &EndpointId, controller: &EndpointId) {
        let input = Input::ControllerConnected(controller.clone());
        if let Err(reason) = self.deliver(agent, None, Letter::Input(input)) {
            tracing::warn!(endpoint = %agent, %reason, "an agent was not told of its MTP");
        }
    }
}
