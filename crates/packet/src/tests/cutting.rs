//! Cutting and joining.

use proptest::prelude::*;

use super::made::{Shape, done, plain, shapes};
use crate::checksum::{finish, verify};
use crate::{Cut, CutError, Gso, Head, Joiner, Run, Virtio, cut, tcp_flag};

fn pieces(virtio: &Virtio, packet: &[u8], most: usize) -> Result<(Cut, Vec<Vec<u8>>), CutError> {
    let mut pieces = Vec::new();
    let cut = cut(virtio, packet, most, |head, payload| pieces.push([head, payload].concat()))?;
    Ok((cut, pieces))
}

fn runs(packets: &[(Vec<u8>, bool)]) -> Vec<Run> {
    let borrowed: Vec<(&[u8], bool)> =
        packets.iter().map(|(packet, partial)| (&packet[..], *partial)).collect();
    let mut out = Vec::new();
    Joiner::new(true).runs(&borrowed, &mut out);
    out
}

fn written(run: &Run, packets: &[(Vec<u8>, bool)]) -> Vec<u8> {
    let mut bytes = run.head().to_vec();
    for (packet, _) in &packets[run.packets.clone()] {
        bytes.extend_from_slice(&packet[run.skip..]);
    }
    bytes
}

/// The same without IPv4's id, if the packet is never split: then it means nothing.
fn without_id(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if packet[0] >> 4 == 4 && packet[6] & 0x40 != 0 {
        packet[4..6].fill(0);
        packet[10..12].fill(0);
    }
    packet
}

/// A flow's next packet, or nearly that.
fn streams() -> impl Strategy<Value = Vec<(Vec<u8>, bool)>> {
    let step = (0..16u8, 1..40usize, any::<u16>());
    (shapes(1), prop::collection::vec(step, 1..40), 20..40usize).prop_map(|(first, steps, usual)| {
        let mut shape = Shape { flags: tcp_flag::ACK, ..first };
        let mut packets = Vec::new();
        for (what, len, noise) in steps {
            match what {
                0 => shape.flags ^= tcp_flag::PSH,
                1 => shape.seq = shape.seq.wrapping_add(u32::from(noise)),
                2 => shape.ack = u32::from(noise),
                3 => shape.partial = !shape.partial,
                4 => shape.id = noise,
                5 => shape.tcp = !shape.tcp,
                6 => shape.window = noise,
                9 => shape.care.0 ^= 4,
                10 => shape.care.1 ^= 1,
                _ => {}
            }
            shape.payload = vec![what; if what == 7 { len } else { usual }];
            let mut packet = shape.packet();
            if what == 8 {
                let at = usize::from(noise) % packet.len();
                packet[at] ^= 1 << (noise & 7);
            }
            packets.push((packet, shape.partial));
            shape.seq = shape.seq.wrapping_add(shape.payload.len() as u32);
            shape.id = shape.id.wrapping_add(1);
            shape.flags &= !tcp_flag::PSH;
        }
        packets
    })
}

