//! A host that many connections go to: its name is resolved now and then, not by each of them, and where it has
//! several addresses one that does not answer is passed over.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use super::stream::Stream;
use super::tls::TlsClient;

/// A host and a port. A clone shares what is known of it.
#[derive(Clone)]
pub struct Host(Arc<Shared>);

struct Shared {
    name: String,
    lookup: Lookup,
    known: Mutex<Known>,
    /// Held by the one who asks the resolver; the others wait for what it says.
    asking: tokio::sync::Mutex<()>,
}

type Answer = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;
type Lookup = Box<dyn Fn() -> Answer + Send + Sync>;

/// What the resolver said last, and what came of it.
#[derive(Debug, Default)]
struct Known {
    addresses: Vec<SocketAddr>,
    /// When the resolver was asked last, whatever it said.
    asked: Option<Instant>,
    /// Addresses that did not take a connection, and when.
    failed: Vec<(SocketAddr, Instant)>,
}

impl Host {
    /// `name` is a host name or an IP address, without brackets. Nothing is resolved yet.
    pub fn new(name: &str, port: u16) -> Self {
        let target = (name.to_owned(), port);
        let lookup = move || -> Answer {
            let (name, port) = target.clone();
            Box::pin(async move { Ok(tokio::net::lookup_host((name.as_str(), port)).await?.collect()) })
        };
        Self::resolved_by(name, Box::new(lookup))
    }

    fn resolved_by(name: &str, lookup: Lookup) -> Self {
        let known = Mutex::default();
        Self(Arc::new(Shared { name: name.to_owned(), lookup, known, asking: tokio::sync::Mutex::new(()) }))
    }

    /// Connects to the first address that takes it, with TLS if told to, all of it within `patience`.
    pub async fn connect(&self, tls: Option<&TlsClient>, patience: Duration) -> io::Result<Stream> {
        let until = Instant::now() + patience;
        let mut tried = Vec::new();
        let mut last = None;
        // The second round is for addresses that the host has moved to.
        for wanted in [FRESH, AGAIN] {
            let known = tokio::time::timeout_at(until, self.addresses(wanted)).await;
            let mut known = known.map_err(|_| slow(&self.0.name, patience)).flatten()?;
            known.retain(|address| !tried.contains(address));
            while !known.is_empty() {
                let share = (until - Instant::now()) / u32::try_from(known.len()).unwrap_or(1);
                let address = known.remove(0);
                tried.push(address);
                let opening = Stream::open(address, &self.0.name, tls);
                match tokio::time::timeout(share, opening).await {
                    Ok(Ok(stream)) => {
                        self.known().worked(address);
                        return Ok(stream);
                    }
                    Ok(Err(error)) => last = Some(error),
                    Err(_) => last = Some(slow(&address.to_string(), share)),
                }
                self.known().failed(address, Instant::now());
            }
        }
        Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address")))
    }

