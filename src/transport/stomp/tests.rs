//! The codec against hostile bytes, and the client against a server that a test plays.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;

const MAX_BODY: usize = 1 << 16;

fn bytes_of(frame: &Frame) -> BytesMut {
    let mut bytes = BytesMut::new();
    Codec::encode(frame, &mut bytes);
    bytes
}

fn decoded(bytes: &[u8]) -> Result<Option<Frame>, StompError> {
    Codec::new(MAX_BODY).decode(&mut BytesMut::from(bytes))
}

#[test]
fn r_stomp_4_colons_are_escaped_in_the_first_frame_too() {
    let frame = Frame::new(Command::Stomp).with("endpoint-id", "os::00256D-1");
    assert_eq!(&bytes_of(&frame)[..], b"STOMP\nendpoint-id:os\\c\\c00256D-1\n\n\0");
}

#[test]
fn r_stomp_19_a_send_says_its_length_and_its_body_may_hold_nul() {
    let mut frame = Frame::new(Command::Send).with("destination", "/queue/a");
    frame.body = Bytes::from_static(b"a\0b");
    let bytes = bytes_of(&frame);
    assert_eq!(&bytes[..], b"SEND\ndestination:/queue/a\ncontent-length:3\n\na\0b\0");
    assert_eq!(decoded(&bytes), Ok(Some(frame)));
    assert!(bytes_of(&Frame::new(Command::Send)).ends_with(b"content-length:0\n\n\0"));
}

#[test]
fn frames_of_other_servers_are_understood() {
    let frame = decoded(b"\n\r\n\nMESSAGE\r\na:1\r\na:2\r\nb:x\\cy:z\r\n\r\nbody\0").unwrap().unwrap();
    assert_eq!((frame.command, &frame.body[..]), (Command::Message, &b"body"[..]));
    assert_eq!(frame.header("a"), Some("1"), "the first of repeated headers counts");
    assert_eq!(frame.header("b"), Some("x:y:z"));
    let connected = decoded(b"CONNECTED\nsubscribe-dest:a\\x\\cb\\\n\n\0").unwrap().unwrap();
    assert_eq!(connected.header("subscribe-dest"), Some("a\\x:b\\"), "no frame of the handshake is fatal");
}

#[test]
fn what_is_no_stomp_is_refused() {
    for bytes in [
        &b"HELLO\n\n\0"[..],
        b"MESSAGE\nno colon\n\n\0",
        b"MESSAGE\n:no name\n\n\0",
        b"MESSAGE\na:\\x\n\n\0",
        b"MESSAGE\na:\\\n\n\0",
        b"MESSAGE\na:\xFF\n\n\0",
        b"MESSAGE\na:\0\n\n\0",
        b"MESSAGE\ncontent-length:x\n\n\0",
        b"MESSAGE\ncontent-length:-1\n\n\0",
        b"MESSAGE\ncontent-length:1\n\nab\0",
    ] {
        let text = String::from_utf8_lossy(bytes);
        assert!(matches!(decoded(bytes), Err(StompError::Malformed(_))), "{text:?}");
    }
}

#[test]
fn a_peer_cannot_make_the_decoder_keep_more_than_its_limits() {
    let line = format!("MESSAGE\na:{}", "x".repeat(9_000));
    let headers = format!("MESSAGE\n{}", "a:b\n".repeat(65));
    let length = "MESSAGE\ncontent-length:65537\n".to_owned();
    let body = format!("MESSAGE\n\n{}", "x".repeat(MAX_BODY + 1));
    for text in [line.clone(), format!("{line}\n"), headers, length, body] {
        assert!(matches!(decoded(text.as_bytes()), Err(StompError::TooLarge { .. })), "{:.40}", text);
    }
}

fn frames() -> impl Strategy<Value = Frame> {
    let command = prop::sample::select(vec![
        Command::Stomp,
        Command::Connected,
        Command::Send,
        Command::Message,
        Command::Receipt,
        Command::Error,
    ]);
    let text = "[^\0]{0,12}";
    let name = "[^\0]{1,12}".prop_filter("the codec's own", |name| name != "content-length");
    let headers = prop::collection::vec((name, text), 0..8);
    let body = prop::collection::vec(any::<u8>(), 0..200);
    (command, headers, body).prop_map(|(command, headers, body)| Frame {
        command,
        headers,
        body: body.into(),
    })
}

