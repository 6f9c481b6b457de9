//! Messages on their way to the server: those that wait, those that it has not acknowledged, and what became of
//! those whose end somebody wants to know.

use std::collections::VecDeque;

use super::packet::{Packet, Publish};

/// A message, and the ticket of whoever wants to know its end.
#[derive(Debug)]
struct Item {
    publish: Publish,
    ticket: Option<u64>,
    /// Of QoS 2: the server has it, and is to forget its packet id.
    released: bool,
}

/// The end of a message with a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub ticket: u64,
    pub result: Result<(), Undelivered>,
}

/// Why a message was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undelivered {
    /// The server takes no packet of this size.
    TooLarge(String),
    /// The server refuses it, for this reason.
    Refused(String),
    /// The connection was lost before it was sent.
    Lost,
}

/// What the server takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Messages in flight at once.
    pub window: usize,
    pub max_qos: u8,
    pub retain: bool,
}

#[derive(Debug, Default)]
pub(super) struct Outgoing {
    waiting: VecDeque<Item>,
    /// Sent and not acknowledged, oldest first.
    in_flight: VecDeque<Item>,
    /// Of `in_flight`, how many of the newest are to be sent again after a reconnection.
    again: usize,
    next_id: u16,
    /// The packet id and the ticket of the message that went out last.
    last: (u16, Option<u64>),
    ended: Vec<Ended>,
}

impl Outgoing {
    pub fn len(&self) -> usize {
        self.waiting.len() + self.in_flight.len()
    }

    pub fn push(&mut self, publish: Publish, ticket: Option<u64>) {
        self.waiting.push_back(Item { publish, ticket, released: false });
    }

    /// Ahead of all that waits.
    pub fn push_first(&mut self, publish: Publish) {
        self.waiting.push_front(Item { publish, ticket: None, released: false });
    }

    /// What is to be sent next.
    pub fn next(&mut self, limits: Limits) -> Option<Packet> {
        if self.again > 0 {
            let item = self.in_flight.get(self.in_flight.len() - self.again)?;
            self.again -= 1;
            let id = item.publish.packet_id;
            self.last = (id, item.ticket);
            return Some(match item.released {
                true => Packet::PubRel { id },
                false => Packet::Publish(Publish { dup: true, ..item.publish.clone() }),
            });
        }
        let qos = self.waiting.front()?.publish.qos.min(limits.max_qos);
        if qos > 0 && self.in_flight.len() >= limits.window {
            return None;
        }
        let mut item = self.waiting.pop_front()?;
        item.publish.qos = qos;
        item.publish.retain &= limits.retain;
        if qos > 0 {
            item.publish.packet_id = self.fresh_id();
        }
        let publish = item.publish.clone();
        self.last = (publish.packet_id, item.ticket);
        match qos {
            // Nobody acknowledges it.
            0 => self.end(item.ticket, Ok(())),
            _ => self.in_flight.push_back(item),
        }
        Some(Packet::Publish(publish))
    }

    /// What went out last could not be written: it is larger than the server takes.
    pub fn unsent(&mut self, why: String) {
        let (id, ticket) = self.last;
        match id {
            // It counted as delivered.
            0 => {
                self.ended.pop_if(|ended| Some(ended.ticket) == ticket);
                self.end(ticket, Err(Undelivered::TooLarge(why)));
            }
            id => self.acknowledged(id, Err(Undelivered::TooLarge(why))),
        }
    }

    /// The server has a message of QoS 2.
    pub fn received(&mut self, id: u16) {
        let item = self.in_flight.iter_mut().find(|item| item.publish.packet_id == id);
        if let Some(item) = item.filter(|item| item.publish.qos == 2) {
            item.released = true;
        }
    }

    /// This is the end of a message in flight.
    pub fn acknowledged(&mut self, id: u16, result: Result<(), Undelivered>) {
        let Some(at) = self.in_flight.iter().position(|item| item.publish.packet_id == id) else { return };
        let ticket = self.in_flight.remove(at).and_then(|item| item.ticket);
        self.again = self.again.min(self.in_flight.len());
        self.end(ticket, result);
    }

    /// The connection is lost. What was sent stays in flight; what was not, and somebody asks after, is given
    /// back: who asks decides anew.
    pub fn disconnected(&mut self) {
        let (lost, stay): (VecDeque<_>, _) =
            std::mem::take(&mut self.waiting).into_iter().partition(|item| item.ticket.is_some());
        self.waiting = stay;
        lost.into_iter().for_each(|item| self.end(item.ticket, Err(Undelivered::Lost)));
    }

    /// The server is back. If it has forgotten what was under way, all of it is new to it.
    pub fn connected(&mut self, session_present: bool) {
        if !session_present {
            for mut item in self.in_flight.drain(..).rev() {
                (item.publish.packet_id, item.released) = (0, false);
                self.waiting.push_front(item);
            }
        }
        self.again = self.in_flight.len();
    }

    /// A packet id that nothing in flight has.
    pub fn fresh_id(&mut self) -> u16 {
        loop {
            self.next_id = self.next_id.checked_add(1).unwrap_or(1);
            if !self.in_flight.iter().any(|item| item.publish.packet_id == self.next_id) {
                return self.next_id;
            }
        }
    }

    /// What has come to its end since this was last asked.
    pub fn take_ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    fn end(&mut self, ticket: Option<u64>, result: Result<(), Undelivered>) {
        self.ended.extend(ticket.map(|ticket| Ended { ticket, result }));
    }
}
