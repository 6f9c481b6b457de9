//! What a check is, and how it ends.

use std::pin::Pin;

use super::number::Number;
use super::session::Session;

/// One check of TP-469.
#[derive(Debug)]
pub struct Check {
    pub number: Number,
    /// What it is about.
    pub title: &'static str,
    pub tag: Tag,
    /// Paths in supported notation (`Device.LocalAgent.Subscription.{i}.TimeToLive`) without which it says
    /// nothing about an agent.
    pub needs: &'static [&'static str],
    /// The transport that it is about, if it is about one.
    pub mtp: Option<Mtp>,
    /// Whether it looks at what passes between the agent and its broker, for which the agent is sent to the tap.
    pub tapped: bool,
    pub(super) body: Body,
}

/// Whether certification asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// Of every agent.
    Mandatory,
    /// Of agents that have what the check is about.
    Conditional,
    /// No more; the plan still has it.
    Deprecated,
}

/// How agents are met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mtp {
    Mqtt5,
    Mqtt311,
    Stomp,
    WebSocket,
}

/// How a check came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Pass,
    Fail {
        why: String,
        /// What was said between controller and agent up to there.
        exchange: String,
    },
    NotApplicable {
        reason: String,
    },
}

/// What ends a check before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The agent did something else than the plan wants.
    Fail(String),
    /// The agent lacks what the check is about, or the controller what it takes.
    NotApplicable(String),
}

/// How the body of a check ends.
pub type Verdict = Result<(), Stop>;

pub(super) type Running<'s> = Pin<Box<dyn Future<Output = Verdict> + Send + 's>>;

/// What a check does.
#[derive(Debug)]
pub(super) enum Body {
    Run(fn(&mut Session) -> Running<'_>),
    /// Why a controller cannot carry it out.
    Never(&'static str),
}

impl Check {
    pub(super) const fn mandatory(
        section: u16,
        place: u16,
        title: &'static str,
        body: fn(&mut Session) -> Running<'_>,
    ) -> Self {
        let number = Number(section, place);
        Self {
            number,
            title,
            tag: Tag::Mandatory,
            needs: &[],
            mtp: None,
            tapped: false,
            body: Body::Run(body),
        }
    }

    pub(super) const fn conditional(
        section: u16,
        place: u16,
        title: &'static str,
        needs: &'static [&'static str],
        body: fn(&mut Session) -> Running<'_>,
    ) -> Self {
        Self { tag: Tag::Conditional, needs, ..Self::mandatory(section, place, title, body) }
    }

    /// One about a transport, carried out at the tap whatever transport the run uses.
    pub(super) const fn tapped(
        section: u16,
        place: u16,
        title: &'static str,
        needs: &'static [&'static str],
        body: fn(&mut Session) -> Running<'_>,
    ) -> Self {
        Self { tapped: true, ..Self::conditional(section, place, title, needs, body) }
    }

    /// One that cannot be carried out from here.
    pub(super) const fn never(section: u16, place: u16, title: &'static str, why: &'static str) -> Self {
        Self {
            number: Number(section, place),
            title,
            tag: Tag::Conditional,
            needs: &[],
            mtp: None,
            tapped: false,
            body: Body::Never(why),
        }
    }

    /// Whether a controller can carry it out at all.
    pub fn can_run(&self) -> bool {
        matches!(self.body, Body::Run(_))
    }

    pub(super) const fn over(self, mtp: Mtp) -> Self {
        Self { mtp: Some(mtp), ..self }
    }

    pub(super) const fn deprecated(self) -> Self {
        Self { tag: Tag::Deprecated, ..self }
    }
}

impl Tag {
    pub fn name(self) -> &'static str {
        match self {
            Self::Mandatory => "mandatory",
            Self::Conditional => "conditional",
            Self::Deprecated => "deprecated",
        }
    }
}

impl Mtp {
    pub fn name(self) -> &'static str {
        match self {
            Self::Mqtt5 => "MQTT 5.0",
            Self::Mqtt311 => "MQTT 3.1.1",
            Self::Stomp => "STOMP",
            Self::WebSocket => "WebSocket",
        }
    }

    /// Whether both are the same transport, of whatever version.
    pub(super) fn is_kin(self, other: Self) -> bool {
        let is_mqtt = |mtp| matches!(mtp, Self::Mqtt5 | Self::Mqtt311);
        self == other || (is_mqtt(self) && is_mqtt(other))
    }
}

impl Outcome {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail { .. } => "fail",
            Self::NotApplicable { .. } => "not applicable",
        }
    }
}
