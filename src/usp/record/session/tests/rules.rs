//! The requirements of TR-369 on session contexts and TP-469 3.8 to 3.15, one by one, as the agent meets them.

use super::*;

fn plain() -> World {
    World::new(Policy::default())
}

#[test]
fn r_e2e_4_r_e2e_14_tp_469_3_8_a_context_is_answered_in_it_with_sequence_1() {
    let mut world = plain();
    world.record(fields(42, 1, "get"));
    assert_eq!(world.peers[AGENT].got, ["get"]);
    world.send(AGENT);
    let said = world.said();
    let [answer] = said.as_slice() else { panic!("{said:?}") };
    assert_eq!((answer.session_id, answer.sequence_id, answer.expected_id), (42, 1, 2));
}

#[test]
fn r_e2e_6_tp_469_3_9_another_identifier_begins_anew_and_the_unacknowledged_is_told_not_sent_again() {
    let mut world = plain();
    world.record(fields(42, 1, "get"));
    world.send(AGENT);
    world.said();
    world.record(fields(43, 1, "get"));
    assert_eq!(world.peers[AGENT].lost, [0]);
    world.send(AGENT);
    let said = world.said();
    let [answer] = said.as_slice() else { panic!("{said:?}") };
    assert_eq!((answer.session_id, answer.sequence_id), (43, 1));
}

#[test]
fn r_e2e_3_r_e2e_15_r_e2e_17_own_contexts_count_from_1_by_1_and_tell_what_is_expected() {
    let mut world = plain();
    for _ in 0..3 {
        world.send(AGENT);
    }
    world.pass(100);
    world.send(CONTROLLER);
    world.pass(100);
    world.send(AGENT);
    let said = world.said();
    assert!(said.iter().all(|record| record.session_id > 1 && record.session_id == said[0].session_id));
    let ids: Vec<_> = said.iter().map(|record| (record.sequence_id, record.expected_id)).collect();
    assert_eq!(ids, [(1, 1), (2, 1), (3, 1), (4, 2)]);
}

#[test]
fn r_e2e_7_tp_469_3_10_an_expired_context_is_followed_by_another_a_live_one_is_kept() {
    let mut world = plain();
    world.peers[AGENT].policy.expiration_ms = 60_000;
    let mut notify_every_10_s = |expiration| {
        world.peers[AGENT].policy.expiration_ms = expiration;
        let mut ids = Vec::new();
        for _ in 0..3 {
            world.send(AGENT);
            ids.push(world.said()[0].session_id);
            world.pass(10_000);
        }
        ids.dedup();
        ids.len()
    };
    assert_eq!(notify_every_10_s(60_000), 1);
    assert_eq!(notify_every_10_s(5_000), 3);
}

#[test]
fn a_context_that_never_expires_by_its_parameter_is_not_held_for_ever() {
    let mut world = plain();
    world.peers[AGENT].policy.expiration_ms = 0;
    world.record(fields(42, 1, "get"));
    world.pass(3_599_000);
    assert_eq!(world.status(AGENT), Status::Up);
    world.pass(2_000);
    assert!(world.peers[AGENT].session.is_idle());
}

#[test]
fn r_e2e_8_r_e2e_9_identifiers_near_their_end_begin_a_new_context() {
    let mut world = plain();
    world.send(AGENT);
    world.pass(100);
    let first = world.said()[0].session_id;
    world.peers[AGENT].session.jump_to(u64::MAX - 9_999);
    world.send(AGENT);
    let said = world.said();
    assert_ne!(said[0].session_id, first, "R-E2E.9");
    assert_eq!(said[0].sequence_id, 1);

    // As a receiver: the record counts still, and what follows is another context.
    let mut world = plain();
    world.send(CONTROLLER);
    world.pass(100);
    world.peers[CONTROLLER].session.jump_to(u64::MAX - 9_999);
    world.said();
    world.send(AGENT);
    let before = world.said()[0].session_id;
    world.send(CONTROLLER);
    world.pass(100);
    assert_ne!(world.log.iter().rev().find(|it| it.0 == CONTROLLER).unwrap().1.session_id, before);
    assert_eq!(world.peers[AGENT].got.len(), 2);
}

