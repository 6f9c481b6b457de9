//! The agent's one door, its queue and what it keeps.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;

use crate::cwmp::rpc::{Fault, ParameterValueStruct, Request, Response, Text};
use crate::datamodel::{Firmware, Source, Value, WallTime};
use crate::durable::{Change, Entry, Kind, Token};
use crate::identity::{DeviceId, EndpointId};
use crate::policy::{Action, Writer};
use crate::translation::{
    Access, Answer, Discovery, Mapping, Outcome, Plan, Sample, Step, Unmapped, View, watched_params,
};
use crate::usp::message::{self, Message};

use super::attributes::Attention;
use super::bulk_data::BulkData;
use super::clockwork::Clockwork;
use super::comparing::Comparing;
use super::config::AgentConfig;
use super::conflicts::{self, Conflicts};
use super::exchange::{Exchange, Way};
use super::firmware::Model;
use super::images::Images;
use super::io::{Env, Input, Output, Rpc, RpcId, Shadow};
use super::local::{LocalAgent, Operation};
use super::outbox::Outbox;
use super::own_credentials::OwnCredentials;
use super::parameter_key::put_key;
use super::queue::{Job, Queue, Work};
use super::settling::{self, is_write};
use super::silence::Silence;
use super::stored::{RestoreError, Stored};
use super::trigger::{self, Trigger};
use super::upgrade::Upgrading;
use super::ways::{LinkKey, Ways};

/// The virtual agent of one CPE.
pub struct Agent {
    pub(super) endpoint: EndpointId,
    pub(super) config: Arc<AgentConfig>,
    pub(super) stored: Stored,
    pub(super) local: LocalAgent,
    pub(super) outbox: Outbox,
    /// How often the ACS has asked the CPE to add an object.
    pub(super) acs_adds: u32,
    /// The last commit of what objects there are.
    structured: Option<Token>,
    /// What the next commit makes durable as well.
    pub(super) together: Vec<Change>,
    pub(super) exchange: Exchange,
    pub(super) operations: Vec<Operation>,
    /// The event that ended an operation may have come while nobody was there to note it.
    pub(super) recheck: bool,
    /// Whether the watched values have been read in this session.
    pub(super) sampled: bool,
    pub(super) queue: Queue,
    pub(super) attention: Attention,
    pub(super) conflicts: Conflicts,
    pub(super) comparing: Comparing,
    pub(super) silence: Silence,
    pub(super) last_seen: Option<WallTime>,
    /// The ParameterKey that the ACS set last: that of this session's Inform, then that of the RPCs of the ACS's in
    /// it. `None`: it is not known, and nothing is asked of the CPE until its next Inform.
    pub(super) parameter_key: Option<String>,
    /// Discovery stays out of sessions with `0 BOOTSTRAP` and `1 BOOT`.
    pub(super) booting: bool,
    /// What is known of the device's firmware.
    pub(super) model: Model,
    /// What this device showed and the firmware's model does not know yet.
    pub(super) own: Firmware,
    /// Types were told while the model was not at hand.
    pub(super) saw_types: bool,
    pub(super) next: u64,
    /// The newest time: monotonic milliseconds, and the wall's.
    pub(super) seen: (u64, WallTime),
    pub(super) clockwork: Clockwork,
    /// Reports that are on their way to collectors.
    pub(super) bulk: BulkData,
    /// The firmware images of the device.
    pub(super) images: Images,
    /// Firmware that is on its way there.
    pub(super) upgrading: Upgrading,
    pub(super) credentials: OwnCredentials,
    /// The newest commit of what diagnostics will change.
    pub(super) noted: Option<Token>,
    /// Subscriptions that have fired and have something to set.
    pub(super) triggers: VecDeque<Trigger>,
    /// How many triggers led to what is being done.
    pub(super) depth: u8,
    /// Whether it is stored that controllers are met otherwise than the configuration says.
    pub(super) own_ways: bool,
    /// How controllers are to be met, once this is durable.
    pub(super) meeting: Option<(Token, Option<Ways>)>,
    /// Connections that are to be made anew, after what has been said.
    pub(super) reconnects: Vec<LinkKey>,
    /// Up to which token commits have come to their end.
    pub(super) settled: u64,
}

