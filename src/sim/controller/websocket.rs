//! The controller's WebSocket server (TR-369 4.3): a connection for each agent.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use percent_encoding::percent_decode_str;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig as Limits};

use crate::identity::EndpointId;
use crate::net::{Incoming, Opening, Stream, TlsServer};
use crate::usp::record::MAX_RECORD;

use super::frames::{Frame, Sign};
use super::hub::{Envelope, Hub, Received, Way};

type Socket = WebSocketStream<Stream>;

/// Listens and returns the address really bound.
pub(super) async fn start(
    hub: Arc<Hub>,
    listen: SocketAddr,
    path: String,
    tls: Option<TlsServer>,
) -> io::Result<SocketAddr> {
    let (address, incoming) = crate::net::listen(listen, Opening { tls, ..Opening::default() }).await?;
    tokio::spawn(accept(hub, path.into(), incoming));
    Ok(address)
}

async fn accept(hub: Arc<Hub>, path: Arc<str>, mut incoming: mpsc::Receiver<Incoming>) {
    let (alive, mut tasks) = mpsc::channel::<()>(1);
    let mut number = 0;
    loop {
        let accepted = tokio::select! {
            accepted = incoming.recv() => accepted,
            () = hub.stop.cancelled() => None,
        };
        let Some(Incoming { peer, stream, place, .. }) = accepted else { break };
        number += 1;
        let (hub, path, alive) = (Arc::clone(&hub), Arc::clone(&path), alive.clone());
        tokio::spawn(async move {
            let why = serve(&hub, &path, stream, number).await;
            tracing::debug!(%peer, why, "a WebSocket connection is over");
            drop((alive, place));
        });
    }
    drop(alive);
    // All connections are closed when nobody holds the other end any more.
    let _ = tasks.recv().await;
    hub.ended();
}

/// Serves one connection to its end and says why it ended.
async fn serve(hub: &Hub, path: &str, stream: Stream, number: u64) -> String {
    let opening = tokio::time::timeout(HANDSHAKE, open(hub, path, stream));
    let opened = tokio::select! {
        opened = opening => opened,
        () = hub.stop.cancelled() => return "the controller stops".into(),
    };
    let (socket, agent) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(why)) => return why,
        Err(_) => return "the handshake took too long".into(),
    };
    let (sender, records) = mpsc::channel(WAITING);
    let way = Way::Connection(number, sender);
    if let Some(agent) = &agent {
        hub.arrived(agent, way.clone());
        hub.sign(agent, Sign::Opened);
    }
    let mut known = agent;
    let why = carry(hub, socket, records, way, &mut known).await;
    if let Some(agent) = known {
        hub.left(&agent, number);
    }
    why
}

/// The handshake; the endpoint id in the query is the agent's (R-WS.10b).
async fn open(hub: &Hub, path: &str, stream: Stream) -> Result<(Socket, Option<EndpointId>), String> {
    let limits = Limits::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_RECORD))
        .max_frame_size(Some(MAX_RECORD));
    let mut agent = None;
    #[expect(clippy::result_large_err, reason = "the library wants this type")]
    let check = |request: &Request, mut response: Response| {
        if request.uri().path() != path {
            return Err(refusal(StatusCode::NOT_FOUND));
        }
        let offered = request.headers().get_all(PROTOCOL).iter().filter_map(|value| value.to_str().ok());
        if !offered.flat_map(|value| value.split(',')).any(|offer| offer.trim() == SUBPROTOCOL) {
            return Err(refusal(StatusCode::BAD_REQUEST));
        }
        // R-WS.12.
        response.headers_mut().insert(PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        agent = request.uri().query().and_then(agent_of);
        if let Some(agent) = agent.as_ref().filter(|agent| hub.is_turned_away(agent)) {
            hub.sign(agent, Sign::TurnedAway);
            return Err(refusal(StatusCode::SERVICE_UNAVAILABLE));
        }
        Ok(response)
    };
    let accepting = tokio_tungstenite::accept_hdr_async_with_config(stream, check, Some(limits));
    let socket = accepting.await.map_err(|error| error.to_string())?;
    Ok((socket, agent))
}

