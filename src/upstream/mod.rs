//! The existing ACS, as one CPE session sees it: one connection, the session's own cookies.
//!
//! Layer 4. Relays HTTP exchanges; what is said in them is the cores' matter.

mod acs;
mod connection;
mod cookies;
mod watch;

pub use acs::{Acs, AcsReply, AcsRequest};
pub use connection::Connection;
pub use watch::Watch;
