//! Where controllers come by WebSocket (R-WS.6): one listener for all agents, who are told apart by the path.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dashmap::DashMap;
use futures_util::StreamExt;
use percent_encoding::percent_decode_str;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::identity::EndpointId;
use crate::mtp::AgentSide;
use crate::mtp::contract::farewell;
use crate::net::{Anchors, At, Incoming, Opening, Stream, TlsServer, listen};
use crate::observe::Metrics;
use crate::usp::record::{Payload, Record};
use crate::usp::{Shown, is_of_endpoint};

use super::WAITING;
use super::wire::{
    HANDSHAKE, Heard, MISSED_PINGS, OF_ANOTHER, SUBPROTOCOL, Socket, answer_close, goodbye, heard, limits,
    refuse, say, say_record,
};

/// The listener.
pub struct ListenerConfig {
    pub listen: At,
    pub tls: Option<TlsServer>,
    /// Who vouches for client certificates: one that is shown must be the controller's (R-SEC.10a).
    pub anchors: Option<Anchors>,
    /// Controllers may come without a certificate; then each is who it says it is.
    pub unauthenticated: bool,
    /// An agent's path is the first, its endpoint id, the second.
    pub path: (String, String),
    /// How often a Ping goes out (R-WS.18).
    pub ping: Duration,
    /// More wait in the kernel's queue.
    pub max_connections: usize,
}

/// The sessions that controllers have opened; cloning shares.
#[derive(Clone)]
pub struct Listener {
    inner: Arc<Inner>,
}

struct Inner {
    config: ListenerConfig,
    side: Arc<dyn AgentSide>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    sessions: DashMap<(EndpointId, EndpointId), Session>,
    next: AtomicU64,
}

struct Session {
    number: u64,
    records: mpsc::Sender<Bytes>,
}

/// Who comes to whom.
struct Visit {
    agent: EndpointId,
    controller: EndpointId,
    shown: Shown,
}

impl Listener {
    /// Listens. The address is the one really bound.
    pub async fn open(
        config: ListenerConfig,
        side: Arc<dyn AgentSide>,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> std::io::Result<(Self, SocketAddr)> {
        let opening =
            Opening { tls: config.tls.clone(), connections: config.max_connections, ..Opening::default() };
        let (address, mut incoming) = listen(config.listen.clone(), opening).await?;
        if config.unauthenticated {
            tracing::warn!(
                %address,
                "controllers may come by WebSocket without a certificate: whoever knows an endpoint id speaks as it"
            );
        }
        let (sessions, next) = (DashMap::new(), AtomicU64::new(0));
        let inner = Arc::new(Inner { config, side, metrics, stop, sessions, next });
        let serving = Arc::clone(&inner);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    came = incoming.recv() => match came {
                        Some(came) => drop(tokio::spawn(Arc::clone(&serving).serve(came))),
                        None => return,
                    },
                    () = serving.stop.cancelled() => return,
                }
            }
        });
        Ok((Self { inner }, address))
    }

    /// Sends a record over the session that this controller has opened to this agent. Gives it back where
    /// there is none.
    pub fn send(&self, agent: &EndpointId, controller: &EndpointId, record: Bytes) -> Result<(), Bytes> {
        let Some(session) = self.inner.sessions.get(&(agent.clone(), controller.clone())) else {
            return Err(record);
        };
        if session.records.try_send(record).is_err() {
            self.inner.metrics.usp_dropped(agent.as_str(), "too much waits for the controller");
        }
        Ok(())
    }
}

impl Inner {
    async fn serve(self: Arc<Self>, came: Incoming) {
        let shown = self.shown(&came.stream);
        let (peer, _place) = (came.peer, came.place);
        let mut visit = Err(StatusCode::BAD_REQUEST);
        #[expect(clippy::result_large_err, reason = "the library wants this type")]
        let judge = |request: &Request, response: Response| {
            visit = self.judge(request, shown.as_ref());
            answer(visit.as_ref().err().copied(), response)
        };
        let accepting = tokio_tungstenite::accept_hdr_async_with_config(came.stream, judge, Some(limits()));
        let accepted = tokio::time::timeout(HANDSHAKE, accepting).await;
        let (Ok(Ok(mut socket)), Ok(visit)) = (accepted, visit) else {
            tracing::debug!(%peer, "a WebSocket was not opened");
            return;
        };
        let key = (visit.agent.clone(), visit.controller.clone());
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (records, outgoing) = mpsc::channel(WAITING);
        // R-WS.4: the newer session takes the place of the older, which ends when nobody can write to it.
        self.sessions.insert(key.clone(), Session { number, records });
        self.metrics.mtp_up("websocket");
        tracing::info!(agent = %visit.agent, controller = %visit.controller, %peer, "a controller has come");
        let why = self.carry(&visit, outgoing, &mut socket).await;
        self.metrics.mtp_down("websocket", visit.agent.as_str(), &why);
        self.sessions.remove_if(&key, |_, session| session.number == number);
    }

