//! One task owns one active device: it feeds the proxy core from the mailbox and carries out its outputs.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info, warn};

use crate::agent::{StageAnswer, StageId, StageRequest, Undelivered, Upload, UploadWay};
use crate::connection_request;
use crate::datamodel::FirmwareId;
use crate::durable::{Change, Token};
use crate::identity::{DeviceId, EndpointId};
use crate::observe::SessionEnd;
use crate::payload_security::TlsSessions;
use crate::proxy::{AcsId, CallAnswer, Device, ExchangeId, Input, Output, Reply, SessionId};
use crate::store::{Store, StoreError};
use crate::upstream::{AcsRequest, Watch};
use crate::usp::Shown;
use crate::usp::record::Integrity;

use super::clock::session_name;
use super::fleet::Shared;
use super::leg::{self, Leg};
use super::mailbox::Letter;

/// The loop around one device's core.
pub(super) struct DeviceTask<'s, S> {
    shared: &'s Shared<S>,
    endpoint: &'s EndpointId,
    device: Device,
    mailbox: mpsc::WeakSender<Letter>,
    replies: HashMap<ExchangeId, oneshot::Sender<Reply>>,
    /// The ACS's connection requests that are being judged.
    calls: HashMap<u64, oneshot::Sender<CallAnswer>>,
    leg: Option<Leg>,
    /// A session in which the ACS has the word, and the one that the CPE begins in its place on the same connection.
    cut: Option<(SessionId, SessionId, AcsId)>,
    /// Changes in the order the core gave them; one commit is under way at a time, so that order holds.
    waiting: VecDeque<(Token, Vec<Change>)>,
    committing: Option<Commit<'s>>,
    out: Vec<Output>,
    /// The firmware whose model the core has asked for.
    wanted: Option<FirmwareId>,
    leaving: bool,
    /// Another process goes on with the device as soon as it can.
    moving: bool,
    /// Something came of what was told: more is likely to follow. Who was only told that its MTP is up goes
    /// to rest at once.
    worked: bool,
    /// TLS within the records of session contexts.
    tls: TlsSessions,
    /// Answers that were at hand, which the core has not had yet.
    answers: VecDeque<Input>,
}

struct Commit<'s> {
    tokens: Vec<Token>,
    done: Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 's>>,
}

impl<'s, S: Store> DeviceTask<'s, S> {
    /// Runs until the device is idle for a while. Returns with its mailbox closed and empty; what came too
    /// late for this task is handed back, for the next one.
    pub async fn run(
        shared: &'s Shared<S>,
        endpoint: &'s EndpointId,
        device: Option<DeviceId>,
        mut receiver: mpsc::Receiver<Letter>,
        mailbox: mpsc::WeakSender<Letter>,
    ) -> Vec<Letter> {
        let Some(device) = Self::wake_up(shared, endpoint, device).await else {
            receiver.close();
            return Vec::new();
        };
        let mut task = Self {
            shared,
            endpoint,
            device,
            mailbox,
            replies: HashMap::new(),
            calls: HashMap::new(),
            leg: None,
            cut: None,
            waiting: VecDeque::new(),
            committing: None,
            out: Vec::new(),
            wanted: None,
            leaving: false,
            moving: false,
            worked: false,
            tls: TlsSessions::new(endpoint, shared.config.keyring.clone()),
            answers: VecDeque::new(),
        };
        let late = task.live(&mut receiver).await;
        if let Some(at) = task.device.next_own_time() {
            shared.config.alarms.set(endpoint, at);
        }
        late
    }

    async fn wake_up(shared: &Shared<S>, endpoint: &EndpointId, device: Option<DeviceId>) -> Option<Device> {
        let entries = match shared.config.store.load(endpoint).await {
            Ok(entries) => entries,
            Err(error) => {
                warn!(%endpoint, %error, "the device's state could not be read; what came for it is dropped");
                return None;
            }
        };
        let Some(device) = device.or_else(|| crate::agent::stored_device_id(&entries)) else {
            debug!(%endpoint, "something came for a device that is not known");
            return None;
        };
        let config = &shared.config;
        match Device::restore(&device, config.agent.clone(), config.proxy.clone(), &entries) {
            Ok(device) => Some(device),
            Err(error) => {
                warn!(%endpoint, %error, "the device's stored state is not usable");
                None
            }
        }
    }

