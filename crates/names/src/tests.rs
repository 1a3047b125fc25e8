//! Whatever bytes come, they are a question, an answer, or refused; what is written is read again the
//! same; and what others wrote in the judge's hand (messages.json) reads as it says.

mod blocking;
mod caching;
mod deciding;
mod messages;
mod telling;
mod zones;

use proptest::prelude::*;

use crate::{Domain, Question};

pub(crate) const SEED: [u8; 16] = *b"a seed of a test";

pub(crate) fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

/// Few labels, so that names meet.
pub(crate) fn small_name() -> impl Strategy<Value = Domain> {
    prop::collection::vec("[ab*]", 0..4)
        .prop_map(|labels| Domain::from_labels(labels.iter().map(String::as_bytes)).unwrap())
}

/// Any name there can be.
pub(crate) fn any_name() -> impl Strategy<Value = Domain> {
    let label = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 1..6),
        1 => prop::collection::vec(any::<u8>(), 1..64),
    ];
    prop::collection::vec(label, 0..40)
        .prop_filter_map("too long", |labels| Domain::from_labels(labels.iter().map(Vec::as_slice)).ok())
}

/// The bytes of a question, without EDNS.
pub(crate) fn asked(name: &Domain, kind: u16) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend(name.as_wire());
    packet.extend(kind.to_be_bytes());
    packet.extend(1u16.to_be_bytes());
    packet
}

pub(crate) fn question(packet: &[u8]) -> Question<'_> {
    Question::parse(packet).unwrap()
}
