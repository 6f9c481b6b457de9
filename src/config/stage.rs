//! The stages of devices: from texts to rules.

use crate::policy::{Glob, Stage, StageRule, Stages};

use super::file;
use super::settings::{Refusal, refuse};

/// The rules of the file, in its order.
pub(super) fn stages(device: &file::Device, rules: &[file::StageOf]) -> Result<Stages, Refusal> {
    if rules.len() > MAX_RULES {
        return refuse("stage", format!("is there {} times, {MAX_RULES} at most", rules.len()));
    }
    let mut read = Vec::with_capacity(rules.len());
    for (place, wanted) in (1..).zip(rules) {
        let patterns = [&wanted.oui, &wanted.product_class, &wanted.software_version];
        if patterns.iter().all(|pattern| pattern.is_none()) {
            let what =
                "fits every device: say oui, product_class or software_version, or device.stage for all";
            return refuse(format!("stage {place}"), what);
        }
        let [oui, product_class, software_version] = patterns.map(|pattern| pattern.clone().map(Glob::new));
        read.push(StageRule { oui, product_class, software_version, stage: wanted.stage });
    }
    let stages = Stages { usual: device.stage.unwrap_or_default(), rules: read };
    if device.discovery == Some(false) && stages.compare_any() {
        let what = "is \"shadow\", which needs device.discovery: without it nothing is known to compare with";
        return refuse(if device.stage == Some(Stage::Shadow) { "device.stage" } else { "stage" }, what);
    }
    Ok(stages)
}

/// Each Inform is held against them.
const MAX_RULES: usize = 256;
