//! What docs/formats/packets/vectors shows. `linux.json` is what a kernel handed over and what it made of
//! it by itself (tests/packets/capture.py); `frames.json` is ours, and another implementation reads it.
//! To write that anew: `cargo test -p freehold-packet -- --ignored --nocapture shows_frames`, and copy it.

use freehold_wire::Millis;
use serde_json::{Value, json};

use super::made::{Shape, plain};
use crate::checksum::{finish, verify};
use crate::fragment::{Joining, split};
use crate::frame::{Kind, read};
use crate::{Gso, Head, Joiner, Virtio, cut};

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

/// The kernel agrees: what is cut and finished here is what it would have sent, and what was cut can be
/// joined to what it handed over.
#[test]
fn linux_cuts_and_sums_the_same() {
    let file: Value =
        serde_json::from_str(include_str!("../../../../docs/formats/packets/vectors/linux.json")).unwrap();
    let cases = file.as_object().unwrap();
    assert_eq!(cases.len(), 8);
    for (name, case) in cases {
        let (virtio, packet) = (Virtio::read(&bytes(&case["virtio"])).unwrap(), bytes(&case["packet"]));
        let mut packets = Vec::new();
        let done =
            cut(&virtio, &packet, 1400, |head, payload| packets.push([head, payload].concat())).unwrap();
        assert!(done.partial, "{name}");
        let pairs: Vec<(&[u8], bool)> = packets.iter().map(|packet| (&packet[..], true)).collect();
        let mut runs = Vec::new();
        Joiner::new(true).runs(&pairs, &mut runs);
        assert_eq!(runs.len(), 1, "{name}");
        if virtio.gso == Gso::None {
            assert!(runs[0].head().is_empty(), "{name}");
        } else {
            assert_eq!(runs[0].virtio, virtio, "{name}");
            assert_eq!(runs[0].head(), &packet[..runs[0].skip], "{name}");
        }
        let theirs: Vec<Vec<u8>> = case["packets"].as_array().unwrap().iter().map(bytes).collect();
        for packet in &mut packets {
            finish(packet).unwrap();
            assert!(verify(packet, &Head::parse(packet).unwrap()));
        }
        assert_eq!(packets, theirs, "{name}");
    }
}

fn frames() -> Value {
    let shape = Shape { payload: (0..70).collect(), flags: 0x10, ..plain() };
    let whole = Shape { partial: false, v6: false, ..shape.clone() }.packet();
    let cases = [
        (Kind::Partial, shape.packet(), 0x1234, 200),
        (Kind::Whole, whole.clone(), 0, 110),
        (Kind::Partial, shape.packet(), 0x1234, 100),
        (Kind::Whole, whole, 0xffff, 60),
    ];
    let shown = cases.map(|(kind, packet, id, room)| {
        let mut datagrams = Vec::new();
        if packet.len() < room {
            datagrams.push(hex::encode([&[kind.byte()], &packet[..]].concat()));
        } else {
            split(kind, &packet, id, room, |head, part| datagrams.push(hex::encode([head, part].concat()))).unwrap();
        }
        json!({"kind": kind.byte(), "packet": hex::encode(packet), "id": id, "room": room, "datagrams": datagrams})
    });
    json!(shown)
}

#[test]
#[ignore = "shows docs/formats/packets/vectors/frames.json"]
fn shows_frames() {
    println!("{:#}", frames());
}

#[test]
fn frames_are_as_shown() {
    let file: Value =
        serde_json::from_str(include_str!("../../../../docs/formats/packets/vectors/frames.json")).unwrap();
    assert_eq!(file, frames());
    for case in file.as_array().unwrap() {
        let mut joining = Joining::default();
        // The last part first.
        let frames = case["datagrams"].as_array().unwrap().iter().rev().filter_map(|datagram| {
            let datagram = bytes(datagram);
            match read(&datagram).unwrap() {
                (Kind::Fragment, part) => joining.take(Millis(0), part),
                _ => Some(datagram),
            }
        });
        let frame =
            [&[u8::try_from(case["kind"].as_u64().unwrap()).unwrap()][..], &bytes(&case["packet"])].concat();
        assert_eq!(frames.collect::<Vec<_>>(), [frame]);
    }
}
