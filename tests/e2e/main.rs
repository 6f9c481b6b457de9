//! The whole gateway as its users run it: the binary, a real broker, simulated CPEs and ACS, a controller.
//! Few tests, each a way through everything. What they start they end; traffic stays on 127.0.0.1.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on must fail loudly")]
#![expect(
    clippy::disallowed_methods,
    reason = "waiting for a process of its own is all that these threads do"
)]

mod bulk_data;
mod capture;
mod certificates;
mod changing_ways;
mod command_line;
mod differential;
mod door;
mod fail_open;
mod firmware;
mod front;
mod gateway;
mod interop;
mod kill;
mod mosquitto;
mod own_ways;
mod pki;
mod quirks;
mod rabbitmq;
mod relay;
mod restart;
mod secrets;
mod sessions;
mod several_acss;
mod shadow;
mod stomp;
mod survival;
mod takeover;
mod tls;
mod two_masters;
mod upgrade;
mod usp;
mod websocket;
