//! What the connection is told to do.

use std::sync::Arc;
use std::time::Instant;

use crate::agent::Traffic;
use crate::identity::EndpointId;
use crate::mtp::contract::{RESTARTS, farewell};
use crate::transport::mqtt::Event;
use crate::usp::record::Record;

use super::super::config::{MqttConfig, client_config};
use super::super::crossing::{Crossing, GRACE};
use super::{Command, Connection, Handover};

impl Connection {
    pub(super) fn obey(&mut self, command: Command) {
        match command {
            Command::Attach(agent) => {
                self.listen_on(&agent);
                if self.agents.insert(agent.clone()) && self.client.is_up() {
                    self.greet_soon(agent);
                }
            }
            Command::Adopt(agent, link, to) => {
                self.agents.insert(agent.clone());
                self.listen_on(&agent);
                self.coming.insert(agent.clone());
                // Its controllers go on to meet it, here.
                let _ = link.tell(Command::Retire(Handover { agent, to }));
                link.stop();
            }
            Command::Greet(agent) => self.has_come(agent),
            // A connection that is not up greets anew in any case.
            Command::Restart(agent) if self.client.is_up() && self.agents.contains(&agent) => {
                let config = Arc::clone(&self.config);
                config.controllers.iter().for_each(|(it, _)| self.leave(&agent, it, RESTARTS));
                match self.owner {
                    Some(_) => self.again = true,
                    None => self.greet_soon(agent),
                }
            }
            Command::Restart(_) => {}
            Command::Retire(handover) => {
                self.handover = Some(handover);
                let mut config = MqttConfig::clone(&self.config);
                config.controllers.clear();
                self.config = Arc::new(config);
            }
            Command::Detach(agent, stay) => {
                self.coming.remove(&agent);
                if self.agents.remove(&agent) {
                    self.listen_on(&agent);
                    self.greet.retain(|waiting| *waiting != agent);
                    let config = Arc::clone(&self.config);
                    let why = farewell(false);
                    let gone = config.controllers.iter().filter(|(it, _)| !stay.contains(it));
                    gone.for_each(|(it, _)| self.leave(&agent, it, why));
                    self.replies.retain(|(of, _), _| *of != agent);
                }
            }
            Command::Send { agent, controller, record }
                if self.client.is_up() && !self.coming.contains(&agent) =>
            {
                self.say(&agent, &controller, record);
            }
            // The Connect record of the next connection tells enough.
            Command::Send { record, .. } if Record::turn(record.clone()).is_some() => {}
            Command::Send { agent, controller, record } => self.held.push_back((agent, controller, record)),
            Command::Adapt(config) => self.adapt(config),
            Command::Report(report) => self.report(report),
        }
    }

    /// An agent comes from its own connection, or goes to it: what has been said to it on this one may not have
    /// come yet.
    fn listen_on(&mut self, agent: &EndpointId) {
        if self.crossings.as_ref().is_some_and(|crossings| crossings.find(agent).is_some()) {
            let until = Instant::now() + GRACE;
            self.between.insert(agent.clone(), until);
            self.until.push_back((until, agent.clone()));
        }
    }

    /// Lets go of agents that have been between two connections for long enough. When the next is due.
    pub(super) fn settle_some(&mut self, now: u64) -> u64 {
        while let Some((until, agent)) = self.until.pop_front() {
            let due = u64::try_from(until.duration_since(self.started).as_millis()).unwrap_or(u64::MAX);
            if due > now {
                self.until.push_front((until, agent));
                return due;
            }
            if self.between.get(&agent) != Some(&until) {
                continue;
            }
            let Some(crossings) = &self.crossings else { return u64::MAX };
            match self.agents.contains(&agent) {
                true if crossings.end(&agent) => {}
                false if self.client.is_up() => {
                    crossings.find(&agent).inspect(Crossing::settle);
                }
                // The agent's own connection has not ended, or what the broker has for this one cannot come.
                _ => {
                    self.listen_on(&agent);
                    continue;
                }
            }
            self.between.remove(&agent);
        }
        u64::MAX
    }

    /// An agent has left the connection that it comes from: it speaks here.
    fn has_come(&mut self, agent: EndpointId) {
        if !self.coming.remove(&agent) || !self.client.is_up() {
            return;
        }
        self.greet_soon(agent.clone());
        for (of, controller, record) in std::mem::take(&mut self.held) {
            match of == agent {
                true => self.say(&of, &controller, record),
                false => self.held.push_back((of, controller, record)),
            }
        }
    }

    fn greet_soon(&mut self, agent: EndpointId) {
        if !self.greet.contains(&agent) {
            self.greet.push_back(agent);
        }
    }

    /// Another configuration of the agent whose connection it is.
    fn adapt(&mut self, config: Arc<MqttConfig>) {
        let Some(agent) = self.owner.clone() else { return };
        let before = std::mem::replace(&mut self.config, config);
        let config = Arc::clone(&self.config);
        let place =
            |it: &MqttConfig| (it.host.clone(), it.port, it.tls.is_some(), it.version, it.login.clone());
        let elsewhere = place(&before) != place(&config);
        let met = |it: &MqttConfig, who: &EndpointId| it.controllers.iter().any(|(known, _)| known == who);
        for (controller, _) in before.controllers.iter().filter(|(it, _)| elsewhere || !met(&config, it)) {
            if self.client.is_up() {
                // Over the way that still leads to it.
                let after = std::mem::replace(&mut self.config, Arc::clone(&before));
                self.leave(&agent, controller, farewell(false));
                self.config = after;
            }
            self.replies.remove(&(agent.clone(), controller.clone()));
        }
        self.prefix.clone_from(&config.topic_prefix);
        let mut wanted = client_config(&config, self.owner.as_ref(), &self.name, &self.prefix);
        if wanted.client_id == client_config(&before, self.owner.as_ref(), &self.name, &self.prefix).client_id
        {
            // It may have been given by the broker meanwhile.
            self.client.client_id().clone_into(&mut wanted.client_id);
        } else {
            self.status.set(|state| state.client_id = None);
        }
        let mut events = Vec::new();
        self.client.adapt(wanted, &mut events);
        for event in events {
            if let Event::Subscribed(subscribed) = event {
                self.note(|state| state.subscribed = subscribed);
            }
        }
        self.again |= elsewhere;
        if (&before.host, before.port) != (&config.host, config.port) {
            // At another broker all is counted anew.
            self.traffic = Traffic::default();
            let traffic = self.traffic.clone();
            self.note(|state| state.traffic = Some(traffic));
        }
        let news = config.controllers.iter().any(|(it, _)| !met(&before, it));
        if !elsewhere && news && self.client.is_up() {
            self.greet_soon(agent);
        }
    }
}
