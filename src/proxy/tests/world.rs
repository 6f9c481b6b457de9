//! A seeded world around one device: its CPE, its ACS, a controller, a store, and networks that fail between all of
//! them. Each side keeps book of what it did and was told; after each step, and when all has come to rest, the books
//! are held against each other. A seed that fails replays exactly:
//! `TRACE=1 WORLDS=1 FIRST_WORLD=<seed> cargo test --lib worlds -- --nocapture`.

use std::collections::{BTreeMap, VecDeque};

use super::*;
use crate::durable::Entry;
use crate::policy::{Bypass, BypassMode};

use acs::Acs;
use controller::Controller;
use cpe::Cpe;
use reached::Reached;

mod acs;
mod controller;
mod cpe;
mod reached;

/// Where the ACS's connection requests come if they come to the gateway.
const BASE: &str = "http://gateway.example:7548/cr/";
/// What both masters are about: plain parameters, and one that stands in every Inform and is active by itself.
const PARAMETERS: [&str; 4] =
    [SSID, "Device.UserInterface.CurrentLanguage", "Device.Time.LocalTimeZone", PROVISIONING_CODE];
const PROVISIONING_CODE: &str = "Device.DeviceInfo.ProvisioningCode";
const TABLE: &str = "Device.NAT.PortMapping.";
const VALUE_CHANGE: &str = "4 VALUE CHANGE";
/// The ACS of a world runs no diagnostics.
const DIAGNOSED: &str = "8 DIAGNOSTICS COMPLETE";
const CONNECTION_REQUEST: &str = "6 CONNECTION REQUEST";

/// What the operator has decided in this world.
#[derive(Debug, Clone, Copy)]
struct Terms {
    /// The ACS's connection requests come to the gateway, which may answer sessions that are USP's alone.
    calls_come_here: bool,
    /// The door authenticates the CPE.
    authenticated: bool,
    answer_when_down: bool,
}

