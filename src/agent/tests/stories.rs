//! What happens to an agent from its first Inform on.

use super::*;

const HOSTNAME: &str = "Device.WiFi.SSID.1.SSID";

#[test]
fn a_new_device_onboards_and_is_discovered_over_two_sessions() {
    let mut story = Story::fresh();
    assert!(story.session().is_empty(), "no RPC of ours in a session with 0 BOOTSTRAP");
    story.handle(Input::ControllerConnected { controller: controller() });
    let (msg_id, onboard) = story.notifications().remove(0);
    assert!(matches!(onboard.notification, Some(Notification::OnBoardReq(_))) && onboard.send_resp);
    assert!(story.session().iter().all(|rpc| *rpc == "GetParameterNames"));
    // R-NOT.6a: again until it is acknowledged.
    story.pass(60_000);
    assert_eq!(story.notifications().len(), 1);
    story.acknowledge(&msg_id);
    story.restart();
    story.pass(600_000);
    story.handle(Input::ControllerConnected { controller: controller() });
    assert!(story.notifications().is_empty(), "onboarded twice");
}

#[test]
fn a_request_that_comes_before_discovery_waits_for_it() {
    let mut story = Story::fresh();
    story.session();
    let get = message::Get { param_paths: vec![HOSTNAME.into()], max_depth: 0 };
    let answer = story.ask(Request::Get(get)).unwrap();
    assert!(format!("{answer:?}").contains(HOSTNAME.rsplit('.').next().unwrap()), "{answer:?}");
    let mut story = Story::fresh();
    story.session();
    let instances = message::GetInstances { obj_paths: vec!["Device.WiFi.".into()], first_level_only: false };
    let answer = story.ask(Request::GetInstances(instances)).unwrap();
    assert!(format!("{answer:?}").contains("Device.WiFi.SSID.1."), "{answer:?}");
}

#[test]
fn get_reads_live_and_a_discovered_device_is_asked_for_exactly_the_names() {
    let mut story = Story::begin();
    let before = story.get(HOSTNAME).unwrap();
    story.cpe.change(HOSTNAME, "changed");
    assert_ne!(before[HOSTNAME], "changed");
    assert_eq!(story.get(HOSTNAME).unwrap()[HOSTNAME], "changed");
    assert_eq!(story.get("Device.Nope."), Err(ErrorCode::INVALID_PATH));
    assert_eq!(story.get("Device.WiFi.SSID.77."), Err(ErrorCode::OBJECT_DOES_NOT_EXIST));
}

#[test]
fn set_reaches_the_cpe_and_what_it_refuses_is_told_with_its_fault() {
    let mut story = Story::begin();
    story.ask(set("Device.WiFi.SSID.1.", &[("SSID", "new name")])).unwrap();
    assert_eq!(story.cpe.value(HOSTNAME), Some("new name"));
    let refused = story.ask(set("Device.DeviceInfo.", &[("SerialNumber", "x")])).unwrap_err();
    assert!(!refused.param_errs.is_empty(), "{refused:?}");
    let denied = story.ask_as(&reader(), set("Device.WiFi.SSID.1.", &[("SSID", "x")])).unwrap_err();
    assert_eq!(ErrorCode(denied.err_code), ErrorCode::PERMISSION_DENIED);
    assert_eq!(story.cpe.value(HOSTNAME), Some("new name"));
}

