//! What both sides of a WebSocket have in common: limits, frames, closing.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig as Limits};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::identity::EndpointId;
use crate::net::Stream;
use crate::usp::record::{MAX_RECORD, Payload, Record, Turn};

pub(super) type Socket = WebSocketStream<Stream>;

/// What a message was.
pub(super) enum Heard {
    Fine,
    /// A USP record.
    Record(Bytes),
    Over(String),
    /// Not a USP record (R-WS.16).
    Unusable,
}

pub(super) fn limits() -> Limits {
    Limits::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_RECORD))
        .max_frame_size(Some(MAX_RECORD))
}

pub(super) fn heard(message: Message) -> Heard {
    match message {
        // A record that cannot be read ends the connection here; the agent would only drop it.
        Message::Binary(record) if Record::decode(record.clone()).is_ok() => Heard::Record(record),
        Message::Binary(_) | Message::Text(_) => Heard::Unusable,
        Message::Close(frame) => {
            let why = frame.map_or_else(String::new, |frame| frame.reason.as_str().to_owned());
            Heard::Over(format!("the controller closed the connection {why}"))
        }
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Heard::Fine,
    }
}

/// Sends; a controller that does not read is given up.
pub(super) async fn say(socket: &mut Socket, message: Message) -> Result<(), String> {
    match tokio::time::timeout(STUCK, socket.send(message)).await {
        Ok(sent) => sent.map_err(|error| error.to_string()),
        Err(_) => Err("the controller does not read".into()),
    }
}

/// R-WS.16: Close with status 1003.
pub(super) async fn refuse(socket: &mut Socket) -> String {
    let frame = CloseFrame { code: CloseCode::Unsupported, reason: "not a USP record".into() };
    let _ = close(socket, Some(frame)).await;
    "the controller sent what is no USP record".into()
}

/// Whether a record that can be read is another's than this endpoint's, who alone speaks on the connection.
pub(super) fn is_of_another(record: &Bytes, controller: &EndpointId) -> bool {
    Record::decode(record.clone()).is_ok_and(|record| record.from_id != controller.as_str())
}

pub(super) const OF_ANOTHER: &str = "a record of another than the session's";

/// Sends a record; after a Disconnect record of the agent's a Connect record (R-MTP.8).
pub(super) async fn say_record(
    agent: &EndpointId,
    controller: &EndpointId,
    record: Bytes,
    socket: &mut Socket,
) -> Result<(), String> {
    let begins_anew = Record::turn(record.clone()) == Some(Turn::Disconnect);
    say(socket, Message::Binary(record)).await?;
    if begins_anew {
        let connect = Record::of(agent, controller, Payload::WebSocketConnect).encode();
        say(socket, Message::Binary(connect)).await?;
    }
    Ok(())
}

pub(super) async fn goodbye(
    agent: &EndpointId,
    controller: &EndpointId,
    reason: &str,
    socket: &mut Socket,
) -> String {
    let payload = Payload::Disconnect { reason: reason.into(), reason_code: 0 };
    let record = Record::of(agent, controller, payload).encode();
    let _ = say(socket, Message::Binary(record)).await;
    let _ = close(socket, None).await;
    reason.into()
}

/// RFC 6455 5.5.1, TP-469 7.4: a Close is answered by a Close. It waits in the socket; the controller closes the
/// connection then.
pub(super) async fn answer_close(socket: &mut Socket) {
    let _ = tokio::time::timeout(STUCK, socket.flush()).await;
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

pub(super) const SUBPROTOCOL: &str = "v1.usp";
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);
/// The default of the library costs 128 KiB for each connection.
const READ_BUFFER: usize = 4 << 10;
/// How long the controller may not read.
const STUCK: Duration = Duration::from_secs(30);
/// Pings without any sign of life in between.
pub(super) const MISSED_PINGS: u32 = 2;
