//! Which pairs of states the worlds have come through, so that it is seen what was tried and what was not.

use std::collections::BTreeMap;
use std::fmt;

use super::super::super::session::{InformedBy, Phase};
use super::super::Device;
use super::acs::Acs;
use super::cpe::Cpe;

/// How often each pair was met.
#[derive(Default)]
pub(super) struct Reached {
    pairs: BTreeMap<(&'static str, &'static str), u64>,
}

impl Reached {
    pub fn note(&mut self, device: &Device, cpe: &Cpe, acs: &Acs, bypassed: bool) {
        let phase = phase(device);
        let others = [
            cpe.state(),
            acs.state(),
            if acs.calls { "ACS: has called" } else { "ACS: has not called" },
            if bypassed { "bypassed" } else { "not bypassed" },
            if device.agent.has_work() { "agent: has work" } else { "agent: has none" },
        ];
        for other in others {
            *self.pairs.entry((phase, other)).or_default() += 1;
        }
    }

    pub fn add(&mut self, more: Self) {
        for (pair, times) in more.pairs {
            *self.pairs.entry(pair).or_default() += times;
        }
    }

    /// What the worlds are for was tried.
    pub fn is_broad(&self) {
        // Two that last no longer than a step.
        for phase in PHASES.into_iter().filter(|phase| ![PHASES[10], PHASES[12]].contains(phase)) {
            let met: u64 =
                self.pairs.iter().filter(|((it, _), _)| *it == phase).map(|(_, times)| times).sum();
            assert!(met > 0, "no world came to \"{phase}\"");
        }
        assert!(self.pairs.len() > 90, "only {} pairs of states were reached", self.pairs.len());
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((phase, other), times) in &self.pairs {
            writeln!(f, "{times:>9}  {phase:<38} {other}")?;
        }
        write!(f, "{} pairs of states", self.pairs.len())
    }
}

fn phase(device: &Device) -> &'static str {
    let Some(session) = &device.session else { return PHASES[0] };
    match &session.phase {
        Phase::Relayed(relayed) if relayed.undecided => PHASES[1],
        Phase::Relayed(relayed) if relayed.held.is_some() => PHASES[2],
        Phase::Relayed(relayed) if relayed.lingers.is_some() => PHASES[3],
        Phase::Relayed(relayed) if !relayed.leg.is_informed() => PHASES[4],
        Phase::Relayed(relayed) if relayed.acs_request.is_some() => PHASES[5],
        Phase::Relayed(_) => PHASES[6],
        Phase::Ours(ours) if ours.parked_until.is_some() => PHASES[7],
        Phase::Ours(ours) if ours.closing => PHASES[8],
        Phase::Ours(ours) => match (ours.informed_by, &ours.outstanding) {
            (InformedBy::Acs, Some(_)) => PHASES[9],
            (InformedBy::Acs, None) => PHASES[10],
            (_, Some(_)) => PHASES[11],
            (_, None) => PHASES[12],
        },
    }
}

const PHASES: [&str; 13] = [
    "no session",
    "relayed, whether ours is undecided",
    "relayed, InformResponse held",
    "relayed, lingering",
    "relayed, not informed",
    "relayed, watched RPC of the ACS's",
    "relayed",
    "ours, parked",
    "ours, closing",
    "ours after the ACS, RPC out",
    "ours after the ACS",
    "ours alone, RPC out",
    "ours alone",
];