impl Agent {
    /// Rebuilds an agent, and the shadow of its device, from what is stored of them.
    pub fn restore(
        device: &DeviceId,
        config: Arc<AgentConfig>,
        entries: &[Entry],
    ) -> Result<(Self, Shadow), RestoreError> {
        let mut stored = Stored::find(entries)?.unwrap_or_else(|| Stored::new(device.clone()));
        let mut shadow = Shadow::default();
        for entry in entries.iter().filter(|entry| entry.kind == Kind::Shadow) {
            shadow.cpe.decode_into(&entry.value)?;
        }
        if stored.discovery_left.is_some() && stored.mapping != rules_of(&stored.root) {
            // What stands there was translated by other rules: names are learnt again, and values of the old
            // words are no values. Instances keep their numbers, which are the CPE's own.
            stored.discovery_left = None;
            shadow.cpe.forget_values();
        }
        let endpoint = stored.device.endpoint_id();
        let operations = Operation::restore(entries);
        let local = LocalAgent::restore(&endpoint, &config, entries);
        let mut agent = Self {
            endpoint,
            config,
            stored,
            local,
            outbox: Outbox::restore(entries),
            acs_adds: 0,
            structured: None,
            together: Vec::new(),
            exchange: Exchange::default(),
            recheck: operations.iter().any(|operation| operation.started && operation.is_diagnostic()),
            operations,
            sampled: true,
            queue: Queue::default(),
            attention: Attention::restore(entries),
            conflicts: Conflicts::restore(entries),
            comparing: Comparing::restore(entries),
            silence: Silence::None,
            last_seen: None,
            parameter_key: None,
            booting: false,
            model: Model::default(),
            own: Firmware::default(),
            saw_types: false,
            next: 0,
            seen: (0, WallTime(u64::MAX)),
            clockwork: Clockwork::restore(entries),
            bulk: BulkData::default(),
            images: Images::restore(entries).unwrap_or_default(),
            upgrading: Upgrading::default(),
            credentials: OwnCredentials::restore(entries),
            noted: None,
            triggers: VecDeque::new(),
            depth: 0,
            own_ways: entries.iter().any(|entry| entry.kind == Kind::Ways),
            meeting: None,
            reconnects: Vec::new(),
            settled: 0,
        };
        agent.local.set_stage(agent.stage());
        Ok((agent, shadow))
    }

    pub fn endpoint(&self) -> &EndpointId {
        &self.endpoint
    }

    /// Takes in what happened and appends what the world must do.
    pub fn handle(&mut self, env: &Env, shadow: &mut Shadow, input: Input<'_>, out: &mut Vec<Output>) {
        let watched = self.local.subscriptions().iter().any(|it| it.notif_type.is_about_data());
        shadow.cpe.watch(watched);
        self.local.watch(watched);
        self.keep_time(env);
        self.keep_schedules(env, shadow, out);
        match input {
            Input::Record { bytes, integrity, shown } => {
                self.record(env, shadow, bytes, (integrity, &shown), out);
            }
            Input::Secured { controller, session_id, secured } => {
                self.secured(env, &controller, session_id, secured, out);
            }
            Input::ControllerConnected { controller } => self.connected(env, &controller, out),
            Input::Informed { inform, first_contact } => {
                self.informed(env, shadow, inform, first_contact, out);
                self.tell_news(env, shadow, out);
            }
            Input::Observed { request, response } => {
                self.compare(env, shadow, request, Answer::Response(response));
                self.observed(env, shadow, request, response, out);
                self.tell_news(env, shadow, out);
            }
            Input::Refused { request, fault } => self.compare(env, shadow, request, Answer::Fault(fault)),
            Input::Answer { rpc, response } => self.answered(env, shadow, rpc, response, out),
            Input::Faulted { rpc, fault } => self.faulted(env, shadow, rpc, fault),
            Input::Lost { rpc } => self.lost(env, shadow, rpc, out),
            Input::Firmware { id, model } => self.loaded_model(id, model),
            Input::SessionEnded => {
                self.upgrading.word_follows = false;
                self.tell_boot_if_read(env, shadow, out);
                self.share_own(out);
                self.keep_comparison(out);
                self.tell_news(env, shadow, out);
                self.keep_shadow(shadow, out);
            }
            Input::Tick => self.tick(env, shadow, out),
            Input::Uploaded { id, result } => self.uploaded(env, id, result, out),
            Input::Staged { id, answer } => self.staged(env, shadow, id, answer, out),
            Input::AcsUnanswered => self.parameter_key = None,
            Input::AcsTransferred => self.acs_transfers(None, out),
            Input::Transferred(transferred) => self.transferred(env, shadow, &transferred, out),
            Input::Persisted(token) => self.persisted(token, out),
            Input::StoreFailed(token) => self.store_failed(token, out),
            Input::Links { links } => {
                let came = self.local.set_links(links);
                self.send_over(env, shadow, &came, out);
                self.tell_news(env, shadow, out);
            }
        }
        self.ask_for_model(out);
        self.conclude_step(env, shadow, out);
    }

