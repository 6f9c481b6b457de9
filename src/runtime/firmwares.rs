//! What is known of each firmware, for all devices: in memory and in the store.
//!
//! Devices hand in what they learn in any order; it is merged here and shared once it is durable.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{info, warn};

use crate::datamodel::{Firmware, FirmwareId};
use crate::durable::{Change, Kind};
use crate::store::{Store, StoreError};

/// The models of all firmwares.
pub struct Firmwares<S> {
    store: Arc<S>,
    known: Mutex<HashMap<FirmwareId, Arc<Firmware>>>,
    /// One merge is written at a time, so that what is stored never goes back. There are few: a firmware's
    /// model is complete after its first devices.
    writing: tokio::sync::Mutex<()>,
}

impl<S: Store> Firmwares<S> {
    /// Reads what is stored. What cannot be read is learnt again.
    pub async fn open(store: Arc<S>) -> Result<Self, StoreError> {
        let mut known = HashMap::new();
        for entry in store.load_fleet().await?.into_iter().filter(|entry| entry.kind == Kind::Firmware) {
            match (FirmwareId::parse(&entry.key), Firmware::decode(&entry.value)) {
                (Some(id), Ok(firmware)) => {
                    known.insert(id, Arc::new(firmware));
                }
                (_, Err(error)) => warn!(firmware = %entry.key, %error, "a firmware's model is not usable"),
                (None, Ok(_)) => warn!(firmware = %entry.key, "a firmware's model has no usable key"),
            }
        }
        info!(firmwares = known.len(), "models of firmwares are loaded");
        Ok(Self { store, known: Mutex::new(known), writing: tokio::sync::Mutex::new(()) })
    }

    pub(super) fn find(&self, id: &FirmwareId) -> Option<Arc<Firmware>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Merges what a device showed.
    pub(super) async fn learn(&self, id: FirmwareId, learnt: Firmware) {
        let _writing = self.writing.lock().await;
        let mut firmware = self.find(&id).map_or_else(Firmware::default, |known| known.as_ref().clone());
        if !firmware.merge(&learnt) {
            return;
        }
        let full = self.known.lock().unwrap_or_else(PoisonError::into_inner).len() >= MAX_FIRMWARES;
        if full && self.find(&id).is_none() {
            return warn!(firmware = %id.key(), "over {MAX_FIRMWARES} firmwares: this one is not kept");
        }
        let change = Change::put(Kind::Firmware, id.key(), firmware.encode());
        match self.store.commit_fleet(vec![change]).await {
            Ok(()) => {
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                known.insert(id, Arc::new(firmware));
            }
            // The next device shows it again.
            Err(error) => warn!(firmware = %id.key(), %error, "a firmware's model was not stored"),
        }
    }
}

/// Firmwares that are known at once; devices of others are each walked.
const MAX_FIRMWARES: usize = 4_096;
