//! `TriggerAction` Config (TP-469 1.93, 1.94): what a subscription sets when it fires, by the rights of its
//! recipient. What is the agent's own is set at once, what is the CPE's in its session.

use crate::translation::{Plan as _, Searched, Set, is_local};
use crate::usp::message::{self, Response, set, set_resp};

use crate::identity::EndpointId;
use crate::translation::Outcome;
use crate::usp::path::{PathError, PathExpr, split_list};

use super::core::Agent;
use super::io::{Env, Output, Shadow};
use super::local::Subscription;
use super::queue::{Asker, Job, Work};

/// A subscription that has fired and is still to set what it says.
#[derive(Debug)]
pub(super) struct Trigger {
    subscription: u32,
    recipient: String,
    /// How many triggers led to this one.
    depth: u8,
}

/// One item of TriggerConfigSettings.
#[derive(Debug, PartialEq, Eq)]
struct Setting<'s> {
    object: &'s str,
    param: &'s str,
    value: &'s str,
}

impl Agent {
    /// Notes that a subscription has fired.
    pub(super) fn trigger(&mut self, subscription: &Subscription) {
        let trigger = Trigger {
            subscription: subscription.instance,
            recipient: subscription.recipient.clone(),
            depth: self.depth,
        };
        self.triggers.push_back(trigger);
    }

    /// Sets what subscriptions that have fired say. What changes thereby may make others fire.
    pub(super) fn carry_out_triggers(&mut self, env: &Env, shadow: &mut Shadow, out: &mut Vec<Output>) {
        while let Some(trigger) = self.triggers.pop_front() {
            let number = trigger.subscription;
            if trigger.depth >= MAX_DEPTH {
                let why = format!("subscription {number} set nothing: {MAX_DEPTH} triggers led to it");
                out.push(Output::Log(why));
                continue;
            }
            let recipient = self.local.controller_of(&trigger.recipient).map(EndpointId::parse);
            let Some(Ok(controller)) = recipient else { continue };
            let name = format!("Device.LocalAgent.Subscription.{number}.TriggerConfigSettings");
            let list = self.local.tree().value(&name).unwrap_or("").to_owned();
            // What is ours does not wait for the CPE.
            for ours in [true, false] {
                let request = request(&list, ours);
                if !request.update_objs.is_empty() {
                    self.set_triggered(env, shadow, &controller, (number, trigger.depth), request, out);
                }
            }
        }
    }

    fn set_triggered(
        &mut self,
        env: &Env,
        shadow: &mut Shadow,
        controller: &EndpointId,
        (subscription, depth): (u32, u8),
        request: message::Set,
        out: &mut Vec<Output>,
    ) {
        let paths: Vec<String> = request.update_objs.iter().map(|it| it.obj_path.clone()).collect();
        let set = Set::new(request);
        let plan = Box::new(Searched::new(paths.iter().map(String::as_str), set));
        let asker = Asker::silent(controller.clone());
        let work = Work::Trigger { subscription, depth };
        if plan.is_local() {
            let before = std::mem::replace(&mut self.depth, depth + 1);
            self.carry_out(env, shadow, asker, plan, work, out);
            self.depth = before;
        } else if self.queue.len() >= self.config.max_queue {
            out.push(Output::Log(format!(
                "subscription {subscription} set nothing: too much waits for the device"
            )));
        } else {
            let deadline = env.now + self.config.request_timeout_ms;
            self.queue.push(Job::new(Some(asker), plan, deadline, work));
            out.push(Output::WantSession);
        }
    }
}

/// What of a trigger's settings was not set, for the operator.
pub(super) fn audit(subscription: u32, outcome: &Outcome, out: &mut Vec<Output>) {
    let mut failed = |what: &str, code: u32, why: &str| {
        out.push(Output::Log(format!("subscription {subscription} could not set {what}: {code} {why}")));
    };
    match outcome {
        Outcome::Error(error) => failed("anything", error.err_code, &error.err_msg),
        Outcome::Response(Response::SetResp(resp)) => {
            use set_resp::updated_object_result::operation_status::OperStatus;
            for result in &resp.updated_obj_results {
                let status = result.oper_status.as_ref().and_then(|status| status.oper_status.as_ref());
                if let Some(OperStatus::OperFailure(failure)) = status {
                    failed(&result.requested_path, failure.err_code, &failure.err_msg);
                }
            }
        }
        Outcome::Response(_) | Outcome::Silent | Outcome::Completed(_) => {}
    }
}

/// Checks a list of settings: each is a parameter and its value.
pub(super) fn check_settings(list: &str) -> Result<(), String> {
    for item in split_list(list) {
        let setting = Setting::parse(item).ok_or_else(|| format!("'{item}' is no <parameter>=<value>"))?;
        let path = format!("{}{}", setting.object, setting.param);
        let is_param = PathExpr::parse(&path).map(|expr| expr.param.is_some());
        if !is_param.map_err(|error: PathError| format!("{path}: {error}"))? {
            return Err(format!("{path} is no parameter"));
        }
    }
    Ok(())
}

/// The Set for the agent's own objects, or for the CPE's: each object for itself, in their order.
fn request(list: &str, ours: bool) -> message::Set {
    let mut update_objs: Vec<set::UpdateObject> = Vec::new();
    for setting in split_list(list).filter_map(Setting::parse).filter(|it| is_local(it.object) == ours) {
        let param_setting = set::UpdateParamSetting {
            param: setting.param.to_owned(),
            value: setting.value.to_owned(),
            required: true,
        };
        match update_objs.last_mut().filter(|last| last.obj_path == setting.object) {
            Some(last) => last.param_settings.push(param_setting),
            None => update_objs.push(set::UpdateObject {
                obj_path: setting.object.to_owned(),
                param_settings: vec![param_setting],
            }),
        }
    }
    message::Set { allow_partial: true, update_objs }
}

impl<'s> Setting<'s> {
    /// `Device.X.Y=value`, a text in quotes; a search expression in the path has signs of its own.
    fn parse(item: &'s str) -> Option<Self> {
        let mut depth = 0_u32;
        let at = item.char_indices().find(|(_, c)| {
            match c {
                '[' => depth += 1,
                ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            *c == '=' && depth == 0
        });
        let (path, value) = item.split_at(at?.0);
        let value = value[1..].trim();
        let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let (object, param) = path.trim().rsplit_once('.')?;
        let object = &path.trim()[..=object.len()];
        (!param.is_empty()).then_some(Self { object, param, value: quoted.unwrap_or(value) })
    }
}

/// Triggers that may follow from one another.
const MAX_DEPTH: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_with_quotes_commas_and_searches() {
        let list =
            r#"Device.A.B="x, y=z",Device.LocalAgent.Subscription.[ID=="a"].Enable=false, Device.A.C=5"#;
        let read: Vec<_> = split_list(list).filter_map(Setting::parse).collect();
        let values: Vec<_> = read.iter().map(|setting| (setting.param, setting.value)).collect();
        assert_eq!(values, [("B", "x, y=z"), ("Enable", "false"), ("C", "5")]);
        assert_eq!(read[1].object, r#"Device.LocalAgent.Subscription.[ID=="a"]."#);
        assert_eq!(check_settings(list), Ok(()));
        assert_eq!(request(list, true).update_objs.len(), 1);
        let theirs = request(list, false).update_objs;
        assert_eq!(theirs.len(), 1, "one object is one entry: {theirs:?}");
        for wrong in ["Device.A.B", "=x", "Device.A.=x", "A.B=x", "Device..B=x"] {
            assert!(check_settings(wrong).is_err(), "{wrong}");
        }
    }
}
