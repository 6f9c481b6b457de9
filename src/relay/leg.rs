//! The ACS's leg of one relayed session: what passed between the CPE and the ACS, and so whether the
//! ACS's turn is over. USP work never stands between two RPCs of the ACS.
//!
//! The leg has ended when the ACS answered emptily, the last HoldRequests it sent was false, the CPE had
//! sent an empty POST or a response under it, and neither side owes the other an answer. In all other
//! cases an empty answer passes to the CPE at once.

use std::fmt;

/// What a POST of the CPE held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CpeSaid {
    Inform,
    /// A request of the CPE's own, such as TransferComplete.
    Request,
    /// The answer, or the fault, to an RPC of the ACS.
    Response,
    Empty,
    /// Something we cannot decode: it is relayed all the same.
    Opaque,
}

/// What an HTTP answer of the ACS held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcsSaid {
    InformResponse {
        hold_requests: bool,
    },
    /// The answer to a request of the CPE's own.
    Response {
        hold_requests: bool,
    },
    /// An RPC. `ends_device` is set for those after which nothing of ours may follow: Reboot, FactoryReset.
    Request {
        hold_requests: bool,
        ends_device: bool,
    },
    Empty,
    Fault {
        code: u32,
    },
    /// An HTTP error.
    Error {
        status: u16,
    },
    /// The CPE is to say who it is, by the same POST once more.
    Challenge,
    /// What we cannot decode.
    Other,
}

/// Who speaks to the CPE next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The ACS's answer passes as it came.
    Acs,
    /// The ACS's leg has ended with this empty answer, which we keep: USP work may go first.
    Ours,
    /// Nobody: this answer passes as it came, and no session has come of the Inform.
    Refused(Refusal),
    /// Nobody, unless the CPE goes on all the same: this HTTP error of the ACS passes as it came, and by it the session
    /// has failed.
    Failed(u16),
}

/// How the ACS refused a session; `Display` is for the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// By an HTTP status.
    Status(u16),
    /// By a fault with this code.
    Fault(u32),
    /// By an empty answer.
    Empty,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Fault(code) => write!(f, "fault {code}"),
            Self::Empty => f.write_str("an empty answer to the Inform"),
        }
    }
}

/// The state of the leg.
#[derive(Debug, Default)]
pub struct Leg {
    informed: bool,
    hold_requests: bool,
    /// Requests of the CPE's own were held up, and it has not said since that it has no more.
    held_up: bool,
    opaque: bool,
    device_ends: bool,
    last: Option<CpeSaid>,
    /// The last answer was to say the same once more.
    again: bool,
}

impl Leg {
    /// Notes a POST on its way to the ACS.
    pub fn from_cpe(&mut self, said: CpeSaid) {
        self.opaque |= said == CpeSaid::Opaque;
        self.held_up &= said != CpeSaid::Empty || self.hold_requests;
        self.last = Some(said);
    }

    /// Notes the ACS's answer and says whose turn is next.
    pub fn from_acs(&mut self, said: AcsSaid) -> Turn {
        if self.has_only_informed()
            && let Some(refusal) = refused(said)
        {
            return Turn::Refused(refusal);
        }
        self.again = matches!(said, AcsSaid::Challenge | AcsSaid::Fault { code: RETRY_REQUEST });
        match said {
            AcsSaid::InformResponse { hold_requests } => {
                self.informed = true;
                self.hold_requests = hold_requests;
            }
            AcsSaid::Response { hold_requests } => self.hold_requests = hold_requests,
            AcsSaid::Request { hold_requests, ends_device } => {
                self.hold_requests = hold_requests;
                self.device_ends |= ends_device;
            }
            AcsSaid::Empty if self.may_follow() => return Turn::Ours,
            // A fault answers a request as well as a response does; HoldRequests stays as it was.
            AcsSaid::Empty | AcsSaid::Challenge | AcsSaid::Fault { .. } => {}
            AcsSaid::Error { status } if self.informed => {
                // Whatever the CPE makes of it, nothing of ours follows.
                self.opaque = true;
                return Turn::Failed(status);
            }
            AcsSaid::Error { .. } | AcsSaid::Other => self.opaque |= self.informed,
        }
        self.held_up |= self.hold_requests;
        Turn::Acs
    }

