use proptest::prelude::*;

use super::*;
use crate::{from_canonical, to_canonical};

type List = Bounded<u8, 4>;

#[test]
fn a_bound_is_kept_in_memory_and_on_the_wire() {
    assert_eq!(List::from_vec(vec![0; 5]), Err(TooLong { got: 5, max: 4 }));
    let full = List::from_vec(vec![1, 2, 3, 4]).unwrap();
    assert_eq!(from_canonical::<List>(&to_canonical(&full), 10), Ok(full));
    assert!(from_canonical::<List>(&[0x85, 1, 2, 3, 4, 5], 10).is_err());
}

#[test]
fn a_claimed_length_is_not_believed() {
    // Four billion items claimed, none there: refused at once, and nothing reserved.
    assert!(from_canonical::<Bounded<u8, { usize::MAX }>>(&[0x9a, 0xff, 0xff, 0xff, 0xff], 10).is_err());
    assert!(from_canonical::<List>(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 10).is_err());
    assert!(from_canonical::<List>(&[0x9f, 1, 0xff], 10).is_err());
}

#[test]
fn filling_leaves_the_rest() {
    let mut items = 0u8..6;
    assert_eq!(&*List::fill(&mut items), [0, 1, 2, 3]);
    assert_eq!(items, 4..6);
    assert!(List::new().is_empty() && List::default().is_empty());
    assert_eq!(List::fill(&mut items).into_iter().count(), 2);
}

#[test]
fn text_is_bounded_in_bytes() {
    assert_eq!(Text::<3>::new("Zoë"), Err(TooLong { got: 4, max: 3 }));
    let text = Text::<4>::new("Zoë").unwrap();
    assert_eq!((text.as_str(), text.to_string().as_str()), ("Zoë", "Zoë"));
    assert_eq!(from_canonical::<Text<4>>(&to_canonical(&text), 10), Ok(text));
    assert!(from_canonical::<Text<3>>(&[0x64, b'a', b'b', b'c', b'd'], 10).is_err());
    assert!(from_canonical::<Text<3>>(&[0x61, 0xff], 10).is_err());
}

proptest! {
    #[test]
    fn lists_and_texts_read_back(items in prop::collection::vec(any::<u64>(), 0..=8), text in "\\PC{0,20}") {
        let list = Bounded::<u64, 8>::from_vec(items).unwrap();
        prop_assert_eq!(from_canonical::<Bounded<u64, 8>>(&to_canonical(&list), 100), Ok(list));
        let text = Text::<80>::new(text).unwrap();
        prop_assert_eq!(from_canonical::<Text<80>>(&to_canonical(&text), 100), Ok(text));
    }
}
