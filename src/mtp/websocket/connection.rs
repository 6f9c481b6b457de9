//! The task of one WebSocket connection: connects and comes back, pings, carries records.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request};
use tokio_util::sync::CancellationToken;

use crate::agent::{LinkState, Phase};
use crate::identity::EndpointId;
use crate::mtp::LinkStatus;
use crate::mtp::contract::{RESTARTS, farewell, tls_of};
use crate::mtp::link::{self, Link, Shared};
use crate::net::{Backoff, HttpUrl, Stream};
use crate::usp::record::{Payload, Record};
use crate::usp::{Shown, is_of_an_endpoint, is_of_endpoint};

use super::WAITING;
use super::config::WebSocketConfig;
use super::wire::{
    HANDSHAKE, Heard, MISSED_PINGS, OF_ANOTHER, SUBPROTOCOL, Socket, answer_close, goodbye, heard,
    is_of_another, limits, refuse, say, say_record,
};

/// What a connection is told.
pub enum Command {
    Send(Bytes),
    Adapt(Arc<WebSocketConfig>),
    /// Close it, and come back.
    Restart,
}

impl link::Command for Command {
    type Config = WebSocketConfig;
    const NO_ROOM: &'static str = "too much waits for the controller";

    fn connect(shared: &Arc<Shared>, config: Arc<WebSocketConfig>, agent: &EndpointId) -> Link<Self> {
        Connection::start(shared, config, agent)
    }

    fn send(_: &EndpointId, _: &EndpointId, record: Bytes) -> Self {
        Self::Send(record)
    }

    fn adapt(config: Arc<WebSocketConfig>) -> Self {
        Self::Adapt(config)
    }

    fn restart(_: &EndpointId) -> Self {
        Self::Restart
    }
}

/// The connection of one agent to one controller.
struct Connection {
    shared: Arc<Shared>,
    config: Arc<WebSocketConfig>,
    agent: EndpointId,
    commands: mpsc::Receiver<Command>,
    stop: CancellationToken,
    status: LinkStatus,
    /// What holds for the next connection.
    next: Option<Arc<WebSocketConfig>>,
    /// Records that came while there was no connection.
    waiting: VecDeque<Bytes>,
    /// What has been told asks for another connection.
    again: bool,
}

impl Connection {
    fn start(shared: &Arc<Shared>, config: Arc<WebSocketConfig>, agent: &EndpointId) -> Link<Command> {
        let (link, commands) = Link::new(shared, WAITING);
        let connection = Self {
            shared: Arc::clone(shared),
            config,
            agent: agent.clone(),
            commands,
            stop: link.stop.clone(),
            status: link.status.clone(),
            next: None,
            waiting: VecDeque::new(),
            again: false,
        };
        tokio::spawn(connection.run());
        link
    }

    /// Connects again and again until told to stop.
    async fn run(mut self) {
        let mut backoff = self.backoff();
        let started = Instant::now();
        loop {
            // It ends by itself when it is stopped: a goodbye takes a moment.
            let (was_up, phase, why) = self.live().await;
            if let Some(next) = self.next.take() {
                self.config = next;
                backoff = self.backoff();
            }
            if self.stop.is_cancelled() {
                return;
            }
            let name = self.agent.clone();
            if was_up {
                // R-WS.20.
                backoff.reset();
                self.shared.metrics.mtp_down("websocket", name.as_str(), &why);
            }
            if std::mem::take(&mut self.again) {
                self.note(|state| state.phase = Phase::Connecting);
                continue;
            }
            self.note(|state| {
                state.phase = phase;
                state.retries = state.retries.saturating_add(1);
            });
            let wait = backoff.next(u64::from(started.elapsed().subsec_nanos()));
            if !was_up {
                self.shared.metrics.mtp_failed("websocket", name.as_str(), &why, wait);
            }
            if self.rest(wait).await {
                backoff = self.backoff();
            }
        }
    }

    fn backoff(&self) -> Backoff {
        let (first, most) = self.config.retry_ms;
        Backoff::growing(first, self.config.retry_multiplier, most)
    }

