//! The virtual USP agent of one CPE: dispatch, queue of work, onboarding, what of it is durable.
//!
//! Layer 3: one `handle`, one `next_deadline`; no I/O, clock, randomness or async.

mod attributes;
mod bootstrap;
mod bulk_data;
mod clockwork;
mod command;
mod comparing;
mod config;
mod conflicts;
mod core;
mod diagnosing;
mod dispatch;
mod events;
mod exchange;
mod firmware;
mod gate;
mod heard;
mod images;
mod io;
mod local;
mod meeting;
mod notify;
mod onboarding;
mod operation;
mod outbox;
mod own_credentials;
mod parameter_key;
mod queue;
mod quick;
mod settling;
mod silence;
mod stage;
mod stored;
mod threshold;
mod trigger;
mod upgrade;
mod ways;

pub use bootstrap::Reset;
pub use config::{
    AgentConfig, CertificateConfig, ControllerConfig, ControllerMtp, CredentialConfig, FULL_ACCESS,
    MqttClient, PermissionConfig, READ_ONLY, RoleConfig, StompConnection, UNTRUSTED, WebSocketListener,
};
pub use core::Agent;
pub use diagnosing::OwnEvents;
pub use images::{Staged, held_images};
pub use io::{
    Checksum, Env, Fetch, HttpUpload, Input, Offer, Output, Publication, Rpc, RpcId, Shadow, StageAnswer,
    StageId, StageRequest, Transferred, Undelivered, Upload, UploadId, UploadWay,
};
pub use parameter_key::key_of;
pub use quick::{Question, has_news, news};
pub use silence::Silence;
pub use stored::{RestoreError, stored_device_id};
pub use upgrade::is_own_key;
pub use ways::{LinkKey, LinkState, Met, MqttWay, Phase, Retry, StompWay, Traffic, Ways, WebSocketWay};

#[cfg(test)]
mod tests;
