//! Which writes of which master are in the way of another: what is judged, noted and told (the rules themselves
//! are in `policy`). What controllers must not write was refused before, where their rights are asked.

use crate::cwmp::rpc::{Request, Response};
use crate::datamodel::path;
use crate::durable::{Change, Entry, Kind};
use crate::identity::EndpointId;
use crate::policy::{Action, Conflict, Ledger, Writer};
use crate::translation::{Denied, Refusal, Sort, is_local, written_by};

use super::core::Agent;
use super::io::{Env, Output, Shadow};
use super::queue::Asker;

/// The ledger of one device, and how much of it was logged lately.
#[derive(Default)]
pub(super) struct Conflicts {
    ledger: Ledger,
    /// When the minute began in which lines are counted, and how many there were.
    logged: (u64, u32),
}

/// A write that a CPE has carried out, in TR-181 terms.
pub(super) struct Written {
    path: String,
    old: Option<String>,
    new: Option<String>,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Value,
    Added,
    Deleted,
}

impl Conflicts {
    pub fn restore(entries: &[Entry]) -> Self {
        let entry = entries.iter().find(|entry| entry.kind == Kind::Conflicts);
        let ledger = entry.map(|entry| Ledger::decode(&entry.value)).unwrap_or_default();
        Self { ledger, ..Self::default() }
    }

    /// Whether there is room for one more line.
    fn may_log(&mut self, now: u64) -> bool {
        let (since, lines) = &mut self.logged;
        if now.saturating_sub(*since) >= MINUTE_MS {
            (*since, *lines) = (now, 0);
        }
        *lines = lines.saturating_add(1);
        *lines <= MAX_LINES
    }
}

/// What a request, of either master, has changed of the CPE by this response; called before the shadow learns it.
pub(super) fn written(shadow: &Shadow, request: &Request<'_>, response: &Response<'_>) -> Vec<Written> {
    match (request, response) {
        (Request::SetParameterValues(set), Response::SetParameterValuesResponse(_)) => {
            let values = set.parameter_list.iter().map(|one| Written {
                path: one.name.to_string(),
                old: shadow.cpe.value(&one.name).map(str::to_owned),
                new: Some(one.value.to_string()),
                what: What::Value,
            });
            values.take(MAX_JUDGED).collect()
        }
        (Request::AddObject(add), Response::AddObjectResponse(added)) => {
            let path = format!("{}{}.", add.object_name, added.instance_number);
            vec![Written { path, old: None, new: None, what: What::Added }]
        }
        (Request::DeleteObject(delete), Response::DeleteObjectResponse(_)) => {
            let path = delete.object_name.to_string();
            vec![Written { path, old: None, new: None, what: What::Deleted }]
        }
        _ => Vec::new(),
    }
}

impl Agent {
    /// Whether writes are judged at all.
    pub(super) fn judges(&self) -> bool {
        self.config.ownership.is_on() && self.has_agent()
    }

    /// The ACS has written.
    pub(super) fn judge_acs(
        &mut self,
        env: &Env,
        shadow: &Shadow,
        request: &Request<'_>,
        response: &Response<'_>,
        out: &mut Vec<Output>,
    ) {
        let written = written(shadow, request, response);
        self.judge(env, Writer::Acs, request.name(), written, out);
    }

    /// What a master has written is judged by the rules, and by who wrote it before.
    pub(super) fn judge(
        &mut self,
        env: &Env,
        writer: Writer<'_>,
        by: &str,
        written: Vec<Written>,
        out: &mut Vec<Output>,
    ) {
        let mut changed = false;
        for one in written {
            // The same value again is in nobody's way.
            if is_local(&one.path) || (one.what == What::Value && one.old == one.new) {
                continue;
            }
            changed = true;
            let conflict = self.conflict_of(env, writer, by, one);
            if let Some(conflict) = conflict {
                self.note_conflict(env, conflict, out);
            }
        }
        if changed {
            self.keep_conflicts(out);
        }
    }