#[test]
fn r_e2e_20_tp_469_3_11_records_are_taken_in_order_whatever_order_they_come_in() {
    let mut world = plain();
    let step = |world: &mut World, id: u64, text: &str| {
        let record = SessionContextRecord { expected_id: id, ..fields(5, id, text) };
        let before = world.peers[AGENT].got.len();
        world.record(record);
        world.peers[AGENT].got[before..].to_vec()
    };
    assert_eq!(step(&mut world, 1, "model"), ["model"]);
    assert!(step(&mut world, 4, "software").is_empty());
    assert!(world.said().is_empty(), "nothing is answered before its turn");
    assert_eq!(step(&mut world, 2, "hardware"), ["hardware"]);
    assert_eq!(step(&mut world, 3, "hardware"), ["hardware", "software"]);
}

#[test]
fn r_e2e_16_tp_469_3_12_a_sent_record_is_kept_until_it_is_acknowledged() {
    let mut world = plain();
    world.record(fields(5, 1, "get"));
    world.send(AGENT);
    let first = world.said();
    world.pass(60_000);
    world.record(SessionContextRecord { retransmit_id: 1, ..fields(5, 2, "") });
    assert_eq!(world.said(), first, "the same record");
    // A peer that counts it as received may ask for it all the same.
    world.record(SessionContextRecord { retransmit_id: 1, expected_id: 2, ..fields(5, 3, "") });
    assert_eq!(world.said(), first);
    world.record(SessionContextRecord { expected_id: 2, ..fields(5, 4, "") });
    world.record(SessionContextRecord { retransmit_id: 1, expected_id: 2, ..fields(5, 5, "") });
    let said = world.said();
    assert_eq!(said.len(), 1, "R-E2E.21: what is not there fails the context");
    assert_ne!(said[0].session_id, 5);
}

#[test]
fn r_e2e_18_r_e2e_19_tp_469_3_13_other_payload_security_fails_the_record_and_begins_a_new_context() {
    let mut world = plain();
    world.record_with(fields(5, 1, "hello"), PayloadSecurity::Tls12, Integrity::Signed);
    assert_eq!(world.status(AGENT), Status::Up);
    world.said();
    world.record(fields(5, 2, "get"));
    assert!(world.peers[AGENT].got.is_empty());
    let said = world.said();
    assert_ne!(said[0].session_id, 5);
    assert_eq!(said[0].sequence_id, 1);
}

#[test]
fn r_e2e_21_tp_469_3_14_the_third_request_for_a_record_that_may_be_sent_twice_begins_a_new_context() {
    let mut world = plain();
    world.peers[AGENT].policy.max_retransmit_tries = Some(2);
    world.record(fields(5, 1, "set"));
    world.send(AGENT);
    assert_eq!(world.said().len(), 1);
    for sequence_id in 2..4 {
        world.record(SessionContextRecord { retransmit_id: 1, ..fields(5, sequence_id, "") });
        assert_eq!(world.said()[0].session_id, 5);
    }
    world.record(SessionContextRecord { retransmit_id: 1, ..fields(5, 4, "") });
    let said = world.said();
    let [begun] = said.as_slice() else { panic!("{said:?}") };
    assert!(begun.session_id != 5 && !begun.has_payload(), "no response in the new context");
    assert_eq!(world.peers[AGENT].lost, [0], "it is told");
}

#[test]
fn r_e2e_25_tp_469_3_15_duplicates_are_ignored_also_after_their_context_has_ended() {
    let mut world = plain();
    for _ in 0..4 {
        world.record(fields(5, 1, "get"));
    }
    assert_eq!(world.peers[AGENT].got.len(), 1);
    world.record(fields(6, 1, "get"));
    world.record(fields(5, 1, "get"));
    world.record(fields(5, 2, "late"));
    assert_eq!(world.peers[AGENT].got.len(), 2);
    world.send(AGENT);
    assert_eq!(world.said()[0].session_id, 6);
}

#[test]
fn r_e2e_23_a_record_without_integrity_is_ignored_and_ends_the_context_but_begins_none() {
    let mut world = plain();
    world.record_with(fields(5, 1, "evil"), PayloadSecurity::Plaintext, Integrity::Unproven);
    assert!(world.peers[AGENT].got.is_empty() && world.said().is_empty(), "TP-469 3.3");
    world.record(fields(5, 1, "good"));
    world.record_with(fields(5, 2, "evil"), PayloadSecurity::Plaintext, Integrity::Unproven);
    assert_eq!(world.peers[AGENT].got, ["good"]);
    assert_ne!(world.said()[0].session_id, 5);
}