proptest! {
    /// Segments are packets in their own right, and together what was cut.
    #[test]
    fn segments_are_sound(shape in shapes(9000), segment in 100..1500u16, most in 600..1500usize) {
        let (cut, pieces) = pieces(&shape.virtio(segment), &shape.packet(), most).unwrap();
        prop_assert!(cut.partial);
        prop_assert_eq!(cut.packets, pieces.len());
        let mut payload = Vec::new();
        for (number, piece) in pieces.iter().enumerate() {
            let mut piece = piece.clone();
            finish(&mut piece).unwrap();
            let head = Head::parse(&piece).unwrap();
            prop_assert!(verify(&piece, &head));
            if let Some(tcp) = head.tcp {
                prop_assert!(piece.len() <= most);
                prop_assert_eq!(tcp.seq, shape.seq.wrapping_add(payload.len() as u32));
                let alone = if number + 1 == pieces.len() { 0 } else { tcp_flag::FIN | tcp_flag::PSH };
                prop_assert_eq!(tcp.flags, shape.flags & !alone);
            }
            payload.extend_from_slice(&piece[usize::from(head.payload)..]);
        }
        prop_assert_eq!(payload, shape.payload);
    }

    /// What was cut comes back byte for byte, in one write.
    #[test]
    fn joining_undoes_cutting(shape in shapes(9000), segment in 300..1400u16) {
        let shape = Shape { partial: true, ..shape };
        prop_assume!(shape.payload.len() > usize::from(segment));
        let (virtio, packet) = (shape.virtio(segment), shape.packet());
        let (_, pieces) = pieces(&virtio, &packet, 9100).unwrap();
        let pieces: Vec<_> = pieces.into_iter().map(|piece| (piece, true)).collect();
        let runs = runs(&pieces);
        prop_assert_eq!(runs.len(), 1);
        prop_assert_eq!(runs[0].virtio, virtio);
        prop_assert_eq!(written(&runs[0], &pieces), packet);
    }

    /// Whatever comes, also with bits turned over: the kernel, which cuts what was joined, has in the end
    /// the packets that came, in their order.
    #[test]
    fn cutting_undoes_joining(packets in streams()) {
        let mut back = Vec::new();
        for run in runs(&packets) {
            let bytes = written(&run, &packets);
            let (_, segments) = match pieces(&run.virtio, &bytes, 9000) {
                Ok(segments) => segments,
                // Broken before, alone and as it was.
                Err(_) => (Cut { packets: 1, partial: false }, vec![bytes]),
            };
            prop_assert_eq!(segments.len(), run.packets.len());
            for (segment, at) in segments.into_iter().zip(run.packets.clone()) {
                let mut segment = segment;
                if run.packets.len() > 1 && !packets[at].1 {
                    finish(&mut segment).unwrap();
                }
                prop_assert_eq!(without_id(&segment), without_id(&packets[at].0));
                back.push(at);
            }
        }
        let placeless = |at: &usize| {
            let (packet, partial) = &packets[*at];
            *partial && Head::parse(packet).ok().and_then(|head| head.sum_offset()).is_none()
        };
        let all: Vec<usize> = (0..packets.len()).filter(|at| !placeless(at)).collect();
        prop_assert_eq!(back, all);
    }

    /// A packet whose sum is wrong is not covered up by a large one.
    #[test]
    fn a_wrong_sum_stays_alone(shape in shapes(300), at in any::<prop::sample::Index>()) {
        let shape = Shape { partial: false, flags: tcp_flag::ACK, ..shape };
        let first = shape.packet();
        let seq = shape.seq.wrapping_add(shape.payload.len() as u32);
        let mut second = Shape { seq, id: shape.id.wrapping_add(1), ..shape.clone() }.packet();
        prop_assert_eq!(runs(&[(first.clone(), false), (second.clone(), false)]).len(), 1);
        let at = shape.heads() + at.index(second.len() - shape.heads());
        second[at] ^= 0x10;
        prop_assert_eq!(runs(&[(first, false), (second, false)]).len(), 2);
    }

    /// Nothing from outside stops the machine.
    #[test]
    fn any_bytes_are_taken(
        virtio in any::<[u8; 10]>(),
        shape in shapes(60),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
        most in 0..2000usize,
    ) {
        let mut packet = shape.packet();
        for (at, new) in flips {
            let at = at.index(packet.len().min(70));
            packet[at] = new;
        }
        if virtio[0] & 4 != 0 {
            packet.truncate(end.index(packet.len()) + 1);
        }
        done(pieces(&Virtio::read(&virtio).unwrap(), &packet, most));
        done(pieces(&Virtio { segment: 7, ..shape.virtio(9) }, &packet, most));
        done(runs(&[(packet.clone(), true), (packet.clone(), true), (packet, false)]));
    }
}

