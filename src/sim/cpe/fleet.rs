//! A fleet of simulated CPEs: who they are, when they call, what was counted. A CPE is a task only while it
//! is in a session.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::cwmp::rpc::{Fault, Request, Response};
use crate::identity::DeviceId;
use crate::net::Opening;
use crate::sim::time;

use super::core::{CONNECTION_REQUEST, Cpe, Due, PERIODIC, Settings};
use super::demands::{Every, Happening};
use super::model::Model;
use super::quirks::Quirks;
use super::timers::{Alarm, Timers};
use super::transfers::Transfer;
use super::{loading, session, wake};

/// What a fleet is like; `new` fills in the usual.
#[derive(Debug, Clone)]
pub struct FleetConfig {
    /// Where all CPEs call first (`http` only); an ACS may move them.
    pub acs_url: String,
    pub model: Arc<Model>,
    pub count: usize,
    /// The serial number of the first CPE; the others follow.
    pub first_serial: u64,
    pub manufacturer: String,
    pub oui: String,
    pub product_class: String,
    /// Milliseconds between periodic Informs; `None` for what ManagementServer.PeriodicInform* says.
    pub periodic_ms: Option<u64>,
    /// Where connection requests are awaited, port 0 for any.
    pub connection_requests: SocketAddr,
    /// User name and password of connection requests; `None` to let anybody wake the CPEs.
    pub credentials: Option<(String, String)>,
    /// User name and password for the ACS, sent when it asks for HTTP digest or basic authentication.
    pub acs_credentials: Option<(String, String)>,
    /// The milliseconds over which the first Informs are spread.
    pub start_spread_ms: u64,
    /// The shortest wait in milliseconds before a failed session is tried again (TR-069 table 3 has 5 s);
    /// it doubles with each failure, ten times at most.
    pub retry_ms: u64,
    pub quirks: Quirks,
    /// Firmware is really loaded, and must be one of [`image`](super::image()); else the version that it brings
    /// is the file's name.
    pub loads_images: bool,
    /// What happens to every CPE by itself, over and over.
    pub happenings: Vec<Every>,
}

impl FleetConfig {
    /// A fleet that listens on any port of the loopback and starts all at once.
    pub fn new(acs_url: impl Into<String>, model: Arc<Model>, count: usize) -> Self {
        Self {
            acs_url: acs_url.into(),
            model,
            count,
            first_serial: 1,
            manufacturer: "Dragoman".into(),
            oui: "00256D".into(),
            product_class: "SimGateway".into(),
            periodic_ms: None,
            connection_requests: SocketAddr::from(([127, 0, 0, 1], 0)),
            credentials: None,
            acs_credentials: None,
            start_spread_ms: 0,
            retry_ms: 5_000,
            quirks: Quirks::default(),
            loads_images: false,
            happenings: Vec::new(),
        }
    }
}

/// What was counted since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    pub sessions_ok: u64,
    pub sessions_failed: u64,
    /// RPCs of the ACS that were answered, by a fault too.
    pub rpcs: u64,
    pub connection_requests: u64,
    /// Sessions that are open now.
    pub open: u64,
    /// Sessions that ended well, per CPE.
    pub per_cpe: Vec<u64>,
    /// Why the last failed session failed.
    pub last_failure: Option<String>,
}

/// A running fleet; a clone is the same fleet.
#[derive(Clone)]
pub struct Fleet(Arc<Shared>);

/// What the tasks of a fleet share.
pub(super) struct Shared {
    pub config: FleetConfig,
    slots: Vec<Mutex<Slot>>,
    timers: Timers,
    /// Sessions at a time: the process has only so many file descriptors.
    sessions: Semaphore,
    stop: CancellationToken,
    ok: AtomicU64,
    failed: AtomicU64,
    rpcs: AtomicU64,
    connection_requests: AtomicU64,
    open: AtomicU64,
    last_failure: Mutex<Option<String>>,
}

/// A CPE and where it is.
pub(super) struct Slot {
    pub cpe: Cpe,
    place: Place,
    periodic_ms: Option<u64>,
    periodic_generation: u32,
    retry_generation: u32,
    sessions: u64,
    has_cut: bool,
}

/// Where a CPE is; only an idle one opens a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Switched off, or on its way up.
    Down,
    Idle,
    /// After a failed session, until it is tried again.
    Waiting,
    InSession,
}

/// How a connection request ended.
pub(super) enum Woken {
    Yes,
    Unknown,
    Busy,
    Unauthorized,
}