    async fn live(&mut self, receiver: &mut mpsc::Receiver<Letter>) -> Vec<Letter> {
        let clock = self.shared.config.clock;
        // What is restored here may be left to its ACS: that comes before everything else.
        let order = self.shared.config.bypasses.of(self.endpoint);
        if order.is_some() {
            self.step(Input::Bypass(order));
        }
        self.step(Input::Links(self.shared.config.mtps.states(self.endpoint)));
        // What was restored may have something to do at once: unacknowledged notifications, operations.
        self.step(Input::Tick);
        loop {
            let rest = clock.now() + self.shared.config.rest_after_ms;
            let deadline = self.device.next_deadline().unwrap_or(u64::MAX).min(rest);
            tokio::select! {
                letter = receiver.recv() => match letter {
                    Some(letter) => self.open(letter),
                    None => break,
                },
                result = committed(&mut self.committing) => self.committed(result),
                reply = leg::replied(&mut self.leg) => self.step(reply),
                () = tokio::time::sleep_until(clock.instant(deadline)) => self.step(Input::Tick),
            }
            self.commit_next();
            let nothing_came = !self.worked && receiver.is_empty();
            if self.may_rest(nothing_came || deadline <= clock.now()) {
                receiver.close();
                // What came between the last look and the closing may open a session, which is not ours now.
                let mut late = Vec::new();
                while let Some(letter) = receiver.recv().await {
                    late.push(letter);
                }
                self.settle().await;
                return if self.leaving { Vec::new() } else { late };
            }
        }
        Vec::new()
    }

    fn may_rest(&self, quiet: bool) -> bool {
        let settled = self.committing.is_none() && self.waiting.is_empty();
        let idle = self.device.is_idle() && quiet;
        let moves = self.moving && self.device.may_move();
        settled && (idle || moves || (self.leaving && !self.device.is_in_session()))
    }

    /// Finishes the commits that are left.
    async fn settle(&mut self) {
        loop {
            self.commit_next();
            if self.committing.is_none() {
                return;
            }
            let result = committed(&mut self.committing).await;
            self.committed(result);
        }
    }

    fn open(&mut self, letter: Letter) {
        match letter {
            Letter::Input(input) => self.step(input),
            Letter::Record(bytes, shown) => {
                let keyring = self.shared.config.keyring.as_ref();
                let (integrity, signer) = match keyring {
                    Some(keyring) => keyring.examine(&bytes),
                    None => (Integrity::Trusted, Shown::Untold),
                };
                let shown = if signer == Shown::Untold { shown } else { signer };
                self.step(Input::Record(bytes, integrity, shown));
            }
            Letter::Post { post, reply, cuts } => {
                self.worked = true;
                let relaying = self.device.is_acs_turn();
                self.cut = cuts.filter(|_| relaying).map(|cut| (cut, post.session, post.acs));
                self.replies.insert(post.exchange, reply);
                self.step(Input::Post(post));
            }
            Letter::AcsCall { call, reply } => {
                self.worked = true;
                self.calls.insert(call.id, reply);
                self.step(Input::AcsCall(call));
            }
            Letter::Leave => self.moving = true,
            Letter::Shutdown => {
                self.leaving = true;
                self.step(Input::Shutdown);
            }
        }
    }

    fn step(&mut self, input: Input) {
        let mut next = Some(input);
        while let Some(input) = next {
            let env = self.shared.config.clock.env();
            let mut out = std::mem::take(&mut self.out);
            self.device.handle(&env, input, &mut out);
            for output in out.drain(..) {
                self.carry_out(output);
            }
            self.out = out;
            // Each answer may bring further questions, which are asked and answered in their order.
            next = self.answers.pop_front();
        }
        if let Some(id) = self.wanted.take() {
            let model = self.shared.config.firmwares.find(&id);
            self.step(Input::Firmware { id, model });
        }
    }