    /// What a visitor has proved; `None` if its certificate proves nothing.
    fn shown(&self, stream: &Stream) -> Option<Shown> {
        match (&self.config.anchors, stream.peer_chain()) {
            (None, _) | (_, []) => Some(Shown::Nothing),
            (Some(anchors), chain) => anchors.path(chain).map(Shown::Path),
        }
    }

    /// Whether a request is that of a controller for an agent (R-WS.10b, R-WS.12a). That the deprecated
    /// extension is missing is no error (R-WS.11c).
    fn judge(&self, request: &Request, shown: Option<&Shown>) -> Result<Visit, StatusCode> {
        let headers = request.headers();
        let offered =
            headers.get_all("sec-websocket-protocol").iter().filter_map(|value| value.to_str().ok());
        if !offered.flat_map(|value| value.split(',')).any(|protocol| protocol.trim() == SUBPROTOCOL) {
            return Err(StatusCode::BAD_REQUEST);
        }
        let (before, after) = &self.config.path;
        let agent = request.uri().path().strip_prefix(before.as_str());
        let agent = agent.and_then(|rest| rest.strip_suffix(after.as_str()));
        let agent = agent.and_then(endpoint).filter(|agent| self.side.knows(agent));
        let agent = agent.ok_or(StatusCode::NOT_FOUND)?;
        let query = request.uri().query().unwrap_or("");
        let controller = query.split('&').find_map(|pair| pair.strip_prefix("eid=")).and_then(endpoint);
        let controller = controller.ok_or(StatusCode::BAD_REQUEST)?;
        // Who shows a certificate that does not prove what it says is nobody.
        let shown = shown.ok_or(StatusCode::FORBIDDEN)?;
        let own = match shown {
            Shown::Path(path) => path.first(),
            Shown::Nothing | Shown::Untold => None,
        };
        if own.is_some_and(|own| !is_of_endpoint(own, controller.as_str())) {
            return Err(StatusCode::FORBIDDEN);
        }
        Ok(Visit { agent, controller, shown: shown.clone() })
    }

    async fn carry(&self, visit: &Visit, mut outgoing: mpsc::Receiver<Bytes>, socket: &mut Socket) -> String {
        let Visit { agent, controller, .. } = visit;
        let connect = Record::of(agent, controller, Payload::WebSocketConnect).encode();
        if let Err(why) = say(socket, Message::Binary(connect)).await {
            return why;
        }
        self.side.connected(agent, controller);
        let mut ping = tokio::time::interval(self.config.ping);
        ping.reset();
        let mut silent = 0;
        loop {
            let result = tokio::select! {
                message = socket.next() => {
                    silent = 0;
                    match message.map(|message| message.map(heard)) {
                        Some(Ok(Heard::Record(record))) if is_from(&record, controller) => {
                            self.metrics.usp_received();
                            self.side.record(agent, record, visit.shown.clone());
                            Ok(())
                        }
                        Some(Ok(Heard::Record(_))) => {
                            self.metrics.usp_dropped(agent.as_str(), OF_ANOTHER);
                            Ok(())
                        }
                        Some(Ok(Heard::Fine)) => Ok(()),
                        Some(Ok(Heard::Over(why))) => {
                            answer_close(socket).await;
                            return why;
                        }
                        Some(Ok(Heard::Unusable)) => return refuse(socket).await,
                        Some(Err(error)) => Err(error.to_string()),
                        None => return "the controller closed the connection".into(),
                    }
                }
                record = outgoing.recv() => match record {
                    Some(record) => {
                        self.metrics.usp_sent();
                        say_record(agent, controller, record, socket).await
                    }
                    None => return goodbye(agent, controller, "another session takes its place", socket).await,
                },
                _ = ping.tick() => {
                    silent += 1;
                    if silent > MISSED_PINGS {
                        return "the controller does not answer".into();
                    }
                    say(socket, Message::Ping(Bytes::new())).await
                }
                () = self.stop.cancelled() => return goodbye(agent, controller, farewell(true), socket).await,
            };
            if let Err(why) = result {
                return why;
            }
        }
    }
}

fn is_from(record: &Bytes, controller: &EndpointId) -> bool {
    Record::decode(record.clone()).is_ok_and(|record| record.from_id == controller.as_str())
}

/// An endpoint id as it stands in a URI, where its percent signs are encoded (R-WS.10c).
fn endpoint(text: &str) -> Option<EndpointId> {
    EndpointId::parse(&percent_decode_str(text).decode_utf8().ok()?).ok()
}

#[expect(clippy::result_large_err, reason = "the library wants this type")]
fn answer(refused: Option<StatusCode>, mut response: Response) -> Result<Response, ErrorResponse> {
    match refused {
        None => {
            response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
            Ok(response)
        }
        Some(status) => {
            let mut refusal = ErrorResponse::new(None);
            *refusal.status_mut() = status;
            Err(refusal)
        }
    }
}
