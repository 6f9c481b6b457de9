//! The handle by which tests and the command line use a controller.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{broadcast, mpsc};

use crate::identity::EndpointId;
use crate::net::{TlsClient, TlsServer};
use crate::transport::mqtt::Version;
use crate::usp::message::{Message, Request, Response};

use super::frames::{Frame, Sign};
use super::hub::{Arrival, Disconnect, Hub, Notification, Outgoing, Overheard, RequestError, Way};
use super::mqtt::{self, MqttSettings};
use super::sessions::{SessionConfig, SessionStatistics};
use super::stomp::{self, StompSettings};
use super::websocket;

/// Who the controller is, and where it meets agents.
#[derive(Clone)]
pub struct ControllerConfig {
    pub endpoint_id: EndpointId,
    pub mtp: ControllerMtp,
}

/// How the controller meets agents.
#[derive(Clone)]
pub enum ControllerMtp {
    /// At an MQTT broker, over one connection for all agents.
    Mqtt {
        host: String,
        port: u16,
        version: Version,
        /// Where the controller listens.
        topic: String,
        login: Option<(String, String)>,
        /// An agent that has not said otherwise is reached at `<prefix>/<endpoint id>`.
        agent_topic_prefix: String,
        tls: Option<TlsClient>,
    },
    /// At a STOMP broker, over one connection for all agents.
    Stomp {
        host: String,
        port: u16,
        /// Where the controller listens.
        destination: String,
        login: Option<(String, String)>,
        virtual_host: Option<String>,
        /// An agent that has not said otherwise is reached at `<prefix><endpoint id>`.
        agent_destination_prefix: String,
        tls: Option<TlsClient>,
    },
    /// Agents connect to the controller.
    WebSocketServer {
        /// Port 0 for any.
        listen: SocketAddr,
        /// Such as `/usp`; other paths are not found.
        path: String,
        tls: Option<TlsServer>,
    },
}

/// A running controller; a clone is the same one.
#[derive(Clone)]
pub struct Controller {
    hub: Arc<Hub>,
    door: Door,
}

/// How records leave.
#[derive(Clone)]
enum Door {
    /// To a broker; an agent that has not said otherwise is at the prefix and its endpoint id.
    Broker {
        outgoing: mpsc::Sender<Outgoing>,
        prefix: String,
    },
    WebSocket {
        address: SocketAddr,
    },
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Controller({})", self.hub.endpoint_id)
    }
}

impl Controller {
    /// Starts a controller. At a broker it returns when the subscription stands, and fails if the broker cannot
    /// be reached or refuses; later breaks are mended without a word. A WebSocket server fails if the
    /// address cannot be bound, and ends with [`Controller::stop`] only.
    pub async fn start(config: ControllerConfig) -> io::Result<Self> {
        let hub = Arc::new(Hub::new(config.endpoint_id));
        match config.mtp {
            ControllerMtp::Mqtt { host, port, version, topic, login, agent_topic_prefix, tls } => {
                let settings = MqttSettings { host, port, version, topic, login, tls };
                let outgoing = mqtt::start(Arc::clone(&hub), settings).await?;
                Ok(Self { hub, door: Door::Broker { outgoing, prefix: format!("{agent_topic_prefix}/") } })
            }
            ControllerMtp::Stomp {
                host,
                port,
                destination,
                login,
                virtual_host,
                agent_destination_prefix: prefix,
                tls,
            } => {
                let settings = StompSettings { host, port, destination, login, virtual_host, tls };
                let outgoing = stomp::start(Arc::clone(&hub), settings).await?;
                Ok(Self { hub, door: Door::Broker { outgoing, prefix } })
            }
            ControllerMtp::WebSocketServer { listen, path, tls } => {
                let address = websocket::start(Arc::clone(&hub), listen, path, tls).await?;
                Ok(Self { hub, door: Door::WebSocket { address } })
            }
        }
    }

    /// Where agents connect to, over WebSocket.
    pub fn address(&self) -> Option<SocketAddr> {
        match self.door {
            Door::Broker { .. } => None,
            Door::WebSocket { address } => Some(address),
        }
    }

    /// The agents that were seen: any record of theirs came, or they opened a connection.
    pub fn agents(&self) -> Vec<EndpointId> {
        self.hub.agents()
    }

    /// Waits until this many agents have sent an OnBoardRequest; `false` if it did not come to that in time.
    pub async fn wait_for_agents(&self, count: usize, patience: Duration) -> bool {
        let mut onboarded = self.hub.onboarded();
        let waiting = onboarded.wait_for(|known| *known >= count);
        matches!(tokio::time::timeout(patience, waiting).await, Ok(Ok(_)))
    }

    /// Sends a request and awaits the response, both within `patience`.
    pub async fn request(
        &self,
        agent: &EndpointId,
        request: Request,
        patience: Duration,
    ) -> Result<Response, RequestError> {
        let msg_id = self.hub.unique();
        let answer = self.hub.expect(&msg_id, agent)?;
        let records = self.hub.records(agent, Message::request(&msg_id, request));
        let asking = async {
            for record in records {
                self.send(agent, record).await?;
            }
            answer.await.map_err(|_| RequestError::Stopped)?.map_err(RequestError::Error)
        };
        let result = tokio::select! {
            result = tokio::time::timeout(patience, asking) => {
                result.unwrap_or(Err(RequestError::Timeout(patience)))
            }
            () = self.hub.stop.cancelled() => Err(RequestError::Stopped),
        };
        self.hub.give_up(&msg_id);
        result
    }

