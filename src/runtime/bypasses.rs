//! The operator's orders to leave devices to their ACS: kept in the store, told to device tasks, and how far they are
//! carried out.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;
use thiserror::Error;

use crate::durable::{Change, Kind};
use crate::identity::EndpointId;
use crate::policy::{Bypass, BypassMode, ORDER, PASSED};
use crate::proxy::Input;
use crate::store::{Store, StoreError};

use super::fleet::Fleet;
use super::mailbox::Letter;

/// All orders that are in force.
pub struct Bypasses<S> {
    store: Arc<S>,
    orders: RwLock<Orders>,
    /// One order after the other.
    giving: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Orders {
    all: Option<Bypass>,
    devices: HashMap<EndpointId, Bypass>,
}

/// Why an order was not taken.
#[derive(Debug, Error)]
pub enum OrderError {
    #[error("no such device")]
    Unknown,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How it stands.
#[derive(Debug, Serialize)]
pub struct BypassState {
    /// The order for all devices.
    pub all: Option<Bypass>,
    /// Orders for single devices, by their endpoints.
    pub devices: BTreeMap<String, Bypass>,
    /// Devices that are, by an order other than an emergency, their ACS's alone.
    pub restored: usize,
    /// Devices of which something has still to be given back, or that have not called since.
    pub waiting: usize,
    /// Some of them.
    pub waiting_devices: Vec<String>,
}

impl<S: Store> Bypasses<S> {
    /// Reads what is in force.
    pub async fn open(store: Arc<S>) -> Result<Self, StoreError> {
        let fleet = store.load_fleet().await?;
        let all = fleet.iter().find(|entry| entry.kind == Kind::Bypass && entry.key == ORDER);
        let all = all.and_then(|entry| Bypass::decode(&entry.value));
        let kept = store.of_kind(Kind::Bypass).await?.into_iter();
        let devices = kept.filter(|(_, entry)| entry.key == ORDER);
        let devices = devices.filter_map(|(endpoint, entry)| Some((endpoint, Bypass::decode(&entry.value)?)));
        let orders = RwLock::new(Orders { all, devices: devices.collect() });
        Ok(Self { store, orders, giving: tokio::sync::Mutex::default() })
    }

    /// The order that is in force for a device.
    pub fn of(&self, endpoint: &EndpointId) -> Option<Bypass> {
        self.orders.read().unwrap_or_else(PoisonError::into_inner).of(endpoint)
    }

    async fn keep(&self, device: Option<&EndpointId>, order: Option<Bypass>) -> Result<(), OrderError> {
        let change = match order {
            Some(order) => Change::put(Kind::Bypass, ORDER, order.encode()),
            None => Change::delete(Kind::Bypass, ORDER),
        };
        match device {
            Some(endpoint) if self.store.load(endpoint).await?.is_empty() => return Err(OrderError::Unknown),
            Some(endpoint) => self.store.commit(endpoint, vec![change]).await?,
            None => self.store.commit_fleet(vec![change]).await?,
        }
        let mut orders = self.orders.write().unwrap_or_else(PoisonError::into_inner);
        match (device, order) {
            (Some(endpoint), Some(order)) => _ = orders.devices.insert(endpoint.clone(), order),
            (Some(endpoint), None) => _ = orders.devices.remove(endpoint),
            (None, order) => orders.all = order,
        }
        Ok(())
    }

    /// How far the orders are carried out, for one device or all. It reads the whole list of devices.
    async fn state(&self, device: Option<&EndpointId>) -> Result<BypassState, StoreError> {
        let (all, devices) = {
            let orders = self.orders.read().unwrap_or_else(PoisonError::into_inner);
            (orders.all, orders.devices.clone())
        };
        let named = devices.iter().map(|(endpoint, order)| (endpoint.to_string(), *order)).collect();
        let empty = Vec::new();
        let mut state = BypassState { all, devices: named, restored: 0, waiting: 0, waiting_devices: empty };
        if all.is_none() && devices.is_empty() {
            return Ok(state);
        }
        let kept = self.store.of_kind(Kind::Bypass).await?.into_iter();
        let passed: HashMap<EndpointId, Bypass> = kept
            .filter(|(_, entry)| entry.key == PASSED)
            .filter_map(|(endpoint, entry)| Some((endpoint, Bypass::decode(&entry.value)?)))
            .collect();
        for known in self.store.known(&[]).await? {
            if device.is_some_and(|device| *device != known.endpoint) {
                continue;
            }
            let order = Bypass::in_force(devices.get(&known.endpoint).copied(), all);
            let Some(order) = order.filter(|order| !order.is_emergency()) else { continue };
            if passed.get(&known.endpoint) == Some(&order) {
                state.restored += 1;
                continue;
            }
            state.waiting += 1;
            if state.waiting_devices.len() < SHOWN {
                state.waiting_devices.push(known.endpoint.to_string());
            }
        }
        Ok(state)
    }
}

impl Orders {
    fn of(&self, endpoint: &EndpointId) -> Option<Bypass> {
        Bypass::in_force(self.devices.get(endpoint).copied(), self.all)
    }
}

impl<S: Store> Fleet<S> {
    /// Gives an order for a device or for all, or takes it back: it is in the store before it takes effect. What is
    /// taken back of all is taken back of each device too.
    ///
    /// # Errors
    /// The device is not known, or the store does not keep it.
    pub async fn order_bypass(
        &self,
        device: Option<&EndpointId>,
        mode: Option<BypassMode>,
    ) -> Result<(), OrderError> {
        let config = &self.shared.config;
        let bypasses = &config.bypasses;
        let one_at_a_time = bypasses.giving.lock().await;
        let since = config.clock.wall();
        bypasses.keep(device, mode.map(|mode| Bypass { mode, since })).await?;
        if device.is_none() && mode.is_none() {
            let each: Vec<EndpointId> = {
                let orders = bypasses.orders.read().unwrap_or_else(PoisonError::into_inner);
                orders.devices.keys().cloned().collect()
            };
            for endpoint in each {
                bypasses.keep(Some(&endpoint), None).await?;
            }
        }
        tracing::warn!(
            device = device.map_or("all", EndpointId::as_str),
            order = mode.map_or("restore", BypassMode::label),
            "the operator has ordered"
        );
        for endpoint in self.awake() {
            if device.is_none_or(|device| *device == endpoint) {
                let order = bypasses.of(&endpoint);
                self.tell_active(&endpoint, Letter::Input(Input::Bypass(order))).await;
            }
        }
        drop(one_at_a_time);
        Ok(())
    }

    /// How the orders stand, for one device or all.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn bypass_state(&self, device: Option<&EndpointId>) -> Result<BypassState, StoreError> {
        self.shared.config.bypasses.state(device).await
    }
}

/// Waiting devices that are named.
const SHOWN: usize = 20;
