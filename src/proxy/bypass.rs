//! A device that the operator leaves to its ACS: USP stops at once, what it changed of the CPE is given back in the
//! next session after the ACS's leg, and splices stay until then. From then on every byte passes as it came; once
//! the ACS has acknowledged an Inform that passed so, the gateway could be taken away.

use crate::agent::{Env, Silence};
use crate::durable::{Change, Entry, Kind};
use crate::policy::{Bypass, PASSED};

use super::device::Device;
use super::io::Output;
use super::session::{Ours, Phase, Session};

/// What of it is known for one device.
#[derive(Debug, Default)]
pub(super) struct Bypassing {
    order: Option<Bypass>,
    /// The order under which the device has passed to the ACS.
    passed: Option<Bypass>,
    /// The newest Inform went to the ACS as it came.
    pub unspliced: bool,
}

impl Bypassing {
    /// The order itself is told by who knows the fleet's too.
    pub fn restore(entries: &[Entry]) -> Self {
        let passed = entries.iter().find(|entry| entry.kind == Kind::Bypass && entry.key == PASSED);
        Self { passed: passed.and_then(|entry| Bypass::decode(&entry.value)), ..Self::default() }
    }

    /// Whether an order is in force.
    pub fn is_on(&self) -> bool {
        self.order.is_some()
    }

    fn has_passed(&self) -> bool {
        self.order.is_some() && self.passed == self.order
    }
}

impl Device {
    pub(super) fn set_bypass(&mut self, env: &Env, order: Option<Bypass>, out: &mut Vec<Output>) {
        self.bypass.order = order;
        let silence = match order {
            None => Silence::None,
            Some(order) if order.is_emergency() || self.bypass.has_passed() => Silence::Total,
            Some(_) => Silence::GivingBack,
        };
        let mut said = Vec::new();
        self.agent.silence(env, &mut self.shadow, silence, &mut said);
        self.pass_on(env, &mut said, out);
        let parked = matches!(
            &self.session,
            Some(Session { phase: Phase::Ours(Ours { parked_until: Some(_), .. }), .. })
        );
        if order.is_some() && parked {
            self.finish(env, out);
        }
    }

    /// Whether what passes to the ACS is virtualised.
    pub(super) fn splices(&self) -> bool {
        match self.bypass.order {
            None => true,
            Some(order) => !order.is_emergency() && !self.bypass.has_passed() && !self.agent.has_given_back(),
        }
    }

    /// An Inform has been acknowledged. Where it passed as it came, and nothing is left to be given back, the
    /// device is the ACS's alone.
    pub(super) fn note_passed(&mut self, env: &Env, out: &mut Vec<Output>) {
        let Some(order) = self.bypass.order.filter(|order| !order.is_emergency()) else { return };
        let unspliced = self.bypass.unspliced || !self.config.acs;
        if self.bypass.has_passed() || !unspliced || !self.agent.has_given_back() {
            return;
        }
        self.bypass.passed = Some(order);
        self.persist_own(vec![Change::put(Kind::Bypass, PASSED, order.encode())], out);
        self.set_bypass(env, Some(order), out);
        out.push(Output::Log(format!("{}: the device is left to its ACS", order.mode.label())));
    }
}
