//! From MTPs to devices.

use bytes::Bytes;

use crate::agent::Question;
use crate::capture::Way;
use crate::durable::Entry;
use crate::identity::EndpointId;
use crate::mtp::AgentSide;
use crate::proxy::Input;
use crate::store::{Store, StoreError};
use crate::usp::Shown;
use crate::usp::record::Record;

use super::fleet::{Fleet, Shared, Undeliverable};
use super::mailbox::Letter;

impl<S: Store> AgentSide for Fleet<S> {
    fn record(&self, agent: &EndpointId, record: Bytes, shown: Shown) {
        self.shared.note_record(agent, None, &record);
        if !self.is_active(agent)
            && !self.is_divided()
            && self.shared.config.bypasses.of(agent).is_none()
            && let Some(question) = Question::of(agent, &self.shared.config.agent, &record, &shown)
        {
            return self.glance(agent, question, record, shown);
        }
        self.hand_over(agent, record, shown);
    }

    fn connected(&self, agent: &EndpointId, controller: &EndpointId) {
        if self.is_active(agent) {
            return self.tell_connected(agent, controller);
        }
        if !self.shared.beside().is_some_and(|beside| beside.leaving || beside.holds(agent)) {
            self.shared.reunite(agent, controller);
        }
    }

    fn knows(&self, agent: &EndpointId) -> bool {
        self.shared.config.mtps.knows(agent)
    }

    fn changed(&self, agent: &EndpointId) {
        self.shared.config.mtps.hand_over(agent);
        // An agent at rest is told when it is woken.
        self.tell_if_active(agent, || Letter::Input(Input::Links(self.shared.config.mtps.states(agent))));
    }
}

impl<S> Shared<S> {
    /// Tells of a record, to a controller or from one, those who have asked to be told.
    pub(super) fn note_record(&self, agent: &EndpointId, controller: Option<&EndpointId>, record: &Bytes) {
        let Some(tap) = self.config.recorder.tap(agent) else { return };
        let from = || Record::decode(record.clone()).ok().and_then(|it| EndpointId::parse(&it.from_id).ok());
        let mtp = self.config.mtps.kind(agent, controller.cloned().or_else(from).as_ref());
        tap.note(Way::Record { outgoing: controller.is_some(), mtp, bytes: record.clone() });
    }
}

impl<S: Store> Fleet<S> {
    /// Answers from what is stored, beside the device's mailbox: at rest a device has nothing that is not
    /// stored, and who asks while it wakes asks at the same time as what wakes it.
    fn glance(&self, agent: &EndpointId, question: Question, record: Bytes, shown: Shown) {
        let (fleet, endpoint) = (self.clone(), agent.clone());
        let handle = tokio::runtime::Handle::current();
        let wanted = question.wanted();
        let then = move |entries: Result<Vec<Entry>, StoreError>| {
            let config = &fleet.shared.config;
            let wall = config.clock.wall();
            let answer = entries.ok().and_then(|all| question.answer(&endpoint, &config.agent, &all, wall));
            match answer {
                Some((controller, answer)) => fleet.shared.send(&endpoint, &controller, answer),
                None => {
                    // It starts a task, and this thread is none of the runtime's.
                    let _entered = handle.enter();
                    fleet.hand_over(&endpoint, record, shown);
                }
            }
        };
        self.shared.config.store.peek(agent, wanted, Box::new(then));
    }

    pub(super) fn hand_over(&self, agent: &EndpointId, record: Bytes, shown: Shown) {
        let beside = self.shared.beside().filter(|beside| beside.leaving);
        let Err(reason) = self.deliver(agent, None, Letter::Record(record.clone(), shown)) else { return };
        let passed_on =
            reason == Undeliverable::Elsewhere && beside.is_some_and(|beside| beside.to_agent(agent, record));
        if !passed_on {
            tracing::warn!(endpoint = %agent, %reason, "a USP record was dropped");
        }
    }
}
