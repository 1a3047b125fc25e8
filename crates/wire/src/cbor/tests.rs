use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{Bounded, Digest, Hlc, Millis, Text};

/// One of every shape that our types have, fields written out of order.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
struct Sample {
    #[n(3)]
    kind: Kind,
    #[n(0)]
    id: Option<Digest>,
    #[n(1)]
    at: Hlc,
    #[n(2)]
    names: Bounded<Text<8>, 3>,
    #[n(4)]
    counts: BTreeMap<u32, u64>,
}

#[derive(Debug, Clone, PartialEq, Encode, Decode)]
enum Kind {
    #[n(0)]
    Nothing,
    #[n(7)]
    One(#[n(0)] u16),
    #[n(1)]
    #[cbor(map)]
    Two {
        #[n(1)]
        flag: bool,
        #[n(0)]
        count: i32,
    },
}

type Counts = BTreeMap<u32, u64>;

fn sample() -> Sample {
    Sample {
        id: Some(Digest::from_bytes([7; 32])),
        at: Hlc { wall: Millis(1_790_000_000_000), count: 3 },
        names: Bounded::from_vec(vec![Text::new("attic").unwrap()]).unwrap(),
        kind: Kind::Two { count: -1, flag: true },
        counts: BTreeMap::from([(1, 2), (300, 4)]),
    }
}

fn read(bytes: &[u8]) -> Result<Sample, DecodeError> {
    from_canonical(bytes, 1000)
}

#[test]
fn keys_ascend_whatever_the_order_of_fields() {
    let bytes = to_canonical(&sample());
    assert_eq!(bytes[..3], [0xa5, 0x00, 0x58]);
    assert_eq!(read(&bytes), Ok(sample()));
    let without = Sample { id: None, ..sample() };
    assert_eq!(to_canonical(&without)[..2], [0xa4, 0x01]);
    assert_eq!(read(&to_canonical(&without)), Ok(without));
}

#[test]
fn other_spellings_of_a_value_are_refused() {
    for bytes in [
        [0x18, 0x05].as_slice(),         // 5 in two bytes
        &[0x1b, 0, 0, 0, 0, 0, 0, 0, 5], // 5 in nine
        &[0x05, 0x00],                   // something behind it
    ] {
        assert_eq!(from_canonical::<u64>(bytes, 9), Err(DecodeError::NotCanonical), "{bytes:x?}");
    }
    assert!(from_canonical::<Counts>(&[0xa2, 1, 2, 3, 4], 9).is_ok());
    for bytes in [
        [0xa2, 3, 4, 1, 2].as_slice(), // keys descending
        &[0xa2, 1, 2, 1, 2],           // a key twice
        &[0xbf, 1, 2, 3, 4, 0xff],     // no length
    ] {
        assert_eq!(from_canonical::<Counts>(bytes, 9), Err(DecodeError::NotCanonical), "{bytes:x?}");
    }
    // A field that this program does not know, and a list without a length.
    let bytes = to_canonical(&Sample { id: None, ..sample() });
    let unknown = [[0xa5].as_slice(), &bytes[1..], &[0x05, 0x00]].concat();
    assert_eq!(read(&unknown), Err(DecodeError::NotCanonical));
    // An explicit null where the field is left out.
    let null = [[0xa5, 0x00, 0xf6].as_slice(), &bytes[1..]].concat();
    assert_eq!(read(&null), Err(DecodeError::NotCanonical));
}

#[test]
fn too_much_is_refused_before_it_is_read() {
    assert_eq!(from_canonical::<u64>(&[0; 10], 9), Err(DecodeError::TooLarge { got: 10, max: 9 }));
    assert!(matches!(from_canonical::<u64>(&[], 9), Err(DecodeError::Malformed(_))));
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    // In a field that is skipped: a hundred thousand lists in each other.
    let mut bytes = vec![0xa1, 0x09];
    bytes.resize(100_000, 0x81);
    assert!(from_canonical::<Sample>(&bytes, 1 << 20).is_err());
}

proptest! {
    #[test]
    fn garbage_is_refused_and_what_is_read_is_written_the_same(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(sample) = read(&bytes) {
            prop_assert_eq!(to_canonical(&sample), bytes.clone());
        }
        if let Ok(map) = from_canonical::<BTreeMap<u32, u64>>(&bytes, 64) {
            prop_assert_eq!(to_canonical(&map), bytes);
        }
    }

    #[test]
    fn a_changed_byte_is_refused_or_another_value(at: usize, byte: u8) {
        let mut bytes = to_canonical(&sample());
        let at = at % bytes.len();
        let same = bytes[at] == byte;
        bytes[at] = byte;
        match read(&bytes) {
            Ok(read) => prop_assert_eq!(read == sample(), same),
            Err(_) => prop_assert!(!same),
        }
    }
}
