//! An agent whose device is left to its ACS alone: it stays on its connections, answers every request with an
//! error, tells nothing, and at most gives back what it changed of the CPE.

use crate::identity::EndpointId;
use crate::translation::Outcome;
use crate::usp::ErrorCode;

use super::core::{Agent, Turn};
use super::io::{Env, Output, Shadow};
use super::queue::Work;
use super::settling::cut_short;

/// How silent it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Silence {
    #[default]
    None,
    /// It sets the CPE's notification attributes, the inputs of diagnostics and the credentials for connection
    /// requests as the ACS had them.
    GivingBack,
    /// It leaves the CPE as it is.
    Total,
}

impl Agent {
    /// The operator wants it silent, or not any more. What waits for the device is answered; an RPC that is under
    /// way, and the request that it is for, come to their end.
    pub fn silence(&mut self, env: &Env, shadow: &mut Shadow, silence: Silence, out: &mut Vec<Output>) {
        if self.silence == silence {
            return;
        }
        self.silence = silence;
        if self.is_silent() {
            self.work(env, shadow, Turn::IsOver, out);
            for job in self.queue.take_unbegun() {
                if matches!(job.work, Work::Asked | Work::Trigger { .. }) {
                    let refused = || Outcome::error(ErrorCode::REQUEST_DENIED, SILENT);
                    let outcome = cut_short(&job).unwrap_or_else(refused);
                    self.finish(env, shadow, job, outcome, None, out);
                }
            }
        }
        self.reconsider_attributes(shadow, out);
        if silence == Silence::GivingBack {
            self.prepare_giving_back(out);
        }
        self.conclude_step(env, shadow, out);
    }

    pub(super) fn is_silent(&self) -> bool {
        self.silence != Silence::None
    }

    /// Whether the CPE has all that the ACS had set, and the ACS knows all that USP wrote.
    pub fn has_given_back(&self) -> bool {
        self.attention.has_given_back() && !self.owes_inputs() && !self.owes_credentials()
    }

    /// A request that comes meanwhile.
    pub(super) fn refuse_silently(&mut self, controller: &EndpointId, msg_id: String) {
        self.refuse(controller, msg_id, ErrorCode::REQUEST_DENIED, SILENT);
    }
}

const SILENT: &str =
    "the operator has put this device in bypass: USP is stopped for it, and nothing is queued";
