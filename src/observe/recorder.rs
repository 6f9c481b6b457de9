//! Captures of the traffic of devices, to files: which are running, and who looks for what passes.
//!
//! While nothing is captured, a look costs one relaxed load. What is captured is handed to a task of its own through a
//! bounded queue; where that is full the capture ends, and the traffic goes on.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::capture::{Ended, Event, Policy, Scribe, Way};
use crate::datamodel::WallTime;
use crate::identity::{DeviceId, EndpointId};

use super::recording::{Queued, Recording, open};

/// What operators allow of captures.
#[derive(Debug, Clone)]
pub struct RecorderConfig {
    /// Where the files are; made if it is not there.
    pub directory: PathBuf,
    pub policy: Policy,
    /// Bytes of one capture, and of all files in the directory together.
    pub max_bytes: u64,
    pub max_total_bytes: u64,
    /// Files in the directory.
    pub max_files: usize,
    /// The longest that a capture runs.
    pub max_time: Duration,
}

/// Takes orders for captures; cloning shares. The default one takes none.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Inner>);

#[derive(Default)]
struct Inner {
    config: Option<RecorderConfig>,
    /// Whether anything is captured.
    on: AtomicBool,
    running: RwLock<Vec<Arc<Running>>>,
    /// What has ended lately, the newest last.
    ended: RwLock<Vec<CaptureState>>,
    captures: AtomicU64,
    connections: AtomicU64,
}

/// Whose traffic is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    Device(EndpointId),
    /// By OUI and serial number, of whatever product class: one that has never come yet, too.
    Serial {
        oui: String,
        serial: String,
    },
}

/// What was asked for.
#[derive(Debug, Clone)]
pub struct CaptureOrder {
    pub wanted: Vec<Wanted>,
    /// It ends after so many sessions, if after any number.
    pub sessions: Option<u32>,
    /// By default, and at most, what the configuration allows.
    pub time: Option<Duration>,
    pub bytes: Option<u64>,
}

/// Why there is no capture.
#[derive(Debug, Error)]
pub enum CaptureError {
    #[error("there is no [capture] in the configuration: name a directory there, and restart")]
    Off,
    #[error("say whose traffic: a device or a serial number; {MAX_WANTED} at most")]
    Nobody,
    #[error("{MAX_RUNNING} captures are running already; stop one")]
    Many,
    #[error("{0} is full: {1}; remove captures that are not needed")]
    Full(PathBuf, String),
    #[error("failed to write to {0}: {1}")]
    Write(PathBuf, std::io::Error),
    #[error("no such capture is running")]
    Unknown,
}

/// A capture, as operators see it.
#[derive(Debug, Clone, Serialize)]
pub struct CaptureState {
    pub id: u64,
    pub file: String,
    pub wanted: Vec<String>,
    pub started: String,
    /// `running`, or why it ended.
    pub state: &'static str,
    pub bytes: u64,
    pub messages: u64,
    pub sessions: u64,
}

/// A capture that runs.
pub(super) struct Running {
    id: u64,
    file: PathBuf,
    wanted: Vec<Wanted>,
    started: WallTime,
    sender: mpsc::Sender<Queued>,
    /// Bytes of bodies that wait.
    pub waiting: AtomicUsize,
    pub bytes: AtomicU64,
    pub messages: AtomicU64,
    pub sessions: AtomicU64,
    /// By order.
    pub stop: CancellationToken,
    /// Something found no place.
    pub overflow: CancellationToken,
    /// The gateway stops.
    pub leave: CancellationToken,
}

/// Where to tell what passes of one device.
pub struct Tap {
    device: EndpointId,
    to: Vec<Arc<Running>>,
}

impl Recorder {
    pub fn new(config: Option<RecorderConfig>) -> Self {
        Self(Arc::new(Inner { config, ..Inner::default() }))
    }

    /// Whether anything is captured.
    pub fn is_on(&self) -> bool {
        self.0.on.load(Ordering::Relaxed)
    }