impl Fleet {
    /// Starts the CPEs: each sends `0 BOOTSTRAP` and `1 BOOT`. Fails if the address for connection requests
    /// cannot be bound.
    pub async fn start(config: FleetConfig) -> io::Result<Self> {
        let (bound, incoming) = crate::net::listen(config.connection_requests, Opening::default()).await?;
        let settings = Arc::new(Settings {
            model: Arc::clone(&config.model),
            acs_url: config.acs_url.clone(),
            connection_request_base: format!("http://{bound}"),
            credentials: config.credentials.clone(),
            quirks: config.quirks.clone(),
        });
        let slots = (0..config.count).map(|index| Mutex::new(Slot::new(&settings, id_of(&config, index))));
        let shared = Arc::new(Shared {
            slots: slots.collect(),
            timers: Timers::default(),
            sessions: Semaphore::new(MAX_SESSIONS),
            stop: CancellationToken::new(),
            ok: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            rpcs: AtomicU64::new(0),
            connection_requests: AtomicU64::new(0),
            open: AtomicU64::new(0),
            last_failure: Mutex::new(None),
            config,
        });
        let count = shared.slots.len().max(1) as u64;
        for index in 0..shared.slots.len() {
            let delay = shared.config.start_spread_ms * index as u64 / count;
            shared.timers.set(delay, index, Alarm::Start);
        }
        tokio::spawn(wake::serve(Arc::clone(&shared), incoming));
        tokio::spawn(Arc::clone(&shared).run_timers());
        Ok(Self(shared))
    }

    /// Who the CPEs are, in the order of their index.
    pub fn device_ids(&self) -> Vec<DeviceId> {
        (0..self.0.slots.len()).map(|index| id_of(&self.0.config, index)).collect()
    }

    /// A parameter's value as it is in the device, passwords too.
    pub fn value(&self, index: usize, name: &str) -> Option<String> {
        self.0.try_with(index, |slot| slot.cpe.data.value(name).map(str::to_owned)).flatten()
    }

    /// A change on the device itself: notifications follow. Returns whether the device has the parameter.
    pub fn set(&self, index: usize, name: &str, value: &str) -> bool {
        let known = self.0.try_with(index, |slot| slot.cpe.change(name, value)).unwrap_or(false);
        self.0.call_if_wanted(index);
        known
    }

    /// A power cycle; during a session it waits for the session's end.
    pub fn reboot(&self, index: usize) {
        self.0.try_with(index, |slot| self.0.power_cycle(slot, index));
    }

    /// A periodic Inform now, or when the session that is open has ended.
    pub fn inform_now(&self, index: usize) {
        self.0.try_with(index, |slot| {
            slot.cpe.raise(PERIODIC, "");
            slot.stop_waiting();
        });
        self.0.call_if_wanted(index);
    }

    /// What was counted.
    pub fn statistics(&self) -> Statistics {
        let shared = &self.0;
        let per_cpe = shared.slots.iter().map(|slot| lock(slot).sessions);
        Statistics {
            sessions_ok: shared.ok.load(Ordering::Relaxed),
            sessions_failed: shared.failed.load(Ordering::Relaxed),
            rpcs: shared.rpcs.load(Ordering::Relaxed),
            connection_requests: shared.connection_requests.load(Ordering::Relaxed),
            open: shared.open.load(Ordering::Relaxed),
            per_cpe: per_cpe.collect(),
            last_failure: lock(&shared.last_failure).clone(),
        }
    }

    /// Cuts all sessions and ends all tasks of the fleet.
    pub async fn stop(self) {
        self.0.stop.cancel();
        // Each session holds a permit until it has ended.
        let _ = self.0.sessions.acquire_many(MAX_SESSIONS as u32).await;
    }
}

impl Slot {
    fn new(settings: &Arc<Settings>, id: DeviceId) -> Self {
        Self {
            cpe: Cpe::new(Arc::clone(settings), id),
            place: Place::Down,
            periodic_ms: None,
            periodic_generation: 0,
            retry_generation: 0,
            sessions: 0,
            has_cut: false,
        }
    }

    /// Gives up the wait before a retry: the next session takes its place.
    fn stop_waiting(&mut self) {
        if self.place == Place::Waiting {
            self.retry_generation = self.retry_generation.wrapping_add(1);
            self.place = Place::Idle;
        }
    }
}

impl Shared {
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Works on a CPE of the fleet; the index is known to be one.
    pub fn with<T>(&self, index: usize, work: impl FnOnce(&mut Slot) -> T) -> T {
        work(&mut lock(&self.slots[index]))
    }

    fn try_with<T>(&self, index: usize, work: impl FnOnce(&mut Slot) -> T) -> Option<T> {
        self.slots.get(index).map(|slot| work(&mut lock(slot)))
    }

    /// Carries out an RPC of the ACS.
    pub fn handle(&self, index: usize, request: &Request<'_>) -> Result<Response<'static>, Fault<'static>> {
        self.rpcs.fetch_add(1, Ordering::Relaxed);
        self.with(index, |slot| slot.cpe.handle(request, time::now()))
    }

