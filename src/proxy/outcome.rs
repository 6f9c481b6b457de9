//! How a CWMP session ended, for the operator's line and the metric.

use std::fmt;

use crate::relay::Refusal;

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Complete,
    /// The ACS wanted no session: its answer to the Inform was none that opens one.
    Refused(Refusal),
    /// The ACS answered with this HTTP error in mid-session.
    AcsError(u16),
    /// The ACS gave no answer.
    AcsFailed,
    /// The ACS sent the session where the operator does not allow it to go, or nowhere.
    AcsRedirect,
    /// The CPE opened another session before this one was over.
    Superseded,
    /// The CPE's connection ended while it waited for an answer.
    CpeGone,
    /// Neither side said anything for too long.
    TimedOut,
    /// The CPE answered us with what is no CWMP envelope.
    BadMessage,
    /// The CPE said something to the ACS after the ACS's leg had ended; it repeats it in its next session.
    CpeRequestAfterLeg,
}

impl Outcome {
    /// The label of the metric.
    pub fn label(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Refused(_) => "acs-refused",
            Self::AcsError(_) => "acs-error",
            Self::AcsFailed => "acs-failed",
            Self::AcsRedirect => "acs-redirect",
            Self::Superseded => "superseded",
            Self::CpeGone => "cpe-gone",
            Self::TimedOut => "timed-out",
            Self::BadMessage => "bad-message",
            Self::CpeRequestAfterLeg => "cpe-request-after-leg",
        }
    }

    /// Whether another session at once would most likely end like this one: the ACS is down or overloaded.
    pub(super) fn is_acs_trouble(self) -> bool {
        matches!(self, Self::Refused(_) | Self::AcsError(_) | Self::AcsFailed | Self::AcsRedirect)
    }
}

/// The operator's words for it.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "refused by the ACS: {refusal}"),
            Self::AcsError(status) => write!(f, "the ACS answered with {status}"),
            other => f.write_str(other.label()),
        }
    }
}