proptest! {
    #[test]
    fn every_frame_survives_the_wire_in_any_pieces(
        sent in prop::collection::vec(frames(), 1..4),
        cuts in prop::collection::vec(1..40_usize, 1..20),
    ) {
        let mut bytes = BytesMut::new();
        for frame in &sent {
            Codec::encode(frame, &mut bytes);
            bytes.extend_from_slice(HEART_BEAT);
        }
        let (mut codec, mut buffer, mut got) = (Codec::new(MAX_BODY), BytesMut::new(), Vec::new());
        let mut cuts = cuts.iter().cycle();
        while !bytes.is_empty() {
            let cut = (*cuts.next().unwrap()).min(bytes.len());
            buffer.extend_from_slice(&bytes.split_to(cut));
            while let Some(frame) = codec.decode(&mut buffer).unwrap() {
                got.push(frame);
            }
        }
        prop_assert_eq!(got, sent);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        start in prop::sample::select(vec!["", "MESSAGE\n", "ERROR\ncontent-length:5\n", "CONNECTED\n\n"]),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut codec = Codec::new(100);
        let mut buffer = BytesMut::from(start);
        for byte in bytes {
            buffer.extend_from_slice(&[byte]);
            if codec.decode(&mut buffer).is_err() {
                break;
            }
        }
    }
}

proptest! {
    #[test]
    fn a_server_that_says_anything_at_any_time_never_makes_the_client_panic(
        said in prop::collection::vec((frames(), 0..60_000_u64), 0..20),
        up in any::<bool>(),
    ) {
        let mut pair = if up { Pair::up() } else { Pair::new(OWN, (1_000, 1_000)) };
        let mut now = 0;
        for (frame, wait) in said {
            let _ = pair.client.send(message("x"));
            pair.raw(now);
            pair.hear(now, &frame);
            now += wait;
            pair.tick(now);
        }
        pair.client.goodbye();
        pair.raw(now);
        prop_assert!(pair.client.pending() <= 64);
    }
}

const OWN: &str = "/queue/agent";

/// A client and the server's end of its wire.
struct Pair {
    client: Client,
    codec: Codec,
}

impl Pair {
    fn new(destination: &str, heart_beat: (u64, u64)) -> Self {
        let mut client = Client::new(ClientConfig {
            endpoint_id: "os::1-2".into(),
            login: Some(("user".into(), "secret".into())),
            host: Some("/".into()),
            destination: destination.into(),
            heart_beat,
            max_body: MAX_BODY,
            max_waiting: 64,
        });
        client.connected(0);
        Self { client, codec: Codec::new(MAX_BODY) }
    }

    /// Up already.
    fn up() -> Self {
        let mut pair = Self::new(OWN, (0, 0));
        pair.comes_up();
        pair
    }

    fn comes_up(&mut self) {
        self.said(0);
        self.hear(0, &connected());
        self.said(0);
        let events = self.hear(0, &receipt("subscribed"));
        assert_eq!(events, [Event::Up(Up { destination: OWN.into() })]);
    }

    fn again(&mut self) {
        self.client.disconnected();
        self.client.connected(0);
        self.codec = Codec::new(MAX_BODY);
        self.comes_up();
    }

    /// The bytes that the client has to say.
    fn raw(&mut self, now: u64) -> BytesMut {
        let mut bytes = BytesMut::new();
        self.client.transmit(now, 1 << 20, &mut bytes);
        bytes
    }

    fn said(&mut self, now: u64) -> Vec<Frame> {
        let mut bytes = self.raw(now);
        std::iter::from_fn(|| self.codec.decode(&mut bytes).unwrap()).collect()
    }

    fn hear(&mut self, now: u64, frame: &Frame) -> Vec<Event> {
        let mut events = Vec::new();
        self.client.receive(now, &mut bytes_of(frame), &mut events);
        events
    }

    fn tick(&mut self, now: u64) -> Vec<Event> {
        let mut events = Vec::new();
        self.client.tick(now, &mut events);
        events
    }

    fn send(&mut self, text: &'static str) {
        self.client.send(message(text)).unwrap();
    }
}

fn message(text: &'static str) -> Message {
    Message { destination: "/queue/ctl".into(), body: text.into(), ..Message::default() }
}

fn connected() -> Frame {
    Frame::new(Command::Connected).with("version", "1.2")
}

fn receipt(id: &str) -> Frame {
    Frame::new(Command::Receipt).with("receipt-id", id)
}

fn texts(frames: &[Frame]) -> Vec<&[u8]> {
    frames.iter().map(|frame| &frame.body[..]).collect()
}

#[test]
fn r_stomp_2_3_4_5_10_the_first_frame_says_who_and_how() {
    let mut pair = Pair::new(OWN, (15_000, 10_000));
    let frames = pair.said(0);
    assert_eq!((frames.len(), frames[0].command), (1, Command::Stomp));
    for (name, value) in [
        ("accept-version", "1.2"),
        ("host", "/"),
        ("endpoint-id", "os::1-2"),
        ("heart-beat", "15000,10000"),
        ("login", "user"),
        ("passcode", "secret"),
    ] {
        assert_eq!(frames[0].header(name), Some(value), "{name}");
    }
    assert_eq!(Pair::new(OWN, (0, 0)).said(0)[0].header("heart-beat"), None, "R-STOMP.9");
}

