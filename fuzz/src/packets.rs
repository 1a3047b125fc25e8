//! The probe of what the network plane reads: packets, what a TUN says of them, parts of frames, the
//! beginning of TLS. The first byte says which.

use std::net::IpAddr;

use freehold_packet::fragment::{BYTES_MAX, Joining};
use freehold_packet::frame::{Kind, read};
use freehold_packet::hello::{Peek, server_name};
use freehold_packet::icmp::{Refusal, about, error};
use freehold_packet::{Cut, Gso, Head, Joiner, Virtio, checksum, clamp, cut};
use freehold_wire::Millis;

use super::done;

/// Places lie within, what is cut is sound, what is joined can be cut to the same, what waits is bounded.
pub fn packet(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    match which % 5 {
        0 => heads(data),
        1 => large(data),
        2 => batch(data),
        3 => parts(data),
        _ => first_words(data),
    }
}

fn heads(data: &[u8]) {
    let mut copy = data.to_vec();
    done(checksum::finish(&mut copy));
    let partial = copy.len().is_multiple_of(2);
    clamp::mss(&mut copy, partial, 1400);
    let Ok(head) = Head::parse(data) else { return };
    assert!(head.l4 <= head.payload && head.payload <= head.total);
    assert_eq!(usize::from(head.total), data.len());
    let sound = checksum::verify(data, &head);
    done(about(data, &head));
    // A lower segment size leaves a right sum right.
    let mut copy = data.to_vec();
    if clamp::mss(&mut copy, false, 700) && sound {
        assert!(checksum::verify(&copy, &head));
    }
    let from = if head.is_v6() { IpAddr::from([0xfd; 16]) } else { IpAddr::from([100, 64, 0, 1]) };
    if let Some(answer) = error(data, from, Refusal::Prohibited) {
        let said = Head::parse(&answer).map(|head| (checksum::verify(&answer, &head), about(&answer, &head)));
        assert!(said.is_ok_and(|(sound, flow)| sound && flow.is_some_and(|flow| flow.src == head.flow.src)));
    }
}

fn segments(virtio: &Virtio, packet: &[u8], most: usize) -> Option<(Cut, Vec<Vec<u8>>)> {
    let mut segments = Vec::new();
    let cut = cut(virtio, packet, most, |head, payload| segments.push([head, payload].concat())).ok()?;
    assert_eq!(cut.packets, segments.len());
    Some((cut, segments))
}

fn large(data: &[u8]) {
    let (Some(virtio), Some(packet)) = (Virtio::read(data), data.get(Virtio::LEN..)) else { return };
    let Some((cut, mut segments)) = segments(&virtio, packet, 1400) else { return };
    if virtio.needs_sum && !cut.partial {
        // The kernel's word was taken for where a sum stands within.
        return;
    }
    for segment in &mut segments {
        let head = Head::parse(segment);
        assert!(head.is_ok(), "a segment that is no packet");
        if virtio.gso != Gso::None && cut.partial && checksum::finish(segment).is_ok() {
            assert!(head.is_ok_and(|head| checksum::verify(segment, &head)));
        }
    }
}

/// Packets with two bytes of length before each, the highest bit of which says that the sum is partial.
fn batch(mut data: &[u8]) {
    let mut packets: Vec<(&[u8], bool)> = Vec::new();
    while let Some(([high, low], rest)) = data.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([high & 0x7f, *low]));
        let (packet, rest) = rest.split_at_checked(len).unwrap_or((rest, &[]));
        packets.push((packet, high & 0x80 != 0));
        data = rest;
    }
    let mut runs = Vec::new();
    Joiner::new(true).runs(&packets, &mut runs);
    let mut next = 0;
    for run in &runs {
        assert!(run.packets.start >= next && !run.packets.is_empty(), "runs are in order");
        next = run.packets.end;
        let of_run = packets.get(run.packets.clone()).unwrap_or_default();
        if of_run.len() == 1 {
            assert!(run.head().is_empty() && run.skip == 0);
            continue;
        }
        let mut bytes = run.head().to_vec();
        bytes.extend(of_run.iter().filter_map(|(packet, _)| packet.get(run.skip..)).flatten());
        let cut = segments(&run.virtio, &bytes, usize::MAX);
        let (_, cut) = cut.unwrap_or((Cut { packets: 0, partial: false }, Vec::new()));
        assert_eq!(cut.len(), of_run.len(), "joined and cut");
        for (mut back, (packet, partial)) in cut.into_iter().zip(of_run) {
            if !partial {
                done(checksum::finish(&mut back));
                assert!(Head::parse(packet).is_ok_and(|head| checksum::verify(packet, &head)));
            }
            assert_eq!(comparable(&back), comparable(packet));
        }
    }
}

/// Without IPv4's id, which means nothing where a packet is never split; and one spelling of sums that are
/// zero in both.
fn comparable(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let v4 = packet.first().is_some_and(|first| first >> 4 == 4);
    if v4 && packet.get(6).is_some_and(|flags| flags & 0x40 != 0) {
        for place in [4, 5, 10, 11] {
            packet.get_mut(place).into_iter().for_each(|byte| *byte = 0);
        }
    }
    let at = if v4 { 20 } else { 40 };
    let tcp = packet.get(if v4 { 9 } else { 6 }) == Some(&6);
    for start in [10, if tcp { at + 16 } else { at + 6 }] {
        if start == 10 && !v4 {
            continue;
        }
        if let Some(sum) = packet.get_mut(start..start + 2)
            && sum == [0xff, 0xff]
        {
            sum.fill(0);
        }
    }
    packet
}

/// Parts with a byte of waiting and a byte of length before each.
fn parts(mut data: &[u8]) {
    let (mut joining, mut now) = (Joining::default(), Millis(0));
    while let Some(([wait, len], rest)) = data.split_first_chunk() {
        now = now.plus(Millis(u64::from(*wait) * 5));
        let (body, rest) = rest.split_at_checked(usize::from(*len)).unwrap_or((rest, &[]));
        if let Some(frame) = joining.take(now, body) {
            assert!(matches!(read(&frame), Some((Kind::Whole | Kind::Partial, _))));
        }
        assert!(joining.bytes() <= BYTES_MAX);
        data = rest;
    }
}

/// What was read of a beginning is not read otherwise when more has come.
fn first_words(data: &[u8]) {
    let whole = server_name(data);
    let half = server_name(data.get(..data.len() / 2).unwrap_or_default());
    assert!(half == Peek::More || half == whole || data.len() > 16_384, "{half:?}, then {whole:?}");
}
