//! Firmware on its way to the device, from a controller's command to the CPE's word that it runs. The image is
//! fetched to the stage and checked there; at its time the CPE is told to load it by a Download of CWMP; its
//! TransferComplete, and the start that goes with it, end the operation.
//!
//! Every phase is durable before the next one begins: what the gateway was at when it died it does again, but
//! for a CPE that has been told, which is awaited.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::datamodel::WallTime;
use crate::durable::Token;
use crate::translation::{FIRMWARE_IMAGES, FirmwareDownload, Outcome};
use crate::usp::ErrorCode;
use crate::usp::message::notify::operation_complete::OperationResp;

use super::core::Agent;
use super::images::{Bank, Staged, Status};
use super::io::{
    Checksum, Env, Fetch, Offer, Output, Shadow, StageAnswer, StageId, StageRequest, Transferred,
};
use super::local::Operation;
use super::queue::Work;

/// How far the firmware of an operation has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::agent) struct Upgrade {
    /// The row that it is for; 0 if the CPE has rows of its own.
    pub bank: u32,
    pub began: WallTime,
    /// When it may be activated, the next one first; none: at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// In the stage.
    pub image: Option<Staged>,
    pub phase: Phase,
}

/// When a firmware may be activated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::agent) struct Window {
    pub start: WallTime,
    pub end: WallTime,
    /// How often it may be tried again.
    pub retries: u32,
}

/// What it waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::agent) enum Phase {
    /// The stage.
    Fetching,
    /// Likewise.
    Checking,
    /// Its window.
    Waiting,
    /// A session in which the CPE is told, until this time at most.
    Ordered { key: String, until: WallTime },
    /// The CPE's word about it. It ran `version` before.
    Told { key: String, until: WallTime, version: String, booted: bool },
    /// A start of the CPE, which has the image and has not started since.
    Loaded { until: WallTime },
}

/// What of firmware is in memory alone.
#[derive(Debug, Default)]
pub(super) struct Upgrading {
    /// Whom the stage's answers are for.
    asked: BTreeMap<StageId, u32>,
    /// Where CPEs that are to be told can load from, by operation, and up to when in monotonic milliseconds.
    offers: BTreeMap<u32, (Offer, u64)>,
    /// The commits of orders: nothing is said to a CPE before.
    orders: BTreeMap<u32, Token>,
    /// This session's Inform says that a TransferComplete about ours follows: Boot! comes after it.
    pub word_follows: bool,
}

impl Upgrading {
    /// Whether the stage owes no answer.
    pub fn is_idle(&self) -> bool {
        self.asked.is_empty()
    }
}

impl Upgrade {
    /// Whether the CPE has its order and cannot be stopped.
    pub fn is_told(&self) -> bool {
        matches!(self.phase, Phase::Told { .. } | Phase::Loaded { .. })
    }

    /// When something is due even if nobody says anything.
    pub fn next_time(&self) -> Option<WallTime> {
        match &self.phase {
            Phase::Fetching | Phase::Checking => None,
            Phase::Waiting => self.windows.first().map(|window| window.start),
            Phase::Ordered { until, .. } | Phase::Told { until, .. } | Phase::Loaded { until } => {
                Some(*until)
            }
        }
    }
}

impl Operation {
    /// The image of a Download().
    fn fetch(&self) -> Fetch {
        let argument = |name: &str| self.input_args.get(name).cloned().unwrap_or_default();
        let credentials = (argument("Username"), argument("Password"));
        let credentials = Some(credentials).filter(|(user, _)| !user.is_empty());
        let size = argument("FileSize").parse().unwrap_or(0);
        Fetch { url: argument("URL"), credentials, size, checksum: self.checksum() }
    }

    /// What the image of a Download() is to hash to.
    fn checksum(&self) -> Option<Checksum> {
        let argument = |name: &str| self.input_args.get(name).filter(|text| !text.is_empty()).cloned();
        Some(Checksum { algorithm: argument("CheckSumAlgorithm")?, value: argument("CheckSum")? })
    }
}