    /// The addresses, those first that took connections lately; asks the resolver if what it said is older than
    /// `wanted`. Where it does not answer, what is known stays good.
    async fn addresses(&self, wanted: Duration) -> io::Result<Vec<SocketAddr>> {
        let at_hand = |host: &Self| host.known().at_hand(wanted, Instant::now());
        if let Some(addresses) = at_hand(self) {
            return Ok(addresses);
        }
        let _one = self.0.asking.lock().await;
        if let Some(addresses) = at_hand(self) {
            return Ok(addresses);
        }
        let answer = tokio::time::timeout(LOOKUP, (self.0.lookup)()).await;
        let answer = answer.map_err(|_| slow("the resolver", LOOKUP)).flatten();
        let mut known = self.known();
        known.asked = Some(Instant::now());
        match answer {
            Ok(addresses) => known.learn(addresses),
            Err(error) if known.addresses.is_empty() => return Err(error),
            Err(error) => debug!(host = self.0.name, %error, "not resolved: its last addresses are used"),
        }
        Ok(known.in_order(Instant::now()))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn at_hand(&self, wanted: Duration, now: Instant) -> Option<Vec<SocketAddr>> {
        let asked = self.asked.filter(|asked| now - *asked < wanted)?;
        let all_failed = self.addresses.iter().all(|address| self.has_failed(*address, now));
        (!self.addresses.is_empty() && (!all_failed || now - asked < AGAIN)).then(|| self.in_order(now))
    }

    fn learn(&mut self, mut addresses: Vec<SocketAddr>) {
        addresses.truncate(MOST);
        self.failed.retain(|(address, _)| addresses.contains(address));
        self.addresses = addresses;
    }

    fn in_order(&self, now: Instant) -> Vec<SocketAddr> {
        let mut ordered = self.addresses.clone();
        ordered.sort_by_key(|address| self.has_failed(*address, now));
        ordered
    }

    fn has_failed(&self, address: SocketAddr, now: Instant) -> bool {
        self.failed.iter().any(|(failed, at)| *failed == address && now - *at < PASSED_OVER)
    }

    fn worked(&mut self, address: SocketAddr) {
        self.failed.retain(|(failed, _)| *failed != address);
    }

    fn failed(&mut self, address: SocketAddr, now: Instant) {
        self.worked(address);
        if self.addresses.contains(&address) {
            self.failed.push((address, now));
        }
    }
}

fn slow(what: &str, patience: Duration) -> io::Error {
    let why = format!("no answer from {what} within {} ms", patience.as_millis());
    io::Error::new(io::ErrorKind::TimedOut, why)
}

/// How long what the resolver said is good.
const FRESH: Duration = Duration::from_secs(30);
/// How long it is good where no address takes a connection: a host that is down costs no lookup per connection.
const AGAIN: Duration = Duration::from_secs(2);
/// How long the resolver may take.
const LOOKUP: Duration = Duration::from_secs(5);
/// How long an address that failed comes after those that did not.
const PASSED_OVER: Duration = Duration::from_secs(60);
/// Addresses that are kept.
const MOST: usize = 16;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use tokio::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    /// A resolver that says these things one after the other, the last one for ever, and counts.
    fn host(said: Vec<io::Result<Vec<SocketAddr>>>) -> (Host, Arc<Mutex<usize>>) {
        let asked = Arc::new(Mutex::new(0));
        let (count, said) = (Arc::clone(&asked), Mutex::new(VecDeque::from(said)));
        let lookup = move || -> Answer {
            *count.lock().unwrap() += 1;
            let mut said = said.lock().unwrap();
            let copy = said[0].as_ref().map(Vec::clone).map_err(|error| io::Error::from(error.kind()));
            let next = if said.len() > 1 { said.pop_front().unwrap() } else { copy };
            Box::pin(std::future::ready(next))
        };
        (Host::resolved_by("acs.example", Box::new(lookup)), asked)
    }

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    async fn nobody() -> SocketAddr {
        listener().await.1
    }

    #[tokio::test]
    async fn a_name_is_resolved_once_for_many_connections() {
        let (_listener, address) = listener().await;
        let (host, asked) = host(vec![Ok(vec![address])]);
        let connects = (0..20).map(|_| {
            let host = host.clone();
            tokio::spawn(async move { host.connect(None, PATIENCE).await.is_ok() })
        });
        for connect in connects.collect::<Vec<_>>() {
            assert!(connect.await.unwrap());
        }
        assert_eq!(*asked.lock().unwrap(), 1);
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_is_passed_over_and_comes_last_from_then_on() {
        let (dead, (_listener, alive)) = (nobody().await, listener().await);
        let (host, asked) = host(vec![Ok(vec![dead, alive])]);
        assert!(host.connect(None, PATIENCE).await.is_ok());
        assert_eq!(host.addresses(FRESH).await.unwrap(), [alive, dead]);
        assert_eq!(*asked.lock().unwrap(), 1);
    }

    #[tokio::test]
    async fn what_was_resolved_is_good_for_half_a_minute_and_longer_only_without_a_resolver() {
        let (one, two) = (SocketAddr::from(([192, 0, 2, 1], 80)), SocketAddr::from(([192, 0, 2, 2], 80)));
        let failure = || Err(io::Error::from(io::ErrorKind::NotFound));
        let (host, _) = host(vec![failure(), Ok(vec![one]), failure(), Ok(vec![two])]);
        assert!(host.addresses(FRESH).await.is_err(), "nothing is known yet");
        assert_eq!(host.addresses(FRESH).await.unwrap(), [one]);
        let ago = |time| host.known().asked = Some(Instant::now() - time);
        ago(FRESH - Duration::from_secs(1));
        assert_eq!(host.addresses(FRESH).await.unwrap(), [one]);
        ago(FRESH);
        assert_eq!(host.addresses(FRESH).await.unwrap(), [one], "the resolver is down");
        ago(FRESH);
        assert_eq!(host.addresses(FRESH).await.unwrap(), [two]);
    }

    #[tokio::test]
    async fn a_host_that_has_moved_is_found_and_one_that_is_down_is_not_asked_for_by_each() {
        let (old, (_listener, new)) = (nobody().await, listener().await);
        let (moved, _) = host(vec![Ok(vec![old]), Ok(vec![new])]);
        moved.addresses(FRESH).await.unwrap();
        moved.known().asked = Some(Instant::now() - AGAIN);
        assert!(moved.connect(None, PATIENCE).await.is_ok());
        let (down, asked) = host(vec![Ok(vec![old])]);
        for _ in 0..20 {
            assert!(down.connect(None, PATIENCE).await.is_err());
        }
        assert_eq!(*asked.lock().unwrap(), 1);
    }
}
