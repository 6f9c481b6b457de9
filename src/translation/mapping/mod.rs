//! TR-098 in TR-181 terms: what stands between plans, which speak of `Device.`, and a CPE whose root is
//! `InternetGatewayDevice.`.
//!
//! The rules are `rules/*.toml`; `rules.rs` says how they are written. A rule pairs one path with one path,
//! and the instance numbers of the one are those of the other, so a device needs no state of its own. A
//! parameter of TR-098 may have several counterparts (WLANConfiguration.Enable is both the SSID's and the
//! AccessPoint's), a parameter of TR-181 has one.
//!
//! What cannot be said in this way is left out rather than guessed. It needs numbers that are handed out
//! and kept for each device, or several parameters to make one:
//! - every LANDevice but the first, and all of WANDevice (interfaces, their stack, NAT, PPP);
//! - WiFi.Radio: one row for each physical radio, while WLANConfigurations share radios in ways that only
//!   the values tell;
//! - Security.ModeEnabled, ModesSupported and EncryptionMode: made of BeaconType with four other parameters;
//! - Hosts.Host.Layer1Interface, which would have to name a radio or an Ethernet interface.

mod convert;
mod incoming;
mod outgoing;
mod rules;
mod table;
mod template;
#[cfg(test)]
mod tests;

pub use outgoing::{Refused, Unmapped};
pub use table::Mapping;