    /// Waits before the next try; whether there is a reason not to wait any longer.
    async fn rest(&mut self, wait: u64) -> bool {
        let sleep = tokio::time::sleep(Duration::from_millis(wait));
        tokio::pin!(sleep);
        loop {
            tokio::select! {
                () = &mut sleep => return false,
                () = self.stop.cancelled() => return true,
                command = self.commands.recv() => match command {
                    // The Connect record of the next connection tells enough.
                    Some(Command::Send(record)) if Record::turn(record.clone()).is_some() => {}
                    Some(Command::Send(record)) if self.waiting.len() < WAITING => {
                        self.waiting.push_back(record);
                    }
                    Some(Command::Send(_)) => {
                        self.shared.metrics.usp_dropped(self.agent.as_str(), <Command as link::Command>::NO_ROOM);
                    }
                    Some(Command::Adapt(config)) => {
                        self.config = config;
                        return true;
                    }
                    // Who is not connected greets anew in any case.
                    Some(Command::Restart) => {}
                    None => self.stop.cancel(),
                },
            }
        }
    }

    fn note(&self, change: impl FnOnce(&mut LinkState)) {
        if self.status.set(change) {
            self.shared.side.changed(&self.agent);
        }
    }

    /// One connection from its opening to its end: whether it was ever up, and why it ended.
    async fn live(&mut self) -> (bool, Phase, String) {
        let config = Arc::clone(&self.config);
        let opening = tokio::time::timeout(HANDSHAKE, open(&config, &self.agent));
        let opened = tokio::select! {
            opened = opening => opened,
            () = self.stop.cancelled() => return (false, Phase::Connecting, "it is stopped".into()),
        };
        let (mut socket, shown) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err((phase, why))) => return (false, phase, why),
            Err(_) => return (false, Phase::Unreachable, "the handshake took too long".into()),
        };
        self.shared.metrics.mtp_up("websocket");
        tracing::info!(agent = %self.agent, controller = %config.controller, "WebSocket connection is up");
        let connect = Record::of(&self.agent, &config.controller, Payload::WebSocketConnect).encode();
        for record in std::iter::once(connect).chain(std::mem::take(&mut self.waiting)) {
            if let Err(why) = say(&mut socket, Message::Binary(record)).await {
                return (true, Phase::Connecting, why);
            }
        }
        self.note(|state| *state = LinkState { phase: Phase::Up, ..LinkState::default() });
        self.shared.side.connected(&self.agent, &config.controller);
        (true, Phase::Connecting, self.carry(&config, &shown, &mut socket).await)
    }

    /// Carries records both ways until the connection ends; says why it did.
    async fn carry(&mut self, config: &WebSocketConfig, shown: &Shown, socket: &mut Socket) -> String {
        let mut ping = tokio::time::interval(config.ping);
        ping.reset();
        let mut silent = 0;
        // Who is told to come back, and has said nothing yet, has come back.
        let mut fresh = true;
        loop {
            let result = tokio::select! {
                message = socket.next() => {
                    silent = 0;
                    match message {
                        Some(Ok(message)) => match self.hear(config, shown, message) {
                            Heard::Fine | Heard::Record(_) => Ok(()),
                            Heard::Over(why) => {
                                answer_close(socket).await;
                                return why;
                            }
                            Heard::Unusable => return refuse(socket).await,
                        },
                        Some(Err(error)) => Err(error.to_string()),
                        None => return "the controller closed the connection".into(),
                    }
                }
                command = self.commands.recv() => match command {
                    Some(Command::Send(record)) => {
                        fresh = false;
                        self.shared.metrics.usp_sent();
                        say_record(&self.agent, &config.controller, record, socket).await
                    }
                    Some(Command::Restart) if fresh => Ok(()),
                    Some(Command::Restart) => {
                        self.again = true;
                        return goodbye(&self.agent, &config.controller, RESTARTS, socket).await;
                    }
                    Some(Command::Adapt(next)) => {
                        let elsewhere = next.url != config.url
                            || next.controller != config.controller
                            || next.must_show != config.must_show;
                        (self.next, self.again) = (Some(next), elsewhere);
                        if elsewhere {
                            return self.goodbye(config, socket).await;
                        }
                        Ok(())
                    }
                    None => return self.goodbye(config, socket).await,
                },
                _ = ping.tick() => {
                    silent += 1;
                    if silent > MISSED_PINGS {
                        return "the controller does not answer".into();
                    }
                    say(socket, Message::Ping(Bytes::new())).await
                }
                () = self.stop.cancelled() => {
                    // What was said before, an answer to the request that stops it above all, goes first.
                    while let Ok(command) = self.commands.try_recv() {
                        if let Command::Send(record) = command {
                            let _ = say(socket, Message::Binary(record)).await;
                        }
                    }
                    return self.goodbye(config, socket).await;
                }
            };
            if let Err(why) = result {
                return why;
            }
        }
    }

    fn hear(&self, config: &WebSocketConfig, shown: &Shown, message: Message) -> Heard {
        let heard = heard(message);
        match heard {
            Heard::Record(record) if is_of_another(&record, &config.controller) => {
                self.shared.metrics.usp_dropped(self.agent.as_str(), OF_ANOTHER);
                Heard::Fine
            }
            Heard::Record(record) => {
                self.shared.metrics.usp_received();
                self.shared.side.record(&self.agent, record, shown.clone());
                Heard::Fine
            }
            Heard::Unusable => {
                self.shared.metrics.usp_dropped(self.agent.as_str(), "not a USP record");
                tracing::warn!(agent = %self.agent, controller = %config.controller, "what came is no USP record");
                Heard::Unusable
            }
            other => other,
        }
    }

    async fn goodbye(&self, config: &WebSocketConfig, socket: &mut Socket) -> String {
        let reason = farewell(self.shared.stop.is_cancelled());
        goodbye(&self.agent, &config.controller, reason, socket).await
    }
}