    fn carry_out(&mut self, output: Output) {
        self.worked |= !is_within(&output);
        let config = &self.shared.config;
        match output {
            Output::Reply { exchange, reply } => {
                if let Some(waiting) = self.replies.remove(&exchange) {
                    // Nobody waits any more: the CPE is gone, which its own connection reports.
                    let _ = waiting.send(reply);
                }
            }
            Output::ToAcs { session, acs, target, headers, body } => {
                self.forward(session, acs, AcsRequest { target, headers, body });
            }
            Output::InformAgain(session) => config.routes.expect_inform(session, true),
            Output::EndSession(session) => {
                config.routes.close(session);
                self.end_leg(session);
            }
            Output::Send { controller, record } => {
                let record = match &config.keyring {
                    Some(keyring) => keyring.sign(record),
                    None => record,
                };
                self.shared.send(self.endpoint, &controller, record);
            }
            Output::Secure { controller, session_id, request } => {
                let answer = self.tls.answer(&controller, session_id, request);
                let input = answer.map(|secured| Input::Secured { controller, session_id, secured });
                self.answers.extend(input);
            }
            Output::Persist { token, changes } => self.waiting.push_back((token, changes)),
            Output::LoadFirmware(id) => self.wanted = Some(id),
            Output::Learnt { id, firmware } => {
                let firmwares = Arc::clone(&config.firmwares);
                tokio::spawn(async move { firmwares.learn(id, firmware).await });
            }
            // Who hung up does not want to know.
            Output::AcsCallAnswer { call, acs, answer } => {
                config.metrics.acs_call(self.endpoint.as_str(), acs.as_deref(), answer.label());
                _ = self.calls.remove(&call).map(|it| it.send(answer));
            }
            Output::Wake { url, credentials } => self.wake_cpe(url, credentials),
            Output::Reconnect(key) => config.mtps.reconnect(self.endpoint, key),
            Output::Meet(ways) => {
                config.mtps.meet(self.endpoint, ways);
                self.tell_links();
            }
            Output::Onboarded => config.mtps.attach(self.endpoint),
            Output::AgentRestarted => config.mtps.restart(self.endpoint),
            Output::Upload(upload) => self.upload(upload),
            Output::Stage { id, request } => self.ask_stage(id, request),
            Output::SessionEnded { client, acs, outcome, relayed, rpcs, bodies, milliseconds } => {
                config.metrics.cwmp_bodies(bodies.decoded, bodies.opaque);
                let (endpoint, client, acs) = (self.endpoint.as_str(), &*client, acs.as_deref());
                let rpcs = &rpcs;
                let end = SessionEnd { endpoint, client, acs, outcome, relayed, rpcs, milliseconds };
                config.metrics.cwmp_session_ended(&end);
            }
            Output::Departure { url, held } => {
                config.metrics.departure(self.endpoint.as_str(), &url, held);
            }
            Output::Conflict { action, line } => {
                config.metrics.ownership_conflict(self.endpoint.as_str(), action.label(), line.as_deref());
            }
            Output::Compared { model, tally } => config.metrics.compared(&model.to_string(), &tally),
            Output::Log(line) => info!(endpoint = %self.endpoint, "{line}"),
        }
    }

    /// Connections that began or ended are told of, in their turn.
    fn tell_links(&self) {
        let letter = Letter::Input(Input::Links(self.shared.config.mtps.states(self.endpoint)));
        if let Some(mailbox) = self.mailbox.upgrade() {
            let _ = mailbox.try_send(letter);
        }
    }

    fn end_leg(&mut self, session: SessionId) {
        let leg = self.leg.take_if(|leg| leg.session == session);
        if let (Some(leg), Some((cut, next, acs))) = (leg, self.cut.take())
            && cut == session
        {
            self.leg = self.shared.config.acs.get(acs).and_then(|acs| leg.cut_short(next, acs));
        }
    }

    fn forward(&mut self, session: SessionId, acs: AcsId, request: AcsRequest) {
        let Some(acs) = self.shared.config.acs.get(acs) else { return };
        let watch = || Watch::new(self.shared.config.recorder.clone(), self.endpoint.clone());
        match &mut self.leg {
            Some(leg) if leg.session == session => leg.send(request),
            leg => {
                let metrics = Arc::clone(&self.shared.config.metrics);
                leg.insert(Leg::new(session, Arc::clone(acs), watch(), metrics)).send(request)
            }
        }
    }

