//! The agent's own tables without an agent around them.

use std::collections::BTreeMap;

use super::*;
use crate::agent::config::{AgentConfig, ControllerConfig, ControllerMtp, FULL_ACCESS, READ_ONLY};
use crate::datamodel::WallTime;
use crate::durable::{Change, Entry, Kind};
use crate::identity::EndpointId;
use crate::translation::{Local, Models, Rights, Sort};
use crate::usp::ErrorCode;

const SUBSCRIPTION: &str = "Device.LocalAgent.Subscription.";
const ROLE: &str = "Device.LocalAgent.ControllerTrust.Role.";

fn endpoint(name: &str) -> EndpointId {
    EndpointId::parse(&format!("self::{name}")).unwrap()
}

fn config(controllers: &[(u32, &str, &str)]) -> AgentConfig {
    let controllers = controllers.iter().map(|(instance, name, role)| ControllerConfig {
        instance: *instance,
        pinned: true,
        endpoint_id: endpoint(name),
        roles: vec![(*role).to_owned()],
        onboard: true,
        certificates: Vec::new(),
        mtp: ControllerMtp::Mqtt { client: 0, topic: "t".into() },
    });
    AgentConfig { controllers: controllers.collect(), ..AgentConfig::default() }
}

/// An agent's tables, and what has been made durable of them.
struct Bench {
    local: LocalAgent,
    kept: BTreeMap<(Kind, String), Entry>,
}

impl Bench {
    fn new() -> Self {
        Self::with(&config(&[(1, "first", FULL_ACCESS), (2, "second", READ_ONLY)]), BTreeMap::new())
    }

    fn with(config: &AgentConfig, kept: BTreeMap<(Kind, String), Entry>) -> Self {
        let entries: Vec<Entry> = kept.values().cloned().collect();
        let mut local = LocalAgent::restore(&endpoint("agent"), config, &entries);
        local.acting_for(Some(&endpoint("first")), WallTime(1_700_000_000_000));
        Self { local, kept }
    }

    fn add(&mut self, table: &str, settings: &[(&str, &str)]) -> Result<String, ErrorCode> {
        let table = if table.starts_with("Device.") {
            table.to_owned()
        } else {
            format!("Device.LocalAgent.{table}")
        };
        for (name, value) in settings {
            self.local.check_setting(&table, name, value).map_err(|refusal| refusal.code)?;
        }
        self.local.add(&table, settings).map_err(|refusal| refusal.code)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), ErrorCode> {
        self.local.check_set(name, value).map_err(|refusal| refusal.code)?;
        self.local.set(name, value);
        Ok(())
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.local.tree().value(name)
    }

    /// The gateway commits, dies and comes back with this configuration.
    fn restart(mut self, config: &AgentConfig) -> Self {
        for change in self.local.take_changes() {
            match change {
                Change::Put(entry) => {
                    self.kept.insert((entry.kind, entry.key.to_string()), entry);
                }
                Change::Delete { kind, key } => {
                    self.kept.remove(&(kind, key.to_string()));
                }
            }
        }
        Self::with(config, self.kept)
    }
}

#[test]
fn tp469_1_81_keys_that_are_left_out_are_given_and_differ() {
    let mut bench = Bench::new();
    let rows = [bench.add("Subscription.", &[]).unwrap(), bench.add("Subscription.", &[]).unwrap()];
    let keys = rows.clone().map(|row| bench.local.unique_keys(&row));
    assert_eq!(keys[0].keys().collect::<Vec<_>>(), ["Alias", "ID", "Recipient"]);
    assert_ne!(keys[0]["ID"], keys[1]["ID"]);
    assert_eq!(keys[0]["Recipient"], "Device.LocalAgent.Controller.1");
    let permissions = format!("{ROLE}1.Permission.");
    let order = |row: String| bench.value(&format!("{row}Order")).unwrap().to_owned();
    let (first, second) = (format!("{permissions}1."), Bench::new().add(&permissions, &[]).unwrap());
    assert_eq!(order(first), "1");
    assert_eq!(
        Bench::new().add(&permissions, &[("Order", "1"), ("Enable", "true")]),
        Err(ErrorCode::DUPLICATE_KEY)
    );
    assert_eq!(second, format!("{permissions}101."), "numbers up to 100 are the configuration's");
}