struct World {
    terms: Terms,
    device: Device,
    cpe: Cpe,
    acs: Acs,
    controller: Controller,
    commits: VecDeque<(Token, Vec<Change>)>,
    stored: BTreeMap<(Kind, String), Bytes>,
    firmwares: HashMap<FirmwareId, Firmware>,
    /// Connection requests of the gateway's that are on their way to the CPE.
    calling: u32,
    /// The operator leaves the device to its ACS.
    order: Option<Bypass>,
    crashes: u32,
    /// The disk was so slow that the ACS was not kept waiting for it: what hangs on it dies with the gateway.
    hurried: bool,
    reached: Reached,
    now: u64,
    random: u64,
    /// Nothing fails any more.
    quiet: bool,
    /// Whether each step is printed.
    traced: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let terms = Terms {
            calls_come_here: seed.is_multiple_of(2),
            authenticated: !seed.is_multiple_of(3),
            answer_when_down: seed.is_multiple_of(5),
        };
        let cpe = Cpe::new();
        let device = restore(terms, &cpe, &[]);
        let mut world = Self {
            terms,
            device,
            cpe,
            acs: Acs::new(),
            controller: Controller::default(),
            commits: VecDeque::new(),
            stored: BTreeMap::new(),
            firmwares: HashMap::new(),
            calling: 0,
            order: None,
            crashes: 0,
            hurried: false,
            reached: Reached::default(),
            now: 1_000,
            random: seed,
            quiet: true,
            traced: number("TRACE", 0) == 1,
        };
        // The device is known before anything fails.
        world.sessions(3);
        world.quiet = false;
        world
    }

    fn chance(&mut self, of: u64) -> u64 {
        // A linear congruential generator is random enough to choose steps.
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % of
    }

    /// Whether something goes wrong that does so once in so many times.
    fn fails(&mut self, of: u64) -> bool {
        !self.quiet && self.chance(of) == 0
    }

    fn some_parameter(&mut self) -> &'static str {
        PARAMETERS[self.chance(PARAMETERS.len() as u64) as usize]
    }

    fn tell(&mut self, input: Input) {
        let env = Env { now: self.now, wall: WallTime(1_700_000_000_000 + self.now), seed: self.random };
        let mut out = Vec::new();
        if self.traced {
            println!("{:>7} {}", self.now, traced(&format!("{input:?}")));
        }
        self.device.handle(&env, input, &mut out);
        if self.traced {
            out.iter().for_each(|output| println!("        -> {}", traced(&format!("{output:?}"))));
        }
        self.reached.note(&self.device, &self.cpe, &self.acs, self.order.is_some());
        for output in out {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Reply { exchange, reply } => self.cpe.gets(exchange, reply),
            Output::ToAcs { session, body, .. } => self.acs.gets(session, body, &self.cpe),
            Output::Send { record, .. } => self.controller_hears(record),
            Output::Persist { token, changes } => self.commits.push_back((token, changes)),
            Output::LoadFirmware(id) => {
                let model = self.firmwares.get(&id).cloned().map(Arc::new);
                self.tell(Input::Firmware { id, model });
            }
            Output::Learnt { id, firmware } => {
                self.firmwares.entry(id).or_default().merge(&firmware);
            }
            Output::Wake { .. } => self.calling += 1,
            Output::AcsCallAnswer { answer, .. } => self.acs.call_answered(answer, self.now),
            Output::Log(line) => self.hurried |= line.contains("a commit took too long"),
            _ => {}
        }
    }

    /// The connection request arrives, or does not.
    fn call_arrives(&mut self) {
        if self.calling == 0 {
            return;
        }
        self.calling -= 1;
        if self.fails(10) {
            // Nobody comes for it: the ACS may have to call again.
            self.acs.calls = false;
            return self.tell(Input::Woken(Err("no route".into())));
        }
        if !self.cpe.is_idle() {
            return self.tell(Input::Woken(Err("503".into())));
        }
        self.cpe.bench.raise(CONNECTION_REQUEST);
        self.tell(Input::Woken(Ok(())));
    }

    fn store_steps(&mut self) {
        let Some((token, changes)) = self.commits.pop_front() else { return };
        if self.fails(60) {
            // A disk that fails is told of: what hangs on it is not promised.
            self.controller.excuses();
            self.acs.store_failed();
            return self.tell(Input::StoreFailed(token));
        }
        for change in changes {
            match change {
                Change::Put(entry) => {
                    self.stored.insert((entry.kind, entry.key.to_string()), entry.value);
                }
                Change::Delete { kind, key } => {
                    self.stored.remove(&(kind, key.to_string()));
                }
            }
        }
        self.hurried &= !self.commits.is_empty();
        self.tell(Input::Persisted(token));
    }

    /// The gateway dies: what it held in memory is gone, what was stored comes back.
    fn crash(&mut self) {
        if self.traced {
            println!("{:>7} CRASH, hurried {}", self.now, self.hurried);
        }
        // A start takes its time.
        self.now += 1;
        let entries: Vec<Entry> = self
            .stored
            .iter()
            .map(|((kind, key), value)| Entry { kind: *kind, key: key.as_str().into(), value: value.clone() })
            .collect();
        self.device = restore(self.terms, &self.cpe, &entries);
        self.crashes += 1;
        if std::mem::take(&mut self.hurried) {
            self.acs.takes_all_for_possible();
            self.controller.excuses();
        }
        if !self.commits.is_empty() {
            // Values that were read may be lost: they are read again.
            self.controller.forgets_what_was_read();
        }
        self.commits.clear();
        self.calling = 0;
        self.acs.lost_contact();
        self.controller.lost_contact();
        self.cpe.breaks_off();
        if let Some(order) = self.order {
            self.tell(Input::Bypass(Some(order)));
        }
    }

    fn order_bypass(&mut self, on: bool) {
        self.controller.bypassed();
        self.order = on.then_some(Bypass { mode: BypassMode::Bypass, since: WallTime(self.now) });
        self.tell(Input::Bypass(self.order));
    }

    fn pass_time(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        self.acs.time_passes(self.now);
        self.tell(Input::Tick);
    }

    fn step(&mut self) {
        match self.chance(64) {
            0..=19 => self.cpe_steps(),
            20..=33 => self.acs_steps(),
            34..=39 => self.store_steps(),
            40..=44 => {
                let wait = self.chance(4_000);
                self.pass_time(wait);
            }
            45..=47 => self.controller_asks(),
            48 | 49 => self.acs_plans(),
            50 => self.acs_calls(),
            51..=53 => self.call_arrives(),
            54 => self.cpe_changes(),
            55 if self.chance(3) == 0 => self.cpe_drops(),
            56 if self.chance(10) == 0 => self.crash(),
            57 if self.chance(12) == 0 => self.order_bypass(self.order.is_none()),
            _ => {}
        }
    }

    /// Everybody does what is at hand until nothing is.
    fn settle(&mut self) {
        for _ in 0..200 {
            let before = (self.cpe.posts(), self.commits.len());
            self.store_steps();
            self.acs_steps();
            if !self.cpe.is_idle() {
                self.cpe_steps();
            }
            if before == (self.cpe.posts(), self.commits.len())
                && self.commits.is_empty()
                && !self.acs.is_busy()
            {
                if self.cpe.is_idle() {
                    return;
                }
                // Parked, or waiting for something that time ends.
                self.pass_time(3_000);
            }
        }
        panic!("nothing comes to an end: {:?}", self.device.session);
    }

    fn sessions(&mut self, many: u32) {
        for _ in 0..many {
            self.settle();
            self.call_arrives();
            self.cpe_steps();
            self.settle();
            self.pass_time(1_500);
            self.call_arrives();
        }
    }

    /// Nothing fails any more: every promise is kept.
    fn come_to_rest(&mut self) {
        self.quiet = true;
        self.acs.plan.clear();
        if self.order.is_some() {
            self.order_bypass(false);
        }
        self.sessions(12);
        self.controller.promises_are_kept(&self.cpe, self.crashes);
        self.acs.promises_are_kept(&self.cpe);
        self.acs_reads_attributes();
        self.sessions(1);
        // Given back, the CPE is as the ACS has it, and every byte passes.
        self.order_bypass(true);
        self.sessions(5);
        self.acs.has_all_back(&self.cpe);
        self.acs.nothing_is_spliced = true;
        self.acs_reads_attributes();
        self.sessions(2);
    }
}

