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
        must_subscribe: true,
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

/// The packets that the client wants to write.
fn packets(client: &mut Client) -> Vec<Packet> {
    std::iter::from_fn(|| client.transmit(1)).collect()
}

fn of_qos(qos: u8) -> Publish {
    Publish { topic: "reports".into(), payload: "r".into(), qos, retain: true, ..Publish::default() }
}

#[test]
fn a_message_counts_as_delivered_when_its_qos_says_so() {
    let mut client = client();
    up(&mut client, ConnAck::default());
    for qos in 0..3 {
        client.publish_with(of_qos(qos), u64::from(qos)).unwrap();
    }
    let ids: Vec<u16> = sent(&mut client).iter().map(|publish| publish.packet_id).collect();
    let ended = |client: &mut Client| client.take_ended().iter().map(|it| it.ticket).collect::<Vec<_>>();
    assert_eq!(ended(&mut client), [0], "QoS 0 is delivered when it is sent");
    client.handle(1, Packet::PubAck { id: ids[1], refused: None }, &mut Vec::new());
    client.handle(1, Packet::PubRec { id: ids[2], refused: None }, &mut Vec::new());
    assert_eq!(ended(&mut client), [1], "QoS 2 takes a PUBCOMP");
    assert_eq!(packets(&mut client), [Packet::PubRel { id: ids[2] }]);
    // What the server has is not sent once more: only that it may forget the packet id (MQTT 5.0 4.4).
    client.disconnected();
    up(&mut client, ConnAck { session_present: true, ..ConnAck::default() });
    assert_eq!(packets(&mut client), [Packet::PubRel { id: ids[2] }]);
    client.handle(1, Packet::PubComp { id: ids[2] }, &mut Vec::new());
    assert_eq!(client.take_ended(), [Ended { ticket: 2, result: Ok(()) }]);
    assert_eq!(client.pending(), 0);
}

#[test]
fn what_was_not_sent_when_the_connection_broke_is_given_back_and_a_refusal_is_told() {
    let mut client = client();
    up(&mut client, ConnAck { receive_maximum: Some(1), ..ConnAck::default() });
    client.publish(message("a record")).unwrap();
    client.publish(message("another")).unwrap();
    client.publish_with(of_qos(1), 7).unwrap();
    assert_eq!(sent(&mut client).len(), 1);
    client.disconnected();
    assert_eq!(client.take_ended(), [Ended { ticket: 7, result: Err(Undelivered::Lost) }]);
    assert_eq!(client.pending(), 2, "records wait for the next connection");
    up(&mut client, ConnAck::default());
    sent(&mut client);
    client.publish_with(of_qos(2), 8).unwrap();
    let id = sent(&mut client)[0].packet_id;
    let mut out = Vec::new();
    client.handle(1, Packet::PubRec { id, refused: Some("QuotaExceeded".into()) }, &mut out);
    assert_eq!(out, [Event::Rejected("QuotaExceeded".into())]);
    let refused = Err(Undelivered::Refused("QuotaExceeded".into()));
    assert_eq!(client.take_ended(), [Ended { ticket: 8, result: refused }]);
}

#[test]
fn a_server_gets_no_more_than_it_said_that_it_takes() {
    let mut client = client();
    let ack = ConnAck { max_qos: Some(1), retain_available: Some(false), ..ConnAck::default() };
    up(&mut client, ack);
    client.publish(of_qos(2)).unwrap();
    let publish = &sent(&mut client)[0];
    assert_eq!((publish.qos, publish.retain), (1, false));
    // A message that is too large for the server keeps no place among those in flight.
    client.unsent("too large".into());
    assert_eq!(client.pending(), 0);
    for (qos, ticket) in [(0, 1), (1, 2)] {
        client.publish_with(of_qos(qos), ticket).unwrap();
        sent(&mut client);
        client.unsent("too large".into());
        let result = Err(Undelivered::TooLarge("too large".into()));
        assert_eq!(client.take_ended(), [Ended { ticket, result }], "QoS {qos}");
    }
}

#[test]
fn a_connection_for_reports_alone_needs_no_subscription() {
    let mut client = client();
    let config = ClientConfig { filters: Vec::new(), must_subscribe: false, ..client.config.clone() };
    client.adapt(config, &mut Vec::new());
    let events = up(&mut client, ConnAck::default());
    assert!(matches!(&events[..], [Event::Up(_)]), "{events:?}");
    client.publish(of_qos(1)).unwrap();
    assert_eq!(sent(&mut client).len(), 1);
}