    /// Whether the ACS has acknowledged the Inform: only then does the Inform take effect with us.
    pub fn is_informed(&self) -> bool {
        self.informed
    }

    /// Whether something that we cannot decode went through: USP is off for this session.
    pub fn is_opaque(&self) -> bool {
        self.opaque
    }

    /// Whether the CPE may still have requests for the ACS after an empty answer: it was held up, and an empty
    /// answer lets it go on (TR-069 3.7.1.4).
    pub fn may_ask_yet(&self) -> bool {
        self.held_up && !self.device_ends
    }

    /// Whether the CPE is to repeat its Inform in this session: it has to say who it is, or is told to retry. What it
    /// makes of an answer that we cannot decode is not known; by another Inform it begins anew.
    pub fn wants_inform(&self) -> bool {
        self.has_only_informed() && self.again
    }

    /// Whether the CPE is to repeat what it said last.
    pub fn wants_again(&self) -> bool {
        self.again
    }

    /// Whether the CPE awaits the answer to the Inform that is to open the session.
    fn has_only_informed(&self) -> bool {
        !self.informed && self.last == Some(CpeSaid::Inform)
    }

    fn may_follow(&self) -> bool {
        self.informed
            && !self.hold_requests
            && !self.opaque
            && !self.device_ends
            && matches!(self.last, Some(CpeSaid::Empty | CpeSaid::Response))
    }
}

/// What answers an Inform without opening a session. After "retry request" the CPE repeats it in this one
/// (TR-069 3.7.1.1).
fn refused(said: AcsSaid) -> Option<Refusal> {
    match said {
        AcsSaid::Empty => Some(Refusal::Empty),
        AcsSaid::Fault { code: RETRY_REQUEST } => None,
        AcsSaid::Fault { code } => Some(Refusal::Fault(code)),
        AcsSaid::Error { status } => Some(Refusal::Status(status)),
        _ => None,
    }
}

