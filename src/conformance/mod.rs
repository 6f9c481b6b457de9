//! The checks of TP-469, the test plan of USP agents, as a controller carries them out: each by its number,
//! against any agent.
//!
//! `check` says what a check is, `checks` holds them in groups, `session` is what they speak with, `runner`
//! runs them and judges, `tap` is the broker's end of an agent's connection, `report` tells the result to people
//! and machines. Checks use the objects that every agent has of itself (`Device.LocalAgent.`), remove what they
//! add and set back what they change.

mod check;
mod checks;
mod exchange;
mod expect;
mod messages;
mod number;
pub mod report;
mod runner;
mod secured;
mod session;
mod setup;
mod supported;
mod tap;
mod watching;

pub use check::{Check, Mtp, Outcome, Stop, Tag, Verdict};
pub use checks::{all, find};
pub use number::{Number, Selection};
pub use runner::{Finished, run};
pub use secured::Secrets;
pub use setup::{FirmwareFile, Setup, SetupConfig};
pub use tap::Tap;
