//! Roles and what controllers have of them: from names and letters to what agents work with.

use crate::agent::{FULL_ACCESS, PermissionConfig, RoleConfig};
use crate::translation::{Permission, Rights};

use super::file::{self, OneOrMany};
use super::settings::{Refusal, refuse};

/// The roles that are built in, and those of the file.
pub(super) fn roles(configured: &[file::Role]) -> Result<Vec<RoleConfig>, Refusal> {
    let mut roles = RoleConfig::built_in();
    for (place, role) in (4..).zip(configured) {
        let key = format!("role {}", role.name);
        let instance = role.instance.unwrap_or(place);
        if roles.iter().any(|known| known.name == role.name) {
            return refuse(key, "is there twice, or built in");
        }
        if roles.iter().any(|known| known.instance == instance) || instance > MAX_INSTANCE {
            return refuse(format!("{key}: instance"), format!("is from 4 to {MAX_INSTANCE}, each once"));
        }
        if role.untrusted {
            roles.iter_mut().for_each(|role| role.untrusted = false);
        }
        let permissions = (1..).zip(&role.permission).map(|(place, it)| permission(&key, place, it));
        roles.push(RoleConfig {
            instance,
            pinned: role.instance.is_some(),
            name: role.name.clone(),
            permissions: permissions.collect::<Result<_, _>>()?,
            secured: role.secured,
            untrusted: role.untrusted,
        });
    }
    Ok(roles)
}

fn permission(key: &str, place: u32, permission: &file::Permission) -> Result<PermissionConfig, Refusal> {
    let rights = |name: &str, written: &Option<String>| match written {
        None => Ok(Rights::NONE),
        Some(text) => text.parse().or_else(|error| refuse(format!("{key}: {name}"), error)),
    };
    let rights = [
        rights("param", &permission.param)?,
        rights("obj", &permission.obj)?,
        rights("instantiated_obj", &permission.instantiated_obj)?,
        rights("command_event", &permission.command_event)?,
    ];
    let (targets, order) = (permission.targets.join(","), permission.order.unwrap_or(place));
    if let Err(error) = Permission::new(order, &targets, rights) {
        return refuse(format!("{key}: targets"), error);
    }
    Ok(PermissionConfig { order, targets, rights })
}

/// The names of a controller's roles: full access if it names none.
pub(super) fn roles_of(
    key: &str,
    wanted: Option<&OneOrMany>,
    roles: &[RoleConfig],
) -> Result<Vec<String>, Refusal> {
    let names = match wanted {
        None => vec![FULL_ACCESS.to_owned()],
        Some(names) => names.clone().into_vec(),
    };
    match names.iter().find(|name| roles.iter().all(|role| role.name != **name)) {
        None => Ok(names),
        Some(unknown) => {
            let known: Vec<&str> = roles.iter().map(|role| role.name.as_str()).collect();
            refuse(
                format!("{key}: role"),
                format!("there is no role {unknown}; there is: {}", known.join(", ")),
            )
        }
    }
}

/// Higher numbers are given by agents to the rows that controllers add.
pub(super) const MAX_INSTANCE: u32 = 100;
