//! Short reads on threads of their own: no task is woken for them, and none waits.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use rusqlite::{Connection, params_from_iter, types::ToSqlOutput};

use crate::durable::{Entry, Range};
use crate::identity::EndpointId;

use super::contract::{MAX_PEEKED, Peeked, StoreError};
use super::embedded::entry;
use super::opening::open_for_reading;
use super::sealing::SealKeys;

/// The threads. They end when this is dropped, after what waits.
pub(super) struct Peeking {
    threads: Vec<SyncSender<Peek>>,
    next: AtomicUsize,
}

struct Peek {
    endpoint: EndpointId,
    wanted: Vec<Range>,
    then: Peeked,
}

impl Peeking {
    pub fn start(file: &Path, keys: &Arc<SealKeys>) -> Result<Self, StoreError> {
        let failed = |why: String| StoreError::Open { file: file.display().to_string(), why };
        let count = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
        let mut threads = Vec::with_capacity(count);
        for _ in 0..count {
            let connection = open_for_reading(file).map_err(|error| failed(error.to_string()))?;
            let (sender, receiver) = sync_channel(WAITING);
            let thread = std::thread::Builder::new().name("peeking".into());
            let keys = Arc::clone(keys);
            thread
                .spawn(move || serve(&connection, &keys, &receiver))
                .map_err(|error| failed(error.to_string()))?;
            threads.push(sender);
        }
        Ok(Self { threads, next: AtomicUsize::new(0) })
    }

    pub fn peek(&self, endpoint: &EndpointId, wanted: Vec<Range>, then: Peeked) {
        if wanted.len() > MAX_PEEKED {
            return then(Err(StoreError::Busy));
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.threads.len().max(1);
        let Some(thread) = self.threads.get(turn) else { return then(Err(StoreError::Closed)) };
        match thread.try_send(Peek { endpoint: endpoint.clone(), wanted, then }) {
            Ok(()) => {}
            Err(TrySendError::Full(peek)) => (peek.then)(Err(StoreError::Busy)),
            Err(TrySendError::Disconnected(peek)) => (peek.then)(Err(StoreError::Closed)),
        }
    }
}

fn serve(connection: &Connection, keys: &SealKeys, receiver: &Receiver<Peek>) {
    let queries: Vec<String> = (0..=MAX_PEEKED).map(|count| vec![ONE; count].join(" UNION ALL ")).collect();
    while let Ok(Peek { endpoint, wanted, then }) = receiver.recv() {
        let entries = match queries.get(wanted.len()) {
            Some(query) if !wanted.is_empty() => read(connection, query, &endpoint, &wanted, keys),
            _ => Ok(Vec::new()),
        };
        then(entries.map_err(|error| StoreError::Read(error.to_string())));
    }
}

/// One statement for all, so that they are of one moment.
fn read(
    connection: &Connection,
    query: &str,
    endpoint: &EndpointId,
    wanted: &[Range],
    keys: &SealKeys,
) -> rusqlite::Result<Vec<Entry>> {
    let mut query = connection.prepare_cached(query)?;
    let values = wanted.iter().flat_map(|range| {
        let kind = ToSqlOutput::from(i64::from(range.kind as u8));
        let keys = [&range.from, &range.to].map(|key| ToSqlOutput::from(key.as_str()));
        std::iter::once(ToSqlOutput::from(endpoint.as_str())).chain([kind]).chain(keys)
    });
    let mut rows = query.query(params_from_iter(values))?;
    let mut entries = Vec::with_capacity(wanted.len());
    while let Some(row) = rows.next()? {
        entries.extend(entry(row)?.and_then(|entry| keys.unseal_entry(endpoint.as_str(), entry)));
    }
    Ok(entries)
}

const ONE: &str =
    "SELECT kind, key, value FROM entries WHERE endpoint = ? AND kind = ? AND key BETWEEN ? AND ?";
const MAX_THREADS: usize = 4;
/// Reads that may wait for one thread.
const WAITING: usize = 1_024;
