//! The registry of active devices: finds a device's task or starts it from the store.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Slot;
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::agent::AgentConfig;
use crate::collector::Collector;
use crate::file_server::Stage;
use crate::identity::{DeviceId, EndpointId};
use crate::observe::{Metrics, Recorder};
use crate::payload_security::Keyring;
use crate::proxy::ProxyConfig;
use crate::store::Store;

use super::acs_servers::AcsServers;
use super::alarms::Alarms;
use super::beside::Beside;
use super::bypasses::Bypasses;
use super::clock::Clock;
use super::device_task::DeviceTask;
use super::firmwares::Firmwares;
use super::mailbox::{Letter, MAILBOX};
use super::mtps::Mtps;
use super::reunions::{self, Reunion};
use super::routes::Routes;

/// What every device task shares.
pub struct FleetConfig<S> {
    pub agent: Arc<AgentConfig>,
    pub proxy: Arc<ProxyConfig>,
    pub acs: AcsServers,
    pub store: Arc<S>,
    /// Which devices the operator leaves to the ACS.
    pub bypasses: Bypasses<S>,
    pub firmwares: Arc<Firmwares<S>>,
    /// Of firmware images, if there is one.
    pub stage: Option<Stage>,
    pub mtps: Mtps,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
    pub routes: Arc<Routes>,
    /// Where devices leave word when they go to rest.
    pub alarms: Alarms,
    /// How long a device without work keeps its task before it goes to rest, in milliseconds.
    pub rest_after_ms: u64,
    /// How long a connection request may take.
    pub connection_request: crate::connection_request::Limits,
    /// What agents prove themselves with in records, if anything.
    pub keyring: Option<Arc<Keyring>>,
    /// Where bulk data reports go.
    pub collector: Collector,
    /// Who takes notes of what passes, if it was ordered.
    pub recorder: Recorder,
}

/// All devices; cloning shares.
pub struct Fleet<S> {
    pub(super) shared: Arc<Shared<S>>,
}

pub(super) struct Shared<S> {
    pub config: FleetConfig<S>,
    active: DashMap<EndpointId, mpsc::Sender<Letter>>,
    tasks: AtomicUsize,
    reunions: mpsc::UnboundedSender<Reunion>,
    /// Another process that has part of the fleet.
    pub(super) beside: RwLock<Option<Arc<Beside>>>,
    /// No device is woken here any more: they are the other process's.
    leaving: AtomicBool,
}

impl<S> Shared<S> {
    /// Who looks for a place in `active` after this finds it closed, and who did before is there to be seen.
    pub(super) fn leaves(&self) {
        self.leaving.store(true, Ordering::SeqCst);
    }

    /// An agent at rest can reach a controller: it is woken if it has something to say.
    pub(super) fn reunite(&self, agent: &EndpointId, controller: &EndpointId) {
        let _ = self.reunions.send((agent.clone(), controller.clone()));
    }
}

impl<S> Clone for Fleet<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// A letter that found no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Undeliverable {
    #[error("the device's mailbox is full")]
    Full,
    #[error("no such device")]
    Unknown,
    #[error("another process has the device now")]
    Elsewhere,
}

impl<S: Store> Fleet<S> {
    /// Starts a task, within a runtime, that ends when the last clone is dropped.
    pub fn new(config: FleetConfig<S>) -> Self {
        let (reunions, waiting) = mpsc::unbounded_channel();
        let (active, tasks) = (DashMap::new(), AtomicUsize::new(0));
        let (beside, leaving) = (RwLock::new(None), AtomicBool::new(false));
        let shared = Arc::new(Shared { config, active, tasks, reunions, beside, leaving });
        tokio::spawn(reunions::run(waiting, Arc::downgrade(&shared)));
        Self { shared }
    }

