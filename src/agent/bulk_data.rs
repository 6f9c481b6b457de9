//! `Device.BulkData.`: collects what profiles select when they say so, and hands the reports on (TR-369
//! Annex A): as `Push!` events, to a collector over HTTP, again and again until it has them (R-BULK.2), or to
//! a broker over MQTT.
//!
//! Reports are metrics: those that wait for their collector do not survive a restart of the gateway.

use std::collections::BTreeMap;

use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::datamodel::{ValueType, WallTime};
use crate::telemetry::{Item, Report};
use crate::translation::{Models, Sample, readable_params};
use crate::usp::path::PathExpr;

use super::core::Agent;
use super::io::{Env, HttpUpload, Output, Publication, Shadow, Undelivered, Upload, UploadId, UploadWay};
use super::local::{Delivery, Http, Mqtt, Profile, Subscription};
use super::queue::{Job, Work};
use super::ways::LinkKey;

/// Reports on their way to collectors, by the instance of their profile.
#[derive(Debug, Default)]
pub(super) struct BulkData {
    going: BTreeMap<u32, Going>,
}

/// What a collector has not taken yet: the last report is the one of this interval.
#[derive(Debug)]
struct Going {
    waiting: Vec<Report>,
    /// Of the encoding that they were collected for.
    media_type: &'static str,
    upload: Sending,
}

/// The upload of what waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    /// Given up until the next interval.
    Idle,
    /// Under way: so many of what waits, after so many tries.
    Sent {
        id: UploadId,
        count: usize,
        tries: u32,
        /// The connection that it was to go over has come up since.
        came_up: bool,
    },
    /// To be tried again at this monotonic time.
    Again { at: u64, tries: u32 },
}

impl BulkData {
    /// When something is to be sent again, in monotonic milliseconds.
    pub fn next_deadline(&self) -> Option<u64> {
        let again = |going: &Going| match going.upload {
            Sending::Again { at, .. } => Some(at),
            Sending::Idle | Sending::Sent { .. } => None,
        };
        self.going.values().filter_map(again).min()
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.going.is_empty()
    }
}

impl Agent {
    /// Collects for the profiles whose time has come since `done`.
    pub(super) fn collect_due(&mut self, env: &Env, done: WallTime, shadow: &Shadow, out: &mut Vec<Output>) {
        let spread = self.spread();
        for profile in self.local.profiles() {
            let last = profile.schedule.last(env.wall, spread);
            let late = env.wall.0.saturating_sub(last.0);
            // An agent that was off at that time has missed it.
            if last > done && late <= MAX_LATE_MS {
                self.collect(env, shadow, &profile, out);
            }
        }
    }

    /// The next times of collection after `done`.
    pub(super) fn collections(&self, done: WallTime) -> Vec<WallTime> {
        let spread = self.spread();
        self.local.profiles().iter().map(|profile| profile.schedule.after(done, spread)).collect()
    }

    /// Has what the profile selects read from the CPE, in its next session.
    pub(super) fn collect(&mut self, env: &Env, shadow: &Shadow, profile: &Profile, out: &mut Vec<Output>) {
        let named = self.selected(shadow, profile).into_iter().map(|(param, _)| param);
        let uri = profile.uri_references().filter_map(|reference| PathExpr::parse(reference).ok());
        let extra = uri.flat_map(|expr| self.readable(shadow, profile, &expr));
        let cpe: Vec<String> = named.chain(extra).filter(|name| shadow.cpe.param(name).is_some()).collect();
        if cpe.is_empty() {
            return self.collected(env, shadow, profile.instance, out);
        }
        // What cannot be read before the next collection is due is not read for this one.
        let patience = profile.schedule.interval.saturating_mul(1_000).min(self.config.request_timeout_ms);
        let work = Work::Collect(profile.instance);
        if !self.queue.has(work) {
            self.queue.push(Job::new(None, Box::new(Sample::new(cpe)), env.now + patience, work));
            out.push(Output::WantSession);
        }
    }

