//! The store of one node: SQLite in one file, which an operator can open with any SQLite tool.
//!
//! One thread writes. It takes all commits that wait into one transaction, so that a hundred devices share
//! one flush to the disk. `synchronous=FULL` makes a commit survive power loss as well.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;
use rusqlite::{Connection, Row, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use crate::datamodel::WallTime;
use crate::durable::{Change, Deadline, Entry, Kind, Range};
use crate::identity::EndpointId;

use super::contract::{Known, Peeked, Store, StoreError};
use super::opening::{FLEET, open_for_reading, open_for_writing};
use super::peeking::Peeking;
use super::sealing::SealKeys;

/// Where the store is.
#[derive(Debug, Clone)]
pub struct EmbeddedConfig {
    /// The file; its folder must exist. `-wal` and `-shm` files stand beside it while it is open.
    pub file: PathBuf,
    /// The file with the keys that seal secrets, which is made if there is none; without it nothing is sealed.
    pub key_file: Option<PathBuf>,
}

/// An open store. Dropping the last one writes what waits and closes the file.
pub struct Embedded {
    commits: Option<mpsc::Sender<Commit>>,
    readers: Arc<Readers>,
    keys: Arc<SealKeys>,
    peeking: Peeking,
    writer: Option<JoinHandle<()>>,
}

struct Commit {
    /// A device's endpoint, or [`FLEET`].
    owner: String,
    changes: Vec<Change>,
    done: oneshot::Sender<Result<(), StoreError>>,
}

struct Readers {
    file: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Embedded {
    /// Opens the file, or makes it.
    pub fn open(config: &EmbeddedConfig) -> Result<Self, StoreError> {
        Self::open_for(config, false)
    }

    /// Opens the file of a gateway that runs and will hand over: each process writes what it owns.
    pub fn open_beside(config: &EmbeddedConfig) -> Result<Self, StoreError> {
        Self::open_for(config, true)
    }

    fn open_for(config: &EmbeddedConfig, beside: bool) -> Result<Self, StoreError> {
        let (connection, keys) = open_for_writing(config, beside)?;
        let keys = Arc::new(keys);
        let (commits, receiver) = mpsc::channel(WAITING);
        let writer = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || write_all(connection, receiver))
            .map_err(|error| StoreError::Open {
                file: config.file.display().to_string(),
                why: error.to_string(),
            })?;
        let readers = Arc::new(Readers { file: config.file.clone(), idle: Mutex::new(Vec::new()) });
        let peeking = Peeking::start(&config.file, &keys)?;
        Ok(Self { commits: Some(commits), readers, keys, peeking, writer: Some(writer) })
    }

    async fn write(&self, owner: &str, changes: Vec<Change>) -> Result<(), StoreError> {
        let sealed = changes.into_iter().map(|change| self.keys.seal_change(owner, change));
        let changes = sealed.collect::<Option<Vec<_>>>();
        let changes = changes.ok_or_else(|| StoreError::Write("a secret could not be sealed".into()))?;
        let (done, result) = oneshot::channel();
        let commit = Commit { owner: owner.to_owned(), changes, done };
        let commits = self.commits.as_ref().ok_or(StoreError::Closed)?;
        commits.send(commit).await.map_err(|_| StoreError::Closed)?;
        result.await.unwrap_or(Err(StoreError::Closed))
    }

    async fn entries(&self, owner: &str) -> Result<Vec<Entry>, StoreError> {
        let (owner, keys) = (owner.to_owned(), Arc::clone(&self.keys));
        self.read(move |connection| load(connection, &owner, &keys)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = Arc::clone(&self.readers);
        let reading = tokio::task::spawn_blocking(move || readers.with(query));
        reading.await.map_err(|error| StoreError::Read(error.to_string()))?
    }
}

impl Store for Embedded {
    async fn commit(&self, endpoint: &EndpointId, changes: Vec<Change>) -> Result<(), StoreError> {
        self.write(endpoint.as_str(), changes).await
    }

    async fn commit_fleet(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.write(FLEET, changes).await
    }

    async fn load_fleet(&self) -> Result<Vec<Entry>, StoreError> {
        self.entries(FLEET).await
    }

    async fn load(&self, endpoint: &EndpointId) -> Result<Vec<Entry>, StoreError> {
        self.entries(endpoint.as_str()).await
    }

    fn peek(&self, endpoint: &EndpointId, wanted: Vec<Range>, then: Peeked) {
        self.peeking.peek(endpoint, wanted, then);
    }

    async fn due(&self, until: WallTime, most: usize) -> Result<Vec<(WallTime, EndpointId)>, StoreError> {
        self.read(move |connection| due(connection, until, most)).await
    }

    async fn of_kind(&self, kind: Kind) -> Result<Vec<(EndpointId, Entry)>, StoreError> {
        self.read(move |connection| of_kind(connection, kind)).await
    }

    async fn known(&self, kinds: &[Kind]) -> Result<Vec<Known>, StoreError> {
        let kinds = kinds.to_vec();
        self.read(move |connection| known(connection, &kinds)).await
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // The writer ends when nobody can send any more, after all that was sent.
        self.commits = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl Readers {
    fn with<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open_for_reading(&self.file).map_err(|error| StoreError::Read(error.to_string()))?,
        };
        let result = query(&connection).map_err(|error| StoreError::Read(error.to_string()));
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < READERS {
            idle.push(connection);
        }
        result
    }
}

/// The writer's loop: one transaction for all commits that wait.
fn write_all(mut connection: Connection, mut receiver: mpsc::Receiver<Commit>) {
    let mut group = Vec::new();
    while let Some(first) = receiver.blocking_recv() {
        group.push(first);
        while group.len() < GROUP {
            match receiver.try_recv() {
                Ok(next) => group.push(next),
                Err(_) => break,
            }
        }
        let result = write(&mut connection, &group).map_err(|error| StoreError::Write(error.to_string()));
        for commit in group.drain(..) {
            // Who does not wait any more has lost its device task; the change stands all the same.
            let _ = commit.done.send(result.clone());
        }
    }
}

fn write(connection: &mut Connection, group: &[Commit]) -> rusqlite::Result<()> {
    // The lock is taken first: another process may write too.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut put = transaction.prepare_cached(PUT)?;
        let mut delete = transaction.prepare_cached(DELETE)?;
        for commit in group {
            for change in &commit.changes {
                match change {
                    Change::Put(entry) => put.execute(params![
                        commit.owner,
                        entry.kind as u8,
                        entry.key.as_str(),
                        &entry.value[..]
                    ])?,
                    Change::Delete { kind, key } => {
                        delete.execute(params![commit.owner, *kind as u8, key.as_str()])?
                    }
                };
            }
        }
    }
    transaction.commit()
}

fn load(connection: &Connection, owner: &str, keys: &SealKeys) -> rusqlite::Result<Vec<Entry>> {
    let mut query = connection.prepare_cached(LOAD)?;
    let mut rows = query.query([owner])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.extend(entry(row)?.and_then(|entry| keys.unseal_entry(owner, entry)));
    }
    Ok(entries)
}

