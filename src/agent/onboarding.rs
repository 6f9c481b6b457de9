//! OnBoardRequest (TR-369 6.1.7, R-NOT.5, 6, 6a): who gets one, until it is acknowledged, and again while
//! `OnBoardingComplete` stays false.

use crate::datamodel::WallTime;
use crate::identity::EndpointId;
use crate::usp::SUPPORTED_VERSIONS;
use crate::usp::message::notify::{self, Notification};

use super::core::Agent;
use super::exchange::Way;
use super::io::{Env, Output};
use super::notify::encode;
use super::outbox::Waiting;

impl Agent {
    /// An MTP to a controller is up: what waits for it goes, and an OnBoardRequest if it is to have one.
    pub(super) fn connected(&mut self, env: &Env, controller: &EndpointId, out: &mut Vec<Output>) {
        let Some(row) = self.local.row_of(controller) else { return };
        if self.is_silent() || self.local.controller(controller.as_str()).is_none() {
            return;
        }
        let retry = self.local.retry_of(controller);
        let mut again = Vec::new();
        // What has only just been said comes again when its time is there (R-NOT.1).
        let settled = self.settled;
        let rested = |waiting: &&mut Waiting| {
            let kept = waiting.durable && waiting.after.is_none_or(|token| token.0 <= settled);
            kept && waiting.sent_at + retry.minimum * 1_000 <= env.now
        };
        for waiting in self.outbox.of(controller).filter(rested) {
            waiting.attempts = 0;
            waiting.schedule(env.now, retry, env.seed);
            again.push(waiting.message.clone());
        }
        for message in again {
            self.say(controller, message, Way::Either, None);
        }
        if self.is_to_onboard(&row) && !self.stored.onboarding.contains_key(controller) {
            self.onboard(env, controller, out);
        }
    }

    fn is_to_onboard(&self, row: &str) -> bool {
        self.local.is_reachable(row) && !self.local.tree().is(&format!("{row}OnBoardingComplete"))
    }

    /// Controllers came, or became enabled, or their onboarding was declared done or begun anew.
    pub(super) fn settle_onboarding(&mut self, env: &Env, out: &mut Vec<Output>) {
        let changed = self.local.take_new_controllers();
        if changed.is_empty() {
            return;
        }
        let before = self.stored.onboarding.clone();
        let local = &self.local;
        // Who is gone, or done, is left alone.
        let waits = |it: &EndpointId| {
            local.row_of(it).is_some_and(|row| !local.tree().is(&format!("{row}OnBoardingComplete")))
        };
        self.stored.onboarding.retain(|controller, _| waits(controller));
        self.outbox.drop_requests(|controller| !waits(controller));
        for row in changed {
            let endpoint = self.local.controller_of(&row).map(EndpointId::parse);
            let Some(Ok(controller)) = endpoint.filter(|_| self.is_to_onboard(&row)) else { continue };
            let asked = self.stored.onboarding.contains_key(&controller)
                || self.outbox.of(&controller).any(|waiting| !waiting.durable);
            if !asked && self.has_agent() {
                self.onboard(env, &controller, out);
            }
        }
        if before != self.stored.onboarding {
            let change = self.stored.change();
            self.persist(vec![change], out);
        }
    }

    /// Sends an OnBoardRequest, which is retried until it is acknowledged.
    pub(super) fn onboard(&mut self, env: &Env, controller: &EndpointId, out: &mut Vec<Output>) {
        if self.is_silent() {
            return;
        }
        if self.stored.onboarding.remove(controller).is_some() {
            let change = self.stored.change();
            self.persist(vec![change], out);
        }
        let device = &self.stored.device;
        let request = notify::OnBoardRequest {
            oui: device.oui.clone(),
            product_class: device.product_class.clone(),
            serial_number: device.serial_number.clone(),
            agent_supported_protocol_versions: SUPPORTED_VERSIONS.to_owned(),
        };
        // One for each controller, whatever happens in between.
        let msg_id = format!("onboard-{controller}");
        let message = encode(&msg_id, String::new(), true, Notification::OnBoardReq(request));
        let mut waiting = Waiting::new(msg_id, controller.clone(), message.clone());
        waiting.durable = false;
        waiting.schedule(env.now, self.local.retry_of(controller), env.seed);
        self.outbox.keep(waiting);
        self.say(controller, message, Way::Either, None);
    }

    /// A controller has acknowledged an OnBoardRequest: from now on counts `OnBoardingRestartTime`.
    pub(super) fn onboard_acknowledged(&mut self, controller: &EndpointId) {
        if self.local.row_of(controller).is_some_and(|row| self.is_to_onboard(&row)) {
            self.stored.onboarding.insert(controller.clone(), self.seen.1);
        }
    }

    /// When an acknowledged OnBoardRequest is to be sent anew, by controller.
    pub(super) fn onboarding_due(&self) -> impl Iterator<Item = (&EndpointId, WallTime)> {
        self.stored.onboarding.iter().filter_map(|(controller, acknowledged)| {
            let row = self.local.row_of(controller).filter(|row| self.is_to_onboard(row))?;
            let wait = self.local.tree().number(&format!("{row}OnBoardingRestartTime"));
            let wait = wait.filter(|seconds| *seconds > 0)?;
            Some((controller, WallTime(acknowledged.0.saturating_add(wait.saturating_mul(1_000)))))
        })
    }
}
