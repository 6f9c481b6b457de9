//! What one agent holds itself: its tree, what of it is not durable yet, and what is read from it for use.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::agent::config::AgentConfig;
use crate::agent::ways::{LinkKey, LinkState, Ways};
use crate::datamodel::{News, WallTime};
use crate::durable::{Change, Entry, Kind};
use crate::identity::EndpointId;
use crate::policy::{Egress, Ownership, Stage};
use crate::translation::{Access, FIRMWARE_IMAGES, Local};
use crate::usp::record::session::Policy;
use crate::usp::{Certificate, Retry, Shown};

use super::access;
use super::certificates;
use super::schema::Object;
use super::session;
use super::stored;
use super::subscription::{Lifetime, Subscription};
use super::template::Template;
use super::tree::{Tree, as_object, row_of};
use super::trust;
use super::ways;

/// `Device.LocalAgent.` and what else the agent holds for its device.
pub(in crate::agent) struct LocalAgent {
    pub(super) tree: Tree,
    pub(super) template: Arc<Template>,
    /// Rows whose stored form is behind, or that are gone.
    pub(super) touched: BTreeSet<String>,
    subscriptions: Vec<Subscription>,
    /// Whether subscriptions have come, gone or changed since this was last asked.
    resubscribed: bool,
    lifetimes: Vec<Lifetime>,
    /// Rows of controllers that came, or were enabled, onboarded or led to anew since this was last asked.
    new_controllers: BTreeSet<String>,
    /// What each controller may do, as far as somebody has asked since the rules changed.
    access: RefCell<BTreeMap<String, Arc<Access>>>,
    /// Instance numbers are not used twice while the agent is up.
    pub(super) next: BTreeMap<String, u32>,
    /// Whose request is being carried out: the recipient of the subscriptions it adds.
    pub(super) asker: Option<EndpointId>,
    /// Whether session contexts can have payload security.
    pub(super) payload_security: bool,
    /// Whether there is a stage for firmware images.
    pub(super) firmware: bool,
    /// Where agents may be sent.
    pub(super) egress: Arc<Egress>,
    /// Who owns what of the CPE's.
    ownership: Arc<Ownership>,
    /// Whether controllers may change the device.
    stage: Stage,
    endpoint: EndpointId,
    /// By their rows.
    pub(super) certificates: BTreeMap<String, Certificate>,
    /// What each controller has shown last, since the agent was woken.
    pub(super) shown: BTreeMap<EndpointId, Shown>,
    /// Whether something about controllers and their ways may have changed.
    rerouted: bool,
    /// What is known of the connections.
    links: BTreeMap<LinkKey, LinkState>,
}

impl LocalAgent {
    /// Lays what is stored over what the configuration gives.
    pub fn restore(endpoint: &EndpointId, config: &AgentConfig, entries: &[Entry]) -> Self {
        let template = config.template();
        let mut local = Self {
            tree: template.tree.clone(),
            certificates: template.certificates.clone(),
            template,
            touched: BTreeSet::new(),
            subscriptions: Vec::new(),
            resubscribed: false,
            lifetimes: Vec::new(),
            new_controllers: BTreeSet::new(),
            access: RefCell::default(),
            next: BTreeMap::new(),
            asker: None,
            payload_security: config.payload_security,
            firmware: config.firmware,
            egress: Arc::clone(&config.egress),
            ownership: Arc::clone(&config.ownership),
            stage: Stage::default(),
            endpoint: endpoint.clone(),
            shown: BTreeMap::new(),
            rerouted: false,
            links: BTreeMap::new(),
        };
        local.tree.put("Device.LocalAgent.EndpointID", endpoint.as_str());
        local.template.fill(&mut local.tree, endpoint);
        let rows = stored::rows(entries);
        let marked = entries.iter().any(|entry| entry.kind == Kind::Ways);
        let concerns = |it: &stored::Restored| {
            let mut params = it.params.keys().map(|name| format!("{}{name}", it.row));
            ((it.own || it.gone) && ways::concerns(&it.row)) || params.any(|name| ways::concerns(&name))
        };
        local.rerouted = marked || rows.iter().any(concerns);
        rows.into_iter().for_each(|row| local.restore_row(row));
        local.end_orphans();
        local.show_collecting();
        local.follow_changes();
        local.resubscribed = false;
        local
    }