/// Its MTP row is gone as well, and the number of those must not bring the controller's row back.
#[test]
fn a_controller_of_the_configuration_that_was_deleted_stays_so_after_a_restart() {
    let config = config(&[(1, "first", FULL_ACCESS), (2, "second", READ_ONLY)]);
    let mut bench = Bench::with(&config, BTreeMap::new());
    let row = "Device.LocalAgent.Controller.2.";
    assert_eq!(bench.value(&format!("{row}MTPNumberOfEntries")), Some("1"));
    bench.local.delete(row);
    let bench = bench.restart(&config);
    let left: Vec<&str> = bench.local.tree().model.params_below(row).map(|(name, _)| name).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(bench.value("Device.LocalAgent.ControllerNumberOfEntries"), Some("1"));
}

#[test]
fn tp469_2_11_a_permission_without_order_comes_before_those_that_are_there() {
    let mut bench = Bench::new();
    let targets = [("Enable", "true"), ("Targets", SUBSCRIPTION), ("Obj", "r---"), ("Param", "r---")];
    bench.add(&format!("{ROLE}1.Permission."), &targets).unwrap();
    let access = bench.local.access_of(&endpoint("first"));
    let cpe = crate::datamodel::Instantiated::default();
    let models = Models { cpe: &cpe, local: &bench.local.tree().model };
    assert!(!access.may(Rights::WRITE, Sort::Obj, SUBSCRIPTION, models));
    assert!(access.may(Rights::WRITE, Sort::Obj, ROLE, models));
    assert!(!bench.local.access_of(&endpoint("second")).may(Rights::WRITE, Sort::Obj, ROLE, models));
    assert!(!bench.local.access_of(&endpoint("nobody")).may(Rights::READ, Sort::Obj, ROLE, models));
}

#[test]
fn r_key_1_tp469_1_96_1_104_what_identifies_a_row_does_not_change() {
    let mut bench = Bench::new();
    let row = bench.add("Subscription.", &[("ID", "add96"), ("Alias", "mine")]).unwrap();
    for name in ["ID", "Alias", "Recipient", "CreationDate"] {
        let refused = bench.set(&format!("{row}{name}"), "x");
        assert_eq!(refused, Err(ErrorCode::NON_WRITEABLE_PARAMETER), "{name}");
    }
    assert_eq!(bench.add("Subscription.", &[("ID", "add96")]), Err(ErrorCode::DUPLICATE_KEY));
    assert_eq!(bench.add("Subscription.", &[("Alias", "88Invalid")]), Err(ErrorCode::INVALID_VALUE));
}

#[test]
fn functional_keys_bind_rows_that_are_enabled() {
    let mut bench = Bench::new();
    let boot = "Device.LocalAgent.Controller.1.BootParameter.";
    let setting = ("ParameterName", "Device.LocalAgent.EndpointID");
    bench.add(boot, &[setting, ("Enable", "true")]).unwrap();
    let twin = bench.add(boot, &[setting]).unwrap();
    assert_eq!(bench.set(&format!("{twin}Enable"), "true"), Err(ErrorCode::DUPLICATE_KEY));
    assert_eq!(bench.value("Device.LocalAgent.Controller.1.BootParameterNumberOfEntries"), Some("2"));
}

