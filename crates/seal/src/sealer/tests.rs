use proptest::prelude::*;

use super::*;
use crate::blob::{cipher_len, plain_len};
use crate::fixture::{self, Seeded, plaintext};

#[test]
fn the_summary_tells_what_is_in_the_buffer() {
    for len in [0, 1, CHUNK_LEN - 1, CHUNK_LEN, CHUNK_LEN + 1, 2 * CHUNK_LEN, 200_000] {
        let (cipher, summary) = fixture::seal(&plaintext(len), 10_000, 1);
        assert_eq!(summary.plain_len, len as u64);
        assert_eq!(summary.cipher_len, cipher.len() as u64);
        assert_eq!(cipher_len(len as u64), Some(summary.cipher_len));
        assert_eq!(plain_len(summary.cipher_len), Some(len as u64));
        assert_eq!(summary.hash, fixture::plain_hash(&cipher));
        assert_eq!(BlobHeader::decode(&cipher).unwrap().name(), summary.name);
    }
}

#[test]
fn pieces_do_not_show() {
    let plain = plaintext(3 * CHUNK_LEN + 5);
    let whole = fixture::seal(&plain, plain.len(), 1);
    for piece in [1000, CHUNK_LEN - 1, CHUNK_LEN, CHUNK_LEN + 1, 2 * CHUNK_LEN] {
        assert_eq!(fixture::seal(&plain, piece, 1), whole, "pieces of {piece}");
    }
}

#[test]
fn a_buffer_may_be_emptied_between_calls() {
    let plain = plaintext(5 * CHUNK_LEN);
    let (whole, expected) = fixture::seal(&plain, plain.len(), 1);
    let mut sealer = BlobSealer::new(&fixture::object_key(), &fixture::binding(), 1, &mut Seeded::new(1));
    let (mut sent, mut out) = (Vec::new(), Vec::new());
    for piece in plain.chunks(70_000) {
        sealer.push(piece, &mut out).unwrap();
        sent.append(&mut out);
    }
    let summary = sealer.finish(&mut out);
    sent.append(&mut out);
    assert_eq!((sent, summary), (whole, expected));
}

#[test]
fn sealing_twice_shows_nothing_in_common() {
    let plain = plaintext(1000);
    let mut entropy = Seeded::new(1);
    let mut sealed = || {
        let sealer = BlobSealer::new(&fixture::object_key(), &fixture::binding(), 1, &mut entropy);
        let mut out = Vec::new();
        let name = sealer.name();
        assert_eq!(sealer.finish(&mut out).name, name);
        name
    };
    assert_ne!(sealed(), sealed());
    let (one, _) = fixture::seal(&plain, 100, 1);
    let (two, _) = fixture::seal(&plain, 100, 2);
    assert_eq!(one.iter().skip(16).zip(two.iter().skip(16)).filter(|(a, b)| a == b).count() / 20, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_pieces_open_again(len in 0usize..300_000, piece in 1usize..100_000, run in 1u64..6) {
        let plain = plaintext(len);
        let (cipher, summary) = fixture::seal(&plain, piece, 3);
        prop_assert_eq!(fixture::open(summary.name, &cipher, len as u64, run), Ok(plain));
    }
}
