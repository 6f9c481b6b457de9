//! Which master may write which part of a device: the operator's rules, in TR-181 paths. The rule of the longest
//! path decides; where there is none, everybody may.

use std::fmt;

use thiserror::Error;

use crate::identity::EndpointId;

/// All rules, and what is done about who breaks them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ownership {
    pub mode: OwnershipMode,
    pub rules: Vec<OwnershipRule>,
    /// In milliseconds: a write over another master's that is not older is a conflict.
    pub window_ms: u64,
}

/// What the rules do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OwnershipMode {
    /// Nothing is judged or noted.
    #[default]
    Off,
    /// Conflicts are noted and told of.
    Advise,
    /// And controllers are refused. The ACS never is.
    Enforce,
}

/// One rule about one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnershipRule {
    pub name: String,
    pub path: OwnedPath,
    pub owner: Owner,
}

/// Who may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    Acs,
    Controller(EndpointId),
    /// Everybody: what was written last holds.
    LastWriter,
}

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer<'w> {
    Acs,
    Controller(&'w EndpointId),
}

/// An object with all that is below it, or one parameter; `*` stands for any instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedPath {
    segments: Vec<String>,
    is_object: bool,
}

/// A text that is no such path.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("\"{0}\" is no path that can be owned; such as \"Device.WiFi.\" or \"Device.WiFi.SSID.*.SSID\"")]
pub struct OwnedPathError(String);

impl Ownership {
    pub fn is_on(&self) -> bool {
        self.mode != OwnershipMode::Off
    }

    pub fn enforces(&self) -> bool {
        self.mode == OwnershipMode::Enforce
    }

    /// The rule that decides about a path.
    pub fn rule_for(&self, path: &str) -> Option<&OwnershipRule> {
        self.rules.iter().filter(|rule| rule.path.holds(path)).max_by_key(|rule| rule.path.weight())
    }

    /// The rule that speaks against a write. `whole`: all that is below the path is lost by it, so that rules
    /// about that count too.
    pub fn against(&self, path: &str, writer: Writer<'_>, whole: bool) -> Option<&OwnershipRule> {
        let refuses = |rule: &&OwnershipRule| !rule.owner.allows(writer);
        let below = || self.rules.iter().filter(|rule| whole && rule.path.is_below(path)).find(refuses);
        self.rule_for(path).filter(refuses).or_else(below)
    }
}

impl Owner {
    fn allows(&self, writer: Writer<'_>) -> bool {
        match (self, writer) {
            (Self::LastWriter, _) | (Self::Acs, Writer::Acs) => true,
            (Self::Controller(owner), Writer::Controller(writer)) => owner == writer,
            _ => false,
        }
    }
}

impl OwnedPath {
    /// # Errors
    /// A text that is no path below `Device.`, or has segments that are neither names, instances nor `*`.
    pub fn parse(text: &str) -> Result<Self, OwnedPathError> {
        let is_object = text.ends_with('.');
        let segments: Vec<String> = text.trim_end_matches('.').split('.').map(str::to_owned).collect();
        let is_name = |segment: &String| {
            let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            segment == ANY || (!segment.is_empty() && segment.bytes().all(letter))
        };
        let known = segments.first().is_some_and(|root| root == "Device");
        let whole = if is_object { text.len() == segments.join(".").len() + 1 } else { segments.len() > 1 };
        match known && whole && segments.iter().all(is_name) {
            true => Ok(Self { segments, is_object }),
            false => Err(OwnedPathError(text.to_owned())),
        }
    }

    /// Whether it names this object or parameter, or an object around it.
    fn holds(&self, path: &str) -> bool {
        let mut left = path.split_terminator('.');
        let begins = self.segments.iter().all(|own| left.next().is_some_and(|it| is_same(own, it)));
        begins && (self.is_object || (left.next().is_none() && !path.ends_with('.')))
    }

    /// Whether it is about something within an object.
    fn is_below(&self, object: &str) -> bool {
        let given: Vec<&str> = object.split_terminator('.').collect();
        given.len() < self.segments.len()
            && self.segments.iter().zip(&given).all(|(own, it)| is_same(own, it))
    }