    /// A number for a connection to the ACS.
    pub fn number(&self) -> u64 {
        self.0.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Where to tell what passes of a device; `None` if nobody wants it.
    pub fn tap(&self, device: &EndpointId) -> Option<Tap> {
        if !self.is_on() {
            return None;
        }
        let running = self.0.running.read().unwrap_or_else(PoisonError::into_inner);
        let to: Vec<_> = running.iter().filter(|it| it.wants(device)).cloned().collect();
        (!to.is_empty()).then(|| Tap { device: device.clone(), to })
    }

    /// Begins a capture, within a runtime.
    pub fn start(&self, order: &CaptureOrder) -> Result<CaptureState, CaptureError> {
        let config = self.0.config.as_ref().ok_or(CaptureError::Off)?;
        if order.wanted.is_empty() || order.wanted.len() > MAX_WANTED {
            return Err(CaptureError::Nobody);
        }
        let bytes = order.bytes.unwrap_or(config.max_bytes).min(config.max_bytes);
        let mut running = self.0.running.write().unwrap_or_else(PoisonError::into_inner);
        if running.len() >= MAX_RUNNING {
            return Err(CaptureError::Many);
        }
        let id = self.0.captures.fetch_add(1, Ordering::Relaxed) + 1;
        let started = WallTime::from(SystemTime::now());
        // What running captures may still write counts as written.
        let reserved: u64 =
            running.iter().map(|it| config.max_bytes.saturating_sub(it.bytes.load(Ordering::Relaxed))).sum();
        let (file, path) = open(config, started, id, bytes.saturating_add(reserved))?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let capture = Arc::new(Running {
            id,
            file: path,
            wanted: order.wanted.clone(),
            started,
            sender,
            waiting: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
            messages: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
            stop: CancellationToken::new(),
            overflow: CancellationToken::new(),
            leave: CancellationToken::new(),
        });
        let mut scribe = Scribe::new(config.policy.clone(), order.sessions);
        let devices: Vec<String> = order.wanted.iter().map(Wanted::text).collect();
        let opening = scribe.opening(started.to_string(), env!("CARGO_PKG_VERSION"), &devices);
        let time = order.time.unwrap_or(config.max_time).min(config.max_time);
        let recording = Recording::new(file, scribe, Instant::now(), bytes);
        running.push(Arc::clone(&capture));
        self.0.on.store(true, Ordering::Relaxed);
        drop(running);
        let state = capture.state("running");
        info!(capture = id, file = %state.file, wanted = ?state.wanted, "a capture begins");
        let recorder = self.clone();
        tokio::spawn(async move {
            let ended = recording.run(opening, &capture, receiver, time).await;
            recorder.end(&capture, ended);
        });
        Ok(state)
    }

    /// Ends a capture, or all; it ends once what waits is written.
    pub fn stop(&self, id: Option<u64>) -> Result<(), CaptureError> {
        let running = self.0.running.read().unwrap_or_else(PoisonError::into_inner);
        let mut stopped = 0;
        for capture in running.iter().filter(|it| id.is_none_or(|id| id == it.id)) {
            capture.stop.cancel();
            stopped += 1;
        }
        if stopped == 0 && id.is_some() { Err(CaptureError::Unknown) } else { Ok(()) }
    }

    /// Ends all captures because the gateway stops.
    pub fn leave(&self) {
        let running = self.0.running.read().unwrap_or_else(PoisonError::into_inner);
        running.iter().for_each(|capture| capture.leave.cancel());
    }

    /// What runs, and what has ended since the start, the newest last.
    pub fn list(&self) -> Vec<CaptureState> {
        let ended = self.0.ended.read().unwrap_or_else(PoisonError::into_inner);
        let running = self.0.running.read().unwrap_or_else(PoisonError::into_inner);
        ended.iter().cloned().chain(running.iter().map(|it| it.state("running"))).collect()
    }

    fn end(&self, capture: &Running, ended: Ended) {
        let state = capture.state(ended.label());
        let CaptureState { id, file, messages, .. } = &state;
        match ended {
            Ended::Truncated | Ended::Failed => {
                warn!(capture = id, %file, messages, why = ended.label(), "a capture ended before its time");
            }
            _ => info!(capture = id, %file, messages, why = ended.label(), "a capture ended"),
        }
        let mut all = self.0.ended.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_ENDED {
            all.remove(0);
        }
        all.push(state);
        let mut running = self.0.running.write().unwrap_or_else(PoisonError::into_inner);
        running.retain(|it| it.id != capture.id);
        self.0.on.store(!running.is_empty(), Ordering::Relaxed);
    }
}

impl Running {
    fn wants(&self, device: &EndpointId) -> bool {
        self.wanted.iter().any(|wanted| wanted.is(device))
    }