    fn restore_row(&mut self, restored: stored::Restored) {
        let stored::Restored { row, own, gone, mut params, certificate } = restored;
        if gone {
            self.certificates.remove(&row);
            return self.tree.remove_row(&row);
        }
        if let Some(certificate) = certificate {
            params.extend(certificates::described(&certificate));
            self.certificates.insert(row.clone(), certificate);
        }
        if !self.tree.model.has_object(&row) {
            let holder = crate::datamodel::path::parent(&row);
            let known = own && holder.is_some_and(|table| self.tree.model.has_object(table));
            let Some(object) = Object::of(&row).filter(|_| known) else {
                // It, or what it stood in, has left the configuration.
                self.touched.insert(row);
                return;
            };
            self.tree.put_row(object, &row, &BTreeMap::new());
        }
        for (name, value) in params {
            self.tree.put(&format!("{row}{name}"), &value);
        }
    }

    /// Subscriptions of controllers that have left the configuration end (TP-469 1.78).
    fn end_orphans(&mut self) {
        for row in self.tree.rows(SUBSCRIPTIONS) {
            let recipient = as_object(self.tree.value(&format!("{row}Recipient")).unwrap_or(""));
            if !self.tree.model.has_object(&recipient) {
                self.delete(&row);
            }
        }
    }

    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The endpoint of a controller's row, such as a subscription's Recipient names.
    pub fn controller_of(&self, row: &str) -> Option<&str> {
        self.tree.value(&format!("{}EndpointID", as_object(row)))
    }

    /// The row of a controller.
    pub fn row_of(&self, controller: &EndpointId) -> Option<String> {
        self.row_named(controller.as_str())
    }

    fn row_named(&self, endpoint: &str) -> Option<String> {
        let mut rows = self.tree.rows(CONTROLLERS).into_iter();
        rows.find(|row| self.controller_of(row) == Some(endpoint))
    }

    /// The controller of this name with its row, if there is one that is enabled.
    pub fn controller(&self, endpoint: &str) -> Option<(EndpointId, String)> {
        let row = self.row_named(endpoint)?;
        let enabled = self.tree.is(&format!("{row}Enable"));
        Some((EndpointId::parse(endpoint).ok().filter(|_| enabled)?, row))
    }

    /// All controllers that are enabled.
    pub fn controllers(&self) -> impl Iterator<Item = EndpointId> {
        let rows = self.tree.rows(CONTROLLERS).into_iter();
        let enabled = rows.filter(|row| self.tree.is(&format!("{row}Enable")));
        enabled.filter_map(|row| EndpointId::parse(self.controller_of(&row)?).ok())
    }

    /// The waits of retries to a controller (R-NOT.1).
    pub fn retry_of(&self, controller: &EndpointId) -> Retry {
        let row = self.row_of(controller).unwrap_or_default();
        let (number, usual) = (|name: &str| self.tree.number(&format!("{row}{name}")), Retry::default());
        Retry {
            minimum: number("USPNotifRetryMinimumWaitInterval").unwrap_or(usual.minimum),
            multiplier: number("USPNotifRetryIntervalMultiplier").unwrap_or(usual.multiplier),
        }
    }

    /// How sessions with a controller are to be.
    pub fn session_policy(&self, controller: &EndpointId) -> Policy {
        let row = self.row_of(controller).unwrap_or_default();
        session::policy(|name| self.tree.value(&format!("{row}E2ESession.{name}")))
    }

    /// Shows how the session with a controller stands.
    pub fn set_session(&mut self, controller: &EndpointId, status: &str, retries: u32) {
        let Some(row) = self.row_of(controller) else { return };
        self.tree.put(&format!("{row}E2ESession.Status"), status);
        self.tree.put(&format!("{row}E2ESession.CurrentRetryCount"), &retries.to_string());
    }

    /// What a controller may do.
    pub fn access_of(&self, controller: &EndpointId) -> Arc<Access> {
        self.row_of(controller).map_or_else(Arc::default, |row| self.access_of_row(&row))
    }

    /// What the controller in a row may do.
    pub fn access_of_row(&self, row: &str) -> Arc<Access> {
        let row = as_object(row);
        let mut known = self.access.borrow_mut();
        let compile = |row: &String| {
            let access = access::compile(row, &self.tree).at(self.stage);
            match self.controller_of(row).and_then(|it| EndpointId::parse(it).ok()) {
                Some(controller) => Arc::new(access.bound(&self.ownership, controller)),
                None => Arc::new(access),
            }
        };
        Arc::clone(known.entry(row).or_insert_with_key(compile))
    }

    /// The device is at this stage from now on.
    pub fn set_stage(&mut self, stage: Stage) {
        if self.stage != stage {
            self.stage = stage;
            self.access.get_mut().clear();
        }
    }

    /// Who asks and what time it is, for the requests that follow.
    pub fn acting_for(&mut self, asker: Option<&EndpointId>, wall: WallTime) {
        self.asker = asker.cloned();
        self.tree.wall = wall;
    }

