//! Shadow mode: each RPC of the ACS is held against what USP would have done, and the device keeps the score. The
//! comparison itself is in `translation::compare`, what is kept of it in `policy`.

use crate::cwmp::rpc::{Request, Response};
use crate::durable::{Change, Entry, Kind};
use crate::policy::{Comparison, DeviceModel, Stage, Tally};
use crate::translation::{Access, Answer, Known, View, compare};

use super::core::Agent;
use super::io::{Env, Output, Shadow};

/// The score of one device.
#[derive(Default)]
pub(super) struct Comparing {
    kept: Comparison,
    /// What of it is of this session, and neither stored nor told yet.
    session: Tally,
    /// The ACS has deleted something since it was stored.
    deleted: bool,
}

impl Comparing {
    pub fn restore(entries: &[Entry]) -> Self {
        let entry = entries.iter().find(|entry| entry.kind == Kind::Comparison);
        let kept = entry.map(|entry| Comparison::decode(&entry.value)).unwrap_or_default();
        Self { kept, ..Self::default() }
    }
}

impl Agent {
    /// Whether the ACS's RPCs, and the faults that CPEs answer with, are to be told to the agent.
    pub fn compares(&self) -> bool {
        self.stage() == Stage::Shadow && !self.is_silent() && self.has_agent()
    }

    /// An RPC of the ACS has been answered. What the device has must be known first, and the shadow must not have
    /// learnt of it yet.
    pub(super) fn compare(
        &mut self,
        env: &Env,
        shadow: &mut Shadow,
        request: &Request<'_>,
        answer: Answer<'_>,
    ) {
        if !self.compares() {
            return;
        }
        let Some(undiscovered) = &self.stored.discovery_left else { return };
        let kept = &self.comparing.kept;
        let was_deleted = |instance: &str| kept.was_deleted(instance);
        let known = Known { mapping: self.mapping(), undiscovered, was_deleted: &was_deleted };
        let access = Access::for_us();
        let mut view = View::new(&mut shadow.cpe, &mut self.local, &access, env.wall);
        let done = self.comparing.session.compared;
        let room = MAX_ITEMS.saturating_sub(u32::try_from(done).unwrap_or(u32::MAX));
        let findings = compare(&mut view, &known, request, answer, room);
        let comparing = &mut self.comparing;
        comparing.kept.set_model(DeviceModel {
            oui: self.stored.device.oui.clone(),
            product_class: self.stored.device.product_class.clone(),
            software_version: self.stored.software_version.clone(),
        });
        comparing.session.add(&findings.tally);
        comparing.kept.count(&findings.tally);
        findings.differences.into_iter().for_each(|it| comparing.kept.note(it));
        if let (Request::DeleteObject(delete), Answer::Response(Response::DeleteObjectResponse(_))) =
            (request, answer)
        {
            comparing.kept.note_deleted(&delete.object_name);
            comparing.deleted = true;
        }
    }

    /// The session is over: what it has shown is stored, and told of. A gateway that dies before has lost the score
    /// of one session.
    pub(super) fn keep_comparison(&mut self, out: &mut Vec<Output>) {
        let session = std::mem::take(&mut self.comparing.session);
        let deleted = std::mem::take(&mut self.comparing.deleted);
        if session == Tally::default() && !deleted {
            return;
        }
        let kept = &self.comparing.kept;
        let (model, value) = (kept.model.clone(), kept.encode());
        self.persist(vec![Change::put(Kind::Comparison, "", value)], out);
        out.push(Output::Compared { model: Box::new(model), tally: Box::new(session) });
    }
}

/// Items that are compared in one session.
const MAX_ITEMS: u32 = 2_000;
