//! What is small enough for a table.

use crate::frame::{Kind, read};
use crate::{Gso, Virtio};

#[test]
fn frames_are_one_byte_and_the_rest() {
    for kind in [Kind::Whole, Kind::Partial, Kind::Fragment, Kind::Path] {
        assert_eq!(read(&[kind.byte(), 7]), Some((kind, &[7][..])));
        assert_eq!(read(&[kind.byte()]), None);
    }
    assert_eq!(read(&[4, 7]), None);
    assert_eq!(read(&[]), None);
}

#[test]
fn virtio_heads_come_back() {
    for kind in 0..=255u8 {
        let bytes = [1, kind & 0x7f, 1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(Virtio::read(&bytes).unwrap().write(), bytes);
    }
    assert_eq!(Virtio::read(&[0, 0x81, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap().gso, Gso::Tcp4);
    assert_eq!(Virtio::read(&[0; 9]), None);
}
