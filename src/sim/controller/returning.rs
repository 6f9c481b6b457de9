//! What the controller's connections to brokers have in common: they come back after a break. Only the first one
//! must succeed at once, or the controller does not start.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::net::Backoff;

use super::hub::Hub;

/// Who awaits that the first connection is up, or why it is not.
pub(super) struct First(Option<oneshot::Sender<Result<(), String>>>);

impl First {
    /// A connection is up.
    pub fn is_up(&mut self) {
        if let Some(first) = self.0.take() {
            let _ = first.send(Ok(()));
        }
    }

    /// Whether it was the first one that failed.
    fn has_failed(&mut self, why: &str) -> bool {
        self.0.take().is_some_and(|first| {
            let _ = first.send(Err(why.to_owned()));
            true
        })
    }
}

/// A connection to a broker that can be made again and again.
pub(super) trait Returning: Send + 'static {
    /// Lives once; ends well when the controller stops.
    fn live(&mut self, hub: &Arc<Hub>, first: &mut First) -> impl Future<Output = Result<(), String>> + Send;

    /// The connection is over. Whether it was up.
    fn over(&mut self) -> bool;
}

/// Starts the connection, and returns when it is up.
pub(super) async fn start(hub: Arc<Hub>, link: impl Returning) -> io::Result<()> {
    let (first, up) = oneshot::channel();
    tokio::spawn(run(hub, link, First(Some(first))));
    match up.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(why)) => Err(io::Error::other(why)),
        Err(_) => Err(io::Error::other("the controller was stopped")),
    }
}

async fn run(hub: Arc<Hub>, mut link: impl Returning, mut first: First) {
    let mut backoff = Backoff::new(FIRST_RETRY_MS, LONGEST_RETRY_MS);
    let started = std::time::Instant::now();
    while !hub.stop.is_cancelled() {
        let Err(why) = link.live(&hub, &mut first).await else { break };
        if first.has_failed(&why) {
            break;
        }
        if link.over() {
            backoff.reset();
        }
        let wait = backoff.next(u64::from(started.elapsed().subsec_nanos()));
        tracing::info!(why, wait_ms = wait, "the controller lost its broker");
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(wait)) => {}
            () = hub.stop.cancelled() => {}
        }
    }
    hub.ended();
}

const FIRST_RETRY_MS: u64 = 200;
const LONGEST_RETRY_MS: u64 = 10_000;