/// The entry of a row of kind, key and value, as it stands there. A kind of a later release is left alone.
pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Option<Entry>> {
    let Some(kind) = Kind::from_number(row.get(0)?) else { return Ok(None) };
    let key = row.get_ref(1)?.as_str()?.into();
    let value = Bytes::copy_from_slice(row.get_ref(2)?.as_blob()?);
    Ok(Some(Entry { kind, key, value }))
}

fn due(
    connection: &Connection,
    until: WallTime,
    most: usize,
) -> rusqlite::Result<Vec<(WallTime, EndpointId)>> {
    let mut query = connection.prepare_cached(DUE)?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut rows = query.query(params![&Deadline::encode(until)[..], most])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let endpoint = EndpointId::parse(row.get_ref(0)?.as_str()?).ok();
        found.extend(Deadline::decode(row.get_ref(1)?.as_blob()?).zip(endpoint));
    }
    Ok(found)
}

fn of_kind(connection: &Connection, kind: Kind) -> rusqlite::Result<Vec<(EndpointId, Entry)>> {
    let mut query = connection.prepare_cached(OF_KIND)?;
    let mut rows = query.query([kind as u8])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let endpoint = EndpointId::parse(row.get_ref(3)?.as_str()?).ok();
        found.extend(endpoint.zip(entry(row)?));
    }
    Ok(found)
}