impl Agent {
    /// Shows the rows of images where the CPE has none of its own, and asks the stage for what operations need:
    /// at their beginning, and again after a restart of the gateway.
    pub(super) fn settle_upgrades(&mut self, shadow: &Shadow, out: &mut Vec<Output>) {
        if !self.config.firmware {
            return;
        }
        if self.is_discovered() && !self.stored.root.is_empty() {
            let own = shadow.cpe.has_object(FIRMWARE_IMAGES) || shadow.cpe.has_object(FIRST_OWN_ROW);
            if own == self.local.has_firmware_images() {
                self.local.hold_firmware_images(!own);
                self.show_images();
            }
        }
        let wanted: Vec<(u32, StageRequest)> =
            self.operations.iter().filter_map(|it| Some((it.instance, self.stage_request(it)?))).collect();
        for (instance, request) in wanted {
            self.ask_stage(Some(instance), request, out);
        }
    }

    /// What an operation needs of the stage and has not asked for.
    fn stage_request(&self, operation: &Operation) -> Option<StageRequest> {
        let upgrade = operation.upgrade.as_ref()?;
        if operation.canceling || self.upgrading.asked.values().any(|asked| *asked == operation.instance) {
            return None;
        }
        let image = upgrade.image.as_ref().map(|staged| staged.image.clone());
        match &upgrade.phase {
            Phase::Fetching => Some(StageRequest::Fetch(operation.fetch())),
            Phase::Checking => Some(StageRequest::Check { image: image?, of: operation.fetch() }),
            Phase::Ordered { .. } => {
                let kept =
                    self.upgrading.orders.get(&operation.instance).is_none_or(|it| it.0 <= self.settled);
                let offer = self.upgrading.offers.get(&operation.instance);
                let fresh = offer.is_some_and(|(_, until)| *until > self.seen.0);
                let name = file_name(operation.input_args.get("URL").map_or("", String::as_str));
                let name = self.images.name_of(upgrade.bank).filter(|_| name.is_empty()).unwrap_or(name);
                (kept && !fresh).then_some(StageRequest::Offer { image: image?, name })
            }
            Phase::Waiting | Phase::Told { .. } | Phase::Loaded { .. } => None,
        }
    }

    fn ask_stage(&mut self, instance: Option<u32>, request: StageRequest, out: &mut Vec<Output>) {
        self.next += 1;
        let id = StageId(self.next);
        if let Some(instance) = instance {
            self.upgrading.asked.insert(id, instance);
        }
        out.push(Output::Stage { id, request });
    }

    /// The stage's answer.
    pub(super) fn staged(
        &mut self,
        env: &Env,
        shadow: &Shadow,
        id: StageId,
        answer: StageAnswer,
        out: &mut Vec<Output>,
    ) {
        let Some(instance) = self.upgrading.asked.remove(&id) else { return };
        match answer {
            StageAnswer::Fetched(Ok(image)) => self.fetched(env, shadow, instance, image, out),
            StageAnswer::Checked(Ok(())) => self.available(env, shadow, instance, out),
            StageAnswer::Offered(Ok(offer)) => {
                self.upgrading.offers.insert(instance, (offer, env.now + OFFER_MS));
                out.push(Output::WantSession);
            }
            StageAnswer::Fetched(Err(why)) => {
                self.give_up(env, shadow, instance, Status::DownloadFailed, &why, out);
            }
            StageAnswer::Checked(Err(why)) => {
                self.give_up(env, shadow, instance, Status::ValidationFailed, &why, out);
            }
            StageAnswer::Offered(Err(why)) => {
                self.give_up(env, shadow, instance, Status::ActivationFailed, &why, out);
            }
        }
    }

    fn fetched(&mut self, env: &Env, shadow: &Shadow, instance: u32, image: Staged, out: &mut Vec<Output>) {
        let Some(operation) = self.operations.iter_mut().find(|it| it.instance == instance) else { return };
        let Some(upgrade) = &mut operation.upgrade else { return };
        upgrade.image = Some(image);
        upgrade.phase = Phase::Checking;
        let bank = upgrade.bank;
        if operation.checksum().is_none() {
            // Nothing says what it should be: it is what it is.
            return self.available(env, shadow, instance, out);
        }
        self.set_status(bank, Status::Validating);
        self.keep_operation(instance, out);
        self.keep_images(out);
    }

