//! A plain MQTT connection for the load and for the echo: the library's client without I/O over a socket.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use dragoman::transport::mqtt::{Client, ClientConfig, Codec, Event, Properties, Publish, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub struct Link {
    stream: TcpStream,
    client: Client,
    codec: Codec,
    incoming: BytesMut,
    outgoing: BytesMut,
    started: Instant,
}

impl Link {
    /// Connects under this name and subscribes.
    pub async fn open(port: u16, name: &str, filters: &[&str]) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a broker");
        stream.set_nodelay(true).expect("a TCP socket");
        let client = Client::new(ClientConfig {
            version: Version::V5,
            client_id: name.into(),
            login: None,
            keep_alive: 0,
            session_expiry: 0,
            filters: filters.iter().map(|filter| ((*filter).to_owned(), 1)).collect(),
            clean: false,
            reply_topic: None,
            user_properties: Vec::new(),
            max_packet: 1 << 20,
            max_waiting: 65_536,
            must_subscribe: true,
        });
        let codec = Codec { version: Version::V5, max_packet: 1 << 20 };
        let (incoming, outgoing) = (BytesMut::new(), BytesMut::new());
        let mut link = Self { stream, client, codec, incoming, outgoing, started: Instant::now() };
        link.client.connected(0);
        while !link.client.is_up() {
            link.events().await;
        }
        link
    }

    /// Queues a record; it leaves with the next [`Link::events`].
    pub fn publish(&mut self, topic: &str, payload: Bytes, answers_to: &str) {
        let properties = Properties {
            content_type: Some("usp.msg".into()),
            response_topic: Some(answers_to.into()),
            ..Properties::default()
        };
        let publish = Publish { topic: topic.into(), payload, qos: 1, properties, ..Publish::default() };
        self.client.publish(publish).expect("room for it");
    }

    /// Sends what is queued and waits until something comes.
    pub async fn events(&mut self) -> Vec<Event> {
        let now = u64::try_from(self.started.elapsed().as_millis()).expect("a short run");
        while let Some(packet) = self.client.transmit(now) {
            self.codec.encode(packet, usize::MAX, &mut self.outgoing).expect("a packet");
        }
        self.stream.write_all(&self.outgoing).await.expect("the broker reads");
        self.outgoing.clear();
        self.incoming.reserve(16 << 10);
        let count = self.stream.read_buf(&mut self.incoming).await.expect("the broker's bytes");
        assert!(count > 0, "the broker closed the connection");
        let mut events = Vec::new();
        while let Some(packet) = self.codec.decode(&mut self.incoming).expect("MQTT") {
            self.client.handle(now, packet, &mut events);
        }
        for event in &events {
            assert!(!matches!(event, Event::Close(_) | Event::Rejected(_)), "{event:?}");
        }
        events
    }
}

/// The echo: whatever comes, the ready answer goes out.
pub async fn echo(port: u16, size: usize) {
    let mut link = Link::open(port, "echo", &[&format!("{ECHO}/+")]).await;
    println!("ready");
    let answer = Bytes::from(vec![b'x'; size]);
    loop {
        for event in link.events().await {
            if let Event::Message(_) = event {
                link.publish(ECHOED, answer.clone(), ECHO);
            }
        }
    }
}

/// Where the echo listens: `<this>/<anything>`.
pub const ECHO: &str = "bench/echo";
/// Where its answers go.
pub const ECHOED: &str = "bench/echoed";
