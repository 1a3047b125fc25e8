use proptest::prelude::*;

use super::*;
use crate::fixture::{self, BUCKET, NODE, REALM, Seeded};

const OF: KeyOf = KeyOf::Bucket(BUCKET);
const ME: Recipient = Recipient::Node(NODE);

fn mine() -> BoxSecret {
    BoxSecret::from_seed(&Secret::from_bytes([8; 32]))
}

fn made() -> Envelope {
    let key = fixture::bucket_key();
    seal_envelope(REALM, OF, &key, None, ME, &mine().public(), &mut Seeded::new(1)).unwrap()
}

#[test]
fn an_envelope_opens_and_reads_back() {
    let envelope = made();
    assert_eq!(open_envelope(REALM, &envelope, ME, &mine()), Ok(fixture::bucket_key()));
    assert_eq!(Envelope::decode(&envelope.to_bytes()), Ok(envelope));
}

#[test]
fn an_envelope_moved_or_altered_does_not_open() {
    let envelope = made();
    let other = RealmId::from_bytes([9; 32]);
    assert_eq!(open_envelope(other, &envelope, ME, &mine()), Err(EnvelopeError::Closed));
    let mut altered = envelope.sealed;
    altered[40] ^= 1;
    for forged in [
        Envelope { key_of: KeyOf::Directory, ..envelope.clone() },
        Envelope { version: 2, ..envelope.clone() },
        Envelope { link: Some(Digest::from_bytes([0; 32])), ..envelope.clone() },
        Envelope { sealed: altered, ..envelope.clone() },
        Envelope { sealed: [0; 80], ..envelope.clone() },
    ] {
        assert_eq!(open_envelope(REALM, &forged, ME, &mine()), Err(EnvelopeError::Closed));
    }
    let redirected = Envelope { to: Recipient::Recovery, ..envelope.clone() };
    assert_eq!(open_envelope(REALM, &redirected, Recipient::Recovery, &mine()), Err(EnvelopeError::Closed));
    let not_me = open_envelope(REALM, &envelope, Recipient::Recovery, &mine());
    assert_eq!(not_me, Err(EnvelopeError::NotForMe { to: ME }));
    let nought = Envelope { version: 0, ..envelope.clone() };
    assert_eq!(open_envelope(REALM, &nought, ME, &mine()), Err(EnvelopeError::VersionZero));
    let stranger = BoxSecret::from_seed(&Secret::from_bytes([9; 32]));
    assert_eq!(open_envelope(REALM, &envelope, ME, &stranger), Err(EnvelopeError::OtherKey));
    let claimed = Envelope { hint: box_hint(&stranger.public()), ..envelope };
    assert_eq!(open_envelope(REALM, &claimed, ME, &stranger), Err(EnvelopeError::Closed));
}

#[test]
fn a_key_of_small_order_is_not_sealed_to() {
    for weak in [[0; 32], {
        let mut one = [0; 32];
        one[0] = 1;
        one
    }] {
        let made = seal_envelope(
            REALM,
            OF,
            &fixture::bucket_key(),
            None,
            ME,
            &BoxPublic::from_bytes(weak),
            &mut Seeded::new(1),
        );
        assert_eq!(made, Err(EnvelopeError::BadRecipientKey));
    }
}

#[test]
fn other_formats_are_named() {
    let mut bytes = made().to_bytes();
    bytes[2] = 2;
    assert_eq!(Envelope::decode(&bytes), Err(EnvelopeDecodeError::Format(2)));
    bytes[0] = b'X';
    assert_eq!(Envelope::decode(&bytes), Err(EnvelopeDecodeError::NotAnEnvelope));
    assert_eq!(Envelope::decode(b"FE"), Err(EnvelopeDecodeError::NotAnEnvelope));
    assert!(matches!(Envelope::decode(b"FE\x01\xa0"), Err(EnvelopeDecodeError::Fields { .. })));
}

proptest! {
    #[test]
    fn garbage_is_refused_and_what_is_read_is_written_the_same(
        at in 0usize..200, byte: u8, tail in prop::collection::vec(any::<u8>(), 0..4)
    ) {
        let mut bytes = made().to_bytes();
        if let Some(there) = bytes.get_mut(at) { *there = byte }
        bytes.extend(tail);
        if let Ok(envelope) = Envelope::decode(&bytes) {
            prop_assert_eq!(envelope.to_bytes(), bytes);
        }
    }
}
