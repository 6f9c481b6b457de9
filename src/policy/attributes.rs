//! Notification attributes of one CPE that has two masters (TR-069 A.3.2.4): the CPE carries what both need,
//! and the ACS goes on seeing what it set itself.
//!
//! A parameter is known here once its attribute was read, before USP changed it for the first time. Names are
//! the CPE's own.

use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::datamodel::ValueType;

/// The attributes of the parameters that USP watches or has written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    format: u32,
    known: BTreeMap<CompactString, Watch>,
    /// What USP has written of parameters that are not known yet: whether the ACS is owed it is not known either.
    #[serde(default)]
    unjudged: BTreeMap<CompactString, Owed>,
    /// What stood in the last Informs that told of no change, and as the ACS saw it last: a digest of each value.
    #[serde(default)]
    usual: BTreeMap<CompactString, u64>,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Watch {
    /// What the ACS set: `Notification`, 0 to 6.
    acs: u8,
    /// What the CPE has; `None` if that is not certain.
    cpe: Option<u8>,
    /// The ACS has asked the CPE for this, and its answer is not known.
    #[serde(default)]
    asked: Option<u8>,
    /// Nobody needs it any more, but the CPE may still tell of a change from before.
    #[serde(default)]
    trails: bool,
    /// The most that the CPE takes of us (it answered 9009 to more).
    most: u8,
    /// USP has written it, and the ACS, which watches it, has not been told.
    #[serde(default)]
    owed: Option<Owed>,
}

/// What the ACS is to be told of a parameter, in the CPE's own terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    pub value: String,
    pub value_type: Option<ValueType>,
}

impl Watch {
    /// The CPE has this. Returns whether that settles what the ACS has set: if it is what it asked for, the CPE has
    /// taken that, or it makes no difference.
    fn is_read(&mut self, notification: Option<u8>) -> bool {
        let Some(asked) = self.asked.take() else { return false };
        // Of several that it asked for, the one before may be what was taken.
        let earlier = notification.filter(|it| self.cpe.is_some_and(|cpe| cpe != *it));
        if notification == Some(asked) {
            self.acs = asked;
        } else if let Some(earlier) = earlier {
            self.acs = earlier;
        }
        self.cpe = notification;
        true
    }

    /// What the ACS has set, or may have.
    fn at_most(&self) -> u8 {
        if self.acs == OFF { self.asked.unwrap_or(OFF) } else { self.acs }
    }
}

impl Attributes {
    /// Reads the stored form; of an unknown format nothing is known, so that attributes are read again.
    pub fn decode(bytes: &[u8]) -> Self {
        let read = serde_json::from_slice::<Self>(bytes).ok();
        read.filter(|it| it.format == FORMAT).unwrap_or_default()
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let whole = Self { format: FORMAT, ..self.clone() };
        serde_json::to_vec(&whole).unwrap_or_default()
    }

