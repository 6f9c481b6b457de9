//! Events of the data model that the agent itself brings about: Boot! and Periodic!.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::cwmp::rpc::Inform;
use crate::datamodel::{Instantiated, Source, Value, ValueType};
use crate::translation::{Models, Outcome, Sample, is_local, named_params};
use crate::usp::message::Response;
use crate::usp::message::notify::{self, Notification};
use crate::usp::message::operate_resp::operation_result::OperationResp;
use crate::usp::path::PathExpr;

use super::bootstrap::Reset;
use super::core::Agent;
use super::io::{Env, Output, Shadow};
use super::local::{NotifType, Subscription, as_object};
use super::notify::Told;
use super::queue::{Job, Work};

/// A start of the device that has not been told yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Boot {
    cause: String,
    command_key: String,
    firmware_updated: bool,
}

/// A restart that a controller asked for and the device took on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Restart {
    pub(super) command_key: String,
    pub(super) factory_reset: bool,
}

impl Agent {
    /// Notes that the device is about to restart because a controller asked for it.
    pub(super) fn note_restart(&mut self, outcome: &Outcome, command_key: &str, out: &mut Vec<Output>) {
        let Outcome::Response(Response::OperateResp(resp)) = outcome else { return };
        for result in &resp.operation_results {
            let factory_reset = match result.executed_command.as_str() {
                "Device.Reboot()" => false,
                "Device.FactoryReset()" => true,
                _ => continue,
            };
            if matches!(result.operation_resp, Some(OperationResp::ReqOutputArgs(_))) {
                self.stored.restart = Some(Restart { command_key: command_key.to_owned(), factory_reset });
                let change = self.stored.change();
                self.persist(vec![change], out);
            }
        }
    }

    /// `1 BOOT` and `0 BOOTSTRAP`: subscriptions that are not persistent end, MTPs are opened anew, and Boot!
    /// is told as soon as its parameters are known.
    pub(super) fn booted(
        &mut self,
        env: &Env,
        shadow: &Shadow,
        inform: &Inform<'_>,
        (first_contact, firmware_updated, reset): (bool, bool, Reset),
        out: &mut Vec<Output>,
    ) {
        self.stored.booted_at = env.wall;
        self.restarted(false, firmware_updated, out);
        if reset == Reset::Yes {
            self.was_reset(out);
        }
        self.stored.in_doubt = reset == Reset::Doubt;
        self.plan_marker(env, out);
        self.fail_operations(env, shadow, out);
        if !first_contact {
            self.local.end_subscriptions(|subscription| !subscription.persistent);
            self.outbox.restart();
            if self.has_agent() {
                out.push(Output::Restarted);
            }
        }
        let asked = self.stored.restart.take();
        let is = |code: &str| inform.event.iter().any(|event| event.event_code.starts_with(code));
        let asked_reset = asked.as_ref().is_some_and(|restart| restart.factory_reset);
        let (cause, asked) = if reset != Reset::No {
            (
                if asked_reset { "RemoteFactoryReset" } else { "LocalFactoryReset" },
                asked.filter(|_| asked_reset),
            )
        } else if is("M Reboot") {
            // The ACS reboots devices too: only a key that was a controller's is told to controllers.
            let key =
                |restart: &Restart| inform.event.iter().any(|event| event.command_key == restart.command_key);
            ("RemoteReboot", asked.filter(key))
        } else {
            ("LocalReboot", None)
        };
        let command_key = asked.map_or_else(String::new, |restart| restart.command_key);
        self.stored.boot = Some(Boot { cause: cause.to_owned(), command_key, firmware_updated });
        self.upgrades_booted(env, shadow, out);
        let names = self.unread_boot_params(env, shadow);
        if names.is_empty() {
            self.tell_boot_if_read(env, shadow, out);
        } else {
            let deadline = env.now + self.config.request_timeout_ms;
            let plan = Box::new(Sample::new(names));
            self.queue.push_first(Job::new(None, plan, deadline, Work::Boot));
        }
    }

    /// The boot that is still to be told is not one after a factory reset.
    pub(super) fn note_no_reset(&mut self) {
        if let Some(boot) = &mut self.stored.boot {
            boot.cause = "LocalReboot".to_owned();
        }
    }

    /// The boot that is still to be told is one with new firmware.
    pub(super) fn note_new_firmware(&mut self) {
        if let Some(boot) = &mut self.stored.boot {
            boot.firmware_updated = true;
        }
    }

    /// Tells of a boot whose parameters are not, or no longer, on their way, and after the end of the transfer that
    /// led to it.
    pub(super) fn tell_boot_if_read(&mut self, env: &Env, shadow: &Shadow, out: &mut Vec<Output>) {
        let awaits =
            self.queue.has(Work::Boot) || self.queue.has(Work::Marker) || self.upgrading.word_follows;
        if self.stored.boot.is_some() && !awaits {
            self.tell_boot(env, shadow, out);
        }
    }

