//! Where a controller at the command line meets agents: the options of all commands that speak USP.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use tokio::time::Instant;

use crate::config::{Broker, StompBroker};
use crate::conformance::Mtp;
use crate::identity::EndpointId;
use crate::net::{HttpUrl, TlsClient, TlsServer};
use crate::sim::controller::{Controller, ControllerConfig, ControllerMtp};
use crate::transport::mqtt::Version;

/// The controller, and the broker or address where it meets agents.
#[derive(Debug, Clone, Args)]
pub(super) struct Meeting {
    /// The broker where agents are met, as mqtt://HOST:PORT or mqtts://HOST:PORT.
    #[arg(long, global = true, value_parser = broker, default_value = "mqtt://127.0.0.1:1883")]
    mqtt: Broker,
    /// Topic on which the controller listens; the gateway's configuration names it.
    #[arg(long, global = true, default_value = "usp/controller/cli")]
    topic: String,
    /// Topics of agents begin with this, until they say otherwise.
    #[arg(long, global = true, default_value = "usp/agent")]
    agent_topic_prefix: String,
    #[arg(long, global = true, value_enum, default_value_t = MqttVersion::V5)]
    mqtt_version: MqttVersion,
    /// In place of MQTT: the STOMP broker where agents are met, as stomp://HOST:PORT or stomps://HOST:PORT.
    #[arg(long, global = true, value_name = "BROKER", value_parser = stomp_broker, conflicts_with = "listen")]
    stomp: Option<StompBroker>,
    /// STOMP destination on which the controller listens; the gateway's configuration names it. Of several
    /// listeners at a queue only one gets each message.
    #[arg(long, global = true, default_value = "/topic/usp.controller.cli")]
    destination: String,
    /// STOMP destinations of agents begin with this, until they say otherwise.
    #[arg(long, global = true, default_value = "/queue/usp.agent.")]
    agent_destination_prefix: String,
    /// Virtual host on the STOMP broker.
    #[arg(long, global = true, default_value = "/")]
    virtual_host: String,
    /// User name for the broker.
    #[arg(long, global = true, requires = "password")]
    username: Option<String>,
    /// Password for the broker.
    #[arg(long, global = true, requires = "username")]
    password: Option<String>,
    /// PEM file with the CAs to trust where this controller connects with TLS.
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// PEM file with the certificate chain to show where agents connect to this controller with TLS.
    #[arg(long, global = true, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// PEM file with the certificate's key.
    #[arg(long, global = true, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// In place of a broker: take WebSocket connections of agents here, as ws://ADDRESS:PORT/PATH or wss://.
    #[arg(long, global = true, value_name = "URL", value_parser = server)]
    listen: Option<Server>,
    /// The controller's endpoint id; the gateway's configuration must know it.
    #[arg(long, global = true, value_parser = endpoint, default_value = "self::dragoman-cli")]
    pub endpoint_id: EndpointId,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MqttVersion {
    #[value(name = "5")]
    V5,
    #[value(name = "3.1.1")]
    V311,
}

/// Where the controller listens for WebSocket connections.
#[derive(Debug, Clone)]
struct Server {
    tls: bool,
    address: SocketAddr,
    path: String,
}

impl Meeting {
    /// The same broker for another controller, or another address, which is a topic, a destination or a URL.
    pub fn of_other(&self, endpoint_id: EndpointId, place: String) -> Result<Self, String> {
        let mut other = Self { endpoint_id, ..self.clone() };
        match (&other.listen, &other.stomp) {
            (Some(_), _) => other.listen = Some(server(&place)?),
            (None, Some(_)) => other.destination = place,
            (None, None) => other.topic = place,
        }
        Ok(other)
    }

    pub fn mtp(&self) -> Mtp {
        match (&self.listen, &self.stomp, self.mqtt_version) {
            (Some(_), ..) => Mtp::WebSocket,
            (None, Some(_), _) => Mtp::Stomp,
            (None, None, MqttVersion::V5) => Mtp::Mqtt5,
            (None, None, MqttVersion::V311) => Mtp::Mqtt311,
        }
    }

