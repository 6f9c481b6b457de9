//! The running broker.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::net::{Incoming, Opening};

use super::table::Table;
use super::visitor;

/// Where the broker listens.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// Port 0 for any.
    pub listen: SocketAddr,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)) }
    }
}

/// A running broker. Anybody may connect, publish and subscribe.
pub struct Broker {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Closes when the last task is over.
    tasks: mpsc::Receiver<()>,
}

/// What all connections have in common.
pub(super) struct Shared {
    table: Mutex<Table>,
    names: AtomicU64,
    pub stop: CancellationToken,
}

impl Broker {
    /// Listens. Fails if the address cannot be bound.
    pub async fn start(config: BrokerConfig) -> io::Result<Self> {
        let (address, incoming) = crate::net::listen(config.listen, Opening::default()).await?;
        let shared = Arc::new(Shared {
            table: Mutex::default(),
            names: AtomicU64::new(0),
            stop: CancellationToken::new(),
        });
        let (alive, tasks) = mpsc::channel(1);
        tokio::spawn(accept(Arc::clone(&shared), incoming, alive));
        Ok(Self { address, shared, tasks })
    }

    /// The address really bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many clients are connected.
    pub fn clients(&self) -> usize {
        self.shared.table().connected()
    }

    /// Ends all connections and stops listening. The port may be taken a moment longer.
    pub async fn stop(mut self) {
        self.shared.stop.cancel();
        let _ = tokio::time::timeout(STOPPING, self.tasks.recv()).await;
        tokio::task::yield_now().await;
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl Shared {
    /// The table. Nobody may hold it across an await.
    pub fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name for a client that has none.
    pub fn name(&self) -> String {
        format!("anonymous-{}", self.names.fetch_add(1, Ordering::Relaxed))
    }
}

async fn accept(shared: Arc<Shared>, mut incoming: mpsc::Receiver<Incoming>, alive: mpsc::Sender<()>) {
    loop {
        let accepted = tokio::select! {
            accepted = incoming.recv() => accepted,
            () = shared.stop.cancelled() => None,
        };
        let Some(Incoming { peer, stream, .. }) = accepted else { return };
        let (shared, alive) = (Arc::clone(&shared), alive.clone());
        tokio::spawn(async move {
            if let Err(why) = visitor::serve(shared, stream).await {
                tracing::debug!(%peer, why, "an MQTT client is gone");
            }
            drop(alive);
        });
    }
}

/// Time for the last words to all clients.
const STOPPING: Duration = Duration::from_secs(3);