#[test]
fn r_e2e_33_r_e2e_39_with_tls_records_carry_the_mac_of_their_sender_and_others_are_refused() {
    let mut world = World::new(Policy { security: PayloadSecurity::Tls12, ..Policy::default() });
    world.send(AGENT);
    world.pass(1_000);
    assert_eq!(world.peers[CONTROLLER].got.len(), 1);
    let keys = MacKeys::new(&[7; KEYING_MATERIAL]);
    world.send(CONTROLLER);
    let (_, (_, bytes)) = world.flying.pop_first().unwrap();
    let record = Record::decode(bytes).unwrap();
    assert!(keys.fits(&record, false) && record.mac_signature.len() == 32);
    let mut forged = record.clone();
    let Payload::Session(fields) = &mut forged.payload else { panic!() };
    fields.expected_id += 1;
    let integrity = Integrity::Unproven;
    world.handle(AGENT, Input::Received { record: forged, integrity });
    assert!(world.peers[AGENT].got.is_empty());
    assert!(world.peers[AGENT].ended.contains(&"a record did not pass its integrity check"));
}

#[test]
fn r_e2e_10_r_e2e_12_tp_469_3_5_failed_contexts_are_tried_again_after_growing_waits() {
    let mut world = World::new(Policy { security: PayloadSecurity::Tls12, ..Policy::default() });
    // Only what the test writes by hand reaches the agent.
    world.faults.lost = 1;
    world.send(AGENT);
    let mut hello = world.said().remove(0);
    for (least, most) in [(5_000, 10_000), (10_000, 20_000), (20_000, 40_000)] {
        let alert = fields(hello.session_id, 1, "alert");
        world.record_with(alert, PayloadSecurity::Tls12, Integrity::Signed);
        world.pass(least - 1);
        assert!(world.said().is_empty(), "tried again before {least} ms");
        world.pass(most - least + 1);
        let said = world.said();
        let [again] = said.as_slice() else { panic!("after {most} ms: {said:?}") };
        assert!(again.session_id != hello.session_id && again.sequence_id == 1);
        hello = again.clone();
    }
    assert_eq!(world.peers[AGENT].session.retry_count(), 3);
    // A message that comes at last counts anew, and the one that waited goes out.
    let answer = |sequence_id, text| (fields(hello.session_id, sequence_id, text), Integrity::Signed);
    for (record, integrity) in [answer(1, "hello"), answer(2, "anything")] {
        world.record_with(record, PayloadSecurity::Tls12, integrity);
    }
    assert_eq!(world.peers[AGENT].session.retry_count(), 0);
    assert!(world.said().last().unwrap().has_payload() && world.peers[AGENT].lost.is_empty());
}

#[test]
fn r_e2e_11_a_context_that_never_comes_about_is_given_up_and_what_waited_is_told_lost() {
    let mut world = World::new(Policy { security: PayloadSecurity::Tls12, ..Policy::default() });
    world.peers[AGENT].policy.expiration_ms = 100_000;
    world.faults.lost = 1;
    world.send(AGENT);
    world.pass(1_000_000);
    assert!(world.peers[AGENT].session.is_idle());
    assert_eq!(world.peers[AGENT].lost, [0]);
}

#[test]
fn both_begin_at_once_and_agree_on_one_context() {
    for seed in 1..50 {
        let mut world = plain();
        world.random = seed;
        world.send(AGENT);
        world.send(CONTROLLER);
        world.pass(1_000);
        for _ in 0..3 {
            world.send(CONTROLLER);
            world.send(AGENT);
            world.pass(1_000);
        }
        let last = |of| world.log.iter().rev().find(|(from, _)| *from == of).unwrap().1.session_id;
        assert_eq!(last(AGENT), last(CONTROLLER), "R-E2E.5, seed {seed}");
        assert_eq!(world.peers[AGENT].got.len(), 4);
        assert!(world.peers[CONTROLLER].got.len() + world.peers[AGENT].lost.len() >= 4);
    }
}

