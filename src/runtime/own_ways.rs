//! The connections of an agent whose own objects say how it meets its controllers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::agent::{LinkKey, LinkState, Met, MqttWay, Publication, StompWay, Ways, WebSocketWay};
use crate::identity::EndpointId;
use crate::mtp::AgentSide;
use crate::mtp::mqtt::{Crossing, Delivery, MqttConfig, MqttLink, OwnNames, Sharing};
use crate::mtp::stomp::{StompConfig, StompLink};
use crate::mtp::websocket::{WebSocketConfig, WebSocketLink};
use crate::net::{HttpUrl, TlsClient};
use crate::observe::Metrics;
use crate::transport::mqtt::Version;

/// A place that TLS leads to: scheme, host and port.
pub type SecurePlace = (&'static str, String, u16);

/// What connections of single agents are made with.
pub struct Workshop {
    pub side: Arc<dyn AgentSide>,
    pub metrics: Arc<Metrics>,
    pub stop: CancellationToken,
    /// Whom to trust, and who we are, at the places that the configuration names.
    pub named: HashMap<SecurePlace, TlsClient>,
    /// ... and at all others.
    pub tls: Option<TlsClient>,
}

/// A connection of either protocol.
#[derive(Clone)]
pub(super) enum Link {
    Mqtt(MqttLink),
    Stomp(StompLink),
    WebSocket(WebSocketLink),
}

impl Link {
    pub fn state(&self) -> LinkState {
        match self {
            Self::Mqtt(link) => link.state(),
            Self::Stomp(link) => link.state(),
            Self::WebSocket(link) => link.state(),
        }
    }

    pub fn stop(&self) {
        match self {
            Self::Mqtt(link) => link.stop(),
            Self::Stomp(link) => link.stop(),
            Self::WebSocket(link) => link.stop(),
        }
    }

    fn is_up(&self) -> bool {
        match self {
            Self::Mqtt(link) => link.is_up(),
            Self::Stomp(link) => link.is_up(),
            Self::WebSocket(link) => link.is_up(),
        }
    }

    fn restart(&self, agent: &EndpointId) -> bool {
        match self {
            Self::Mqtt(link) => link.restart(agent),
            Self::Stomp(link) => link.restart(agent),
            Self::WebSocket(link) => link.restart(agent),
        }
    }

    fn send(&self, agent: &EndpointId, controller: &EndpointId, record: Bytes) -> bool {
        match self {
            Self::Mqtt(link) => link.send(agent, controller, record),
            Self::Stomp(link) => link.send(agent, controller, record),
            Self::WebSocket(link) => link.send(agent, controller, record),
        }
    }
}

/// The connections of one agent.
#[derive(Default)]
pub(super) struct OwnWays {
    ways: Ways,
    links: BTreeMap<LinkKey, Link>,
    /// Shared connections on which the agent still is.
    shared: Vec<LinkKey>,
    /// What is heard both there and on the agent's own.
    crossings: BTreeMap<LinkKey, Crossing>,
}

/// A shared connection that is not needed any more; where the agent's own leads, and to whom.
type HandedOver = (LinkKey, String, u16, Vec<EndpointId>);

impl OwnWays {
    /// Takes over the connections that the agent has already, and those that it shares.
    pub fn new(links: BTreeMap<LinkKey, Link>, crossings: BTreeMap<LinkKey, Crossing>) -> Self {
        let shared = crossings.keys().copied().collect();
        Self { ways: Ways::default(), links, shared, crossings }
    }

    /// The shared connections in whose place others are up, or none are to be.
    pub fn take_handed_over(&mut self) -> Vec<HandedOver> {
        let is_due = |key: &LinkKey| self.links.get(key).is_none_or(Link::is_up);
        let (due, shared) = std::mem::take(&mut self.shared).into_iter().partition(is_due);
        self.shared = shared;
        let due: Vec<LinkKey> = due;
        let handed = due.into_iter().map(|key| match self.ways.mqtt.iter().find(|way| way.key == key) {
            Some(way) => {
                let met = way.met.iter().map(|met| met.controller.clone()).collect();
                (key, way.host.clone(), way.port, met)
            }
            None => (key, String::new(), 0, Vec::new()),
        });
        handed.collect()
    }

    /// Makes the connections what the agent's objects say: those that are there are adapted, others begin or
    /// end.
    pub fn follow(&mut self, agent: &EndpointId, ways: Ways, workshop: &Workshop) {
        if ways == self.ways {
            return;
        }
        let mut left = std::mem::take(&mut self.links);
        for way in &ways.mqtt {
            let link = workshop.mqtt(agent, way, left.remove(&way.key), self.crossings.get(&way.key));
            self.links.insert(way.key, link);
        }
        for way in &ways.stomp {
            let link = workshop.stomp(agent, way, left.remove(&way.key));
            self.links.insert(way.key, link);
        }
        for way in &ways.websocket {
            let link = workshop.websocket(agent, way, left.remove(&way.key));
            self.links.insert(way.key, link);
        }
        left.values().for_each(Link::stop);
        self.ways = ways;
    }

    /// Sends over the first way to the controller that is up; where none is, over the first.
    pub fn send(
        &self,
        agent: &EndpointId,
        controller: &EndpointId,
        record: Bytes,
    ) -> Result<(), &'static str> {
        let mut ways: Vec<(u64, &Link)> = self.ways_to(controller).collect();
        ways.sort_by_key(|(order, _)| *order);
        let up = ways.iter().find(|(_, link)| link.is_up());
        let Some((_, link)) = up.or(ways.first()) else { return Err("no MTP leads to the controller") };
        if link.send(agent, controller, record) { Ok(()) } else { Err("too much waits for the MTP") }
    }

    fn ways_to(&self, controller: &EndpointId) -> impl Iterator<Item = (u64, &Link)> {
        let mqtt = self.ways.mqtt.iter().map(|way| (way.key, way.met.as_slice()));
        let stomp = self.ways.stomp.iter().map(|way| (way.key, way.met.as_slice()));
        let websocket = self.ways.websocket.iter().map(|way| (way.key, std::slice::from_ref(&way.met)));
        let met = mqtt.chain(stomp).chain(websocket);
        met.filter_map(move |(key, met)| {
            let met = met.iter().find(|met| met.controller == *controller)?;
            Some((met.order, self.links.get(&key)?))
        })
    }

    /// Publishes a bulk data report, if there is such a connection.
    pub fn report(&self, publication: Publication, body: Bytes) -> Option<Delivery> {
        match self.links.get(&publication.link) {
            Some(Link::Mqtt(link)) => Some(link.report(publication, body)),
            _ => None,
        }
    }

    /// A connection to which too much is told already to be told this comes to it later, if at all.
    pub fn restart(&self, agent: &EndpointId) {
        for link in self.links.values() {
            let _ = link.restart(agent);
        }
    }

    pub fn reconnect(&self, agent: &EndpointId, key: LinkKey) {
        if let Some(link) = self.links.get(&key) {
            let _ = link.restart(agent);
        }
    }

    pub fn states(&self) -> BTreeMap<LinkKey, LinkState> {
        self.links.iter().map(|(key, link)| (*key, link.state())).collect()
    }

    pub fn into_links(self) -> BTreeMap<LinkKey, Link> {
        self.links
    }
}

