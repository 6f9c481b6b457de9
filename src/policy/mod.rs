//! Rules that bind whoever asks: the operator's, and those of two masters on one CPE.
//!
//! Layer 2. Pure: what is asked is judged, nothing is done.

mod acs_rule;
mod attributes;
mod bypass;
mod call_secret;
mod comparison;
mod conflicts;
mod egress;
mod known_devices;
mod ownership;
mod stage;
mod takeover;

pub use acs_rule::{AcsRule, Caller, Glob};
pub use attributes::{Attributes, Owed, Urgency};
pub use bypass::{Bypass, BypassMode, ORDER, PASSED};
pub use call_secret::CallSecret;
pub use comparison::{Class, Comparison, DeviceModel, Difference, ModelSum, Tally, Worst};
pub use conflicts::{Action, Conflict, Ledger};
pub use egress::{Egress, PlaceError};
pub use known_devices::{KnownDevices, ListError};
pub use ownership::{
    ACS, LAST_WRITER, OwnedPath, OwnedPathError, Owner, Ownership, OwnershipMode, OwnershipRule, Writer,
};
pub use stage::{Stage, StageRule, Stages};
pub use takeover::{Takeover, UrlWrite};
