use freehold_wire::{from_canonical, to_canonical};
use proptest::prelude::*;

use super::*;
use crate::fixture::{Prescribed, Seeded, bytes};

/// RFC 9180, appendix A.1.1: the key encapsulation, which is the same with every cipher.
#[test]
fn keys_as_in_rfc_9180() {
    let mine = BoxSecret::from_seed(&Secret::from_bytes(bytes(
        "6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037",
    )));
    assert_eq!(
        hex::encode(mine.public().as_bytes()),
        "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d"
    );
    // Its secret scalar there, with the bits set that RFC 7748 sets.
    assert_eq!(
        hex::encode(*mine.expose()),
        "4012c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8a48"
    );
    let ikm = "7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234";
    let mut entropy = Prescribed(hex::decode(ikm).unwrap());
    let sealed = mine.public().seal(b"", b"", &mut entropy).unwrap();
    assert_eq!(
        hex::encode(&sealed[..32]),
        "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"
    );
}

/// Pinned; docs/formats/vault/check.py opens boxes like this one with another implementation.
#[test]
fn a_box_stays_what_it_was() {
    let mine = BoxSecret::from_seed(&Secret::from_bytes([1; 32]));
    let mut entropy = Prescribed(vec![2; 32]);
    let sealed = mine.public().seal(b"info", b"plain", &mut entropy).unwrap();
    assert_eq!(
        hex::encode(&sealed),
        "6080bbe51005ea9acc863580ce57317d46bef6333558d5bfa97e461342985005f379405f96b746f1eda930473eb840c9bbd16ef713"
    );
    assert_eq!(mine.open(b"info", &sealed).unwrap().as_slice(), b"plain");
}

#[test]
fn a_box_opens_for_its_holder_and_purpose_only() {
    let mut entropy = Seeded::new(1);
    let (mine, other) = (BoxSecret::from_seed(&entropy.secret()), BoxSecret::from_seed(&entropy.secret()));
    let sealed = mine.public().seal(b"info", b"plain", &mut entropy).unwrap();
    assert_eq!(sealed.len(), 48 + 5);
    assert_eq!(mine.open(b"info", &sealed).unwrap().as_slice(), b"plain");
    assert_eq!(mine.open(b"other info", &sealed), Err(BoxError));
    assert_eq!(other.open(b"info", &sealed), Err(BoxError));
    assert_ne!(mine.public().seal(b"info", b"plain", &mut entropy).unwrap(), sealed);
    assert_eq!(format!("{mine:?}"), "BoxSecret(..)");
}

#[test]
fn a_key_of_small_order_is_not_sealed_to_nor_opened_from() {
    let mut entropy = Seeded::new(1);
    assert_eq!(BoxPublic::from_bytes([0; 32]).seal(b"", b"plain", &mut entropy), Err(BoxError));
    let mine = BoxSecret::from_seed(&entropy.secret());
    assert_eq!(mine.open(b"", &[0; 53]), Err(BoxError));
}

#[test]
fn a_public_key_has_one_encoding() {
    let public = BoxSecret::from_seed(&Secret::from_bytes([1; 32])).public();
    assert_eq!(from_canonical(&to_canonical(&public), 64), Ok(public));
    assert!(from_canonical::<BoxPublic>(&[0x41, 0], 64).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn an_altered_or_made_up_box_does_not_open(at in 0usize..53, flip in 1u8..=255, garbage in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut entropy = Seeded::new(1);
        let mine = BoxSecret::from_seed(&entropy.secret());
        let mut sealed = mine.public().seal(b"info", b"plain", &mut entropy).unwrap();
        sealed[at] ^= flip;
        // X25519 ignores the top bit of a point, but HPKE hashes the bytes.
        prop_assert_eq!(mine.open(b"info", &sealed), Err(BoxError));
        prop_assert_eq!(mine.open(b"info", &garbage), Err(BoxError));
    }
}