    /// The image is whole and in the stage.
    fn available(&mut self, env: &Env, shadow: &Shadow, instance: u32, out: &mut Vec<Output>) {
        let Some(operation) = self.operations.iter().find(|it| it.instance == instance) else { return };
        let Some(upgrade) = &operation.upgrade else { return };
        let (bank, image) = (upgrade.bank, upgrade.image.clone());
        let activates =
            operation.input_args.get("AutoActivate").is_some_and(|it| matches!(&**it, "true" | "1"));
        let name = file_name(operation.input_args.get("URL").map_or("", String::as_str));
        if !self.images.is_active(bank)
            && let Some(bank) = self.images.bank(bank)
        {
            (bank.status, bank.name, bank.image) = (Status::Available, name, image);
        }
        self.keep_images(out);
        match activates {
            true => self.order(env, instance, out),
            false => self.completed(env, shadow, instance, Outcome::Completed(BTreeMap::new()), out),
        }
    }

    /// The CPE is to be told, as soon as that is durable.
    fn order(&mut self, env: &Env, instance: u32, out: &mut Vec<Output>) {
        self.next += 1;
        let key = format!("{OWN_KEY}{:016x}", env.seed ^ self.next);
        let Some(operation) = self.operations.iter_mut().find(|it| it.instance == instance) else { return };
        let Some(upgrade) = &mut operation.upgrade else { return };
        let until = upgrade.windows.first().map_or(WallTime(env.wall.0 + ORDER_MS), |window| window.end);
        upgrade.phase = Phase::Ordered { key, until };
        operation.started = false;
        self.upgrading.offers.remove(&instance);
        if let Some(token) = self.keep_operation(instance, out) {
            self.upgrading.orders.insert(instance, token);
        }
    }

    /// The plans of orders whose CPE can be told now.
    pub(super) fn plan_orders(&mut self, env: &Env) {
        let ready = self.operations.iter().filter(|it| self.is_to_be_told(it));
        let ready: Vec<(u32, FirmwareDownload)> = ready
            .filter(|it| !self.queue.has(Work::Start(it.instance)))
            .filter_map(|it| {
                let Phase::Ordered { key, .. } = &it.upgrade.as_ref()?.phase else { return None };
                let (offer, _) = self.upgrading.offers.get(&it.instance)?;
                Some((it.instance, FirmwareDownload::new(key.clone(), offer.url.clone(), offer.size)))
            })
            .collect();
        for (instance, plan) in ready {
            self.push_own(env, Box::new(plan), Work::Start(instance));
        }
    }

    /// A transfer of the ACS's is under way until then at most, or is no more: ours waits for it, since a CPE that
    /// loses keys could not tell whose has ended.
    pub(super) fn acs_transfers(&mut self, until: Option<WallTime>, out: &mut Vec<Output>) {
        if self.stored.acs_transfer != until {
            self.stored.acs_transfer = until;
            let change = self.stored.change();
            self.persist(vec![change], out);
            out.push(Output::WantSession);
        }
    }

    /// The key of the transfer that the CPE has been told to make, where the ACS has none open.
    pub(super) fn lone_transfer(&self) -> Option<String> {
        if self.stored.acs_transfer.is_some_and(|until| until > self.seen.1) {
            return None;
        }
        self.operations.iter().find_map(|it| match &it.upgrade.as_ref()?.phase {
            Phase::Told { key, .. } => Some(key.clone()),
            _ => None,
        })
    }

    /// Whether an order only waits for a session.
    pub(super) fn is_to_be_told(&self, operation: &Operation) -> bool {
        if self.stored.acs_transfer.is_some_and(|until| until > self.seen.1) {
            return false;
        }
        let ordered = |upgrade: &Upgrade| matches!(upgrade.phase, Phase::Ordered { .. });
        !operation.canceling
            && operation.upgrade.as_ref().is_some_and(ordered)
            && self.upgrading.offers.contains_key(&operation.instance)
    }

    /// The CPE has taken the order on, has carried it out at once, or would not.
    pub(super) fn told(
        &mut self,
        env: &Env,
        shadow: &Shadow,
        instance: u32,
        outcome: &Outcome,
        out: &mut Vec<Output>,
    ) {
        let version = self.stored.software_version.clone();
        let Some(operation) = self.operations.iter_mut().find(|it| it.instance == instance) else { return };
        let Some(upgrade) = &mut operation.upgrade else { return };
        let Phase::Ordered { key, .. } = &upgrade.phase else { return };
        match outcome {
            Outcome::Error(error) => {
                let why = error.err_msg.clone();
                self.failed(env, shadow, instance, &why, out);
            }
            Outcome::Completed(_) => {
                upgrade.phase = Phase::Loaded { until: WallTime(env.wall.0 + START_MS) };
                operation.started = true;
                self.keep_operation(instance, out);
            }
            Outcome::Response(_) | Outcome::Silent => {
                let (key, until) = (key.clone(), WallTime(env.wall.0 + TRANSFER_MS));
                upgrade.phase = Phase::Told { key, until, version, booted: false };
                operation.started = true;
                self.keep_operation(instance, out);
            }
        }
    }

