//! Turns USP messages into plans of CWMP RPCs and their answers back.
//!
//! Layer 2: the only place where `cwmp` and `usp` meet. A plan is a small state machine: it says the next
//! RPC, takes its answer or fault, and in the end holds the USP response.

mod access;
mod add;
mod ask_value;
mod attend;
mod compare;
mod delete;
mod diagnostics;
mod discovery;
mod fault;
mod firmware_download;
mod get;
mod instances;
mod keys;
mod local;
mod lookup;
mod mapping;
mod operate;
mod plan;
mod reading;
mod resolve;
mod sample;
mod searching;
mod seen;
mod set;
mod supported_dm;
mod write;

pub use access::{Access, Models, Permission, Rights, RightsError, Role, Sort, TargetError, written_by};
pub use add::Add;
pub use ask_value::AskValue;
pub use attend::{Attend, Attended};
pub use compare::{Answer, Findings, Known, compare};
pub use delete::Delete;
pub use diagnostics::Diagnostic;
pub use discovery::Discovery;
pub use firmware_download::FirmwareDownload;
pub use get::{Get, readable_params};
pub use keys::unique_keys;
pub use local::{FIRMWARE_IMAGES, Fixed, Local, OwnObject, OwnParam, Refusal, is_local, is_own};
pub use lookup::Lookup;
pub use mapping::{Mapping, Refused, Unmapped};
pub use operate::Operate;
pub use plan::{Denied, Outcome, Plan, Step, View};
pub use resolve::{names_object, objects_for};
pub use sample::{Sample, named_params, watched_params};
pub use searching::Searched;
pub use set::Set;
pub use write::Write;