    /// What every step ends with: what it set off is carried out, and what it changed is made durable.
    pub(super) fn conclude_step(&mut self, env: &Env, shadow: &mut Shadow, out: &mut Vec<Output>) {
        self.settle_upgrades(shadow, out);
        // What the agent changed by itself, such as a subscription whose time is over, is news as well.
        self.tell_own_news(env, shadow, out);
        self.carry_out_triggers(env, shadow, out);
        self.judge_attributes(shadow, out);
        self.settle_onboarding(env, out);
        self.settle_exchange(env, shadow, out);
        self.flush_local(out);
        self.keep_deadline(out);
        self.meet(out);
    }

    /// The next RPC when it is USP's turn; finished requests are answered on the way.
    pub fn next_rpc(&mut self, env: &Env, shadow: &mut Shadow, out: &mut Vec<Output>) -> Option<Rpc> {
        self.plan_own_work(env, shadow, out);
        let rpc = self.work(env, shadow, Turn::Is, out);
        self.settle_exchange(env, shadow, out);
        rpc
    }

    pub(super) fn work(
        &mut self,
        env: &Env,
        shadow: &mut Shadow,
        turn: Turn,
        out: &mut Vec<Output>,
    ) -> Option<Rpc> {
        let (mapping, judged) = (self.mapping(), self.judges());
        let key = self.parameter_key.clone()?;
        while let Some(job) = self.queue.front() {
            let stays = turn == Turn::IsOver && (!job.begun || job.rpc.is_some());
            if stays || (job.work == Work::Discovery && self.booting) {
                return None;
            }
            let asker = job.asker.as_ref().map(|asker| &asker.controller);
            self.local.acting_for(asker, env.wall);
            self.local.show_moment(self.stored.up_seconds(env.wall));
            let access = asker.map_or_else(Access::for_us, |asker| self.local.access_of(asker));
            let mut view =
                View::new(&mut shadow.cpe, &mut self.local, &access, env.wall).with_acs_adds(self.acs_adds);
            let step = match job.waiting.take() {
                Some(request) => Step::Call(request),
                None => job.plan.next(&mut view),
            };
            job.denied.extend(view.take_denied());
            match step {
                Step::Call(request) if turn == Turn::IsOver => {
                    job.waiting = Some(request);
                    return None;
                }
                Step::Call(request) => {
                    job.asked_for = judged.then(|| request.clone()).filter(|_| job.asker.is_some());
                    let mapping = mapping.filter(|_| !job.work.is_in_cpe_words());
                    let said = match mapping {
                        Some(mapping) => say(mapping, request),
                        None => Ok((request, Vec::new())),
                    };
                    let request = match said {
                        Ok((mut request, twins)) => {
                            put_key(&mut request, &key);
                            job.twins = twins;
                            job.written = if job.work.is_unseen() { Vec::new() } else { sets(&request) };
                            job.writes = is_write(&request);
                            job.has_written |= job.writes;
                            job.unsettled = job.unsettled.take().filter(|_| !job.writes);
                            request
                        }
                        Err(unmapped) => {
                            job.plan.faulted(&mut view, &unmapped.fault());
                            continue;
                        }
                    };
                    self.next += 1;
                    let id = RpcId(self.next);
                    (job.rpc, job.begun) = (Some(id), true);
                    // More follows soon: of what is written down, its start.
                    let asked = job.asker.is_some() || matches!(job.work, Work::Note(_));
                    return Some(Rpc { id, request, ends_session: job.plan.ends_session(), asked });
                }
                Step::Done(outcome) => {
                    if let Some(job) = self.queue.pop() {
                        self.doubt(shadow, out);
                        let kept = self.keep_structure(&job, shadow, out);
                        if let Work::Trigger { depth, .. } = job.work {
                            self.depth = depth + 1;
                        }
                        self.finish(env, shadow, job, outcome, kept, out);
                    }
                    self.plan_attributes(env, shadow, out);
                    self.tell_news(env, shadow, out);
                    self.depth = 0;
                    self.tell_boot_if_read(env, shadow, out);
                    self.carry_out_triggers(env, shadow, out);
                }
            }
        }
        None
    }

