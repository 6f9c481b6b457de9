//! The WebSocket server of an agent, to which a controller connects: TP-469 7.2.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use crate::conformance::check::{Stop, Verdict};
use crate::conformance::expect::fail;
use crate::conformance::session::Session;
use crate::net::Stream;
use crate::sim::controller::requests;
use crate::usp::message::{Message, MessageBody, Response};
use crate::usp::record::{Payload, Record};

type Socket = WebSocketStream<Stream>;

/// Where controllers come to the agent, as it says itself.
struct Server {
    host: String,
    port: u16,
    path: String,
    tls: bool,
}

/// 7.2.
pub(super) async fn one_session(session: &mut Session) -> Verdict {
    let server = server(session).await?;
    let mut first = match open(session, &server).await? {
        Ok(socket) => socket,
        Err(why) => return fail(format!("no WebSocket connection is accepted: {why}")),
    };
    if !answers(session, &mut first, "first").await? {
        return fail("the agent does not answer on the first connection");
    }
    let mut second = match open(session, &server).await? {
        Ok(socket) => socket,
        Err(why) => {
            session.exchange.note(format!("the second connection is rejected: {why}"));
            close(first).await;
            return Ok(());
        }
    };
    let answered = answers(session, &mut second, "second").await?;
    let is_one = !answered || ends(&mut first, session.patience()).await;
    close(first).await;
    close(second).await;
    if is_one { Ok(()) } else { fail("both connections live on") }
}

/// The row of the agent's server, on the host at which this run can reach it.
async fn server(session: &mut Session) -> Result<Server, Stop> {
    let Some(host) = session.setup.config.agent_host.clone() else {
        let why = "it takes --agent-host, where the agent's own WebSocket server is";
        return Err(Stop::NotApplicable(why.to_owned()));
    };
    let values = session.read("Device.LocalAgent.MTP.").await?;
    let rows = values.iter().filter(|(path, value)| path.ends_with(".Protocol") && *value == "WebSocket");
    let rows = rows.map(|(path, _)| path.trim_end_matches("Protocol"));
    let value = |path: String| values.get(&path).map(String::as_str);
    let enabled = |row: &&str| matches!(value(format!("{row}Enable")), Some("true" | "1"));
    let Some(row) = rows.into_iter().find(enabled) else {
        return Err(Stop::NotApplicable("the agent has no WebSocket server that is enabled".to_owned()));
    };
    let of = |name: &str| value(format!("{row}WebSocket.{name}")).unwrap_or_default();
    let path = of("Path");
    Ok(Server {
        host,
        port: of("Port").parse().or_else(|_| fail(format!("{row}WebSocket.Port is no port")))?,
        path: if path.starts_with('/') { path.to_owned() } else { format!("/{path}") },
        tls: matches!(of("EnableEncryption"), "true" | "1"),
    })
}

/// A connection to the agent; the inner error says why it rejects it.
async fn open(session: &mut Session, server: &Server) -> Result<Result<Socket, String>, Stop> {
    let config = &session.setup.config;
    let tls = config.agent_tls.as_ref().filter(|_| server.tls);
    if server.tls && tls.is_none() {
        return Err(Stop::NotApplicable("it takes --ca, whom to trust at the agent's server".to_owned()));
    }
    let scheme = if server.tls { "wss" } else { "ws" };
    let Server { host, port, path, .. } = server;
    // R-WS.10c.
    let eid = config.endpoint_id.as_str().replace('%', "%25");
    let url = format!("{scheme}://{host}:{port}{path}?eid={eid}");
    let patience = session.patience();
    session.exchange.note(format!("controller: opens {url}"));
    let stream = match Stream::connect(host, *port, tls, patience).await {
        Ok(stream) => stream,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let mut request = url.into_client_request().or_else(|error| fail(error.to_string()))?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("v1.usp"));
    let opening = tokio::time::timeout(patience, tokio_tungstenite::client_async(request, stream));
    Ok(match opening.await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the handshake took too long".to_owned()),
    })
}

/// Whether a Get is answered on a connection, or this is closed in its place.
async fn answers(session: &mut Session, socket: &mut Socket, which: &str) -> Result<bool, Stop> {
    let id = session.name(which);
    let request = requests::get(&["Device.DeviceInfo."], 1);
    session.exchange.sent(&request);
    let message = Message::request(&id, request).encode();
    let record = Record::plain(&session.setup.config.endpoint_id, session.agent(), message).encode();
    if socket.send(Frame::Binary(record)).await.is_err() {
        return Ok(false);
    }
    let end = Instant::now() + session.patience();
    loop {
        match tokio::time::timeout_at(end, socket.next()).await {
            Ok(Some(Ok(Frame::Binary(bytes)))) => {
                let record = Record::decode(bytes).ok();
                let Some(Payload::NoSession(message)) = record.map(|record| record.payload) else { continue };
                let Ok(message) = Message::decode(message) else { continue };
                session.exchange.received(&message);
                if message.msg_id == id {
                    let is_get = matches!(message.body, MessageBody::Response(Response::GetResp(_)));
                    return if is_get { Ok(true) } else { fail("the answer is no GetResp") };
                }
            }
            Ok(Some(Ok(Frame::Close(_)) | Err(_)) | None) => {
                session.exchange.note(format!("the agent closes the {which} connection"));
                return Ok(false);
            }
            Ok(Some(Ok(_))) => {}
            Err(_) => return fail(format!("no answer came on the {which} connection")),
        }
    }
}

/// Whether the agent closes a connection in this time.
async fn ends(socket: &mut Socket, within: Duration) -> bool {
    let ending = async { while !matches!(socket.next().await, None | Some(Err(_) | Ok(Frame::Close(_)))) {} };
    tokio::time::timeout(within, ending).await.is_ok()
}

/// Closes and awaits the agent's Close, so that it goes back to its other ways before another check begins.
async fn close(mut socket: Socket) {
    let _ = tokio::time::timeout(CLOSING, socket.close(None)).await;
    let _ = ends(&mut socket, CLOSING).await;
}

const CLOSING: Duration = Duration::from_secs(5);
