//! Device tasks, registry, router, clock: what drives the cores.
//!
//! Layer 5. A device that nobody needs is no task: it is rebuilt from the store when something happens to
//! it, and dropped when it is idle.

mod acs_calls;
mod acs_servers;
mod alarms;
mod beside;
mod bypasses;
mod clock;
mod device_task;
mod doorman;
mod firmwares;
mod fleet;
mod leg;
mod mailbox;
mod mtps;
mod own_ways;
mod reunions;
mod router;
mod routes;
mod rows;

pub use acs_calls::AcsCalls;
pub use acs_servers::AcsServers;
pub use alarms::Alarms;
pub use bypasses::{BypassState, Bypasses, OrderError};
pub use clock::Clock;
pub use doorman::Doorman;
pub use firmwares::Firmwares;
pub use fleet::{Fleet, FleetConfig};
pub use mailbox::Letter;
pub use mtps::{Fittings, Mtp, Mtps};
pub use own_ways::{SecurePlace, Workshop};
pub use routes::Routes;
pub use rows::number_rows;

#[cfg(test)]
mod tests;
