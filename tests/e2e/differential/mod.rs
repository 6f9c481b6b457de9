//! The ACS never notices: the same scripted CPEs speak with an ACS directly and through the gateway, and both sides
//! must see the same but for a written list (`compare`).
//!
//! `DRAGOMAN_SESSIONS` says how many sessions there are; `DRAGOMAN_SEED` plays one seed again and tells all of it.

mod acs;
mod compare;
mod cpe;
mod envelopes;
mod random;
mod script;
mod wire;

use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};

use self::acs::RawAcs;
use self::compare::{Way, difference};
use self::cpe::{RawCpe, Seen};
use self::script::Script;
use self::wire::Message;
use super::gateway::{Gateway, Setup, mqtt};

/// An ACS for each way, and the gateway on one of them.
struct World {
    direct: RawAcs,
    behind: RawAcs,
    gateway: Gateway,
    _setup: Setup,
}

impl World {
    async fn build(more: &str) -> Self {
        let (direct, behind) = (RawAcs::start().await, RawAcs::start().await);
        let tail = format!("[acs]\nurl = \"http://{}/acs\"\nkeep_target = true\n{more}", behind.address);
        let setup = Setup::new(0, &tail);
        let gateway = setup.start();
        Self { direct, behind, gateway, _setup: setup }
    }

    /// Plays a seed on both ways; what differs, if anything.
    async fn play(&self, seed: u64) -> Result<usize, String> {
        let script = Arc::new(Script::of(seed));
        self.direct.expect(&script);
        self.behind.expect(&script);
        let alone = RawCpe::new(&script, self.direct.address).run().await;
        let through = RawCpe::new(&script, self.gateway.cwmp).run().await;
        let seen = (self.direct.take(&script), self.behind.take(&script));
        let told = std::env::var_os("DRAGOMAN_SEED").is_some();
        if told {
            eprintln!(
                "{script:#?}\nthe CPE directly: {alone:#?}\nthe CPE behind: {through:#?}\nthe ACS: {seen:#?}"
            );
        }
        let acs = self.behind.address.to_string();
        // A session that went wrong without the gateway would prove nothing.
        let whole = alone.len() == script.steps.len() && alone.iter().all(Result::is_ok);
        let scripted = |(answer, step): (&Result<Message, String>, &script::Step)| {
            answer.as_ref().is_ok_and(|answer| answer.status() == step.status)
        };
        if !whole || !alone.iter().zip(&script.steps).all(scripted) {
            return Err(format!("seed {seed} goes wrong by itself: {:?}", alone.last()));
        }
        let found = acs_saw_other(&seen.0, &seen.1, &acs).or_else(|| cpe_saw_other(&alone, &through, &acs));
        found.map_or(Ok(alone.len()), |found| Err(format!("seed {seed}, {found}")))
    }
}

fn acs_saw_other(direct: &[Message], behind: &[Message], acs: &str) -> Option<String> {
    let pairs = direct.iter().zip(behind).enumerate();
    let mut found = pairs.filter_map(|(number, (direct, behind))| {
        let found = difference(Way::ToAcs, direct, behind, acs)?;
        Some(format!("request {number} as the ACS saw it: {found}"))
    });
    let count = || {
        let (one, other) = (direct.len(), behind.len());
        (one != other).then(|| format!("the ACS saw {one} requests directly and {other} behind the gateway"))
    };
    found.next().or_else(count)
}

fn cpe_saw_other(direct: &Seen, behind: &Seen, acs: &str) -> Option<String> {
    let pairs = direct.iter().zip(behind).enumerate();
    let mut found = pairs.filter_map(|(number, (direct, behind))| {
        let found = match (direct, behind) {
            (Ok(direct), Ok(behind)) => difference(Way::ToCpe, direct, behind, acs)?,
            (_, Err(why)) => why.clone(),
            (Err(_), Ok(_)) => return None,
        };
        Some(format!("answer {number} as the CPE saw it: {found}"))
    });
    found.next()
}

/// Plays all seeds, some at a time, and fails with the first that differs.
async fn play_all(more: &str, sessions: u64) {
    let world = World::build(more).await;
    let asked = std::env::var("DRAGOMAN_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = asked.map_or(0..sessions, |seed: u64| seed..seed + 1);
    let began = std::time::Instant::now();
    let played = stream::iter(seeds).map(|seed| world.play(seed)).buffer_unordered(AT_ONCE);
    let (mut exchanges, mut count, mut wrong) = (0, 0, Vec::new());
    let mut played = std::pin::pin!(played);
    while let Some(result) = played.next().await {
        count += 1;
        match result {
            Ok(steps) => exchanges += steps,
            Err(found) => wrong.push(found),
        }
        if wrong.len() >= ENOUGH {
            break;
        }
    }
    eprintln!("{count} sessions, {exchanges} exchanges without a difference, {:?}", began.elapsed());
    assert!(wrong.is_empty(), "{}\nDRAGOMAN_SEED=<seed> plays one again", wrong.join("\n\n"));
}

fn sessions(usual: u64) -> u64 {
    std::env::var("DRAGOMAN_SESSIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(usual)
}

#[tokio::test(flavor = "multi_thread")]
async fn differential_without_usp_neither_acs_nor_cpe_notices_the_gateway() {
    play_all("[device]\ndiscovery = false\nrest_after_seconds = 1\n", sessions(300)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn differential_what_usp_does_of_its_own_is_behind_the_acs_s_leg() {
    // Nobody is at the broker; what the gateway does it does for the controller that may come.
    play_all(&mqtt(1, ""), sessions(100)).await;
}

/// Sessions under way.
const AT_ONCE: usize = 24;
/// Differences that are told before it is given up.
const ENOUGH: usize = 3;