impl Workshop {
    /// Goes on with a connection that is there, or begins one.
    fn mqtt(
        &self,
        agent: &EndpointId,
        way: &MqttWay,
        link: Option<Link>,
        crossing: Option<&Crossing>,
    ) -> Link {
        let scheme = if way.tls { "mqtts" } else { "mqtt" };
        let config = Arc::new(MqttConfig {
            host: way.host.clone(),
            port: way.port,
            tls: self.tls_of(scheme, &way.host, way.port, way.tls),
            version: if way.v5 { Version::V5 } else { Version::V311 },
            login: way.login.clone(),
            sharing: Sharing::PerAgent,
            client_id_prefix: String::new(),
            topic_prefix: String::new(),
            controllers: places(&way.met),
            keep_alive: way.keep_alive,
            retry_ms: (way.retry.first_ms, way.retry.most_ms),
            retry_multiplier: way.retry.multiplier,
            own: Some(OwnNames {
                client_id: way.client_id.clone(),
                clean: way.clean,
                session_expiry: way.session_expiry,
                filters: way.filters.clone(),
                reply_topic: way.reply_topic.clone(),
                qos: way.qos,
                for_reports: way.met.is_empty(),
                crossing: crossing.cloned(),
            }),
        });
        match link {
            Some(Link::Mqtt(link)) if link.adapt(Arc::clone(&config)) => return Link::Mqtt(link),
            Some(link) => link.stop(),
            None => {}
        }
        let (side, metrics) = (Arc::clone(&self.side), Arc::clone(&self.metrics));
        Link::Mqtt(MqttLink::start(agent, config, side, metrics, &self.stop))
    }

    fn stomp(&self, agent: &EndpointId, way: &StompWay, link: Option<Link>) -> Link {
        let scheme = if way.tls { "stomps" } else { "stomp" };
        let config = Arc::new(StompConfig {
            host: way.host.clone(),
            port: way.port,
            tls: self.tls_of(scheme, &way.host, way.port, way.tls),
            login: way.login.clone(),
            virtual_host: Some(way.virtual_host.clone()).filter(|host| !host.is_empty()),
            destination_prefix: String::new(),
            controllers: places(&way.met),
            heart_beat_ms: way.heart_beat_ms,
            retry_ms: (way.retry.first_ms, way.retry.most_ms),
            retry_multiplier: way.retry.multiplier,
            own_destination: Some(way.destination.clone()),
        });
        match link {
            Some(Link::Stomp(link)) if link.adapt(Arc::clone(&config)) => return Link::Stomp(link),
            Some(link) => link.stop(),
            None => {}
        }
        let (side, metrics) = (Arc::clone(&self.side), Arc::clone(&self.metrics));
        Link::Stomp(StompLink::start(agent, config, side, metrics, &self.stop))
    }

