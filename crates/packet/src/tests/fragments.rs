//! Frames in parts.

use freehold_wire::Millis;
use proptest::prelude::*;

use super::made::done;
use crate::fragment::{BYTES_MAX, FRAME_MAX, Joining, PARTS_MAX, PATIENCE, WAITING_MAX, split};
use crate::frame::{Kind, read};

const NOW: Millis = Millis(5);

/// The bodies of the datagrams.
fn parts(kind: Kind, packet: &[u8], id: u16, room: usize) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    let count = split(kind, packet, id, room, |head, part| {
        let datagram = [head, part].concat();
        assert!(datagram.len() <= room);
        let (kind, body) = read(&datagram).unwrap();
        assert_eq!(kind, Kind::Fragment);
        parts.push(body.to_vec());
    });
    assert_eq!(count.map_or(0, usize::from), parts.len());
    parts
}

proptest! {
    /// In any order, with others in between and repeated, a frame comes back once.
    #[test]
    fn parts_make_the_frame(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..5000), 1..8),
        room in 500..1500usize,
        order in any::<u64>(),
        first in any::<u16>(),
    ) {
        let mut all = Vec::new();
        for (number, packet) in packets.iter().enumerate() {
            let kind = if number % 2 == 0 { Kind::Whole } else { Kind::Partial };
            all.extend(parts(kind, packet, first.wrapping_add(number as u16), room));
        }
        // Any order that the seed gives.
        all.sort_by_key(|part| order.wrapping_mul(part.iter().fold(1, |sum, byte| sum * 31 % 65_521 + u64::from(*byte))));
        let mut joining = Joining::default();
        let mut back = Vec::new();
        for part in &all {
            let whole = joining.take(NOW, part);
            if whole.is_none() {
                prop_assert_eq!(joining.take(NOW, part), None, "the same once more");
            }
            back.extend(whole);
        }
        let mut sent: Vec<Vec<u8>> = packets
            .iter()
            .enumerate()
            .map(|(number, packet)| [&[(number % 2) as u8][..], packet].concat())
            .collect();
        sent.sort();
        back.sort();
        prop_assert_eq!(back, sent);
        prop_assert_eq!(joining.bytes(), 0);
    }

    /// Whatever a peer sends, what waits is bounded.
    #[test]
    fn what_waits_is_bounded(
        bodies in prop::collection::vec((any::<u16>(), 0..70u8, 0..70u8, 0..30_000usize), 1..200),
    ) {
        let mut joining = Joining::default();
        for (at, (id, number, of, len)) in bodies.into_iter().enumerate() {
            let [high, low] = (id % 500).to_be_bytes();
            let body = [&[high, low, number, of][..], &vec![1; len]].concat();
            done(joining.take(Millis(at as u64), &body));
            prop_assert!(joining.bytes() <= BYTES_MAX);
        }
    }
}

#[test]
fn a_part_that_comes_too_late_is_of_no_use() {
    let parts = parts(Kind::Whole, &[7; 2000], 1, 1200);
    assert_eq!(parts.len(), 2);
    let late = NOW.plus(PATIENCE);
    let mut joining = Joining::default();
    assert_eq!(joining.take(NOW, &parts[0]), None);
    assert_eq!(joining.take(late, &parts[1]), None);
    assert!(joining.take(late, &parts[0]).is_some());
}

/// Ids come round within a second on a fast line: a part left behind must not meet a stranger there.
#[test]
fn a_lost_part_is_not_replaced_by_another_frames() {
    let mut joining = Joining::default();
    assert_eq!(joining.take(NOW, &parts(Kind::Partial, &[1; 2000], 9, 1200)[0]), None);
    for id in (10..=u16::MAX).chain(0..9) {
        let parts = parts(Kind::Partial, &[2; 2000], id, 1200);
        assert_eq!(joining.take(NOW, &parts[0]), None);
        assert!(joining.take(NOW, &parts[1]).is_some());
    }
    assert_eq!(joining.take(NOW, &parts(Kind::Partial, &[3; 2000], 9, 1200)[1]), None);
}

#[test]
fn the_oldest_makes_room() {
    let mut joining = Joining::default();
    let ids = 0..=WAITING_MAX as u16;
    for id in ids.clone() {
        assert_eq!(joining.take(NOW, &parts(Kind::Whole, &[1; 2000], id, 1200)[0]), None);
    }
    let whole: Vec<u16> = ids
        .rev()
        .filter(|id| joining.take(NOW, &parts(Kind::Whole, &[1; 2000], *id, 1200)[1]).is_some())
        .collect();
    assert_eq!(whole.len(), WAITING_MAX);
    assert!(!whole.contains(&0));
}

#[test]
fn nonsense_is_dropped() {
    let mut joining = Joining::default();
    let bodies: [&[u8]; 6] =
        [&[], &[0, 1, 0, 1], &[0, 1, 0, 0, 9], &[0, 1, 2, 2, 9], &[0, 1, 0, PARTS_MAX + 1, 9], &[0]];
    for body in bodies {
        assert_eq!(joining.take(NOW, body), None);
    }
    // A fragment of a fragment, a frame of nothing, a question about the path.
    for frame in [&[2, 0, 1, 0, 1, 0, 9][..], &[0], &[3, 1]] {
        assert_eq!(joining.take(NOW, &[&[0, 1, 0, 1][..], frame].concat()), None);
    }
    // Two that disagree about the number of parts.
    assert_eq!(joining.take(NOW, &[0, 1, 0, 2, 0, 9]), None);
    assert_eq!(joining.take(NOW, &[0, 1, 1, 3, 9]), None);
    // One that is larger than any packet.
    for number in 0..3 {
        assert_eq!(joining.take(NOW, &[&[0, 1, number, 3][..], &vec![0; 30_000]].concat()), None);
    }
    // What is left is one part that nobody believed in, of a frame that began anew.
    assert!(joining.bytes() <= 30_000);
}

#[test]
fn there_are_not_too_many_parts() {
    assert_eq!(split(Kind::Whole, &[0; 1000], 1, 5, |_, _| {}), None);
    assert_eq!(split(Kind::Whole, &[0; 1000], 1, 20, |_, _| {}), None);
    assert_eq!(split(Kind::Whole, &vec![0; FRAME_MAX], 1, 1400, |_, _| {}), None);
    assert_eq!(parts(Kind::Whole, &vec![0; FRAME_MAX - 1], 1, 1200).len(), 55);
}
