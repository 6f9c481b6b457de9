//! What comparing the ACS's RPCs with USP has shown of one device, and summed up of a model. Bounded, and without
//! secrets.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::datamodel::WallTime;
use crate::datamodel::supported::{generic, is_secret};

use super::conflicts::cut;

/// How USP would have differed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The CPE has a parameter or object that the agent does not show, or lacks one that it shows.
    Path,
    /// Likewise of an instance; or a number that was in use before.
    Instance,
    /// The type is another one.
    Type,
    /// The value is none that the data model allows.
    Value,
    /// One lets it be written, added or deleted, the other does not.
    Access,
    /// One refuses what the other carries out, or says another error.
    Fault,
    /// TR-181, or this gateway, has no counterpart.
    Unmapped,
    /// What comes of a name or value on its way to TR-181 and back is another one.
    RoundTrip,
}

/// Which devices have their score in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceModel {
    pub oui: String,
    pub product_class: String,
    pub software_version: String,
}

/// One difference. The same again is the same entry, counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// When it was last so.
    pub at: WallTime,
    /// The RPC of the ACS.
    pub rpc: String,
    /// In the CPE's words.
    pub path: String,
    pub class: Class,
    /// For people.
    pub why: String,
    /// What passed between ACS and CPE, and what USP would have made of it; none where that is not known, or a
    /// secret.
    pub cwmp: Option<String>,
    pub usp: Option<String>,
    /// How often it was so.
    pub times: u32,
}

/// How many items were compared, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub compared: u64,
    /// Of these.
    pub differing: u64,
    pub classes: BTreeMap<Class, u64>,
    /// Not compared: there were too many, or what the device has there is not known yet.
    pub skipped: u64,
    /// Not compared, since USP has its own for it: what of the data model is CWMP's or the gateway's.
    pub left_out: u64,
}

/// What is kept of one device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    format: u32,
    pub model: DeviceModel,
    pub tally: Tally,
    /// The newest last.
    differences: VecDeque<Difference>,
    /// What differs most, in supported notation.
    worst: Vec<Worst>,
    /// Instances that the ACS has deleted, the newest last.
    deleted: VecDeque<CompactString>,
}

/// How often something differed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worst {
    pub path: String,
    pub class: Class,
    pub times: u64,
}

/// The devices of one model, together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelSum {
    pub devices: u64,
    pub tally: Tally,
    worst: BTreeMap<(String, Class), u64>,
}

impl fmt::Display for DeviceModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { oui, product_class, software_version } = self;
        // What CPEs say of themselves is shown to operators.
        let mut text = format!("{oui}/{product_class}/{software_version}");
        cut(&mut text);
        f.write_str(&text)
    }
}

impl Class {
    /// As metrics and people call it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Instance => "instance",
            Self::Type => "type",
            Self::Value => "value",
            Self::Access => "access",
            Self::Fault => "fault",
            Self::Unmapped => "unmapped",
            Self::RoundTrip => "round-trip",
        }
    }
}

impl Tally {
    /// The share of items without a difference; `None` where nothing was compared.
    pub fn score(&self) -> Option<f64> {
        // Precision is no concern for a share.
        (self.compared > 0)
            .then(|| self.compared.saturating_sub(self.differing) as f64 / self.compared as f64)
    }

    pub fn add(&mut self, other: &Self) {
        let sum = |own: &mut u64, other: u64| *own = own.saturating_add(other);
        sum(&mut self.compared, other.compared);
        sum(&mut self.differing, other.differing);
        sum(&mut self.skipped, other.skipped);
        sum(&mut self.left_out, other.left_out);
        for (class, count) in &other.classes {
            sum(self.classes.entry(*class).or_default(), *count);
        }
    }
}

impl Comparison {
    /// Reads the stored form; of an unknown format nothing is known.
    pub fn decode(bytes: &[u8]) -> Self {
        let read = serde_json::from_slice::<Self>(bytes).ok();
        read.filter(|it| it.format == FORMAT).unwrap_or_default()
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let whole = Self { format: FORMAT, ..self.clone() };
        serde_json::to_vec(&whole).unwrap_or_default()
    }

    /// The oldest first.
    pub fn differences(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter()
    }

    /// The device is of this model: what was found of another firmware says nothing of it.
    pub fn set_model(&mut self, model: DeviceModel) {
        if self.model != model {
            *self = Self { model, ..Self::default() };
        }
    }

    pub fn count(&mut self, tally: &Tally) {
        self.tally.add(tally);
    }

    /// Notes a difference, without secrets and with texts that can be shown to anybody.
    pub fn note(&mut self, mut difference: Difference) {
        if is_secret(&difference.path) {
            (difference.cwmp, difference.usp) = (None, None);
        }
        let texts = [
            Some(&mut difference.path),
            Some(&mut difference.why),
            difference.cwmp.as_mut(),
            difference.usp.as_mut(),
        ];
        texts.into_iter().flatten().for_each(cut);
        self.rank(&generic(&difference.path), difference.class);
        let key = |it: &Difference| (it.class, it.path.clone(), it.rpc.clone());
        let known = self.differences.iter().position(|it| key(it) == key(&difference));
        if let Some(before) = known.and_then(|at| self.differences.remove(at)) {
            difference.times = before.times.saturating_add(1);
        } else if self.differences.len() >= MAX_DIFFERENCES {
            self.differences.pop_front();
        }
        self.differences.push_back(difference);
    }

