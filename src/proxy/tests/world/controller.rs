//! The controller of a world: it reads, writes, adds, deletes, runs a diagnostic and subscribes, and keeps book of what
//! it was told.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::usp::message::add_resp::created_object_result::operation_status::OperStatus;
use crate::usp::message::notify::Notification;
use crate::usp::message::operate_resp::operation_result::OperationResp;

const PING: &str = "Device.IP.Diagnostics.IPPing()";

/// What it has asked for.
enum Asked {
    Get,
    Set { value: String },
    Add,
    Delete { row: String },
    Ping { key: String },
    Watch { name: &'static str },
    Hear,
    Unwatch,
}

#[derive(Default)]
pub(super) struct Controller {
    asked: BTreeMap<String, Asked>,
    answered: BTreeSet<String>,
    number: u64,
    /// Its port mappings, and how many Adds had an end that it does not know.
    rows: BTreeSet<String>,
    unknown_adds: usize,
    unknown_deletes: usize,
    /// Diagnostics that were taken on and have not been told of, and the message that told the end of each.
    operations: BTreeSet<String>,
    completed: BTreeMap<(String, String), String>,
    /// What it was told by each message, so that a retry can be known.
    notified: BTreeMap<String, message::Notify>,
    watch: Option<Watch>,
    /// Whether it hears of the ends of operations.
    hears_ends: bool,
    /// Something that was confirmed may be missing: the store has failed, or USP was switched off.
    excused: bool,
}

/// A subscription to changes of a value.
struct Watch {
    row: String,
    name: &'static str,
    /// The value that it believes in, once the gateway has read one since the subscription.
    value: Option<String>,
}

impl Controller {
    pub fn answers(&self) -> usize {
        self.answered.len()
    }

    /// The gateway has died: what it had not answered it never will.
    pub fn lost_contact(&mut self) {
        let adds = self.asked.values().filter(|asked| matches!(asked, Asked::Add)).count();
        let deletes = self.asked.values().filter(|asked| matches!(asked, Asked::Delete { .. })).count();
        (self.unknown_adds, self.unknown_deletes) =
            (self.unknown_adds + adds, self.unknown_deletes + deletes);
        self.asked.clear();
    }

    /// The gateway has read this: from now on it can tell of changes.
    pub fn is_read(&mut self, name: &str, value: &str) {
        if let Some(watch) = self.watch.as_mut().filter(|watch| watch.name == name) {
            watch.value.get_or_insert_with(|| value.to_owned());
        }
    }

    pub fn forgets_what_was_read(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.value = None;
        }
    }

    pub fn excuses(&mut self) {
        self.excused = true;
    }

    pub fn bypassed(&mut self) {
        self.operations.clear();
        self.watch = None;
    }

    pub fn promises_are_kept(&self, cpe: &Cpe, crashes: u32) {
        let open: Vec<&String> = self.asked.keys().collect();
        assert!(open.is_empty() || self.excused, "no answer came to {open:?}");
        let withheld = self.asked.values().filter(|asked| matches!(asked, Asked::Add)).count();
        assert!(
            cpe.added.len() <= self.rows.len() + self.unknown_adds + withheld + cpe.refused_deletes,
            "objects are left over: {:?}, told of {:?}, {} unknown",
            cpe.added,
            self.rows,
            self.unknown_adds
        );
        if self.unknown_deletes == 0 && !self.excused {
            for row in &self.rows {
                assert!(cpe.added.contains(row), "{row} is gone");
            }
        }
        if self.excused {
            return;
        }
        assert!(self.operations.is_empty(), "the end of {:?} was never told", self.operations);
        if let Some(Watch { name, value: Some(value), .. }) = &self.watch {
            assert_eq!(value, cpe.value(name), "the controller was not told of {name}; {crashes} crashes");
        }
    }
}

impl World {
    fn ask(&mut self, asked: Asked, request: message::Request) {
        self.controller.number += 1;
        let msg_id = format!("q{}", self.controller.number);
        self.controller.asked.insert(msg_id.clone(), asked);
        self.send(Message::request(msg_id, request));
    }

    fn send(&mut self, message: Message) {
        let from = EndpointId::parse("self::ctl").unwrap();
        let record = Record::plain(&from, &self.cpe.bench.id().endpoint_id(), message.encode()).encode();
        self.tell(Input::Record(record, Integrity::Trusted, Shown::Untold));
    }