    /// The values are there, as far as the CPE gave them: the report goes on its way.
    pub(super) fn collected(&mut self, env: &Env, shadow: &Shadow, instance: u32, out: &mut Vec<Output>) {
        let Some(profile) = self.local.profile(instance) else { return };
        let report = self.report(env, shadow, &profile);
        match &profile.delivery {
            Delivery::Push => {
                let data = profile.encoding.encode(std::slice::from_ref(&report));
                let data = String::from_utf8_lossy(&data).into_owned();
                let object = format!("Device.BulkData.Profile.{instance}.");
                let params = |_: &Subscription| [("Data".to_owned(), data.clone())].into();
                let told = self.about_event(shadow, &object, "Push!", params);
                self.tell(env, told, out);
            }
            Delivery::Http(_) | Delivery::Mqtt(_) => self.keep_report(env, shadow, &profile, report, out),
        }
    }

    fn report(&self, env: &Env, shadow: &Shadow, profile: &Profile) -> Report {
        let since = WallTime(env.wall.0.saturating_sub(profile.schedule.interval.saturating_mul(1_000)));
        let selected = self.selected(shadow, profile);
        let withheld = self.withheld(shadow, profile);
        let items = selected.into_iter().filter_map(|(param, name)| {
            let item = self.item(shadow, &param, name, since)?;
            // It reads as empty, as in the answer to a Get.
            Some(if withheld(&param) { Item { value: String::new(), ..item } } else { item })
        });
        Report { collected_at: env.wall, items: items.collect() }
    }

    fn item(&self, shadow: &Shadow, param: &str, name: String, since: WallTime) -> Option<Item> {
        let local = self.local.tree().model.param(param);
        let known = local.or_else(|| shadow.cpe.param(param))?.value.as_ref()?;
        // A value of an earlier interval is not what the device has now: it is left out.
        let fresh = local.is_some() || known.at >= since;
        fresh.then(|| Item {
            name,
            value: known.text.to_string(),
            value_type: known.value_type.unwrap_or(ValueType::String),
            at: if local.is_some() { self.local.tree().wall } else { known.at },
        })
    }

    /// The parameters that a profile reports, and the names for them, by the rights of its controller.
    fn selected(&self, shadow: &Shadow, profile: &Profile) -> Vec<(String, String)> {
        let mut names = BTreeMap::new();
        for selection in profile.selections.iter().filter(|selection| !selection.exclude) {
            for param in self.readable(shadow, profile, &selection.reference) {
                if let Some(name) = selection.name_of(&param)
                    && names.len() < MAX_PARAMETERS
                {
                    names.entry(param).or_insert(name);
                }
            }
        }
        // R-BULK.10a.
        let excluded = profile.selections.iter().filter(|selection| selection.exclude);
        for selection in excluded {
            names.retain(|param, _| selection.name_of(param).is_none());
        }
        names.into_iter().collect()
    }

    /// Whether the value of a parameter that may be read is withheld from the profile's controller.
    fn withheld<'a>(&'a self, shadow: &'a Shadow, profile: &Profile) -> impl Fn(&str) -> bool + use<'a> {
        let models = Models { cpe: &shadow.cpe, local: &self.local.tree().model };
        let access = self.local.access_of_row(&profile.controller);
        move |param| access.hides(param, models)
    }

    fn readable(&self, shadow: &Shadow, profile: &Profile, expr: &PathExpr) -> Vec<String> {
        let models = Models { cpe: &shadow.cpe, local: &self.local.tree().model };
        readable_params(expr, models, &self.local.access_of_row(&profile.controller))
    }