    /// Tells of a boot with what is known of its parameters.
    pub(super) fn tell_boot(&mut self, env: &Env, shadow: &Shadow, out: &mut Vec<Output>) {
        let Some(boot) = self.stored.boot.take() else { return };
        let (local, models) = (&self.local, Models { cpe: &shadow.cpe, local: &self.local.tree().model });
        let params = |subscription: &Subscription| {
            let access = local.access_of_row(&subscription.recipient);
            let mut map = Map::new();
            for expr in self.boot_exprs(&subscription.recipient) {
                for (name, value) in boot_params(&expr, models) {
                    if access.reads(&name, models) {
                        let hidden = access.hides(&name, models);
                        map.insert(name, if hidden { Json::from("") } else { json(value) });
                    }
                }
            }
            [
                ("CommandKey", boot.command_key.clone()),
                ("Cause", boot.cause.clone()),
                ("Reason", String::new()),
                ("FirmwareUpdated", boot.firmware_updated.to_string()),
                ("ParameterMap", Json::Object(map).to_string()),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
        };
        let told = self.about_event(shadow, "Device.", "Boot!", params);
        self.tell(env, told, out);
        let change = self.stored.change();
        self.persist(vec![change], out);
    }

    /// Periodic! for one controller.
    pub(super) fn tell_periodic(
        &mut self,
        env: &Env,
        shadow: &Shadow,
        recipient: &str,
        out: &mut Vec<Output>,
    ) {
        let mut told = self.about_event(shadow, "Device.LocalAgent.", "Periodic!", |_| BTreeMap::new());
        told.retain(|told| as_object(&told.subscription.recipient) == recipient);
        self.tell(env, told, out);
    }

    /// An event for all subscriptions that want it, each with its own arguments.
    pub(super) fn about_event(
        &self,
        shadow: &Shadow,
        object: &str,
        name: &str,
        params: impl Fn(&Subscription) -> BTreeMap<String, String>,
    ) -> Vec<Told> {
        let models = Models { cpe: &shadow.cpe, local: &self.local.tree().model };
        let model = models.of(object);
        let wants = |it: &&Subscription| it.wants_leaf(NotifType::Event, object, name, model);
        let wanted = self.local.subscriptions().iter().filter(wants);
        let told = wanted.map(|subscription| Told {
            subscription: subscription.clone(),
            notification: Notification::Event(notify::Event {
                obj_path: object.to_owned(),
                event_name: name.to_owned(),
                params: params(subscription),
            }),
        });
        told.filter(|told| self.may_hear(&told.subscription, &told.notification, models)).collect()
    }

    /// What a controller wants in its Boot!.
    fn boot_exprs(&self, recipient: &str) -> Vec<PathExpr> {
        let tree = self.local.tree();
        let rows = tree.rows(&format!("{}BootParameter.", as_object(recipient))).into_iter();
        let enabled = rows.filter(|row| tree.is(&format!("{row}Enable")));
        enabled.filter_map(|row| PathExpr::parse(tree.value(&format!("{row}ParameterName"))?).ok()).collect()
    }

    /// Boot parameters of the CPE that its Inform did not tell.
    fn unread_boot_params(&self, env: &Env, shadow: &Shadow) -> Vec<String> {
        let model = &shadow.cpe;
        let wanted = self.local.subscriptions().iter();
        let wanted = wanted.filter(|it| it.wants_leaf(NotifType::Event, "Device.", "Boot!", model));
        let exprs: Vec<PathExpr> = wanted.flat_map(|it| self.boot_exprs(&it.recipient)).collect();
        let mut names = crate::translation::watched_params(exprs.iter(), &shadow.cpe, MAX_BOOT_PARAMS);
        names.retain(|name| !is_told(&shadow.cpe, name, env));
        names
    }
}

/// The parameters that an expression names, with their values: of some objects the CPE has a part and the gateway
/// another.
fn boot_params<'m>(expr: &PathExpr, models: Models<'m>) -> Vec<(String, &'m Value)> {
    let ours = is_local(&expr.object());
    let both = [Some(models.local), Some(models.cpe).filter(|_| !ours)];
    let named = both.into_iter().flatten().flat_map(|model| {
        let names = named_params(expr, model, MAX_BOOT_PARAMS).into_iter();
        names.filter_map(|name| Some((model.param(&name)?.value.as_ref()?, name)))
    });
    named.map(|(value, name)| (name, value)).collect()
}

fn is_told(model: &Instantiated, name: &str, env: &Env) -> bool {
    let value = model.param(name).and_then(|param| param.value.as_ref());
    value.is_some_and(|value| value.source == Source::Inform && value.at == env.wall)
}

/// A value by its type: numbers and booleans are those of JSON.
fn json(value: &Value) -> Json {
    let text = value.text.as_str();
    match value.value_type {
        Some(ValueType::Boolean) => Json::Bool(matches!(text, "true" | "1")),
        Some(known) if known.is_number() => text.parse().map_or_else(|_| Json::from(text), Json::Number),
        _ => Json::from(text),
    }
}

/// Parameters in one Boot!.
const MAX_BOOT_PARAMS: usize = 256;
