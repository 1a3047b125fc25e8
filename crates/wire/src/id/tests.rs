use proptest::prelude::*;

use super::*;
use crate::{from_canonical, to_canonical};

#[test]
fn an_id_has_one_spelling() {
    let id = NodeId::from_bytes([0xab; 32]);
    let text = "ab".repeat(32);
    assert_eq!((id.to_string(), id.short().as_str()), (text.clone(), "abababab"));
    assert_eq!(format!("{id:?}"), "NodeId(abababab)");
    assert_eq!(text.parse(), Ok(id));
    for bad in [
        text.to_uppercase(),
        format!("{text}a"),
        format!("{text}ab"),
        text[1..].into(),
        "é".repeat(32),
        String::new(),
    ] {
        assert_eq!(bad.parse::<NodeId>(), Err(IdError), "{bad}");
    }
}

#[test]
fn an_id_on_the_wire_has_32_bytes() {
    let id = BucketId::from_bytes([1; 32]);
    assert_eq!(from_canonical(&to_canonical(&id), 34), Ok(id));
    let short = [[0x58, 31].as_slice(), &[1; 31]].concat();
    assert!(from_canonical::<BucketId>(&short, 34).is_err());
}

proptest! {
    #[test]
    fn ids_read_back(bytes: [u8; 32]) {
        let id = OpId::from_bytes(bytes);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        prop_assert_eq!(id.as_bytes(), &bytes);
    }

    #[test]
    fn any_text_is_an_id_or_not(text in "\\PC{0,70}") {
        if let Ok(id) = text.parse::<RealmId>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }
}
