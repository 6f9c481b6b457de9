//! Notifications (TR-369 6.1.7): from what became different to Notify messages, kept until acknowledged
//! where the subscription asks for it.

use bytes::Bytes;

use crate::datamodel::{Instantiated, News, WallTime, path};
use crate::durable::{Change, Kind};
use crate::identity::EndpointId;
use crate::translation::{Models, Rights, Sort, unique_keys};
use crate::usp::message::notify::{self, Notification};
use crate::usp::message::{self, Message};

use super::core::Agent;
use super::exchange::Way;
use super::io::{Env, Output, Shadow};
use super::local::{NotifType, Subscription, is_quiet};
use super::outbox::Waiting;

/// One notification for one subscription.
pub(super) struct Told {
    pub subscription: Subscription,
    pub notification: Notification,
}

impl Agent {
    /// Turns news of the data model into notifications.
    pub(super) fn tell_news(&mut self, env: &Env, shadow: &mut Shadow, out: &mut Vec<Output>) {
        let mut told = Vec::new();
        let news = shadow.cpe.take_news();
        if !news.is_empty() {
            // What discovery finds was there before: only afterwards is a new instance news.
            let known = self.is_discovered();
            told.extend(self.about_all(&news, &shadow.cpe, shadow, known));
        }
        if !told.is_empty() {
            self.tell(env, told, out);
            // What was told counts as known after a crash as well, so that only other values are news.
            self.keep_shadow(shadow, out);
        }
        self.tell_own_news(env, shadow, out);
        self.judge_thresholds(env, shadow, out);
    }

    /// News of the agent's own objects.
    pub(super) fn tell_own_news(&mut self, env: &Env, shadow: &Shadow, out: &mut Vec<Output>) {
        let mut own = self.local.take_news();
        // Time and traffic alone are no news (TR-181 lets an agent deny it).
        own.retain(|news| !matches!(news, News::Changed(name) if is_quiet(name)));
        if !own.is_empty() {
            let told = self.about_all(&own, &self.local.tree().model, shadow, true);
            self.tell(env, told, out);
        }
    }

    fn about_all(&self, news: &[News], model: &Instantiated, shadow: &Shadow, known: bool) -> Vec<Told> {
        let models = Models { cpe: &shadow.cpe, local: &self.local.tree().model };
        let mut told = Vec::new();
        for subscription in self.local.subscriptions() {
            for item in news {
                let notification = about(subscription, item, model, known);
                let Some(notification) = notification.filter(|it| self.may_hear(subscription, it, models))
                else {
                    continue;
                };
                told.push(Told { subscription: subscription.clone(), notification });
            }
        }
        told
    }

    /// Whether the recipient's roles let it be told of this.
    pub(super) fn may_hear(
        &self,
        subscription: &Subscription,
        notification: &Notification,
        models: Models<'_>,
    ) -> bool {
        let (sort, path) = match notification {
            Notification::ValueChange(it) => (Sort::Param, it.param_path.clone()),
            Notification::ObjCreation(it) => (Sort::Obj, path::parent(&it.obj_path).unwrap_or("").to_owned()),
            Notification::ObjDeletion(it) => (Sort::InstantiatedObj, it.obj_path.clone()),
            Notification::Event(it) => (Sort::CommandEvent, format!("{}{}", it.obj_path, it.event_name)),
            Notification::OperComplete(it) => {
                (Sort::CommandEvent, format!("{}{}", it.obj_path, it.command_name))
            }
            Notification::OnBoardReq(_) => return true,
        };
        self.local.access_of_row(&subscription.recipient).may(Rights::NOTIFY, sort, &path, models)
    }

    /// The end of an asynchronous operation.
    pub(super) fn operation_complete(
        &mut self,
        env: &Env,
        shadow: &Shadow,
        complete: &notify::OperationComplete,
        out: &mut Vec<Output>,
    ) {
        let models = Models { cpe: &shadow.cpe, local: &self.local.tree().model };
        let model = models.of(&complete.obj_path);
        let wants = |it: &&Subscription| {
            let (object, name) = (&complete.obj_path, &complete.command_name);
            it.wants_leaf(NotifType::OperationComplete, object, name, model)
        };
        let notification = Notification::OperComplete(complete.clone());
        let told = self.local.subscriptions().iter().filter(wants);
        let told = told.filter(|subscription| self.may_hear(subscription, &notification, models));
        let told = told.map(|subscription| Told {
            subscription: subscription.clone(),
            notification: notification.clone(),
        });
        self.tell(env, told.collect(), out);
    }

