//! Seals the entries that are secret, [`Kind::Secret`], with a key that does not stand in the store: AES-256-GCM,
//! bound to whose entry it is and which. Others are not touched.

use std::fmt;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tracing::warn;

use crate::durable::{Change, Entry, Kind};
use crate::net::write_secret;

/// Names a key; it tells nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyId([u8; ID]);

/// The keys of a store. Without any, secrets are stored as they are.
#[derive(Default)]
pub struct SealKeys(Vec<SealKey>);

struct SealKey {
    id: KeyId,
    key: RandomizedNonceKey,
}

/// Why a file gives no keys.
#[derive(Debug, Error)]
pub enum SealKeyError {
    #[error("failed to {what} {file}: {why}")]
    File { what: &'static str, file: String, why: std::io::Error },
    #[error("{file}:{line}: no key, which is 32 bytes in base64 (openssl rand -base64 32)")]
    Line { file: String, line: usize },
    #[error("{file} holds no key")]
    Empty { file: String },
    #[error("{file} can be read by everybody on this machine: chmod 600")]
    Open { file: String },
    #[error("the operating system gives no randomness")]
    Randomness,
}

impl SealKeys {
    /// Reads a file of keys, one a line: the first seals, the others only open what they have sealed. `None` if
    /// there is no such file.
    pub fn read(file: &Path) -> Result<Option<Self>, SealKeyError> {
        let name = || file.display().to_string();
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(SealKeyError::File { what: "read", file: name(), why }),
        };
        if is_open(file) {
            return Err(SealKeyError::Open { file: name() });
        }
        let mut keys = Vec::new();
        for (line, text) in (1..).zip(text.lines().map(str::trim)) {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let bytes = BASE64.decode(text).ok();
            let key = bytes.and_then(|bytes| SealKey::new(&bytes));
            keys.push(key.ok_or_else(|| SealKeyError::Line { file: name(), line })?);
        }
        if keys.is_empty() {
            return Err(SealKeyError::Empty { file: name() });
        }
        Ok(Some(Self(keys)))
    }

    /// Makes a file with a new key, for the owner of the process alone.
    pub(super) fn create(file: &Path) -> Result<Self, SealKeyError> {
        let mut bytes = [0; KEY];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| SealKeyError::Randomness)?;
        let key = SealKey::new(&bytes).ok_or(SealKeyError::Randomness)?;
        let text = format!("{HEAD}{}\n", BASE64.encode(bytes));
        let failed = |why| SealKeyError::File { what: "write", file: file.display().to_string(), why };
        write_secret(file, &text).map_err(failed)?;
        Ok(Self(vec![key]))
    }

    /// The key that seals.
    pub(super) fn current(&self) -> Option<KeyId> {
        self.0.first().map(|key| key.id)
    }

    pub(super) fn holds(&self, id: KeyId) -> bool {
        self.0.iter().any(|key| key.id == id)
    }

    /// The change as it is stored.
    pub(super) fn seal_change(&self, owner: &str, change: Change) -> Option<Change> {
        match change {
            Change::Put(entry) if entry.kind == Kind::Secret => {
                let value = self.seal(owner, &entry.key, &entry.value)?.into();
                Some(Change::Put(Entry { value, ..entry }))
            }
            other => Some(other),
        }
    }

    /// The stored form of a secret; `None` if the system gives no randomness.
    pub(super) fn seal(&self, owner: &str, key: &str, value: &[u8]) -> Option<Vec<u8>> {
        let Some(SealKey { id, key: cipher }) = self.0.first() else {
            return Some([&[CLEAR], value].concat());
        };
        let mut sealed = value.to_vec();
        let nonce = cipher.seal_in_place_append_tag(Aad::from(about(owner, key)), &mut sealed).ok()?;
        Some([&[SEALED], &id.0[..], &nonce.as_ref()[..], &sealed].concat())
    }

    /// The secret of a stored form; `None` where it is damaged, stands where it was not put, or its key is gone.
    pub(super) fn unseal(&self, owner: &str, key: &str, stored: &[u8]) -> Option<Bytes> {
        let (&form, rest) = stored.split_first()?;
        if form == CLEAR {
            return Some(Bytes::copy_from_slice(rest));
        }
        let (id, rest) = rest.split_first_chunk::<ID>().filter(|_| form == SEALED)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let cipher = &self.0.iter().find(|known| known.id.0 == *id)?.key;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::from(nonce);
        let length = cipher.open_in_place(nonce, Aad::from(about(owner, key)), &mut sealed).ok()?.len();
        sealed.truncate(length);
        Some(sealed.into())
    }

    /// An entry as it was given; a secret that cannot be read is left out, so that the rest of a device works.
    pub(super) fn unseal_entry(&self, owner: &str, entry: Entry) -> Option<Entry> {
        if entry.kind != Kind::Secret {
            return Some(entry);
        }
        let value = self.unseal(owner, &entry.key, &entry.value);
        if value.is_none() {
            warn!(endpoint = owner, key = %entry.key, "a secret in the store cannot be read and is left out");
        }
        Some(Entry { value: value?, ..entry })
    }
}

