//! Each attack that a hostile backend can mount on one blob, by name.

use freehold_wire::BlobName;
use proptest::prelude::*;

use super::*;
use crate::blob::{CHUNK_LEN, HEADER_LEN};
use crate::fixture::{self, open, open_range, plaintext, seal};

const LEN: usize = 3 * CHUNK_LEN + 1000;
const RUN: u64 = 16;

fn sealed() -> (Vec<u8>, BlobName) {
    let (cipher, summary) = seal(&plaintext(LEN), LEN, 1);
    (cipher, summary.name)
}

fn chunk(index: usize) -> Range<usize> {
    let start = HEADER_LEN + index * SEALED_CHUNK_LEN;
    start..start + SEALED_CHUNK_LEN
}

fn opener(cipher: &[u8], name: BlobName) -> BlobOpener {
    BlobOpener::new(&fixture::object_key(), &fixture::binding(), 1, name, cipher).unwrap()
}

fn refused(cipher: &[u8], name: BlobName) -> OpenError {
    open(name, cipher, LEN as u64, RUN).unwrap_err()
}

#[test]
fn any_flipped_bit_is_found() {
    let (cipher, name) = sealed();
    for at in
        [0, 8, 9, 10, 11, 16, 47, 48, 79, 80, 5000, chunk(1).start - 1, chunk(2).start, cipher.len() - 1]
    {
        let mut altered = cipher.clone();
        altered[at] ^= 0x10;
        refused(&altered, name);
    }
}

#[test]
fn swapped_chunks_are_found() {
    let (mut cipher, name) = sealed();
    let first = cipher[chunk(0)].to_vec();
    cipher.copy_within(chunk(1), chunk(0).start);
    cipher[chunk(1)].copy_from_slice(&first);
    assert!(matches!(refused(&cipher, name), OpenError::Chunk { index: 0, .. }));
}

#[test]
fn a_repeated_chunk_is_found() {
    let (mut cipher, name) = sealed();
    cipher.copy_within(chunk(0), chunk(1).start);
    assert!(matches!(refused(&cipher, name), OpenError::Chunk { index: 1, .. }));
}

#[test]
fn a_cut_is_found_at_a_chunk_edge_and_inside() {
    let (cipher, name) = sealed();
    for len in [chunk(0).end, chunk(1).end, chunk(2).end, chunk(2).end - 1, cipher.len() - 1, HEADER_LEN] {
        assert!(matches!(refused(&cipher[..len], name), OpenError::Cut { .. }), "{len}");
    }
    // The same when the length is taken from the file, as rclone crypt and gocryptfs do.
    let short = (2 * CHUNK_LEN) as u64;
    let cut = open(name, &cipher[..chunk(1).end], short, RUN).unwrap_err();
    assert!(matches!(cut, OpenError::Chunk { index: 1, .. }));
}

#[test]
fn a_dropped_chunk_is_found() {
    let (mut cipher, name) = sealed();
    cipher.drain(chunk(1));
    assert!(matches!(refused(&cipher, name), OpenError::Chunk { index: 1, .. }));
}

#[test]
fn an_extension_is_found() {
    let (mut cipher, name) = sealed();
    let opener = opener(&cipher, name);
    cipher.push(0);
    assert_eq!(opener.open_run(LEN as u64, 0..4, &mut cipher[HEADER_LEN..]), Err(OpenError::Excess));
}

#[test]
fn an_object_moved_anywhere_else_does_not_open() {
    let (cipher, name) = sealed();
    let base = fixture::binding();
    let mut elsewhere = vec![(base, 2)];
    for other in [
        Binding { realm: freehold_wire::RealmId::from_bytes([9; 32]), ..base },
        Binding { bucket: freehold_wire::BucketId::from_bytes([9; 32]), ..base },
        Binding { object: crate::object_digest("photos/2026/other.jpg"), ..base },
        Binding { version: crate::VersionId::from_bytes([9; 16]), ..base },
    ] {
        elsewhere.push((other, 1));
    }
    for (binding, part) in elsewhere {
        let moved = BlobOpener::new(&fixture::object_key(), &binding, part, name, &cipher);
        assert_eq!(moved.err(), Some(OpenError::NotForThis { name }));
    }
    let key = ObjectKey::from_secret(freehold_crypt::Secret::from_bytes([9; 32]));
    assert_eq!(BlobOpener::new(&key, &base, 1, name, &cipher).err(), Some(OpenError::NotForThis { name }));
}

