//! The broker's end of an agent's connection: what passes between agent and broker, packet by packet or frame by
//! frame, and a broker that can be told to do what a real one cannot be asked for.
//!
//! A check adds rows that send the agent here, to meet a controller that only the check knows. The connections
//! that the agent has already are left alone, and so is the broker behind them.
//!
//! `place` is where agents come, `way` the rows that send them, `line` one connection, `mqtt` and `stomp` what is
//! said on it.

mod line;
mod mqtt;
mod place;
mod stomp;
mod way;

pub(super) use line::{Dialect, Heard, Line};
pub(super) use mqtt::{Mqtt, MqttPlan, filter, link_version};
pub use place::Tap;
pub(super) use stomp::{Stomp, StompPlan, Unit as StompUnit};
pub(super) use way::Way;
