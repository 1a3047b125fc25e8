use proptest::prelude::*;

use super::*;
use crate::fixture::bytes;

const FIRST: Position = Position { index: 0, last: false };

fn key(n: u8) -> StreamKey {
    StreamKey::derive(&Secret::from_bytes([n; 32]), &[2; 32], b"binding")
}

fn sealed(key: &StreamKey, at: Position, plain: &[u8]) -> Vec<u8> {
    let mut out = plain.to_vec();
    let tag = key.seal(at, &mut out);
    out.extend_from_slice(&tag);
    out
}

/// Test cases 13 and 14 of the GCM submission to NIST: a key, nonce and block of zeros.
#[test]
fn aes_256_gcm_as_nist_has_it() {
    let raw = UnboundKey::new(&AES_256_GCM, &[0; 32]).unwrap();
    let key = StreamKey { key: LessSafeKey::new(raw), commitment: [0; 32] };
    assert_eq!(key.seal(FIRST, &mut []), bytes("530f8afbc74536b9a963b4f1c4cb738b"));
    let mut block = [0; 16];
    assert_eq!(key.seal(FIRST, &mut block), bytes("d0d1c8a799996bf0265b98b5d48ab919"));
    assert_eq!(block, bytes("cea7403d4d606b6e074ec5d3baf39d18"));
}

/// Pinned: a change here would make every sealed byte unreadable. The vectors of
/// docs/formats/vault hold the same for whole blobs, read by another implementation.
#[test]
fn a_derived_key_stays_what_it_was() {
    let key = key(1);
    assert_eq!(
        hex::encode(key.commitment()),
        "23c474ed19c04442ac41efd25d92c1bad7afae09c6d0e02c9b689bb46ec4e4c8"
    );
    assert_eq!(
        hex::encode(sealed(&key, Position { index: 1, last: true }, b"chunk")),
        "f131c58c2bdaddf856fd78ac3c95465b1908cc3705"
    );
}

#[test]
fn a_nonce_is_the_position() {
    let nonce = Position { index: 0x0102_0304_0506_0708, last: true }.nonce();
    assert_eq!(nonce.as_ref(), &[0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 1]);
    assert_eq!(FIRST.nonce().as_ref(), &[0; 12]);
}

#[test]
fn everything_a_key_is_derived_from_counts() {
    let base = key(1);
    let secret = Secret::from_bytes([1; 32]);
    for other in [
        key(2),
        StreamKey::derive(&secret, &[3; 32], b"binding"),
        StreamKey::derive(&secret, &[2; 32], b"bindinh"),
        StreamKey::derive(&secret, &[2; 32], b""),
    ] {
        assert!(!base.commits_to(other.commitment()));
        let mut chunk = sealed(&base, FIRST, b"chunk");
        assert_eq!(other.open(FIRST, &mut chunk), Err(Tampered));
    }
    assert!(base.commits_to(key(1).commitment()));
}

#[test]
fn a_run_of_chunks_closes_up() {
    let key = key(1);
    let mut run =
        [sealed(&key, FIRST, b"one "), sealed(&key, Position { index: 1, last: true }, b"two")].concat();
    assert_eq!(key.open_within(FIRST, &mut run[..20], 0), Ok(4));
    assert_eq!(key.open_within(Position { index: 1, last: true }, &mut run[4..], 16), Ok(3));
    assert_eq!(&run[..7], b"one two");
    assert_eq!(key.open_within(FIRST, &mut run[..20], 21), Err(Tampered));
    assert_eq!(key.open_within(FIRST, &mut run[..20], 20), Err(Tampered));
}

proptest! {
    #[test]
    fn a_chunk_opens_at_its_place_and_nowhere_else(
        plain in prop::collection::vec(any::<u8>(), 0..200),
        index: u64, other: u64, last: bool, flip in 0usize..200
    ) {
        let key = key(1);
        let at = Position { index, last };
        let mut chunk = plain.clone();
        let tag = key.seal(at, &mut chunk);
        chunk.extend_from_slice(&tag);
        let open = |at, chunk: &[u8]| key.open(at, &mut chunk.to_vec());
        prop_assert_eq!(open(at, &chunk), Ok(plain.len()));
        prop_assert_eq!(open(Position { index, last: !last }, &chunk), Err(Tampered));
        if other != index {
            prop_assert_eq!(open(Position { index: other, last }, &chunk), Err(Tampered));
        }
        prop_assert_eq!(open(at, &chunk[1..]), Err(Tampered));
        prop_assert_eq!(open(at, &chunk[..chunk.len() - 1]), Err(Tampered));
        let mut altered = chunk.clone();
        let at_byte = flip % altered.len();
        altered[at_byte] ^= 1;
        prop_assert_eq!(open(at, &altered), Err(Tampered));
    }

    #[test]
    fn no_bytes_open_by_chance(mut bytes in prop::collection::vec(any::<u8>(), 0..100), index: u64, last: bool) {
        prop_assert_eq!(key(1).open(Position { index, last }, &mut bytes), Err(Tampered));
    }
}