    /// Sends notifications; those that are retried are made durable first. What subscriptions set when they
    /// fire is noted.
    pub(super) fn tell(&mut self, env: &Env, told: Vec<Told>, out: &mut Vec<Output>) {
        if self.is_silent() {
            return;
        }
        let mut changes = Vec::new();
        let mut kept = Vec::new();
        for Told { subscription, notification } in told {
            if subscription.trigger_action.configures() {
                self.trigger(&subscription);
            }
            if !subscription.trigger_action.notifies() {
                continue;
            }
            let controller = self.local.controller_of(&subscription.recipient).map(EndpointId::parse);
            let Some(Ok(controller)) = controller else { continue };
            let msg_id = self.fresh_msg_id(env);
            let message = encode(&msg_id, subscription.id, subscription.notif_retry, notification);
            if !subscription.notif_retry {
                self.say(&controller, message, Way::Either, None);
                continue;
            }
            self.make_room(&mut changes, out);
            let expires = (subscription.notif_expiration > 0)
                .then(|| WallTime(env.wall.0 + subscription.notif_expiration.saturating_mul(1_000)));
            let waiting = Waiting::new(msg_id.clone(), controller.clone(), message.clone());
            let mut waiting = Waiting { expires, ..waiting };
            waiting.schedule(env.now, self.local.retry_of(&controller), env.seed);
            changes.extend(self.outbox.keep(waiting));
            kept.push((msg_id, controller, message));
        }
        if changes.is_empty() {
            return;
        }
        let token = self.persist(changes, out);
        self.outbox.kept_by(token, kept.iter().map(|(msg_id, ..)| msg_id.as_str()));
        for (_, controller, message) in kept {
            self.say(&controller, message, Way::Either, Some(token));
        }
    }

    fn make_room(&mut self, changes: &mut Vec<Change>, out: &mut Vec<Output>) {
        while self.outbox.len() >= MAX_OUTBOX {
            let Some(oldest) = self.outbox.oldest() else { return };
            self.outbox.remove(&oldest, None);
            changes.push(Change::delete(Kind::Outbox, oldest));
            out.push(Output::Log(format!(
                "over {MAX_OUTBOX} notifications wait for their controllers: the oldest was dropped"
            )));
        }
    }

    fn fresh_msg_id(&mut self, env: &Env) -> String {
        self.next += 1;
        // Unique over restarts: the count begins anew, the time does not.
        format!("{}-{}", env.wall.0, self.next)
    }

    /// A NotifyResp: what it is about need not be sent again. Where the response is an Error the
    /// controller has read the notification as well, and reading it again would change nothing.
    pub(super) fn acknowledged(&mut self, controller: &EndpointId, msg_id: &str, out: &mut Vec<Output>) {
        let Some(waiting) = self.outbox.remove(msg_id, Some(controller)) else { return };
        let change = if waiting.durable {
            Change::delete(Kind::Outbox, msg_id)
        } else {
            self.onboard_acknowledged(controller);
            self.stored.change()
        };
        self.persist(vec![change], out);
    }

    /// Sends again what is due, and gives up what has expired.
    pub(super) fn retry_notifications(&mut self, env: &Env, out: &mut Vec<Output>) {
        let mut again = Vec::new();
        let mut expired = Vec::new();
        let settled = self.settled;
        for waiting in self.outbox.due(env.now) {
            if waiting.after.is_some_and(|token| token.0 > settled) {
                waiting.again_at = env.now + COMMIT_MS;
                continue;
            }
            if waiting.expires.is_some_and(|at| at <= env.wall) {
                expired.push(waiting.msg_id.clone());
                continue;
            }
            waiting.schedule(env.now, self.local.retry_of(&waiting.controller), env.seed);
            again.push((waiting.controller.clone(), waiting.message.clone()));
        }
        let mut changes = Vec::new();
        for msg_id in expired {
            self.outbox.remove(&msg_id, None);
            changes.push(Change::delete(Kind::Outbox, msg_id));
        }
        if !changes.is_empty() {
            self.persist(changes, out);
        }
        for (controller, message) in again {
            self.say(&controller, message, Way::Either, None);
        }
    }
}

/// The notification that a piece of news is for a subscription, if it is its matter.
fn about(
    subscription: &Subscription,
    news: &News,
    model: &Instantiated,
    instances_known: bool,
) -> Option<Notification> {
    match news {
        News::Changed(name) if subscription.wants_value(name, model) => {
            let param_value = model.value(name)?.to_owned();
            Some(Notification::ValueChange(notify::ValueChange { param_path: name.to_string(), param_value }))
        }
        News::Created(object)
            if instances_known
                && subscription.wants_object(NotifType::ObjectCreation, object, model)
                && path::instance(object).is_some() =>
        {
            let unique_keys = unique_keys(object, model);
            let obj_path = object.to_string();
            Some(Notification::ObjCreation(notify::ObjectCreation { obj_path, unique_keys }))
        }
        News::Removed(object) if subscription.wants_object(NotifType::ObjectDeletion, object, model) => {
            Some(Notification::ObjDeletion(notify::ObjectDeletion { obj_path: object.to_string() }))
        }
        _ => None,
    }
}

pub(super) fn encode(
    msg_id: &str,
    subscription_id: String,
    send_resp: bool,
    notification: Notification,
) -> Bytes {
    let notify = message::Notify { subscription_id, send_resp, notification: Some(notification) };
    Message::request(msg_id, message::Request::Notify(notify)).encode()
}

/// How long a notification that is due waits for its commit before it is looked at again.
const COMMIT_MS: u64 = 1_000;
/// Notifications that may wait for their controllers, per device.
const MAX_OUTBOX: usize = 1_000;
