//! Who owns what: from paths and names to rules.

use crate::identity::EndpointId;
use crate::policy::{ACS, LAST_WRITER, OwnedPath, Owner, Ownership, OwnershipMode, OwnershipRule};
use crate::translation::is_local;

use super::file::{self, File};
use super::settings::{Refusal, refuse};

/// The rules of the file; without a mode they advise, and without rules nothing is judged.
pub(super) fn ownership(file: &File) -> Result<Ownership, Refusal> {
    let mode = match file.device.ownership_mode {
        Some(file::OwnershipMode::Off) => OwnershipMode::Off,
        Some(file::OwnershipMode::Advise) => OwnershipMode::Advise,
        Some(file::OwnershipMode::Enforce) => OwnershipMode::Enforce,
        None if file.ownership.is_empty() => OwnershipMode::Off,
        None => OwnershipMode::Advise,
    };
    let minutes = file.device.overwrite_minutes.unwrap_or(60);
    if minutes > MAX_MINUTES {
        return refuse("device.overwrite_minutes", format!("is {MAX_MINUTES} at most"));
    }
    let mut rules: Vec<OwnershipRule> = Vec::new();
    for (place, wanted) in (1..).zip(&file.ownership) {
        let name = wanted.name.clone().unwrap_or_else(|| format!("ownership {place}"));
        let key = format!("ownership {}", wanted.name.clone().unwrap_or_else(|| format!("{place}")));
        if wanted.paths.is_empty() {
            return refuse(format!("{key}: paths"), "names none; such as [\"Device.WiFi.\"]");
        }
        let owner = owner(&key, wanted, file)?;
        for text in &wanted.paths {
            let path = OwnedPath::parse(text).or_else(|error| refuse(format!("{key}: paths"), error))?;
            if is_local(text) {
                let what =
                    format!("{text} is the gateway's own: what controllers may do there, their roles say");
                return refuse(format!("{key}: paths"), what);
            }
            if let Some(other) = rules.iter().find(|rule| rule.path == path) {
                return refuse(format!("{key}: paths"), format!("{text} is in \"{}\" already", other.name));
            }
            rules.push(OwnershipRule { name: name.clone(), path, owner: owner.clone() });
        }
    }
    if rules.len() > MAX_PATHS {
        return refuse("ownership", format!("has {} paths, {MAX_PATHS} at most", rules.len()));
    }
    Ok(Ownership { mode, rules, window_ms: u64::from(minutes) * 60_000 })
}

fn owner(key: &str, wanted: &file::Ownership, file: &File) -> Result<Owner, Refusal> {
    let key = format!("{key}: owner");
    match wanted.owner.as_str() {
        ACS if file.acs.is_none() => refuse(key, "is \"acs\", and there is no [acs]"),
        ACS => Ok(Owner::Acs),
        LAST_WRITER => Ok(Owner::LastWriter),
        text => match EndpointId::parse(text) {
            Ok(endpoint) if file.controller.iter().any(|it| it.endpoint_id == endpoint) => {
                Ok(Owner::Controller(endpoint))
            }
            Ok(_) => refuse(key, format!("there is no [[controller]] {text}")),
            Err(_) => refuse(key, "is \"acs\", \"last-writer\" or the endpoint_id of a [[controller]]"),
        },
    }
}

/// A week.
const MAX_MINUTES: u32 = 7 * 24 * 60;
/// Each write is held against each of them.
const MAX_PATHS: usize = 256;
