//! The contract of the agent core.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use crate::cwmp::rpc::{Fault, Inform, Request, Response};
use crate::datamodel::{Firmware, FirmwareId, Instantiated, WallTime};
use crate::durable::{Change, Token};
use crate::identity::EndpointId;
use crate::policy::{Action, DeviceModel, Tally};
use crate::usp::Shown;
use crate::usp::record::Integrity;
use crate::usp::record::session::{Secure, Secured};

use super::images::Staged;
use super::ways::{LinkKey, LinkState, Ways};

/// What a core needs to know of the world for one step.
#[derive(Debug, Clone, Copy)]
pub struct Env {
    /// Monotonic milliseconds.
    pub now: u64,
    pub wall: WallTime,
    /// Fresh randomness, the only one there is.
    pub seed: u64,
}

/// What is known of the device.
#[derive(Debug, Default)]
pub struct Shadow {
    /// In the CPE's own terms.
    pub cpe: Instantiated,
}

/// Names an RPC of the agent's until its answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RpcId(pub u64);

/// An RPC to be sent when it is USP's turn.
#[derive(Debug)]
pub struct Rpc {
    pub id: RpcId,
    pub request: Request<'static>,
    /// It takes effect when the session ends: nothing may follow it.
    pub ends_session: bool,
    /// A controller asked for it: more of it may follow soon, so the session is worth holding open.
    pub asked: bool,
}

/// Something happened.
pub enum Input<'a> {
    /// A USP record from a controller.
    Record {
        bytes: Bytes,
        /// What was found of its signature.
        integrity: Integrity,
        /// What its sender has shown where it came in, or by its signature.
        shown: Shown,
    },
    /// A shell with TLS has done what [`Output::Secure`] asked for.
    Secured {
        controller: EndpointId,
        session_id: u64,
        secured: Secured,
    },
    /// What is known of the agent's connections is this now.
    Links {
        links: BTreeMap<LinkKey, LinkState>,
    },
    /// An MTP to a controller is up.
    ControllerConnected {
        controller: EndpointId,
    },
    /// An Inform whose sender has been authenticated.
    Informed {
        inform: &'a Inform<'a>,
        first_contact: bool,
    },
    /// An RPC of the ACS's that the CPE carried out.
    Observed {
        request: &'a Request<'a>,
        response: &'a Response<'a>,
    },
    /// An RPC of the ACS's that leaves a ParameterKey on the CPE has got no answer: which one it has is not known.
    AcsUnanswered,
    /// An RPC of the ACS's that the CPE refused; of no consequence but where RPCs are compared.
    Refused {
        request: &'a Request<'a>,
        fault: &'a Fault<'a>,
    },
    Answer {
        rpc: RpcId,
        response: &'a Response<'a>,
    },
    Faulted {
        rpc: RpcId,
        fault: &'a Fault<'a>,
    },
    /// The answer to an RPC will not come; whether it was carried out is unknown.
    Lost {
        rpc: RpcId,
    },
    SessionEnded,
    /// The answer to [`Output::LoadFirmware`]; no model: nobody has walked a device of this firmware yet.
    Firmware {
        id: FirmwareId,
        model: Option<Arc<Firmware>>,
    },
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
    /// A transfer with a key of ours has ended.
    Transferred(Transferred),
    /// A transfer of the ACS's has ended.
    AcsTransferred,
    Persisted(Token),
    StoreFailed(Token),
    Tick,
}

/// Names a request to the stage until its answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StageId(pub u64);

/// What the stage, which keeps firmware images for CPEs, is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StageRequest {
    /// The image is to be fetched.
    Fetch(Fetch),
    /// An image that was fetched so is to be compared with its checksum.
    Check { image: String, of: Fetch },
    /// A CPE is about to load an image: from where can it, under this name?
    Offer { image: String, name: String },
    /// The device needs these images, and no others. There is no answer.
    Hold(BTreeSet<String>),
}

/// A firmware image at its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    pub url: String,
    pub credentials: Option<(String, String)>,
    /// In bytes, as far as the controller knows; 0 is unknown.
    pub size: u64,
    /// Images of the same URL and checksum are the same.
    pub checksum: Option<Checksum>,
}

/// What the content of a file hashes to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Checksum {
    /// `SHA-1`, or `SHA-224` to `SHA-512`.
    pub algorithm: String,
    /// In hexadecimal digits of either case.
    pub value: String,
}

/// The stage's answer; errors are for the controller to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StageAnswer {
    Fetched(Result<Staged, String>),
    Checked(Result<(), String>),
    Offered(Result<Offer, String>),
}

/// Where a CPE can load an image for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub url: String,
    /// In bytes.
    pub size: u64,
}

/// How a transfer that the CPE was told to make has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transferred {
    pub command_key: String,
    /// 0 is success.
    pub fault_code: u32,
    pub fault_string: String,
}

/// Names an upload until its end is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadId(pub u64);

/// Bulk data reports for a collector (TR-369 Annex A).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    pub id: UploadId,
    pub way: UploadWay,
    pub body: Bytes,
}

/// How they go there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadWay {
    Http(HttpUpload),
    Mqtt(Publication),
}

/// A message to the broker of one of the agent's connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    pub link: LinkKey,
    pub topic: String,
    /// 0, 1 or 2.
    pub qos: u8,
    pub retain: bool,
    /// The content type, which MQTT 3.1.1 has not.
    pub media_type: &'static str,
}

/// Why reports are not with their collector.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Undelivered {
    /// Fewer of them may do.
    #[error("{0}")]
    TooLarge(String),
    #[error("{0}")]
    Failed(String),
}

/// A request to an HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUpload {
    /// With its query.
    pub url: String,
    /// `POST` or `PUT`.
    pub method: &'static str,
    /// `Content-Type`.
    pub media_type: &'static str,
    /// `BBF-Report-Format`.
    pub layout: &'static str,
    /// Whether the body is to be compressed with gzip.
    pub gzip: bool,
    /// Whether a `Date` header goes along.
    pub date: bool,
    pub credentials: Option<(String, String)>,
}

/// What the world must do.
#[derive(Debug)]
pub enum Output {
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
    Persist {
        token: Token,
        changes: Vec<Change>,
    },
    /// What is known of this firmware is needed; [`Input::Firmware`] is the answer.
    LoadFirmware(FirmwareId),
    /// The device showed something of its firmware: it is to be merged into what is known, durably. If it
    /// is lost the next device shows it.
    Learnt {
        id: FirmwareId,
        firmware: Firmware,
    },
    /// Reports go to a collector; [`Input::Uploaded`] is the answer.
    Upload(Upload),
    /// Something is wanted of the stage; [`Input::Staged`] is the answer.
    Stage {
        id: StageId,
        request: StageRequest,
    },
    /// Controllers are to be met so from now on; without ways of its own, as the configuration says.
    Meet(Option<Ways>),
    /// This connection is to be closed and opened anew.
    Reconnect(LinkKey),
    /// Work waits for a session.
    WantSession,
    /// The device has an agent on the MTPs from now on.
    Onboarded,
    /// The device has restarted, and its agent with it: its own connections are closed and opened anew
    /// before what is sent from now on.
    Restarted,
    /// Two masters are in each other's way; it is in the ledger.
    Conflict {
        action: Action,
        /// For the operator's log; none where there were too many lately.
        line: Option<String>,
    },
    /// What comparing the ACS's RPCs with USP has shown in one session.
    Compared {
        model: Box<DeviceModel>,
        tally: Box<Tally>,
    },
    Log(String),
}
