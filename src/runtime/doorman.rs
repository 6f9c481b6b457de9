//! Receives the POSTs of CPEs from the CWMP door, tells to which session and device each belongs, and
//! awaits the answer.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::cwmp::soap::sniff_device_id;
use crate::identity::{DeviceId, EndpointId};
use crate::observe::Recorder;
use crate::policy::Caller;
use crate::proxy::{AcsId, ExchangeId, Input, Post, Reply, SessionId};
use crate::southbound::{ConnectionId, CpeHandler, CpeReply, CpeRequest};
use crate::store::Store;
use crate::transport::http::Headers;

use super::fleet::{Fleet, Undeliverable};
use super::mailbox::Letter;
use super::routes::{Route, Routes};

/// The handler behind the CWMP door.
pub struct Doorman<S> {
    fleet: Fleet<S>,
    routes: Arc<Routes>,
}

impl<S: Store> Doorman<S> {
    pub fn new(fleet: Fleet<S>) -> Arc<Self> {
        let routes = Arc::clone(&fleet.shared.config.routes);
        Arc::new(Self { fleet, routes })
    }

    /// An Inform opens a session, whatever cookie came with it (quirk C04), unless it repeats the one that
    /// opened the session: the answer to an ACS's challenge, or to its "retry request".
    ///
    /// `None`: it is for no ACS that there is.
    fn open(&self, request: &CpeRequest, device: &DeviceId) -> Option<(String, Route)> {
        let endpoint = device.endpoint_id();
        match self.routes.find(request.cookie.as_deref(), request.connection) {
            Some((cookie, route)) if route.endpoint == endpoint && route.again => {
                self.routes.expect_inform(route.session, false);
                Some((cookie, route))
            }
            _ => Some(self.routes.open(endpoint, self.acs_of(request, device)?, request.connection)),
        }
    }

    /// The session of the device that hangs on this connection.
    fn on_connection(&self, device: &DeviceId, connection: ConnectionId) -> Option<SessionId> {
        let endpoint = device.endpoint_id();
        self.routes.on(connection, |route| (route.endpoint == endpoint).then_some(route.session)).flatten()
    }

    fn acs_of(&self, request: &CpeRequest, device: &DeviceId) -> Option<AcsId> {
        let config = &self.fleet.shared.config;
        if config.acs.is_empty() {
            return Some(AcsId::default());
        }
        let host = request.client.called().map(|called| called.host);
        let chosen = config.acs.choose(&Caller {
            target: &request.target,
            host,
            reached: request.client.reached,
            device,
        });
        if chosen.is_none() {
            config.metrics.cwmp_for_no_acs(
                &request.client,
                device.endpoint_id().as_str(),
                &request.target,
                host,
            );
        }
        chosen
    }
}

impl<S: Store> CpeHandler for Doorman<S> {
    async fn request(&self, request: CpeRequest) -> CpeReply {
        let Some(beside) = self.fleet.shared.beside() else { return known(self.answer(request).await) };
        let is_there = match &request.device {
            Some(device) if beside.leaving => !self.fleet.is_active(&device.endpoint_id()),
            Some(device) => beside.holds(&device.endpoint_id()),
            None => beside.goes_on_there(&request),
        };
        // The owner may have changed on the way.
        let mut asked = None;
        if is_there {
            asked = beside.ask(&request).await;
        }
        if let Some(reply) = asked {
            return reply;
        }
        if request.device.is_some() {
            beside.begins_here(request.connection);
        }
        match self.answer(request.clone()).await {
            Ok(reply) => reply,
            Err(Unanswered) if request.device.is_some() && beside.leaving => {
                beside.ask(&request).await.unwrap_or_else(|| known(Err(Unanswered)))
            }
            unanswered => known(unanswered),
        }
    }

    fn knows(&self, cookie: &str) -> bool {
        self.routes.knows(cookie)
            || self.fleet.shared.beside().is_some_and(|beside| beside.knows(Some(cookie)))
    }

    fn informs(&self, body: &Bytes) -> Option<DeviceId> {
        sniff_device_id(body)
    }

    fn whose(&self, cookie: Option<&str>, connection: ConnectionId) -> Option<EndpointId> {
        self.routes.whose(cookie, connection)
    }

    fn recorder(&self) -> &Recorder {
        &self.fleet.shared.config.recorder
    }