fn restore(terms: Terms, cpe: &Cpe, entries: &[Entry]) -> Device {
    let (agent, _) = configs();
    let agent = AgentConfig {
        controllers: agent.controllers.clone(),
        notification_attributes: true,
        request_timeout_ms: 600_000,
        ..AgentConfig::default()
    };
    let proxy = ProxyConfig {
        acs_calls: terms.calls_come_here.then(|| BASE.to_owned()),
        answer_when_down: terms.answer_when_down,
        ..ProxyConfig::default()
    };
    Device::restore(&cpe.bench.id(), Arc::new(agent), Arc::new(proxy), entries).unwrap()
}

/// What is looked at first where a world went wrong.
fn traced(text: &str) -> String {
    let text = text.replace("\\r\\n", "").replace("\\n", "").replace('\\', "");
    let body = text.find("<soap-env:Body").or_else(|| text.find("Body>"));
    let (head, tail) = (
        &text[..text.len().min(if text.contains("kind: Attributes") { 2400 } else { 160 })],
        body.map_or("", |at| &text[at..]),
    );
    format!("{head} {}", tail.chars().take(900).collect::<String>())
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn worlds_that_fail_keep_every_promise_to_the_acs_the_cpe_and_the_controller() {
    let (first, worlds) = (number("FIRST_WORLD", 0), number("WORLDS", WORLDS));
    let mut reached = Reached::default();
    let mut answered = 0;
    let mut broken = Vec::new();
    for seed in first..first + worlds {
        let outcome = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..STEPS {
                world.step();
            }
            world.come_to_rest();
            (world.controller.answers(), world.reached)
        });
        match outcome {
            Ok((answers, more)) => {
                answered += answers;
                reached.add(more);
            }
            Err(why) => {
                let text = why.downcast_ref::<&str>().map(|it| (*it).to_owned());
                let why = why.downcast_ref::<String>().cloned().or(text).unwrap_or_default();
                broken.push(format!("world {seed}: {why}"));
            }
        }
        if broken.len() >= MOST_BROKEN {
            break;
        }
    }
    println!("{worlds} worlds, {answered} answers\n{reached}");
    assert!(broken.is_empty(), "promises were broken:\n{}", broken.join("\n"));
    assert!(answered as u64 > worlds, "{answered} answers: hardly anything was asked");
    if worlds >= WORLDS {
        reached.is_broad();
    }
}

/// Worlds that are played with every run of the tests; a few seconds' worth.
const WORLDS: u64 = 150;
/// What happens in each before it comes to rest.
const STEPS: u32 = 500;
/// Worlds with broken promises, after which no more are played.
const MOST_BROKEN: usize = 20;
