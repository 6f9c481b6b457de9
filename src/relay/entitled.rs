//! What of a CPE's Inform the ACS is entitled to. Only an Inform of which nothing is may be answered by the gateway,
//! be it that the ACS is down or that only USP has called the CPE; no other gets an InformResponse that the ACS has
//! not given, so that the CPE keeps its events and tells them again.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::cwmp::rpc::{EventStruct, Inform};

/// What the ACS has acknowledged last of a CPE, and how: kept durably, since an outage may outlast us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// A digest of the Inform's parameters with their values.
    parameters: [u8; DIGEST],
    /// The version of CWMP that the ACS chose, where it chose one.
    pub use_cwmp_version: Option<String>,
}

/// Why an Inform must wait for the ACS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owed {
    /// This event is the ACS's to acknowledge; empty for an Inform without events.
    Event(String),
    /// The CPE comes because of a connection request that is not known to be ours.
    Call,
    /// The CPE repeats a session that failed, with events that may have been the ACS's.
    Retry,
    /// A parameter of the Inform is not as the ACS saw it last.
    Parameters,
    /// The ACS has never acknowledged this CPE.
    Stranger,
}

/// What the ACS is shown of a parameter, by its name and value; `None`: it is not told of it.
pub type Shown<'s> = &'s dyn for<'v> Fn(&str, &'v str) -> Option<Cow<'v, str>>;

impl Acknowledged {
    pub fn of(inform: &Inform<'_>, shown: Shown<'_>, use_cwmp_version: Option<&str>) -> Self {
        Self { parameters: digest(inform, shown).0, use_cwmp_version: use_cwmp_version.map(str::to_owned) }
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let version = self.use_cwmp_version.as_deref().unwrap_or("");
        [&[FORMAT], &self.parameters[..], version.as_bytes()].concat()
    }

    /// Reads the stored form; of another format nothing is known.
    pub fn decode(value: &Bytes) -> Option<Self> {
        let (&FORMAT, rest) = value.split_first()? else { return None };
        let (parameters, version) = rest.split_first_chunk::<DIGEST>()?;
        let version = std::str::from_utf8(version).ok()?;
        let use_cwmp_version = Some(version.to_owned()).filter(|version| !version.is_empty());
        Some(Self { parameters: *parameters, use_cwmp_version })
    }
}

/// What of an Inform the ACS is entitled to; `own` tells events of work that the gateway has given the CPE, `called`
/// is whether `6 CONNECTION REQUEST` is known to come of a
/// connection request of ours. `None` if the session concerns nobody but us.
///
/// The event does not say who has called: if the CPE repeats a session that failed, it may be the one of that
/// session, in which the ACS had called. `4 VALUE CHANGE` is ours where what has changed is not shown to the ACS,
/// and all the rest is as it saw it last.
pub fn owed(
    inform: &Inform<'_>,
    shown: Shown<'_>,
    own: &dyn Fn(&EventStruct<'_>) -> bool,
    called: bool,
    last: Option<&Acknowledged>,
) -> Option<Owed> {
    let (parameters, cut) = digest(inform, shown);
    let is_told = |code: &str| code == CONNECTION_REQUEST || (code == VALUE_CHANGE && cut);
    let foreign = inform.event.iter().find(|event| !is_told(&event.event_code) && !own(event));
    if inform.event.is_empty() || foreign.is_some() {
        return Some(Owed::Event(foreign.map_or_else(String::new, |event| event.event_code.to_string())));
    }
    let is_called = inform.event.iter().any(|event| event.event_code == CONNECTION_REQUEST);
    match last {
        _ if is_called && !called => Some(Owed::Call),
        _ if inform.retry_count > 0 => Some(Owed::Retry),
        None => Some(Owed::Stranger),
        Some(last) if last.parameters != parameters => Some(Owed::Parameters),
        Some(_) => None,
    }
}

impl fmt::Display for Owed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(code) if code.is_empty() => f.write_str("the Inform has no event"),
            Self::Event(code) => write!(f, "event '{code}' is the ACS's"),
            Self::Call => f.write_str("the CPE is not known to come because of a call of ours"),
            Self::Retry => f.write_str("the CPE repeats a session that failed before"),
            Self::Parameters => f.write_str("a parameter is not as the ACS saw it last"),
            Self::Stranger => f.write_str("the ACS has not acknowledged this CPE yet"),
        }
    }
}

