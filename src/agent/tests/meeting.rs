//! Stories of controllers that change how agents are met.

use super::*;
use crate::policy::Egress;

const CLIENT: &str = "Device.MQTT.Client.1.";
const MTP: &str = "Device.LocalAgent.MTP.1.";

fn broker(name: &str, host: &str) -> MqttClient {
    MqttClient {
        instance: 1,
        mtp: 1,
        name: name.into(),
        host: host.into(),
        port: 1_883,
        encrypted: false,
        v5: true,
        login: Some(("gateway".into(), "secret".into())),
        client_id_prefix: "dragoman-".into(),
        topic_prefix: "usp/agent".into(),
        shares: None,
        keep_alive: 60,
        session_expiry: 3_600,
        retry_ms: (200, 60_000),
    }
}

fn story() -> Story {
    let places =
        ["mqtt://main.example", "mqtts://*.lan.example", "stomp://stomp.example", "ws://ws.example/usp"];
    let egress = Arc::new(Egress::of(places).unwrap());
    let mut story = Story::with(AgentConfig {
        mqtt: vec![broker("main", "main.example")],
        egress,
        ..AgentConfig::default()
    });
    story.session();
    story.session();
    story.said.clear();
    story
}

fn code(answer: Result<Response, message::Error>) -> ErrorCode {
    let error = answer.unwrap_err();
    ErrorCode(error.param_errs.first().map_or(error.err_code, |it| it.err_code))
}

#[test]
fn tp469_11_1_the_parameters_of_the_mqtt_profiles_are_there_as_the_configuration_has_them() {
    let mut story = story();
    let endpoint = story.cpe.id().endpoint_id();
    let all = story.get("Device.MQTT.").unwrap();
    for (name, value) in [
        ("ClientNumberOfEntries", "1"),
        ("Capabilities.ProtocolVersionsSupported", "3.1.1,5.0"),
        ("Capabilities.TransportProtocolSupported", "TCP/IP,TLS"),
        ("Client.1.Enable", "true"),
        ("Client.1.Name", "main"),
        ("Client.1.ProtocolVersion", "5.0"),
        ("Client.1.BrokerAddress", "main.example"),
        ("Client.1.BrokerPort", "1883"),
        ("Client.1.TransportProtocol", "TCP/IP"),
        ("Client.1.CleanSession", "false"),
        ("Client.1.KeepAliveTime", "60"),
        ("Client.1.ClientID", &format!("dragoman-{endpoint}")),
        ("Client.1.Username", "gateway"),
        ("Client.1.MessageRetryTime", "5"),
        ("Client.1.ConnectRetryTime", "1"),
        ("Client.1.ConnectRetryIntervalMultiplier", "2000"),
        ("Client.1.ConnectRetryMaxInterval", "60"),
        ("Client.1.ResponseInformation", ""),
        ("Client.1.Subscription.1.Topic", &format!("usp/agent/{endpoint}")),
        ("Client.1.Subscription.1.QoS", "1"),
        ("Client.1.Subscription.1.Enable", "true"),
    ] {
        assert_eq!(all[&format!("Device.MQTT.{name}")], value, "{name}");
    }
    let all = story.get("Device.LocalAgent.").unwrap();
    for (name, value) in [
        ("MTP.1.MQTT.Reference", "Device.MQTT.Client.1"),
        ("MTP.1.MQTT.ResponseTopicConfigured", &*format!("usp/agent/{endpoint}")),
        ("MTP.1.MQTT.ResponseTopicDiscovered", ""),
        ("Controller.1.MTP.1.MQTT.AgentMTPReference", "Device.LocalAgent.MTP.1"),
        ("Controller.1.MTP.1.MQTT.Topic", "usp/controller"),
    ] {
        assert_eq!(all[&format!("Device.LocalAgent.{name}")], value, "{name}");
    }
    assert!(story.met.is_empty(), "nothing is otherwise than configured");
}