impl SealKey {
    fn new(bytes: &[u8]) -> Option<Self> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes).ok()?;
        let digest: [u8; 32] =
            Sha256::new_with_prefix(b"dragoman key id").chain_update(bytes).finalize().into();
        let (id, _) = digest.split_first_chunk::<ID>()?;
        Some(Self { id: KeyId(*id), key })
    }
}

impl KeyId {
    pub fn parse(text: &str) -> Option<Self> {
        u32::from_str_radix(text, 16).ok().map(|number| Self(number.to_be_bytes()))
    }

    /// How the stored form of a secret begins that this key has sealed.
    pub fn beginning(self) -> Vec<u8> {
        [&[SEALED], &self.0[..]].concat()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// What a sealed value is bound to: no other device's, and no other row's, can be put in its place.
fn about(owner: &str, key: &str) -> Vec<u8> {
    [owner.as_bytes(), b"\0", key.as_bytes()].concat()
}

#[cfg(unix)]
fn is_open(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).is_ok_and(|about| about.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_open(_file: &Path) -> bool {
    false
}

const HEAD: &str =
    "# Keys for the secrets in dragoman's store. The first seals; further ones only open what they sealed.\n";
/// Bytes of a key's name.
const ID: usize = 4;
/// Bytes of a key.
const KEY: usize = 32;
/// First bytes of the stored forms.
const CLEAR: u8 = 0;
const SEALED: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(numbers: &[u8]) -> SealKeys {
        SealKeys(numbers.iter().map(|number| SealKey::new(&[*number; KEY]).unwrap()).collect())
    }

    #[test]
    fn a_secret_is_opened_only_with_its_key_in_its_place_and_whole() {
        let one = keys(&[1]);
        let sealed = one.seal("os::1-2", "MQTT.Client.1", b"secret").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_ne!(
            sealed,
            one.seal("os::1-2", "MQTT.Client.1", b"secret").unwrap(),
            "a nonce was used twice"
        );
        let opened = |keys: &SealKeys, owner, key, stored: &[u8]| keys.unseal(owner, key, stored);
        assert_eq!(opened(&one, "os::1-2", "MQTT.Client.1", &sealed).unwrap(), "secret");
        assert_eq!(opened(&keys(&[2, 1]), "os::1-2", "MQTT.Client.1", &sealed).unwrap(), "secret");
        assert_eq!(opened(&keys(&[2]), "os::1-2", "MQTT.Client.1", &sealed), None);
        assert_eq!(opened(&one, "os::1-3", "MQTT.Client.1", &sealed), None);
        assert_eq!(opened(&one, "os::1-2", "MQTT.Client.2", &sealed), None);
        for cut in 0..sealed.len() {
            assert_eq!(opened(&one, "os::1-2", "MQTT.Client.1", &sealed[..cut]), None);
        }
        let mut damaged = sealed;
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(opened(&one, "os::1-2", "MQTT.Client.1", &damaged), None);
    }

    #[test]
    fn without_a_key_secrets_are_stored_as_they_are_and_read_with_one_too() {
        let clear = keys(&[]).seal("os::1-2", "k", b"secret").unwrap();
        assert_eq!(keys(&[]).unseal("os::1-2", "k", &clear).unwrap(), "secret");
        assert_eq!(keys(&[1]).unseal("os::1-2", "k", &clear).unwrap(), "secret");
        assert_eq!(keys(&[1]).unseal("os::1-2", "k", b"\x02secret"), None, "a form of a later release");
    }
}
