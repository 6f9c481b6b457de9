//! The checks of TP-469 against agents of a gateway: a test for each number, over all MTPs. The gateway, its
//! brokers and its ACS are shared; each test has CPEs of its own. Traffic stays on 127.0.0.1.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on must fail loudly")]

mod brokers;
mod careless;
mod liar;
mod liar_at_broker;
mod liar_at_door;
mod liar_in_contexts;
mod numbers;
mod pki;
mod world;
