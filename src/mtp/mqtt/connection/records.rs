//! Records in both directions, and where they go.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::agent::Undelivered;
use crate::identity::EndpointId;
use crate::mtp::contract::farewell;
use crate::transport::mqtt::{Client, Properties, Publish, Refused, Version};
use crate::usp::Shown;
use crate::usp::record::{MAX_RECORD, Payload, Record, Turn};

use super::super::crossing::Ear;
use super::super::reports::Report;
use super::super::topics;
use super::{Connection, QUEUE_AHEAD};

impl Connection {
    /// Tells a controller that an agent goes.
    pub(super) fn leave(&mut self, agent: &EndpointId, controller: &EndpointId, why: &'static str) {
        let payload = Payload::Disconnect { reason: why.into(), reason_code: 0 };
        // What is not acknowledged would come again after the agent is back.
        self.publish_at(agent, controller, Record::of(agent, controller, payload).encode(), 0);
    }

    /// Sends Connect records (R-MTP.6) as far as there is room: ten thousand agents do not fit at once.
    pub(super) fn greet_some(&mut self) {
        while self.client.is_up() && self.client.pending() < QUEUE_AHEAD {
            let Some(agent) = self.greet.pop_front() else { return };
            self.greet_all_of(&agent, Client::publish);
        }
    }

    /// The agent whose connection it is greets before all that an earlier connection has left.
    pub(super) fn greet_first(&mut self) {
        if let Some(agent) = self.owner.clone() {
            self.greet.clear();
            self.greet_all_of(&agent, Client::publish_first);
        }
    }

    fn greet_all_of(
        &mut self,
        agent: &EndpointId,
        queue: impl Fn(&mut Client, Publish) -> Result<(), Refused>,
    ) {
        let controllers: Vec<EndpointId> =
            self.config.controllers.iter().map(|(controller, _)| controller.clone()).collect();
        for controller in controllers {
            let record = self.connect_record(agent, &controller);
            let publish = self.publication(agent, &controller, record, self.qos());
            let sent = publish.map(|publish| queue(&mut self.client, publish));
            self.count(agent, sent);
            self.shared.side.connected(agent, &controller);
        }
    }

    fn connect_record(&self, agent: &EndpointId, controller: &EndpointId) -> Bytes {
        let v5 = self.config.version == Version::V5;
        let payload = Payload::MqttConnect { v5, subscribed_topic: self.own_topic(agent) };
        Record::of(agent, controller, payload).encode()
    }

    /// Sends a record of an agent, which greets its controllers first if it has not. After a Disconnect record over
    /// a connection that stays it greets this one anew (R-MTP.8), as in place of a Connect record of another MTP.
    pub(super) fn say(&mut self, agent: &EndpointId, controller: &EndpointId, record: Bytes) {
        if let Some(at) = self.greet.iter().position(|waiting| waiting == agent) {
            self.greet.remove(at);
            self.greet_all_of(agent, Client::publish);
        }
        let turn = Record::turn(record.clone());
        if turn != Some(Turn::Connect) {
            self.publish(agent, controller, record);
        }
        if turn.is_some() {
            self.publish(agent, controller, self.connect_record(agent, controller));
        }
    }

    pub(super) fn say_goodbye(&mut self) {
        if let Some(agent) = self.owner.clone() {
            let config = Arc::clone(&self.config);
            let why = farewell(self.shared.stop.is_cancelled());
            config.controllers.iter().for_each(|(it, _)| self.leave(&agent, it, why));
        }
        self.client.goodbye();
    }

    fn qos(&self) -> u8 {
        self.config.own.as_ref().map_or(1, |own| own.qos.min(1))
    }

    fn publish(&mut self, agent: &EndpointId, controller: &EndpointId, record: Bytes) {
        self.publish_at(agent, controller, record, self.qos());
    }

    fn publish_at(&mut self, agent: &EndpointId, controller: &EndpointId, record: Bytes, qos: u8) {
        let publish = self.publication(agent, controller, record, qos);
        let sent = publish.map(|publish| self.client.publish(publish));
        self.count(agent, sent);
    }

    /// None says nothing: the agent does not meet this controller here any more.
    fn count(&self, agent: &EndpointId, sent: Option<Result<(), Refused>>) {
        match sent {
            None => {}
            Some(Ok(())) => self.shared.metrics.usp_sent(),
            Some(Err(Refused)) => {
                self.shared.metrics.usp_dropped(agent.as_str(), "too much waits for the broker");
            }
        }
    }