#[test]
fn tp469_9_9_a_controller_that_is_added_with_an_mtp_is_met() {
    let mut story = story();
    story.restless = true;
    let role = "Device.LocalAgent.ControllerTrust.Role.1";
    let settings = [("EndpointID", "self::new"), ("Enable", "true"), ("AssignedRole", role)];
    let row = created(&story.ask(add("Device.LocalAgent.Controller.", &settings)).unwrap());
    let before = story.met.len();
    let table = format!("{row}MTP.");
    let mtp = created(&story.ask(add(&table, &[("Enable", "true"), ("Protocol", "MQTT")])).unwrap());
    story.ask(set(&format!("{mtp}MQTT."), &[("Topic", "usp/new")])).unwrap();
    assert!(story.met.len() > before);
    let ways = story.met.last().unwrap().clone().unwrap();
    let [way] = ways.mqtt.as_slice() else { panic!("{ways:?}") };
    let met: Vec<(&str, &str)> = way.met.iter().map(|it| (it.controller.as_str(), it.at.as_str())).collect();
    assert_eq!(
        met,
        [("self::ctl", "usp/controller"), ("self::reader", "usp/controller"), ("self::new", "usp/new")]
    );
    // It is known again without anybody asking, after a crash too.
    story.restart();
    story.met.clear();
    story.pass(1);
    assert_eq!(story.met, [Some(ways)]);
    // Disabled, it is left; deleted, all is as configured, which is stored as well.
    story.ask(set(&row, &[("Enable", "false")])).unwrap();
    assert_eq!(story.met.last(), Some(&None));
    story.ask(set(&row, &[("Enable", "true")])).unwrap();
    let delete = message::Delete { allow_partial: false, obj_paths: vec![row] };
    story.ask(Request::Delete(delete)).unwrap();
    assert_eq!(story.met.last(), Some(&None));
    assert!(!story.stored.keys().any(|(kind, _)| *kind == Kind::Ways));
}

#[test]
fn a_controller_has_several_ways_in_their_order() {
    let mut story = story();
    let connection = [("Enable", "true"), ("Host", "stomp.example"), ("EnableEncryption", "false")];
    let connection = created(&story.ask(add("Device.STOMP.Connection.", &connection)).unwrap());
    let reference = connection.trim_end_matches('.');
    let own = created(
        &story.ask(add("Device.LocalAgent.MTP.", &[("Protocol", "STOMP"), ("Enable", "true")])).unwrap(),
    );
    story
        .ask(set(&format!("{own}STOMP."), &[("Reference", reference), ("Destination", "/queue/me")]))
        .unwrap();
    let table = "Device.LocalAgent.Controller.1.MTP.";
    let second = created(&story.ask(add(table, &[("Protocol", "STOMP"), ("Enable", "true")])).unwrap());
    let way = [("Reference", reference), ("Destination", "/queue/ctl")];
    story.ask(set(&format!("{second}STOMP."), &way)).unwrap();
    let third = created(&story.ask(add(table, &[("Protocol", "WebSocket"), ("Enable", "true")])).unwrap());
    let way = [("Host", "ws.example"), ("Port", "80"), ("Path", "usp"), ("EnableEncryption", "false")];
    story.ask(set(&format!("{third}WebSocket."), &way)).unwrap();
    // The functional key of the table.
    let twin = story.ask(add(table, &[("Protocol", "MQTT"), ("Enable", "true")]));
    assert_eq!(code(twin), ErrorCode::DUPLICATE_KEY);
    let ways = story.met.last().unwrap().clone().unwrap();
    let (mqtt, stomp) = (&ways.mqtt[0], &ways.stomp[0]);
    assert_eq!((mqtt.met[0].order, stomp.met[0].order, ways.websocket[0].met.order), (1, 2, 3));
    assert_eq!((stomp.destination.as_str(), stomp.met[0].at.as_str()), ("/queue/me", "/queue/ctl"));
    assert_eq!((ways.websocket[0].path.as_str(), ways.websocket[0].tls), ("/usp", false));
}

