//! Another process that has part of the fleet for a while: the one that takes this one's place, or the one whose place
//! this one takes. Who owns a device is the handover's to say (`handover`); what comes to the wrong one is passed on.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use dashmap::{DashMap, DashSet};
use tokio_util::sync::CancellationToken;

use crate::durable::Kind;
use crate::handover::{Blob, Certificate, Client, Link, Message, Post, Reply};
use crate::identity::EndpointId;
use crate::mtp::AgentSide;
use crate::proxy::Input;
use crate::southbound::{ConnectionId, CpeHandler, CpeReply, CpeRequest};
use crate::store::Store;
use crate::transport::client;
use crate::transport::http::Headers;
use crate::usp::Shown;

use super::doorman::Doorman;
use super::fleet::{Fleet, Shared};
use super::mailbox::Letter;

/// What is known of it.
pub(super) struct Beside {
    link: Arc<Link>,
    /// This process leaves: it owns what it has tasks for, and the other one all the rest.
    pub leaving: bool,
    /// Devices that the other one still owns, if it is the one that leaves; cancelled when they are released.
    held: DashMap<EndpointId, CancellationToken>,
    /// Its sessions that are known here.
    cookies: DashSet<String>,
    /// Connections here over which CPEs speak with it.
    connections: DashSet<ConnectionId>,
}

impl Beside {
    fn new(link: Arc<Link>, leaving: bool) -> Self {
        let (held, cookies, connections) = (DashMap::new(), DashSet::new(), DashSet::new());
        Self { link, leaving, held, cookies, connections }
    }

    pub fn holds(&self, endpoint: &EndpointId) -> bool {
        self.held.contains_key(endpoint)
    }

    /// Ends when the other process has released the device.
    pub fn release_of(&self, endpoint: &EndpointId) -> Option<CancellationToken> {
        self.held.get(endpoint).map(|token| token.clone())
    }

    /// Whether a POST that is no Inform goes on with a session of the other process.
    pub fn goes_on_there(&self, request: &CpeRequest) -> bool {
        self.knows(request.cookie.as_deref()) || self.connections.contains(&request.connection)
    }

    pub fn knows(&self, cookie: Option<&str>) -> bool {
        cookie.is_some_and(|cookie| self.cookies.contains(cookie))
    }

    /// A session begins here, over this connection.
    pub fn begins_here(&self, connection: ConnectionId) {
        self.connections.remove(&connection);
    }

    /// Has the other process answer; `None`: it has no answer.
    pub async fn ask(&self, request: &CpeRequest) -> Option<CpeReply> {
        self.connections.insert(request.connection);
        let reply = self.link.ask(to_post(request)).await?;
        if let Some(cookie) = &reply.cookie {
            self.cookies.insert(cookie.clone());
        }
        let headers = headers(reply.headers);
        let (status, close, cookie) = (reply.status, reply.close, reply.cookie);
        Some(CpeReply { status, headers, body: reply.body.0, close, cookie })
    }

    pub fn half_closed(&self, connection: ConnectionId) {
        if self.connections.contains(&connection) {
            self.link.try_say(Message::HalfClosed(connection.0));
        }
    }

    pub fn gone(&self, connection: ConnectionId) {
        if self.connections.remove(&connection).is_some() {
            self.link.try_say(Message::Gone(connection.0));
        }
    }

    /// Passes on a record for an agent.
    pub fn to_agent(&self, agent: &EndpointId, record: Bytes) -> bool {
        self.link.try_say(Message::ToAgent { agent: agent.to_string(), record: Blob(record) })
    }
}

impl<S> Shared<S> {
    /// Sends an agent's record, over the other process where that has the MTPs.
    pub(super) fn send(&self, agent: &EndpointId, controller: &EndpointId, record: Bytes) {
        self.note_record(agent, Some(controller), &record);
        let Some(beside) = self.beside().filter(|beside| beside.leaving) else {
            return self.config.mtps.send(agent, controller, record);
        };
        let (agent_too, controller) = (agent.to_string(), controller.to_string());
        let message = Message::ToController { agent: agent_too, controller, record: Blob(record) };
        if !beside.link.try_say(message) {
            self.config.metrics.usp_dropped(agent.as_str(), "too much waits for the process that takes over");
        }
    }

    pub(super) fn beside(&self) -> Option<Arc<Beside>> {
        self.beside.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_beside(&self, beside: Option<Arc<Beside>>) {
        *self.beside.write().unwrap_or_else(PoisonError::into_inner) = beside;
    }

    /// A device of a process that leaves has no task any more.
    pub(super) async fn tell_released(&self, endpoint: &EndpointId) {
        if let Some(beside) = self.beside().filter(|beside| beside.leaving) {
            beside.link.say(Message::Released(endpoint.to_string())).await;
        }
    }
}

impl<S: Store> Fleet<S> {
    /// From now on no device is woken here: another process is at the end of the link. It can be another one, where the
    /// first has died.
    pub fn leave(&self, link: &Arc<Link>) {
        self.shared.set_beside(Some(Arc::new(Beside::new(Arc::clone(link), true))));
        self.shared.leaves();
    }

    /// Says which devices are still owned here, and has them go as soon as they can.
    pub async fn move_out(&self) -> usize {
        for endpoint in self.awake() {
            self.tell_active(&endpoint, Letter::Leave).await;
        }
        let devices: Vec<String> = self.awake().iter().map(ToString::to_string).collect();
        let (count, cookies) = (devices.len(), self.shared.config.routes.cookies());
        if let Some(beside) = self.shared.beside() {
            beside.link.say(Message::Held { devices, cookies }).await;
        }
        count
    }