    fn websocket(&self, agent: &EndpointId, way: &WebSocketWay, link: Option<Link>) -> Link {
        let scheme = if way.tls { "wss" } else { "ws" };
        let (host, port, target) = (way.host.clone(), way.port, way.path.clone());
        let config = Arc::new(WebSocketConfig {
            controller: way.met.controller.clone(),
            url: HttpUrl { tls: way.tls, host, port, target },
            tls: self.tls_of(scheme, &way.host, way.port, way.tls),
            ping: Duration::from_secs(way.ping),
            retry_ms: (way.retry.first_ms, way.retry.most_ms),
            retry_multiplier: way.retry.multiplier,
            must_show: way.must_show.clone(),
        });
        match link {
            Some(Link::WebSocket(link)) if link.adapt(Arc::clone(&config)) => return Link::WebSocket(link),
            Some(link) => link.stop(),
            None => {}
        }
        let (side, metrics) = (Arc::clone(&self.side), Arc::clone(&self.metrics));
        Link::WebSocket(WebSocketLink::start(agent, config, side, metrics, &self.stop))
    }

    fn tls_of(&self, scheme: &'static str, host: &str, port: u16, wanted: bool) -> Option<TlsClient> {
        if !wanted {
            return None;
        }
        let place = (scheme, host.to_ascii_lowercase(), port);
        self.named.get(&place).or(self.tls.as_ref()).cloned()
    }
}

fn places(met: &[Met]) -> Vec<(EndpointId, String)> {
    met.iter().map(|met| (met.controller.clone(), met.at.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Retry;
    use crate::sim::controller::{Controller, ControllerConfig, ControllerMtp};
    use crate::usp::Shown;
    use crate::usp::record::{Payload, Record};

    struct Nobody;

    impl AgentSide for Nobody {
        fn record(&self, _: &EndpointId, _: Bytes, _: Shown) {}

        fn connected(&self, _: &EndpointId, _: &EndpointId) {}

        fn knows(&self, _: &EndpointId) -> bool {
            true
        }

        fn changed(&self, _: &EndpointId) {}
    }

    const RETRY: Retry = Retry { first_ms: 50, multiplier: 1_000, most_ms: 50 };

    fn met(controller: &EndpointId, order: u64) -> Met {
        Met { controller: controller.clone(), order, at: "usp/controller".into() }
    }

    /// A broker that is not there, and a controller that is.
    fn ways(controller: &EndpointId, port: u16) -> Ways {
        let mqtt = MqttWay {
            key: LinkKey::Mqtt(1),
            host: "127.0.0.1".into(),
            port: 9,
            tls: false,
            v5: true,
            login: None,
            client_id: "agent".into(),
            clean: true,
            session_expiry: 0,
            keep_alive: 60,
            retry: RETRY,
            filters: vec![("usp/agent".into(), 1)],
            reply_topic: String::new(),
            qos: 1,
            met: vec![met(controller, 1)],
            has_reports: false,
        };
        let websocket = WebSocketWay {
            key: LinkKey::WebSocket(1, 2),
            host: "127.0.0.1".into(),
            port,
            path: "/usp".into(),
            tls: false,
            ping: 60,
            retry: RETRY,
            met: met(controller, 2),
            must_show: None,
        };
        Ways { mqtt: vec![mqtt], stomp: Vec::new(), websocket: vec![websocket] }
    }

    #[tokio::test]
    async fn a_controller_is_met_over_the_next_way_while_the_first_is_down() {
        let (agent, us) =
            (EndpointId::parse("os::00256D-1").unwrap(), EndpointId::parse("self::ctl").unwrap());
        let mtp = ControllerMtp::WebSocketServer {
            listen: ([127, 0, 0, 1], 0).into(),
            path: "/usp".into(),
            tls: None,
        };
        let controller = Controller::start(ControllerConfig { endpoint_id: us.clone(), mtp }).await.unwrap();
        let mut arrivals = controller.arrivals();
        let stop = CancellationToken::new();
        let (metrics, named) = (Arc::new(Metrics::default()), HashMap::new());
        let workshop = Workshop { side: Arc::new(Nobody), metrics, stop: stop.clone(), named, tls: None };
        let mut own = OwnWays::default();
        own.follow(&agent, ways(&us, controller.address().unwrap().port()), &workshop);
        assert!(own.send(&agent, &agent, Bytes::new()).is_err(), "nobody is met under that name");
        let patience = Duration::from_secs(10);
        let connected = async {
            while !own.states().values().any(LinkState::is_up) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(patience, connected).await.expect("the controller is not reached");
        let record = Record::plain(&agent, &us, Bytes::from_static(b"message")).encode();
        own.send(&agent, &us, record).unwrap();
        let arrived = async {
            while !matches!(arrivals.recv().await.unwrap().record.payload, Payload::NoSession(_)) {}
        };
        tokio::time::timeout(patience, arrived).await.expect("the record waits for the way that is down");
        // Without the way it is left; what is not wanted any more ends.
        own.follow(&agent, Ways::default(), &workshop);
        assert!(own.states().is_empty());
        stop.cancel();
        controller.stop().await;
    }
}
