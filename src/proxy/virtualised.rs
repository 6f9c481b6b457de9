//! What the ACS sees of a CPE that has a second master: notification attributes as it set them, no word of what
//! only USP watches, and a value change for what USP wrote and it watches. Where nothing is virtualised a body
//! leaves as it came.

use bytes::Bytes;
use compact_str::CompactString;

use crate::agent::Agent;
use crate::cwmp::rpc::{EventStruct, Inform, ParameterValueStruct, Request, Response};
use crate::cwmp::soap::{self, Edit, Limits, Message, Reshape, SoapError};
use crate::policy::Attributes;
use crate::transport::http::{Headers, without_auth_int};

use super::io::Post;
use super::session::HeldInform;

/// What of an Inform is said otherwise.
struct ForAcs {
    /// What the ACS is told of by it that it was owed.
    told: Vec<CompactString>,
    drop_change: bool,
    add_change: bool,
    added: Vec<ParameterValueStruct<'static>>,
    drops: bool,
}

impl ForAcs {
    /// `None`: the Inform passes as it is.
    fn of(agent: &Agent, HeldInform { inform, events, .. }: &HeldInform) -> Option<Self> {
        let attributes = agent.attributes();
        if attributes.is_empty() {
            return None;
        }
        let names = || inform.parameter_list.iter().map(|parameter| &*parameter.name);
        let drops = names().any(|name| attributes.is_for_usp_alone(name));
        let told: Vec<CompactString> = attributes.owed().map(|(name, _)| name.clone()).collect();
        if !drops && told.is_empty() {
            return None;
        }
        // The CPE's own word of a parameter is newer than ours.
        let owed = attributes.owed().filter(|(name, _)| !names().any(|known| known == name.as_str()));
        let added: Vec<ParameterValueStruct<'static>> = owed
            .map(|(name, owed)| ParameterValueStruct {
                name: name.to_string().into(),
                value: owed.value.clone().into(),
                value_type: owed.value_type,
                value_span: 0..0,
            })
            .collect();
        let changed = has_change(inform);
        let for_acs = |parameter: &&ParameterValueStruct<'_>| !attributes.is_for_usp_alone(&parameter.name);
        let mut left = inform.parameter_list.iter().filter(for_acs);
        let nothing_new = left.all(|parameter| attributes.is_usual(&parameter.name, &parameter.value));
        // An Inform needs an event, and this one is true: something has changed.
        let spare = *events > 1;
        let drop_change = changed && drops && told.is_empty() && nothing_new && spare;
        let add_change = !changed && !told.is_empty();
        Some(Self { told, drop_change, add_change, added, drops })
    }

    /// The Inform as the ACS gets it.
    fn reshape(&self, attributes: &Attributes, post: &Post, restated: &Restated) -> Option<Bytes> {
        if !self.drops && self.added.is_empty() && !self.add_change {
            return restated.replaced(post);
        }
        let change = EventStruct { event_code: VALUE_CHANGE.into(), command_key: "".into() };
        let reshape = Reshape {
            drop_event: &|event| self.drop_change && event.text("EventCode") == VALUE_CHANGE,
            add_events: if self.add_change { std::slice::from_ref(&change) } else { &[] },
            drop_parameter: &|name| attributes.is_for_usp_alone(name),
            add_parameters: &self.added,
        };
        edited(post, |text| {
            let mut edits = soap::reshape_inform(text, &Limits::default(), &reshape)?;
            edits.extend(restated.0.iter().cloned());
            edits.sort_by_key(|edit| edit.range.start);
            Ok(edits)
        })
    }
}

/// What a message states of the way between the ACS and the CPE that the ACS is told otherwise.
#[derive(Default)]
pub(super) struct Restated(Vec<Edit>);

impl Restated {
    /// `say` gives what the ACS is told of a parameter with this value; `None`: what stands there.
    pub fn of(message: &Message<'_>, say: impl Fn(&str, &str) -> Option<String>) -> Self {
        let list = match message {
            Message::Request(Request::Inform(inform)) => &inform.parameter_list,
            Message::Response(Response::GetParameterValuesResponse(response)) => &response.parameter_list,
            _ => return Self::default(),
        };
        let restated = list.iter().filter_map(|it| {
            let text = soap::escape(&say(&it.name, &it.value)?);
            Some(Edit { range: it.value_span.clone(), text })
        });
        Self(restated.collect())
    }

    /// The body as the ACS is told; `None`: as it is.
    pub fn replaced(&self, post: &Post) -> Option<Bytes> {
        if self.0.is_empty() {
            return None;
        }
        edited(post, |_| Ok(self.0.clone()))
    }
}

impl HeldInform {
    /// The Inform as the ACS gets it; `None`: as it came. Notes what the ACS is told by it.
    pub fn for_acs(&mut self, agent: &Agent, post: &Post, restated: &Restated) -> Option<Bytes> {
        let Some(for_acs) = ForAcs::of(agent, self) else { return restated.replaced(post) };
        let spliced = for_acs.reshape(agent.attributes(), post, restated);
        let changed = has_change(&self.inform);
        let own = |name: &CompactString| {
            changed && self.inform.parameter_list.iter().any(|it| it.name == name.as_str())
        };
        let told = for_acs.told.into_iter();
        self.told = told.filter(|name| spliced.is_some() || own(name)).collect();
        spliced
    }
}

/// The ACS's challenge to the CPE where bodies may have to change: a digest that covers them is not offered, as long
/// as there is another.
pub(super) fn spare_bodies(headers: &mut Headers) {
    headers.restate("www-authenticate", without_auth_int);
}

/// Whether an Inform tells that values have changed.
pub(super) fn has_change(inform: &Inform<'_>) -> bool {
    inform.event.iter().any(|event| event.event_code == VALUE_CHANGE)
}

/// A GetParameterAttributesResponse as the ACS gets it; `None`: as it is.
pub(super) fn attributes_for_acs(attributes: &Attributes, post: &Post) -> Option<Bytes> {
    if !attributes.differs() {
        return None;
    }
    let say = |name: &str, said| attributes.for_acs(name, said);
    edited(post, |text| soap::restate_attributes(text, &Limits::default(), &say))
}

/// The body with edits; `None` where there are none, or must be none: of text that was transcoded the places are not
/// known, and what the CPE has hashed (auth-int) must stay.
pub(super) fn edited(post: &Post, edits: impl FnOnce(&str) -> Result<Vec<Edit>, SoapError>) -> Option<Bytes> {
    let says = |value: &Bytes| value.windows(AUTH_INT.len()).any(|part| part.eq_ignore_ascii_case(AUTH_INT));
    if post.headers.iter().any(|(name, value)| name.eq_ignore_ascii_case("authorization") && says(value)) {
        return None;
    }
    edited_text(&post.body, post.content_type(), edits)
}

/// The same of a body that nobody has hashed.
pub(super) fn edited_text(
    body: &Bytes,
    content_type: Option<&str>,
    edits: impl FnOnce(&str) -> Result<Vec<Edit>, SoapError>,
) -> Option<Bytes> {
    let text = soap::decode_charset(body, content_type).ok()?;
    let (mark, rest) = body.split_at_checked(text.splice_offset()?)?;
    let edits = edits(&text).ok()?;
    (!edits.is_empty()).then(|| [mark, &soap::splice(rest, &edits)].concat().into())
}

const AUTH_INT: &[u8] = b"auth-int";
const VALUE_CHANGE: &str = "4 VALUE CHANGE";
