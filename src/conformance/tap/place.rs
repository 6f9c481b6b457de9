//! An address where a run waits for the agent that it has sent there.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedMutexGuard, mpsc};
use tokio::time::Instant;

use crate::net::{Incoming, Opening, TlsServer, listen};

/// Where a run plays a broker. A clone is the same one, and serves one check at a time.
#[derive(Clone)]
pub struct Tap {
    address: SocketAddr,
    came: Arc<tokio::sync::Mutex<mpsc::Receiver<Incoming>>>,
    broken: Broken,
}

/// Why the last connection that was not opened was not.
type Broken = Arc<Mutex<Option<String>>>;

/// The tap in the hands of one check.
pub(super) struct Door {
    pub address: SocketAddr,
    came: OwnedMutexGuard<mpsc::Receiver<Incoming>>,
    broken: Broken,
}

impl Tap {
    /// Listens at an address, port 0 for any; with TLS if there is something to show.
    pub async fn bind(address: SocketAddr, tls: Option<TlsServer>) -> io::Result<Self> {
        let broken = Broken::default();
        let told = Arc::clone(&broken);
        let opening = Opening {
            tls,
            connections: MAX_CONNECTIONS,
            failed: Arc::new(move |_, error| {
                *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            }),
            ..Opening::default()
        };
        let (address, came) = listen(address, opening).await?;
        Ok(Self { address, came: Arc::new(tokio::sync::Mutex::new(came)), broken })
    }

    /// The address that is really bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until no other check is here. Who has come for that one is sent away.
    pub(super) async fn enter(&self) -> Door {
        let mut came = Arc::clone(&self.came).lock_owned().await;
        while came.try_recv().is_ok() {}
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).take();
        Door { address: self.address, came, broken: Arc::clone(&self.broken) }
    }
}

impl Door {
    /// The next connection; the error says why there is none by then.
    pub async fn next(&mut self, end: Instant) -> Result<Incoming, String> {
        match tokio::time::timeout_at(end, self.came.recv()).await {
            Ok(Some(incoming)) => Ok(incoming),
            Ok(None) => Err("the tap has ended".to_owned()),
            Err(_) => {
                let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner).take();
                let why = broken.map_or_else(String::new, |why| format!(": {why}"));
                Err(format!("the agent did not come to {} in time{why}", self.address))
            }
        }
    }
}

/// Connections at a time; an agent has one.
const MAX_CONNECTIONS: usize = 64;
