//! A look at the file of a store beside the gateway that has it open: nothing is written.

use std::path::Path;

use bytes::Bytes;
use rusqlite::params;

use crate::durable::Kind;
use crate::identity::EndpointId;

use super::contract::StoreError;
use super::opening::{FORMAT, open_for_reading};

/// Hands the entries of a kind, of one device or of all in the order of their endpoints, to `then`, which says
/// whether it wants more.
///
/// # Errors
/// The file is not there, is none of this release's, or cannot be read.
pub fn look(
    file: &Path,
    kind: Kind,
    endpoint: Option<&EndpointId>,
    mut then: impl FnMut(&str, Bytes) -> bool,
) -> Result<(), StoreError> {
    let failed =
        |why: rusqlite::Error| StoreError::Open { file: file.display().to_string(), why: why.to_string() };
    let connection = open_for_reading(file).map_err(failed)?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    if found != FORMAT {
        return Err(StoreError::Format { file: file.display().to_string(), found, wanted: FORMAT });
    }
    let failed = |why: rusqlite::Error| StoreError::Read(why.to_string());
    let mut query = connection.prepare(LOOK).map_err(failed)?;
    let of = endpoint.map(EndpointId::as_str);
    let mut rows = query.query(params![kind as u8, of]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let owner = row.get_ref(0).map_err(failed)?.as_str().unwrap_or_default();
        let value = row.get_ref(1).map_err(failed)?.as_blob().unwrap_or_default();
        if !then(owner, Bytes::copy_from_slice(value)) {
            break;
        }
    }
    Ok(())
}

const LOOK: &str = "SELECT endpoint, value FROM entries
    WHERE kind = ?1 AND (?2 IS NULL OR endpoint = ?2) ORDER BY endpoint, key";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_makes_no_file() {
        let file = std::env::temp_dir().join(format!("dragoman-look-{}.db", std::process::id()));
        let looked = look(&file, Kind::Conflicts, None, |_, _| true);
        assert!(matches!(looked, Err(StoreError::Open { .. })) && !file.exists());
    }
}