#[test]
fn values_are_checked_by_the_standards_facets_and_meaning() {
    let mut bench = Bench::new();
    let controller = "Device.LocalAgent.Controller.1.";
    for (name, value, code) in [
        ("USPNotifRetryMinimumWaitInterval", "0", ErrorCode::INVALID_VALUE),
        ("USPNotifRetryMinimumWaitInterval", "x", ErrorCode::INVALID_TYPE),
        ("AssignedRole", "Device.LocalAgent.ControllerTrust.Role.9", ErrorCode::INVALID_VALUE),
        ("AssignedRole", "Device.LocalAgent.Controller.1", ErrorCode::INVALID_VALUE),
        ("InheritedRole", "", ErrorCode::NON_WRITEABLE_PARAMETER),
        ("Nope", "", ErrorCode::UNSUPPORTED_PARAMETER),
    ] {
        assert_eq!(bench.set(&format!("{controller}{name}"), value), Err(code), "{name}={value}");
    }
    let permission = format!("{ROLE}2.Permission.1.");
    assert_eq!(bench.set(&format!("{permission}Param"), "rwxx"), Err(ErrorCode::INVALID_VALUE));
    assert_eq!(bench.set(&format!("{permission}Targets"), "Device.["), Err(ErrorCode::INVALID_VALUE));
    assert_eq!(bench.set(&format!("{permission}Targets"), "Device.WiFi."), Ok(()));
}

#[test]
fn tp469_1_78_with_a_controller_its_subscriptions_go_and_with_a_role_what_names_it() {
    let mut bench = Bench::new();
    bench.add("Subscription.", &[]).unwrap();
    bench.local.acting_for(Some(&endpoint("second")), WallTime(1_700_000_000_000));
    bench.add("Subscription.", &[]).unwrap();
    bench.local.delete("Device.LocalAgent.Controller.2.");
    assert_eq!(bench.value("Device.LocalAgent.SubscriptionNumberOfEntries"), Some("1"));
    let both = format!("{ROLE}1, {ROLE}2").replace(".1,", ".1.,");
    bench.set("Device.LocalAgent.Controller.1.AssignedRole", &both).unwrap();
    bench.local.delete(&format!("{ROLE}1."));
    assert_eq!(bench.value("Device.LocalAgent.Controller.1.AssignedRole"), Some(&*format!("{ROLE}2")));
    assert_eq!(bench.value("Device.LocalAgent.ControllerTrust.SecuredRoles"), Some(""));
    // And it stays so.
    let config = config(&[(1, "first", FULL_ACCESS), (2, "second", READ_ONLY)]);
    let bench = bench.restart(&config);
    assert_eq!(bench.value("Device.LocalAgent.ControllerNumberOfEntries"), Some("1"));
    assert_eq!(bench.value("Device.LocalAgent.Controller.1.AssignedRole"), Some(&*format!("{ROLE}2")));
}

#[test]
fn an_agents_own_changes_survive_and_the_configurations_reach_it() {
    let mut bench = Bench::new();
    bench.set("Device.LocalAgent.Controller.1.ProvisioningCode", "p").unwrap();
    let subscription = bench.add("Subscription.", &[("NotifType", "Event"), ("Enable", "true")]).unwrap();
    let role = bench.add("ControllerTrust.Role.", &[("Name", "Trusted"), ("Enable", "true")]).unwrap();
    bench.add(&format!("{role}Permission."), &[("Targets", "Device.")]).unwrap();
    // Only what differs is kept, so that a new role of a controller is not hidden by an old change.
    let other = config(&[(1, "first", READ_ONLY), (2, "second", READ_ONLY), (3, "third", FULL_ACCESS)]);
    let bench = bench.restart(&other);
    assert_eq!(bench.value("Device.LocalAgent.Controller.1.ProvisioningCode"), Some("p"));
    assert_eq!(bench.value("Device.LocalAgent.Controller.1.AssignedRole"), Some(&*format!("{ROLE}2")));
    assert_eq!(bench.value("Device.LocalAgent.ControllerNumberOfEntries"), Some("3"));
    assert_eq!(bench.value(&format!("{subscription}NotifType")), Some("Event"));
    assert_eq!(bench.local.subscriptions().len(), 1);
    assert_eq!(bench.value(&format!("{role}Permission.1.Targets")), Some("Device."));
    assert!(bench.kept.len() <= 4, "{:?}", bench.kept.keys());
    // The controller leaves the configuration: so do the subscriptions that are its.
    let bench = bench.restart(&config(&[(2, "second", READ_ONLY)]));
    assert_eq!(bench.value("Device.LocalAgent.SubscriptionNumberOfEntries"), Some("0"));
}