    fn upload(&self, Upload { id, way, body }: Upload) {
        let config = &self.shared.config;
        let metrics = Arc::clone(&config.metrics);
        let end: Pin<Box<dyn Future<Output = Result<(), Undelivered>> + Send>> = match way {
            UploadWay::Http(request) => {
                let collector = config.collector.clone();
                Box::pin(async move { collector.send(&request, &body).await.map_err(Undelivered::from) })
            }
            UploadWay::Mqtt(publication) => match config.mtps.report(self.endpoint, publication, body) {
                Some(delivery) => Box::pin(delivery.end()),
                None => {
                    let why = "there is no connection for the MQTT client that the profile names";
                    Box::pin(std::future::ready(Err(Undelivered::Failed(why.to_owned()))))
                }
            },
        };
        let mailbox = self.mailbox.clone();
        tokio::spawn(async move {
            let result = end.await;
            metrics.bulk_data_report(result.is_ok());
            if let Some(mailbox) = mailbox.upgrade() {
                let _ = mailbox.send(Letter::Input(Input::Uploaded { id, result })).await;
            }
        });
    }

    fn ask_stage(&mut self, id: StageId, request: StageRequest) {
        let Some(stage) = self.shared.config.stage.clone() else { return };
        let answer: Pin<Box<dyn Future<Output = StageAnswer> + Send>> = match request {
            StageRequest::Hold(images) => return stage.hold(self.endpoint, images),
            StageRequest::Offer { image, name } => {
                let offer = stage.offer(&image, &name, self.shared.config.clock.env().wall);
                return self.answers.push_back(Input::Staged { id, answer: StageAnswer::Offered(offer) });
            }
            StageRequest::Fetch(fetch) => {
                Box::pin(async move { StageAnswer::Fetched(stage.fetch(fetch).await) })
            }
            StageRequest::Check { image, of } => {
                Box::pin(async move { StageAnswer::Checked(stage.check(image, of).await) })
            }
        };
        let (mailbox, metrics) = (self.mailbox.clone(), Arc::clone(&self.shared.config.metrics));
        tokio::spawn(async move {
            let answer = answer.await;
            if let StageAnswer::Fetched(fetched) = &answer {
                metrics.firmware_image(fetched.is_ok());
            }
            if let Some(mailbox) = mailbox.upgrade() {
                let _ = mailbox.send(Letter::Input(Input::Staged { id, answer })).await;
            }
        });
    }

    fn wake_cpe(&self, url: String, credentials: Option<(String, String)>) {
        let mailbox = self.mailbox.clone();
        let metrics = self.shared.config.metrics.clone();
        let limits = self.shared.config.connection_request.clone();
        let endpoint = self.endpoint.clone();
        tokio::spawn(async move {
            let credentials = credentials.as_ref().map(|(user, password)| (user.as_str(), password.as_str()));
            let result = connection_request::send(&url, credentials, &session_name(), &limits).await;
            metrics.connection_request(
                endpoint.as_str(),
                result.as_ref().err().map(ToString::to_string).as_deref(),
            );
            if let Some(mailbox) = mailbox.upgrade() {
                let result = result.map_err(|error| error.to_string());
                let _ = mailbox.send(Letter::Input(Input::Woken(result))).await;
            }
        });
    }

    fn commit_next(&mut self) {
        if self.committing.is_some() || self.waiting.is_empty() {
            return;
        }
        let mut tokens = Vec::with_capacity(self.waiting.len());
        let mut all = Vec::new();
        for (token, changes) in self.waiting.drain(..) {
            tokens.push(token);
            all.extend(changes);
        }
        let store: &'s S = &self.shared.config.store;
        self.committing = Some(Commit { tokens, done: Box::pin(store.commit(self.endpoint, all)) });
    }

    fn committed(&mut self, result: Result<(), StoreError>) {
        let Some(commit) = self.committing.take() else { return };
        self.shared.config.metrics.committed(result.is_ok());
        if let Err(error) = &result {
            warn!(endpoint = %self.endpoint, %error, "a commit failed");
        }
        for token in commit.tokens {
            self.step(if result.is_ok() { Input::Persisted(token) } else { Input::StoreFailed(token) });
        }
    }
}

/// Resolves when the commit under way is done; never, if there is none.
async fn committed(commit: &mut Option<Commit<'_>>) -> Result<(), StoreError> {
    match commit {
        Some(commit) => commit.done.as_mut().await,
        None => std::future::pending().await,
    }
}

/// What is of no consequence outside.
fn is_within(output: &Output) -> bool {
    matches!(
        output,
        Output::Persist { .. }
            | Output::LoadFirmware(_)
            | Output::Conflict { .. }
            | Output::Compared { .. }
            | Output::Log(_)
    )
}
