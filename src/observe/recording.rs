//! The file of one capture, and the task that writes it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::capture::{Ended, Event, Http, MAX_LINE, Scribe, Way};
use crate::datamodel::WallTime;
use crate::transport::http::decode_body;

use super::recorder::{CaptureError, RecorderConfig, Running};

/// Something that passed and is to be written.
pub(super) struct Queued {
    pub at: Instant,
    pub size: usize,
    pub event: Arc<Event>,
}

/// What is written, and how far.
pub(super) struct Recording {
    file: File,
    scribe: Scribe,
    began: Instant,
    most: u64,
    written: u64,
    messages: u64,
}

impl Recording {
    pub fn new(file: File, scribe: Scribe, began: Instant, most: u64) -> Self {
        Self { file, scribe, began, most, written: 0, messages: 0 }
    }

    /// Writes until the capture has ended, and says why it did.
    pub async fn run(
        mut self,
        opening: String,
        capture: &Running,
        mut receiver: mpsc::Receiver<Queued>,
        time: Duration,
    ) -> Ended {
        if self.put(&opening).is_err() {
            return Ended::Failed;
        }
        let end = tokio::time::Instant::now() + time;
        let mut batch = Vec::new();
        let ended = loop {
            // What a controller is answered comes a moment after its session.
            let until = if self.scribe.has_enough() { tokio::time::Instant::now() + AFTER } else { end };
            let ended = tokio::select! {
                biased;
                () = capture.overflow.cancelled() => Some(Ended::Truncated),
                () = capture.stop.cancelled() => Some(Ended::Stopped),
                () = capture.leave.cancelled() => Some(Ended::Gateway),
                _ = receiver.recv_many(&mut batch, BATCH) => None,
                () = tokio::time::sleep_until(until.min(end)) => {
                    Some(if until < end { Ended::Sessions } else { Ended::Minutes })
                }
            };
            if ended.is_some() {
                receiver.close();
                while let Ok(queued) = receiver.try_recv() {
                    batch.push(queued);
                }
            }
            let size: usize = batch.iter().map(|queued| queued.size).sum();
            let wrote = self.write(std::mem::take(&mut batch)).await;
            let Some((recording, full)) = wrote else { return Ended::Failed };
            self = recording;
            capture.waiting.fetch_sub(size, Ordering::Relaxed);
            self.show(capture);
            if let Some(ended) = full.or(ended) {
                break ended;
            }
        };
        let last = self.scribe.ending(self.since(Instant::now()), ended);
        let closed = self.put(&last).and_then(|()| self.file.sync_all());
        self.show(capture);
        if closed.is_ok() { ended } else { Ended::Failed }
    }

    fn show(&self, capture: &Running) {
        capture.bytes.store(self.written, Ordering::Relaxed);
        capture.messages.store(self.messages, Ordering::Relaxed);
        capture.sessions.store(u64::from(self.scribe.sessions()), Ordering::Relaxed);
    }

    /// Writes on a thread that may wait: reading envelopes takes time, and so does a disk.
    async fn write(mut self, batch: Vec<Queued>) -> Option<(Self, Option<Ended>)> {
        let work = move || {
            let full = batch.into_iter().find_map(|queued| self.one(&queued));
            (self, full)
        };
        tokio::task::spawn_blocking(work).await.ok()
    }

    /// Writes one event; says so if it was one too many.
    fn one(&mut self, queued: &Queued) -> Option<Ended> {
        let event = decoded(&queued.event);
        let Some(line) = self.scribe.line(self.since(queued.at), &event) else {
            return Some(Ended::Sessions);
        };
        // A line that no reader would take is one too many, too.
        if self.written + line.len() as u64 + ENDING > self.most || line.len() > MAX_LINE {
            return Some(Ended::Bytes);
        }
        self.messages += 1;
        self.put(&line).err().map(|_| Ended::Failed)
    }

    fn put(&mut self, line: &str) -> std::io::Result<()> {
        self.written += line.len() as u64;
        self.file.write_all(line.as_bytes())
    }

    fn since(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }
}

/// The event with its body in identity coding beside it.
fn decoded(event: &Event) -> Event {
    let mut event = event.clone();
    let (Way::Request { http, .. } | Way::Answer { http, .. }) = &mut event.way else { return event };
    let Http { head, body, .. } = http;
    let coding = head.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-encoding"));
    let coding = coding.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
    http.decoded = decode_body(coding.as_deref(), body, MAX_BODY).map_or(Some(None), |body| body.map(Some));
    event
}

/// Makes the file of a capture, which may grow to `bytes`.
pub(super) fn open(
    config: &RecorderConfig,
    started: WallTime,
    id: u64,
    bytes: u64,
) -> Result<(File, PathBuf), CaptureError> {
    let directory = &config.directory;
    let failed = |error| CaptureError::Write(directory.clone(), error);
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(failed)?;
    let (mut files, mut total) = (0, 0);
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().extension().is_some_and(|it| it == ENDING_OF_NAMES) {
            files += 1;
            total += entry.metadata().map_err(failed)?.len();
        }
    }
    let full = |why| Err(CaptureError::Full(directory.clone(), why));
    if files >= config.max_files {
        return full(format!("it holds {files} captures, capture.max_files"));
    }
    if bytes.saturating_add(total) > config.max_total_bytes {
        return full(format!(
            "{total} bytes are there, and {bytes} may come; capture.max_total_bytes is less"
        ));
    }
    let time = started.to_string().replace([':', '-'], "");
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // A gateway that was started anew in the same second counts from 1 again.
    let names =
        (0..=files).map(|more| directory.join(format!("{time}-{}.{ENDING_OF_NAMES}", id + more as u64)));
    for path in names {
        match options.open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Err(failed(std::io::ErrorKind::AlreadyExists.into()))
}

const ENDING_OF_NAMES: &str = "jsonl";
/// Room that is kept for the last line.
const ENDING: u64 = 128;
/// Messages that are written at a time.
const BATCH: usize = 64;
/// How long what follows the last session is waited for.
const AFTER: Duration = Duration::from_secs(2);
/// Bytes of a body that was inflated.
const MAX_BODY: usize = 16 << 20;
