use freehold_wire::to_canonical;
use proptest::prelude::*;

use super::*;

fn ids(count: usize) -> Vec<OpId> {
    (0..count).map(|n| OpId::from_bytes([u8::try_from(n % 256).unwrap(); 32])).collect()
}

fn examples() -> Vec<Message> {
    vec![
        Message::Heads { heads: Bounded::fill(&mut ids(3).into_iter()), total: 900, sum: u64::MAX },
        Message::Want { have: Bounded::fill(&mut ids(HAVE_MAX).into_iter()) },
        Message::Operations {
            operations: Bounded::fill(&mut vec![vec![1, 2, 3].into(), vec![0; 500].into()].into_iter()),
            answer: Answer::Cut,
        },
        Message::Sums { sums: Bounded::fill(&mut (0..256)) },
    ]
}

#[test]
fn a_message_reads_back_and_fits() {
    for message in examples() {
        let bytes = message.encode();
        assert!(bytes.len() <= MESSAGE_MAX);
        assert_eq!(Message::decode(&bytes).unwrap(), message, "{}", message.name());
    }
}

#[test]
fn the_longest_heads_and_wants_fit() {
    let heads = Bounded::fill(&mut ids(HEADS_MAX).into_iter());
    assert!(Message::Heads { heads, total: u64::MAX, sum: u64::MAX }.encode().len() < MESSAGE_MAX);
}

#[test]
fn more_than_the_bounds_is_refused() {
    // A want with one id too many, spelled by hand: variant 1, its fields in an array.
    let mut bytes = vec![0x82, 0x01, 0x81, 0x99];
    bytes.extend(u16::try_from(HAVE_MAX + 1).unwrap().to_be_bytes());
    for id in ids(HAVE_MAX + 1) {
        bytes.extend(to_canonical(&id));
    }
    assert!(matches!(Message::decode(&bytes), Err(DecodeError::Malformed(_))));
    assert!(matches!(Message::decode(&vec![0; MESSAGE_MAX + 1]), Err(DecodeError::TooLarge { .. })));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        if let Ok(message) = Message::decode(&bytes) {
            prop_assert_eq!(message.encode(), bytes);
        }
    }

    #[test]
    fn mutated_messages_never_panic(
        which in 0..4_usize,
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = examples()[which].encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(message) = Message::decode(&bytes) {
            prop_assert_eq!(message.encode(), bytes.clone());
        }
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(Message::decode(&bytes).is_err());
    }
}
