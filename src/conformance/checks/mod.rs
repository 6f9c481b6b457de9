//! The checks by number, in groups of those that are about the same.

mod add;
mod bulk_data;
mod certificates;
mod contexts;
mod delete;
mod firmware;
mod functions;
mod get;
mod instances;
mod list;
mod mqtt;
mod mqtt_wire;
mod notifications;
mod onboarding;
mod operate;
mod permissions;
mod profiles;
mod records;
mod reports;
mod retries;
mod secured;
mod set;
mod stomp;
mod stomp_wire;
mod supported_dm;
mod tapped;
mod triggers;
mod trust;
mod websocket;
mod websocket_server;

pub use list::{all, find};
