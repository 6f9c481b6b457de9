//! The configuration file: as written (`file`), and as meant (`settings`), which cannot be inconsistent.
//!
//! Layer 6.

mod acs;
mod capture;
mod certificates;
mod door;
mod egress;
mod error;
mod example;
mod file;
mod firmware;
mod ownership;
mod roles;
mod settings;
mod stage;
mod stomp;
mod takeover;
#[cfg(test)]
mod tests;
mod values;

pub use error::ConfigError;
pub use example::EXAMPLE;
pub use firmware::FirmwareSettings;
pub use settings::{Settings, UpgradeSettings, admin_token};
pub use values::{Broker, StompBroker};
