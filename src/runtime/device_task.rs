//! One task owns one active device: it feeds the proxy core from the mailbox and carries out its outputs.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info, warn};

use crate::connection_request;
use crate::datamodel::FirmwareId;
use crate::durable::{Change, Token};
use crate::identity::{DeviceId, EndpointId};
use crate::proxy::{Device, ExchangeId, Input, Output, Reply};
use crate::store::{Store, StoreError};

use super::clock::session_name;
use super::fleet::Shared;
use super::leg::{Leg, LegRequest};
use super::mailbox::Letter;

/// The loop around one device's core.
pub(super) struct DeviceTask<'s, S> {
    shared: &'s Shared<S>,
    endpoint: &'s EndpointId,
    device: Device,
    mailbox: mpsc::WeakSender<Letter>,
    replies: HashMap<ExchangeId, oneshot::Sender<Reply>>,
    leg: Option<Leg>,
    /// Changes in the order the core gave them; one commit is under way at a time, so that order holds.
    waiting: VecDeque<(Token, Vec<Change>)>,
    committing: Option<Commit<'s>>,
    out: Vec<Output>,
    /// The firmware whose model the core has asked for.
    wanted: Option<FirmwareId>,
    leaving: bool,
    /// Something came of what was told: more is likely to follow. Who was only told that its MTP is up goes
    /// to rest at once.
    worked: bool,
}

struct Commit<'s> {
    tokens: Vec<Token>,
    done: Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 's>>,
}

impl<'s, S: Store> DeviceTask<'s, S> {
    /// Runs until the device is idle for a while; returns with its mailbox closed and empty.
    pub async fn run(
        shared: &'s Shared<S>,
        endpoint: &'s EndpointId,
        device: Option<DeviceId>,
        mut receiver: mpsc::Receiver<Letter>,
        mailbox: mpsc::WeakSender<Letter>,
    ) {
        let Some(device) = Self::wake_up(shared, endpoint, device).await else {
            receiver.close();
            return;
        };
        let mut task = Self {
            shared,
            endpoint,
            device,
            mailbox,
            replies: HashMap::new(),
            leg: None,
            waiting: VecDeque::new(),
            committing: None,
            out: Vec::new(),
            wanted: None,
            leaving: false,
            worked: false,
        };
        task.live(&mut receiver).await;
        if let Some(at) = task.device.next_own_time() {
            shared.config.alarms.set(endpoint, at);
        }
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

    async fn live(&mut self, receiver: &mut mpsc::Receiver<Letter>) {
        let clock = self.shared.config.clock;
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
                () = tokio::time::sleep_until(clock.instant(deadline)) => self.step(Input::Tick),
            }
            self.commit_next();
            let nothing_came = !self.worked && receiver.is_empty();
            if self.may_rest(nothing_came || deadline <= clock.now()) {
                receiver.close();
                // What came between the last look and the closing still counts.
                while let Ok(letter) = receiver.try_recv() {
                    self.open(letter);
                }
                self.settle().await;
                break;
            }
        }
    }

    fn may_rest(&self, quiet: bool) -> bool {
        let settled = self.committing.is_none() && self.waiting.is_empty();
        let idle = self.device.is_idle() && quiet;
        settled && (idle || (self.leaving && !self.device.is_in_session()))
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
            Letter::Post { post, reply } => {
                self.worked = true;
                self.replies.insert(post.exchange, reply);
                self.step(Input::Post(post));
            }
            Letter::Shutdown => {
                self.leaving = true;
                self.step(Input::Shutdown);
            }
        }
    }

    fn step(&mut self, input: Input) {
        let env = self.shared.config.clock.env();
        let mut out = std::mem::take(&mut self.out);
        self.device.handle(&env, input, &mut out);
        for output in out.drain(..) {
            self.carry_out(output);
        }
        self.out = out;
        if let Some(id) = self.wanted.take() {
            let model = self.shared.config.firmwares.find(&id);
            self.step(Input::Firmware { id, model });
        }
    }

    fn carry_out(&mut self, output: Output) {
        let within = matches!(output, Output::Persist { .. } | Output::LoadFirmware(_) | Output::Log(_));
        self.worked |= !within;
        let config = &self.shared.config;
        match output {
            Output::Reply { exchange, reply } => {
                if let Some(waiting) = self.replies.remove(&exchange) {
                    // Nobody waits any more: the CPE is gone, which its own connection reports.
                    let _ = waiting.send(reply);
                }
            }
            Output::ToAcs { session, target, headers, body } => {
                self.forward(LegRequest { session, target, headers, body });
            }
            Output::EndSession(session) => {
                config.routes.close(session);
                if self.leg.as_ref().is_some_and(|leg| leg.session == session) {
                    self.leg = None;
                }
            }
            Output::Send { controller, record } => config.mtps.send(self.endpoint, &controller, record),
            Output::Persist { token, changes } => self.waiting.push_back((token, changes)),
            Output::LoadFirmware(id) => self.wanted = Some(id),
            Output::Learnt { id, firmware } => {
                let firmwares = Arc::clone(&config.firmwares);
                tokio::spawn(async move { firmwares.learn(id, firmware).await });
            }
            Output::Wake { url, credentials } => self.wake_cpe(url, credentials),
            Output::Onboarded => config.mtps.attach(self.endpoint),
            Output::AgentRestarted => config.mtps.restart(self.endpoint),
            Output::SessionEnded { client, outcome, relayed, rpcs, milliseconds } => {
                config.metrics.cwmp_session_ended(
                    self.endpoint.as_str(),
                    &client,
                    outcome,
                    relayed,
                    &rpcs,
                    milliseconds,
                );
            }
            Output::Log(line) => info!(endpoint = %self.endpoint, "{line}"),
        }
    }

    fn forward(&mut self, request: LegRequest) {
        let (Some(acs), Some(mailbox)) = (&self.shared.config.acs, self.mailbox.upgrade()) else { return };
        if self.leg.as_ref().is_none_or(|leg| leg.session != request.session) {
            self.leg = Some(Leg::start(request.session, acs.clone(), mailbox.downgrade()));
        }
        if let Some(leg) = &self.leg {
            leg.send(request);
        }
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