fn known(connection: &Connection, wanted: &[Kind]) -> rusqlite::Result<Vec<Known>> {
    let mut query = connection.prepare_cached(KNOWN)?;
    let mut rows = query.query([])?;
    let mut found: Vec<Known> = Vec::new();
    while let Some(row) = rows.next()? {
        let Ok(endpoint) = EndpointId::parse(row.get_ref(0)?.as_str()?) else { continue };
        let kind = Kind::from_number(row.get(1)?).filter(|kind| wanted.contains(kind));
        match found.last_mut().filter(|last| last.endpoint == endpoint) {
            Some(last) => last.kinds.extend(kind),
            None => found.push(Known { endpoint, kinds: kind.into_iter().collect() }),
        }
    }
    Ok(found)
}

const PUT: &str = "INSERT INTO entries (endpoint, kind, key, value) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO UPDATE SET value = excluded.value";
const DELETE: &str = "DELETE FROM entries WHERE endpoint = ?1 AND kind = ?2 AND key = ?3";
const LOAD: &str = "SELECT kind, key, value FROM entries WHERE endpoint = ?1 ORDER BY kind, key";
/// The number of [`Kind::Deadline`] stands here and in the index, as text: it is what lets the index be used.
const DUE: &str =
    "SELECT endpoint, value FROM entries WHERE kind = 9 AND value <= ?1 ORDER BY value LIMIT ?2";