#[test]
fn r_stomp_6_14_15_17_the_destination_is_the_servers_or_else_ours() {
    for (named, wanted) in [(Some("/queue/theirs"), "/queue/theirs"), (Some(""), OWN), (None, OWN)] {
        let mut pair = Pair::new(OWN, (0, 0));
        pair.said(0);
        let frame = named.map_or(connected(), |named| connected().with("subscribe-dest", named));
        assert_eq!(pair.hear(0, &frame), []);
        let subscribe = pair.said(0).remove(0);
        assert_eq!(subscribe.command, Command::Subscribe);
        assert_eq!((subscribe.header("destination"), subscribe.header("ack")), (Some(wanted), Some("auto")));
        let up = Event::Up(Up { destination: wanted.into() });
        assert_eq!(pair.hear(0, &receipt("subscribed")), [up]);
        pair.send("x");
        assert_eq!(pair.said(0)[0].header("reply-to-dest"), Some(wanted), "R-STOMP.21");
    }
}

#[test]
fn r_stomp_16_without_any_destination_the_session_is_ended() {
    let mut pair = Pair::new("", (0, 0));
    pair.said(0);
    assert!(matches!(&pair.hear(0, &connected())[..], [Event::Close(why)] if why.contains("destination")));
    assert_eq!(pair.said(0)[0].command, Command::Disconnect);
}

#[test]
fn nothing_is_sent_before_the_subscription_stands() {
    let mut pair = Pair::new(OWN, (0, 0));
    pair.send("early");
    pair.said(0);
    pair.hear(0, &connected());
    assert_eq!(pair.said(0).len(), 1, "SUBSCRIBE alone");
    pair.hear(0, &receipt("subscribed"));
    assert_eq!(texts(&pair.said(0)), [b"early"]);
}

#[test]
fn what_was_not_confirmed_is_sent_again_after_a_break() {
    let mut pair = Pair::up();
    for text in ["a", "b", "c"] {
        pair.send(text);
    }
    let frames = pair.said(1);
    pair.hear(1, &receipt(frames[1].header("receipt").unwrap()));
    pair.again();
    assert_eq!(texts(&pair.said(2)), [b"a", b"c"]);
    assert_eq!(pair.client.pending(), 2);
}

#[test]
fn r_mtp_6_the_greeting_goes_first_and_only_where_it_was_meant_to() {
    let mut pair = Pair::up();
    pair.send("a");
    pair.client.greet(vec![message("hello"), message("hello too")]);
    assert_eq!(texts(&pair.said(1)), [&b"hello"[..], b"hello too", b"a"]);
    pair.again();
    pair.client.greet(vec![message("hello again")]);
    assert_eq!(texts(&pair.said(1)), [&b"hello again"[..], b"a"]);
}

#[test]
fn r_stomp_25_an_error_ends_the_connection_and_takes_the_message_it_names() {
    let mut pair = Pair::up();
    for text in ["a", "b"] {
        pair.send(text);
    }
    let frames = pair.said(1);
    let error = Frame::new(Command::Error).with("message", "no such queue");
    let named = error.with("receipt-id", frames[0].header("receipt").unwrap());
    let events = pair.hear(1, &named);
    assert!(matches!(&events[0], Event::Rejected(it, why) if it.body == "a" && why == "no such queue"));
    assert!(matches!(&events[1], Event::Close(_)));
    pair.again();
    assert_eq!(texts(&pair.said(2)), [b"b"]);
}

#[test]
fn a_message_that_the_server_cannot_bear_costs_three_connections_and_no_other_message() {
    let mut pair = Pair::up();
    for text in ["good", "poison", "also good"] {
        pair.send(text);
    }
    let (mut connections, mut rejected, mut delivered) = (1, Vec::new(), Vec::new());
    for _ in 0..40 {
        let mut over = false;
        for frame in pair.said(1) {
            if over {
                continue;
            }
            let answer = if frame.body == "poison" {
                over = true;
                Frame::new(Command::Error).with("message", "cannot")
            } else if delivered.is_empty() && connections == 1 {
                // Slow: the first is not confirmed when the second fails.
                continue;
            } else {
                delivered.push(frame.body.clone());
                receipt(frame.header("receipt").unwrap())
            };
            for event in pair.hear(1, &answer) {
                if let Event::Rejected(message, _) = event {
                    rejected.push(message.body);
                }
            }
        }
        if over {
            connections += 1;
            pair.again();
        }
    }
    assert_eq!((rejected, connections), (vec![Bytes::from("poison")], 4));
    assert_eq!(delivered, ["good", "also good"]);
    assert_eq!(pair.client.pending(), 0);
}