    fn keep_report(
        &mut self,
        env: &Env,
        shadow: &Shadow,
        profile: &Profile,
        report: Report,
        out: &mut Vec<Output>,
    ) {
        let media_type = profile.encoding.media_type();
        let going = self.bulk.going.entry(profile.instance);
        let going = going.or_insert_with(|| Going { waiting: Vec::new(), media_type, upload: Sending::Idle });
        // What is with MQTT stays there until the broker has it, or never will: sending it once more would only
        // bring it twice.
        let under_way = match (going.upload, &profile.delivery) {
            (Sending::Sent { count, .. }, Delivery::Mqtt(_)) => count,
            _ => 0,
        };
        if going.media_type != media_type && under_way == 0 {
            // Reports of another encoding are given up.
            going.waiting.clear();
        }
        going.media_type = media_type;
        // Reports of earlier intervals that were not taken are kept as far as the profile wants them.
        let most = profile.retained.map_or(MAX_RETAINED, |wanted| wanted.min(MAX_RETAINED));
        let surplus = going.waiting.len().saturating_sub(under_way + most);
        going.waiting.drain(under_way..under_way + surplus);
        going.waiting.push(report);
        if under_way == 0 {
            // R-BULK.4: a new interval begins to count anew.
            going.upload = Sending::Again { at: env.now, tries: 0 };
            self.send_reports(env, shadow, profile, out);
        }
    }

    fn send_reports(&mut self, env: &Env, shadow: &Shadow, profile: &Profile, out: &mut Vec<Output>) {
        let Some(Going { upload: Sending::Again { at, tries }, .. }) = self.bulk.going.get(&profile.instance)
        else {
            return;
        };
        let tries = *tries;
        if *at > env.now {
            return;
        }
        let way = match &profile.delivery {
            Delivery::Push => return,
            Delivery::Http(http) => UploadWay::Http(HttpUpload {
                url: self.upload_url(shadow, profile, http),
                method: http.method,
                media_type: profile.encoding.media_type(),
                layout: profile.encoding.layout(),
                gzip: http.gzip,
                date: http.date,
                credentials: http.credentials.clone(),
            }),
            Delivery::Mqtt(mqtt) => UploadWay::Mqtt(Publication {
                link: mqtt.link,
                topic: mqtt.topic.clone(),
                qos: mqtt.qos,
                retain: mqtt.retain,
                media_type: profile.encoding.media_type(),
            }),
        };
        self.next += 1;
        let id = UploadId(self.next);
        let Some(going) = self.bulk.going.get_mut(&profile.instance) else { return };
        going.upload = Sending::Sent { id, count: going.waiting.len(), tries, came_up: false };
        let body = Bytes::from(profile.encoding.encode(&going.waiting));
        out.push(Output::Upload(Upload { id, way, body }));
    }

    /// These connections came up: what could not be sent over them is sent now.
    pub(super) fn send_over(&mut self, env: &Env, shadow: &Shadow, links: &[LinkKey], out: &mut Vec<Output>) {
        if links.is_empty() || self.bulk.is_empty() {
            return;
        }
        for profile in self.local.profiles() {
            let Delivery::Mqtt(Mqtt { link, .. }) = &profile.delivery else { continue };
            let going = self.bulk.going.get_mut(&profile.instance).filter(|_| links.contains(link));
            match going.map(|going| &mut going.upload) {
                Some(upload @ Sending::Idle) => *upload = Sending::Again { at: env.now, tries: 0 },
                // That it failed may be heard of after this.
                Some(Sending::Sent { came_up, .. }) => *came_up = true,
                Some(Sending::Again { .. }) | None => continue,
            }
            self.send_reports(env, shadow, &profile, out);
        }
    }

    /// Tries again what is due, and forgets what nobody wants any more.
    pub(super) fn retry_uploads(&mut self, env: &Env, shadow: &Shadow, out: &mut Vec<Output>) {
        if self.bulk.is_empty() {
            return;
        }
        let profiles = self.local.profiles();
        self.bulk.going.retain(|instance, _| profiles.iter().any(|profile| profile.instance == *instance));
        for profile in &profiles {
            self.send_reports(env, shadow, profile, out);
        }
    }

