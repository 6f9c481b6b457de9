//! The ACSs, and which of them a session is for.

use std::sync::Arc;

use crate::policy::{AcsRule, Caller};
use crate::proxy::AcsId;
use crate::upstream::Acs;

/// In the order in which they are asked; the first whose rule holds has the session.
#[derive(Default)]
pub struct AcsServers(Vec<(AcsRule, Arc<Acs>)>);

impl AcsServers {
    pub fn new(servers: Vec<(AcsRule, Arc<Acs>)>) -> Self {
        Self(servers)
    }

    /// Whether the gateway is the ACS itself.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn choose(&self, caller: &Caller<'_>) -> Option<AcsId> {
        let place = self.0.iter().position(|(rule, _)| rule.holds(caller))?;
        u16::try_from(place).ok().map(AcsId)
    }

    pub(super) fn get(&self, acs: AcsId) -> Option<&Arc<Acs>> {
        self.0.get(usize::from(acs.0)).map(|(_, acs)| acs)
    }
}