    /// Longer paths weigh more, then those with fewer `*`.
    fn weight(&self) -> (usize, usize) {
        (self.segments.len(), self.segments.iter().filter(|segment| *segment != ANY).count())
    }
}

fn is_same(own: &str, segment: &str) -> bool {
    own == segment || (own == ANY && segment.bytes().all(|byte| byte.is_ascii_digit()))
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acs => f.write_str(ACS),
            Self::Controller(endpoint) => f.write_str(endpoint.as_str()),
            Self::LastWriter => f.write_str(LAST_WRITER),
        }
    }
}

impl fmt::Display for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acs => f.write_str(ACS),
            Self::Controller(endpoint) => f.write_str(endpoint.as_str()),
        }
    }
}

/// How the ACS is written, as an owner and as a writer; no endpoint ID is like it.
pub const ACS: &str = "acs";
/// How the owner is written that is everybody.
pub const LAST_WRITER: &str = "last-writer";
const ANY: &str = "*";

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(rules: &[(&str, &str)]) -> Ownership {
        let rules = rules.iter().map(|(path, owner)| OwnershipRule {
            name: (*path).to_owned(),
            path: OwnedPath::parse(path).unwrap(),
            owner: match *owner {
                ACS => Owner::Acs,
                LAST_WRITER => Owner::LastWriter,
                endpoint => Owner::Controller(EndpointId::parse(endpoint).unwrap()),
            },
        });
        Ownership { mode: OwnershipMode::Enforce, rules: rules.collect(), window_ms: 0 }
    }

    fn against(ownership: &Ownership, path: &str, writer: &str, whole: bool) -> Option<String> {
        let endpoint = EndpointId::parse(writer).ok();
        let writer = endpoint.as_ref().map_or(Writer::Acs, Writer::Controller);
        ownership.against(path, writer, whole).map(|rule| rule.name.clone())
    }

    #[test]
    fn the_longest_path_decides_and_a_number_before_a_star() {
        let it = rules(&[
            ("Device.WiFi.", "acs"),
            ("Device.WiFi.SSID.2.", "self::a"),
            ("Device.WiFi.SSID.*.", "last-writer"),
            ("Device.WiFi.SSID.*.SSID", "self::b"),
        ]);
        let refused = |path, writer| against(&it, path, writer, false);
        assert_eq!(refused("Device.WiFi.Radio.1.Enable", "self::a").as_deref(), Some("Device.WiFi."));
        assert_eq!(refused("Device.WiFi.Radio.1.Enable", "acs"), None);
        assert_eq!(refused("Device.WiFi.SSID.1.Enable", "self::b"), None);
        assert_eq!(refused("Device.WiFi.SSID.2.Enable", "self::b").as_deref(), Some("Device.WiFi.SSID.2."));
        assert_eq!(refused("Device.WiFi.SSID.2.SSID", "self::b"), None);
        assert_eq!(refused("Device.WiFi.SSID.2.SSID", "acs").as_deref(), Some("Device.WiFi.SSID.*.SSID"));
        assert_eq!(refused("Device.WiFi2.Enable", "self::b"), None);
        assert_eq!(refused("Device.WiFi.SSID.2.SSIDX", "acs").as_deref(), Some("Device.WiFi.SSID.2."));
    }

    #[test]
    fn what_takes_away_a_whole_branch_is_judged_by_the_rules_within_it() {
        let it = rules(&[("Device.WiFi.SSID.*.SSID", "acs"), ("Device.IP.Interface.3.", "acs")]);
        assert!(against(&it, "Device.WiFi.SSID.1.", "self::a", true).is_some());
        assert!(against(&it, "Device.WiFi.SSID.1.", "self::a", false).is_none());
        assert!(against(&it, "Device.IP.Interface.2.", "self::a", true).is_none());
        assert!(against(&it, "Device.", "self::a", true).is_some());
        assert!(against(&it, "Device.", "acs", true).is_none());
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in
            ["", "Device", ".", "WiFi.", "Device..WiFi.", "Device.WiFi..", "Device.W[a].", "Device.{i}."]
        {
            assert!(OwnedPath::parse(text).is_err(), "{text}");
        }
        for text in ["Device.", "Device.WiFi.", "Device.X_A-1_B.*.C"] {
            assert!(OwnedPath::parse(text).is_ok(), "{text}");
        }
    }
}
