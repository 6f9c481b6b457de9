//! Opens the file of the embedded store: its format, and the keys of its secrets.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params};

use crate::durable::Kind;

use super::contract::StoreError;
use super::embedded::EmbeddedConfig;
use super::sealing::{KeyId, SealKeys};

/// Opens the file for the one who writes, or makes it, with the keys that its secrets are sealed with.
///
/// Beside another process that writes too until it has handed over, the keys must be those that it has.
pub(super) fn open_for_writing(
    config: &EmbeddedConfig,
    beside: bool,
) -> Result<(Connection, SealKeys), StoreError> {
    let file = &config.file;
    let name = || file.display().to_string();
    let failed = |error: rusqlite::Error| StoreError::Open { file: name(), why: error.to_string() };
    let mut connection = Connection::open(file).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    if found != 0 && found != FORMAT {
        return Err(StoreError::Format { file: name(), found, wanted: FORMAT });
    }
    let refuse = |why: String| StoreError::Open { file: name(), why };
    if beside && found == 0 {
        return Err(refuse("it is not the store of the gateway that runs".into()));
    }
    connection.execute_batch(SCHEMA).map_err(failed)?;
    let used = used_keys(&connection).map_err(failed)?;
    let keys = match &config.key_file {
        Some(file) => keys_of(file, &used).map_err(refuse)?,
        None => SealKeys::default(),
    };
    for id in used.iter().filter(|id| !keys.holds(**id)) {
        if is_in_use(&connection, *id).map_err(failed)? {
            return Err(refuse(missing(*id, config.key_file.as_deref())));
        }
    }
    if let Some(current) = keys.current()
        && used != [current]
    {
        if beside {
            return Err(refuse(
                "store.key_file has another key than the gateway that runs: that takes a restart".into(),
            ));
        }
        seal_all(&mut connection, &keys, current).map_err(failed)?;
    }
    Ok((connection, keys))
}

pub(super) fn open_for_reading(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    // The plans of our queries do not depend on what is asked for: without this SQLite makes them again for
    // each value that is bound.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// The keys in the file; new ones if there is no file, and nothing yet that others have sealed.
fn keys_of(file: &Path, used: &[KeyId]) -> Result<SealKeys, String> {
    match SealKeys::read(file).map_err(|error| error.to_string())? {
        Some(keys) => Ok(keys),
        None if used.is_empty() => {
            tracing::info!(file = %file.display(), "a key for the secrets in the store was made: keep a copy of it");
            SealKeys::create(file).map_err(|error| error.to_string())
        }
        None => Ok(SealKeys::default()),
    }
}

fn missing(id: KeyId, file: Option<&Path>) -> String {
    match file {
        Some(file) if file.exists() => {
            format!("its secrets are sealed with key {id}, which {} does not hold", file.display())
        }
        Some(file) => format!("its secrets are sealed with key {id}, and {} is not there", file.display()),
        None => {
            format!("its secrets are sealed with key {id}: store.key_file must name the file that holds it")
        }
    }
}

/// The keys that have sealed something in this store, as the fleet's entries name them.
fn used_keys(connection: &Connection) -> rusqlite::Result<Vec<KeyId>> {
    let mut query = connection.prepare("SELECT key FROM entries WHERE endpoint = ?1 AND kind = ?2")?;
    let names = query.query_map(params![FLEET, SECRET], |row| row.get::<_, String>(0))?;
    names.filter_map(|name| name.map(|name| KeyId::parse(&name)).transpose()).collect()
}

/// Whether anything is still sealed with a key: a look at all entries, for a key that is gone.
fn is_in_use(connection: &Connection, id: KeyId) -> rusqlite::Result<bool> {
    let query = "SELECT EXISTS (SELECT 1 FROM entries WHERE kind = ?1 AND substr(value, 1, length(?2)) = ?2)";
    connection.query_row(query, params![SECRET, id.beginning()], |row| row.get(0))
}

/// Seals all secrets with a key that is new to this store, so that older ones, and what they left in clear, are
/// needed no more.
fn seal_all(connection: &mut Connection, keys: &SealKeys, current: KeyId) -> rusqlite::Result<()> {
    // What is overwritten must not stay readable in the file.
    connection.execute_batch("PRAGMA secure_delete = ON")?;
    let transaction = connection.transaction()?;
    let (mut last, mut count) = (0_i64, 0_usize);
    loop {
        let rows: Vec<(i64, String, String, Vec<u8>)> = {
            let mut query = transaction.prepare_cached(SECRETS)?;
            let rows = query.query_map(params![SECRET, FLEET, last], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?;
            rows.collect::<Result<_, _>>()?
        };
        let Some((at, ..)) = rows.last() else { break };
        last = *at;
        for (at, owner, key, stored) in rows {
            // One that is damaged stays as it is.
            let sealed = keys.unseal(&owner, &key, &stored).and_then(|value| keys.seal(&owner, &key, &value));
            if let Some(sealed) = sealed {
                transaction.execute("UPDATE entries SET value = ?1 WHERE rowid = ?2", params![sealed, at])?;
                count += 1;
            }
        }
    }
    transaction.execute("DELETE FROM entries WHERE endpoint = ?1 AND kind = ?2", params![FLEET, SECRET])?;
    // In the stored form of an empty secret that is not sealed.
    transaction.execute(
        "INSERT INTO entries (endpoint, kind, key, value) VALUES (?1, ?2, ?3, x'00')",
        params![FLEET, SECRET, current.to_string()],
    )?;
    transaction.commit()?;
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA secure_delete = OFF")?;
    tracing::info!(key = %current, secrets = count, "the secrets in the store are sealed");
    Ok(())
}

/// How long a write waits for that of another process: while one hands over to the next, two write.
const BUSY: Duration = Duration::from_secs(30);
pub(super) const FORMAT: i64 = 2;
/// Values stand beside the index and not in it: where they do, each step of a search reads a whole value.
const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA user_version = 2;
    CREATE TABLE IF NOT EXISTS entries (
        endpoint TEXT NOT NULL,
        kind INTEGER NOT NULL,
        key TEXT NOT NULL,
        value BLOB NOT NULL,
        UNIQUE (endpoint, kind, key)
    );
    CREATE INDEX IF NOT EXISTS deadlines ON entries (value) WHERE kind = 9;";
/// Whose entries the fleet's are: no endpoint is empty.
pub(super) const FLEET: &str = "";
const SECRET: u8 = Kind::Secret as u8;
/// So many at a time, in the order in which they stand.
const SECRETS: &str = "SELECT rowid, endpoint, key, value FROM entries
    WHERE kind = ?1 AND endpoint <> ?2 AND rowid > ?3 ORDER BY rowid LIMIT 1000";