    fn conflict_of(&mut self, env: &Env, writer: Writer<'_>, by: &str, one: Written) -> Option<Conflict> {
        let ownership = &self.config.ownership;
        let (about, whole) = match one.what {
            // An instance is judged as its table: by rules about any instance, not by those about this one.
            What::Added => written_by(Sort::Obj, path::parent(&one.path).unwrap_or("")),
            What::Deleted => written_by(Sort::InstantiatedObj, &one.path),
            What::Value => written_by(Sort::Param, &one.path),
        }?;
        let broken = ownership.against(&about, writer, whole);
        let name = writer.to_string();
        let gone = one.what == What::Deleted;
        let previous = self.conflicts.ledger.wrote(&one.path, &name, env.wall, ownership.window_ms, gone);
        if broken.is_none() && previous.is_none() {
            return None;
        }
        let action = match (broken, writer) {
            (Some(_), Writer::Controller(_)) => Action::WouldBeDenied,
            _ => Action::Overwritten,
        };
        let rule = broken.or_else(|| ownership.rule_for(&about));
        Some(Conflict {
            at: env.wall,
            writer: name,
            by: by.to_owned(),
            old: one.old,
            new: one.new,
            rule: rule.map(|rule| rule.name.clone()),
            owner: rule.map(|rule| rule.owner.to_string()),
            path: one.path,
            previous,
            action,
            times: 1,
        })
    }

    /// A controller wanted to write what another master owns.
    pub(super) fn note_denied(
        &mut self,
        env: &Env,
        shadow: &Shadow,
        (controller, msg_id): (&EndpointId, &str),
        denied: Vec<Denied>,
        action: Action,
        out: &mut Vec<Output>,
    ) {
        if denied.is_empty() {
            return;
        }
        for one in denied {
            let conflict = Conflict {
                at: env.wall,
                writer: controller.to_string(),
                by: by_message(msg_id),
                old: shadow.cpe.value(&one.path).map(str::to_owned),
                new: one.wanted,
                rule: Some(one.rule),
                owner: Some(one.owner),
                path: one.path,
                previous: None,
                action,
                times: 1,
            };
            self.note_conflict(env, conflict, out);
        }
        self.keep_conflicts(out);
    }

    /// A command of a controller that may write, before it is carried out. Returns why it must not be.
    pub(super) fn judge_operation(
        &mut self,
        env: &Env,
        shadow: &Shadow,
        by: (&EndpointId, &str),
        command: &str,
        out: &mut Vec<Output>,
    ) -> Option<Refusal> {
        if let Some(refusal) = self.held_back(command) {
            return Some(refusal);
        }
        let denied = self.denial_of(by.0, command)?;
        let enforced = self.config.ownership.enforces();
        let refusal = denied.refusal();
        let action = if enforced { Action::Denied } else { Action::WouldBeDenied };
        self.note_denied(env, shadow, by, vec![denied], action, out);
        enforced.then_some(refusal)
    }

    fn denial_of(&self, controller: &EndpointId, command: &str) -> Option<Denied> {
        let (path, whole) = written_by(Sort::CommandEvent, command)?;
        let rule = self.config.ownership.against(&path, Writer::Controller(controller), whole)?;
        (self.judges() && !is_local(&path)).then(|| Denied::new(command, None, rule))
    }

    fn note_conflict(&mut self, env: &Env, conflict: Conflict, out: &mut Vec<Output>) {
        let action = conflict.action;
        let told = self.conflicts.may_log(env.now);
        let noted = self.conflicts.ledger.note(conflict);
        out.push(Output::Conflict { action, line: told.then(|| line(noted)) });
    }

    fn keep_conflicts(&mut self, out: &mut Vec<Output>) {
        let value = self.conflicts.ledger.encode();
        self.persist(vec![Change::put(Kind::Conflicts, "", value)], out);
    }
}

/// The message that a controller wrote by.
pub(super) fn by_message_of(asker: &Asker) -> String {
    by_message(&asker.msg_id)
}

fn by_message(msg_id: &str) -> String {
    if msg_id.is_empty() { "a subscription's trigger".to_owned() } else { format!("message {msg_id}") }
}

/// For the operator: without values.
fn line(conflict: &Conflict) -> String {
    let Conflict { writer, by, path, .. } = conflict;
    let before = conflict.previous.as_ref().map(|it| format!(", written lately by {it}")).unwrap_or_default();
    let owner = conflict.owner.iter().zip(&conflict.rule);
    let owner: String = owner.map(|(owner, rule)| format!(", of {owner} by the rule \"{rule}\"")).collect();
    format!("{writer} writes {path} ({by}){owner}{before}")
}

const MINUTE_MS: u64 = 60_000;
/// Lines for one device in a minute.
const MAX_LINES: u32 = 10;
/// Parameters of one request that are judged.
const MAX_JUDGED: usize = 256;