    /// A record as a message, if it is known where its controller is.
    fn publication(
        &self,
        agent: &EndpointId,
        controller: &EndpointId,
        record: Bytes,
        qos: u8,
    ) -> Option<Publish> {
        let configured = self.config.controllers.iter().find(|(known, _)| known == controller);
        let learnt = self.replies.get(&(agent.clone(), controller.clone()));
        let topic = learnt.or(configured.map(|(_, topic)| topic))?;
        let own = self.own_topic(agent);
        Some(match self.config.version {
            Version::V5 => Publish {
                topic: topic.clone(),
                payload: record,
                qos,
                // R-MQTT.22, 23, 27.
                properties: Properties {
                    content_type: Some("usp.msg".into()),
                    response_topic: Some(own),
                    ..Properties::default()
                },
                ..Publish::default()
            },
            Version::V311 => {
                let topic = topics::with_reply_to(topic, &own);
                Publish { topic, payload: record, qos, ..Publish::default() }
            }
        })
    }

    /// Publishes a bulk data report, if the connection is up and the topic is none of USP's: a report must not
    /// come to an agent or a controller that takes it for a record.
    pub(super) fn report(&mut self, report: Report) {
        let topic = &report.publication.topic;
        let ours = topic == &self.config.topic_prefix
            || topics::is_below(&self.config.topic_prefix, topic)
            || self.config.controllers.iter().any(|(_, known)| known == topic);
        let refused = if !is_topic(topic) || ours {
            Undelivered::Failed("its topic is one of USP's, or none that can be published to".to_owned())
        } else if !self.client.is_up() {
            Undelivered::Failed("there is no connection to the broker".to_owned())
        } else if report.is_too_large() {
            Undelivered::TooLarge(format!("it has more than {MAX_RECORD} bytes"))
        } else {
            return self.reports.publish(&mut self.client, report, self.config.version);
        };
        report.refuse(refused);
    }

    fn own_topic(&self, agent: &EndpointId) -> String {
        match (&self.response_information, &self.config.own) {
            (Some(topic), _) => topic.clone(),
            (None, Some(own)) if !own.reply_topic.is_empty() => own.reply_topic.clone(),
            // Nothing is said of answers: the first topic that is listened on.
            (None, Some(own)) => own.filters.first().map_or_else(String::new, |(filter, _)| filter.clone()),
            (None, None) => topics::agent_topic(&self.prefix, agent),
        }
    }

    /// A message from the broker: to its agent, if it is a record for one of ours.
    pub(super) fn message(&mut self, publish: Publish) {
        let agent = self.owner.clone().or_else(|| topics::agent_of(&self.prefix, &publish.topic));
        let hears = |agent: &EndpointId| self.agents.contains(agent) || self.between.contains_key(agent);
        let Some(agent) = agent.filter(hears) else {
            return self.shared.metrics.usp_dropped(&self.name, "a record for nobody here");
        };
        // R-MQTT.27a. MQTT 3.1.1 has no content type.
        let content = publish.properties.content_type.as_deref();
        if content.is_some_and(|content| !CONTENT_TYPES.contains(&content)) {
            return self.shared.metrics.usp_dropped(agent.as_str(), "a message that is no USP record");
        }
        if self.agents.contains(&agent) {
            self.learn_reply(&agent, &publish);
        }
        if !self.is_news(&agent, &publish) {
            return;
        }
        self.shared.metrics.usp_received();
        self.shared.side.record(&agent, publish.payload, Shown::Untold);
    }

    /// Whether the agent has not heard a message already on another connection of its.
    fn is_news(&self, agent: &EndpointId, publish: &Publish) -> bool {
        let (ear, crossing) = match &self.crossings {
            Some(crossings) => (Ear::Shared, crossings.find(agent)),
            None => (Ear::Own, self.config.own.as_ref().and_then(|own| own.crossing.clone())),
        };
        crossing.is_none_or(|crossing| crossing.is_news(ear, publish, Instant::now()))
    }

    /// Keeps where a controller wants its answers, if it is not where they would go anyway.
    fn learn_reply(&mut self, agent: &EndpointId, publish: &Publish) {
        let given = match self.config.version {
            Version::V5 => publish.properties.response_topic.clone(),
            Version::V311 => topics::reply_to(&publish.topic),
        };
        let Some(given) = given.filter(|topic| is_topic(topic)) else { return };
        if self.config.controllers.iter().any(|(_, topic)| *topic == given) && self.replies.is_empty() {
            return;
        }
        let Ok(record) = Record::decode(publish.payload.clone()) else { return };
        let controllers = &self.config.controllers;
        let Some((controller, configured)) =
            controllers.iter().find(|(known, _)| known.as_str() == record.from_id)
        else {
            return;
        };
        let key = (agent.clone(), controller.clone());
        if *configured == given {
            self.replies.remove(&key);
        } else {
            self.replies.insert(key, given);
        }
    }
}

/// A topic that can be published to.
fn is_topic(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TOPIC && !text.contains(['+', '#', '\0'])
}

/// R-MQTT.27a.
const CONTENT_TYPES: [&str; 2] = ["usp.msg", "application/vnd.bbf.usp.msg"];
const MAX_TOPIC: usize = 1_024;