    fn state(&self, state: &'static str) -> CaptureState {
        CaptureState {
            id: self.id,
            file: self.file.display().to_string(),
            wanted: self.wanted.iter().map(Wanted::text).collect(),
            started: self.started.to_string(),
            state,
            bytes: self.bytes.load(Ordering::Relaxed),
            messages: self.messages.load(Ordering::Relaxed),
            sessions: self.sessions.load(Ordering::Relaxed),
        }
    }
}

impl Wanted {
    /// Reads `OUI-SERIAL`; a serial number may have hyphens of its own.
    pub fn serial(text: &str) -> Option<Self> {
        let (oui, serial) = text.split_once('-')?;
        let whole = !oui.is_empty() && !serial.is_empty();
        whole.then(|| Self::Serial { oui: oui.to_owned(), serial: serial.to_owned() })
    }

    fn text(&self) -> String {
        match self {
            Self::Device(device) => device.as_str().to_owned(),
            Self::Serial { oui, serial } => format!("{oui}-{serial}"),
        }
    }

    fn is(&self, device: &EndpointId) -> bool {
        let (oui, serial_number) = match self {
            Self::Device(wanted) => return wanted == device,
            Self::Serial { oui, serial } => (oui.clone(), serial.clone()),
        };
        let plain = DeviceId { oui, serial_number, ..DeviceId::default() }.endpoint_id();
        if plain == *device {
            return true;
        }
        // ops::OUI-ProductClass-Serial, where hyphens within a part are escaped.
        let parts = plain.as_str().strip_prefix("os::").and_then(|it| it.split_once('-'));
        let of = device.as_str().strip_prefix("ops::").zip(parts);
        of.is_some_and(|(of, (oui, serial))| {
            let ends = of.rsplit_once('-').is_some_and(|(_, it)| it == serial);
            ends && of.split_once('-').is_some_and(|(it, _)| it == oui)
        })
    }
}

impl Tap {
    /// Tells of something. Never waits.
    pub fn note(&self, way: Way) {
        let size = match &way {
            Way::Request { http, .. } | Way::Answer { http, .. } => http.body.len(),
            Way::Record { bytes, .. } => bytes.len(),
            Way::Failed { .. } => 0,
        };
        let event = Arc::new(Event { device: self.device.clone(), way });
        for capture in &self.to {
            let waiting = capture.waiting.fetch_add(size, Ordering::Relaxed) + size;
            let queued = Queued { at: Instant::now(), size, event: Arc::clone(&event) };
            if waiting > MAX_WAITING || capture.sender.try_send(queued).is_err() {
                capture.overflow.cancel();
            }
        }
    }
}

/// Devices of one capture.
const MAX_WANTED: usize = 64;
/// Captures at a time: each message is held against all of them.
const MAX_RUNNING: usize = 8;
/// Captures that have ended and are still listed.
const MAX_ENDED: usize = 32;
/// Messages, and bytes of them, that wait to be written.
const QUEUE: usize = 2_048;
const MAX_WAITING: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn device(serial: &str) -> EndpointId {
        let (oui, serial_number) = ("00256D".into(), serial.into());
        DeviceId { oui, serial_number, ..DeviceId::default() }.endpoint_id()
    }