#[test]
fn an_older_sealing_of_the_same_part_is_not_taken_for_the_newer() {
    let (_, newer) = sealed();
    let (older, summary) = seal(&plaintext(LEN), LEN, 2);
    assert_eq!(refused(&older, newer), OpenError::OtherBlob { wanted: newer, got: summary.name });
}

#[test]
fn a_wrong_commitment_is_refused_before_any_chunk() {
    let (mut cipher, name) = sealed();
    cipher[48] ^= 1;
    assert_eq!(refused(&cipher, name), OpenError::NotForThis { name });
}

#[test]
fn an_empty_object_is_one_empty_last_chunk() {
    let (cipher, summary) = seal(&[], 1, 1);
    assert_eq!(cipher.len(), HEADER_LEN + TAG_LEN);
    assert_eq!(open(summary.name, &cipher, 0, RUN), Ok(vec![]));
    assert_eq!(open(summary.name, &cipher[..HEADER_LEN], 0, RUN), Err(OpenError::Cut { index: 0 }));
}

#[test]
fn a_run_of_chunks_closes_up_in_place() {
    let (cipher, name) = sealed();
    let opener = opener(&cipher, name);
    let mut buffer = cipher[chunk(1).start..].to_vec();
    let len = opener.open_run(LEN as u64, 1..4, &mut buffer).unwrap();
    assert_eq!(buffer[..len], plaintext(LEN)[CHUNK_LEN..]);
    let mut half = cipher[chunk(1).start..chunk(1).end - 1].to_vec();
    assert_eq!(opener.open_run(LEN as u64, 1..2, &mut half), Err(OpenError::Cut { index: 1 }));
    let mut one = cipher[chunk(1)].to_vec();
    assert_eq!(opener.open_run(LEN as u64, 1..3, &mut one), Err(OpenError::Cut { index: 2 }));
    let mut behind = vec![0; 16];
    assert_eq!(opener.open_run(LEN as u64, 4..5, &mut behind), Err(OpenError::Excess));
    assert_eq!(opener.open_run(LEN as u64, 2..2, &mut behind), Err(OpenError::Excess));
}

/// Runs are given out one after the other; the one that holds the damage is not.
#[test]
fn what_was_given_out_before_an_error_is_genuine() {
    let (mut cipher, name) = sealed();
    cipher[chunk(2).start] ^= 1;
    let opener = opener(&cipher, name);
    let mut before = cipher[chunk(0).start..chunk(1).end].to_vec();
    let len = opener.open_run(LEN as u64, 0..2, &mut before).unwrap();
    assert_eq!(before[..len], plaintext(LEN)[..2 * CHUNK_LEN]);
    for run in [0..4, 2..3, 1..3] {
        let end = chunk(usize::try_from(run.end).unwrap() - 1).end.min(cipher.len());
        let mut damaged = cipher[chunk(usize::try_from(run.start).unwrap()).start..end].to_vec();
        let opened = opener.open_run(LEN as u64, run, &mut damaged);
        assert!(matches!(opened, Err(OpenError::Chunk { index: 2, .. })));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_range_reads_as_a_slice_does(a in 0..=LEN, b in 0..=LEN, run in 1u64..6) {
        let (cipher, name) = sealed();
        let (start, end) = (a.min(b), a.max(b));
        let read = open_range(name, &cipher, LEN as u64, start as u64..end as u64, run);
        prop_assert_eq!(read, Ok(plaintext(LEN)[start..end].to_vec()));
    }

    #[test]
    fn any_shuffle_but_the_true_order_is_refused(order in Just(vec![0usize, 1, 2]).prop_shuffle()) {
        let (cipher, name) = sealed();
        let mut shuffled = cipher[..HEADER_LEN].to_vec();
        for index in &order {
            shuffled.extend_from_slice(&cipher[chunk(*index)]);
        }
        shuffled.extend_from_slice(&cipher[chunk(2).end..]);
        prop_assert_eq!(open(name, &shuffled, LEN as u64, RUN).is_ok(), order == [0, 1, 2]);
    }

    #[test]
    fn any_wrong_length_is_refused(plain_len in 0..(4 * CHUNK_LEN) as u64) {
        let (cipher, name) = sealed();
        prop_assert_eq!(open(name, &cipher, plain_len, RUN).is_ok(), plain_len == LEN as u64);
    }
}