    /// Hands a letter to a device's task, which is started if it rests.
    ///
    /// `device` is given by those who know it from an Inform; without it the store must know the device,
    /// which the task finds out: a letter for nobody is dropped there with a line in the log.
    pub fn deliver(
        &self,
        endpoint: &EndpointId,
        device: Option<&DeviceId>,
        letter: Letter,
    ) -> Result<(), Undeliverable> {
        let mut letter = letter;
        loop {
            let known = self.shared.active.get(endpoint).map(|slot| slot.clone());
            let mailbox = known.unwrap_or_else(|| match self.shared.active.entry(endpoint.clone()) {
                Slot::Occupied(slot) => slot.get().clone(),
                Slot::Vacant(_) if self.shared.leaving.load(Ordering::SeqCst) => closed(),
                Slot::Vacant(slot) => slot.insert(self.start(endpoint.clone(), device.cloned())).clone(),
            });
            letter = match mailbox.try_send(letter) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(_)) => return Err(Undeliverable::Full),
                Err(TrySendError::Closed(_)) if self.shared.leaving.load(Ordering::SeqCst) => {
                    return Err(Undeliverable::Elsewhere);
                }
                Err(TrySendError::Closed(letter)) => letter,
            };
            // The task went to rest between our look and our letter: make way for a new one.
            self.shared.active.remove_if(endpoint, |_, current| current.is_closed());
        }
    }

    /// Whether a device has a task, or is being woken.
    pub(super) fn is_active(&self, endpoint: &EndpointId) -> bool {
        self.shared.active.contains_key(endpoint)
    }

    /// Hands a letter to a device's task if it has one at the moment; a full mailbox does without.
    pub(super) fn tell_if_active(&self, endpoint: &EndpointId, letter: impl FnOnce() -> Letter) {
        let mailbox = self.shared.active.get(endpoint).map(|slot| slot.value().clone());
        if let Some(mailbox) = mailbox {
            let _ = mailbox.try_send(letter());
        }
    }

    /// The devices that have a task at the moment.
    pub(super) fn awake(&self) -> Vec<EndpointId> {
        self.shared.active.iter().map(|slot| slot.key().clone()).collect()
    }

    /// Hands a letter to a device's task, if it has one, as soon as there is room for it.
    pub(super) async fn tell_active(&self, endpoint: &EndpointId, letter: Letter) {
        let mailbox = self.shared.active.get(endpoint).map(|slot| slot.value().clone());
        if let Some(mailbox) = mailbox {
            let _ = mailbox.send(letter).await;
        }
    }

    /// How many devices have a task at the moment.
    pub fn active(&self) -> usize {
        self.shared.tasks.load(Ordering::Relaxed)
    }

    /// Opens no session any more, ends those that are only held open, and waits until all have ended.
    pub async fn shutdown(&self, patience: std::time::Duration) {
        self.shared.config.routes.drain();
        let mailboxes: Vec<_> = self.shared.active.iter().map(|slot| slot.value().clone()).collect();
        for mailbox in mailboxes {
            let _ = mailbox.send(Letter::Shutdown).await;
        }
        let deadline = tokio::time::Instant::now() + patience;
        while self.active() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    fn start(&self, endpoint: EndpointId, device: Option<DeviceId>) -> mpsc::Sender<Letter> {
        let (sender, receiver) = mpsc::channel(MAILBOX);
        self.shared.tasks.fetch_add(1, Ordering::Relaxed);
        let (fleet, weak) = (self.clone(), sender.downgrade());
        tokio::spawn(async move {
            let shared = &fleet.shared;
            if let Some(release) = shared.beside().and_then(|beside| beside.release_of(&endpoint)) {
                // Until then it is the other process's.
                release.cancelled().await;
            }
            let late = DeviceTask::run(shared, &endpoint, device.clone(), receiver, weak).await;
            shared.active.remove_if(&endpoint, |_, current| current.is_closed());
            shared.tell_released(&endpoint).await;
            shared.tasks.fetch_sub(1, Ordering::Relaxed);
            for letter in late {
                if let Letter::Record(record, shown) = letter {
                    fleet.hand_over(&endpoint, record, shown);
                } else if let Err(reason) = fleet.deliver(&endpoint, device.as_ref(), letter)
                    && reason != Undeliverable::Elsewhere
                {
                    tracing::warn!(%endpoint, %reason, "what came for a device was dropped");
                }
            }
        });
        sender
    }
}

/// A mailbox that nobody looks into.
fn closed() -> mpsc::Sender<Letter> {
    mpsc::channel(1).0
}
