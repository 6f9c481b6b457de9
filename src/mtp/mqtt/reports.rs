//! Bulk data reports over the connections of agents (TR-369 Annex A, MQTT Bulk Data Collection): published with
//! the profile's topic, QoS and retain flag, and delivered when the broker has acknowledged them.

use std::collections::HashMap;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::agent::{Publication, Undelivered};
use crate::mtp::link::Link;
use crate::transport::mqtt::{self, Client, Properties, Publish, Version};
use crate::usp::record::MAX_RECORD;

use super::connection::Command;

/// A report for the task of a connection.
pub struct Report {
    pub(super) publication: Publication,
    body: Bytes,
    done: oneshot::Sender<Result<(), Undelivered>>,
}

impl Report {
    /// Whether it is too large to go between the records of agents.
    pub(super) fn is_too_large(&self) -> bool {
        self.body.len() > MAX_RECORD
    }

    pub(super) fn refuse(self, why: Undelivered) {
        // Who does not wait any more does not care.
        let _ = self.done.send(Err(why));
    }
}

/// The end of a report, once it has come.
pub struct Delivery(oneshot::Receiver<Result<(), Undelivered>>);

impl Delivery {
    /// Waits until the broker has the report, or never will. While the broker is away this may take long: what
    /// was sent is sent again by the rules of MQTT.
    pub async fn end(self) -> Result<(), Undelivered> {
        let gone = || Err(Undelivered::Failed("the connection to the broker has ended".to_owned()));
        self.0.await.unwrap_or_else(|_| gone())
    }
}

impl Link<Command> {
    /// Publishes a bulk data report.
    pub fn report(&self, publication: Publication, body: Bytes) -> Delivery {
        let (done, end) = oneshot::channel();
        // Where there is no room, nobody is left to say anything, which is an end too.
        let _ = self.tell(Command::Report(Report { publication, body, done }));
        Delivery(end)
    }
}

/// The reports of one connection whose end is still to come.
#[derive(Default)]
pub(super) struct Reports {
    next: u64,
    waiting: HashMap<u64, oneshot::Sender<Result<(), Undelivered>>>,
}

impl Reports {
    pub fn publish(&mut self, client: &mut Client, report: Report, version: Version) {
        let Report { publication, body, done } = report;
        let Publication { topic, qos, retain, media_type, .. } = publication;
        // R-BULK.8a. MQTT 3.1.1 has no content type.
        let content_type = (version == Version::V5).then(|| media_type.to_owned());
        let properties = Properties { content_type, ..Properties::default() };
        let publish = Publish { topic, payload: body, qos, retain, properties, ..Publish::default() };
        self.next += 1;
        if client.publish_with(publish, self.next).is_err() {
            let _ = done.send(Err(Undelivered::Failed("too much waits for the broker".to_owned())));
            return;
        }
        self.waiting.insert(self.next, done);
    }

    /// Tells the ends that have come.
    pub fn settle(&mut self, client: &mut Client) {
        if self.waiting.is_empty() {
            return;
        }
        for ended in client.take_ended() {
            let Some(done) = self.waiting.remove(&ended.ticket) else { continue };
            let _ = done.send(ended.result.map_err(|why| match why {
                mqtt::Undelivered::TooLarge(why) => Undelivered::TooLarge(why),
                mqtt::Undelivered::Refused(why) => {
                    Undelivered::Failed(format!("the broker refused it: {why}"))
                }
                mqtt::Undelivered::Lost => {
                    Undelivered::Failed("the connection to the broker was lost".into())
                }
            }));
        }
    }
}
