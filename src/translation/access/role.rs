//! Roles, and what a controller may do over all of its roles.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use crate::datamodel::Instantiated;
use crate::datamodel::supported::{Secured, secured};
use crate::identity::EndpointId;
use crate::policy::{Ownership, OwnershipRule, Stage, Writer};

use super::super::local::{is_local, is_own};
use super::permission::Permission;
use super::rights::Rights;

/// What targets with search expressions are judged by.
#[derive(Clone, Copy)]
pub struct Models<'m> {
    pub cpe: &'m Instantiated,
    pub local: &'m Instantiated,
}

impl<'m> Models<'m> {
    /// The model that holds a path.
    pub fn of(&self, path: &str) -> &'m Instantiated {
        if is_own(path, self.local) { self.local } else { self.cpe }
    }
}

/// The sort of thing a right is for: each permission has rights for each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Param,
    /// An object or table as such: that it is there, and that instances can be created in it.
    Obj,
    /// Instances: that they are there, and that they can be deleted.
    InstantiatedObj,
    CommandEvent,
}

/// One role: its permissions, the one of the highest order first.
#[derive(Debug, Clone, Default)]
pub struct Role {
    permissions: Vec<Permission>,
    /// Whether the role is one of the `SecuredRoles`: who has it sees secrets that it may read.
    secured: bool,
}

impl Role {
    pub fn new(mut permissions: Vec<Permission>, secured: bool) -> Self {
        permissions.sort_by_key(|permission| std::cmp::Reverse(permission.order));
        Self { permissions, secured }
    }

    /// The rights of the permission of the highest order that is about this path.
    fn rights(&self, sort: Sort, path: &str, models: Models<'_>) -> Rights {
        let first = self.permissions.iter().find(|permission| permission.is_about(path, models));
        first.map_or(Rights::NONE, |permission| permission.rights(sort))
    }

    /// Whether it allows everything there is.
    fn is_unlimited(&self) -> bool {
        self.permissions.first().is_some_and(Permission::is_unlimited)
    }
}

/// What one controller may do, over all its roles.
#[derive(Debug, Clone, Default)]
pub struct Access {
    roles: Vec<Role>,
    unlimited: bool,
    /// Who it is and who owns what, where the rules about that are enforced.
    bound: Option<(Arc<Ownership>, EndpointId)>,
    /// How far the device is on its way to USP.
    stage: Stage,
}

impl Access {
    /// Of work of our own: everything.
    pub const fn unlimited() -> Self {
        Self { roles: Vec::new(), unlimited: true, bound: None, stage: Stage::Write }
    }

    /// The same, shared.
    pub fn for_us() -> Arc<Self> {
        static UNLIMITED: OnceLock<Arc<Access>> = OnceLock::new();
        Arc::clone(UNLIMITED.get_or_init(|| Arc::new(Self::unlimited())))
    }

    /// The union of several roles; of none, nothing is allowed.
    pub fn of(roles: Vec<Role>) -> Self {
        let unlimited = roles.iter().any(Role::is_unlimited) && roles.iter().any(|role| role.secured);
        Self { roles, unlimited, bound: None, stage: Stage::Write }
    }

    /// The same, of a controller that does not write what others own.
    #[must_use]
    pub fn bound(self, ownership: &Arc<Ownership>, controller: EndpointId) -> Self {
        let bound = ownership.enforces().then(|| (Arc::clone(ownership), controller));
        Self { bound, ..self }
    }

    /// The same, of a device at this stage.
    #[must_use]
    pub fn at(self, stage: Stage) -> Self {
        Self { stage, ..self }
    }