async fn open(config: &WebSocketConfig, agent: &EndpointId) -> Result<(Socket, Shown), (Phase, String)> {
    let refused = |why: String| (Phase::Refused, why);
    let request = request(&config.url, agent).map_err(refused)?;
    let tls = tls_of(config.tls.as_ref().filter(|_| config.url.tls), Some(agent));
    let stream = Stream::connect(&config.url.host, config.url.port, tls.as_ref(), HANDSHAKE).await;
    let stream = stream.map_err(|error| (Phase::Unreachable, error.to_string()))?;
    let shown = shown(config, &stream).map_err(|why| refused(why.to_owned()))?;
    let connecting = tokio_tungstenite::client_async_with_config(request, stream, Some(limits()));
    let (socket, response) = connecting.await.map_err(|error| refused(error.to_string()))?;
    // R-WS.12: without the subprotocol the other side speaks something else.
    let protocol = response.headers().get("sec-websocket-protocol").map(HeaderValue::as_bytes);
    if protocol != Some(SUBPROTOCOL.as_bytes()) {
        return Err(refused(format!("the controller does not speak {SUBPROTOCOL}")));
    }
    Ok((socket, shown))
}

/// What the controller has proved in the handshake. TLS has seen that its certificate is the host's; where it names
/// the controller as well, those who vouch for it count too (R-SEC.4). It must not name another (R-SEC.0a).
fn shown(config: &WebSocketConfig, stream: &Stream) -> Result<Shown, &'static str> {
    let chain = stream.peer_chain();
    let (Some(own), Some(tls)) = (chain.first(), &config.tls) else { return Ok(Shown::Untold) };
    let is_named = |named: &Vec<Bytes>| named.iter().any(|it| it[..] == own[..]);
    if config.must_show.as_ref().is_some_and(|named| !is_named(named)) {
        return Err("it has shown another certificate than those of its row");
    }
    if is_of_endpoint(own, config.controller.as_str()) {
        return tls.anchors().path(chain).map(Shown::Path).ok_or("nobody vouches for the controller");
    }
    if is_of_an_endpoint(own) {
        return Err("its certificate is that of another endpoint");
    }
    Ok(Shown::Path([Bytes::copy_from_slice(own)].into()))
}

/// The handshake (R-WS.9, 10, 10b, 10c).
fn request(url: &HttpUrl, agent: &EndpointId) -> Result<Request<()>, String> {
    let separator = if url.target.contains('?') { '&' } else { '?' };
    let eid = agent.as_str().replace('%', "%25");
    let scheme = if url.tls { "wss" } else { "ws" };
    let uri = format!("{scheme}://{}{}{separator}eid={eid}", url.authority(), url.target);
    let mut request = uri.into_client_request().map_err(|error| error.to_string())?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_ws_10b_r_ws_10c_the_endpoint_id_stands_in_the_query_with_percent_doubled() {
        let agent = EndpointId::parse("ops::00256D-HG%20100-S1").unwrap();
        for (url, wanted) in [
            ("ws://c.example/usp", "/usp?eid=ops::00256D-HG%2520100-S1"),
            ("ws://c.example/usp?a=b", "/usp?a=b&eid=ops::00256D-HG%2520100-S1"),
        ] {
            let request = request(&HttpUrl::parse_ws(url).unwrap(), &agent).unwrap();
            assert_eq!(request.uri().path_and_query().unwrap().as_str(), wanted);
            assert_eq!(request.headers()["sec-websocket-protocol"], "v1.usp");
        }
    }
}