    /// The CPE says how a transfer of ours has ended. Of one that nobody waits for any more it is enough that it
    /// was said.
    pub(super) fn transferred(
        &mut self,
        env: &Env,
        shadow: &Shadow,
        transferred: &Transferred,
        out: &mut Vec<Output>,
    ) {
        self.upgrading.word_follows = false;
        let is_its = |it: &&mut Operation| match it.upgrade.as_ref().map(|upgrade| &upgrade.phase) {
            Some(Phase::Ordered { key, .. } | Phase::Told { key, .. }) => *key == transferred.command_key,
            _ => false,
        };
        if let Some(operation) = self.operations.iter_mut().find(is_its) {
            let instance = operation.instance;
            let booted = match operation.upgrade.as_ref().map(|upgrade| &upgrade.phase) {
                Some(Phase::Told { booted, .. }) => *booted,
                // That it was told had no time to become known: it has started since.
                _ => self.booting,
            };
            self.queue.cancel(instance);
            match (transferred.fault_code, booted) {
                (0, true) => self.runs(env, shadow, instance, out),
                (0, false) => {
                    if let Some(upgrade) = &mut operation.upgrade {
                        upgrade.phase = Phase::Loaded { until: WallTime(env.wall.0 + START_MS) };
                    }
                    operation.started = true;
                    self.keep_operation(instance, out);
                }
                (code, _) => {
                    let why = format!(
                        "the device could not load it: CWMP fault {code} {}",
                        transferred.fault_string
                    );
                    self.failed(env, shadow, instance, &why, out);
                }
            }
        }
        self.tell_boot_if_read(env, shadow, out);
    }

    /// The device has started: one that has loaded an image runs it now.
    pub(super) fn upgrades_booted(&mut self, env: &Env, shadow: &Shadow, out: &mut Vec<Output>) {
        let mut runs = Vec::new();
        let mut changed = Vec::new();
        for operation in &mut self.operations {
            match operation.upgrade.as_mut().map(|upgrade| &mut upgrade.phase) {
                Some(Phase::Loaded { .. }) => runs.push(operation.instance),
                Some(Phase::Told { booted, .. }) if !*booted => {
                    *booted = true;
                    changed.push(operation.instance);
                }
                _ => {}
            }
        }
        for instance in changed {
            self.keep_operation(instance, out);
        }
        for instance in runs {
            self.runs(env, shadow, instance, out);
        }
    }

    /// The device runs the image of this operation.
    fn runs(&mut self, env: &Env, shadow: &Shadow, instance: u32, out: &mut Vec<Output>) {
        let Some(operation) = self.operations.iter().find(|it| it.instance == instance) else { return };
        let Some(Upgrade { bank, image, .. }) = operation.upgrade.clone() else { return };
        let name = file_name(operation.input_args.get("URL").map_or("", String::as_str));
        if let Some(row) = self.images.bank(bank) {
            row.image = image;
            if !name.is_empty() {
                row.name = name;
            }
        }
        self.images.activate(bank, &self.stored.software_version);
        self.note_new_firmware();
        self.completed(env, shadow, instance, Outcome::Completed(BTreeMap::new()), out);
        self.keep_images(out);
    }

    /// It did not work. It is tried again as far as its windows let it.
    fn failed(&mut self, env: &Env, shadow: &Shadow, instance: u32, why: &str, out: &mut Vec<Output>) {
        let Some(operation) = self.operations.iter_mut().find(|it| it.instance == instance) else { return };
        let again = operation.upgrade.as_mut().is_some_and(|upgrade| upgrade.is_tried_again(env.wall));
        if !again || operation.canceling {
            return self.give_up(env, shadow, instance, Status::ActivationFailed, why, out);
        }
        operation.started = true;
        self.upgrading.offers.remove(&instance);
        out.push(Output::Log(format!("firmware is to be activated again later: {why}")));
        self.keep_operation(instance, out);
    }

