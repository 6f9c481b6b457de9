//! Dragoman stands between TR-069 devices, the ACS that manages them and USP (TR-369) controllers, and
//! lets each believe it is spoken to in its own tongue. ARCHITECTURE.md is the map; the modules below
//! are ordered by layer, and an import may only point to a lower layer (`tests/tidy.rs` checks it).

// 0 words
pub mod datamodel;
pub mod durable;
pub mod identity;
// 1 protocols
pub mod cwmp;
pub mod transport;
pub mod usp;
// 2 decisions
pub mod policy;
pub mod translation;
// 3 device cores
pub mod agent;
pub mod capture;
pub mod proxy;
pub mod relay;
pub mod telemetry;
// 4 shells, on their base
pub mod collector;
pub mod connection_request;
pub mod file_server;
pub mod handover;
pub mod mtp;
pub mod net;
pub mod observe;
pub mod payload_security;
pub mod southbound;
pub mod store;
pub mod upstream;
// 5 runtime
pub mod runtime;
// 6 top
pub mod admin;
pub mod app;
pub mod cli;
pub mod config;
// beside the layers
pub mod conformance;
pub mod sim;