    /// The rows of controllers that may need an OnBoardRequest since this was last asked.
    pub fn take_new_controllers(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.new_controllers)
    }

    /// Whether the controller in a row is enabled, and an MTP leads there.
    pub fn is_reachable(&self, row: &str) -> bool {
        let leads = |mtp: &String| self.tree.is(&format!("{mtp}Enable"));
        self.tree.is(&format!("{row}Enable")) && self.tree.rows(&format!("{row}MTP.")).iter().any(leads)
    }

    /// The subscriptions that are enabled.
    pub fn subscriptions(&self) -> &[Subscription] {
        &self.subscriptions
    }

    /// Whether what becomes different is kept as news.
    pub fn watch(&mut self, on: bool) {
        self.tree.model.watch(on);
    }

    /// What became different since this was last asked.
    pub fn take_news(&mut self) -> Vec<News> {
        self.tree.model.take_news()
    }

    /// Takes the changes that are to be made durable.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let touched = std::mem::take(&mut self.touched).into_iter();
        let template = &self.template.tree;
        let changes = touched.flat_map(|row| {
            let certificate = self.certificates.get(&row);
            stored::changes(&row, &self.tree, template, certificate).collect::<Vec<_>>()
        });
        changes.collect()
    }

    /// When time ends a subscription next.
    pub fn next_end(&self) -> Option<WallTime> {
        self.lifetimes.iter().filter_map(|it| it.ends_at).min()
    }

    /// A restart of the device ends the subscriptions that are not persistent; time ends others.
    pub fn end_subscriptions(&mut self, ends: impl Fn(&Lifetime) -> bool) {
        let ended: Vec<u32> = self.lifetimes.iter().filter(|it| ends(it)).map(|it| it.instance).collect();
        for instance in ended {
            self.delete(&format!("{SUBSCRIPTIONS}{instance}."));
        }
    }

    /// Adds the Request row of an operation and gives its path.
    pub fn add_request(&mut self, params: &BTreeMap<String, String>) -> Option<(u32, String)> {
        let object = Object::of_table(REQUESTS)?;
        if self.tree.model.instances(REQUESTS).len() >= object.max_rows() {
            return None;
        }
        let instance = self.fresh(REQUESTS);
        let row = format!("{REQUESTS}{instance}.");
        self.tree.put_row(object, &row, params);
        self.touch(&row);
        Some((instance, row))
    }

    /// Whether the rows of firmware images are the gateway's.
    pub fn has_firmware_images(&self) -> bool {
        self.tree.model.has_object(FIRMWARE_IMAGES)
    }

    /// From now on they are, or are not.
    pub fn hold_firmware_images(&mut self, on: bool) {
        let Some(holder) = Object::of("Device.DeviceInfo.") else { return };
        self.tree.hold(holder, on);
        let rows = Object::of_table(FIRMWARE_IMAGES).filter(|_| on);
        for (object, number) in rows.into_iter().flat_map(|rows| [(rows, 1), (rows, 2)]) {
            self.tree.put_row(object, &format!("{FIRMWARE_IMAGES}{number}."), &BTreeMap::new());
        }
    }

    /// Shows what is in them; it is kept elsewhere.
    pub fn show_firmware_images(&mut self, shown: &[(String, String)]) {
        for (name, value) in shown {
            if self.tree.value(name) != Some(value) {
                self.tree.put(name, value);
            }
        }
    }

    pub fn set_request_status(&mut self, instance: u32, status: &str) {
        self.put(&format!("{REQUESTS}{instance}.Status"), status);
    }

    pub fn remove_request(&mut self, instance: u32) {
        self.delete(&format!("{REQUESTS}{instance}."));
    }

    /// Sets a parameter, whoever may write it.
    pub fn put(&mut self, name: &str, text: &str) {
        self.tree.put(name, text);
        self.touch(name);
    }

    /// The number of a new row; numbers are not used again while the agent is up, and never those that the
    /// configuration may come to use.
    pub(super) fn fresh(&mut self, table: &str) -> u32 {
        let highest = self.tree.model.instances(table).last().copied().unwrap_or(0);
        let shared = !self.template.tree.model.instances(table).is_empty();
        let first = if shared { FIRST_OWN } else { 1 };
        let next = self.next.get(table).copied().unwrap_or(first).max(highest + 1);
        self.next.insert(table.to_owned(), next + 1);
        next
    }

    /// Something at or below a path has changed: its row is to be stored, and what was read from it is void.
    pub(super) fn touch(&mut self, name: &str) {
        self.touched.insert(row_of(name).to_owned());
        if name.starts_with(SUBSCRIPTIONS) {
            self.follow_changes();
        }
        if let Some(below) = name.strip_prefix(CONTROLLERS) {
            let decides =
                name.ends_with('.') || below.ends_with("Enable") || below.ends_with("OnBoardingComplete");
            if let Some((number, _)) = below.split_once('.').filter(|_| decides) {
                self.new_controllers.insert(format!("{CONTROLLERS}{number}."));
            }
        }
        if name == ways::COLLECTS {
            self.show_collecting();
        }
        self.rerouted |= ways::concerns(name);
        if name.starts_with(CONTROLLERS) || name.starts_with("Device.LocalAgent.ControllerTrust.") {
            self.access.get_mut().clear();
        }
        if trust::concerns(name) {
            self.inherit_anew();
        }
    }

    /// How controllers are met, if that may be otherwise than when this was last asked: `None` inside is as
    /// the configuration says.
    pub fn take_ways(&mut self) -> Option<Option<Ways>> {
        if !std::mem::take(&mut self.rerouted) {
            return None;
        }
        let now = ways::read(&self.tree, &self.certificates, &self.egress);
        let mut tree = self.template.tree.clone();
        self.template.fill(&mut tree, &self.endpoint);
        let is_there = |controller: &EndpointId| self.controller(controller.as_str()).is_some();
        let configured = ways::read(&tree, &self.template.certificates, &self.egress);
        let own = !now.lack_only_gone_controllers(&configured, is_there);
        self.show_links();
        Some(own.then_some(now))
    }

    /// What is known of the connections has changed. Gives those that came up.
    pub fn set_links(&mut self, links: BTreeMap<LinkKey, LinkState>) -> Vec<LinkKey> {
        let was_up = |key: &LinkKey| self.links.get(key).is_some_and(LinkState::is_up);
        let came = links.iter().filter(|(key, state)| state.is_up() && !was_up(key)).map(|(key, _)| *key);
        let came = came.collect();
        for (key, state) in &links {
            if let (LinkKey::Mqtt(number), Some(assigned)) = (key, &state.client_id) {
                // R-MQTT.9.
                let name = format!("{}{number}.ClientID", ways::CLIENTS);
                if self.tree.value(&name).is_some_and(|current| current != assigned) {
                    self.put(&name, assigned);
                }
            }
        }
        if std::mem::replace(&mut self.links, links).is_empty() {
            // What an agent that has just been woken is told is no news.
            self.tree.model.watch(false);
        }
        self.show_links();
        came
    }

    /// Whether there is such a connection.
    pub fn has_link(&self, key: LinkKey) -> bool {
        self.links.contains_key(&key)
    }

    /// What was said of the ways did not become true.
    pub fn reroute(&mut self) {
        self.rerouted = true;
    }

    /// Status parameters are not stored: they are told anew whenever the agent is woken.
    fn show_links(&mut self) {
        for (name, value) in ways::statuses(&self.tree, &self.links) {
            self.tree.put(&name, &value);
        }
    }

    /// What of the agent's own objects no event tells is read when somebody asks.
    pub fn show_moment(&mut self, up_seconds: u64) {
        self.tree.put("Device.LocalAgent.UpTime", &up_seconds.to_string());
        for (name, count) in ways::traffic(&self.tree, &self.links) {
            self.tree.put(&name, &count);
        }
    }

    fn show_collecting(&mut self) {
        let status = if self.tree.is(ways::COLLECTS) { "Enabled" } else { "Disabled" };
        self.tree.put("Device.BulkData.Status", status);
    }

    fn follow_changes(&mut self) {
        let rows = self.tree.model.instances(SUBSCRIPTIONS).into_iter();
        self.subscriptions = rows.clone().filter_map(|row| Subscription::read(&self.tree, row)).collect();
        self.lifetimes = rows.map(|row| Lifetime::read(&self.tree, row)).collect();
        self.resubscribed = true;
    }

    pub fn take_resubscribed(&mut self) -> bool {
        std::mem::take(&mut self.resubscribed)
    }
}

/// The first number that an agent gives in tables where the configuration has rows too.
const FIRST_OWN: u32 = 101;
/// The tables that are used by name.
pub(super) const CONTROLLERS: &str = "Device.LocalAgent.Controller.";
pub(super) const SUBSCRIPTIONS: &str = "Device.LocalAgent.Subscription.";
pub(in crate::agent) const THRESHOLDS: &str = "Device.LocalAgent.Threshold.";
const REQUESTS: &str = "Device.LocalAgent.Request.";
