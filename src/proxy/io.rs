//! The contract of the proxy core: what can happen to a device, and what the world must then do.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::agent::{
    LinkKey, LinkState, StageAnswer, StageId, StageRequest, Undelivered, Upload, UploadId, Ways,
};
use crate::datamodel::{Firmware, FirmwareId};
use crate::durable::{Change, Token};
use crate::identity::EndpointId;
use crate::policy::{Action, Bypass, DeviceModel, Tally};
use crate::transport::client::Client;
use crate::transport::http::{Headers, encode_body};
use crate::usp::Shown;
use crate::usp::record::Integrity;
use crate::usp::record::session::{Secure, Secured};

use super::calls::{AcsCall, CallAnswer};
use super::outcome::Outcome;

/// One CWMP session of the CPE, over however many connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// One of the ACSs, by its place among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AcsId(pub u16);

/// One POST of the CPE, which awaits its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExchangeId(pub u64);

/// A POST of the CPE as it arrived. Cloning shares the body.
#[derive(Debug, Clone)]
pub struct Post {
    pub session: SessionId,
    /// The ACS that the session is for.
    pub acs: AcsId,
    pub exchange: ExchangeId,
    pub client: Arc<Client>,
    /// Whether the door has authenticated the CPE itself.
    pub authenticated: bool,
    /// Path and query as the CPE asked for them: its digest answer covers them.
    pub target: String,
    /// End-to-end headers, ours removed.
    pub headers: Headers,
    /// The body in identity coding: what is decoded.
    pub body: Bytes,
    /// The body as received where it came compressed: what is relayed.
    pub original_body: Option<Bytes>,
}

impl Post {
    pub(super) fn content_type(&self) -> Option<&str> {
        self.headers.get("content-type")
    }

    /// Gives it another body, if there is one; it leaves in the coding in which the first came.
    pub(super) fn edit(&mut self, body: Option<Bytes>) {
        if let Some(body) = body {
            let like = self.original_body.take();
            self.original_body = like.and_then(|like| coded(&mut self.headers, &body, &like));
            self.body = body;
        }
    }
}

/// The ACS's HTTP answer.
#[derive(Debug, Clone)]
pub struct AcsReply {
    pub status: u16,
    pub headers: Headers,
    pub body: Bytes,
    /// The body in identity coding where the ACS compressed it.
    pub decoded_body: Option<Bytes>,
}

impl AcsReply {
    pub(super) fn content_type(&self) -> Option<&str> {
        self.headers.get("content-type")
    }

    pub(super) fn text(&self) -> &Bytes {
        self.decoded_body.as_ref().unwrap_or(&self.body)
    }

    /// Gives it another body; it leaves in the coding in which the first came.
    pub(super) fn edit(&mut self, body: Bytes) {
        if self.decoded_body.is_some() {
            let coded = coded(&mut self.headers, &body, &self.body);
            self.decoded_body = coded.is_some().then(|| body.clone());
            self.body = coded.unwrap_or(body);
        } else {
            self.body = body;
        }
    }
}

/// A body in the coding that headers tell and `like` came in; `None`: it stays as it is, and they say so.
fn coded(headers: &mut Headers, body: &Bytes, like: &Bytes) -> Option<Bytes> {
    let coded = headers.get("content-encoding").and_then(|coding| encode_body(coding, body, like));
    if coded.is_none() {
        headers.remove("content-encoding");
    }
    coded
}

/// Why there is no answer of the ACS for the CPE; the text is for the operator.
#[derive(Debug, Clone)]
pub enum AcsFailure {
    NoAnswer(String),
    /// It sent the session elsewhere, and that is not followed.
    Redirect(String),
}

/// The HTTP answer to a CPE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub headers: Headers,
    pub body: Bytes,
    /// Close the connection after it: the session failed and the CPE shall retry.
    pub close: bool,
}

/// How many bodies of a session, from either side, were understood, and how many passed as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bodies {
    pub decoded: u32,
    pub opaque: u32,
}

impl Bodies {
    pub(super) fn count(&mut self, decoded: bool) {
        let count = if decoded { &mut self.decoded } else { &mut self.opaque };
        *count = count.saturating_add(1);
    }
}

