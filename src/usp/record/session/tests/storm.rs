//! Every message arrives once, or its loss is told, whatever the link does.

use super::*;

/// Both peers talk over a bad link; then it gets well and they fall silent.
fn storm(seed: u64, faults: Faults, security: PayloadSecurity, max_record: usize) -> World {
    let policy = Policy { security, max_record, max_retransmit_tries: Some(10), ..Policy::default() };
    let mut world = World::new(policy);
    world.random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    world.faults = faults;
    for round in 0..60_u64 {
        let from = if world.one_in(2) { AGENT } else { CONTROLLER };
        let copies = if round % 13 == 0 { 400 } else { 3 };
        world.send_sized(from, copies);
        if world.one_in(20) {
            let at = usize::from(world.one_in(2));
            world.handle(at, Input::Restart);
        }
        let pause = world.random() % 4_000;
        world.pass(pause);
    }
    world.faults = Faults { delay: 10, ..Faults::default() };
    // One message more from each side shows what is missing.
    world.pass(60_000);
    for from in [AGENT, CONTROLLER] {
        world.send(from);
        world.pass(60_000);
    }
    // What is still unacknowledged then is told when the context ends.
    world.pass(4_000_000);
    world
}

fn judge(world: &World, seed: u64) -> usize {
    let mut delivered = 0;
    for (from, to) in [(AGENT, CONTROLLER), (CONTROLLER, AGENT)] {
        let sent = world.peers[from].sent;
        let mut seen: BTreeMap<u64, usize> = BTreeMap::new();
        for got in &world.peers[to].got {
            let text = std::str::from_utf8(got).unwrap();
            let number = text.split(' ').nth(1).unwrap().parse().unwrap();
            assert!(text.len().is_multiple_of(format!("message {number} ").len()), "seed {seed}: torn");
            *seen.entry(number).or_default() += 1;
        }
        for number in 0..sent {
            let times = seen.get(&number).copied().unwrap_or(0);
            assert!(times <= 1, "seed {seed}: message {number} of {from} arrived {times} times");
            assert!(
                times == 1 || world.peers[from].lost.contains(&number),
                "seed {seed}: message {number} of {from} is lost, and nobody was told ({:?})",
                world.peers[from].ended
            );
        }
        assert!(world.peers[from].session.is_idle(), "seed {seed}: {from} does not come to rest");
        delivered += seen.len();
    }
    delivered
}

#[test]
fn every_message_arrives_once_or_its_loss_is_told_over_a_bad_link() {
    let faults = Faults { lost: 8, doubled: 6, delay: 3_000 };
    let delivered: usize =
        (1..=60).map(|seed| judge(&storm(seed, faults, PayloadSecurity::Plaintext, 512), seed)).sum();
    // 62 messages in each world: most must come through, or the rule above is kept by losing all.
    assert!(delivered > 60 * 40, "only {delivered} arrived");
}

#[test]
fn every_message_arrives_once_or_its_loss_is_told_with_payload_security() {
    let faults = Faults { lost: 12, doubled: 6, delay: 2_000 };
    let delivered: usize =
        (1..=60).map(|seed| judge(&storm(seed, faults, PayloadSecurity::Tls12, 512), seed)).sum();
    assert!(delivered > 60 * 30, "only {delivered} arrived");
}

#[test]
fn a_link_that_only_doubles_and_reorders_loses_nothing() {
    let faults = Faults { lost: 0, doubled: 2, delay: 4_000 };
    for seed in 1..=30 {
        let mut world = World::new(Policy { max_record: 512, ..Policy::default() });
        world.random = seed * 77;
        world.faults = faults;
        world.send(CONTROLLER);
        world.pass(10_000);
        for _ in 0..20 {
            world.send(AGENT);
            world.send(CONTROLLER);
            world.pass(500);
        }
        world.pass(30_000);
        for (from, to) in [(AGENT, CONTROLLER), (CONTROLLER, AGENT)] {
            let expected: Vec<Bytes> = (0..world.peers[from].sent)
                .map(|number| message(number, usize::try_from(number % 7).unwrap() + 1))
                .collect();
            assert_eq!(world.peers[to].got, expected, "seed {seed}: R-E2E.20: in order, each once");
        }
    }
}