#[test]
fn nobody_is_sent_where_the_operator_does_not_want_it() {
    let mut story = story();
    let refused = story.ask(set(CLIENT, &[("BrokerAddress", "169.254.169.254")])).unwrap_err();
    let refused = refused.param_errs.first().unwrap().clone();
    assert_eq!(ErrorCode(refused.err_code), ErrorCode::INVALID_VALUE);
    assert!(refused.err_msg.contains("egress policy"), "{}", refused.err_msg);
    let denied = story.ask_as(&reader(), set(CLIENT, &[("KeepAliveTime", "5")]));
    assert_eq!(code(denied), ErrorCode::PERMISSION_DENIED);
    assert!(story.met.is_empty());
    // The host is fine, the port is not: the broker is left, and the row says that it cannot be so.
    story.ask(set(CLIENT, &[("BrokerPort", "22")])).unwrap();
    assert_eq!(story.met.last(), Some(&Some(Ways::default())));
    assert_eq!(story.get(CLIENT).unwrap()[&format!("{CLIENT}Status")], "Error_Misconfigured");
    let secure = [("BrokerAddress", "b.lan.example"), ("BrokerPort", "8883"), ("TransportProtocol", "TLS")];
    story.ask(set(CLIENT, &secure)).unwrap();
    let ways = story.met.last().unwrap().clone().unwrap();
    assert!(ways.mqtt[0].tls && ways.mqtt[0].host == "b.lan.example");
}

#[test]
fn tp469_11_4_a_client_id_that_the_broker_gives_is_kept() {
    let mut story = story();
    story.ask(set(CLIENT, &[("ClientID", "")])).unwrap();
    assert_eq!(story.met.last().unwrap().as_ref().unwrap().mqtt[0].client_id, "");
    let state = LinkState { phase: Phase::Up, client_id: Some("given".into()), ..LinkState::default() };
    story.handle(Input::Links { links: [(LinkKey::Mqtt(1), state)].into() });
    story.restart();
    assert_eq!(story.get(CLIENT).unwrap()[&format!("{CLIENT}ClientID")], "given");
    story.pass(1);
    assert_eq!(story.met.last().unwrap().as_ref().unwrap().mqtt[0].client_id, "given");
}

#[test]
fn status_parameters_say_what_the_connections_are_at_and_subscribers_are_told() {
    let mut story = story();
    let endpoint = story.cpe.id().endpoint_id();
    let topic = format!("usp/agent/{endpoint}");
    let up = LinkState {
        phase: Phase::Up,
        named: Some("broker/says".into()),
        subscribed: vec![topic],
        ..LinkState::default()
    };
    let links = |state: &LinkState| Input::Links { links: [(LinkKey::Mqtt(1), state.clone())].into() };
    story.handle(links(&LinkState::default()));
    story.subscribe("ValueChange", &format!("{CLIENT}Status"), &[]);
    story.notifications();
    story.handle(links(&up));
    let told = story.notifications();
    let Some(Notification::ValueChange(change)) = &told[0].1.notification else { panic!("{told:?}") };
    assert_eq!(change.param_value, "Connected");
    let client = story.get(CLIENT).unwrap();
    let mtp = story.get(MTP).unwrap();
    assert_eq!(client[&format!("{CLIENT}ResponseInformation")], "broker/says");
    assert_eq!(client[&format!("{CLIENT}Subscription.1.Status")], "Subscribed");
    assert_eq!(mtp[&format!("{MTP}MQTT.ResponseTopicDiscovered")], "broker/says");
    assert_eq!(mtp[&format!("{MTP}Status")], "Up");
    story.handle(links(&LinkState { phase: Phase::Unreachable, retries: 3, ..LinkState::default() }));
    assert_eq!(story.get(CLIENT).unwrap()[&format!("{CLIENT}Status")], "Error_BrokerUnreachable");
    assert_eq!(story.get(MTP).unwrap()[&format!("{MTP}Status")], "Down");
    assert!(!story.stored.keys().any(|(_, key)| key.starts_with("MQTT")), "a status is stored");
}

