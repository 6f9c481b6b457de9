//! One connection of an agent, as its broker sees it: what the agent says, what it is answered, all of it noted.

use std::fmt::Debug;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use crate::conformance::check::{Stop, Verdict};
use crate::conformance::exchange::Exchange;
use crate::conformance::expect::fail;
use crate::net::{Buffered, Round, Stream};

/// What is said on a connection, and what a broker answers.
pub trait Dialect: Default + Send {
    /// A packet or frame.
    type Unit: Debug + Clone + Send;

    /// Takes the next unit off the buffer; `None` until it is whole.
    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Self::Unit>, String>;
    fn encode(&mut self, unit: Self::Unit, buffer: &mut BytesMut) -> Result<(), String>;
    /// What a broker says to it.
    fn answer(&self, unit: &Self::Unit) -> Option<Self::Unit>;
    /// The name that a client gives with its first unit, if it is that of a login.
    fn user(first: &Self::Unit) -> Option<&str>;
    /// The record in a unit, and the place where the sender wants the answer.
    fn carried(unit: &Self::Unit) -> Option<(Bytes, Option<String>)>;
    /// A unit that brings a record to the agent at a place, with another place for the answer.
    fn delivery(&mut self, at: &str, reply_to: &str, record: Bytes) -> Self::Unit;
    /// The unit without the record that it carries, for people.
    fn bare(unit: &Self::Unit) -> Self::Unit;
}

/// What comes next on a connection.
pub enum Heard<U> {
    Said(U),
    /// The agent has closed it.
    End,
    /// Nothing, within the time.
    Silence,
}

/// The broker's end of a connection.
pub struct Line<D> {
    io: Buffered,
    pub dialect: D,
}

impl<D: Dialect> Line<D> {
    pub fn new(stream: Stream) -> Self {
        Self { io: Buffered::new(stream), dialect: D::default() }
    }

    /// The next unit, answered as a broker does.
    pub async fn hear(&mut self, exchange: &mut Exchange, end: Instant) -> Result<Heard<D::Unit>, Stop> {
        loop {
            match self.dialect.decode(&mut self.io.incoming) {
                Ok(Some(unit)) => {
                    exchange.broker_heard(&D::bare(&unit));
                    if let Some(answer) = self.dialect.answer(&unit) {
                        self.say(exchange, answer).await?;
                    }
                    return Ok(Heard::Said(unit));
                }
                Ok(None) => {}
                Err(why) => return fail(format!("the agent sends what no broker understands: {why}")),
            }
            match tokio::time::timeout_at(end, self.io.round()).await {
                Err(_) => return Ok(Heard::Silence),
                Ok(Round::Over(_)) => {
                    exchange.note("the agent closes the connection");
                    return Ok(Heard::End);
                }
                Ok(Round::Read | Round::Written) => {}
            }
        }
    }

    /// The next unit that is wanted; it must come before the connection ends.
    pub async fn wait_for(
        &mut self,
        exchange: &mut Exchange,
        what: &str,
        within: Duration,
        wanted: impl Fn(&D::Unit) -> bool,
    ) -> Result<D::Unit, Stop> {
        let end = Instant::now() + within;
        loop {
            match self.hear(exchange, end).await? {
                Heard::Said(unit) if wanted(&unit) => return Ok(unit),
                Heard::Said(_) => {}
                Heard::End => return fail(format!("the agent closed the connection in place of {what}")),
                Heard::Silence => {
                    return fail(format!("{what} did not come within {} s", within.as_secs_f32()));
                }
            }
        }
    }

    /// Says something. An agent that has gone meanwhile is found out by what it says no more.
    pub async fn say(&mut self, exchange: &mut Exchange, unit: D::Unit) -> Verdict {
        exchange.broker_said(&D::bare(&unit));
        if let Err(why) = self.dialect.encode(unit, &mut self.io.outgoing) {
            return fail(format!("the broker cannot say it: {why}"));
        }
        let end = Instant::now() + SAYING;
        while !self.io.is_flushed() {
            match tokio::time::timeout_at(end, self.io.round()).await {
                Ok(Round::Over(_)) => return Ok(()),
                Ok(_) => {}
                Err(_) => return fail("the agent does not read what the broker says"),
            }
        }
        Ok(())
    }

    /// Ends the connection as a broker that goes away.
    pub async fn close(self, exchange: &mut Exchange) {
        exchange.note("the broker closes the connection");
        self.io.close().await;
    }
}

/// Time for an agent to read.
const SAYING: Duration = Duration::from_secs(10);