    /// Notifications from now on; who reads too slowly misses some. Those with `send_resp` are answered, unless
    /// [`Controller::answer_notify`] says otherwise.
    pub fn notifications(&self) -> broadcast::Receiver<Notification> {
        self.hub.notifications()
    }

    /// Whether notifications are answered.
    pub fn answer_notify(&self, on: bool) {
        self.hub.answer_notify(on);
    }

    /// Whether the notifications of one agent are left without an answer.
    pub fn leave_unanswered(&self, agent: &EndpointId, on: bool) {
        self.hub.leave_unanswered(agent, on);
    }

    /// Records from now on, as they come and whoever they are for; who reads too slowly misses some.
    pub fn arrivals(&self) -> broadcast::Receiver<Arrival> {
        self.hub.arrivals()
    }

    /// The last Connect record of an agent.
    pub fn connect_of(&self, agent: &EndpointId) -> Option<Arrival> {
        self.hub.connect(agent)
    }

    /// What the last Disconnect record of an agent said, unless it has connected again since.
    pub fn disconnect_of(&self, agent: &EndpointId) -> Option<Disconnect> {
        self.hub.disconnect(agent)
    }

    /// Sends everything in session contexts from now on.
    pub fn use_sessions(&self, config: SessionConfig) {
        self.hub.use_sessions(config);
        let controller = self.clone();
        tokio::spawn(async move {
            while !controller.hub.stop.is_cancelled() {
                for (agent, record) in controller.hub.tick() {
                    controller.send_raw(&agent, record).await;
                }
                tokio::time::sleep(TICK).await;
            }
        });
    }

    /// What came in session contexts so far.
    pub fn session_statistics(&self) -> SessionStatistics {
        self.hub.session_statistics()
    }

    /// Sends bytes in place of a record, whatever they are; drops them if there is no way to the agent.
    pub async fn send_raw(&self, agent: &EndpointId, record: Bytes) {
        if let Err(error) = self.send(agent, record).await {
            tracing::debug!(%agent, %error, "bytes are not sent");
        }
    }

    /// Says goodbye to the broker, or closes the agents' connections, and ends; requests under way fail.
    pub async fn stop(self) {
        self.hub.stop.cancel();
        let _ = tokio::time::timeout(STOPPING, self.hub.stopped.cancelled()).await;
    }

    /// Sends bytes as [`Controller::send_raw`] does, over MQTT 5 with this content type.
    pub async fn send_raw_as(&self, agent: &EndpointId, record: Bytes, content_type: &'static str) {
        if let Err(error) = self.dispatch(agent, record, Some(content_type)).await {
            tracing::debug!(%agent, %error, "bytes are not sent");
        }
    }

    /// Sends on an agent's WebSocket connection what is not simply a record.
    pub async fn send_frame(&self, agent: &EndpointId, frame: Frame) -> Result<(), RequestError> {
        match self.hub.way(agent) {
            Some(Way::Connection(_, sender)) => {
                sender.send(frame).await.map_err(|_| RequestError::NotConnected)
            }
            _ => Err(RequestError::NotConnected),
        }
    }

    /// What is seen of agents' WebSocket connections from now on.
    pub fn signs(&self) -> broadcast::Receiver<(EndpointId, Sign)> {
        self.hub.signs()
    }

    /// Whether an agent may not open a WebSocket connection.
    pub fn turn_away(&self, agent: &EndpointId, on: bool) {
        self.hub.turn_away(agent, on);
    }

    async fn send(&self, agent: &EndpointId, record: Bytes) -> Result<(), RequestError> {
        self.dispatch(agent, record, None).await
    }

    /// Subscribes to a topic where no records come, and tells what comes to it: over MQTT alone. Once the broker
    /// has granted the subscription, which takes a moment.
    pub async fn listen(&self, topic: &str) -> broadcast::Receiver<Overheard> {
        let overheard = self.hub.overheard();
        if let Door::Broker { outgoing, .. } = &self.door {
            // A controller that has stopped hears nothing.
            let _ = outgoing.send(Outgoing::Listen(topic.to_owned())).await;
        }
        overheard
    }

    async fn dispatch(
        &self,
        agent: &EndpointId,
        record: Bytes,
        content_type: Option<&'static str>,
    ) -> Result<(), RequestError> {
        let Door::Broker { outgoing, prefix } = &self.door else {
            return self.send_frame(agent, Frame::Record(record)).await;
        };
        let topic = match self.hub.way(agent) {
            Some(Way::Topic(topic)) => topic,
            _ => format!("{prefix}{agent}"),
        };
        let sending = outgoing.send(Outgoing::Record { topic, record, content_type });
        sending.await.map_err(|_| RequestError::Stopped)
    }
}

/// How often session contexts look at the clock.
const TICK: Duration = Duration::from_millis(100);
/// Time for the goodbye.
const STOPPING: Duration = Duration::from_secs(3);