    /// Whether the CPE is to cut the connection now, which it does once.
    pub fn cuts_before_answer(&self, index: usize, rpc: &str) -> bool {
        let wanted = self.config.quirks.drop_before_answer_to.as_deref() == Some(rpc);
        wanted && self.first_time(index)
    }

    /// True once for each CPE: what happens only once has not happened to it yet.
    pub fn first_time(&self, index: usize) -> bool {
        self.with(index, |slot| !std::mem::replace(&mut slot.has_cut, true))
    }

    /// A connection request for the CPE of that serial number.
    pub fn wake(
        self: &Arc<Self>,
        serial: &str,
        is_authorized: impl FnOnce(Option<(&str, &str)>) -> bool,
    ) -> Woken {
        let index = serial.parse::<u64>().ok().and_then(|it| it.checked_sub(self.config.first_serial));
        let index = index.and_then(|index| usize::try_from(index).ok());
        let woken = index.and_then(|index| {
            self.try_with(index, |slot| {
                if slot.cpe.id.serial_number != serial {
                    return Woken::Unknown;
                }
                if !is_authorized(slot.cpe.connection_request_credentials()) {
                    return Woken::Unauthorized;
                }
                if matches!(slot.place, Place::Down | Place::InSession) {
                    return Woken::Busy;
                }
                slot.stop_waiting();
                slot.cpe.raise(CONNECTION_REQUEST, "");
                Woken::Yes
            })
        });
        if let (Some(Woken::Yes), Some(index)) = (&woken, index) {
            self.connection_requests.fetch_add(1, Ordering::Relaxed);
            self.call_if_wanted(index);
        }
        woken.unwrap_or(Woken::Unknown)
    }

    async fn run_timers(self: Arc<Self>) {
        loop {
            let (index, alarm) = tokio::select! {
                next = self.timers.next() => next,
                () = self.stop.cancelled() => return,
            };
            match alarm {
                Alarm::Device(Due::Transferred(transfer))
                    if self.config.loads_images && transfer.is_firmware() =>
                {
                    tokio::spawn(Arc::clone(&self).load(index, transfer));
                    continue;
                }
                alarm => self.try_with(index, |slot| self.alarm(slot, index, alarm)),
            };
            self.call_if_wanted(index);
        }
    }

    /// Loads firmware; how that ended the device tells.
    async fn load(self: Arc<Self>, index: usize, transfer: Transfer) {
        let transfer = tokio::select! {
            transfer = loading::load(transfer) => transfer,
            () = self.stop.cancelled() => return,
        };
        self.try_with(index, |slot| self.alarm(slot, index, Alarm::Device(Due::Transferred(transfer))));
        self.call_if_wanted(index);
    }

    fn alarm(&self, slot: &mut Slot, index: usize, alarm: Alarm) {
        match alarm {
            Alarm::Start => {
                slot.cpe.boot(None, time::now());
                slot.place = Place::Idle;
                self.follow_period(slot, index);
                for (number, every) in self.config.happenings.iter().enumerate() {
                    self.timers.set(every.every_ms, index, Alarm::Happening(number));
                }
            }
            Alarm::Happening(number) => self.happen(slot, index, number),
            Alarm::Periodic { generation } if generation == slot.periodic_generation => {
                if slot.place != Place::Down {
                    slot.cpe.raise(PERIODIC, "");
                }
                if let Some(period) = slot.periodic_ms {
                    self.timers.set(period, index, Alarm::Periodic { generation });
                }
            }
            Alarm::Retry { generation } if generation == slot.retry_generation => slot.stop_waiting(),
            Alarm::Periodic { .. } | Alarm::Retry { .. } => {}
            Alarm::Device(due) => {
                if matches!(due, Due::Boot { .. } | Due::FactoryReset) {
                    slot.stop_waiting();
                    slot.place = if slot.place == Place::InSession { slot.place } else { Place::Idle };
                }
                slot.cpe.due(due, time::now());
                self.follow_period(slot, index);
            }
        }
    }

    /// Lets one of the happenings come over a CPE, which comes again after its time.
    fn happen(&self, slot: &mut Slot, index: usize, number: usize) {
        let Some(every) = self.config.happenings.get(number) else { return };
        self.timers.set(every.every_ms, index, Alarm::Happening(number));
        match &every.what {
            Happening::Reboot => self.power_cycle(slot, index),
            _ if slot.place == Place::Down => {}
            Happening::Change(name) => slot.cpe.vary(name, time::now()),
            Happening::Inform => slot.cpe.raise(PERIODIC, ""),
            Happening::Download => slot.cpe.download_by_itself(time::now()),
            Happening::Diagnostics => slot.cpe.diagnose(),
        }
    }

