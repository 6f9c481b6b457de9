//! The client against what a broker says, without sockets.

use super::*;

fn client() -> Client {
    Client::new(ClientConfig {
        version: Version::V5,
        client_id: "c".into(),
        login: None,
        keep_alive: 60,
        session_expiry: 3_600,
        clean: false,
        filters: vec![("mine".into(), 1)],
        reply_topic: None,
        user_properties: Vec::new(),
        max_packet: 1 << 20,
        max_waiting: 64,
    })
}

fn up(client: &mut Client, ack: ConnAck) -> Vec<Event> {
    let mut out = Vec::new();
    client.connected(0);
    assert!(matches!(client.transmit(0), Some(Packet::Connect(_))));
    client.handle(0, Packet::ConnAck(ack), &mut out);
    if let Some(Packet::Subscribe { id, filters }) = client.transmit(0) {
        let granted = vec![Some(1); filters.len()];
        client.handle(0, Packet::SubAck { id, granted }, &mut out);
    }
    out
}

fn message(text: &'static str) -> Publish {
    Publish { topic: "t".into(), payload: text.into(), qos: 1, ..Publish::default() }
}

fn sent(client: &mut Client) -> Vec<Publish> {
    std::iter::from_fn(|| client.transmit(1))
        .filter_map(|packet| if let Packet::Publish(publish) = packet { Some(publish) } else { None })
        .collect()
}

#[test]
fn r_mqtt_15_r_mqtt_21_topics_of_the_server_are_subscribed_too() {
    let ack = ConnAck {
        response_information: Some("reply".into()),
        user_properties: vec![("subscribe-topic".into(), "theirs".into())],
        ..ConnAck::default()
    };
    let events = up(&mut client(), ack);
    let Event::Up(up) = &events[0] else { panic!("{events:?}") };
    assert_eq!(up.subscribed, ["theirs", "mine", "reply"]);
    assert_eq!(up.response_information.as_deref(), Some("reply"));
}

#[test]
fn nothing_is_published_before_the_subscription_stands() {
    let mut client = client();
    client.publish(message("a")).unwrap();
    client.connected(0);
    client.transmit(0);
    assert_eq!(client.transmit(0), None);
    up(&mut client, ConnAck::default());
    assert_eq!(sent(&mut client).len(), 1);
}

#[test]
fn what_was_not_acknowledged_is_sent_again_after_a_break() {
    let mut client = client();
    up(&mut client, ConnAck::default());
    for text in ["a", "b", "c"] {
        client.publish(message(text)).unwrap();
    }
    let first = sent(&mut client);
    client.handle(1, Packet::PubAck { id: first[1].packet_id, refused: None }, &mut Vec::new());
    client.disconnected();
    up(&mut client, ConnAck { session_present: true, ..ConnAck::default() });
    let again = sent(&mut client);
    assert_eq!(again.iter().map(|it| &it.payload[..]).collect::<Vec<_>>(), [b"a", b"c"]);
    assert!(again.iter().all(|publish| publish.dup));
    client.disconnected();
    up(&mut client, ConnAck::default());
    let anew = sent(&mut client);
    assert_eq!(anew.iter().map(|it| &it.payload[..]).collect::<Vec<_>>(), [b"a", b"c"]);
    assert!(anew.iter().all(|publish| !publish.dup), "a forgetful server sees new messages");
}

#[test]
fn r_mqtt_35_the_goodbye_comes_after_all_messages() {
    let mut client = client();
    up(&mut client, ConnAck::default());
    client.publish(message("last")).unwrap();
    client.goodbye();
    assert!(matches!(client.transmit(1), Some(Packet::Publish(_))));
    assert_eq!(client.transmit(1), Some(Packet::Disconnect { reason: None }));
    assert_eq!(client.transmit(1), None);
}

#[test]
fn the_servers_receive_maximum_is_kept() {
    let mut client = client();
    up(&mut client, ConnAck { receive_maximum: Some(2), ..ConnAck::default() });
    for text in ["a", "b", "c"] {
        client.publish(message(text)).unwrap();
    }
    let first = sent(&mut client);
    assert_eq!(first.len(), 2);
    client.handle(1, Packet::PubAck { id: first[0].packet_id, refused: None }, &mut Vec::new());
    assert_eq!(sent(&mut client).len(), 1);
}