    /// Counts a path. A full list loses the rarest, whose count the new one inherits: so what is frequent stays,
    /// and no count is too low.
    fn rank(&mut self, path: &str, class: Class) {
        if let Some(known) = self.worst.iter_mut().find(|it| it.path == path && it.class == class) {
            known.times = known.times.saturating_add(1);
        } else if self.worst.len() < MAX_WORST {
            self.worst.push(Worst { path: path.to_owned(), class, times: 1 });
        } else if let Some(rarest) = self.worst.iter_mut().min_by_key(|it| it.times) {
            let times = rarest.times.saturating_add(1);
            *rarest = Worst { path: path.to_owned(), class, times };
        }
    }

    /// An instance was deleted: its number is not to be used again (TR-106 3.2.1).
    pub fn note_deleted(&mut self, instance: &str) {
        if instance.len() <= MAX_TEXT && !self.was_deleted(instance) {
            if self.deleted.len() >= MAX_DELETED {
                self.deleted.pop_front();
            }
            self.deleted.push_back(instance.into());
        }
    }

    /// Whether it was seen to be deleted, as far as that is remembered.
    pub fn was_deleted(&self, instance: &str) -> bool {
        self.deleted.iter().any(|it| it == instance)
    }
}

impl ModelSum {
    /// Adds what is kept of one device.
    pub fn add(&mut self, device: &Comparison) {
        self.devices += 1;
        self.tally.add(&device.tally);
        for worst in &device.worst {
            let times = self.worst.entry((worst.path.clone(), worst.class)).or_default();
            *times = times.saturating_add(worst.times);
        }
    }

    /// What differs most, `most` of them.
    pub fn worst(&self, most: usize) -> Vec<Worst> {
        let all = self.worst.iter();
        let mut all: Vec<Worst> = all
            .map(|((path, class), times)| Worst { path: path.clone(), class: *class, times: *times })
            .collect();
        all.sort_by_key(|it| std::cmp::Reverse(it.times));
        all.truncate(most);
        all
    }
}

const FORMAT: u32 = 1;
/// Differences that are kept of one device; the oldest goes.
const MAX_DIFFERENCES: usize = 64;
/// Paths of one device that are counted.
const MAX_WORST: usize = 64;
/// Deleted instances of one device that are remembered; the oldest goes.
const MAX_DELETED: usize = 64;
/// Bytes of the path of a deleted instance.
const MAX_TEXT: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(path: &str, class: Class) -> Difference {
        Difference {
            at: WallTime(1),
            rpc: "GetParameterValues".into(),
            path: path.into(),
            class,
            why: "it is so".into(),
            cwmp: Some("v".repeat(1_000)),
            usp: None,
            times: 1,
        }
    }

    #[test]
    fn a_flood_of_differences_is_bounded_and_what_is_frequent_stays() {
        let mut kept = Comparison::default();
        for number in 0..1_000 {
            kept.note(difference("Device.WiFi.SSID.1.SSID", Class::Type));
            kept.note(difference(&format!("Device.X_{number}.{number}.Name"), Class::Path));
        }
        assert_eq!(kept.differences.len(), MAX_DIFFERENCES);
        let newest = kept.differences.iter().find(|it| it.class == Class::Type).unwrap();
        assert_eq!(newest.times, 1_000);
        let mut sum = ModelSum::default();
        sum.add(&Comparison::decode(&kept.encode()));
        let worst = sum.worst(1);
        assert_eq!((worst[0].path.as_str(), worst[0].times), ("Device.WiFi.SSID.{i}.SSID", 1_000));
        assert!(kept.worst.len() == MAX_WORST && kept.encode().len() < 64 << 10);
        assert_eq!(Comparison::decode(b"{}"), Comparison::default());
    }

    #[test]
    fn secrets_are_never_kept_and_texts_write_nothing_to_the_operators_screen() {
        let mut kept = Comparison::default();
        for path in
            ["Device.WiFi.AccessPoint.1.Security.KeyPassphrase", "Device.X_ACME.Password", "D.\x1b[2J"]
        {
            kept.note(difference(path, Class::Value));
        }
        let of: Vec<_> = kept.differences().map(|it| it.cwmp.as_ref().map(String::len)).collect();
        assert_eq!(of, [None, None, Some(256)]);
        assert_eq!(kept.differences().last().unwrap().path, "D.?[2J");
    }

    #[test]
    fn another_firmware_is_another_model_with_a_score_of_its_own() {
        let version = |it: &str| DeviceModel { software_version: it.into(), ..DeviceModel::default() };
        let mut kept = Comparison::default();
        kept.set_model(version("1"));
        assert_eq!(kept.tally.score(), None, "nothing of nothing is no score");
        let classes = [(Class::Type, 1)].into();
        kept.count(&Tally { compared: 4, differing: 1, classes, ..Tally::default() });
        kept.set_model(version("1"));
        assert_eq!(kept.tally.score(), Some(0.75));
        kept.set_model(version("2"));
        assert_eq!((kept.tally.score(), kept.tally.compared), (None, 0));
    }

    #[test]
    fn tr106_3_2_1_deleted_instances_are_remembered_within_bounds() {
        let mut kept = Comparison::default();
        for number in 0..1_000 {
            kept.note_deleted(&format!("Device.NAT.PortMapping.{number}."));
            kept.note_deleted("Device.NAT.PortMapping.999.");
        }
        assert!(kept.was_deleted("Device.NAT.PortMapping.990.") && kept.deleted.len() == MAX_DELETED);
        assert!(!kept.was_deleted("Device.NAT.PortMapping.1."));
    }
}