    fn give_up(
        &mut self,
        env: &Env,
        shadow: &Shadow,
        instance: u32,
        status: Status,
        why: &str,
        out: &mut Vec<Output>,
    ) {
        let operation = self.operations.iter().find(|it| it.instance == instance);
        let Some(bank) = operation.and_then(|it| it.upgrade.as_ref()).map(|it| it.bank) else { return };
        self.set_status(bank, status);
        if status == Status::ActivationFailed
            && let Some(bank) = self.images.bank(bank)
        {
            bank.failure = why.chars().take(MAX_FAILURE).collect();
        }
        let outcome = Outcome::error(ErrorCode::COMMAND_FAILURE, why);
        self.completed(env, shadow, instance, outcome, out);
        self.keep_images(out);
    }

    /// What the time of an operation brings.
    pub(super) fn upgrades_due(&mut self, env: &Env, shadow: &Shadow, out: &mut Vec<Output>) {
        let is_due = |upgrade: &Upgrade| upgrade.next_time().is_some_and(|at| at <= env.wall);
        let due = self.operations.iter().filter(|it| it.upgrade.as_ref().is_some_and(is_due));
        let due: Vec<(u32, Phase)> =
            due.filter_map(|it| Some((it.instance, it.upgrade.as_ref()?.phase.clone()))).collect();
        for (instance, phase) in due {
            match phase {
                Phase::Waiting => self.order(env, instance, out),
                // What the CPE is being asked at this moment is awaited.
                Phase::Ordered { .. } if !self.queue.cancel(instance) => {}
                Phase::Ordered { .. } => {
                    self.failed(env, shadow, instance, "the device could not be reached in time", out);
                }
                // It has not said so, but it runs something new.
                Phase::Told { version, booted: true, .. } if version != self.stored.software_version => {
                    self.runs(env, shadow, instance, out);
                }
                Phase::Told { .. } => {
                    self.failed(env, shadow, instance, "the device did not say in time how it went", out);
                }
                Phase::Loaded { .. } => {
                    self.failed(
                        env,
                        shadow,
                        instance,
                        "the device has the image and did not start with it",
                        out,
                    );
                }
                Phase::Fetching | Phase::Checking => {}
            }
        }
    }