    pub(super) fn controller_asks(&mut self) {
        if self.controller.asked.len() >= 5 {
            return;
        }
        let asked = &self.controller.asked;
        if !self.controller.hears_ends && !asked.values().any(|asked| matches!(asked, Asked::Hear)) {
            return self.ask(Asked::Hear, subscribe("OperationComplete", PING));
        }
        match self.chance(12) {
            0..=3 => self.controller_writes(),
            4 | 5 => self.controller_subscribes(),
            6 | 7 => {
                let setting = setting("Description", "ours");
                self.ask(Asked::Add, add(TABLE, vec![setting]));
            }
            8 => self.controller_deletes(),
            9 => {
                let key = format!("ping {}", self.controller.number);
                let input_args = [("Host".to_owned(), "127.0.0.1".to_owned())].into();
                let (command, command_key) = (PING.to_owned(), key.clone());
                let operate = message::Operate { command, command_key, send_resp: true, input_args };
                self.ask(Asked::Ping { key }, message::Request::Operate(operate));
            }
            _ => {
                let get = message::Get { param_paths: vec![SSID.into()], max_depth: 0 };
                self.ask(Asked::Get, message::Request::Get(get));
            }
        }
    }

    fn controller_writes(&mut self) {
        let name = self.some_parameter();
        let value = format!("usp {}", self.controller.number);
        let (object, param) = name.rsplit_once('.').unwrap();
        let setting =
            message::set::UpdateParamSetting { param: param.into(), value: value.clone(), required: true };
        let update =
            message::set::UpdateObject { obj_path: format!("{object}."), param_settings: vec![setting] };
        let allow_partial = self.chance(2) == 0;
        let set = message::Set { allow_partial, update_objs: vec![update] };
        self.ask(Asked::Set { value }, message::Request::Set(set));
    }

    fn controller_subscribes(&mut self) {
        let pending = self.controller.asked.values();
        if pending.into_iter().any(|asked| matches!(asked, Asked::Watch { .. } | Asked::Unwatch)) {
            return;
        }
        match self.controller.watch.take() {
            Some(Watch { row, .. }) => self.ask(Asked::Unwatch, delete(row)),
            None => {
                let name = self.some_parameter();
                self.ask(Asked::Watch { name }, subscribe("ValueChange", name));
            }
        }
    }

    fn controller_deletes(&mut self) {
        let deleting: BTreeSet<&String> = self
            .controller
            .asked
            .values()
            .filter_map(|asked| if let Asked::Delete { row } = asked { Some(row) } else { None })
            .collect();
        let row = self.controller.rows.iter().find(|row| !deleting.contains(row)).cloned();
        if let Some(row) = row {
            self.ask(Asked::Delete { row: row.clone() }, delete(row));
        }
    }

    pub(super) fn controller_hears(&mut self, record: Bytes) {
        let Payload::NoSession(payload) = Record::decode(record).unwrap().payload else { return };
        let message = Message::decode(payload).unwrap();
        match message.body {
            MessageBody::Request(message::Request::Notify(notify)) => {
                self.controller_is_notified(message.msg_id, notify);
            }
            MessageBody::Request(other) => panic!("a controller is asked {other:?}"),
            body => {
                if self.traced {
                    println!("        == {} {body:?}", message.msg_id);
                }
                let fresh = self.controller.answered.insert(message.msg_id.clone());
                assert!(fresh, "{} was answered twice", message.msg_id);
                let asked = self.controller.asked.remove(&message.msg_id);
                let asked = asked.unwrap_or_else(|| panic!("{} was never asked, or died", message.msg_id));
                self.controller_is_answered(asked, body);
            }
        }
    }

