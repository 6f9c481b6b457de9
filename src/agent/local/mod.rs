//! `Device.LocalAgent.`: the tables that a virtual agent holds itself, a file per table.

mod controller;
mod mtp;
mod request;
mod subscription;
mod table;
mod tables;

pub(super) use request::Operation;
pub(super) use subscription::{NotifType, Subscription};
pub(super) use tables::LocalAgent;
