//! From `Device.LocalAgent.ControllerTrust.` to what a controller may do (TR-369, "A Controller's Role").

use crate::translation::{Access, Permission, Rights, Role};

use super::tree::Tree;

/// Over all assigned and inherited roles of the controller in this row. Roles and permissions that are not
/// enabled count for nothing.
pub(super) fn compile(controller: &str, tree: &Tree) -> Access {
    let secured = tree.references("Device.LocalAgent.ControllerTrust.SecuredRoles");
    let mut rows = tree.references(&format!("{controller}AssignedRole"));
    rows.extend(tree.references(&format!("{controller}InheritedRole")));
    if rows.is_empty() {
        // Who has no role is not trusted.
        rows = tree.references("Device.LocalAgent.ControllerTrust.UntrustedRole");
    }
    let enabled = rows.iter().filter(|row| tree.is(&format!("{row}Enable")));
    let roles = enabled.map(|row| {
        let permissions = tree.rows(&format!("{row}Permission.")).into_iter();
        let permissions = permissions.filter_map(|row| permission(&row, tree)).collect();
        Role::new(permissions, secured.contains(row))
    });
    Access::of(roles.collect())
}

/// Rows are checked when they are written, so what cannot be read here gives no right.
fn permission(row: &str, tree: &Tree) -> Option<Permission> {
    if !tree.is(&format!("{row}Enable")) {
        return None;
    }
    let value = |name: &str| tree.value(&format!("{row}{name}"));
    let rights = |name: &str| value(name)?.parse::<Rights>().ok();
    let rights = [rights("Param")?, rights("Obj")?, rights("InstantiatedObj")?, rights("CommandEvent")?];
    Permission::new(value("Order")?.parse().ok()?, value("Targets")?, rights).ok()
}
