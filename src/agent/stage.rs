//! A device at a stage at which controllers do not change it yet: what would is refused before the CPE hears of
//! it, and what waits from before does not begin.

use crate::policy::Stage;
use crate::translation::{Outcome, Refusal, is_local};
use crate::usp::ErrorCode;

use super::core::Agent;
use super::io::{Env, Output, Shadow};
use super::upgrade::Upgrade;

impl Agent {
    /// How far the device is on its way to USP, by the firmware that it told last.
    pub(super) fn stage(&self) -> Stage {
        self.config.stages.of(&self.stored.device, &self.stored.software_version)
    }

    /// What is known of the device may say another stage than before.
    pub(super) fn settle_stage(&mut self, env: &Env, shadow: &Shadow, out: &mut Vec<Output>) {
        self.local.set_stage(self.stage());
        if self.stage().writes() {
            return;
        }
        let begins = |it: &&super::local::Operation| match &it.upgrade {
            Some(upgrade) => !Upgrade::is_told(upgrade),
            None => it.is_diagnostic() && !it.started,
        };
        let waiting: Vec<u32> = self.operations.iter().filter(begins).map(|it| it.instance).collect();
        for instance in waiting {
            let outcome = Outcome::error(ErrorCode::PERMISSION_DENIED, self.stage().refusal());
            self.completed(env, shadow, instance, outcome, out);
        }
    }

    /// Why this command must not be carried out at the device's stage. What is the agent's own may.
    pub(super) fn held_back(&self, command: &str) -> Option<Refusal> {
        let stage = self.stage();
        let changes = !is_local(command) && command != TIMER;
        (changes && !stage.writes()).then(|| Refusal::new(ErrorCode::PERMISSION_DENIED, stage.refusal()))
    }
}

/// It ends with a notification, and touches nothing.
const TIMER: &str = "Device.ScheduleTimer()";