    /// Nothing more is sent in this session: a request that is through is answered, and what it still wants of the
    /// device it gets in the next one.
    pub fn conclude(&mut self, env: &Env, shadow: &mut Shadow, out: &mut Vec<Output>) {
        self.work(env, shadow, Turn::IsOver, out);
        self.settle_exchange(env, shadow, out);
        self.flush_local(out);
    }

    /// Whether there is anything for which the CPE is worth calling. Discovery alone is not, where an ACS would see a
    /// session that it has not asked for: there is another one soon enough, or a controller asks.
    pub fn has_work(&self) -> bool {
        match self.silence {
            Silence::Total => return false,
            Silence::GivingBack => {
                return self.attention.is_urgent() || self.owes_inputs() || self.owes_credentials();
            }
            Silence::None => {}
        }
        self.queue.is_worth_a_call()
            || (self.config.discovery_calls && self.wants_discovery())
            || self.wants_start()
            || self.attention.is_urgent()
    }

    pub fn next_deadline(&self) -> Option<u64> {
        let own = [self.next_own_deadline(), self.session_deadline()];
        let told = [self.outbox.next_deadline(), self.bulk.next_deadline()];
        let told = told.into_iter().filter(|_| !self.is_silent());
        told.chain([self.queue.next_deadline()]).chain(own).flatten().min()
    }

    /// Whether another process may go on from the store: what is left is durable, or begins anew after any restart.
    pub fn may_move(&self) -> bool {
        self.queue.is_empty()
            && self.bulk.is_empty()
            && self.exchange.is_said()
            && self.meeting.is_none()
            && self.upgrading.is_idle()
    }

    /// Whether nothing would be lost if this were rebuilt from the store.
    pub fn is_idle(&self) -> bool {
        let told = self.is_silent() || (self.outbox.is_empty() && self.bulk.is_empty());
        told && self.queue.is_empty()
            && self.exchange.is_idle()
            && self.meeting.is_none()
            && self.upgrading.is_idle()
    }

    fn answered(
        &mut self,
        env: &Env,
        shadow: &mut Shadow,
        rpc: RpcId,
        response: &Response<'_>,
        out: &mut Vec<Output>,
    ) {
        self.note_types(response);
        let mapping = self.mapping();
        let Some(job) = self.queue.of(rpc) else { return };
        job.rpc = None;
        let settled = settling::settled(job, response);
        // What it stands for: the answer that was lost, where that is now known.
        let stands_for = settled.as_ref().unwrap_or(response);
        let asked_for = job.asked_for.take();
        let changed = asked_for.map_or_else(Vec::new, |it| conflicts::written(shadow, &it, stands_for));
        let asker = job.asker.as_ref().map(|it| (it.controller.clone(), conflicts::by_message_of(it)));
        // What is done with an answer is decided when the plan is asked for more.
        let access = Access::for_us();
        let mut view =
            View::new(&mut shadow.cpe, &mut self.local, &access, env.wall).with_acs_adds(self.acs_adds);
        match mapping.filter(|_| !job.work.is_in_cpe_words()) {
            Some(mapping) => job.plan.answered(&mut view, &mapping.incoming(response)),
            None => job.plan.answered(&mut view, response),
        }
        let twins = std::mem::take(&mut job.twins);
        let written = std::mem::take(&mut job.written);
        // At once: before this work is through the ACS may have set something else.
        let attended = if job.work == Work::Attributes { job.plan.take_attended() } else { Vec::new() };
        if !attended.is_empty() {
            self.attended(&attended, out);
        }
        if let Response::SetParameterValuesResponse(_) = stands_for {
            follow_twins(env, shadow, twins);
            self.written(written, out);
        }
        if let Some((controller, by)) = asker {
            self.judge(env, Writer::Controller(&controller), &by, changed, out);
        }
    }