#[test]
fn where_each_goes_over_to_the_others_context_a_third_one_is_begun() {
    let mut world = plain();
    world.send(AGENT);
    let ours = world.said()[0].session_id;
    world.record(fields(5, 1, "get"));
    // This controller has taken R-E2E.6 to the letter as well, and speaks in the agent's now.
    world.record(fields(ours, 1, "get"));
    let third = world.said().last().unwrap().session_id;
    assert!(third != 5 && third != ours);
}

fn states(said: &[SessionContextRecord]) -> Vec<(SarState, SarState)> {
    said.iter().map(|record| (record.payload_sar_state, record.payloadrec_sar_state)).collect()
}

#[test]
fn segmentation_case_2_a_plain_message_over_the_limit_goes_in_records_within_it() {
    use SarState::{Begin, Complete, InProcess};
    let mut world = World::new(Policy { max_record: 400, ..Policy::default() });
    world.send_sized(AGENT, 100);
    for (_, bytes) in world.flying.values() {
        assert!(bytes.len() <= 400, "{}", bytes.len());
    }
    world.pass(100);
    assert_eq!(world.peers[CONTROLLER].got, [message(0, 100)]);
    let said = world.said();
    assert_eq!(
        states(&said),
        [(Begin, Begin), (InProcess, InProcess), (InProcess, InProcess), (Complete, Complete)]
    );
    world.send_sized(AGENT, 1);
    assert_eq!(states(&world.said()), [(SarState::None, SarState::None)], "case 1");
}

#[test]
fn segmentation_case_6_one_tls_record_in_each_record_is_not_segmented_itself() {
    use SarState::{Begin, Complete, InProcess, None};
    let mut world =
        World::new(Policy { max_record: 512, security: PayloadSecurity::Tls12, ..Policy::default() });
    world.send_sized(AGENT, 1);
    world.pass(1_000);
    world.said();
    world.send_sized(AGENT, 70);
    world.pass(1_000);
    let said = world.said();
    assert_eq!(states(&said)[0], (Begin, None));
    assert!(states(&said)[1..said.len() - 1].iter().all(|it| *it == (InProcess, None)));
    assert_eq!(states(&said)[said.len() - 1], (Complete, None));
    assert_eq!(world.peers[CONTROLLER].got[1], message(1, 70));
}

#[test]
fn segments_that_do_not_fit_together_fail_the_context() {
    use SarState::{Begin, Complete, InProcess};
    let segment = |sequence_id, payload_sar_state, payloadrec_sar_state| SessionContextRecord {
        payload_sar_state,
        payloadrec_sar_state,
        ..fields(5, sequence_id, "part")
    };
    for wrong in [
        vec![segment(1, InProcess, InProcess)],
        vec![segment(1, Complete, Complete)],
        vec![segment(1, Begin, Begin), segment(2, Begin, Begin)],
        vec![segment(1, Begin, Begin), segment(2, Complete, InProcess)],
        vec![segment(1, Begin, Begin), fields(5, 2, "whole")],
    ] {
        let mut world = plain();
        wrong.into_iter().for_each(|record| world.record(record));
        assert!(world.peers[AGENT].got.is_empty());
        assert_ne!(world.said()[0].session_id, 5);
    }
    // A record that only acknowledges may stand between two segments.
    let mut world = plain();
    for record in [segment(1, Begin, Begin), fields(5, 2, ""), segment(3, Complete, Complete)] {
        world.record(record);
    }
    assert_eq!(world.peers[AGENT].got, ["partpart"]);
    // One that never ends is not kept for ever.
    let mut world = plain();
    world.record(segment(1, Begin, Begin));
    world.pass(301_000);
    assert!(world.peers[AGENT].ended.contains(&"a segmented message did not become whole"));
}

#[test]
fn a_record_that_stays_away_is_asked_for_and_then_given_up() {
    let mut world = plain();
    world.faults.lost = 1;
    world.record(fields(5, 1, "a"));
    world.record(fields(5, 3, "c"));
    world.pass(5_000);
    let said = world.said();
    assert_eq!((said[0].retransmit_id, said[0].has_payload()), (2, false));
    world.pass(60_000);
    let said = world.said();
    assert_eq!(said.iter().filter(|record| record.retransmit_id == 2).count(), 4);
    assert_ne!(said.last().unwrap().session_id, 5);
    let mut world = plain();
    world.record(fields(5, 40_000, "far"));
    assert_ne!(world.said()[0].session_id, 5, "R-E2E.21: it cannot be buffered");
}