    /// Why the device is not changed at its stage, whatever roles say. What the gateway holds for every device is.
    pub fn held_back(&self, path: &str) -> Option<&'static str> {
        (!self.stage.writes() && !is_local(path)).then(|| self.stage.refusal())
    }

    /// The rule by which another master owns what is to be written. It holds whatever roles say: rights of several
    /// roles are added, so that no role could take away what another gives.
    pub fn rule_against(&self, sort: Sort, path: &str) -> Option<&OwnershipRule> {
        let (ownership, controller) = self.bound.as_ref().filter(|_| !is_local(path))?;
        let (path, whole) = written_by(sort, path)?;
        ownership.against(&path, Writer::Controller(controller), whole)
    }

    /// Whether nothing needs to be asked path by path.
    pub fn is_unlimited(&self) -> bool {
        self.unlimited
    }

    /// Whether rights depend on values of the data model: some target has a search expression.
    pub fn searches(&self) -> bool {
        !self.unlimited && self.roles.iter().any(|role| role.permissions.iter().any(Permission::searches))
    }

    /// The rights on a path: of `Obj` on an object or table, of `InstantiatedObj` on an instance. In place
    /// of an instance that is not there yet stands `0`, which wildcards name and numbers do not.
    pub fn rights(&self, sort: Sort, path: &str, models: Models<'_>) -> Rights {
        if self.unlimited {
            return Rights::ALL;
        }
        let each = self.roles.iter().map(|role| role.rights(sort, path, models));
        each.fold(Rights::NONE, Rights::with)
    }

    pub fn may(&self, right: Rights, sort: Sort, path: &str, models: Models<'_>) -> bool {
        self.unlimited || self.rights(sort, path, models).has(right)
    }

    /// Whether a parameter is there for the controller (R-GET.1): it may read it and its object.
    pub fn reads(&self, param: &str, models: Models<'_>) -> bool {
        self.unlimited
            || (self.may(Rights::READ, Sort::Param, param, models)
                && crate::datamodel::path::parent(param)
                    .is_some_and(|object| self.may(Rights::READ, Sort::Obj, object, models)))
    }

    /// Whether the value of a parameter that may be read is withheld: it reads as empty (TR-106, `secured`,
    /// `hidden` and `command`).
    pub fn hides(&self, param: &str, models: Models<'_>) -> bool {
        match secured(param) {
            None => false,
            Some(Secured::Secured) if self.unlimited => false,
            Some(Secured::Secured) => !self
                .roles
                .iter()
                .filter(|role| role.secured)
                .any(|role| role.rights(Sort::Param, param, models).has(Rights::READ)),
            Some(Secured::Hidden | Secured::Command) => true,
        }
    }
}

