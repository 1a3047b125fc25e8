use proptest::prelude::*;

use super::*;
use crate::PLAIN_MAX;

const CHUNK: u64 = CHUNK_LEN as u64;

#[test]
fn an_empty_range_still_has_a_chunk_to_vouch_for_it() {
    for (len, at) in [(0, 0), (CHUNK, 0), (CHUNK, CHUNK), (CHUNK + 1, CHUNK + 1), (3 * CHUNK, CHUNK)] {
        let plan = plan_range(len, at..at).unwrap();
        assert_eq!((plan.chunks.end - plan.chunks.start, plan.take), (1, 0), "{len} {at}");
    }
}

#[test]
fn a_range_outside_is_refused() {
    assert_eq!(plan_range(10, 0..11), Err(RangeError::Outside { start: 0, end: 11, len: 10 }));
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
    let backwards = plan_range(10, 6..5);
    assert_eq!(backwards, Err(RangeError::Outside { start: 6, end: 5, len: 10 }));
    assert_eq!(plan_range(PLAIN_MAX + 1, 0..1), Err(RangeError::TooLong(PLAIN_MAX + 1)));
}

#[test]
fn a_range_takes_no_chunk_more_than_it_needs() {
    let plan = plan_range(10 * CHUNK, CHUNK..2 * CHUNK).unwrap();
    assert_eq!(plan.chunks, 1..2);
    let sealed = SEALED_CHUNK_LEN as u64;
    assert_eq!(plan.cipher, 80 + sealed..80 + 2 * sealed);
    assert_eq!(plan_range(10 * CHUNK, CHUNK - 1..2 * CHUNK + 1).unwrap().chunks, 0..3);
}

proptest! {
    #[test]
    fn a_plan_covers_its_range(len in 0..PLAIN_MAX, a: u64, b: u64) {
        let (a, b) = (a % (len + 1), b % (len + 1));
        let (start, end) = (a.min(b), a.max(b));
        let plan = plan_range(len, start..end).unwrap();
        prop_assert!(plan.chunks.start < plan.chunks.end && plan.chunks.end <= chunk_count(len));
        prop_assert_eq!(plan.chunks.start * CHUNK + plan.skip, start);
        prop_assert!((plan.chunks.end * CHUNK).min(len) >= end);
        prop_assert!(plan.cipher.end <= cipher_len(len).unwrap());
        prop_assert_eq!(plan.cipher.start, 80 + plan.chunks.start * SEALED_CHUNK_LEN as u64);
    }
}