/// The parameters as the ACS is shown them, and whether any is kept from it.
fn digest(inform: &Inform<'_>, shown: Shown<'_>) -> ([u8; DIGEST], bool) {
    let all = inform.parameter_list.iter();
    let mut parameters: Vec<(&str, Cow<'_, str>)> =
        all.filter_map(|it| Some((&*it.name, shown(&it.name, &it.value)?))).collect();
    let cut = parameters.len() < inform.parameter_list.len();
    // CPEs may tell them in any order.
    parameters.sort_unstable();
    let mut hash = Sha256::new();
    for text in parameters.iter().flat_map(|(name, value)| [*name, value]) {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    (hash.finalize().into(), cut)
}

const VALUE_CHANGE: &str = "4 VALUE CHANGE";
const CONNECTION_REQUEST: &str = "6 CONNECTION REQUEST";
/// Bytes of a SHA-256.
const DIGEST: usize = 32;
/// Version of the stored form.
const FORMAT: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::rpc::{Array, ParameterValueStruct};
    use crate::datamodel::ValueType;

    fn inform(codes: &[&'static str], values: &[(&'static str, &'static str)]) -> Inform<'static> {
        let event = |code: &&'static str| EventStruct { event_code: (*code).into(), command_key: "".into() };
        let parameter = |(name, value): &(&'static str, &'static str)| {
            ParameterValueStruct::new(*name, *value, ValueType::String)
        };
        Inform {
            event: Array(codes.iter().map(event).collect()),
            parameter_list: Array(values.iter().map(parameter).collect()),
            ..Inform::default()
        }
    }

    const NONE: &dyn Fn(&EventStruct<'_>) -> bool = &|_| false;

    fn all<'v>(_: &str, value: &'v str) -> Option<Cow<'v, str>> {
        Some(value.into())
    }

    #[test]
    fn only_our_own_call_with_nothing_new_is_not_the_acs_s() {
        let seen = Acknowledged::of(&inform(&["1 BOOT"], &[("A", "1"), ("B", "2")]), &all, Some("1.4"));
        let call = inform(&["6 CONNECTION REQUEST"], &[("B", "2"), ("A", "1")]);
        assert_eq!(owed(&call, &all, NONE, true, Some(&seen)), None);
        assert_eq!(owed(&call, &all, NONE, false, Some(&seen)), Some(Owed::Call));
        assert_eq!(owed(&call, &all, NONE, true, None), Some(Owed::Stranger));
        let again = Inform { retry_count: 1, ..call };
        assert_eq!(owed(&again, &all, NONE, true, Some(&seen)), Some(Owed::Retry));
        for codes in [&["6 CONNECTION REQUEST", "2 PERIODIC"][..], &["4 VALUE CHANGE"], &["M Reboot"]] {
            let told = owed(&inform(codes, &[("A", "1"), ("B", "2")]), &all, NONE, true, Some(&seen));
            assert!(matches!(told, Some(Owed::Event(code)) if codes.contains(&code.as_str())));
        }
        assert_eq!(owed(&inform(&[], &[]), &all, NONE, true, Some(&seen)), Some(Owed::Event(String::new())));
        for values in [&[("A", "1"), ("B", "3")][..], &[("A", "1")], &[("A", "12"), ("B", "")]] {
            let told = owed(&inform(&["6 CONNECTION REQUEST"], values), &all, NONE, true, Some(&seen));
            assert_eq!(told, Some(Owed::Parameters));
        }
    }

    #[test]
    fn a_change_that_the_acs_is_not_shown_is_ours_while_all_else_is_as_it_saw_it() {
        fn usp_alone<'v>(name: &str, value: &'v str) -> Option<Cow<'v, str>> {
            (name != "U").then(|| value.into())
        }
        let seen = Acknowledged::of(&inform(&["2 PERIODIC"], &[("A", "1")]), &usp_alone, None);
        let owed = |codes: &[&'static str], values: &[(&'static str, &'static str)]| {
            owed(&inform(codes, values), &usp_alone, NONE, false, Some(&seen))
        };
        assert_eq!(owed(&["4 VALUE CHANGE"], &[("A", "1"), ("U", "5")]), None);
        assert_eq!(owed(&["4 VALUE CHANGE"], &[("A", "2"), ("U", "5")]), Some(Owed::Parameters));
        assert!(matches!(owed(&["4 VALUE CHANGE"], &[("A", "1")]), Some(Owed::Event(_))));
        assert_eq!(
            owed(&["4 VALUE CHANGE", "6 CONNECTION REQUEST"], &[("A", "1"), ("U", "5")]),
            Some(Owed::Call)
        );
    }

    #[test]
    fn the_end_of_work_that_the_gateway_has_given_the_cpe_is_not_the_acs_s() {
        let seen = Acknowledged::of(&inform(&["2 PERIODIC"], &[("A", "1")]), &all, None);
        let diagnostics: &dyn Fn(&EventStruct<'_>) -> bool = &|event| event.event_code.starts_with("8 ");
        let told = inform(&["8 DIAGNOSTICS COMPLETE"], &[("A", "1")]);
        assert_eq!(owed(&told, &all, diagnostics, false, Some(&seen)), None);
        assert!(matches!(owed(&told, &all, NONE, false, Some(&seen)), Some(Owed::Event(_))));
        let both = inform(&["8 DIAGNOSTICS COMPLETE", "2 PERIODIC"], &[("A", "1")]);
        assert!(matches!(owed(&both, &all, diagnostics, false, Some(&seen)), Some(Owed::Event(_))));
    }

    #[test]
    fn what_was_acknowledged_is_stored_and_an_unknown_form_is_not_guessed_at() {
        for version in [None, Some("1.4")] {
            let seen = Acknowledged::of(&inform(&[], &[("A", "1")]), &all, version);
            assert_eq!(Acknowledged::decode(&seen.encode().into()), Some(seen));
        }
        assert_eq!(Acknowledged::decode(&Bytes::from_static(b"\x02")), None);
        assert_eq!(Acknowledged::decode(&Bytes::from_static(b"\x01short")), None);
    }
}
