//! Whatever a peer writes into records, nothing breaks, and the next honest peer is heard.

use proptest::collection::vec;
use proptest::prelude::any;

use super::*;

fn state(number: u8) -> SarState {
    [SarState::None, SarState::Begin, SarState::InProcess, SarState::Complete][usize::from(number % 4)]
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_are_no_panic_and_what_decodes_comes_back_the_same(bytes in vec(any::<u8>(), 0..300)) {
        if let Ok(record) = Record::decode(bytes.into()) {
            let again = Record::decode(record.clone().encode()).unwrap();
            proptest::prop_assert_eq!(record, again);
        }
    }

    #[test]
    fn arbitrary_fields_of_a_session_are_no_panic_and_an_honest_context_follows(
        records in vec(
            (0_u64..4, any::<u64>(), 0_u64..12, any::<u64>(), any::<u8>(), any::<bool>(), 0_usize..3),
            0..40,
        ),
    ) {
        let mut world = World::new(Policy { max_record: 512, ..Policy::default() });
        for (session, wild, near, expected, states, secure, parts) in records {
            let sequence_id = if wild.is_multiple_of(3) { wild.max(1) } else { near.max(1) };
            let hostile = SessionContextRecord {
                session_id: session + 2,
                sequence_id,
                expected_id: expected,
                retransmit_id: if wild.is_multiple_of(5) { near } else { 0 },
                payload_sar_state: state(states),
                payloadrec_sar_state: state(states >> 2),
                payload: vec![Bytes::from_static(b"x"); parts],
            };
            let security = if secure { PayloadSecurity::Tls12 } else { PayloadSecurity::Plaintext };
            let integrity = if wild.is_multiple_of(7) { Integrity::Unproven } else { Integrity::Trusted };
            world.record_with(hostile, security, integrity);
            world.flying.clear();
        }
        let got = world.peers[AGENT].got.len();
        world.record(fields(77, 1, "honest"));
        proptest::prop_assert_eq!(world.peers[AGENT].got.len(), got + 1);
        proptest::prop_assert_eq!(world.status(AGENT), Status::Up);
    }
}
