//! Where the two processes meet, who may come, and how the sockets are passed.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use thiserror::Error;
use tokio::io::Interest;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use crate::net::Sockets;

use super::link::{Link, Wire, wire};
use super::wire::{Hello, Message, PROTOCOL};

/// Why there is no hand-over.
#[derive(Debug, Error)]
pub enum MeetError {
    #[error("no gateway answers at {0}: {1}")]
    Nobody(PathBuf, io::Error),
    #[error("the running gateway refuses: {0}")]
    Refused(String),
    #[error("the other process is not understood: {0}")]
    Confused(String),
    #[error("the other process is gone")]
    Gone,
    #[error("the link to the other process failed: {0}")]
    Io(#[from] io::Error),
}

/// Two processes that have met: the link and what is heard over it.
pub struct Met {
    pub link: Arc<Link>,
    pub heard: mpsc::Receiver<Message>,
}

/// Where the one that is to take over comes.
pub struct Door {
    listener: UnixListener,
}

impl Door {
    /// Opens it at this path, where nobody may come any more: what is left there of another process goes.
    ///
    /// # Errors
    /// The folder is missing, or is not ours to write to.
    pub fn open(path: &Path) -> io::Result<Self> {
        // Nobody is let in before the mode is right: it is bound beside, and moved there.
        let beside = path.with_extension(format!("{}.new", std::process::id()));
        let _ = std::fs::remove_file(&beside);
        let listener = UnixListener::bind(&beside)?;
        std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&beside, path)?;
        Ok(Self { listener })
    }

    /// Waits for the one who takes over, and passes the sockets; returns when it is ready. Those who may not, or whom
    /// `refuse` has a reason for, are told so.
    ///
    /// # Errors
    /// This one is not to take over, or was not able to: all goes on as it was.
    pub async fn meet(
        &self,
        sockets: &Sockets,
        refuse: impl Fn(&Hello) -> Option<String>,
    ) -> Result<(Hello, Met), MeetError> {
        let (stream, _) = self.listener.accept().await?;
        let (ours, theirs) = (rustix::process::geteuid().as_raw(), stream.peer_cred()?.uid());
        if theirs != ours && theirs != 0 {
            return Err(MeetError::Confused(format!("user {theirs} may not take over")));
        }
        let mut wire = wire(stream);
        let hello = tokio::time::timeout(PATIENCE, hear(&mut wire)).await;
        let Message::Hello(hello) = hello.map_err(|_| MeetError::Gone)?? else {
            return Err(MeetError::Confused("it does not say who it is".into()));
        };
        let other = (hello.protocol != PROTOCOL)
            .then(|| format!("it speaks version {PROTOCOL} of the hand-over, not {}", hello.protocol));
        if let Some(why) = other.or_else(|| refuse(&hello)) {
            pass(wire.get_ref(), &[]).await?;
            say(&mut wire, &Message::Refused(why.clone())).await?;
            return Err(MeetError::Refused(why));
        }
        let (roles, open): (Vec<_>, Vec<_>) = sockets.to_hand_over()?.into_iter().unzip();
        pass(wire.get_ref(), &open).await?;
        say(&mut wire, &Message::Sockets(roles)).await?;
        // It opens its store meanwhile, which may take as long as it takes.
        match hear(&mut wire).await? {
            Message::Ready => {
                let (link, heard) = Link::start(wire);
                Ok((hello, Met { link, heard }))
            }
            _ => Err(MeetError::Confused("it does not say that it is ready".into())),
        }
    }
}

/// A gateway that can be taken over, up to the moment at which it is.
pub struct Taking {
    wire: Wire,
    pub sockets: Sockets,
}

/// Asks the gateway that runs for its sockets.
///
/// # Errors
/// There is none, or it refuses.
pub async fn take(path: &Path, store: &Path) -> Result<Taking, MeetError> {
    let stream = UnixStream::connect(path).await;
    let mut wire = wire(stream.map_err(|error| MeetError::Nobody(path.to_owned(), error))?);
    let hello = Hello {
        protocol: PROTOCOL,
        release: env!("CARGO_PKG_VERSION").to_owned(),
        process: std::process::id(),
        store: store.display().to_string(),
    };
    say(&mut wire, &Message::Hello(hello)).await?;
    let open = tokio::time::timeout(PATIENCE, receive(wire.get_ref())).await;
    let open = open.map_err(|_| MeetError::Confused("it does not answer".into()))??;
    match hear(&mut wire).await? {
        Message::Sockets(roles) if roles.len() == open.len() => {
            let sockets = Sockets::inherit(roles.into_iter().zip(open).collect())?;
            Ok(Taking { wire, sockets })
        }
        Message::Refused(why) => Err(MeetError::Refused(why)),
        _ => Err(MeetError::Confused("it passes no sockets".into())),
    }
}

impl Taking {
    /// From now on there is no way back for the running gateway but to begin anew.
    ///
    /// # Errors
    /// It is gone already; its sockets are here.
    pub async fn ready(mut self) -> Result<Met, MeetError> {
        say(&mut self.wire, &Message::Ready).await?;
        let (link, heard) = Link::start(self.wire);
        Ok(Met { link, heard })
    }
}

/// Both ends of a link within one process.
///
/// # Errors
/// There are too many open files.
pub fn pair() -> io::Result<(Met, Met)> {
    let (one, other) = UnixStream::pair()?;
    let met = |stream| {
        let (link, heard) = Link::start(wire(stream));
        Met { link, heard }
    };
    Ok((met(one), met(other)))
}

async fn say(wire: &mut Wire, message: &Message) -> io::Result<()> {
    wire.send(Bytes::from(serde_json::to_vec(message)?)).await
}

async fn hear(wire: &mut Wire) -> Result<Message, MeetError> {
    let frame = wire.next().await.ok_or(MeetError::Gone)??;
    serde_json::from_slice(&frame).map_err(|error| MeetError::Confused(error.to_string()))
}

/// Passes sockets along with one byte. Nothing has been read from the link that came after.
async fn pass(stream: &UnixStream, sockets: &[OwnedFd]) -> io::Result<()> {
    let open: Vec<_> = sockets.iter().map(|socket| socket.as_fd()).collect();
    let send = || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !open.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&open)) {
            return Err(io::Error::other(format!("there are more than {MAX_SOCKETS} sockets")));
        }
        let sent = rustix::net::sendmsg(stream, &[IoSlice::new(&[0])], &mut control, SendFlags::empty());
        sent.map(drop).map_err(io::Error::from)
    };
    stream.async_io(Interest::WRITABLE, send).await
}

async fn receive(stream: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    let receive = || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = rustix::net::recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)?;
        if received.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let messages = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(open) => Some(open),
            _ => None,
        });
        Ok(messages.flatten().collect())
    };
    stream.async_io(Interest::READABLE, receive).await
}

/// Sockets that a gateway listens on: one of each kind, and room.
const MAX_SOCKETS: usize = 16;
/// How long the other process may take for what it can say at once.
const PATIENCE: Duration = Duration::from_secs(10);
