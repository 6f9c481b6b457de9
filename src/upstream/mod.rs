//! The existing ACS, as one CPE session sees it: one connection, the session's own cookies.
//!
//! Layer 4. Relays HTTP exchanges; what is said in them is the cores' matter.

mod acs;
mod connection;
mod cookies;
mod redirects;
mod watch;

pub use acs::{Acs, AcsError, AcsReply, AcsRequest};
pub use connection::Connection;
pub use redirects::{Redirects, Unfollowed};
pub use watch::Watch;

#[cfg(test)]
mod tests;
