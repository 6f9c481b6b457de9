//! How a gateway begins in the place of another, and how it leaves its own to the next: the steps are `handover`'s.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::handover::{Link, Message, Met, Taking};
use crate::net::{At, Sockets};
use crate::runtime::{Doorman, Fleet};
use crate::store::Embedded;

use super::Gateway;

/// In whose place a gateway begins, and with which sockets.
pub enum Birth {
    /// Nobody's.
    Alone(Sockets),
    /// That of a running one, which does not know yet whether this one can.
    Taking(Taking),
    /// That of one that leaves and has agreed.
    After(Met, Sockets),
}

impl Birth {
    /// The sockets that it begins with.
    pub fn sockets(&self) -> &Sockets {
        match self {
            Self::Alone(sockets) | Self::After(_, sockets) => sockets,
            Self::Taking(taking) => &taking.sockets,
        }
    }

    pub(super) fn is_alone(&self) -> bool {
        matches!(self, Self::Alone(_))
    }

    /// Everything that can fail is done: waits until devices are this gateway's, but for those that are named.
    pub(super) async fn begin(self) -> anyhow::Result<Option<Predecessor>> {
        let mut met = match self {
            Self::Alone(_) => return Ok(None),
            Self::After(met, _) => met,
            Self::Taking(taking) => match taking.ready().await {
                Ok(met) => met,
                Err(error) => {
                    tracing::warn!(%error, "the gateway that was to hand over is gone: this one has its sockets");
                    return Ok(None);
                }
            },
        };
        let (mut released, mut early) = (BTreeSet::new(), Vec::new());
        loop {
            match met.heard.recv().await {
                Some(Message::Held { mut devices, cookies }) => {
                    devices.retain(|device| !released.contains(device));
                    tracing::info!(
                        devices = devices.len(),
                        "the gateway is taken over; so many devices follow"
                    );
                    return Ok(Some(Predecessor { met, devices, cookies, early }));
                }
                Some(Message::Released(device)) => _ = released.insert(device),
                Some(Message::Refused(why)) => bail!("the running gateway refuses: {why}"),
                // What comes to the other one meanwhile is for devices that are here in a moment.
                Some(message) if early.len() < EARLY => early.push(message),
                Some(_) => bail!("the running gateway says too much at once"),
                None => {
                    tracing::warn!("the gateway that was to hand over is gone: this one has its sockets");
                    return Ok(None);
                }
            }
        }
    }
}

/// The gateway before this one, which still owns some devices.
pub(super) struct Predecessor {
    met: Met,
    devices: Vec<String>,
    cookies: Vec<String>,
    /// What it said before that.
    early: Vec<Message>,
}

impl Predecessor {
    pub(super) fn is_followed_by(&mut self, fleet: &Fleet<Embedded>) {
        fleet.follow(&self.met.link, &self.devices, std::mem::take(&mut self.cookies));
    }

    /// Says that this gateway accepts, and attends to what the other one says until it has ended.
    pub(super) async fn attend(mut self, doorman: Arc<Doorman<Embedded>>, fleet: Fleet<Embedded>) {
        let begun = Instant::now();
        self.met.link.say(Message::Serving).await;
        let mut early = std::mem::take(&mut self.early).into_iter();
        loop {
            let next = match early.next() {
                None => self.met.heard.recv().await,
                next => next,
            };
            let Some(message) = next else { break };
            if let Some(unexpected) = doorman.heard(message).await {
                tracing::warn!(?unexpected, "the gateway before this one is not understood");
            }
        }
        fleet.is_alone().await;
        let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(milliseconds, "the gateway before this one has ended: all devices are here");
    }
}

/// How a gateway's leaving went.
pub enum Left {
    /// Nothing is left here.
    Done,
    /// The one that took over is gone: somebody must serve.
    Abandoned,
}

impl Gateway {
    /// Has all sockets opened, and the settings name them.
    pub(super) async fn listen(
        settings: &mut Settings,
        sockets: &Sockets,
        closing: &CancellationToken,
    ) -> anyhow::Result<()> {
        let open = async |role: &str, whose: &str, at: &mut At| {
            let opened = sockets.open(role, at, closing).await;
            *at = opened.with_context(|| format!("failed to listen for {whose} on {at}"))?;
            anyhow::Ok(())
        };
        open("cwmp", "CPEs", &mut settings.door.listen).await?;
        if let Some(calls) = &mut settings.calls {
            open("calls", "the ACS's connection requests", &mut calls.listen).await?;
        }
        if let Some(firmware) = &mut settings.firmware {
            open("files", "CPEs that load firmware", &mut firmware.server.listen).await?;
        }
        if let Some(listener) = &mut settings.listener {
            open("websocket", "controllers", &mut listener.listen).await?;
        }
        if let Some(admin) = &mut settings.admin {
            open("admin", "operators", &mut admin.listen).await?;
        }
        Ok(())
    }

    /// Whether a gateway before this one still owns devices.
    pub fn is_divided(&self) -> bool {
        self.fleet.is_divided()
    }

    /// Leaves its place to the gateway at the end of the link: to be called once for each. Sessions have `patience` to
    /// end; when `hurry` is cancelled it is over.
    pub async fn leave(&self, mut met: Met, patience: Duration, hurry: &CancellationToken) -> Left {
        let deadline = Instant::now() + patience;
        self.health.set_ready(false);
        self.closing.cancel();
        self.alarms.cancel();
        self.fleet.leave(&met.link);
        if !self.mtps.is_cancelled() {
            // What comes for agents from now on is passed on, and what they say too.
            self.mtps.cancel();
            tokio::time::sleep(GOODBYE).await;
        }
        let held = self.fleet.move_out().await;
        tracing::info!(
            devices = held,
            "the gateway is taken over: this process ends when its sessions have ended"
        );
        let mut serving = false;
        while !serving || self.fleet.active() > 0 || self.loading() > 0 {
            tokio::select! {
                message = met.heard.recv() => match message {
                    Some(Message::Serving) => serving = true,
                    Some(message) => _ = self.doorman.heard(message).await,
                    None => return Left::Abandoned,
                },
                () = tokio::time::sleep(STEP) => {}
                () = tokio::time::sleep_until(deadline), if serving => break,
                () = hurry.cancelled() => break,
            }
        }
        self.end_moving(met.link).await;
        Left::Done
    }

    /// Ends what has not ended, and says so.
    async fn end_moving(&self, link: Arc<Link>) {
        let (devices, downloads) = (self.fleet.active(), self.loading());
        if devices > 0 || downloads > 0 {
            tracing::warn!(
                devices,
                downloads,
                "the time for draining is over: what has not ended is broken off"
            );
            self.fleet.shutdown(LAST).await;
        }
        self.door.cancel();
        self.last.cancel();
        // For what is on its way over the link and to CPEs.
        tokio::time::sleep(GOODBYE).await;
        drop(link);
    }

    /// Connections over which CPEs load firmware.
    fn loading(&self) -> usize {
        self.downloads.as_ref().map_or(0, At::connections)
    }
}

/// Time for MTPs to say goodbye.
pub(super) const GOODBYE: Duration = Duration::from_millis(300);
/// Messages that may come before it is said who owns what.
const EARLY: usize = 65_536;
/// How often it is looked whether all has ended.
const STEP: Duration = Duration::from_millis(20);
/// For devices to settle what can be settled when the time for draining is over.
const LAST: Duration = Duration::from_secs(2);