#[test]
fn objects_are_added_with_their_settings_told_to_subscribers_and_deleted() {
    let mut story = Story::begin();
    story.subscribe("ObjectCreation", "Device.NAT.PortMapping.", &[]);
    story.subscribe("ObjectDeletion", "Device.NAT.PortMapping.", &[]);
    let response = story.ask(add("Device.NAT.PortMapping.", &[("ExternalPort", "8080")])).unwrap();
    let instance = created(&response);
    assert_eq!(story.cpe.value(&format!("{instance}ExternalPort")), Some("8080"));
    let told = story.notifications();
    let Some(Notification::ObjCreation(creation)) = &told[0].1.notification else { panic!("{told:?}") };
    assert_eq!(creation.obj_path, instance);
    let delete = message::Delete { allow_partial: false, obj_paths: vec![instance.clone()] };
    story.ask(Request::Delete(delete)).unwrap();
    assert_eq!(story.cpe.value(&format!("{instance}ExternalPort")), None);
    let told = story.notifications();
    let Some(Notification::ObjDeletion(deletion)) = &told[0].1.notification else { panic!("{told:?}") };
    assert_eq!(deletion.obj_path, instance);
}

#[test]
fn r_add_3_an_object_whose_required_setting_fails_is_taken_back() {
    let mut story = Story::begin();
    let before = story.shadow.cpe.instances("Device.NAT.PortMapping.");
    let refused = story.ask(add("Device.NAT.PortMapping.", &[("ExternalPort", "many")])).unwrap_err();
    assert_ne!(refused.err_code, 0);
    assert_eq!(story.shadow.cpe.instances("Device.NAT.PortMapping."), before);
    let left = story.get("Device.NAT.PortMappingNumberOfEntries").unwrap();
    assert_eq!(left["Device.NAT.PortMappingNumberOfEntries"], before.len().to_string());
}

