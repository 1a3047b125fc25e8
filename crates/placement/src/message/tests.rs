use freehold_crypt::{Algorithm, Secret, SigningKey};
use freehold_wire::{Digest, Hlc, RealmId};
use proptest::prelude::*;

use super::*;
use crate::{BLOBS_MAX, BlobRef, Draft, PAYLOAD_MAX, payload_hash};

fn row(blobs: usize, payload: usize) -> Row {
    let key = SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes([1; 32]));
    let payload = vec![0xff; payload];
    let blob =
        BlobRef { name: BlobName::from_bytes([1; 32]), len: u64::MAX, hash: Digest::from_bytes([2; 32]) };
    let draft = Draft {
        realm: RealmId::from_bytes([1; 32]),
        bucket: BucketId::from_bytes([2; 32]),
        origin: NodeId::from_bytes(key.verifying().ed25519_bytes().unwrap()),
        seq: u64::MAX,
        hlc: Hlc { wall: Millis(u64::MAX), count: u32::MAX },
        blobs: Bounded::fill(&mut std::iter::repeat_n(blob, blobs)),
        payload_hash: payload_hash(&payload),
        says: None,
    };
    Row { entry: draft.sign(&key), payload: Some(payload.into()) }
}

fn examples() -> Vec<Message> {
    let (bucket, origin) = (BucketId::from_bytes([2; 32]), NodeId::from_bytes([3; 32]));
    let chain = Chain::from([7; 16]);
    let vector = Vector { bucket, origin, seq: 9, chain, held: 10 };
    vec![
        Message::Vectors {
            vectors: Bounded::fill(&mut std::iter::repeat_n(vector, 3)),
            whole: true,
            view: 0,
        },
        Message::Ask { bucket, origin, from: 10, chain },
        Message::Entries {
            rows: Bounded::fill(&mut [row(2, 30), Row { payload: None, ..row(0, 1) }].into_iter()),
        },
        Message::Chain { bucket, origin, seq: 4, chain, reply: true },
        Message::AskHolds { bucket, origin },
        Message::Holds { bucket, origin, from: 1, count: 12, bits: vec![0xff, 0x0f].into() },
        Message::Bad { bucket, blob: BlobName::from_bytes([4; 32]) },
        Message::Checked { rows: Bounded::fill(&mut std::iter::once((bucket, Millis(5)))) },
    ]
}

#[test]
fn a_message_reads_back() {
    for message in examples() {
        assert_eq!(Message::decode(&message.encode()).unwrap(), message, "{}", message.name());
    }
}

#[test]
fn the_longest_entry_fits_a_message() {
    let rows = Bounded::fill(&mut std::iter::once(row(BLOBS_MAX, PAYLOAD_MAX)));
    let bytes = Message::Entries { rows }.encode();
    assert!(bytes.len() <= MESSAGE_MAX, "{} bytes", bytes.len());
    assert!(Message::decode(&bytes).is_ok());
}

#[test]
fn the_most_vectors_fit_a_message() {
    let [bucket, origin] = [[0xff; 32]; 2];
    let (bucket, origin) = (BucketId::from_bytes(bucket), NodeId::from_bytes(origin));
    let vector = Vector { bucket, origin, seq: u64::MAX, chain: [0xff; 16].into(), held: u64::MAX };
    let vectors = Bounded::fill(&mut std::iter::repeat_n(vector, VECTORS_MAX));
    assert!(Message::Vectors { vectors, whole: true, view: 0 }.encode().len() <= MESSAGE_MAX);
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
        which in 0..7_usize,
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
