//! Tells of what passes at the door those who have asked to be told: each POST as it came, with the answer, those too
//! that the door itself refuses.

use bytes::Bytes;
use hyper::{Request, Response};

use crate::capture::{Http, LegName, Way};
use crate::identity::DeviceId;
use crate::net::{as_written, received};
use crate::observe::{Recorder, Tap};
use crate::transport::http::Headers;
use crate::transport::http::decode_body;

use super::contract::{ConnectionId, CpeHandler};
use super::headers::{content_coding, cookie};
use super::server::COOKIE;

/// A request, while anything is captured at all.
pub(super) struct Seen {
    recorder: Recorder,
    target: String,
    headers: Headers,
    coding: Option<String>,
    cookie: Option<String>,
    /// As it came, once it has.
    pub body: Bytes,
}

/// A request that was told of.
pub(super) struct Noted {
    tap: Tap,
    connection: u64,
}

impl Seen {
    pub fn of<B>(recorder: &Recorder, request: &Request<B>) -> Option<Self> {
        if !recorder.is_on() {
            return None;
        }
        let headers = request.headers();
        Some(Self {
            recorder: recorder.clone(),
            target: request.uri().path_and_query().map_or("/", |it| it.as_str()).to_owned(),
            headers: received(headers, request.extensions().clone()),
            coding: content_coding(headers),
            cookie: cookie(headers, COOKIE),
            body: Bytes::new(),
        })
    }

    /// Tells of it, if its device is wanted. Whose it is must be asked before it is handled, which may end the session.
    pub fn note<H: CpeHandler>(self, handler: &H, connection: ConnectionId, most: usize) -> Option<Noted> {
        let informs = match decode_body(self.coding.as_deref(), &self.body, most) {
            Ok(decoded) => handler.informs(decoded.as_ref().unwrap_or(&self.body)),
            Err(_) => None,
        };
        let informs = informs.filter(DeviceId::is_usable);
        let device = match &informs {
            Some(device) => device.endpoint_id(),
            None => handler.whose(self.cookie.as_deref(), connection)?,
        };
        let tap = self.recorder.tap(&device)?;
        let connection = connection.0;
        let head = as_written(self.headers);
        let http = Http { leg: LegName::Cpe, connection, head, body: self.body, decoded: None };
        tap.note(Way::Request { http, target: self.target, informs });
        Some(Noted { tap, connection })
    }
}

impl Noted {
    pub fn answered<B>(self, response: &Response<B>, body: Bytes) {
        let head = as_written(received(response.headers(), response.extensions().clone()));
        let http = Http { leg: LegName::Cpe, connection: self.connection, head, body, decoded: None };
        self.tap.note(Way::Answer { http, status: response.status().as_u16() });
    }
}