#[test]
fn value_changes_are_told_whoever_made_them() {
    let mut story = Story::begin();
    story.subscribe("ValueChange", HOSTNAME, &[]);
    story.settle();
    story.get(HOSTNAME).unwrap();
    story.notifications();
    story.ask(set("Device.WiFi.SSID.1.", &[("SSID", "by us")])).unwrap();
    let values = |story: &mut Story| {
        let told = story.notifications().into_iter().filter_map(|(_, it)| match it.notification {
            Some(Notification::ValueChange(change)) => Some(change.param_value),
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(values(&mut story), ["by us"]);
    // Nobody asked the CPE to report it: the next session looks.
    story.cpe.change(HOSTNAME, "by the user");
    story.session();
    assert_eq!(values(&mut story), ["by the user"]);
}

#[test]
fn a_notification_with_retry_survives_a_crash_until_it_is_acknowledged() {
    let mut story = Story::begin();
    story.subscribe("Event", "Device.Boot!", &[("NotifRetry", "true"), ("Persistent", "true")]);
    story.ask(operate("Device.Reboot()", &[])).unwrap();
    story.settle();
    let first = story.notifications();
    let Some(Notification::Event(boot)) = &first[0].1.notification else { panic!("{first:?}") };
    assert_eq!((boot.event_name.as_str(), boot.params["Cause"].as_str()), ("Boot!", "RemoteReboot"));
    assert_eq!(boot.params["CommandKey"], "key");
    story.restart();
    story.pass(60_000);
    let again = story.notifications();
    assert_eq!(again, first, "a retry carries the same content under the same id");
    story.acknowledge(&first[0].0);
    story.restart();
    story.pass(3_600_000);
    assert!(story.notifications().is_empty());
    assert!(story.agent.is_idle());
}

#[test]
fn r_not_1_a_controller_that_vanishes_for_an_hour_is_told_everything_that_happened() {
    let mut story = Story::begin();
    for number in 0..10 {
        let id = format!("s{number}");
        let settings = [("ID", id.as_str()), ("NotifRetry", "true"), ("Persistent", "true")];
        story.subscribe("ValueChange", HOSTNAME, &settings);
    }
    story.settle();
    story.get(HOSTNAME).unwrap();
    story.notifications();
    let mut values = Vec::new();
    for minute in 0..60 {
        let value = format!("minute {minute}");
        story.cpe.change(HOSTNAME, &value);
        values.push(value);
        story.session();
        story.pass(60_000);
        if minute % 20 == 7 {
            story.restart();
        }
    }
    story.notifications();
    // It is back. The longest wait by then is what R-NOT.1 allows the retry that comes next.
    let mut heard = std::collections::BTreeSet::new();
    for _ in 0..200 {
        story.pass(60_000);
        for (id, notify) in story.notifications() {
            let Some(Notification::ValueChange(change)) = notify.notification else { continue };
            heard.insert((notify.subscription_id, change.param_value));
            story.acknowledge(&id);
        }
    }
    let wanted = values.iter().flat_map(|value| (0..10).map(move |id| (format!("s{id}"), value.clone())));
    assert_eq!(heard, wanted.collect());
    assert!(story.agent.is_idle(), "nothing is owed");
}

#[test]
fn a_subscription_that_is_not_persistent_ends_with_a_reboot_and_time_to_live_ends_others() {
    let mut story = Story::begin();
    story.subscribe("Event", "Device.Boot!", &[]);
    story.subscribe("ValueChange", HOSTNAME, &[("TimeToLive", "60"), ("Persistent", "true")]);
    let count = |story: &mut Story| story.agent.local.subscriptions().len();
    story.restart();
    assert_eq!(count(&mut story), 2, "a restart of the gateway is no reboot of the device");
    story.ask(operate("Device.Reboot()", &[])).unwrap();
    story.settle();
    assert_eq!(count(&mut story), 1);
    story.pass(61_000);
    assert_eq!(count(&mut story), 0);
}

#[test]
fn r_opr_0_an_asynchronous_command_has_a_request_row_until_it_is_complete() {
    for crash in [false, true] {
        let mut story = Story::begin();
        story.subscribe("OperationComplete", "Device.IP.Diagnostics.IPPing()", &[("NotifRetry", "true")]);
        let missing = story.ask(operate("Device.IP.Diagnostics.IPPing()", &[])).unwrap();
        assert!(format!("{missing:?}").contains("7027"), "R-OPR.5: {missing:?}");
        let answer = story.ask(operate("Device.IP.Diagnostics.IPPing()", &[("Host", "127.0.0.1")])).unwrap();
        let Response::OperateResp(resp) = answer else { panic!("{answer:?}") };
        use message::operate_resp::operation_result::OperationResp;
        let Some(OperationResp::ReqObjPath(row)) = &resp.operation_results[0].operation_resp else {
            panic!("{resp:?}")
        };
        assert_eq!(story.get(&format!("{row}Command")).unwrap().len(), 1);
        if crash {
            story.restart();
        }
        story.wanted = true;
        story.settle();
        let told = story.notifications();
        let Some(Notification::OperComplete(complete)) = &told[0].1.notification else { panic!("{told:?}") };
        assert_eq!((complete.command_name.as_str(), complete.command_key.as_str()), ("IPPing()", "key"));
        assert!(format!("{complete:?}").contains("SuccessCount"), "{complete:?}");
        assert_eq!(story.get(row), Err(ErrorCode::OBJECT_DOES_NOT_EXIST));
    }
}

#[test]
fn r_add_5_and_unique_keys_hold_for_subscriptions() {
    let mut story = Story::begin();
    let first = story.subscribe("Event", "Device.Boot!", &[]);
    assert_eq!(first, "Device.LocalAgent.Subscription.1.");
    let same = [("NotifType", "Event"), ("ReferenceList", "Device.Boot!"), ("ID", "Event")];
    let refused = story.ask(add("Device.LocalAgent.Subscription.", &same)).unwrap_err();
    assert_eq!(ErrorCode(refused.err_code), ErrorCode::DUPLICATE_KEY);
    let wrong = [("NotifType", "Everything")];
    let refused = story.ask(add("Device.LocalAgent.Subscription.", &wrong)).unwrap_err();
    assert_eq!(ErrorCode(refused.err_code), ErrorCode::INVALID_VALUE);
    story.ask(set(&first, &[("Enable", "false")])).unwrap();
    assert!(story.agent.local.subscriptions().is_empty());
    let recipient = story.get(&format!("{first}Recipient")).unwrap();
    assert_eq!(recipient.values().next().unwrap(), "Device.LocalAgent.Controller.1");
}

#[test]
fn a_device_that_cannot_be_reached_costs_its_controller_an_error_and_nothing_more() {
    let mut story = Story::begin();
    let msg_id = story
        .send(&controller(), Request::Get(message::Get { param_paths: vec![HOSTNAME.into()], max_depth: 0 }));
    story.pass(story.config.request_timeout_ms + 1);
    let answer = story.said.iter().find(|(_, message)| message.msg_id == msg_id).expect("no answer");
    let MessageBody::Error(error) = &answer.1.body else { panic!("{answer:?}") };
    assert!(error.err_msg.contains("last heard of"), "{}", error.err_msg);
    assert!(story.agent.is_idle());
}

/// A device put to rest before each request behaves as one that was never at rest.
#[test]
fn rest_and_wake_change_nothing() {
    let tell = |mut story: Story| {
        let mut heard = Vec::new();
        story.subscribe("ValueChange", HOSTNAME, &[("NotifRetry", "true"), ("Persistent", "true")]);
        heard.push(format!("{:?}", story.get("Device.WiFi.")));
        heard.push(format!("{:?}", story.ask(set("Device.WiFi.SSID.1.", &[("SSID", "x")]))));
        heard.push(format!("{:?}", story.ask(add("Device.NAT.PortMapping.", &[("ExternalPort", "1")]))));
        heard.push(format!("{:?}", story.get("Device.LocalAgent.")));
        heard.push(format!("{:?}", story.get("Device.NAT.")));
        let told = story.notifications().into_iter().map(|(_, notify)| format!("{notify:?}"));
        heard.extend(told);
        heard
    };
    assert_eq!(tell(Story::begin()), tell(Story::restless()));
}

#[test]
fn a_get_is_answered_from_what_is_known_where_the_operator_lets_values_be_so_old() {
    let mut story = Story::with(AgentConfig { fresh_ms: 10_000, ..AgentConfig::default() });
    story.session();
    story.session();
    story.get(HOSTNAME).unwrap();
    story.cpe.change(HOSTNAME, "newer");
    assert_ne!(story.get(HOSTNAME).unwrap()[HOSTNAME], "newer", "the device was asked for a fresh value");
    assert!(!story.wanted);
    story.now += 11_000;
    assert_eq!(story.get(HOSTNAME).unwrap()[HOSTNAME], "newer");
    assert!(story.get("Device.Nope.").is_err());
}

#[test]
fn the_tables_of_the_local_agent_profile_are_there() {
    let mut story = Story::begin();
    let all = story.get("Device.LocalAgent.").unwrap();
    for (name, value) in [
        ("MTPNumberOfEntries", "0"),
        ("ControllerNumberOfEntries", "2"),
        ("Controller.1.EndpointID", "self::ctl"),
        ("Controller.1.MTP.1.MQTT.Topic", "usp/controller"),
        ("SubscriptionNumberOfEntries", "0"),
        ("RequestNumberOfEntries", "0"),
    ] {
        assert_eq!(all[&format!("Device.LocalAgent.{name}")], value, "{name}");
    }
}

#[test]
fn tp469_6_1_the_parameters_of_the_stomp_profiles_are_there() {
    let broker = StompConnection {
        instance: 1,
        mtp: 1,
        name: "b".into(),
        host: "broker.example".into(),
        port: 61_613,
        encrypted: false,
        login: Some(("gateway".into(), "secret".into())),
        virtual_host: "/".into(),
        heart_beat_ms: (15_000, 10_000),
        retry_ms: (1_000, 60_000),
        destination_prefix: "/queue/agent.".into(),
    };
    let mtp = ControllerMtp::Stomp { connection: 0, destination: "/queue/ctl".into() };
    let endpoint_id = controller();
    let roles = vec![FULL_ACCESS.into()];
    let known = ControllerConfig {
        instance: 1,
        pinned: true,
        endpoint_id,
        roles,
        onboard: true,
        certificates: Vec::new(),
        mtp,
    };
    let settings = AgentConfig { stomp: vec![broker], ..AgentConfig::default() };
    let mut story = Story::known_to(vec![known], settings, Bench::new(MODEL));
    let endpoint = story.cpe.id().endpoint_id();
    let all = story.get("Device.LocalAgent.").unwrap();
    for (name, value) in [
        ("MTP.1.Protocol", "STOMP"),
        ("MTP.1.STOMP.Reference", "Device.STOMP.Connection.1"),
        ("MTP.1.STOMP.Destination", &format!("/queue/agent.{endpoint}")),
        ("Controller.1.MTP.1.Protocol", "STOMP"),
        ("Controller.1.MTP.1.STOMP.Reference", "Device.STOMP.Connection.1"),
        ("Controller.1.MTP.1.STOMP.Destination", "/queue/ctl"),
    ] {
        assert_eq!(all[&format!("Device.LocalAgent.{name}")], value, "{name}");
    }
    story.wanted = false;
    let all = story.get("Device.STOMP.").unwrap();
    assert!(!story.wanted, "the CPE is asked for what the gateway owns");
    for (name, value) in [
        ("ConnectionNumberOfEntries", "1"),
        ("Connection.1.Alias", "cpe-1"),
        ("Connection.1.Enable", "true"),
        ("Connection.1.Host", "broker.example"),
        ("Connection.1.Port", "61613"),
        ("Connection.1.VirtualHost", "/"),
        ("Connection.1.EnableHeartbeats", "true"),
        ("Connection.1.OutgoingHeartbeat", "15000"),
        ("Connection.1.IncomingHeartbeat", "10000"),
        ("Connection.1.ServerRetryInitialInterval", "1"),
        ("Connection.1.ServerRetryIntervalMultiplier", "2000"),
        ("Connection.1.ServerRetryMaxInterval", "60"),
    ] {
        assert_eq!(all[&format!("Device.STOMP.{name}")], value, "{name}");
    }
}

#[test]
fn an_overdue_request_whose_rpc_is_under_way_keeps_no_clock_spinning() {
    let mut story = Story::begin();
    let get = message::Get { param_paths: vec![HOSTNAME.into()], max_depth: 0 };
    story.send(&controller(), Request::Get(get));
    let inform = story.cpe.open();
    story.handle(Input::Informed { inform: &inform, first_contact: false });
    let rpc = story.agent.next_rpc(&story.env(), &mut story.shadow, &mut Vec::new());
    assert!(rpc.is_some());
    story.pass(story.config.request_timeout_ms * 2);
    assert!(story.agent.next_deadline().is_none_or(|at| at > story.now), "it would tick without end");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    /// A controller that sends junk, or a message with a byte changed, disturbs nobody.
    #[test]
    fn hostile_records_never_panic_and_the_next_request_is_served(
        junk in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        at in 0_usize..400,
        byte in proptest::prelude::any::<u8>(),
        path in "[A-Za-z0-9.*\\[\\]=\"+#&!<>~ ]{0,60}",
    ) {
        let mut story = Story::begin();
        story.record(junk.into());
        let to = story.cpe.id().endpoint_id();
        for request in [
            Request::Get(message::Get { param_paths: vec![path.clone()], max_depth: 0 }),
            add(&path, &[("Alias", &path)]),
            set(&path, &[("SSID", &path)]),
            operate(&path, &[]),
        ] {
            let message = Message::request("m", request).encode();
            let mut record = Record::plain(&controller(), &to, message).encode().to_vec();
            story.record(record.clone().into());
            let place = at % record.len();
            record[place] = byte;
            story.record(record.into());
        }
        story.session();
        proptest::prop_assert!(story.get("Device.DeviceInfo.SerialNumber").is_ok());
    }
}