fn refusal(status: StatusCode) -> ErrorResponse {
    let mut response = ErrorResponse::new(None);
    *response.status_mut() = status;
    response
}

fn agent_of(query: &str) -> Option<EndpointId> {
    let (_, eid) =
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == "eid")?;
    EndpointId::parse(&percent_decode_str(eid).decode_utf8().ok()?).ok()
}

/// Carries records both ways. An agent that the handshake did not name is known from its first record on.
async fn carry(
    hub: &Hub,
    mut socket: Socket,
    mut records: mpsc::Receiver<Frame>,
    way: Way,
    known: &mut Option<EndpointId>,
) -> String {
    loop {
        let answers = tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Binary(record))) => {
                    hub.show(&record, || Envelope::WebSocket);
                    match hub.receive(record, Some(way.clone())) {
                        Ok(Some(Received { agent, answers })) => {
                            known.get_or_insert(agent);
                            answers.into_iter().map(Frame::Record).collect()
                        }
                        Ok(None) => Vec::new(),
                        Err(_) => return close(socket, CloseCode::Unsupported, "not a USP record").await,
                    }
                }
                // R-WS.16.
                Some(Ok(Message::Text(_))) => {
                    return close(socket, CloseCode::Unsupported, "not a USP record").await;
                }
                Some(Ok(Message::Close(frame))) => {
                    if let Some(agent) = &known {
                        hub.sign(agent, Sign::Closed(frame.map(|frame| frame.code.into())));
                    }
                    // The answer to it waits in the socket.
                    let _ = tokio::time::timeout(CLOSING, socket.flush()).await;
                    return "the agent closed the connection".into();
                }
                None => return "the agent closed the connection".into(),
                Some(Ok(Message::Pong(_))) => {
                    if let Some(agent) = &known {
                        hub.sign(agent, Sign::Pong);
                    }
                    Vec::new()
                }
                Some(Ok(_)) => Vec::new(),
                Some(Err(error)) => return error.to_string(),
            },
            // This task holds a sender itself, so that the channel never closes.
            record = records.recv() => record.into_iter().collect(),
            () = hub.stop.cancelled() => {
                return close(socket, CloseCode::Away, "the controller stops").await;
            }
        };
        for frame in answers {
            if let Err(why) = say(&mut socket, frame).await {
                return why;
            }
        }
    }
}

async fn say(socket: &mut Socket, frame: Frame) -> Result<(), String> {
    for message in frame.messages() {
        match tokio::time::timeout(STUCK, socket.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err("the agent does not read".into()),
        }
    }
    Ok(())
}

/// Closes as RFC 6455 7 says: sends Close and waits a while for the peer's.
async fn close(mut socket: Socket, code: CloseCode, reason: &'static str) -> String {
    let closing = async {
        if socket.close(Some(CloseFrame { code, reason: reason.into() })).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    let _ = tokio::time::timeout(CLOSING, closing).await;
    reason.into()
}

const PROTOCOL: &str = "sec-websocket-protocol";
const SUBPROTOCOL: &str = "v1.usp";
const HANDSHAKE: Duration = Duration::from_secs(10);
const CLOSING: Duration = Duration::from_secs(1);
/// How long an agent may not read.
const STUCK: Duration = Duration::from_secs(30);
/// Records that may wait for one agent.
const WAITING: usize = 128;
/// The default of the library costs 128 KiB for each connection.
const READ_BUFFER: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_ws_10b_the_endpoint_id_is_read_from_the_query_with_its_own_percent_signs() {
        let agent = agent_of("a=b&eid=ops::00256D-HG%2520100-S1").unwrap();
        assert_eq!(agent.as_str(), "ops::00256D-HG%20100-S1");
        assert_eq!(agent_of("a=b"), None);
    }
}