    /// Switches a CPE off and on; during a session it waits for the session's end.
    fn power_cycle(&self, slot: &mut Slot, index: usize) {
        if slot.place == Place::InSession {
            slot.cpe.after.push((0, Due::Boot { command_key: None }));
        } else {
            slot.place = Place::Down;
            self.timers.set(0, index, Alarm::Device(Due::Boot { command_key: None }));
        }
    }

    /// Sets the timer of periodic Informs anew if their period is another than before.
    fn follow_period(&self, slot: &mut Slot, index: usize) {
        let period = self.config.periodic_ms.or_else(|| slot.cpe.periodic_ms());
        if period == slot.periodic_ms {
            return;
        }
        slot.periodic_ms = period;
        slot.periodic_generation = slot.periodic_generation.wrapping_add(1);
        if let Some(period) = period {
            // Spread over the first period, as a fleet's clocks are.
            let first = period / 2 + seed(index) % (period / 2 + 1);
            self.timers.set(first, index, Alarm::Periodic { generation: slot.periodic_generation });
        }
    }

    /// Opens a session if the CPE is idle and has a reason to.
    fn call_if_wanted(self: &Arc<Self>, index: usize) {
        let opens = self.try_with(index, |slot| {
            let opens = slot.place == Place::Idle && slot.cpe.wants_session() && !self.stop.is_cancelled();
            if opens {
                slot.place = Place::InSession;
            }
            opens
        });
        if opens == Some(true) {
            tokio::spawn(Arc::clone(self).call(index));
        }
    }

    async fn call(self: Arc<Self>, index: usize) {
        let Ok(permit) = self.sessions.acquire().await else { return };
        self.open.fetch_add(1, Ordering::Relaxed);
        let outcome = tokio::select! {
            outcome = session::run(&self, index) => outcome,
            () = self.stop.cancelled() => Err("the fleet was stopped".into()),
        };
        self.open.fetch_sub(1, Ordering::Relaxed);
        drop(permit);
        self.with(index, |slot| self.after_session(slot, index, outcome));
        self.call_if_wanted(index);
    }

    fn after_session(&self, slot: &mut Slot, index: usize, outcome: Result<(), String>) {
        slot.place = Place::Idle;
        for (delay, due) in slot.cpe.close(outcome.is_ok()) {
            if matches!(due, Due::Boot { .. } | Due::FactoryReset) {
                slot.place = Place::Down;
            }
            self.timers.set(delay, index, Alarm::Device(due));
        }
        match outcome {
            Ok(()) => {
                slot.sessions += 1;
                self.ok.fetch_add(1, Ordering::Relaxed);
            }
            Err(why) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                debug!(device = %slot.cpe.id, %why, "session failed");
                *lock(&self.last_failure) = Some(why);
                if slot.place == Place::Idle {
                    slot.place = Place::Waiting;
                    slot.retry_generation = slot.retry_generation.wrapping_add(1);
                    let wait = retry_wait(self.config.retry_ms, slot.cpe.retry_count, seed(index));
                    self.timers.set(wait, index, Alarm::Retry { generation: slot.retry_generation });
                }
            }
        }
        self.follow_period(slot, index);
    }
}

/// The wait before a retry (TR-069 3.2.1.1): between the shortest wait doubled for each failure but the
/// first, and twice that.
fn retry_wait(shortest: u64, failures: u32, seed: u64) -> u64 {
    let least = shortest.saturating_mul(1 << failures.clamp(1, MAX_DOUBLINGS).saturating_sub(1));
    least.saturating_add(seed % least.max(1))
}

/// What spreads CPEs: the clock and a hash of the index.
fn seed(index: usize) -> u64 {
    (time::now().0 ^ (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)).rotate_left(17) >> 8
}

fn id_of(config: &FleetConfig, index: usize) -> DeviceId {
    DeviceId {
        manufacturer: config.manufacturer.clone(),
        oui: config.oui.clone(),
        product_class: config.product_class.clone(),
        serial_number: format!("{:08}", config.first_serial + index as u64),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sessions of a fleet at a time; more wait for their turn.
const MAX_SESSIONS: usize = 4_096;
/// The wait before a retry grows up to the tenth failure (TR-069 table 3).
const MAX_DOUBLINGS: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_wait_as_table_3_of_tr_069_says() {
        for (failures, least, most) in [(1, 5, 10), (2, 10, 20), (10, 2_560, 5_120), (50, 2_560, 5_120)] {
            for seed in [0, 7, u64::MAX] {
                let wait = retry_wait(5_000, failures, seed);
                assert!((least * 1_000..=most * 1_000).contains(&wait), "{failures}: {wait}");
            }
        }
        assert_eq!(retry_wait(0, 3, 9), 0);
    }
}
