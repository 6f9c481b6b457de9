//! The task of one WebSocket connection: connects and comes back, pings, carries records.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig as Limits};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::identity::EndpointId;
use crate::net::{Backoff, HttpUrl, Stream};
use crate::usp::record::{MAX_RECORD, Payload, Record};

use super::agents::{Command, Shared};

type Socket = WebSocketStream<Stream>;

/// Connects again and again until told to stop.
pub(super) async fn run(shared: Arc<Shared>, agent: EndpointId, mut commands: mpsc::Receiver<Command>) {
    let (first, most) = shared.config.retry_ms;
    let mut backoff = Backoff::new(first, most);
    let started = Instant::now();
    let stop = shared.stop.clone();
    loop {
        // It ends by itself when the gateway stops: a goodbye takes a moment.
        let (was_up, why) = live(&shared, &agent, &mut commands).await;
        if stop.is_cancelled() {
            return;
        }
        if was_up {
            // R-WS.20.
            backoff.reset();
            shared.metrics.mtp_down("websocket", agent.as_str(), &why);
        }
        let wait = backoff.next(u64::from(started.elapsed().subsec_nanos()));
        if !was_up {
            shared.metrics.mtp_failed("websocket", agent.as_str(), &why, wait);
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(wait)) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// One connection from its opening to its end: whether it was ever up, and why it ended.
async fn live(shared: &Shared, agent: &EndpointId, commands: &mut mpsc::Receiver<Command>) -> (bool, String) {
    let opening = tokio::time::timeout(HANDSHAKE, open(shared, agent));
    let opened = tokio::select! {
        opened = opening => opened,
        () = shared.stop.cancelled() => return (false, "the gateway stops".into()),
    };
    let mut socket = match opened {
        Ok(Ok(socket)) => socket,
        Ok(Err(why)) => return (false, why),
        Err(_) => return (false, "the handshake took too long".into()),
    };
    shared.metrics.mtp_up("websocket");
    tracing::info!(%agent, controller = %shared.config.controller, "WebSocket connection is up");
    let connect = Record::of(agent, &shared.config.controller, Payload::WebSocketConnect).encode();
    if let Err(why) = say(&mut socket, Message::Binary(connect)).await {
        return (true, why);
    }
    shared.side.connected(agent, &shared.config.controller);
    (true, carry(shared, agent, commands, &mut socket).await)
}

async fn open(shared: &Shared, agent: &EndpointId) -> Result<Socket, String> {
    let config = &shared.config;
    let request = request(&config.url, agent)?;
    let tls = config.tls.as_ref().filter(|_| config.url.tls);
    let stream = Stream::connect(&config.url.host, config.url.port, tls, HANDSHAKE).await;
    let stream = stream.map_err(|error| error.to_string())?;
    let limits = Limits::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_RECORD))
        .max_frame_size(Some(MAX_RECORD));
    let connecting = tokio_tungstenite::client_async_with_config(request, stream, Some(limits));
    let (socket, response) = connecting.await.map_err(|error| error.to_string())?;
    // R-WS.12: without the subprotocol the other side speaks something else.
    let protocol = response.headers().get("sec-websocket-protocol").map(HeaderValue::as_bytes);
    if protocol != Some(SUBPROTOCOL.as_bytes()) {
        return Err(format!("the controller does not speak {SUBPROTOCOL}"));
    }
    Ok(socket)
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

/// Carries records both ways until the connection ends; says why it did.
async fn carry(
    shared: &Shared,
    agent: &EndpointId,
    commands: &mut mpsc::Receiver<Command>,
    socket: &mut Socket,
) -> String {
    let mut ping = tokio::time::interval(shared.config.ping);
    ping.reset();
    let mut silent = 0;
    // Who is told to come back, and has said nothing yet, has come back.
    let mut fresh = true;
    loop {
        let result = tokio::select! {
            message = socket.next() => {
                silent = 0;
                match message {
                    Some(Ok(message)) => match hear(shared, agent, message) {
                        Heard::Fine => Ok(()),
                        Heard::Closed(why) => {
                            // RFC 6455 5.5.1, TP-469 7.4: a Close is answered by a Close.
                            // It waits in the socket; the controller closes the connection then.
                            let _ = tokio::time::timeout(STUCK, socket.flush()).await;
                            return why;
                        }
                        Heard::Unusable => return refuse(socket).await,
                    },
                    Some(Err(error)) => Err(error.to_string()),
                    None => return "the controller closed the connection".into(),
                }
            }
            command = commands.recv() => match command {
                Some(Command::Restart) if fresh => Ok(()),
                Some(Command::Restart) => return goodbye(shared, agent, socket, "the agent restarts").await,
                Some(Command::Send(record)) => {
                    fresh = false;
                    shared.metrics.usp_sent();
                    say(socket, Message::Binary(record)).await
                }
                None => return "nobody needs the connection any more".into(),
            },
            _ = ping.tick() => {
                silent += 1;
                if silent > MISSED_PINGS {
                    return "the controller does not answer".into();
                }
                say(socket, Message::Ping(Bytes::new())).await
            }
            () = shared.stop.cancelled() => return goodbye(shared, agent, socket, "the gateway stops").await,
        };
        if let Err(why) = result {
            return why;
        }
    }
}

/// Sends; a controller that does not read is given up.
async fn say(socket: &mut Socket, message: Message) -> Result<(), String> {
    match tokio::time::timeout(STUCK, socket.send(message)).await {
        Ok(sent) => sent.map_err(|error| error.to_string()),
        Err(_) => Err("the controller does not read".into()),
    }
}

enum Heard {
    Fine,
    Closed(String),
    /// Not a USP record (R-WS.16).
    Unusable,
}

fn hear(shared: &Shared, agent: &EndpointId, message: Message) -> Heard {
    match message {
        Message::Binary(record) => {
            // A record that cannot be read ends the connection here; the agent would only drop it.
            match Record::decode(record.clone()) {
                Ok(_) => {
                    shared.metrics.usp_received();
                    shared.side.record(agent, record);
                    Heard::Fine
                }
                Err(error) => {
                    shared.metrics.usp_dropped(agent.as_str(), "not a USP record");
                    tracing::warn!(%agent, %error, "a WebSocket message is no USP record");
                    Heard::Unusable
                }
            }
        }
        Message::Text(_) => Heard::Unusable,
        Message::Close(frame) => {
            let why = frame.map_or_else(String::new, |frame| frame.reason.as_str().to_owned());
            Heard::Closed(format!("the controller closed the connection {why}"))
        }
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Heard::Fine,
    }
}

/// R-WS.16: Close with status 1003.
async fn refuse(socket: &mut Socket) -> String {
    let frame = CloseFrame { code: CloseCode::Unsupported, reason: "not a USP record".into() };
    let _ = close(socket, Some(frame)).await;
    "the controller sent what is no USP record".into()
}

async fn goodbye(shared: &Shared, agent: &EndpointId, socket: &mut Socket, why: &str) -> String {
    let payload = Payload::Disconnect { reason: why.into(), reason_code: 0 };
    let record = Record::of(agent, &shared.config.controller, payload).encode();
    let _ = say(socket, Message::Binary(record)).await;
    let _ = close(socket, None).await;
    why.to_owned()
}

/// Closes as RFC 6455 7 says: sends Close and waits a while for the peer's.
async fn close(socket: &mut Socket, frame: Option<CloseFrame>) -> Result<(), Error> {
    socket.close(frame).await?;
    let _ = tokio::time::timeout(Duration::from_secs(1), async {
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
    Ok(())
}

const SUBPROTOCOL: &str = "v1.usp";
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The default of the library costs 128 KiB for each connection.
const READ_BUFFER: usize = 4 << 10;
/// How long the controller may not read.
const STUCK: Duration = Duration::from_secs(30);
/// Pings without any sign of life in between.
const MISSED_PINGS: u32 = 2;

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
