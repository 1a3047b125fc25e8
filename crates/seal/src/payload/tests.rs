use freehold_crypt::Secret;
use freehold_wire::{BucketId, NodeId, RealmId};
use proptest::prelude::*;

use super::*;
use crate::fixture::{self, Seeded};

fn sealed(content: &[u8]) -> Vec<u8> {
    seal_payload(&fixture::bucket_key(), &fixture::place(), content, &mut Seeded::new(1)).unwrap()
}

fn opened(payload: &[u8]) -> Result<Vec<u8>, PayloadError> {
    open_payload(&fixture::bucket_key(), &fixture::place(), payload).map(|content| content.to_vec())
}

#[test]
fn lengths_do_not_show() {
    for (len, total) in
        [(0, 1024), (1, 1024), (1024 - OVERHEAD, 1024), (1025 - OVERHEAD, 2048), (CONTENT_MAX, PAYLOAD_MAX)]
    {
        let payload = sealed(&vec![7; len]);
        assert_eq!(payload.len(), total, "{len}");
        assert_eq!(opened(&payload), Ok(vec![7; len]));
    }
    let over = vec![0; CONTENT_MAX + 1];
    let refused = seal_payload(&fixture::bucket_key(), &fixture::place(), &over, &mut Seeded::new(1));
    assert_eq!(refused, Err(PayloadError::TooLarge { got: CONTENT_MAX + 1 }));
}

#[test]
fn a_payload_moved_to_another_entry_does_not_open() {
    let payload = sealed(b"row");
    let here = fixture::place();
    for place in [
        PayloadPlace { realm: RealmId::from_bytes([9; 32]), ..here },
        PayloadPlace { bucket: BucketId::from_bytes([9; 32]), ..here },
        PayloadPlace { origin: NodeId::from_bytes([9; 32]), ..here },
        PayloadPlace { seq: 8, ..here },
    ] {
        assert_eq!(open_payload(&fixture::bucket_key(), &place, &payload), Err(PayloadError::Closed));
    }
    let other = BucketKey::from_secret(1, Secret::from_bytes([9; 32]));
    assert_eq!(open_payload(&other, &here, &payload), Err(PayloadError::Closed));
    let next = BucketKey::from_secret(2, fixture::bucket_key().secret().clone());
    let version = open_payload(&next, &here, &payload);
    assert_eq!(version, Err(PayloadError::OtherKeyVersion { sealed: 1, given: 2 }));
}

#[test]
fn what_a_payload_must_not_say_is_named() {
    let with = |at: usize, byte: u8| {
        let mut payload = sealed(b"row");
        payload[at] = byte;
        opened(&payload)
    };
    assert_eq!(with(0, b'X'), Err(PayloadError::NotAPayload));
    assert_eq!(with(2, 2), Err(PayloadError::Format(2)));
    assert_eq!(with(3, 9), Err(PayloadError::Algorithm(9)));
    assert_eq!(with(7, 3), Err(PayloadError::OtherKeyVersion { sealed: 3, given: 1 }));
    for at in [8, 40, 72, 500, 1023] {
        let there = sealed(b"row")[at];
        assert_eq!(with(at, there ^ 1), Err(PayloadError::Closed), "{at}");
    }
    let payload = sealed(b"row");
    for len in [0, 7, 8, 88, 512, 1023] {
        assert_eq!(opened(&payload[..len]), Err(PayloadError::NotAPayload), "{len}");
    }
    assert_eq!(opened(&[payload.as_slice(), &[0; 1024]].concat()), Err(PayloadError::Closed));
}

/// A holder of the key could pad otherwise, and so carry bytes that no reader sees.
#[test]
fn padding_has_one_form() {
    let (key, place) = (fixture::bucket_key(), fixture::place());
    let make = |length: u32, content: &[u8], total: usize| {
        let (prefix, salt) = (prefix_of(1), [1; 32]);
        let stream = stream_key(&key, &salt, &place, prefix);
        let mut inner = [length.to_be_bytes().as_slice(), content].concat();
        inner.resize(total - HEADER_LEN - TAG_LEN, 0);
        let tag = stream.seal(ONLY, &mut inner);
        [prefix.as_slice(), &salt, stream.commitment(), &inner, &tag].concat()
    };
    assert_eq!(opened(&make(3, b"row", 1024)), Ok(b"row".to_vec()));
    assert_eq!(opened(&make(3, b"row", 2048)), Err(PayloadError::Padding));
    assert_eq!(opened(&make(3, b"row and more", 1024)), Err(PayloadError::Padding));
    assert_eq!(opened(&make(u32::MAX, b"row", 1024)), Err(PayloadError::Padding));
    assert_eq!(opened(&make(933, b"row", 1024)), Err(PayloadError::Padding));
}

#[test]
fn kinds_are_told_by_the_first_bytes() {
    assert_eq!(payload_kind(&sealed(b"row")), Some(PayloadKind::Sealed));
    assert_eq!(payload_kind(b"FE\x01"), Some(PayloadKind::Envelope));
    assert_eq!(payload_kind(b"FR\x01"), Some(PayloadKind::Release));
    assert_eq!(payload_kind(b"F"), None);
    assert_eq!(payload_kind(b"??"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_content_opens_again(content in prop::collection::vec(any::<u8>(), 0..5000)) {
        prop_assert_eq!(opened(&sealed(&content)), Ok(content));
    }

    #[test]
    fn garbage_never_opens(mut bytes in prop::collection::vec(any::<u8>(), 1024..=1024)) {
        prop_assert!(opened(&bytes).is_err());
        bytes[..8].copy_from_slice(&prefix_of(1));
        prop_assert_eq!(opened(&bytes), Err(PayloadError::Closed));
    }
}