    /// The process that leaves, at the end of the link, still owns these devices and has these sessions.
    pub fn follow(&self, link: &Arc<Link>, devices: &[String], cookies: Vec<String>) {
        let beside = Beside::new(Arc::clone(link), false);
        let devices = devices.iter().filter_map(|device| EndpointId::parse(device).ok());
        devices.for_each(|device| _ = beside.held.insert(device, CancellationToken::new()));
        cookies.into_iter().for_each(|cookie| _ = beside.cookies.insert(cookie));
        self.shared.set_beside(Some(Arc::new(beside)));
    }

    /// Whether another process has part of the fleet.
    pub fn is_divided(&self) -> bool {
        self.shared.beside().is_some()
    }

    /// The process that has left is gone: everything is owned here.
    pub async fn is_alone(&self) {
        let Some(beside) = self.shared.beside() else { return };
        let left: Vec<EndpointId> = beside.held.iter().map(|held| held.key().clone()).collect();
        if !left.is_empty() {
            tracing::warn!(devices = left.len(), "the process before this one ended with devices of its own");
        }
        for device in left {
            self.released(&device).await;
        }
        self.shared.set_beside(None);
    }

    async fn released(&self, device: &EndpointId) {
        let Some(beside) = self.shared.beside() else { return };
        let Some((_, release)) = beside.held.remove(device) else { return };
        release.cancel();
        // It may be new, and may have something to do.
        let entries = self.shared.config.store.load(device).await.unwrap_or_default();
        if !entries.is_empty() {
            if !entries.iter().any(|entry| entry.kind == Kind::Ways) {
                self.shared.config.mtps.attach(device);
            }
            let _ = self.deliver(device, None, Letter::Input(Input::Tick));
        }
    }
}

impl<S: Store> Doorman<S> {
    /// Does what the other process says; gives back what is no affair of devices.
    pub async fn heard(self: &Arc<Self>, message: Message) -> Option<Message> {
        let fleet = self.fleet();
        match message {
            Message::Post { id, post } => {
                let (doorman, beside) = (Arc::clone(self), fleet.shared.beside());
                tokio::spawn(async move {
                    let reply = doorman.answer_for_other(of_post(*post)).await.map(to_reply);
                    if let Some(beside) = beside {
                        beside.link.say(Message::Reply { id, reply }).await;
                    }
                });
            }
            Message::HalfClosed(connection) => self.half_closed(theirs(connection)),
            Message::Gone(connection) => self.gone(theirs(connection)),
            Message::Released(device) => {
                if let Ok(device) = EndpointId::parse(&device) {
                    fleet.released(&device).await;
                }
            }
            Message::ToAgent { agent, record } => {
                if let Ok(agent) = EndpointId::parse(&agent) {
                    fleet.record(&agent, record.0, Shown::Untold);
                }
            }
            Message::ToController { agent, controller, record } => {
                if let (Ok(agent), Ok(controller)) =
                    (EndpointId::parse(&agent), EndpointId::parse(&controller))
                {
                    fleet.shared.config.mtps.send(&agent, &controller, record.0);
                }
            }
            other => return Some(other),
        }
        None
    }
}

fn to_post(request: &CpeRequest) -> Post {
    let client = request.client.as_ref().clone();
    let certificate =
        client.certificate.map(|it| Certificate { names: it.names, der: it.der.map(|der| Blob(der.into())) });
    let client = Client {
        address: client.address,
        port: client.port,
        tls: client.tls,
        certificate,
        via: client.via,
        reached: client.reached,
        host: client.host,
    };
    Post {
        connection: request.connection.0,
        client,
        authenticated: request.authenticated,
        cookie: request.cookie.clone(),
        target: request.target.clone(),
        headers: lines(&request.headers),
        body: Blob(request.body.clone()),
        original_body: request.original_body.clone().map(Blob),
    }
}

fn of_post(post: Post) -> CpeRequest {
    let certificate = post.client.certificate;
    let certificate =
        certificate.map(|it| client::Certificate::new(it.names, it.der.map(|der| der.0.to_vec())));
    let client = client::Client {
        address: post.client.address,
        port: post.client.port,
        tls: post.client.tls,
        certificate,
        via: post.client.via,
        reached: post.client.reached,
        host: post.client.host,
    };
    CpeRequest {
        connection: theirs(post.connection),
        client: Arc::new(client),
        authenticated: post.authenticated,
        cookie: post.cookie,
        device: crate::cwmp::soap::sniff_device_id(&post.body.0),
        target: post.target,
        headers: headers(post.headers),
        body: post.body.0,
        original_body: post.original_body.map(|body| body.0),
    }
}

fn to_reply(reply: CpeReply) -> Reply {
    let (status, close, cookie) = (reply.status, reply.close, reply.cookie);
    Reply { status, headers: lines(&reply.headers), body: Blob(reply.body), close, cookie }
}

fn lines(headers: &Headers) -> Vec<(String, Blob)> {
    headers.iter().map(|(name, value)| (name.to_owned(), Blob(value.clone()))).collect()
}

fn headers(lines: Vec<(String, Blob)>) -> Headers {
    let mut headers = Headers::default();
    lines.into_iter().for_each(|(name, value)| headers.push(name, value.0));
    headers
}

/// A connection of the other process's, which numbers its own.
fn theirs(connection: u64) -> ConnectionId {
    ConnectionId(connection | 1 << 63)
}
