//! Waiting: for notifications and records that must come, and for those that must not.

use std::time::{Duration, Instant};

use tokio::sync::broadcast::error::RecvError;

use crate::sim::controller::{Arrival, Envelope, Notification, RequestError, requests};
use crate::usp::message::notify::{self, Notification as Kind};
use crate::usp::record::{Payload, Record};

use super::check::{Stop, Verdict};
use super::expect::fail;
use super::session::Session;

impl Session {
    /// The next notification of the agent that is wanted, within this time.
    pub(super) async fn notified(
        &mut self,
        within: Duration,
        wanted: impl Fn(&Notification) -> bool,
    ) -> Result<Notification, Stop> {
        let agent = self.agent().clone();
        let end = tokio::time::Instant::now() + within;
        loop {
            match tokio::time::timeout_at(end, self.notices.recv()).await {
                Ok(Ok(notice)) if notice.agent == agent => {
                    self.exchange.received(&notice.notify);
                    if wanted(&notice) {
                        return Ok(notice);
                    }
                }
                Ok(Ok(_) | Err(RecvError::Lagged(_))) => {}
                Ok(Err(RecvError::Closed)) => return fail("the controller has ended"),
                Err(_) => {
                    return fail(format!("no such notification came within {} s", within.as_secs_f32()));
                }
            }
        }
    }

    /// A notification for a subscription, by the subscription's ID.
    pub(super) async fn notified_of(&mut self, id: &str) -> Result<notify::Notification, Stop> {
        let patience = self.patience();
        let notice = self.notified(patience, |it| it.notify.subscription_id == id).await?;
        match notice.notify.notification {
            Some(notification) => Ok(notification),
            None => fail("the notification is about nothing"),
        }
    }

    /// Fails if such a notification comes within this time.
    pub(super) async fn not_notified(
        &mut self,
        within: Duration,
        unwanted: impl Fn(&Notification) -> bool,
    ) -> Verdict {
        self.exchange.note(format!("waiting {} s", within.as_secs_f32()));
        match self.notified(within, unwanted).await {
            Ok(_) => fail("a notification came that must not come"),
            Err(_) => Ok(()),
        }
    }

    /// Drops the notifications that have come so far.
    pub(super) fn forget_notifications(&mut self) {
        while !matches!(self.notices.try_recv(), Err(tokio::sync::broadcast::error::TryRecvError::Empty)) {
            if self.notices.is_closed() {
                return;
            }
        }
    }

    /// A value change of this parameter, with its new value.
    pub(super) fn value_changed(kind: &notify::Notification, path: &str, value: &str) -> Verdict {
        match kind {
            Kind::ValueChange(change) if change.param_path == path && change.param_value == value => Ok(()),
            other => fail(format!("the notification is not that {path} has become {value:?}: {other:?}")),
        }
    }

    /// Sends a record as it is.
    pub(super) async fn send_record(&mut self, record: Record) {
        self.exchange.sent(&record);
        let agent = self.agent().clone();
        self.controller().send_raw(&agent, record.encode()).await;
    }

    /// The next record of the agent that is wanted.
    pub(super) async fn arrived(
        &mut self,
        within: Duration,
        wanted: impl Fn(&Arrival) -> bool,
    ) -> Result<Arrival, Stop> {
        let agent = self.agent().as_str().to_owned();
        let end = tokio::time::Instant::now() + within;
        loop {
            match tokio::time::timeout_at(end, self.arrivals.recv()).await {
                Ok(Ok(arrival)) if arrival.record.from_id == agent => {
                    if wanted(&arrival) {
                        return Ok(arrival);
                    }
                }
                Ok(Ok(_) | Err(RecvError::Lagged(_))) => {}
                Ok(Err(RecvError::Closed)) => return fail("the controller has ended"),
                Err(_) => return fail(format!("no such record came within {} s", within.as_secs_f32())),
            }
        }
    }

    /// Fails if a record with a message comes within the quiet time.
    pub(super) async fn no_message(&mut self) -> Verdict {
        let quiet = self.quiet();
        self.exchange.note(format!("waiting {} s", quiet.as_secs_f32()));
        let message = |it: &Arrival| matches!(it.record.payload, Payload::NoSession(_));
        match self.arrived(quiet, message).await {
            Ok(_) => fail("the agent answers"),
            Err(_) => Ok(()),
        }
    }

    /// How the answer to a Get came.
    pub(super) async fn envelope(&mut self) -> Result<Envelope, Stop> {
        self.forget_arrivals();
        self.value("Device.LocalAgent.EndpointID").await?;
        let patience = self.patience();
        let message = |it: &Arrival| matches!(it.record.payload, Payload::NoSession(_));
        let arrival = self.arrived(patience, message).await?;
        self.exchange.note(format!("{:?}", arrival.envelope));
        Ok(arrival.envelope)
    }

    /// The Connect record that the agent's connection to a broker began with.
    pub(super) fn connect_record(&mut self) -> Result<Payload, Stop> {
        let Some(arrival) = self.controller().connect_of(self.agent()) else {
            let why =
                "the agent was connected before this controller was; restart it while the controller is up";
            return Err(Stop::NotApplicable(why.to_owned()));
        };
        self.exchange.received(&arrival);
        Ok(arrival.record.payload)
    }

    /// Drops the records that have come so far.
    pub(super) fn forget_arrivals(&mut self) {
        self.arrivals = self.controller().arrivals();
    }
}

/// Seconds since, for checks of intervals.
pub(super) fn seconds_since(at: Instant) -> f64 {
    at.elapsed().as_secs_f64()
}

/// The agent answers a request, if need be after it has connected again.
pub(super) async fn answers(session: &mut Session) -> Verdict {
    let end = Instant::now() + session.patience();
    let controller = session.controller().clone();
    let request = requests::get(&["Device.LocalAgent.EndpointID"], 0);
    while Instant::now() < end {
        match controller.request(session.agent(), request.clone(), session.patience() / ATTEMPTS).await {
            Err(RequestError::NotConnected) => tokio::time::sleep(Duration::from_millis(100)).await,
            // It may have gone out on a connection that was at its end.
            Err(RequestError::Timeout(_)) => {}
            Ok(response) => {
                session.exchange.received(&response);
                return Ok(());
            }
            Err(error) => return fail(format!("the agent does not answer a Get afterwards: {error}")),
        }
    }
    fail("the agent does not answer a Get afterwards")
}

/// How often a Get is tried that may fall into a change of connections.
const ATTEMPTS: u32 = 4;
