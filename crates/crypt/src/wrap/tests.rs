use freehold_wire::{from_canonical, to_canonical};
use proptest::prelude::*;

use super::*;
use crate::fixture::Seeded;

#[test]
fn a_wrapped_key_opens_under_its_key_for_its_purpose_only() {
    let mut entropy = Seeded::new(1);
    let (under, key) = (entropy.secret(), entropy.secret());
    let wrapped = wrap_key(&under, b"purpose", &key, &mut entropy);
    assert_eq!(unwrap_key(&under, b"purpose", &wrapped), Ok(key.clone()));
    assert_eq!(unwrap_key(&under, b"other purpose", &wrapped), Err(WrapError));
    assert_eq!(unwrap_key(&entropy.secret(), b"purpose", &wrapped), Err(WrapError));
    assert_ne!(wrap_key(&under, b"purpose", &key, &mut entropy), wrapped);
    assert_eq!(to_canonical(&wrapped).len(), 119);
}

proptest! {
    #[test]
    fn an_altered_wrapping_does_not_open(at in 0usize..119, flip in 1u8..=255) {
        let mut entropy = Seeded::new(1);
        let (under, key) = (entropy.secret(), entropy.secret());
        let mut bytes = to_canonical(&wrap_key(&under, b"purpose", &key, &mut entropy));
        bytes[at] ^= flip;
        if let Ok(altered) = from_canonical::<WrappedKey>(&bytes, 200) {
            prop_assert_eq!(unwrap_key(&under, b"purpose", &altered), Err(WrapError));
        }
    }
}