/// The sender answers congestion once.
#[test]
fn only_the_first_segment_answers_congestion() {
    let shape = plain();
    let (_, pieces) = pieces(&shape.virtio(40), &shape.packet(), 1400).unwrap();
    let flags: Vec<u8> = pieces.iter().map(|piece| piece[53]).collect();
    assert_eq!(flags, [tcp_flag::ACK | tcp_flag::CWR, tcp_flag::ACK, tcp_flag::ACK | tcp_flag::PSH]);
}

#[test]
fn what_must_not_be_cut_is_not() {
    let mut shape = plain();
    let cases = [
        (tcp_flag::SYN, shape.virtio(40), 1400, CutError::Single),
        (tcp_flag::RST, shape.virtio(40), 1400, CutError::Single),
        (tcp_flag::ACK, Virtio { gso: Gso::Tcp4, ..shape.virtio(40) }, 1400, CutError::Kind),
        (tcp_flag::ACK, Virtio { gso: Gso::Udp, ..shape.virtio(40) }, 1400, CutError::Kind),
        (tcp_flag::ACK, Virtio { gso: Gso::Other(3), ..shape.virtio(40) }, 1400, CutError::Kind),
        (tcp_flag::ACK, shape.virtio(0), 1400, CutError::Room),
        (tcp_flag::ACK, shape.virtio(40), 60, CutError::Room),
    ];
    for (flags, virtio, most, why) in cases {
        shape.flags = flags;
        assert_eq!(pieces(&virtio, &shape.packet(), most), Err(why));
    }
}

/// A tunnel within the tunnel leaves the sum of its own inner packet open; that is nothing a peer is
/// told, so it is filled in here.
#[test]
fn a_sum_within_is_filled_in() {
    let inner = Shape { v6: false, flags: tcp_flag::ACK, ..plain() };
    let mut outer = Shape { tcp: false, partial: false, payload: inner.packet(), ..plain() }.packet();
    // IP in UDP, its own sum left out as IPv6 tunnels may.
    outer[46..48].fill(0);
    let virtio = Virtio { needs_sum: true, sum_start: 48 + 20, sum_offset: 16, ..Virtio::default() };
    let (cut, pieces) = pieces(&virtio, &outer, 1400).unwrap();
    assert_eq!(cut, Cut { packets: 1, partial: false });
    assert_eq!(&pieces[0][48..], Shape { partial: false, ..inner }.packet());
    let before = Virtio { sum_start: 8, sum_offset: 2, ..virtio };
    assert_eq!(self::pieces(&before, &outer, 1400), Err(CutError::Kind));
    let past = Virtio { sum_start: 4000, ..virtio };
    assert!(self::pieces(&past, &outer, 1400).is_err());
}

/// More than a kernel takes in one write becomes several.
#[test]
fn runs_end_where_the_kernel_does() {
    let shape = Shape { flags: tcp_flag::ACK, ..plain() };
    let many = |tcp: bool, count: u32, len: usize| -> Vec<usize> {
        let packets: Vec<_> = (0..count)
            .map(|number| {
                let seq = shape.seq.wrapping_add(number * len as u32);
                (Shape { seq, tcp, payload: vec![1; len], ..shape.clone() }.packet(), true)
            })
            .collect();
        runs(&packets).iter().map(|run| run.packets.len()).collect()
    };
    assert_eq!(many(true, 600, 1), [512, 88]);
    assert_eq!(many(true, 60, 1340), [48, 12]);
    assert_eq!(many(false, 70, 9), [64, 6]);
}

#[test]
fn the_device_decides_about_datagrams() {
    let packet = Shape { tcp: false, ..plain() }.packet();
    let mut out = Vec::new();
    Joiner::new(false).runs(&[(&packet, true), (&packet, true)], &mut out);
    assert_eq!(out.len(), 2);
    assert!(out.iter().all(|run| run.virtio.needs_sum && run.virtio.sum_offset == 6 && run.skip == 0));
}