    /// Which of these names are to be read before anything is done with them.
    pub fn unknown<'n>(&self, names: impl IntoIterator<Item = &'n CompactString>) -> Vec<CompactString> {
        let room = MAX_KNOWN.saturating_sub(self.known.len());
        names.into_iter().filter(|name| !self.known.contains_key(*name)).take(room).cloned().collect()
    }

    /// The CPE said what a parameter has before USP has touched it: that is the ACS's. `None`: it has no
    /// attributes to give. Returns how urgently the ACS wants to know what USP has written of it before.
    pub fn learn(&mut self, name: &str, notification: Option<u8>) -> Option<Urgency> {
        let acs = notification.unwrap_or(0);
        let most = if notification.is_some() { ACTIVE } else { OFF };
        let watch = Watch { acs, cpe: Some(acs), asked: None, trails: false, most, owed: None };
        self.known.entry(name.into()).or_insert(watch).is_read(notification);
        self.unjudged.remove(name).and_then(|owed| self.written(name, owed))
    }

    /// Parameters that are to be read so that it is known whether the ACS is owed what USP wrote.
    pub fn unjudged(&self) -> impl Iterator<Item = &CompactString> {
        self.unjudged.keys()
    }

    /// The CPE said what a parameter has, whoever asked. Returns whether that settles what the ACS has set.
    pub fn overhear(&mut self, name: &str, notification: u8) -> bool {
        self.known.get_mut(name).is_some_and(|watch| watch.is_read(Some(notification)))
    }

    /// Parameters of which it is not known whether the ACS has set what it asked for.
    pub fn doubtful(&self) -> impl Iterator<Item = &CompactString> {
        self.known.iter().filter_map(|(name, watch)| watch.asked.map(|_| name))
    }

    /// What has to be set so that the CPE tells of what is wanted, and of nothing that nobody wants any more.
    pub fn due(&self, wanted: &BTreeSet<CompactString>) -> Vec<(CompactString, u8)> {
        let settled = self.known.iter().filter(|(_, watch)| watch.asked.is_none());
        let due = settled.filter_map(|(name, watch)| {
            let need = if wanted.contains(name) { ACTIVE.min(watch.most) } else { OFF };
            let target = joined(watch.acs, need);
            (watch.cpe != Some(target)).then(|| (name.clone(), target))
        });
        due.collect()
    }

    /// What is about to be sent: until the CPE has answered it is not certain what it has.
    pub fn begin(&mut self, sent: &[(CompactString, u8)]) {
        for (name, _) in sent {
            if let Some(watch) = self.known.get_mut(name) {
                watch.cpe = None;
            }
        }
    }

    /// Whether it is written down that this is about to be set, or was.
    pub fn has_begun(&self, name: &str) -> bool {
        self.known.get(name).is_some_and(|watch| watch.cpe.is_none())
    }

    /// The CPE has taken it.
    pub fn set(&mut self, name: &str, notification: u8) {
        if let Some(watch) = self.known.get_mut(name) {
            watch.cpe = Some(notification);
            watch.trails = notification == OFF;
        }
    }

    /// The CPE would not take it: less is asked of it from now on.
    pub fn refuse(&mut self, name: &str) {
        if let Some(watch) = self.known.get_mut(name) {
            watch.most = watch.most.saturating_sub(1);
            watch.cpe = if watch.most == OFF { Some(watch.acs) } else { None };
        }
    }

    /// The ACS is about to ask the CPE for an attribute, of a parameter or of all below a partial path. Until the
    /// answer is known it may have been set or not. Returns whether anything that is known here is meant.
    pub fn asked_by_acs(&mut self, name: &str, notification: u8) -> bool {
        self.meant(name).map(|watch| watch.asked = Some(notification)).count() > 0
    }

    /// The CPE has refused what the ACS asked for. Returns whether anything that is known here was meant.
    pub fn refused_to_acs(&mut self, name: &str) -> bool {
        self.meant(name).map(|watch| watch.asked = None).count() > 0
    }

    /// The ACS has set an attribute. Returns whether anything that is known here is another now.
    pub fn set_by_acs(&mut self, name: &str, notification: u8) -> bool {
        let mut changed = false;
        for watch in self.meant(name) {
            let asked = watch.asked.take();
            changed |= asked.is_some() || watch.acs != notification || watch.cpe != Some(notification);
            watch.trails |= watch.acs == OFF && watch.cpe != Some(OFF);
            (watch.acs, watch.cpe) = (notification, Some(notification));
        }
        changed
    }

    /// The parameters that a name, or a partial path, of the ACS's means.
    fn meant<'m>(&'m mut self, name: &'m str) -> impl Iterator<Item = &'m mut Watch> {
        let meant = move |known: &str| {
            known == name || (name.ends_with('.') && known.starts_with(name)) || name.is_empty()
        };
        self.known.iter_mut().filter(move |(known, _)| meant(known)).map(|(_, watch)| watch)
    }

    /// A factory reset: the CPE has forgotten what anybody set.
    pub fn reset(&mut self) {
        for watch in self.known.values_mut() {
            (watch.acs, watch.cpe, watch.asked, watch.most) = (OFF, None, None, ACTIVE);
        }
    }

    /// A parameter that the CPE has with another attribute than the ACS set, and that attribute: as long as it has,
    /// it has not been reset.
    pub fn marker(&self) -> Option<(&CompactString, u8)> {
        let own = |watch: &Watch| watch.cpe.filter(|cpe| *cpe != watch.acs);
        self.known.iter().find_map(|(name, watch)| Some((name, own(watch)?)))
    }

    /// New firmware may have dropped attributes, and may take what the one before refused: all are set again, the
    /// ACS's too.
    pub fn doubt(&mut self) {
        for watch in self.known.values_mut() {
            (watch.cpe, watch.most) = (None, ACTIVE);
        }
    }

    /// The ACS has acknowledged an Inform with these parameters. `changed`: it told of a change of values, so
    /// that not all of them stand in every Inform. Returns whether anything is new in it.
    pub fn stated<'p>(
        &mut self,
        parameters: impl Iterator<Item = (&'p str, &'p str)>,
        changed: bool,
    ) -> bool {
        let mut new = false;
        let mut room = if changed { 0 } else { MAX_USUAL.saturating_sub(self.usual.len()) };
        for (name, value) in parameters {
            let digest = digest(value);
            match self.usual.get_mut(name) {
                Some(known) => new |= std::mem::replace(known, digest) != digest,
                None if room > 0 => {
                    room -= 1;
                    self.usual.insert(name.into(), digest);
                    new = true;
                }
                None => {}
            }
        }
        new
    }

    /// An Inform without a parameter, or one with it as with every other, shows that the CPE has nothing left to tell
    /// of it. Returns whether that is new.
    pub fn stops_trailing<'p>(&mut self, told: impl Iterator<Item = &'p str> + Clone) -> bool {
        let mut stopped = false;
        for (known, watch) in self.known.iter_mut().filter(|(_, watch)| watch.trails) {
            let usual = self.usual.contains_key(known) || is_forced(known);
            watch.trails = !usual && told.clone().any(|name| *known == name);
            stopped |= !watch.trails;
        }
        stopped
    }

    /// Whether a parameter stands in every Inform, and is as the ACS saw it last.
    pub fn is_usual(&self, name: &str, value: &str) -> bool {
        self.usual.get(name) == Some(&digest(value))
    }

    /// Whether the CPE has what the ACS had set, and the ACS is owed nothing.
    pub fn is_given_back(&self) -> bool {
        let given_back =
            |watch: &Watch| watch.cpe == Some(watch.acs) && watch.asked.is_none() && !watch.trails;
        self.known.values().all(|watch| given_back(watch) && watch.owed.is_none()) && self.unjudged.is_empty()
    }

    /// Whether an Inform tells of this parameter for USP's sake alone.
    pub fn is_for_usp_alone(&self, name: &str) -> bool {
        let alone = |watch: &Watch| watch.at_most() == OFF && (watch.cpe != Some(OFF) || watch.trails);
        self.known.get(name).is_some_and(alone) && !self.usual.contains_key(name) && !is_forced(name)
    }

    /// What the ACS is to read in place of what the CPE says that it has; `None` where that is the same.
    pub fn for_acs(&self, name: &str, said: i32) -> Option<u8> {
        self.known.get(name).map(|watch| watch.acs).filter(|acs| i32::from(*acs) != said)
    }

    /// Whether anything of what the CPE has is another than what the ACS set, so that bodies may have to change.
    pub fn differs(&self) -> bool {
        self.known.values().any(|watch| watch.cpe != Some(watch.acs))
    }

    /// USP has written this parameter. Returns how urgently the ACS, which is owed a value change, wants to know.
    /// `None`: it is not, or there are too many to keep.
    pub fn written(&mut self, name: &str, owed: Owed) -> Option<Urgency> {
        let room = self.known.len() + self.unjudged.len() < MAX_KNOWN;
        let Some(watch) = self.known.get_mut(name) else {
            room.then(|| self.unjudged.insert(name.into(), owed));
            return room.then_some(Urgency::Unknown);
        };
        let urgency = match watch.at_most() {
            ACTIVE => Urgency::Now,
            PASSIVE | PASSIVE_LIGHT | PASSIVE_AND_ACTIVE_LIGHT => Urgency::Next,
            _ => return None,
        };
        watch.owed = Some(owed);
        Some(urgency)
    }

    /// What the ACS is owed.
    pub fn owed(&self) -> impl Iterator<Item = (&CompactString, &Owed)> {
        self.known.iter().filter_map(|(name, watch)| Some((name, watch.owed.as_ref()?)))
    }

    /// Whether the ACS is owed something that it wants at once.
    pub fn owes_now(&self) -> bool {
        self.known.values().any(|watch| watch.owed.is_some() && watch.acs == ACTIVE)
    }

    /// The ACS has been told of it, or has written it itself. Returns whether it was owed.
    pub fn told(&mut self, name: &str) -> bool {
        let unjudged = self.unjudged.remove(name).is_some();
        unjudged || self.known.get_mut(name).is_some_and(|watch| watch.owed.take().is_some())
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty() && self.unjudged.is_empty()
    }
}

