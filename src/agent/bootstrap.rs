//! What `0 BOOTSTRAP` means (TR-069 3.7.1.5): the device has its factory's settings again, or only another ACS to go
//! to. A reset empties the ParameterKey; where the ACS has never set one, what the gateway has set of the CPE tells.

use compact_str::CompactString;

use crate::cwmp::rpc::Inform;
use crate::translation::{Attend, Attended};

use super::core::Agent;
use super::io::{Env, Output};
use super::queue::{Job, Work};

/// Whether the device has been reset to the settings of its factory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    No,
    Yes,
    /// A read of what the gateway has set will tell.
    Doubt,
}

impl Agent {
    /// Whether an Inform tells of a factory reset. Asked before the Inform takes effect.
    pub fn reset_by(&self, inform: &Inform<'_>, first_contact: bool) -> Reset {
        if first_contact || !inform.event.iter().any(|event| event.event_code.starts_with("0 ")) {
            return Reset::No;
        }
        if self.stored.restart.as_ref().is_some_and(|restart| restart.factory_reset) {
            return Reset::Yes;
        }
        let told =
            inform.parameter_list.iter().find(|it| it.name.ends_with(".ManagementServer.ParameterKey"));
        match told {
            Some(key) if !self.stored.last_key.is_empty() => {
                if key.value == self.stored.last_key.as_str() {
                    Reset::No
                } else {
                    Reset::Yes
                }
            }
            _ if self.attention.attributes.marker().is_some() => Reset::Doubt,
            _ => Reset::Yes,
        }
    }

    /// The device has its factory's settings: nobody has set anything of it.
    pub(super) fn was_reset(&mut self, out: &mut Vec<Output>) {
        self.restarted(true, false, out);
        self.stored.last_key.clear();
        self.stored.diagnosing.forget();
        self.forget_credentials(out);
        // Which instances there are is learnt again.
        if let Some(left) = &mut self.stored.discovery_left {
            *left = vec![self.stored.root.clone()];
        }
    }

    /// Asks the CPE, before anything else, whether it still has what the gateway has set.
    pub(super) fn plan_marker(&mut self, env: &Env, out: &mut Vec<Output>) {
        if !self.stored.in_doubt || self.is_silent() || self.queue.has(Work::Marker) {
            return;
        }
        let Some((name, _)) = self.attention.attributes.marker() else {
            // The ACS has set that as well, meanwhile.
            return self.read_marker(&[], out);
        };
        let plan = Box::new(Attend::read(vec![name.clone()]));
        let deadline = env.now + self.config.request_timeout_ms;
        self.queue.push_first(Job::new(None, plan, deadline, Work::Marker));
    }

    /// It has answered.
    pub(super) fn read_marker(&mut self, attended: &[Attended], out: &mut Vec<Output>) {
        if !std::mem::take(&mut self.stored.in_doubt) {
            return;
        }
        let is = |name: &CompactString, value: u8| {
            attended.iter().any(|it| *it == Attended::Read(name.clone(), Some(value)))
        };
        let has_it = self.attention.attributes.marker().is_some_and(|(name, value)| is(name, value));
        if has_it {
            self.note_no_reset();
        } else {
            self.was_reset(out);
        }
        let change = self.stored.change();
        self.persist(vec![change], out);
    }
}