#[test]
fn rows_are_limited_and_some_are_the_gateways() {
    let mut bench = Bench::new();
    assert_eq!(bench.add("Request.", &[]), Err(ErrorCode::NON_CREATABLE_OBJECT));
    assert_eq!(bench.add("Nothing.", &[]), Err(ErrorCode::OBJECT_IS_NOT_A_TABLE));
    for _ in 0..256 {
        bench.add("Subscription.", &[]).unwrap();
    }
    assert_eq!(bench.add("Subscription.", &[]), Err(ErrorCode::RESOURCES_EXCEEDED));
    let refused = bench.local.check_delete("Device.LocalAgent.Request.1.").map_err(|it| it.code);
    assert_eq!(refused, Err(ErrorCode::PERMISSION_DENIED));
}

#[test]
fn what_the_standard_calls_secret_stands_in_entries_of_its_own_and_comes_back() {
    let config = config(&[(1, "first", FULL_ACCESS)]);
    let mut bench = Bench::with(&config, BTreeMap::new());
    let client = bench.add("Device.MQTT.Client.", &[("Username", "u"), ("Password", "first pw")]).unwrap();
    let profile = bench.add("Device.BulkData.Profile.", &[]).unwrap();
    bench.set(&format!("{profile}HTTP.Password"), "second pw").unwrap();
    bench = bench.restart(&config);
    let (password, other) = (format!("{client}Password"), format!("{profile}HTTP.Password"));
    assert_eq!((bench.value(&password), bench.value(&other)), (Some("first pw"), Some("second pw")));
    assert_eq!(bench.value(&format!("{client}Username")), Some("u"));
    let secrets = bench.kept.iter().filter(|((kind, _), _)| *kind == Kind::Secret);
    assert_eq!(secrets.count(), 2);
    let told = |entry: &&Entry| String::from_utf8_lossy(&entry.value).contains(" pw");
    let clear: Vec<_> = bench.kept.values().filter(|it| it.kind != Kind::Secret).filter(told).collect();
    assert!(clear.is_empty(), "{clear:?}");
    bench.set(&password, "").unwrap();
    bench.local.delete(&profile);
    bench = bench.restart(&config);
    assert_eq!(bench.value(&password), Some(""));
    assert!(bench.kept.keys().all(|(kind, _)| *kind != Kind::Secret), "{:?}", bench.kept.keys());
}

/// As releases before wrote it: it is read, and leaves the row when that is next written.
#[test]
fn a_secret_that_stands_in_its_row_is_read_and_moves() {
    let config = config(&[(1, "first", FULL_ACCESS)]);
    let value = r#"{"format":2,"own":true,"params":{"Alias":"a","Name":"n","Password":"pw"}}"#;
    let entry = Entry { kind: Kind::LocalAgent, key: "MQTT.Client.101".into(), value: value.into() };
    let kept = BTreeMap::from([((Kind::LocalAgent, "MQTT.Client.101".to_owned()), entry)]);
    let mut bench = Bench::with(&config, kept);
    let password = "Device.MQTT.Client.101.Password";
    assert_eq!(bench.value(password), Some("pw"));
    bench.set("Device.MQTT.Client.101.Username", "u").unwrap();
    bench = bench.restart(&config);
    assert_eq!(bench.value(password), Some("pw"));
    let row = &bench.kept[&(Kind::LocalAgent, "MQTT.Client.101".to_owned())];
    assert!(!String::from_utf8_lossy(&row.value).contains("pw"));
}
