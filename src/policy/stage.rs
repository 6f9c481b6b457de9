//! How far a device is on its way from its ACS to USP: the operator's word for each firmware. The first rule that
//! fits a device decides; where none does, what is usual.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::identity::DeviceId;

use super::acs_rule::Glob;

/// What controllers may do with a device, and whether the ACS's RPCs are compared with what USP would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Controllers read and subscribe; nothing is compared.
    Read,
    /// Controllers read and subscribe; each RPC of the ACS is compared.
    Shadow,
    /// Controllers do what their roles let them.
    #[default]
    Write,
}

/// The stages of a fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stages {
    pub usual: Stage,
    /// The first that fits decides.
    pub rules: Vec<StageRule>,
}

/// The stage of some devices. What is none fits every device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageRule {
    pub oui: Option<Glob>,
    pub product_class: Option<Glob>,
    pub software_version: Option<Glob>,
    pub stage: Stage,
}

impl Stages {
    /// The stage of a device that runs this version.
    pub fn of(&self, device: &DeviceId, software_version: &str) -> Stage {
        let fits = |rule: &&StageRule| rule.fits(device, software_version);
        self.rules.iter().find(fits).map_or(self.usual, |rule| rule.stage)
    }

    /// Whether any device is compared.
    pub fn compare_any(&self) -> bool {
        self.rules.iter().map(|rule| rule.stage).chain([self.usual]).any(|stage| stage == Stage::Shadow)
    }
}

impl StageRule {
    fn fits(&self, device: &DeviceId, software_version: &str) -> bool {
        let fits = |pattern: &Option<Glob>, text: &str| pattern.as_ref().is_none_or(|it| it.matches(text));
        fits(&self.oui, &device.oui)
            && fits(&self.product_class, &device.product_class)
            && fits(&self.software_version, software_version)
    }
}

impl Stage {
    /// Whether controllers may change the CPE.
    pub fn writes(self) -> bool {
        self == Self::Write
    }

    /// What a controller is told whose write is refused.
    pub fn refusal(self) -> &'static str {
        match self {
            Self::Shadow => {
                "shadow mode: controllers read this device and subscribe to it, and do not change it yet"
            }
            Self::Read | Self::Write => {
                "the stage \"read\": controllers read this device and subscribe to it, and do not change it yet"
            }
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Shadow => "shadow",
            Self::Write => "write",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_decides_and_the_usual_stage_where_none_does() {
        let rule = |oui: Option<&str>, version: Option<&str>, stage| StageRule {
            oui: oui.map(Glob::new),
            product_class: None,
            software_version: version.map(Glob::new),
            stage,
        };
        let rules = vec![
            rule(Some("00256D"), Some("1.4.*"), Stage::Write),
            rule(Some("00256D"), None, Stage::Shadow),
        ];
        let stages = Stages { usual: Stage::Read, rules };
        let of = |oui: &str, version| {
            stages.of(&DeviceId { oui: oui.into(), ..DeviceId::default() }, version).to_string()
        };
        assert_eq!(
            [of("00256D", "1.4.2"), of("00256D", "2.0"), of("1", "1.4.2")],
            ["write", "shadow", "read"]
        );
        assert!(stages.compare_any() && !Stages::default().compare_any());
    }
}