/// What a write is about, and whether all that is below goes by it. `None`: nothing is written.
pub fn written_by(sort: Sort, path: &str) -> Option<(Cow<'_, str>, bool)> {
    match sort {
        Sort::Param => Some((path.into(), false)),
        Sort::Obj => Some((format!("{path}0.").into(), false)),
        Sort::InstantiatedObj => Some((path.into(), true)),
        Sort::CommandEvent if path == "Device.FactoryReset()" => Some(("Device.".into(), true)),
        Sort::CommandEvent => {
            // A diagnostic writes the object that is called as it is; the commands of the root write nothing.
            let object = path.strip_suffix("()").filter(|command| command.matches('.').count() > 1)?;
            Some((format!("{object}.").into(), true))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datamodel::{Source, Value, ValueType, WallTime};

    fn permission(order: u32, targets: &str, all: &str) -> Permission {
        let rights = all.parse().unwrap();
        Permission::new(order, targets, [rights; 4]).unwrap()
    }

    fn local() -> Instantiated {
        let mut local = Instantiated::default();
        for (name, text) in [
            ("Device.LocalAgent.Subscription.1.ID", "mine"),
            ("Device.LocalAgent.Subscription.2.ID", "yours"),
        ] {
            let value_type = Some(ValueType::String);
            let value = Value { text: text.into(), value_type, at: WallTime(0), source: Source::Write };
            local.set_value(name, value);
        }
        local
    }

    fn rights(permissions: Vec<Permission>, path: &str) -> String {
        let (cpe, local) = (Instantiated::default(), local());
        let models = Models { cpe: &cpe, local: &local };
        Access::of(vec![Role::new(permissions, false)]).rights(Sort::Param, path, models).to_string()
    }

    #[test]
    fn tp469_2_21_of_overlapping_permissions_the_higher_order_decides() {
        let all = || permission(1, "Device", "rwxn");
        let none = || permission(2, "Device.LocalAgent.ControllerTrust", "----");
        let path = "Device.LocalAgent.ControllerTrust.Role.1.Name";
        assert_eq!(rights(vec![all(), none()], path), "----");
        assert_eq!(rights(vec![none(), all()], path), "----");
        assert_eq!(rights(vec![all(), none()], "Device.LocalAgent.UpTime"), "rwxn");
        assert_eq!(rights(vec![permission(3, "Device.", "r---"), none()], path), "r---");
    }

    #[test]
    fn the_rights_of_several_roles_are_added_after_each_has_been_decided() {
        // The example of TR-369 "A Controller's Role".
        let a = Role::new(
            vec![
                permission(3, "Device.LocalAgent", "r---"),
                permission(55, "Device.LocalAgent.Controller", "r-xn"),
            ],
            false,
        );
        let b = Role::new(
            vec![
                permission(20, "Device.LocalAgent", "r---"),
                permission(78, "Device.LocalAgent.Controller", "----"),
            ],
            false,
        );
        let (cpe, local) = (Instantiated::default(), Instantiated::default());
        let models = Models { cpe: &cpe, local: &local };
        let access = Access::of(vec![a, b]);
        let rights = access.rights(Sort::Obj, "Device.LocalAgent.Controller.", models);
        assert_eq!(rights.to_string(), "r-xn");
        assert!(!access.is_unlimited());
    }

    #[test]
    fn targets_name_parameters_instances_and_what_a_search_finds() {
        let one = |target| rights(vec![permission(1, target, "r---")], "Device.LocalAgent.Subscription.1.ID");
        for target in [
            "Device.LocalAgent.Subscription.1.ID",
            "Device.LocalAgent.Subscription.1.",
            "Device.LocalAgent.Subscription.*.ID",
            "Device.LocalAgent.Subscription.[ID==\"mine\"].",
            "Device.LocalAgent.Subscription.[ID==\"mine\"].ID",
            "Device.LocalAgent.UpTime, Device.LocalAgent.",
        ] {
            assert_eq!(one(target), "r---", "{target}");
        }
        for target in [
            "Device.LocalAgent.Subscription.2.",
            "Device.LocalAgent.Subscription.1.Enable",
            "Device.LocalAgent.Subscription.[ID==\"yours\"].",
            "Device.LocalAgent.Sub",
            "Device.WiFi.",
        ] {
            assert_eq!(one(target), "----", "{target}");
        }
    }

    #[test]
    fn tp469_2_25_a_wildcard_holds_for_instances_that_are_not_there_yet() {
        let new = "Device.LocalAgent.Subscription.0.Enable";
        let all = permission(1, "Device.", "rwxn");
        let wild = permission(2, "Device.LocalAgent.Subscription.*.Enable", "r---");
        let numbered = permission(2, "Device.LocalAgent.Subscription.1.Enable", "r---");
        assert_eq!(rights(vec![all.clone(), wild], new), "r---");
        assert_eq!(rights(vec![all, numbered], new), "rwxn");
    }

    #[test]
    fn tp469_2_27_secrets_are_shown_to_secured_roles_alone() {
        let (cpe, local) = (Instantiated::default(), Instantiated::default());
        let models = Models { cpe: &cpe, local: &local };
        let secret = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase";
        let hides = |secured| {
            let role = Role::new(vec![permission(1, "Device.", "rwxn")], secured);
            Access::of(vec![role]).hides(secret, models)
        };
        assert!(hides(false) && !hides(true));
        assert!(!Access::unlimited().hides(secret, models));
        assert!(!Access::of(Vec::new()).hides("Device.DeviceInfo.UpTime", models));
    }

    #[test]
    fn targets_and_rights_that_mean_nothing_are_refused() {
        for rights in ["rwx", "nxwr", "rwxnr", "RWXN", ""] {
            assert!(rights.parse::<Rights>().is_err(), "{rights}");
        }
        assert!(Permission::new(1, "Device.[", [Rights::ALL; 4]).is_err());
        assert!(Permission::new(1, "Internet", [Rights::ALL; 4]).is_err());
        assert!(Permission::new(1, "", [Rights::ALL; 4]).is_ok());
    }
}