/// Something happened.
#[derive(Debug)]
pub enum Input {
    Post(Post),
    Acs {
        session: SessionId,
        reply: Result<AcsReply, AcsFailure>,
    },
    /// The CPE's connection has ended.
    CpeGone {
        session: SessionId,
        /// The session has gone on over another connection before, and may again.
        roams: bool,
    },
    /// The CPE has closed its sending side: nothing more will come over its connection.
    CpeHalfClosed {
        session: SessionId,
    },
    /// A USP record for this device's agent, and what was found of its signature.
    Record(Bytes, Integrity, Shown),
    /// A collector has taken a report, or why it has not.
    Uploaded {
        id: UploadId,
        result: Result<(), Undelivered>,
    },
    /// The answer to [`Output::Stage`].
    Staged {
        id: StageId,
        answer: StageAnswer,
    },
    /// A shell with TLS has done what [`Output::Secure`] asked for.
    Secured {
        controller: EndpointId,
        session_id: u64,
        secured: Secured,
    },
    ControllerConnected(EndpointId),
    /// What is known of the agent's connections is this now.
    Links(BTreeMap<LinkKey, LinkState>),
    /// The operator's order to leave the device to the ACS, or none any more.
    Bypass(Option<Bypass>),
    /// The ACS calls for the CPE.
    AcsCall(AcsCall),
    /// How the last connection request went.
    Woken(Result<(), String>),
    /// The answer to [`Output::LoadFirmware`].
    Firmware {
        id: FirmwareId,
        model: Option<Arc<Firmware>>,
    },
    Persisted(Token),
    StoreFailed(Token),
    /// A deadline has passed.
    Tick,
    /// The gateway stops: a session that is only held open ends, nobody is woken any more.
    Shutdown,
}

/// What the world must do.
#[derive(Debug)]
pub enum Output {
    Reply {
        exchange: ExchangeId,
        reply: Reply,
    },
    ToAcs {
        session: SessionId,
        acs: AcsId,
        target: String,
        headers: Headers,
        body: Bytes,
    },
    /// The ACS has challenged the CPE, or asked for its Inform again: the CPE repeats it in the same session
    /// (TR-069 3.7.1.1).
    InformAgain(SessionId),
    /// The session is over: forget its cookie, close its leg to the ACS.
    EndSession(SessionId),
    Send {
        controller: EndpointId,
        record: Bytes,
    },
    /// The payload security of a session context needs a shell with TLS.
    Secure {
        controller: EndpointId,
        session_id: u64,
        request: Secure,
    },
    /// Controllers are to be met so from now on; without ways of its own, as the configuration says.
    Meet(Option<Ways>),
    /// This connection is to be closed and opened anew.
    Reconnect(LinkKey),
    Persist {
        token: Token,
        changes: Vec<Change>,
    },
    /// What is known of this firmware is needed.
    LoadFirmware(FirmwareId),
    /// To be merged into what is known of this firmware, durably.
    Learnt {
        id: FirmwareId,
        firmware: Firmware,
    },
    /// The answer to a connection request of the ACS's.
    AcsCallAnswer {
        call: u64,
        /// Whose the device is, where there are several.
        acs: Option<Arc<str>>,
        answer: CallAnswer,
    },
    Wake {
        url: String,
        credentials: Option<(String, String)>,
    },
    /// The device is known well enough to have an agent on the MTPs.
    Onboarded,
    /// Its agent has restarted with it: the agent's own connections are closed and opened anew, before what
    /// is sent from now on.
    AgentRestarted,
    /// Reports go to a collector; [`Input::Uploaded`] is the answer.
    Upload(Upload),
    /// Something is wanted of the stage of firmware images; [`Input::Staged`] is the answer.
    Stage {
        id: StageId,
        request: StageRequest,
    },
    /// One line for the operator when a session ends.
    SessionEnded {
        client: Arc<Client>,
        /// Whose it was, where there are several.
        acs: Option<Arc<str>>,
        outcome: Outcome,
        relayed: bool,
        rpcs: Vec<String>,
        bodies: Bodies,
        milliseconds: u64,
    },
    /// The ACS has sent the CPE to another URL than its own and the gateway's; `held`: it was told so, and the CPE
    /// was not.
    Departure {
        url: String,
        held: bool,
    },
    /// Two masters are in each other's way, and what the operator is told of it.
    Conflict {
        action: Action,
        line: Option<String>,
    },
    /// What comparing the ACS's RPCs with USP has shown in one session.
    Compared {
        model: Box<DeviceModel>,
        tally: Box<Tally>,
    },
    Log(String),
}
