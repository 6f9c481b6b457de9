//! The real broker for STOMP: the one of the end-to-end tests, which takes seconds to start, so that all worlds
//! share it. It is never dropped; its guard ends it when this process is over.

#[expect(dead_code, reason = "the end-to-end tests need more of it")]
#[expect(clippy::disallowed_methods, reason = "it is waited for before any test begins")]
#[path = "../e2e/mosquitto.rs"]
mod mosquitto;
#[expect(dead_code, reason = "the end-to-end tests need more of it")]
#[path = "../e2e/pki.rs"]
mod pki;
#[expect(dead_code, reason = "the end-to-end tests need more of it")]
#[path = "../e2e/rabbitmq.rs"]
mod rabbitmq;

use std::sync::LazyLock;

use dragoman::net::TlsServer;
use dragoman::sim::controller::ControllerMtp;
pub use mosquitto::free_port;
use rabbitmq::{PASSWORD, RabbitMq, USER};

/// What a broker of a check's own shows of itself.
pub fn tls_server() -> TlsServer {
    pki::Pki::new(&["broker"]).server("broker")
}

static RABBITMQ: LazyLock<RabbitMq> = LazyLock::new(RabbitMq::start);

/// A world's end of it. Blocks until the broker is there.
pub struct AtRabbitMq {
    port: u16,
    destination: String,
}

impl AtRabbitMq {
    pub fn new(world: &str) -> Self {
        Self { port: RABBITMQ.port, destination: format!("/queue/usp.controller.{world}") }
    }

    /// The gateway's table.
    pub fn table(&self) -> String {
        format!(
            "[stomp.main]\nbroker = \"stomp://127.0.0.1:{}\"\nusername = '{USER}'\npassword = '{PASSWORD}'\n\
             retry_seconds = 0.2\n",
            self.port
        )
    }

    /// How the gateway meets the controller.
    pub fn way(&self) -> String {
        format!("stomp = {{ broker = \"main\", destination = \"{}\" }}", self.destination)
    }

    pub fn controller(&self) -> ControllerMtp {
        ControllerMtp::Stomp {
            host: "127.0.0.1".into(),
            port: self.port,
            destination: self.destination.clone(),
            login: Some((USER.into(), PASSWORD.into())),
            virtual_host: Some("/".into()),
            agent_destination_prefix: "/queue/usp.agent.".into(),
            tls: None,
        }
    }
}
