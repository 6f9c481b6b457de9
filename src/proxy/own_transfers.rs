//! Transfers that the gateway has told the CPE to make: what the CPE says about them is not the ACS's to know. Their
//! keys tell them apart. Their events are taken out of Informs, their entries out of lists of queued transfers, and
//! their TransferComplete is answered here.

use crate::agent::{self, Env, Transferred, is_own_key};
use crate::cwmp::rpc::{EventStruct, Request, Response, TransferComplete, TransferCompleteResponse};
use crate::cwmp::soap::{self, Header, Item, Limits, Message};

use super::arbiter::last_commit;
use super::device::Device;
use super::io::{Output, Post};
use super::session::{Phase, Session};
use super::virtualised::edited;

/// What of a body of the CPE's is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Own {
    Nothing,
    /// Items of an array in it.
    Items(Items),
    /// All of it: the end of a transfer, and the id of its envelope.
    Transfer(Transferred, Option<String>),
}

/// The items of ours in an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Items {
    /// The array's local name.
    array: &'static str,
    /// Whether `7 TRANSFER COMPLETE` goes along with them.
    complete: bool,
    /// How many others there are.
    pub left: usize,
}

impl Items {
    /// `7 TRANSFER COMPLETE` has no key: it goes with ours if no transfer of the ACS's is told along with them, and if
    /// something else is left, since an Inform without events is none; one with nothing but ours passes as it is.
    fn of_events(events: &[EventStruct<'_>]) -> Option<Self> {
        let own = |event: &&EventStruct<'_>| is_own_key(&event.command_key);
        let is_complete = |event: &&EventStruct<'_>| event.event_code.starts_with(COMPLETE);
        let is_transfer = |event: &&EventStruct<'_>| {
            event.event_code.starts_with("M ") && event.event_code.ends_with("load")
        };
        let others = || events.iter().filter(|event| !own(event));
        let rest = others().filter(|event| !is_complete(event)).count();
        let complete = rest > 0 && !others().any(|event| is_transfer(&event));
        let left = if complete { rest } else { others().count() };
        (left > 0 && events.iter().any(|event| own(&event))).then_some(Self {
            array: "Event",
            complete,
            left,
        })
    }

    fn of_transfers<'k>(keys: impl Iterator<Item = &'k str> + Clone) -> Option<Self> {
        let left = keys.clone().filter(|key| !is_own_key(key)).count();
        (left < keys.count()).then_some(Self { array: "TransferList", complete: false, left })
    }

    /// Takes them out of a body; one that cannot be edited stays, and the ACS sees them.
    pub fn cut(&self, post: &mut Post, out: &mut Vec<Output>) {
        let go = |item: &Item<'_>| self.go(item);
        match edited(post, |text| soap::drop_items(text, &Limits::default(), self.array, &go)) {
            None => out.push(Output::Log(
                "the ACS sees a transfer of the gateway's: the CPE's message cannot be edited".into(),
            )),
            body => post.edit(body),
        }
    }

    fn go(&self, item: &Item<'_>) -> bool {
        is_own_key(item.text("CommandKey")) || (self.complete && item.text("EventCode").starts_with(COMPLETE))
    }
}

impl Own {
    pub fn of(message: &Message<'_>, id: Option<&str>) -> Self {
        let items = match message {
            Message::Request(Request::Inform(inform)) => Items::of_events(&inform.event),
            Message::Request(Request::TransferComplete(transfer)) if is_own_key(&transfer.command_key) => {
                return Self::Transfer(transferred(transfer), id.map(str::to_owned));
            }
            Message::Response(Response::GetAllQueuedTransfersResponse(response)) => {
                Items::of_transfers(response.transfer_list.iter().map(|it| &*it.command_key))
            }
            Message::Response(Response::GetQueuedTransfersResponse(response)) => {
                Items::of_transfers(response.transfer_list.iter().map(|it| &*it.command_key))
            }
            _ => None,
        };
        items.map_or(Self::Nothing, Self::Items)
    }
}

/// Whether a request tells the end of a transfer that the ACS has begun.
pub(super) fn is_transfer_end(request: &Request<'_>) -> bool {
    matches!(request, Request::TransferComplete(transfer) if !is_own_key(&transfer.command_key))
}

fn transferred(transfer: &TransferComplete<'_>) -> Transferred {
    Transferred {
        command_key: transfer.command_key.to_string(),
        fault_code: transfer.fault_struct.fault_code,
        fault_string: transfer.fault_struct.fault_string.chars().take(MAX_FAULT).collect(),
    }
}

impl Device {
    /// The end of a transfer of ours: it is answered once it is durable that it has ended, or after a while.
    pub(super) fn own_transfer(
        &mut self,
        env: &Env,
        transferred: Transferred,
        id: Option<String>,
        out: &mut Vec<Output>,
    ) {
        let from = out.len();
        self.tell(env, agent::Input::Transferred(transferred), out);
        let after = last_commit(&out[from..], |_| true);
        let header = Header { id: id.map(Into::into), ..Header::default() };
        let response = Response::TransferCompleteResponse(TransferCompleteResponse {});
        let reply = self.soap_reply(header, Message::Response(response));
        self.pass_when_durable(env, reply, after, out);
    }

    /// Whether the ACS has acknowledged this session's Inform, so that its sender is who it says.
    pub(super) fn is_informed(&self) -> bool {
        matches!(&self.session, Some(Session { phase: Phase::Relayed(relayed), .. }) if relayed.leg.is_informed())
    }
}

/// Characters of what a CPE says about a fault.
const MAX_FAULT: usize = 256;

/// How the event of every transfer's end begins.
const COMPLETE: &str = "7 ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tr_069_3_7_1_5_of_an_inform_the_acs_gets_all_that_may_be_about_its_own_transfers() {
        let left = |told: &[(&'static str, &'static str)]| {
            let event = |(code, key): &(&'static str, &'static str)| EventStruct {
                event_code: (*code).into(),
                command_key: (*key).into(),
            };
            let events: Vec<EventStruct<'_>> = told.iter().map(event).collect();
            Items::of_events(&events).map(|items| (items.complete, items.left))
        };
        let ours = ("M Download", "dragoman-usp-1");
        let complete = ("7 TRANSFER COMPLETE", "");
        assert_eq!(left(&[("1 BOOT", ""), complete, ours]), Some((true, 1)));
        assert_eq!(left(&[("1 BOOT", ""), complete, ours, ("M Upload", "acs")]), Some((false, 3)));
        assert_eq!(left(&[complete, ours]), Some((false, 1)), "an Inform must have an event");
        assert_eq!(left(&[("1 BOOT", ""), complete]), None);
        assert_eq!(left(&[ours]), None);
    }
}
