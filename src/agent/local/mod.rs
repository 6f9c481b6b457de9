//! What a virtual agent holds itself, `Device.LocalAgent.` above all: the standard's objects by the schema,
//! the configuration's rows as the template, an agent's own changes laid over them.

mod access;
mod addresses;
mod certificates;
mod changes;
mod keys;
mod local_agent;
mod profile;
mod references;
mod request;
mod schema;
mod session;
mod stored;
mod subscription;
mod template;
mod tree;
mod trust;
mod ways;

pub(super) use local_agent::{LocalAgent, THRESHOLDS};
pub(super) use profile::{Delivery, Http, Mqtt, Profile};
pub(super) use request::Operation;
pub(super) use schema::is_quiet;
pub(super) use subscription::{NotifType, Subscription};
pub use template::Template;
pub(super) use tree::{Tree, as_object};

#[cfg(test)]
mod tests;