    fn faulted(&mut self, env: &Env, shadow: &mut Shadow, rpc: RpcId, fault: &Fault<'_>) {
        let mapping = self.mapping();
        let Some(job) = self.queue.of(rpc) else { return };
        job.rpc = None;
        // What is done with an answer is decided when the plan is asked for more.
        let access = Access::for_us();
        let mut view =
            View::new(&mut shadow.cpe, &mut self.local, &access, env.wall).with_acs_adds(self.acs_adds);
        match mapping.filter(|_| !job.work.is_in_cpe_words()) {
            Some(mapping) => job.plan.faulted(&mut view, &mapping.fault(fault)),
            None => job.plan.faulted(&mut view, fault),
        }
    }

    /// What stands between the agent, which speaks of TR-181, and a CPE that does not.
    pub(super) fn mapping(&self) -> Option<&'static Mapping> {
        mapping_of(&self.stored.root)
    }

    /// Work that no controller asked for by itself: discovery, sampling, operations under way.
    fn plan_own_work(&mut self, env: &Env, shadow: &Shadow, out: &mut Vec<Output>) {
        if self.is_silent() {
            if self.silence == Silence::GivingBack {
                self.plan_inputs(env);
                self.plan_credentials(env);
            }
            return self.plan_attributes(env, shadow, out);
        }
        self.plan_discovery(env);
        self.plan_marker(env, out);
        self.plan_attributes(env, shadow, out);
        self.plan_operations(env);
        self.plan_credentials(env);
        if !self.sampled {
            self.sampled = true;
            self.plan_sampling(env, shadow);
        }
    }

    /// Reads what subscriptions watch, once in each session: CPEs report by themselves only what the ACS
    /// has asked them to.
    fn plan_sampling(&mut self, env: &Env, shadow: &Shadow) {
        let watched = self.local.subscriptions().iter().flat_map(|subscription| subscription.watched());
        let thresholds = self.threshold_paths();
        let names = watched_params(watched.chain(&thresholds), &shadow.cpe, MAX_SAMPLED);
        // What has never been read is read before anything is written: else a change could not be told from none.
        let (known, new): (Vec<_>, Vec<_>) =
            names.into_iter().partition(|name| shadow.cpe.value(name).is_some());
        if !new.is_empty() {
            let deadline = env.now + self.config.request_timeout_ms;
            self.queue.push_first(Job::new(None, Box::new(Sample::new(new)), deadline, Work::Sample));
        }
        if !known.is_empty() {
            self.push_own(env, Box::new(Sample::new(known)), Work::Sample);
        }
    }

    pub(super) fn push_own(&mut self, env: &Env, plan: Box<dyn Plan>, work: Work) {
        let deadline = env.now + self.config.request_timeout_ms;
        self.queue.push(Job::new(None, plan, deadline, work));
    }

    /// Discovery through; what it left is kept for a later session.
    fn plan_discovery(&mut self, env: &Env) {
        if !self.wants_discovery() || self.queue.has(Work::Discovery) {
            return;
        }
        let Ok(model) = self.model_at_hand() else { return };
        let waiting = self.stored.discovery_left.clone().unwrap_or_else(|| vec![self.stored.root.clone()]);
        let plan = Discovery::resume(waiting, self.config.discovery_names_per_session, self.mapping());
        let plan = plan.knowing(model, self.walker());
        // The rest is known only to the plan: until it is through, a restart begins again.
        let deadline = env.now + self.config.request_timeout_ms;
        let job = Job::new(None, Box::new(plan), deadline, Work::Discovery);
        if self.is_discovered() {
            self.queue.push(job);
        } else {
            // Nobody can be answered before it is known what the device has.
            self.queue.push_first(job);
        }
    }

    /// Whether a discovery has come to its end at least once for this firmware.
    pub(super) fn is_discovered(&self) -> bool {
        !self.config.discovery || self.stored.discovery_left.is_some()
    }

    pub(super) fn wants_discovery(&self) -> bool {
        // In this order: what is left is known at once, and nearly always nothing is.
        let left =
            self.config.discovery && self.stored.discovery_left.as_ref().is_none_or(|left| !left.is_empty());
        left && self.has_agent()
    }

    /// Whether the device's data model is known to be one that USP can show, and there is somebody to show
    /// it to. Without controllers the gateway only relays, and asks CPEs nothing.
    pub(super) fn has_agent(&self) -> bool {
        !self.stored.root.is_empty() && self.local.controllers().next().is_some()
    }

    /// What objects there are must be durable before anybody is told of them, and before discovery counts as
    /// done. Values may be lost: they are read again.
    fn keep_structure(&mut self, job: &Job, shadow: &mut Shadow, out: &mut Vec<Output>) -> Option<Token> {
        let discovered = job.work == Work::Discovery;
        if !discovered && !shadow.cpe.is_restructured() {
            return None;
        }
        let mut changes = shadow_changes(shadow);
        if discovered {
            self.stored.discovery_left = Some(job.plan.left());
            self.stored.mapping = rules_of(&self.stored.root);
            changes.push(self.stored.change());
            self.share_walk(job.plan.learnt(), out);
        }
        Some(self.persist(changes, out))
    }

    /// A job is through: its asker is told, once what it changed is durable (`kept` is the commit of that).
    pub(super) fn finish(
        &mut self,
        env: &Env,
        shadow: &Shadow,
        mut job: Job,
        outcome: Outcome,
        kept: Option<Token>,
        out: &mut Vec<Output>,
    ) {
        match job.work {
            Work::Start(instance) => self.started(env, shadow, instance, &outcome, out),
            // Silent: the device is still at it.
            Work::Finish(_) if outcome == Outcome::Silent => {}
            Work::Finish(instance) => {
                self.completed(env, shadow, instance, outcome.clone(), out);
                self.plan_inputs(env);
            }
            Work::Note(instance) => self.note_inputs(shadow, instance, out),
            Work::Credentials => self.credentials_done(&outcome, out),
            Work::GiveBack => self.gave_inputs_back(&outcome, out),
            Work::Trigger { subscription, .. } => trigger::audit(subscription, &outcome, out),
            Work::Collect(instance) => self.collected(env, shadow, instance, out),
            Work::Attributes => self.attended(&job.plan.take_attended(), out),
            Work::Marker => self.read_marker(&job.plan.take_attended(), out),
            // What the device lacks the gateway has for it.
            Work::Discovery => self.settle_upgrades(shadow, out),
            Work::Asked | Work::Sample | Work::Boot => {}
        }
        let Some(asker) = job.asker else { return };
        let by = (&asker.controller, asker.msg_id.as_str());
        self.note_denied(env, shadow, by, job.denied, Action::Denied, out);
        self.note_restart(&outcome, &asker.command_key, out);
        let message = match outcome {
            Outcome::Response(response) => Message::response(asker.msg_id, response),
            Outcome::Error(error) => {
                Message { msg_id: asker.msg_id, body: message::MessageBody::Error(error) }
            }
            Outcome::Silent | Outcome::Completed(_) => return,
        };
        // What is told must be durable first.
        // Commits keep their order: the last that counts stands for all.
        let structured = self.structured.filter(|token| token.0 > self.settled);
        let after = [self.flush_local(out), kept, structured, self.owed_for()].into_iter().flatten().max();
        if asker.wants_answer {
            self.send(&asker.controller, message, asker.way, after);
        }
    }

    fn tick(&mut self, env: &Env, shadow: &mut Shadow, out: &mut Vec<Output>) {
        for job in self.queue.take_overdue(env.now) {
            let error = self.overdue(env, &job);
            if matches!(job.work, Work::Asked | Work::Trigger { .. }) {
                self.finish(env, shadow, job, error, None, out);
            }
        }
        if !self.is_silent() {
            self.act_on_time(env, shadow, out);
            self.retry_notifications(env, out);
        }
        self.tick_sessions(env, out);
        if self.has_work() {
            out.push(Output::WantSession);
        }
    }

    /// Makes durable what is new in the shadow.
    pub(super) fn keep_shadow(&mut self, shadow: &mut Shadow, out: &mut Vec<Output>) -> Option<Token> {
        let restructured = shadow.cpe.is_restructured();
        let changes = shadow_changes(shadow);
        let token = (!changes.is_empty()).then(|| self.persist(changes, out));
        self.structured = token.filter(|_| restructured).or(self.structured);
        token
    }

    pub(super) fn send(&mut self, controller: &EndpointId, message: Message, way: Way, after: Option<Token>) {
        self.say(controller, message.encode(), way, after);
    }

    /// Makes changes to the agent's own tables durable; who depends on them waits for the token.
    pub(super) fn flush_local(&mut self, out: &mut Vec<Output>) -> Option<Token> {
        let changes = self.local.take_changes();
        if changes.is_empty() { None } else { Some(self.persist(changes, out)) }
    }

    pub(super) fn persist(&mut self, mut changes: Vec<Change>, out: &mut Vec<Output>) -> Token {
        changes.append(&mut self.together);
        self.next += 1;
        let token = Token(self.next);
        out.push(Output::Persist { token, changes });
        token
    }
}