/// How soon the ACS wants to hear of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// With the next Inform.
    Next,
    /// At once, in a session for its sake.
    Now,
    /// The parameter is to be read first: the ACS may not want to know at all.
    Unknown,
}

/// The attribute that serves the ACS, who set `acs`, and USP, who needs `need`. The values are no order: what is
/// told by other means (3 to 6) keeps its means, and becomes passive beside it.
fn joined(acs: u8, need: u8) -> u8 {
    match (acs, need) {
        (_, OFF) => acs,
        (OFF, need) => need,
        (PASSIVE, ACTIVE) => ACTIVE,
        (PASSIVE_NEVER, _) => PASSIVE_LIGHT,
        (ACTIVE_LIGHT, _) => PASSIVE_AND_ACTIVE_LIGHT,
        (acs, _) => acs,
    }
}

/// FNV-1a: it must tell values apart that honest devices have.
fn digest(value: &str) -> u64 {
    value.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Whether TR-069 (A.3.3.1 with TR-181 and TR-098) has a parameter in every Inform.
fn is_forced(name: &str) -> bool {
    let below_root = name.split_once('.').map_or("", |(_, rest)| rest);
    FORCED.contains(&below_root) || name.ends_with(".ExternalIPAddress")
}

const OFF: u8 = 0;
const PASSIVE: u8 = 1;
const ACTIVE: u8 = 2;
/// Passive lightweight, without passive.
const PASSIVE_NEVER: u8 = 3;
/// Passive lightweight and passive.
const PASSIVE_LIGHT: u8 = 4;
const ACTIVE_LIGHT: u8 = 5;
const PASSIVE_AND_ACTIVE_LIGHT: u8 = 6;
const FORCED: [&str; 8] = [
    "RootDataModelVersion",
    "DeviceSummary",
    "DeviceInfo.SpecVersion",
    "DeviceInfo.HardwareVersion",
    "DeviceInfo.SoftwareVersion",
    "DeviceInfo.ProvisioningCode",
    "ManagementServer.ParameterKey",
    "ManagementServer.ConnectionRequestURL",
];
/// Parameters of one device whose attributes are kept in mind.
const MAX_KNOWN: usize = 1_024;
/// Parameters of every Inform that are kept in mind.
const MAX_USUAL: usize = 128;
/// Version of the stored form.
const FORMAT: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> BTreeSet<CompactString> {
        list.iter().map(|name| (*name).into()).collect()
    }

    #[test]
    fn what_usp_needs_is_joined_with_what_the_acs_set_and_taken_back_when_nobody_needs_it() {
        for (acs, with_usp) in [(0, 2), (1, 2), (2, 2), (3, 4), (4, 4), (5, 6), (6, 6)] {
            let mut attributes = Attributes::default();
            attributes.learn("Device.A", Some(acs));
            let wanted = names(&["Device.A"]);
            let due = attributes.due(&wanted);
            assert_eq!(due.first().map_or(acs, |(_, target)| *target), with_usp, "{acs}");
            attributes.begin(&due);
            assert_eq!(attributes.due(&wanted).len(), due.len(), "it is sent again until it is taken");
            due.iter().for_each(|(name, target)| attributes.set(name, *target));
            assert!(attributes.due(&wanted).is_empty());
            let back = attributes.due(&BTreeSet::new());
            assert_eq!(back.first().map_or(acs, |(_, target)| *target), acs, "{acs}");
        }
    }

    #[test]
    fn a_cpe_that_refuses_active_is_asked_for_passive_and_then_left_alone() {
        let mut attributes = Attributes::default();
        attributes.learn("Device.A", Some(0));
        let wanted = names(&["Device.A"]);
        for expected in [2, 1] {
            let due = attributes.due(&wanted);
            assert_eq!(due, [("Device.A".into(), expected)]);
            attributes.begin(&due);
            attributes.refuse("Device.A");
        }
        assert!(attributes.due(&wanted).is_empty());
    }

    #[test]
    fn the_acs_reads_what_it_set_and_its_setting_counts_from_then_on() {
        let mut attributes = Attributes::default();
        attributes.learn("Device.A.B", Some(0));
        attributes.set("Device.A.B", 2);
        assert_eq!(attributes.for_acs("Device.A.B", 2), Some(0));
        assert!(attributes.is_for_usp_alone("Device.A.B") && attributes.differs());
        assert!(attributes.set_by_acs("Device.A.", 1));
        assert!(!attributes.is_for_usp_alone("Device.A.B"));
        assert_eq!(attributes.for_acs("Device.A.B", 1), None);
        assert_eq!(attributes.due(&names(&["Device.A.B"])), [("Device.A.B".into(), 2)], "its SPA undid ours");
        assert!(!attributes.set_by_acs("Device.AB", 1), "another parameter");
    }

    #[test]
    fn what_stands_in_every_inform_is_never_taken_from_the_acs() {
        let mut attributes = Attributes::default();
        for name in ["Device.DeviceInfo.ProvisioningCode", "Device.X.Always", "Device.X.Now"] {
            attributes.learn(name, Some(0));
            attributes.set(name, 2);
        }
        assert!(attributes.stated([("Device.X.Always", "1")].into_iter(), false));
        assert!(!attributes.stated([("Device.X.Always", "1"), ("Device.X.Now", "1")].into_iter(), true));
        assert!(attributes.stated([("Device.X.Always", "2")].into_iter(), true));
        assert!(attributes.is_usual("Device.X.Always", "2") && !attributes.is_usual("Device.X.Always", "1"));
        let alone = |name| attributes.is_for_usp_alone(name);
        assert!(!alone("Device.DeviceInfo.ProvisioningCode") && !alone("Device.X.Always"));
        assert!(alone("Device.X.Now") && !alone("Device.X.Unknown"));
    }

    #[test]
    fn a_write_of_usp_is_owed_to_the_acs_that_watches_until_it_is_told() {
        let mut attributes = Attributes::default();
        for (name, acs) in [("Device.Off", 0), ("Device.Next", 1), ("Device.Now", 2)] {
            attributes.learn(name, Some(acs));
        }
        let owed = || Owed { value: "5".into(), value_type: Some(ValueType::UnsignedInt) };
        assert_eq!(attributes.written("Device.Off", owed()), None);
        assert_eq!(attributes.written("Device.Next", owed()), Some(Urgency::Next));
        assert!(!attributes.owes_now());
        assert_eq!(attributes.written("Device.Now", owed()), Some(Urgency::Now));
        let mut attributes = Attributes::decode(&attributes.encode());
        let names: Vec<_> =
            attributes.owed().map(|(name, owed)| (name.as_str(), owed.value.as_str())).collect();
        assert_eq!(names, [("Device.Next", "5"), ("Device.Now", "5")]);
        assert!(attributes.owes_now());
        assert!(attributes.told("Device.Now") && !attributes.told("Device.Now"));
        assert_eq!(attributes.owed().count(), 1);
    }

    #[test]
    fn after_a_factory_reset_nobody_has_set_anything_and_after_new_firmware_all_is_set_again() {
        let mut attributes = Attributes::default();
        attributes.learn("Device.A", Some(1));
        attributes.doubt();
        assert_eq!(attributes.due(&BTreeSet::new()), [("Device.A".into(), 1)]);
        attributes.reset();
        assert_eq!(attributes.due(&names(&["Device.A"])), [("Device.A".into(), 2)]);
        assert_eq!(Attributes::decode(b"{\"format\":9,\"known\":{}}"), Attributes::default());
    }
}
