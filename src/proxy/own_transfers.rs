//! What the gateway has given the CPE to do: what the CPE says about it is not the ACS's to know. Transfers are told
//! apart by their keys, a Reboot by the controller's, diagnostics by who has any open. Their events are taken out of
//! Informs, entries of transfers out of lists of queued ones, and their TransferComplete is answered here.

use crate::agent::{self, Env, OwnEvents, Reset, Transferred, is_own_key};
use crate::cwmp::rpc::{EventStruct, Inform, Request, Response, TransferComplete, TransferCompleteResponse};
use crate::cwmp::soap::{self, Envelope, Header, Item, Limits, Message, Reshape};

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
    own: OwnEvents,
    /// Whether `7 TRANSFER COMPLETE` goes along with them.
    complete: bool,
    /// `0 BOOTSTRAP` is no matter of the ACS's; whether `1 BOOT` stands in its place, where there is none yet.
    bootstrap: Option<bool>,
    /// How many others there are.
    pub left: usize,
}

impl Items {
    /// An Inform without events is none: one with nothing but ours passes as it is, where the ACS has to be told of
    /// it at all.
    fn of_events(events: &[EventStruct<'_>], own: &OwnEvents, hides_bootstrap: bool) -> Option<Self> {
        let whole = OwnWork::of(events, own);
        let bootstrap = hides_bootstrap && events.iter().any(|event| event.event_code.starts_with(BOOTSTRAP));
        let boots = events.iter().any(|event| event.event_code.starts_with(BOOT));
        let mut items = Self {
            array: "Event",
            own: own.clone(),
            complete: whole.complete,
            bootstrap: bootstrap.then_some(!boots),
            left: 0,
        };
        let rest = |items: &Self| {
            let left =
                events.iter().filter(|event| !items.takes(&event.event_code, &event.command_key)).count();
            left + usize::from(items.bootstrap == Some(true))
        };
        items.left = rest(&items);
        if items.left == 0 && items.complete {
            items.complete = false;
            items.left = rest(&items);
        }
        let goes = |event: &EventStruct<'_>| items.takes(&event.event_code, &event.command_key);
        (items.left > 0 && events.iter().any(goes)).then_some(items)
    }

    fn of_transfers<'k>(keys: impl Iterator<Item = &'k str> + Clone) -> Option<Self> {
        let left = keys.clone().filter(|key| !is_own_key(key)).count();
        let own = OwnEvents::default();
        let items = Self { array: "TransferList", own, complete: false, bootstrap: None, left };
        (left < keys.count()).then_some(items)
    }

    /// Takes them out of a body; one that cannot be edited stays, and the ACS sees them.
    pub fn cut(&self, post: &mut Post, out: &mut Vec<Output>) {
        let goes = |item: &Item<'_>| self.takes(item.text("EventCode"), item.text("CommandKey"));
        let boot = [EventStruct { event_code: "1 BOOT".into(), command_key: "".into() }];
        let reshape = Reshape {
            drop_event: &goes,
            add_events: if self.bootstrap == Some(true) { &boot } else { &[] },
            drop_parameter: &|_| false,
            add_parameters: &[],
        };
        let edits = |text: &str| match self.array {
            "Event" => soap::reshape_inform(text, &Limits::default(), &reshape),
            array => soap::drop_items(text, &Limits::default(), array, &goes),
        };
        match edited(post, edits) {
            None => out.push(Output::Log(
                "the ACS sees what is the gateway's: the CPE's message cannot be edited".into(),
            )),
            body => post.edit(body),
        }
    }

    /// Whether an item goes, by its code and key.
    fn takes(&self, code: &str, key: &str) -> bool {
        self.own.hold(code, key)
            || (self.complete && code.starts_with(COMPLETE))
            || (self.bootstrap.is_some() && code.starts_with(BOOTSTRAP))
    }
}

/// What of an Inform's events stands for work of the gateway's alone.
pub(super) struct OwnWork<'o> {
    own: &'o OwnEvents,
    complete: bool,
}

impl<'o> OwnWork<'o> {
    /// `7 TRANSFER COMPLETE` has no key: it goes with a transfer of ours if none of the ACS's is told along with it.
    pub fn of(events: &[EventStruct<'_>], own: &'o OwnEvents) -> Self {
        let is_transfer = |event: &&EventStruct<'_>| {
            event.event_code.starts_with("M ") && event.event_code.ends_with("load")
        };
        let mut transfers = events.iter().filter(is_transfer).peekable();
        let complete =
            transfers.peek().is_some() && transfers.all(|it| own.hold(&it.event_code, &it.command_key));
        Self { own, complete }
    }

    pub fn holds(&self, event: &EventStruct<'_>) -> bool {
        self.own.hold(&event.event_code, &event.command_key)
            || (self.complete && event.event_code.starts_with(COMPLETE))
    }
}

impl Own {
    /// `own` is what the gateway has given the CPE to do; `bootstrap`: its `0 BOOTSTRAP` is no matter of the ACS's.
    pub fn of(message: &Message<'_>, id: Option<&str>, own: &OwnEvents, bootstrap: bool) -> Self {
        let items = match message {
            Message::Request(Request::Inform(inform)) => Items::of_events(&inform.event, own, bootstrap),
            Message::Request(Request::TransferComplete(transfer)) => {
                let said = Some(&*transfer.command_key).filter(|key| is_own_key(key));
                let key = said.or_else(|| own.lost_key(&transfer.command_key));
                let Some(key) = key.map(str::to_owned) else { return Self::Nothing };
                return Self::Transfer(transferred(transfer, key), id.map(str::to_owned));
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

fn transferred(transfer: &TransferComplete<'_>, command_key: String) -> Transferred {
    Transferred {
        command_key,
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

    /// What of a message of the CPE's is the gateway's.
    pub(super) fn own_of(&self, envelope: &Envelope<'_>) -> Own {
        let bootstrap = match &envelope.message {
            Message::Request(Request::Inform(inform)) => self.hides_bootstrap(inform),
            _ => false,
        };
        Own::of(&envelope.message, envelope.header.id.as_deref(), &self.agent.own_events(), bootstrap)
    }

    /// Whether the ACS knows this device, and its `0 BOOTSTRAP` comes of no more than its new URL.
    fn hides_bootstrap(&self, inform: &Inform<'_>) -> bool {
        let Some(known) = &self.config.hide_bootstrap else { return false };
        inform.event.iter().any(|event| event.event_code.starts_with(BOOTSTRAP))
            && self.agent.reset_by(inform, self.first_contact) == Reset::No
            && known.holds(&inform.device_id)
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
const BOOTSTRAP: &str = "0 ";
const BOOT: &str = "1 ";

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
            Items::of_events(&events, &OwnEvents::default(), false).map(|items| (items.complete, items.left))
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