/// The fault of an ACS that could not take a request now.
const RETRY_REQUEST: u32 = 8005;

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> Leg {
        let mut leg = Leg::default();
        leg.from_cpe(CpeSaid::Inform);
        assert_eq!(leg.from_acs(AcsSaid::InformResponse { hold_requests: false }), Turn::Acs);
        leg
    }

    #[test]
    fn usp_waits_for_the_empty_answer_to_the_empty_post() {
        let mut leg = opened();
        leg.from_cpe(CpeSaid::Empty);
        assert_eq!(leg.from_acs(AcsSaid::Request { hold_requests: false, ends_device: false }), Turn::Acs);
        leg.from_cpe(CpeSaid::Response);
        assert_eq!(leg.from_acs(AcsSaid::Empty), Turn::Ours);
    }

    #[test]
    fn nothing_of_ours_follows_a_reboot_by_the_acs() {
        let mut leg = opened();
        leg.from_cpe(CpeSaid::Empty);
        leg.from_acs(AcsSaid::Request { hold_requests: false, ends_device: true });
        leg.from_cpe(CpeSaid::Response);
        assert_eq!(leg.from_acs(AcsSaid::Empty), Turn::Acs);
    }

    #[test]
    fn an_empty_answer_under_hold_requests_passes() {
        let mut leg = Leg::default();
        leg.from_cpe(CpeSaid::Inform);
        leg.from_acs(AcsSaid::InformResponse { hold_requests: true });
        leg.from_cpe(CpeSaid::Empty);
        assert_eq!(leg.from_acs(AcsSaid::Empty), Turn::Acs);
    }

    #[test]
    fn a_cpe_that_was_held_up_may_ask_until_it_says_that_it_has_no_more() {
        let mut leg = Leg::default();
        leg.from_cpe(CpeSaid::Inform);
        leg.from_acs(AcsSaid::InformResponse { hold_requests: true });
        leg.from_cpe(CpeSaid::Empty);
        leg.from_acs(AcsSaid::Request { hold_requests: false, ends_device: false });
        leg.from_cpe(CpeSaid::Response);
        assert_eq!(leg.from_acs(AcsSaid::Empty), Turn::Ours);
        assert!(leg.may_ask_yet());
        leg.from_cpe(CpeSaid::Request);
        leg.from_acs(AcsSaid::Response { hold_requests: false });
        assert!(leg.may_ask_yet());
        leg.from_cpe(CpeSaid::Empty);
        assert_eq!(leg.from_acs(AcsSaid::Empty), Turn::Ours);
        assert!(!leg.may_ask_yet());
        assert!(!opened().may_ask_yet());
    }

    #[test]
    fn a_challenge_leaves_the_leg_unopened_and_the_next_inform_opens_it() {
        let mut leg = Leg::default();
        leg.from_cpe(CpeSaid::Inform);
        assert_eq!(leg.from_acs(AcsSaid::Challenge), Turn::Acs);
        assert!(!leg.is_informed() && leg.wants_inform());
        leg.from_cpe(CpeSaid::Inform);
        leg.from_acs(AcsSaid::InformResponse { hold_requests: false });
        assert!(leg.is_informed() && !leg.is_opaque() && !leg.wants_inform());
    }

    #[test]
    fn an_answer_to_the_inform_that_opens_no_session_is_the_end_of_it() {
        let said = |said| {
            let mut leg = Leg::default();
            leg.from_cpe(CpeSaid::Inform);
            leg.from_acs(said)
        };
        assert_eq!(said(AcsSaid::Error { status: 503 }), Turn::Refused(Refusal::Status(503)));
        assert_eq!(said(AcsSaid::Fault { code: 8001 }), Turn::Refused(Refusal::Fault(8001)));
        assert_eq!(said(AcsSaid::Empty), Turn::Refused(Refusal::Empty));
        assert_eq!(said(AcsSaid::Fault { code: 8005 }), Turn::Acs, "the CPE repeats its Inform");
        assert_eq!(said(AcsSaid::Challenge), Turn::Acs, "it is answered by another POST");
        assert_eq!(said(AcsSaid::Other), Turn::Acs, "who knows what the CPE makes of it");
        let mut leg = opened();
        leg.from_cpe(CpeSaid::Request);
        assert_eq!(leg.from_acs(AcsSaid::Fault { code: 8001 }), Turn::Acs, "the session goes on");
    }

    #[test]
    fn what_cannot_be_decoded_turns_usp_off_for_the_session() {
        let mut leg = opened();
        leg.from_cpe(CpeSaid::Opaque);
        leg.from_acs(AcsSaid::Empty);
        leg.from_cpe(CpeSaid::Empty);
        assert_eq!(leg.from_acs(AcsSaid::Empty), Turn::Acs);
    }

    #[test]
    fn an_error_of_the_acs_in_mid_session_ends_it_and_a_challenge_does_not() {
        let mut leg = opened();
        leg.from_cpe(CpeSaid::Empty);
        assert_eq!(leg.from_acs(AcsSaid::Challenge), Turn::Acs);
        assert!(leg.wants_again() && !leg.wants_inform());
        leg.from_cpe(CpeSaid::Empty);
        assert_eq!(leg.from_acs(AcsSaid::Empty), Turn::Ours, "who answers a challenge is no riddle");
        let mut leg = opened();
        leg.from_cpe(CpeSaid::Empty);
        assert_eq!(leg.from_acs(AcsSaid::Error { status: 500 }), Turn::Failed(500));
        leg.from_cpe(CpeSaid::Empty);
        assert_eq!(leg.from_acs(AcsSaid::Empty), Turn::Acs, "nothing of ours follows, if it goes on");
    }

    #[test]
    fn an_empty_answer_to_a_request_of_the_cpe_is_not_the_end() {
        let mut leg = opened();
        leg.from_cpe(CpeSaid::Request);
        assert_eq!(leg.from_acs(AcsSaid::Empty), Turn::Acs);
    }
}