const OF_KIND: &str = "SELECT kind, key, value, endpoint FROM entries WHERE kind = ?1";
const KNOWN: &str = "SELECT DISTINCT endpoint, kind FROM entries ORDER BY endpoint, kind";
/// Commits that may wait for the writer; who comes then waits for a place.
const WAITING: usize = 4_096;
/// Commits in one transaction.
const GROUP: usize = 512;
/// Reading connections kept open.
const READERS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("dragoman-store-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn config(&self) -> EmbeddedConfig {
            EmbeddedConfig { file: self.0.join("state.db"), key_file: None }
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn endpoint(name: &str) -> EndpointId {
        EndpointId::parse(&format!("os::00256D-{name}")).unwrap()
    }

    #[tokio::test]
    async fn what_was_committed_is_there_after_opening_again() {
        let folder = Folder::new("reopen");
        let (one, two) = (endpoint("1"), endpoint("2"));
        let store = Embedded::open(&folder.config()).unwrap();
        store.commit(&one, vec![Change::put(Kind::Device, "", "a")]).await.unwrap();
        let changes = vec![Change::put(Kind::Outbox, "m1", "x"), Change::put(Kind::Outbox, "m2", "y")];
        store.commit(&two, changes).await.unwrap();
        store.commit(&two, vec![Change::delete(Kind::Outbox, "m1")]).await.unwrap();
        drop(store);
        let store = Embedded::open(&folder.config()).unwrap();
        assert_eq!(store.load(&one).await.unwrap()[0].value, "a");
        let left: Vec<_> = store.load(&two).await.unwrap().into_iter().map(|entry| entry.key).collect();
        assert_eq!(left, ["m2"]);
        let known = store.known(&[Kind::Outbox]).await.unwrap();
        assert_eq!(known.len(), 2);
        assert_eq!(known[1], Known { endpoint: two, kinds: vec![Kind::Outbox] });
    }

    #[tokio::test]
    async fn a_peek_reads_what_is_wanted_and_nothing_else() {
        let folder = Folder::new("peek");
        let store = Embedded::open(&folder.config()).unwrap();
        let changes = ["A", "B", "C"].map(|key| Change::put(Kind::Shadow, key, key));
        store.commit(&endpoint("1"), changes.into()).await.unwrap();
        let peek = async |wanted: &[&str]| {
            let (sender, answer) = oneshot::channel();
            let wanted = wanted.iter().map(|key| Range::one(Kind::Shadow, key)).collect();
            let then: Peeked = Box::new(|entries| {
                let _ = sender.send(entries);
            });
            store.peek(&endpoint("1"), wanted, then);
            let entries = answer.await.unwrap();
            entries.map(|all| all.into_iter().map(|entry| entry.key.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(peek(&["C", "A", "Z"]).await, Ok(vec!["C".into(), "A".into()]));
        assert_eq!(peek(&[]).await, Ok(Vec::new()));
        let (sender, answer) = oneshot::channel();
        let wanted = vec![Range::beginning(Kind::Shadow, "B")];
        let then = |entries: Result<Vec<Entry>, StoreError>| sender.send(entries.unwrap().len()).unwrap();
        store.peek(&endpoint("1"), wanted, Box::new(then));
        assert_eq!(answer.await, Ok(1));
        assert_eq!(peek(&["A"; 9]).await, Err(StoreError::Busy), "it takes more than it can");
    }

    #[tokio::test]
    async fn what_is_the_fleets_is_no_devices() {
        let folder = Folder::new("fleet");
        let store = Embedded::open(&folder.config()).unwrap();
        store.commit(&endpoint("1"), vec![Change::put(Kind::Device, "", "a")]).await.unwrap();
        store.commit_fleet(vec![Change::put(Kind::Firmware, "f", "b")]).await.unwrap();
        let fleet = store.load_fleet().await.unwrap();
        assert_eq!((fleet.len(), &fleet[0].value[..]), (1, &b"b"[..]));
        assert_eq!(store.load(&endpoint("1")).await.unwrap().len(), 1);
        assert_eq!(store.known(&[]).await.unwrap().len(), 1, "the fleet has an agent");
    }

    #[tokio::test]
    async fn devices_are_found_by_their_deadline_through_an_index() {
        let folder = Folder::new("deadlines");
        let store = Embedded::open(&folder.config()).unwrap();
        for (name, at) in [("1", 3_000), ("2", 1_000), ("3", 2_000), ("4", 256_000)] {
            store.commit(&endpoint(name), vec![Deadline::change(Some(WallTime(at)))]).await.unwrap();
        }
        store.commit(&endpoint("3"), vec![Deadline::change(None)]).await.unwrap();
        let due = store.due(WallTime(3_000), 9).await.unwrap();
        assert_eq!(due, [(WallTime(1_000), endpoint("2")), (WallTime(3_000), endpoint("1"))]);
        assert_eq!(store.due(WallTime(u64::MAX), 1).await.unwrap().len(), 1);
        let plan = store.read(|connection| {
            connection.query_row(&format!("EXPLAIN QUERY PLAN {DUE}"), params![&[0_u8][..], 1], |row| {
                row.get::<_, String>(3)
            })
        });
        let plan = plan.await.unwrap();
        assert!(plan.contains("INDEX deadlines"), "{plan}");
        assert_eq!(Kind::Deadline as u8, 9, "the number in the schema");
    }

    #[tokio::test]
    async fn commits_that_wait_share_a_transaction_and_all_are_confirmed() {
        let folder = Folder::new("group");
        let store = Arc::new(Embedded::open(&folder.config()).unwrap());
        let tasks: Vec<_> = (0..200)
            .map(|number| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let endpoint = endpoint(&number.to_string());
                    store.commit(&endpoint, vec![Change::put(Kind::Device, "", "v")]).await
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(store.known(&[]).await.unwrap().len(), 200);
    }

    #[test]
    fn a_store_of_another_format_is_refused_untouched() {
        let folder = Folder::new("format");
        let file = folder.config().file;
        Connection::open(&file).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
        let refused = Embedded::open(&folder.config()).err().unwrap();
        assert!(matches!(refused, StoreError::Format { found: 99, .. }), "{refused}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let config = EmbeddedConfig { file: "/nonexistent/state.db".into(), key_file: None };
        let refused = Embedded::open(&config).err().unwrap();
        assert!(refused.to_string().contains("/nonexistent/state.db"), "{refused}");
    }

    fn raw(folder: &Folder) -> Vec<u8> {
        let file = folder.config().file;
        let name = file.to_str().unwrap();
        ["", "-wal"]
            .iter()
            .flat_map(|end| std::fs::read(format!("{name}{end}")).unwrap_or_default())
            .collect()
    }

    fn holds(bytes: &[u8], text: &str) -> bool {
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    }

    async fn secret(store: &Embedded) -> Option<Bytes> {
        let entries = store.load(&endpoint("1")).await.unwrap();
        entries.into_iter().find(|entry| entry.kind == Kind::Secret).map(|entry| entry.value)
    }

    async fn put_secret(store: &Embedded, value: &'static str) {
        let change = Change::put(Kind::Secret, "MQTT.Client.1", value);
        store.commit(&endpoint("1"), vec![change]).await.unwrap();
    }

    #[tokio::test]
    async fn a_secret_is_sealed_from_the_first_start_with_a_key_and_refused_without_it() {
        let folder = Folder::new("sealed");
        let plain = folder.config();
        let keyed = EmbeddedConfig { key_file: Some(folder.0.join("key")), ..plain.clone() };
        let store = Embedded::open(&plain).unwrap();
        put_secret(&store, "first password").await;
        assert_eq!(secret(&store).await.unwrap(), "first password");
        drop(store);
        assert!(holds(&raw(&folder), "first password"), "without a key it stands there as it is");
        let store = Embedded::open(&keyed).unwrap();
        assert_eq!(secret(&store).await.unwrap(), "first password");
        put_secret(&store, "second password").await;
        assert_eq!(secret(&store).await.unwrap(), "second password");
        store
            .commit(&endpoint("1"), vec![Change::put(Kind::LocalAgent, "MQTT.Client.1", "row")])
            .await
            .unwrap();
        drop(store);
        let found = raw(&folder);
        assert!(!holds(&found, "first password") && !holds(&found, "second password"));
        assert!(holds(&found, "row"), "only secrets are sealed");
        let refused = Embedded::open(&plain).err().unwrap().to_string();
        assert!(refused.contains("store.key_file"), "{refused}");
        std::fs::rename(folder.0.join("key"), folder.0.join("old")).unwrap();
        let refused = Embedded::open(&keyed).err().unwrap().to_string();
        assert!(refused.contains("is not there") && !folder.0.join("key").exists(), "{refused}");
        std::fs::write(folder.0.join("key"), "not a key").unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(folder.0.join("key"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        let refused = Embedded::open(&keyed).err().unwrap().to_string();
        assert!(refused.contains("key:1: no key"), "{refused}");
    }

    #[tokio::test]
    async fn keys_are_changed_by_a_start_with_both_after_which_the_old_one_can_go() {
        let folder = Folder::new("rotated");
        let of = |name: &str| EmbeddedConfig { key_file: Some(folder.0.join(name)), ..folder.config() };
        let store = Embedded::open(&of("old")).unwrap();
        put_secret(&store, "password").await;
        drop(store);
        SealKeys::create(&folder.0.join("new")).unwrap();
        let refused = Embedded::open(&of("new")).err().unwrap().to_string();
        assert!(refused.contains("does not hold"), "{refused}");
        let read = |name: &str| std::fs::read_to_string(folder.0.join(name)).unwrap();
        let both = format!("{}{}", read("new"), read("old"));
        crate::net::write_secret(&folder.0.join("both"), &both).unwrap();
        let store = Embedded::open(&of("both")).unwrap();
        assert_eq!(secret(&store).await.unwrap(), "password");
        drop(store);
        let store = Embedded::open(&of("new")).unwrap();
        assert_eq!(secret(&store).await.unwrap(), "password");
        drop(store);
        assert!(Embedded::open(&of("old")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_key_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = Folder::new("key-mode");
        let file = folder.0.join("key");
        let config = EmbeddedConfig { key_file: Some(file.clone()), ..folder.config() };
        drop(Embedded::open(&config).unwrap());
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let refused = Embedded::open(&config).err().unwrap().to_string();
        assert!(refused.contains("chmod 600"), "{refused}");
    }
}