    /// `TransferComplete!`, of a Download() that is over.
    pub(super) fn tell_transfer(
        &mut self,
        env: &Env,
        shadow: &Shadow,
        operation: &Operation,
        resp: &OperationResp,
        out: &mut Vec<Output>,
    ) {
        let Some(upgrade) = &operation.upgrade else { return };
        let Some(affected) = operation.command.strip_suffix("Download()") else { return };
        let (code, why) = match resp {
            OperationResp::CmdFailure(failure) => (failure.err_code, failure.err_msg.as_str()),
            OperationResp::ReqOutputArgs(_) => (0, ""),
        };
        let checksum = operation.checksum().filter(|_| code == 0);
        let (algorithm, hash) =
            checksum.map_or(("Unknown".to_owned(), String::new()), |it| (it.algorithm, it.value));
        let params: BTreeMap<String, String> = [
            ("Command", operation.command.clone()),
            ("CommandKey", operation.command_key.clone()),
            ("Requestor", operation.originator.to_string()),
            ("TransferType", "Download".to_owned()),
            ("Affected", affected.to_owned()),
            ("TransferURL", operation.input_args.get("URL").cloned().unwrap_or_default()),
            ("StartTime", upgrade.began.to_string()),
            ("CompleteTime", if code == 0 { env.wall.to_string() } else { UNKNOWN_TIME.to_owned() }),
            ("FaultCode", code.to_string()),
            ("FaultString", why.chars().take(MAX_FAILURE).collect()),
            ("CheckSumAlgorithm", algorithm),
            ("CheckSum", hash),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let told = self.about_event(shadow, "Device.LocalAgent.", "TransferComplete!", |_| params.clone());
        self.tell(env, told, out);
    }

    /// When the next of that is.
    pub(super) fn next_upgrade(&self) -> Option<WallTime> {
        let own = self.operations.iter().filter_map(|it| it.upgrade.as_ref()?.next_time()).min();
        let acs = self.stored.acs_transfer.filter(|until| own.is_some() && *until > self.clockwork.done());
        own.into_iter().chain(acs).min()
    }

    /// An operation is over, however: what was only for it is dropped.
    pub(super) fn forget_upgrade(&mut self, operation: &Operation, out: &mut Vec<Output>) {
        let instance = operation.instance;
        self.upgrading.asked.retain(|_, asked| *asked != instance);
        self.upgrading.offers.remove(&instance);
        self.upgrading.orders.remove(&instance);
        let Some(upgrade) = &operation.upgrade else { return };
        if operation.canceling && matches!(upgrade.phase, Phase::Fetching | Phase::Checking) {
            self.set_status(upgrade.bank, Status::NoImage);
        }
        self.keep_images(out);
    }

    /// A row is to get a new image: what was in it is gone.
    pub(super) fn begin_image(&mut self, number: u32, out: &mut Vec<Output>) {
        if !self.images.is_active(number)
            && let Some(bank) = self.images.bank(number)
        {
            *bank = Bank { status: Status::Downloading, ..Bank::default() };
        }
        self.keep_images(out);
    }

    fn set_status(&mut self, number: u32, status: Status) {
        if self.images.is_active(number) {
            // It runs, whatever becomes of what was to replace it.
            return;
        }
        if let Some(bank) = self.images.bank(number) {
            bank.status = status;
        }
    }

    /// Shows the rows as they are now, and makes them durable.
    pub(super) fn keep_images(&mut self, out: &mut Vec<Output>) {
        let under_way = self.operations.iter().filter_map(|it| it.upgrade.as_ref()?.image.as_ref());
        let under_way: Vec<String> = under_way.map(|staged| staged.image.clone()).collect();
        let holds = self.images.hold(under_way.into_iter());
        self.show_images();
        let change = self.images.change();
        self.persist(vec![change], out);
        self.ask_stage(None, StageRequest::Hold(holds), out);
    }

    pub(super) fn show_images(&mut self) {
        if self.local.has_firmware_images() {
            let is_told = |it: &Operation| it.upgrade.as_ref().is_some_and(Upgrade::is_told);
            // Which image it is that runs the CPE has not said yet.
            if !self.stored.software_version.is_empty() && !self.operations.iter().any(is_told) {
                self.images.runs(&self.stored.software_version);
            }
            self.local.show_firmware_images(&self.images.shown());
        }
    }

    /// Makes durable how far an operation has come.
    fn keep_operation(&mut self, instance: u32, out: &mut Vec<Output>) -> Option<Token> {
        let operation = self.operations.iter().find(|it| it.instance == instance)?;
        let change = operation.change();
        Some(self.persist(vec![change], out))
    }
}

impl Upgrade {
    /// Goes on to the next try: in this window, or in the next one.
    fn is_tried_again(&mut self, now: WallTime) -> bool {
        let again = WallTime(now.0 + RETRY_MS);
        if let Some(window) = self.windows.first_mut().filter(|it| it.retries > 0 && it.end > again) {
            (window.start, window.retries) = (again, window.retries - 1);
            self.phase = Phase::Waiting;
            return true;
        }
        let is_over = |window: &Window| window.end <= now;
        self.windows.drain(..self.windows.len().min(1));
        let over = self.windows.iter().take_while(|window| is_over(window)).count();
        self.windows.drain(..over);
        self.phase = Phase::Waiting;
        !self.windows.is_empty()
    }
}

/// Whether a CommandKey is one of ours: what it belongs to is no matter of the ACS's.
pub fn is_own_key(key: &str) -> bool {
    key.starts_with(OWN_KEY)
}

/// What a file is called at its origin, as far as the data model has room for it.
fn file_name(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or("");
    path.rsplit('/').next().unwrap_or("").chars().take(MAX_NAME).collect()
}

/// How the CommandKeys of the gateway's own transfers begin.
const OWN_KEY: &str = "dragoman-usp-";
/// A table is known by its rows where a CPE does not tell of the table itself.
const FIRST_OWN_ROW: &str = "Device.DeviceInfo.FirmwareImage.1.";
/// How old an offer may be when a CPE is told of it.
const OFFER_MS: u64 = 3_600_000;
/// How long a CPE may be out of reach for what has no window.
const ORDER_MS: u64 = 24 * 3_600_000;
/// How long a CPE may take to load an image.
const TRANSFER_MS: u64 = 3_600_000;
/// How long it may take to start with it.
const START_MS: u64 = 900_000;
/// How long an activation that failed is left alone.
const RETRY_MS: u64 = 60_000;
/// TR-106: when is not known.
const UNKNOWN_TIME: &str = "0001-01-01T00:00:00Z";
/// Characters of `Name`.
const MAX_NAME: usize = 64;
/// Characters of `BootFailureLog`.
const MAX_FAILURE: usize = 256;