fn mapping_of(root: &str) -> Option<&'static Mapping> {
    (root == TR_098_ROOT).then(Mapping::tr098)
}

/// The version of the rules for a data model; 0 where none are needed.
pub(super) fn rules_of(root: &str) -> u64 {
    mapping_of(root).map_or(0, Mapping::version)
}

/// Whether it is USP's turn in the device's session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Is,
    IsOver,
}

/// A request as the CPE understands it, and what else changes when it is carried out.
type Said = (Request<'static>, Vec<ParameterValueStruct<'static>>);

fn say(mapping: &Mapping, request: Request<'static>) -> Result<Said, Unmapped> {
    let asked: Vec<Text<'static>> = match &request {
        Request::SetParameterValues(set) => set.parameter_list.iter().map(|one| one.name.clone()).collect(),
        _ => Vec::new(),
    };
    let request = mapping.outgoing(request)?;
    let twins = match &request {
        Request::SetParameterValues(said) => mapping.twins(&asked, said),
        _ => Vec::new(),
    };
    Ok((request, twins))
}

/// What a request sets of the CPE.
fn sets(request: &Request<'static>) -> Vec<ParameterValueStruct<'static>> {
    match request {
        Request::SetParameterValues(set) => set.parameter_list.0.clone(),
        _ => Vec::new(),
    }
}

/// Keeps true what is one with that which was set, where the device is known to have it.
fn follow_twins(env: &Env, shadow: &mut Shadow, twins: Vec<ParameterValueStruct<'static>>) {
    for twin in twins.iter().filter(|twin| shadow.cpe.param(&twin.name).is_some()).collect::<Vec<_>>() {
        let value = Value {
            text: twin.value.as_ref().into(),
            value_type: twin.value_type,
            at: env.wall,
            source: Source::Write,
        };
        shadow.cpe.set_value(&twin.name, value);
    }
}

/// The blobs of the top-level objects that changed.
fn shadow_changes(shadow: &mut Shadow) -> Vec<Change> {
    let change = |(top, blob): (CompactString, Option<Bytes>)| match blob {
        Some(blob) => Change::put(Kind::Shadow, top, blob),
        None => Change::delete(Kind::Shadow, top),
    };
    shadow.cpe.take_changes().into_iter().map(change).collect()
}

/// The root of TR-181, which is USP's.
pub(super) const TR_181_ROOT: &str = "Device.";
/// The root of TR-098.
pub(super) const TR_098_ROOT: &str = "InternetGatewayDevice.";
/// Values read in one session for subscriptions.
const MAX_SAMPLED: usize = 256;
