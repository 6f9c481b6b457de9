//! What of `ManagementServer` the gateway has otherwise on the CPE than the ACS has set it: the ACS reads what it
//! would read without the gateway, and what it writes of it is answered by the CPE and yet kept from it. A write of
//! nothing else is turned into one of what the CPE has already, so that the CPE answers it, and keeps its
//! ParameterKey, as it would have.

use crate::agent::{self, Env};
use crate::cwmp::rpc::{Array, ParameterValueStruct, Request, Response, SetParameterValues};
use crate::cwmp::soap::{self, Edit, Item, Limits};
use crate::durable::{Change, Entry, Kind};
use crate::policy::UrlWrite;

use super::device::Device;
use super::io::{AcsReply, Output};
use super::session::{Phase, Session};
use super::virtualised::edited_text;

/// What the ACS has set of it, where that is not what the CPE has.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// `ManagementServer.URL`, other than the one that it is known to set.
    url: Option<String>,
}

impl Reach {
    pub fn restore(entries: &[Entry]) -> Self {
        let kept = entries.iter().find(|entry| entry.kind == Kind::Reach && entry.key == URL_KEY);
        let url = kept.and_then(|entry| serde_json::from_slice::<(u8, Option<String>)>(&entry.value).ok());
        Self { url: url.filter(|(format, _)| *format == FORMAT).and_then(|(_, url)| url) }
    }
}

/// The name of a parameter below `ManagementServer`, of either data model.
pub(super) fn management(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("Device.").or_else(|| name.strip_prefix("InternetGatewayDevice."))?;
    rest.strip_prefix("ManagementServer.")
}

impl Device {
    /// Whether anything of it may be otherwise than the ACS has set it.
    pub(super) fn has_own_reach(&self) -> bool {
        self.config.acs_calls.is_some()
            || self.config.takeover.is_some()
            || self.agent.own_credentials().is_some()
    }

    /// What the ACS is told of a parameter that the CPE says to have this value; `None`: the CPE's own word.
    pub(super) fn reach_for_acs(&self, name: &str, value: &str) -> Option<String> {
        match management(name)? {
            "ConnectionRequestURL" => self.address_for_acs().filter(|_| !value.is_empty()),
            "URL" => {
                let takeover = self.config.takeover.as_ref()?;
                takeover.for_acs(value, self.reach.url.as_deref()).map(str::to_owned)
            }
            "ConnectionRequestUsername" => {
                let (ours, _) = self.agent.own_credentials().filter(|(ours, _)| ours == value)?;
                let told = self.calls.username().or_else(|| self.agent.username_before());
                told.filter(|told| *told != ours).map(str::to_owned)
            }
            _ => None,
        }
    }

    /// What the CPE is to have in place of what the ACS writes; `None`: it gets what the ACS writes.
    fn kept_from_cpe(&self, name: &str, value: &str) -> Option<String> {
        match management(name)? {
            "URL" => {
                let takeover = self.config.takeover.as_ref()?;
                let kept = match takeover.judge(value) {
                    UrlWrite::Acs => true,
                    UrlWrite::Other => takeover.holds_others,
                    UrlWrite::Gateway => false,
                };
                kept.then(|| takeover.gateway().to_owned())
            }
            "ConnectionRequestUsername" => Some(self.agent.own_credentials()?.0),
            "ConnectionRequestPassword" => Some(self.agent.own_credentials()?.1),
            _ => None,
        }
    }

    /// Takes out of an RPC of the ACS's what the CPE is not to be told. Returns whether there was anything.
    pub(super) fn keep_from_cpe(
        &self,
        reply: &mut AcsReply,
        request: Option<&Request<'static>>,
        out: &mut Vec<Output>,
    ) -> bool {
        let Some(Request::SetParameterValues(set)) = request else { return false };
        if !self.has_own_reach() || !self.splices() {
            return false;
        }
        let kept = |it: &ParameterValueStruct<'_>| self.kept_from_cpe(&it.name, &it.value);
        let instead: Vec<Option<String>> = set.parameter_list.iter().map(kept).collect();
        if instead.iter().all(Option::is_none) {
            return false;
        }
        let all = instead.iter().all(Option::is_some);
        let edits = |text: &str| {
            if all {
                let values = set.parameter_list.iter().zip(&instead);
                let edit = |(it, instead): (&ParameterValueStruct<'_>, &Option<String>)| {
                    let text = soap::escape(instead.as_deref()?);
                    Some(Edit { range: it.value_span.clone(), text })
                };
                return Ok(values.filter_map(edit).collect());
            }
            let names: Vec<&str> = set
                .parameter_list
                .iter()
                .zip(&instead)
                .filter_map(|(it, instead)| instead.is_some().then_some(&*it.name))
                .collect();
            let goes = |item: &Item<'_>| names.contains(&item.text("Name"));
            soap::drop_items(text, &Limits::default(), "ParameterList", &goes)
        };
        let body = edited_text(reply.text(), reply.content_type(), edits);
        let kept = body.is_some();
        match body {
            Some(body) => reply.edit(body),
            None => out.push(Output::Log(
                "the ACS writes over what the gateway has set: its message cannot be edited".into(),
            )),
        }
        kept
    }

    /// What of a SetParameterValues the CPE has been told.
    fn without_kept(&self, set: &SetParameterValues<'static>) -> SetParameterValues<'static> {
        let told = set.parameter_list.iter().filter(|it| self.kept_from_cpe(&it.name, &it.value).is_none());
        SetParameterValues {
            parameter_list: Array(told.cloned().collect()),
            parameter_key: set.parameter_key.clone(),
        }
    }

    /// The CPE has carried out the ACS's SetParameterValues, or what it was told of it.
    pub(super) fn acs_has_set(
        &mut self,
        env: &Env,
        set: &SetParameterValues<'static>,
        response: &Response<'_>,
        out: &mut Vec<Output>,
    ) {
        let kept = matches!(&self.session, Some(Session { phase: Phase::Relayed(it), .. }) if it.kept);
        let told = if kept { self.without_kept(set) } else { set.clone() };
        self.learn_credentials(set, out);
        self.learn_reach(set, kept, out);
        self.tell(env, agent::Input::Observed { request: &Request::SetParameterValues(told), response }, out);
    }

    /// The CPE has answered the ACS's SetParameterValues; `kept`: the CPE has not been told all of it.
    fn learn_reach(&mut self, set: &SetParameterValues<'_>, kept: bool, out: &mut Vec<Output>) {
        let url = set.parameter_list.iter().rev().find(|it| management(&it.name) == Some("URL"));
        let (Some(url), Some(takeover)) = (url, &self.config.takeover) else { return };
        let write = takeover.judge(&url.value);
        // What the CPE itself has now is told truthfully, but for the gateway's.
        let shown = Some(url.value.to_string()).filter(|_| kept || write == UrlWrite::Gateway);
        if write == UrlWrite::Other {
            out.push(Output::Departure { url: url.value.to_string(), held: kept });
        }
        if shown != self.reach.url {
            self.reach.url = shown;
            let value = serde_json::to_vec(&(FORMAT, &self.reach.url)).unwrap_or_default();
            self.persist_own(vec![Change::put(Kind::Reach, URL_KEY, value)], out);
        }
    }
}

/// The key of what the ACS has set of the URL.
const URL_KEY: &str = "url";
/// Version of its stored form.
const FORMAT: u8 = 1;
