//! What every store can do. Each has the same promises, so each passes the same tests.

use std::future::Future;

use thiserror::Error;

use crate::datamodel::WallTime;
use crate::durable::{Change, Entry, Kind, Range};
use crate::identity::EndpointId;

/// A store of devices' entries.
pub trait Store: Send + Sync + 'static {
    /// Makes changes durable, all or none. When this returns, they survive a crash of process and machine.
    fn commit(
        &self,
        endpoint: &EndpointId,
        changes: Vec<Change>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// As [`Store::commit`], of entries that are the fleet's and no single device's.
    fn commit_fleet(&self, changes: Vec<Change>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// All entries that are the fleet's.
    fn load_fleet(&self) -> impl Future<Output = Result<Vec<Entry>, StoreError>> + Send;

    /// All entries of a device; none for one that is not known.
    fn load(&self, endpoint: &EndpointId) -> impl Future<Output = Result<Vec<Entry>, StoreError>> + Send;

    /// Reads some of a device's entries, [`MAX_PEEKED`] ranges at most, and hands them to `then` on a thread of the
    /// store's: nothing waits for it. `then` is called in any case, at once where the store cannot take it.
    fn peek(&self, endpoint: &EndpointId, wanted: Vec<Range>, then: Peeked);

    /// The devices whose [`Kind::Deadline`] is not after `until`, the earliest first, `most` of them.
    fn due(
        &self,
        until: WallTime,
        most: usize,
    ) -> impl Future<Output = Result<Vec<(WallTime, EndpointId)>, StoreError>> + Send;

    /// All entries of a kind, with the devices that they are of.
    fn of_kind(
        &self,
        kind: Kind,
    ) -> impl Future<Output = Result<Vec<(EndpointId, Entry)>, StoreError>> + Send;

    /// Every device that has entries, with the kinds it has of those asked for.
    fn known(&self, kinds: &[Kind]) -> impl Future<Output = Result<Vec<Known>, StoreError>> + Send;
}

/// Is handed what was peeked at. It must be short and must not block.
pub type Peeked = Box<dyn FnOnce(Result<Vec<Entry>, StoreError>) + Send>;

/// Ranges that are peeked at in one go.
pub const MAX_PEEKED: usize = 8;

/// A device in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub endpoint: EndpointId,
    pub kinds: Vec<Kind>,
}

/// Why the store could not do it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    #[error("failed to open the store {file}: {why}")]
    Open { file: String, why: String },
    #[error("the store {file} has format {found}, this release reads {wanted}")]
    Format { file: String, found: i64, wanted: i64 },
    #[error("failed to write: {0}")]
    Write(String),
    #[error("failed to read: {0}")]
    Read(String),
    #[error("too many reads wait")]
    Busy,
    #[error("the store is closed")]
    Closed,
}
