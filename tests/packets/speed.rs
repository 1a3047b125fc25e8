//! What a packet costs, on one core, without a kernel. Meaningless unless optimised:
//! `cargo run --release -p story-packets -- speed`.

use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

use freehold_packet::{Gso, Head, Joiner, Virtio, cut};

const SEGMENT: u16 = 1340;
const SEGMENTS: u16 = 45;
const HEADS: u16 = 60;
const FOR: Duration = Duration::from_secs(1);

/// Prints nanoseconds for each packet of 1,400 bytes.
#[expect(clippy::print_stdout, reason = "a person asked")]
pub(super) fn print() -> io::Result<()> {
    let (virtio, packet) = large();
    let mut packets = Vec::new();
    let cut_of = |put: &mut dyn FnMut(&[u8], &[u8])| {
        cut(&virtio, black_box(&packet), 1400, put).map_err(io::Error::other)
    };
    cut_of(&mut |head, payload| packets.push([head, payload].concat()))?;
    let borrowed: Vec<(&[u8], bool)> = packets.iter().map(|packet| (&packet[..], true)).collect();
    let mut runs = Vec::new();
    let mut joiner = Joiner::new(true);
    let cutting = each(|| {
        cut_of(&mut |head, payload| {
            black_box((head, payload));
        })
        .map(drop)
    })?;
    let mut room = vec![0; 65_536];
    let copying = each(|| {
        let mut at = 0;
        cut_of(&mut |head, payload| {
            for part in [head, payload] {
                if let Some(place) = room.get_mut(at..at + part.len()) {
                    place.copy_from_slice(part);
                    at += part.len();
                }
            }
        })
        .map(drop)
    })?;
    let joining = each(|| {
        runs.clear();
        joiner.runs(black_box(&borrowed), &mut runs);
        if runs.len() == 1 { Ok(()) } else { Err(io::Error::other("not joined")) }
    })?;
    let parsing = each(|| {
        for (packet, _) in &borrowed {
            black_box(Head::parse(black_box(packet)).map_err(io::Error::other)?);
        }
        Ok(())
    })?;
    println!(
        "cut {cutting:.0} ns, cut and copied {copying:.0} ns, joined {joining:.0} ns, head alone {parsing:.0} ns"
    );
    Ok(())
}

/// Nanoseconds for one of [`SEGMENTS`] packets.
fn each(mut work: impl FnMut() -> io::Result<()>) -> io::Result<f64> {
    let (begin, mut rounds) = (Instant::now(), 0u32);
    while begin.elapsed() < FOR {
        for _ in 0..100 {
            work()?;
        }
        rounds += 100;
    }
    Ok(begin.elapsed().as_secs_f64() * 1e9 / f64::from(rounds) / f64::from(SEGMENTS))
}

/// What a TUN hands over for one stream over IPv6.
fn large() -> (Virtio, Vec<u8>) {
    let len = HEADS - 40 + SEGMENT * SEGMENTS;
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend_from_slice(&len.to_be_bytes());
    packet.extend_from_slice(&[6, 64]);
    packet.extend_from_slice(&[0xfd; 32]);
    packet.extend_from_slice(&[1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 9, 9, 0, 0, 0, 0]);
    packet.extend(std::iter::repeat_n(7, usize::from(SEGMENT * SEGMENTS)));
    let virtio = Virtio {
        needs_sum: true,
        gso: Gso::Tcp6,
        head: HEADS,
        segment: SEGMENT,
        sum_start: 40,
        sum_offset: 16,
    };
    (virtio, packet)
}
