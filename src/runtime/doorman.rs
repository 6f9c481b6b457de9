//! Receives the POSTs of CPEs from the CWMP door, tells to which session and device each belongs, and
//! awaits the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use dashmap::DashMap;
use tokio::sync::oneshot;

use crate::cwmp::soap::sniff_device_id;
use crate::identity::{DeviceId, EndpointId};
use crate::proxy::{ExchangeId, Input, Post, Reply, SessionId};
use crate::southbound::{ConnectionId, CpeHandler, CpeReply, CpeRequest};
use crate::store::Store;

use super::clock::session_name;
use super::fleet::Fleet;
use super::mailbox::Letter;

/// The handler behind the CWMP door.
pub struct Doorman<S> {
    fleet: Fleet<S>,
    /// Sessions by our cookie.
    cookies: DashMap<String, Route>,
    /// The cookie of the newest session on a connection, for CPEs that return no cookies (quirk C02).
    connections: DashMap<ConnectionId, String>,
    next: AtomicU64,
}

#[derive(Debug, Clone)]
struct Route {
    session: SessionId,
    endpoint: EndpointId,
    connection: ConnectionId,
}

impl<S: Store> Doorman<S> {
    pub fn new(fleet: Fleet<S>) -> Arc<Self> {
        Arc::new(Self { fleet, cookies: DashMap::new(), connections: DashMap::new(), next: AtomicU64::new(1) })
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// An Inform opens a session, whatever cookie came with it (quirk C04), unless it repeats the one that
    /// opened the session on this connection: the answer to an ACS's challenge.
    fn open(&self, request: &CpeRequest, device: &DeviceId) -> (String, Route) {
        let endpoint = device.endpoint_id();
        if let Some((cookie, route)) = self.find(request)
            && route.endpoint == endpoint
            && request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
        {
            return (cookie, route);
        }
        let route = Route { session: SessionId(self.number()), endpoint, connection: request.connection };
        let cookie = session_name();
        self.cookies.insert(cookie.clone(), route.clone());
        if let Some(old) = self.connections.insert(request.connection, cookie.clone()) {
            self.cookies.remove(&old);
        }
        (cookie, route)
    }

    fn find(&self, request: &CpeRequest) -> Option<(String, Route)> {
        let by_cookie = request.cookie.as_ref().filter(|cookie| self.cookies.contains_key(*cookie)).cloned();
        let cookie = by_cookie.or_else(|| Some(self.connections.get(&request.connection)?.clone()))?;
        let mut route = self.cookies.get_mut(&cookie)?;
        // A session that goes on over another connection hangs on that one from now on.
        if route.connection != request.connection {
            route.connection = request.connection;
            self.connections.insert(request.connection, cookie.clone());
        }
        let found = route.clone();
        drop(route);
        Some((cookie, found))
    }
}

impl<S: Store> CpeHandler for Doorman<S> {
    async fn request(&self, request: CpeRequest) -> CpeReply {
        let device = sniff_device_id(&request.body);
        if device.as_ref().is_some_and(|device| !device.is_usable()) {
            return refusal(400, "the Inform lacks OUI or SerialNumber");
        }
        let found = match &device {
            Some(device) => Some(self.open(&request, device)),
            None => self.find(&request),
        };
        let Some((cookie, route)) = found else {
            // No session: an Inform must come first. A stray empty POST after the end gets its 204 (S11).
            let blank = request.body.iter().all(u8::is_ascii_whitespace);
            return refusal(if blank { 204 } else { 400 }, "no session: an Inform comes first");
        };
        let exchange = ExchangeId(self.number());
        let post = Post {
            session: route.session,
            exchange,
            target: request.target,
            headers: request.headers,
            body: request.body,
            original_body: request.original_body,
        };
        let (reply, answer) = oneshot::channel();
        let letter = Letter::Post { post, reply };
        if let Err(reason) = self.fleet.deliver(&route.endpoint, device.as_ref(), letter) {
            tracing::warn!(endpoint = %route.endpoint, %reason, "a POST was refused");
            return refusal(503, "busy");
        }
        match answer.await {
            Ok(reply) => to_cpe(reply, device.is_some().then_some(cookie)),
            Err(_) => refusal(503, "the session has ended"),
        }
    }

    fn gone(&self, connection: ConnectionId) {
        let Some((_, cookie)) = self.connections.remove(&connection) else { return };
        let Some(route) = self.cookies.get(&cookie).map(|route| route.clone()) else { return };
        if route.connection == connection {
            let letter = Letter::Input(Input::CpeGone { session: route.session });
            let _ = self.fleet.deliver(&route.endpoint, None, letter);
        }
    }
}

fn to_cpe(reply: Reply, cookie: Option<String>) -> CpeReply {
    CpeReply { status: reply.status, headers: reply.headers, body: reply.body, close: reply.close, cookie }
}

fn refusal(status: u16, why: &'static str) -> CpeReply {
    let (headers, body) = if status == 204 {
        (Vec::new(), Bytes::new())
    } else {
        (vec![("Content-Type".into(), "text/plain".into())], Bytes::from_static(why.as_bytes()))
    };
    CpeReply { status, headers, body, close: status != 204, cookie: None }
}