    fn controller_is_answered(&mut self, asked: Asked, body: MessageBody) {
        let unknown = matches!(&body, MessageBody::Error(error) if error.err_msg.contains("outcome unknown"))
            || format!("{body:?}").contains("outcome unknown");
        let response = if let MessageBody::Response(response) = body { Some(response) } else { None };
        let book = &mut self.controller;
        match (asked, response) {
            (Asked::Set { value }, response) => {
                let times = self.cpe.written.get(&value).copied().unwrap_or(0);
                assert!(times <= 1, "{value} was written {times} times");
                let took = matches!(&response, Some(message::Response::SetResp(resp)) if has_set(resp));
                assert!(!took || times == 1, "success was told of {value}, which the CPE never had");
                assert!(took || unknown || times == 0, "failure was told of {value}, which the CPE had");
                if took {
                    self.acs.usp_succeeded(&value);
                }
            }
            (Asked::Add, Some(message::Response::AddResp(resp))) => match created(&resp) {
                Some(row) => {
                    assert!(self.cpe.added.contains(&row), "{row} was told and is not there");
                    assert!(book.rows.insert(row), "one object was told twice");
                }
                None => book.unknown_adds += usize::from(unknown),
            },
            (Asked::Add, _) => book.unknown_adds += usize::from(unknown),
            (Asked::Delete { row }, Some(message::Response::DeleteResp(_))) => {
                assert!(!self.cpe.added.contains(&row), "{row} is told to be gone, and is there");
                book.rows.remove(&row);
            }
            (Asked::Delete { row }, _) => {
                book.unknown_deletes += usize::from(unknown);
                let sure = !unknown && book.unknown_deletes == 0;
                assert!(!sure || self.cpe.added.contains(&row), "{row} is told to be there, and is gone");
            }
            (Asked::Ping { key }, Some(message::Response::OperateResp(resp))) => {
                let taken_on =
                    matches!(resp.operation_results[0].operation_resp, Some(OperationResp::ReqObjPath(_)));
                if taken_on && book.hears_ends && !book.completed.keys().any(|(ended, _)| *ended == key) {
                    book.operations.insert(key);
                }
            }
            (Asked::Hear, Some(message::Response::AddResp(resp))) => {
                book.hears_ends |= created(&resp).is_some()
            }
            (Asked::Watch { name }, Some(message::Response::AddResp(resp))) if self.order.is_none() => {
                book.watch = created(&resp).map(|row| Watch { row, name, value: None });
            }
            _ => {}
        }
    }

    fn controller_is_notified(&mut self, msg_id: String, notify: message::Notify) {
        if self.traced {
            println!("        == {msg_id} {notify:?}");
        }
        let book = &mut self.controller;
        if let Some(before) = book.notified.get(&msg_id) {
            assert_eq!(before, &notify, "a retry tells something else");
        }
        let again = book.notified.insert(msg_id.clone(), notify.clone()).is_some();
        match notify.notification {
            Some(Notification::ValueChange(change)) if !again => {
                if let Some(watch) = book.watch.as_mut().filter(|watch| watch.name == change.param_path) {
                    watch.value = Some(change.param_value);
                }
            }
            Some(Notification::OperComplete(end)) => {
                let by = (end.command_key.clone(), notify.subscription_id.clone());
                let first = book.completed.entry(by).or_insert_with(|| msg_id.clone());
                assert!(
                    *first == msg_id || book.excused,
                    "{} ended twice: {first}, {msg_id}",
                    end.command_key
                );
                book.operations.remove(&end.command_key);
            }
            _ => {}
        }
        if notify.send_resp && !self.fails(4) {
            let resp = message::NotifyResp { subscription_id: notify.subscription_id };
            self.send(Message::response(msg_id, message::Response::NotifyResp(resp)));
        }
    }
}

fn setting(param: &str, value: &str) -> message::add::CreateParamSetting {
    message::add::CreateParamSetting { param: param.into(), value: value.into(), required: true }
}

fn add(table: &str, param_settings: Vec<message::add::CreateParamSetting>) -> message::Request {
    let object = message::add::CreateObject { obj_path: table.into(), param_settings };
    message::Request::Add(message::Add { allow_partial: false, create_objs: vec![object] })
}

fn subscribe(notif_type: &str, reference: &str) -> message::Request {
    let settings = [
        ("Enable", "true"),
        ("NotifType", notif_type),
        ("ReferenceList", reference),
        ("Persistent", "true"),
        ("NotifRetry", "true"),
    ];
    let settings = settings.map(|(param, value)| setting(param, value));
    add("Device.LocalAgent.Subscription.", settings.into())
}

fn delete(row: String) -> message::Request {
    message::Request::Delete(message::Delete { allow_partial: false, obj_paths: vec![row] })
}

fn created(resp: &message::AddResp) -> Option<String> {
    let status = resp.created_obj_results[0].oper_status.as_ref()?.oper_status.as_ref()?;
    if let OperStatus::OperSuccess(done) = status { Some(done.instantiated_path.clone()) } else { None }
}

fn has_set(resp: &message::SetResp) -> bool {
    use message::set_resp::updated_object_result::operation_status::OperStatus;
    let status = resp.updated_obj_results[0].oper_status.as_ref().and_then(|it| it.oper_status.as_ref());
    matches!(status, Some(OperStatus::OperSuccess(_)))
}