#[test]
fn a_silent_server_is_noticed_and_a_full_queue_refuses() {
    let mut client = client();
    up(&mut client, ConnAck::default());
    let mut out = Vec::new();
    client.tick(30_000, &mut out);
    assert_eq!(client.transmit(30_000), Some(Packet::PingReq));
    client.tick(60_000, &mut out);
    assert!(matches!(out[0], Event::Close(_)));
    client.disconnected();
    for _ in 0..64 {
        client.publish(message("x")).unwrap();
    }
    assert_eq!(client.publish(message("x")), Err(Refused));
}

#[test]
fn r_mqtt_17_without_a_granted_subscription_the_connection_is_closed() {
    let mut client = client();
    client.connected(0);
    client.transmit(0);
    let mut out = Vec::new();
    client.handle(0, Packet::ConnAck(ConnAck::default()), &mut out);
    client.handle(0, Packet::SubAck { id: 1, granted: vec![None] }, &mut out);
    assert!(matches!(out[0], Event::Close(_)));
    assert!(!client.is_up());
}

#[test]
fn tp469_11_9_r_mqtt_34_topics_come_and_go_on_a_connection_that_is_up() {
    let mut client = client();
    up(&mut client, ConnAck::default());
    let mut out = Vec::new();
    let filters = vec![("more/#".to_owned(), 0), ("mine".to_owned(), 1)];
    client.adapt(ClientConfig { filters, ..client.config.clone() }, &mut out);
    let Some(Packet::Subscribe { id, filters }) = client.transmit(1) else { panic!("no SUBSCRIBE") };
    assert_eq!(filters, [("more/#".to_owned(), 0)]);
    client.handle(1, Packet::SubAck { id, granted: vec![Some(0)] }, &mut out);
    assert_eq!(out, [Event::Subscribed(vec!["mine".into(), "more/#".into()])]);
    client.adapt(ClientConfig { filters: vec![("more/#".into(), 0)], ..client.config.clone() }, &mut out);
    let gone = client.transmit(1);
    assert!(matches!(&gone, Some(Packet::Unsubscribe { filters, .. }) if *filters == ["mine"]), "{gone:?}");
    assert_eq!(out.last(), Some(&Event::Subscribed(vec!["more/#".into()])));
    // R-MQTT.15: what a filter takes in already is not asked for again.
    let reply_topic = Some("more/reply".to_owned());
    client.adapt(ClientConfig { reply_topic, ..client.config.clone() }, &mut out);
    assert_eq!(client.transmit(1), None);
    client.adapt(ClientConfig { reply_topic: Some("else".into()), ..client.config.clone() }, &mut out);
    assert!(matches!(client.transmit(1), Some(Packet::Subscribe { .. })));
}

#[test]
fn tp469_11_10_tp469_11_11_without_a_subscription_the_session_is_ended_and_nothing_is_said() {
    for (filters, ack) in [(Vec::new(), None), (vec![("mine".to_owned(), 1)], Some(vec![None]))] {
        let mut client = client();
        let reply_topic = Some("reply".to_owned());
        client.adapt(ClientConfig { filters, reply_topic, ..client.config.clone() }, &mut Vec::new());
        client.publish(message("a")).unwrap();
        let mut out = Vec::new();
        client.connected(0);
        client.transmit(0);
        client.handle(0, Packet::ConnAck(ConnAck::default()), &mut out);
        if let Some(granted) = ack {
            let Some(Packet::Subscribe { id, filters }) = client.transmit(0) else { panic!() };
            let granted = [granted, vec![None; filters.len()]].concat()[..filters.len()].to_vec();
            client.handle(0, Packet::SubAck { id, granted }, &mut out);
        }
        assert!(matches!(out.last(), Some(Event::Close(_))), "{out:?}");
        assert_eq!(client.transmit(0), Some(Packet::Disconnect { reason: None }));
        assert_eq!(client.transmit(0), None, "a record goes out without a subscription");
    }
}

#[test]
fn tp469_11_4_an_assigned_client_id_is_told_and_used_again() {
    let mut client = client();
    client.adapt(ClientConfig { client_id: String::new(), ..client.config.clone() }, &mut Vec::new());
    let ack = ConnAck { assigned_client_id: Some("given".into()), ..ConnAck::default() };
    let events = up(&mut client, ack);
    assert!(
        matches!(&events[0], Event::Up(up) if up.assigned_client_id.as_deref() == Some("given")),
        "{events:?}"
    );
    client.disconnected();
    client.connected(1);
    assert!(matches!(client.transmit(1), Some(Packet::Connect(it)) if it.client_id == "given"));
}
