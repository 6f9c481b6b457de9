//! `Device.BulkData.`: collects what profiles select when they say so, and hands the reports on (TR-369
//! Annex A): as `Push!` events, or to a collector over HTTP, again and again until it has them (R-BULK.2).
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
use super::io::{Env, Output, Shadow, Upload, UploadId};
use super::local::{Delivery, Http, Profile, Subscription};
use super::queue::{Job, Work};

/// Reports on their way to collectors, by the instance of their profile.
#[derive(Debug, Default)]
pub(super) struct BulkData {
    going: BTreeMap<u32, Going>,
}

/// What a collector has not taken yet: the last report is the one of this interval.
#[derive(Debug)]
struct Going {
    waiting: Vec<Report>,
    upload: Sending,
}

/// The upload of what waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    /// Given up until the next interval.
    Idle,
    /// Under way; the number of tries before it.
    Sent { id: UploadId, tries: u32 },
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
        let since = WallTime(env.wall.0.saturating_sub(profile.schedule.interval.saturating_mul(1_000)));
        let selected = self.selected(shadow, &profile);
        let items = selected.into_iter().filter_map(|(param, name)| self.item(shadow, &param, name, since));
        let report = Report { collected_at: env.wall, items: items.collect() };
        match &profile.delivery {
            Delivery::Push => {
                let data = profile.encoding.encode(std::slice::from_ref(&report));
                let data = String::from_utf8_lossy(&data).into_owned();
                let object = format!("Device.BulkData.Profile.{instance}.");
                let params = |_: &Subscription| [("Data".to_owned(), data.clone())].into();
                let told = self.about_event(shadow, &object, "Push!", params);
                self.tell(env, told, out);
            }
            Delivery::Http(_) => self.keep_report(env, shadow, &profile, report, out),
        }
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
        let going = self.bulk.going.entry(profile.instance);
        let going = going.or_insert_with(|| Going { waiting: Vec::new(), upload: Sending::Idle });
        // Reports of earlier intervals that were not taken are kept as far as the profile wants them.
        let most = profile.retained.map_or(MAX_RETAINED, |wanted| wanted.min(MAX_RETAINED));
        let surplus = going.waiting.len().saturating_sub(most);
        going.waiting.drain(..surplus);
        going.waiting.push(report);
        // R-BULK.4: a new interval begins to count anew.
        going.upload = Sending::Again { at: env.now, tries: 0 };
        self.send_reports(env, shadow, profile, out);
    }

    fn send_reports(&mut self, env: &Env, shadow: &Shadow, profile: &Profile, out: &mut Vec<Output>) {
        let Delivery::Http(http) = &profile.delivery else { return };
        let Some(Going { upload: Sending::Again { at, tries }, .. }) = self.bulk.going.get(&profile.instance)
        else {
            return;
        };
        let tries = *tries;
        if *at > env.now {
            return;
        }
        let url = self.upload_url(shadow, profile, http);
        self.next += 1;
        let id = UploadId(self.next);
        let Some(going) = self.bulk.going.get_mut(&profile.instance) else { return };
        going.upload = Sending::Sent { id, tries };
        out.push(Output::Upload(Upload {
            id,
            url,
            method: http.method,
            media_type: profile.encoding.media_type(),
            layout: profile.encoding.layout(),
            gzip: http.gzip,
            date: http.date,
            credentials: http.credentials.clone(),
            body: Bytes::from(profile.encoding.encode(&going.waiting)),
        }));
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
        result: Result<(), String>,
        out: &mut Vec<Output>,
    ) {
        let mut going = self.bulk.going.iter_mut();
        let sent = |it: &Going| matches!(it.upload, Sending::Sent { id: sent, .. } if sent == id);
        let Some((instance, going)) = going.find(|(_, it)| sent(it)) else { return };
        let (instance, Sending::Sent { tries, .. }) = (*instance, going.upload) else { return };
        let Err(why) = result else {
            self.bulk.going.remove(&instance);
            return;
        };
        out.push(Output::Log(format!("bulk data profile {instance}: a report was not taken: {why}")));
        let profile = self.local.profile(instance);
        let retry = profile.as_ref().and_then(|profile| match &profile.delivery {
            Delivery::Http(http) => http.retry,
            Delivery::Push => None,
        });
        let kept = profile.is_some_and(|profile| profile.retained != Some(0));
        going.upload = match retry {
            Some(retry) => {
                Sending::Again { at: env.now + retry.wait_ms(tries + 1, env.seed), tries: tries + 1 }
            }
            None => Sending::Idle,
        };
        if retry.is_none() && !kept {
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
        for (name, reference) in &http.uri_parameters {
            let Ok(expr) = PathExpr::parse(reference) else { continue };
            for param in self.readable(shadow, profile, &expr) {
                let value = self.local.tree().value(&param).or_else(|| shadow.cpe.value(&param));
                add(if name.is_empty() { &param } else { name }, value.unwrap_or(""));
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