#[test]
fn what_the_connection_of_a_client_carries_is_told_to_who_asks_and_to_nobody_else() {
    let mut story = story();
    let stats = format!("{CLIENT}Stats.");
    let shown = |story: &mut Story| {
        let all = story.get(&stats).unwrap();
        assert_eq!(all.len(), 4, "more than MQTTClientBase:1 asks for, or less: {all:?}");
        ["BrokerConnectionEstablished", "MQTTMessagesSent", "MQTTMessagesReceived", "ConnectionErrors"]
            .map(|name| all[&format!("{stats}{name}")].clone())
    };
    assert_eq!(shown(&mut story), ["0001-01-01T00:00:00Z", "0", "0", "0"], "without a connection");
    let traffic = Traffic::default();
    let state = |phase, since, traffic: &Traffic| {
        let state = LinkState { phase, since, traffic: Some(traffic.clone()), ..LinkState::default() };
        Input::Links { links: [(LinkKey::Mqtt(1), state)].into() }
    };
    story.handle(state(Phase::Connecting, None, &traffic));
    traffic.count_error();
    story.subscribe("ValueChange", &stats, &[]);
    story.notifications();
    story.handle(state(Phase::Up, Some(WallTime(1_700_000_000_000)), &traffic));
    let told = story.notifications();
    let Some(Notification::ValueChange(change)) = &told[0].1.notification else { panic!("{told:?}") };
    assert_eq!((told.len(), change.param_value.as_str()), (1, "2023-11-14T22:13:20Z"));
    for (sent, received) in [("2", "1"), ("4", "2")] {
        (0..2).for_each(|_| traffic.count_sent());
        traffic.count_received();
        // No input tells of it, and no subscriber hears of it.
        assert_eq!(shown(&mut story), ["2023-11-14T22:13:20Z", sent, received, "1"]);
        assert!(story.notifications().is_empty(), "counters are no news");
    }
    // At another broker it counts anew.
    story.handle(state(Phase::Connecting, None, &Traffic::default()));
    assert_eq!(shown(&mut story), ["0001-01-01T00:00:00Z", "0", "0", "0"]);
    let request = message::GetSupportedDm {
        obj_paths: vec!["Device.MQTT.Client.{i}.Stats.".into()],
        return_params: true,
        ..<_>::default()
    };
    let supported = format!("{:?}", story.ask(Request::GetSupportedDm(request)).unwrap());
    assert_eq!(supported.matches("ValueChangeWillIgnore").count(), 3, "{supported}");
    assert_eq!(supported.matches("ValueChangeAllowed").count(), 1, "{supported}");
    let refused = code(story.ask(set(&stats, &[("MQTTMessagesSent", "0")])));
    assert_eq!(refused, ErrorCode::NON_WRITEABLE_PARAMETER);
    assert!(!story.stored.keys().any(|(_, key)| key.starts_with("MQTT")), "a counter is stored");
}

#[test]
fn a_connection_that_is_there_can_be_made_anew() {
    let mut story = story();
    let call = operate("Device.MQTT.Client.1.ForceReconnect()", &[]);
    let failed = story.ask(call.clone()).unwrap();
    assert!(format!("{failed:?}").contains("no such connection"), "{failed:?}");
    let (mqtt, websocket) = (LinkKey::Mqtt(1), LinkKey::WebSocket(1, 1));
    let links = [(mqtt, LinkState::default()), (websocket, LinkState::default())].into();
    story.handle(Input::Links { links });
    story.ask(call).unwrap();
    story.ask(operate("Device.LocalAgent.Controller.1.MTP.1.WebSocket.Reset()", &[])).unwrap();
    assert_eq!(story.reconnected, [mqtt, websocket]);
}

#[test]
fn tp469_1_78_nobodys_connection_breaks_because_another_controller_is_removed() {
    let mut story = story();
    let obj_paths = vec!["Device.LocalAgent.Controller.2.".to_owned()];
    story.ask(Request::Delete(message::Delete { allow_partial: false, obj_paths })).unwrap();
    assert!(story.met.iter().all(Option::is_none), "{:?}", story.met);
}