    fn recorder(name: &str, max_bytes: u64) -> (Recorder, RecorderConfig) {
        let directory = std::env::temp_dir().join(format!("dragoman-recorder-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        let config = RecorderConfig {
            directory,
            policy: Policy::default(),
            max_bytes,
            max_total_bytes: max_bytes * 5 / 2,
            max_files: 2,
            max_time: Duration::from_secs(60),
        };
        (Recorder::new(Some(config.clone())), config)
    }

    fn order(serial: &str) -> CaptureOrder {
        let wanted = vec![Wanted::serial(&format!("00256D-{serial}")).unwrap()];
        CaptureOrder { wanted, sessions: None, time: None, bytes: None }
    }

    fn record() -> Way {
        Way::Record { outgoing: true, mtp: "mqtt", bytes: Bytes::from_static(b"no record") }
    }

    async fn ended(recorder: &Recorder) -> CaptureState {
        for _ in 0..500 {
            match recorder.list().pop() {
                Some(state) if state.state != "running" => return state,
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        panic!("the capture does not end: {:?}", recorder.list());
    }

    #[tokio::test]
    async fn only_whom_was_asked_for_is_captured_and_nobody_once_it_has_ended() {
        let (recorder, config) = recorder("whom", 2_000);
        assert!(recorder.tap(&device("1")).is_none());
        let state = recorder.start(&order("1")).unwrap();
        assert!(recorder.tap(&device("2")).is_none());
        recorder.tap(&device("1")).unwrap().note(record());
        recorder.stop(Some(state.id)).unwrap();
        let state = ended(&recorder).await;
        assert_eq!((state.state, state.messages), ("stopped", 1));
        assert!(!recorder.is_on() && recorder.tap(&device("1")).is_none());
        assert!(matches!(recorder.stop(Some(state.id)), Err(CaptureError::Unknown)));
        let text = std::fs::read_to_string(&state.file).unwrap();
        assert_eq!((text.lines().count(), text.len() as u64), (3, state.bytes), "{text}");
        std::fs::remove_dir_all(config.directory).unwrap();
    }

    #[tokio::test]
    async fn more_than_can_be_written_ends_the_capture_and_holds_up_nobody() {
        let (recorder, config) = recorder("more", 10 << 20);
        let big = || Way::Record { outgoing: false, mtp: "mqtt", bytes: vec![0; MAX_WAITING + 1].into() };
        for (most, notes) in [(QUEUE as u64, vec![record(); QUEUE + 1]), (0, vec![big()])] {
            recorder.start(&order("1")).unwrap();
            let tap = recorder.tap(&device("1")).unwrap();
            // The writer has no turn meanwhile: this thread is the only one.
            notes.into_iter().for_each(|way| tap.note(way));
            let state = ended(&recorder).await;
            assert_eq!((state.state, state.messages), ("truncated", most));
            let text = std::fs::read_to_string(&state.file).unwrap();
            assert!(text.ends_with(",\"end\":\"truncated\",\"sessions\":0}\n"), "{text}");
        }
        std::fs::remove_dir_all(config.directory).unwrap();
    }

    #[tokio::test]
    async fn files_are_bounded_in_size_and_number() {
        let (recorder, config) = recorder("files", 2_000);
        recorder.start(&order("1")).unwrap();
        let tap = recorder.tap(&device("1")).unwrap();
        (0..50).for_each(|_| tap.note(record()));
        let state = ended(&recorder).await;
        assert!(state.state == "bytes" && state.bytes <= 2_000 && state.bytes > 1_500, "{state:?}");
        recorder.start(&order("1")).unwrap();
        let refused = recorder.start(&order("2")).unwrap_err();
        assert!(matches!(&refused, CaptureError::Full(_, why) if why.contains("max_files")), "{refused}");
        // What runs may still grow: 2,000 of 5,000 bytes are its own.
        std::fs::write(&state.file, vec![b' '; 1_500]).unwrap();
        let config = RecorderConfig { max_files: 9, ..config };
        let inner = Inner { config: Some(config.clone()), ..Inner::default() };
        let other = Recorder(Arc::new(inner));
        other.start(&order("1")).unwrap();
        let refused = other.start(&order("2")).unwrap_err();
        assert!(
            matches!(&refused, CaptureError::Full(_, why) if why.contains("max_total_bytes")),
            "{refused}"
        );
        std::fs::remove_dir_all(config.directory).unwrap();
    }

    #[test]
    fn a_device_is_known_by_oui_and_serial_number_whatever_its_product_class() {
        let of = |class: &str, serial: &str| {
            let (product_class, serial_number) = (class.to_owned(), serial.to_owned());
            DeviceId { oui: "00256D".into(), product_class, serial_number, ..DeviceId::default() }
                .endpoint_id()
        };
        let wanted = Wanted::serial("00256D-A-1").unwrap();
        assert!(wanted.is(&of("", "A-1")) && wanted.is(&of("Box", "A-1")) && wanted.is(&of("A-B", "A-1")));
        assert!(!wanted.is(&of("Box", "1")) && !wanted.is(&of("A", "1")) && !wanted.is(&of("", "A-12")));
        assert!(Wanted::serial("00256D").is_none() && Wanted::serial("-1").is_none());
    }
}
