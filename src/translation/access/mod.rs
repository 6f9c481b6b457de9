//! What a controller may do (TR-369, "Role Based Access Control"): rights on paths, by its roles.
//!
//! Compiled from `Device.LocalAgent.ControllerTrust.` when that changes, asked for each path that a request
//! or a notification is about. A role that may do everything costs one comparison.

mod permission;
mod rights;
mod role;

pub use permission::{Permission, TargetError};
pub use rights::{Rights, RightsError};
pub use role::{Access, Models, Role, Sort, written_by};