    /// Starts the controller.
    pub async fn start(&self) -> anyhow::Result<Controller> {
        let login = self.username.clone().zip(self.password.clone());
        let reaching =
            |broker: &Broker| format!("failed to connect to the broker at {}:{}", broker.host, broker.port);
        let (mtp, place) = match (&self.listen, &self.stomp) {
            (Some(Server { tls, address, path }), _) => {
                let tls = match (tls, self.own_tls()?) {
                    (true, None) => bail!("wss:// needs --certificate and --key"),
                    (tls, own) => own.filter(|_| *tls),
                };
                let mtp = ControllerMtp::WebSocketServer { listen: *address, path: path.clone(), tls };
                (mtp, format!("failed to listen on {address}"))
            }
            (None, Some(StompBroker(broker))) => {
                let mtp = ControllerMtp::Stomp {
                    host: broker.host.clone(),
                    port: broker.port,
                    destination: self.destination.clone(),
                    login,
                    virtual_host: Some(self.virtual_host.clone()).filter(|it| !it.is_empty()),
                    agent_destination_prefix: self.agent_destination_prefix.clone(),
                    tls: self.tls(broker)?,
                };
                (mtp, reaching(broker))
            }
            (None, None) => {
                let mtp = ControllerMtp::Mqtt {
                    host: self.mqtt.host.clone(),
                    port: self.mqtt.port,
                    version: match self.mqtt_version {
                        MqttVersion::V5 => Version::V5,
                        MqttVersion::V311 => Version::V311,
                    },
                    topic: self.topic.clone(),
                    login,
                    agent_topic_prefix: self.agent_topic_prefix.clone(),
                    tls: self.tls(&self.mqtt)?,
                };
                (mtp, reaching(&self.mqtt))
            }
        };
        let config = ControllerConfig { endpoint_id: self.endpoint_id.clone(), mtp };
        Controller::start(config).await.context(place)
    }

    /// What is shown to agents that connect to us.
    pub fn own_tls(&self) -> anyhow::Result<Option<TlsServer>> {
        let Some((chain, key)) = self.certificate.as_ref().zip(self.key.as_ref()) else { return Ok(None) };
        Ok(Some(TlsServer::new(chain, key, None, false)?))
    }

    fn tls(&self, broker: &Broker) -> anyhow::Result<Option<TlsClient>> {
        match (broker.tls, self.trust()?) {
            (false, _) => Ok(None),
            (true, None) => bail!("mqtts:// and stomps:// need --ca, the file with the CAs to trust"),
            (true, trust) => Ok(trust),
        }
    }

    /// Whom to trust where this controller connects with TLS.
    pub fn trust(&self) -> anyhow::Result<Option<TlsClient>> {
        let ca = self.ca.as_ref();
        Ok(ca.map(|ca| TlsClient::new(ca, None)).transpose()?)
    }
}

/// Gives an agent that connects to us time to do so.
pub(super) async fn await_agent(controller: &Controller, agent: &EndpointId, patience: Duration) {
    let end = Instant::now() + patience;
    while controller.address().is_some() && !controller.agents().contains(agent) && Instant::now() < end {
        tokio::time::sleep(POLL).await;
    }
}

/// An endpoint id, told apart from a path that stands in its place.
pub(super) fn endpoint(text: &str) -> Result<EndpointId, String> {
    EndpointId::parse(text).map_err(|error| error.to_string())
}

fn broker(text: &str) -> Result<Broker, String> {
    Broker::try_from(text.to_owned())
}

fn stomp_broker(text: &str) -> Result<StompBroker, String> {
    StompBroker::try_from(text.to_owned())
}

fn server(text: &str) -> Result<Server, String> {
    let url = HttpUrl::parse_ws(text).map_err(|error| error.to_string())?;
    let address = url.host.parse().map_err(|_| format!("'{}' is no IP address", url.host))?;
    Ok(Server { tls: url.tls, address: SocketAddr::new(address, url.port), path: url.target })
}

/// How often to look for an agent that is to connect.
const POLL: Duration = Duration::from_millis(50);
