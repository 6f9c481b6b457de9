//! The sockets that a process listens on, so that another process can go on with the very same ones: a connection that
//! waits in a socket's queue waits for whoever accepts next.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// Where connections are accepted: an address that is still to be bound, or a socket that listens already.
#[derive(Debug, Clone)]
pub struct At {
    address: SocketAddr,
    pub(super) open: Option<OpenSocket>,
}

/// A socket that listens.
#[derive(Debug, Clone)]
pub(super) struct OpenSocket {
    pub listener: Arc<TcpListener>,
    /// From then on another one accepts here.
    pub closing: CancellationToken,
    /// Cloned for each connection.
    pub busy: Arc<()>,
}

impl At {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The connections that were accepted here and are open.
    pub fn connections(&self) -> usize {
        // The socket's own, one for this, and one for whoever accepts.
        self.open.as_ref().map_or(0, |open| Arc::strong_count(&open.busy).saturating_sub(1))
    }
}

impl From<SocketAddr> for At {
    fn from(address: SocketAddr) -> Self {
        Self { address, open: None }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// All sockets of a process; cloning shares.
#[derive(Clone, Default)]
pub struct Sockets(Arc<Mutex<Vec<Socket>>>);

struct Socket {
    /// What comes there.
    role: String,
    listener: Arc<TcpListener>,
    /// Somebody here listens on it.
    wanted: bool,
}

impl Sockets {
    /// The sockets of another process, with what comes there.
    ///
    /// # Errors
    /// One of them is no socket that can listen.
    pub fn inherit(sockets: Vec<(String, OwnedFd)>) -> io::Result<Self> {
        let taken = sockets.into_iter().map(|(role, socket)| {
            let listener = TcpListener::from(socket);
            listener.local_addr()?;
            Ok(Socket { role, listener: Arc::new(listener), wanted: false })
        });
        Ok(Self(Arc::new(Mutex::new(taken.collect::<io::Result<_>>()?))))
    }

    fn all(&self) -> MutexGuard<'_, Vec<Socket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The socket at this address, whichever process has bound it; it accepts until `closing` is cancelled. Port 0 is
    /// that of the socket where the same came before.
    ///
    /// # Errors
    /// There is none, and the address cannot be bound.
    pub async fn open(&self, role: &str, at: &At, closing: &CancellationToken) -> io::Result<At> {
        let listener = match self.find(role, at.address) {
            Some(listener) => listener,
            None => {
                let listener = Arc::new(tokio::net::TcpListener::bind(at.address).await?.into_std()?);
                let (role, listener_too) = (role.to_owned(), Arc::clone(&listener));
                self.all().push(Socket { role, listener: listener_too, wanted: true });
                listener
            }
        };
        let address = listener.local_addr()?;
        let open = OpenSocket { listener, closing: closing.clone(), busy: Arc::new(()) };
        Ok(At { address, open: Some(open) })
    }

    fn find(&self, role: &str, wanted: SocketAddr) -> Option<Arc<TcpListener>> {
        let mut all = self.all();
        let found = all.iter_mut().find(|socket| {
            let Ok(address) = socket.listener.local_addr() else { return false };
            address == wanted || (wanted.port() == 0 && socket.role == role && address.ip() == wanted.ip())
        })?;
        found.wanted = true;
        Some(Arc::clone(&found.listener))
    }

    /// Closes those that nobody here listens on: connections that wait there are reset.
    pub fn close_others(&self) {
        self.all().retain(|socket| {
            if !socket.wanted {
                tracing::warn!(role = %socket.role, "a socket is closed: the configuration does not name its address");
            }
            socket.wanted
        });
    }

    /// Handles to all of them for another process.
    ///
    /// # Errors
    /// There are too many open files.
    pub fn to_hand_over(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        let all = self.all();
        all.iter().map(|it| Ok((it.role.clone(), it.listener.as_fd().try_clone_to_owned()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_found_by_its_address_and_by_what_comes_there_where_the_port_is_any() {
        let (first, closing) = (Sockets::default(), CancellationToken::new());
        let any = At::from(SocketAddr::from(([127, 0, 0, 1], 0)));
        let cwmp = first.open("cwmp", &any, &closing).await.unwrap().address();
        let admin = first.open("admin", &any, &closing).await.unwrap().address();
        let next = Sockets::inherit(first.to_hand_over().unwrap()).unwrap();
        drop(first);
        assert_eq!(next.open("cwmp", &any, &closing).await.unwrap().address(), cwmp);
        assert_eq!(next.open("files", &admin.into(), &closing).await.unwrap().address(), admin);
        assert_ne!(next.open("calls", &any, &closing).await.unwrap().address(), cwmp);
    }
}