#[test]
fn a_full_queue_refuses_and_the_window_is_kept() {
    let mut pair = Pair::up();
    for _ in 0..64 {
        pair.send("x");
    }
    assert_eq!(pair.client.send(message("x")), Err(Refused));
    assert_eq!(pair.said(1).len(), 32);
}

#[test]
fn r_stomp_11_heart_beats_go_out_as_agreed_and_a_silent_server_is_noticed() {
    let mut pair = Pair::new(OWN, (15_000, 10_000));
    pair.said(0);
    pair.hear(0, &connected().with("heart-beat", "20000,5000"));
    pair.said(0);
    pair.hear(0, &receipt("subscribed"));
    // Ours: the slower of 15 and 5 seconds. Theirs: the slower of 10 and 20.
    let beat = pair.client.next_deadline().unwrap();
    assert!((14_000..=15_000).contains(&beat), "{beat}");
    assert_eq!(pair.tick(beat), []);
    assert_eq!(&pair.raw(beat)[..], HEART_BEAT);
    assert_eq!(pair.tick(39_999), []);
    assert!(matches!(&pair.tick(40_000)[..], [Event::Close(_)]));
    let mut events = Vec::new();
    pair.client.receive(39_000, &mut BytesMut::from(HEART_BEAT), &mut events);
    assert_eq!(pair.tick(60_000), [], "any byte is a sign of life");
}

#[test]
fn r_stomp_11_no_heart_beat_where_one_side_wants_none() {
    for theirs in [None, Some("0,0"), Some("0,1000")] {
        let mut pair = Pair::new(OWN, (0, 10_000));
        pair.said(0);
        pair.hear(0, &theirs.map_or(connected(), |it| connected().with("heart-beat", it)));
        pair.said(0);
        pair.hear(0, &receipt("subscribed"));
        assert_eq!(pair.client.next_deadline(), None, "{theirs:?}");
    }
}

#[test]
fn a_server_that_owes_a_receipt_and_is_silent_is_given_up_without_heart_beats_too() {
    let mut pair = Pair::up();
    pair.send("a");
    pair.said(1_000);
    assert_eq!(pair.tick(30_999), []);
    assert!(matches!(&pair.tick(31_000)[..], [Event::Close(_)]));
}

#[test]
fn a_server_that_does_not_answer_the_handshake_is_given_up() {
    let mut pair = Pair::new(OWN, (0, 0));
    assert!(matches!(&pair.tick(10_000)[..], [Event::Close(_)]));
    pair.hear(9_000, &connected());
    assert_eq!(pair.tick(18_999), []);
    assert!(matches!(&pair.tick(19_000)[..], [Event::Close(_)]));
}

#[test]
fn a_server_that_breaks_the_protocol_is_left() {
    let old = Frame::new(Command::Connected).with("version", "1.0");
    let beat = connected().with("heart-beat", "often");
    for frame in [old, beat, Frame::new(Command::Message), Frame::new(Command::Send)] {
        let mut pair = Pair::new(OWN, (0, 0));
        assert!(matches!(&pair.hear(0, &frame)[..], [Event::Close(_)]), "{frame:?}");
    }
    let mut events = Vec::new();
    Pair::up().client.receive(0, &mut BytesMut::from("HTTP/1.1 400 Bad Request\r\n"), &mut events);
    assert!(matches!(&events[..], [Event::Close(why)] if why.contains("no STOMP")));
}

#[test]
fn r_stomp_23_a_message_brings_where_its_answer_goes() {
    let mut pair = Pair::up();
    let mut frame = Frame::new(Command::Message)
        .with("destination", OWN)
        .with("subscription", "0")
        .with("content-type", "application/vnd.bbf.usp.msg")
        .with("reply-to-dest", "/queue/os::ctl");
    frame.body = Bytes::from_static(b"\0\n\0");
    let wanted = Message {
        destination: OWN.into(),
        content_type: Some("application/vnd.bbf.usp.msg".into()),
        reply_to: Some("/queue/os::ctl".into()),
        body: frame.body.clone(),
    };
    assert_eq!(pair.hear(0, &frame), [Event::Message(wanted)]);
}

#[test]
fn r_stomp_28_the_goodbye_comes_after_all_messages_and_is_confirmed() {
    let mut pair = Pair::up();
    pair.send("last");
    pair.client.goodbye();
    let frames = pair.said(0);
    let commands: Vec<Command> = frames.iter().map(|frame| frame.command).collect();
    assert_eq!(commands, [Command::Send, Command::Disconnect]);
    let id = frames[1].header("receipt").unwrap();
    assert_eq!(pair.hear(0, &receipt(id)), [Event::Closed]);
    assert_eq!(pair.client.pending(), 0);
}
