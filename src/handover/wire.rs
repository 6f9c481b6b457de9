//! What the two processes say to each other: JSON in frames, since releases may differ and it is not much.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One thing that is said.
#[derive(Debug, Serialize, Deserialize)]
pub enum Message {
    Hello(Hello),
    /// The sockets that were passed before this, by what comes there.
    Sockets(Vec<String>),
    /// There is no hand-over: why.
    Refused(String),
    /// The coming process can start.
    Ready,
    /// The devices that the leaving process still owns, and the cookies of their sessions.
    Held {
        devices: Vec<String>,
        cookies: Vec<String>,
    },
    /// The coming process accepts.
    Serving,
    /// A device is the coming process's from now on.
    Released(String),
    /// A POST of a CPE whose device is the other's.
    Post {
        id: u64,
        post: Box<Post>,
    },
    /// The answer; none where it had none.
    Reply {
        id: u64,
        reply: Option<Reply>,
    },
    /// A connection over which such POSTs came has ended, from the CPE's side alone or altogether.
    HalfClosed(u64),
    Gone(u64),
    /// A USP record, without what its sender has shown: for an agent or for a controller.
    ToAgent {
        agent: String,
        record: Blob,
    },
    ToController {
        agent: String,
        controller: String,
        record: Blob,
    },
}

/// Who comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version of what is said here.
    pub protocol: u32,
    /// For the log.
    pub release: String,
    pub process: u32,
    /// The file of its store.
    pub store: String,
}

/// A POST.
#[derive(Debug, Serialize, Deserialize)]
pub struct Post {
    pub connection: u64,
    pub client: Client,
    pub authenticated: bool,
    pub cookie: Option<String>,
    pub target: String,
    pub headers: Vec<(String, Blob)>,
    pub body: Blob,
    pub original_body: Option<Blob>,
}

/// Who sent it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Client {
    pub address: Option<IpAddr>,
    pub port: Option<u16>,
    pub tls: bool,
    pub certificate: Option<Certificate>,
    pub via: Option<IpAddr>,
    pub reached: Option<(IpAddr, u16)>,
    pub host: Option<String>,
}

/// Its certificate.
#[derive(Debug, Serialize, Deserialize)]
pub struct Certificate {
    pub names: Vec<String>,
    pub der: Option<Blob>,
}

/// The answer to a POST.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, Blob)>,
    pub body: Blob,
    pub close: bool,
    pub cookie: Option<String>,
}

/// Bytes, in base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob(pub Bytes);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map(|bytes| Self(bytes.into())).map_err(serde::de::Error::custom)
    }
}

/// Counted up when processes of two releases would not understand each other.
pub(super) const PROTOCOL: u32 = 1;
/// Bytes of one message: two bodies of the door's greatest size in base64, and what goes with them.
pub(super) const MAX_MESSAGE: usize = 64 << 20;