    fn half_closed(&self, connection: ConnectionId) {
        if let Some(beside) = self.fleet.shared.beside() {
            beside.half_closed(connection);
        }
        self.tell(connection, |route| Input::CpeHalfClosed { session: route.session });
    }

    fn gone(&self, connection: ConnectionId) {
        if let Some(beside) = self.fleet.shared.beside() {
            beside.gone(connection);
        }
        self.tell(connection, |route| Input::CpeGone { session: route.session, roams: route.roams });
        self.routes.forget_connection(connection);
    }
}

impl<S: Store> Doorman<S> {
    pub(super) fn fleet(&self) -> &Fleet<S> {
        &self.fleet
    }

    /// The answer to a POST that came to the other process; `None`: the device is not ours.
    pub(super) async fn answer_for_other(&self, request: CpeRequest) -> Option<CpeReply> {
        self.answer(request).await.ok()
    }

    async fn answer(&self, request: CpeRequest) -> Result<CpeReply, Unanswered> {
        let device = request.device.clone();
        if device.as_ref().is_some_and(|device| !device.is_usable()) {
            return Ok(refusal(400, "the Inform lacks OUI or SerialNumber"));
        }
        if device.is_some() && self.routes.is_draining() {
            return Ok(refusal(503, "the gateway stops; try again later"));
        }
        let cuts = device.as_ref().and_then(|device| self.on_connection(device, request.connection));
        let found = match &device {
            Some(device) => match self.open(&request, device) {
                Some(opened) => Some(opened),
                None => return Ok(refusal(404, "there is no ACS for this device here")),
            },
            None => self.routes.find(request.cookie.as_deref(), request.connection),
        };
        let Some((cookie, route)) = found else {
            // No session: an Inform must come first. A stray empty POST after the end gets its 204 (S11).
            let blank = request.body.iter().all(u8::is_ascii_whitespace);
            return Ok(refusal(if blank { 204 } else { 400 }, "no session: an Inform comes first"));
        };
        let exchange = ExchangeId(self.routes.number());
        let mut headers = request.headers;
        if let Some(acs) = self.fleet.shared.config.acs.get(route.acs) {
            headers.extend(acs.about(&request.client));
            if let Some(called) = request.client.called().filter(|_| acs.keep_host) {
                headers.push("Host", called.authority.to_owned());
            }
        }
        let post = Post {
            session: route.session,
            acs: route.acs,
            exchange,
            client: request.client,
            authenticated: request.authenticated,
            target: request.target,
            headers,
            body: request.body,
            original_body: request.original_body,
        };
        let (reply, answer) = oneshot::channel();
        let letter = Letter::Post { post, reply, cuts: cuts.filter(|cut| *cut != route.session) };
        match self.fleet.deliver(&route.endpoint, device.as_ref(), letter) {
            Ok(()) => {}
            Err(Undeliverable::Elsewhere) => {
                self.routes.close(route.session);
                return Err(Unanswered);
            }
            Err(reason) => {
                tracing::warn!(endpoint = %route.endpoint, %reason, "a POST was refused");
                return Ok(refusal(503, "busy"));
            }
        }
        let reply = answer.await.map_err(|_| Unanswered)?;
        Ok(to_cpe(reply, device.is_some().then_some(cookie)))
    }

    fn tell(&self, connection: ConnectionId, input: impl FnOnce(&Route) -> Input) {
        self.routes.on(connection, |route| {
            if let Err(reason) = self.fleet.deliver(&route.endpoint, None, Letter::Input(input(route))) {
                tracing::debug!(endpoint = %route.endpoint, %reason, "a device was not told of its connection");
            }
        });
    }
}

/// The device's task had no answer: the session has ended, or another process has the device.
struct Unanswered;

fn known(answer: Result<CpeReply, Unanswered>) -> CpeReply {
    answer.unwrap_or_else(|Unanswered| refusal(503, "the session has ended"))
}

fn to_cpe(reply: Reply, cookie: Option<String>) -> CpeReply {
    CpeReply { status: reply.status, headers: reply.headers, body: reply.body, close: reply.close, cookie }
}

fn refusal(status: u16, why: &'static str) -> CpeReply {
    let text = vec![("Content-Type".to_owned(), "text/plain".to_owned())];
    let (headers, body) = if status == 204 {
        (Headers::default(), Bytes::new())
    } else {
        (text.into(), Bytes::from_static(why.as_bytes()))
    };
    CpeReply { status, headers, body, close: status != 204, cookie: None }
}