    /// The collector has the reports, or why it has not.
    pub(super) fn uploaded(
        &mut self,
        env: &Env,
        id: UploadId,
        result: Result<(), Undelivered>,
        out: &mut Vec<Output>,
    ) {
        let mut going = self.bulk.going.iter_mut();
        let sent = |it: &Going| matches!(it.upload, Sending::Sent { id: sent, .. } if sent == id);
        let Some((instance, going)) = going.find(|(_, it)| sent(it)) else { return };
        let (instance, Sending::Sent { count, tries, came_up, .. }) = (*instance, going.upload) else {
            return;
        };
        let Err(why) = result else {
            going.waiting.drain(..count.min(going.waiting.len()));
            // What was collected meanwhile follows.
            going.upload = Sending::Again { at: env.now, tries: 0 };
            if going.waiting.is_empty() {
                self.bulk.going.remove(&instance);
            }
            return;
        };
        out.push(Output::Log(format!("bulk data profile {instance}: a report was not taken: {why}")));
        let profile = self.local.profile(instance);
        let delivery = profile.as_ref().map(|profile| &profile.delivery);
        let over_mqtt = matches!(delivery, Some(Delivery::Mqtt(_)));
        going.upload = match (delivery, why) {
            // The oldest are given up until the newest can be sent.
            (Some(_), Undelivered::TooLarge(_)) if going.waiting.len() > 1 => {
                going.waiting.remove(0);
                Sending::Again { at: env.now, tries }
            }
            (Some(Delivery::Http(Http { retry: Some(retry), .. })), _) => {
                Sending::Again { at: env.now + retry.wait_ms(tries + 1, env.seed), tries: tries + 1 }
            }
            (Some(Delivery::Mqtt(_)), _) if came_up => Sending::Again { at: env.now, tries },
            _ => Sending::Idle,
        };
        // Over MQTT the report of this interval waits for the connection; without retries over HTTP it is kept
        // for the next interval, or not at all.
        let kept = profile.is_some_and(|profile| over_mqtt || profile.retained != Some(0));
        if going.upload == Sending::Idle && !kept {
            self.bulk.going.remove(&instance);
        }
    }

    /// R-BULK.1: the device is named in the query, then what the profile adds.
    fn upload_url(&self, shadow: &Shadow, profile: &Profile, http: &Http) -> String {
        let device = &self.stored.device;
        let mut url = http.url.clone();
        let mut separator = if url.contains('?') { '&' } else { '?' };
        let mut add = |name: &str, value: &str| {
            let (name, value) = (utf8_percent_encode(name, QUERY), utf8_percent_encode(value, QUERY));
            url.push_str(&format!("{separator}{name}={value}"));
            separator = '&';
        };
        add("oui", &device.oui);
        add("pc", &device.product_class);
        add("sn", &device.serial_number);
        add("eid", self.endpoint.as_str());
        let withheld = self.withheld(shadow, profile);
        for (name, reference) in &http.uri_parameters {
            let Ok(expr) = PathExpr::parse(reference) else { continue };
            for param in self.readable(shadow, profile, &expr) {
                let value = self.local.tree().value(&param).or_else(|| shadow.cpe.value(&param));
                let value = value.filter(|_| !withheld(&param)).unwrap_or("");
                add(if name.is_empty() { &param } else { name }, value);
            }
        }
        url
    }
}

/// How late a collection may be and still be made.
const MAX_LATE_MS: u64 = 60_000;
/// Parameters in one report.
const MAX_PARAMETERS: usize = 5_000;
/// Reports of one profile that wait for their collector.
const MAX_RETAINED: usize = 16;
/// What is written as it is in a query: RFC 3986's unreserved characters.
const QUERY: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'/')
    .add(b':')
    .add(b';')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'@')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');
