//! What the kernel sends: cut into what the line carries, with the byte before it that says what it is.

use bytes::{Bytes, BytesMut};
use freehold_packet::frame::Kind;
use freehold_packet::{Cut, CutError, Virtio, cut, fragment};

/// New memory for datagrams is taken in pieces of this size.
const SLAB: usize = 256 * 1024;

/// Makes datagrams of packets.
#[derive(Debug)]
pub(crate) struct Cutter {
    mtu: usize,
    slab: BytesMut,
    lens: Vec<usize>,
}

impl Cutter {
    pub(crate) fn new(mtu: u16) -> Self {
        Self { mtu: usize::from(mtu), slab: BytesMut::new(), lens: Vec::new() }
    }

    /// Adds to `out` the datagrams for what a device gave, each of at most `room` bytes; says how many
    /// packets it was and how many bytes of them. `id` counts the frames that had to be split.
    pub(crate) fn cut(
        &mut self,
        virtio: &Virtio,
        packet: &[u8],
        room: usize,
        id: &mut u16,
        out: &mut Vec<Bytes>,
    ) -> Result<(usize, usize), CutError> {
        let Self { mtu, slab, lens } = self;
        lens.clear();
        if slab.capacity() < packet.len() * 2 {
            *slab = BytesMut::with_capacity(SLAB.max(packet.len() * 2));
        }
        // What is cut is cut to what goes in one datagram; what is whole may have to be split.
        let most = room.saturating_sub(1).min(*mtu);
        let put = |head: &[u8], payload: &[u8]| {
            slab.extend_from_slice(&[0]);
            slab.extend_from_slice(head);
            slab.extend_from_slice(payload);
            lens.push(head.len() + payload.len());
        };
        let Cut { packets, partial } = match cut(virtio, packet, most, put) {
            Ok(cut) => cut,
            Err(error) => {
                self.slab.clear();
                return Err(error);
            }
        };
        let kind = if partial { Kind::Partial } else { Kind::Whole };
        for len in &*lens {
            let mut datagram = slab.split_to(len + 1);
            if let Some(first) = datagram.first_mut() {
                *first = kind.byte();
            }
            if len + 1 > room {
                split(kind, datagram.get(1..).unwrap_or_default(), room, id, out);
            } else {
                out.push(datagram.freeze());
            }
        }
        Ok((packets, lens.iter().sum()))
    }
}

/// Adds the datagrams of one packet whose sums are whole.
pub(crate) fn whole(packet: &[u8], room: usize, id: &mut u16, out: &mut Vec<Bytes>) {
    if packet.len() < room {
        out.push([&[Kind::Whole.byte()], packet].concat().into());
    } else {
        split(Kind::Whole, packet, room, id, out);
    }
}

fn split(kind: Kind, packet: &[u8], room: usize, id: &mut u16, out: &mut Vec<Bytes>) {
    *id = id.wrapping_add(1);
    // A line that carries next to nothing carries nothing: as if it were lost.
    let _ = fragment::split(kind, packet, *id, room, |head, part| out.push([head, part].concat().into()));
}

#[cfg(test)]
mod tests {
    use freehold_packet::frame::read;
    use freehold_packet::{Gso, fragment::Joining};
    use freehold_wire::Millis;

    use super::*;

    /// A UDP datagram over IPv6 with so many bytes in it.
    fn udp(len: u16) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend_from_slice(&(8 + len).to_be_bytes());
        packet.extend_from_slice(&[17, 64]);
        packet.extend_from_slice(&[0xfd; 32]);
        packet.extend_from_slice(&[1, 2, 3, 4]);
        packet.extend_from_slice(&(8 + len).to_be_bytes());
        packet.extend_from_slice(&[9, 9]);
        packet.extend((0..len).map(|at| (at % 251) as u8));
        packet
    }

    #[test]
    fn a_packet_that_does_not_fit_goes_in_parts_and_is_the_same_again() {
        let (mut cutter, mut id) = (Cutter::new(1400), 0);
        let packet = udp(1300);
        for room in [1414, 1349, 1348, 1162, 700, 99] {
            let mut out = Vec::new();
            let counted = cutter.cut(&Virtio::default(), &packet, room, &mut id, &mut out);
            assert_eq!(counted, Ok((1, packet.len())));
            assert!(out.iter().all(|datagram| datagram.len() <= room), "{room}");
            assert_eq!(out.len() == 1, packet.len() < room);
            let mut joining = Joining::default();
            let whole = out.iter().find_map(|datagram| match read(datagram)? {
                (Kind::Fragment, body) => joining.take(Millis(0), body),
                _ => Some(datagram.to_vec()),
            });
            assert_eq!(read(&whole.unwrap()), Some((Kind::Whole, &packet[..])));
        }
    }

    #[test]
    fn a_large_packet_is_cut_to_what_the_line_carries_and_split_nowhere() {
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend_from_slice(&(20 + 20_000u16).to_be_bytes());
        packet.extend_from_slice(&[6, 64]);
        packet.extend_from_slice(&[0xfd; 32]);
        packet.extend_from_slice(&[1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 9, 9, 0, 0, 0, 0]);
        packet.extend(std::iter::repeat_n(7, 20_000));
        let virtio = Virtio {
            needs_sum: true,
            gso: Gso::Tcp6,
            head: 60,
            segment: 1340,
            sum_start: 40,
            sum_offset: 16,
        };
        let mut cutter = Cutter::new(1400);
        for (room, packets) in [(1414, 15), (1162, 19)] {
            let (mut out, mut id) = (Vec::new(), 0);
            let (count, bytes) = cutter.cut(&virtio, &packet, room, &mut id, &mut out).unwrap();
            assert_eq!((count, out.len(), id), (packets, packets, 0));
            assert_eq!(bytes, 20_000 + packets * 60);
            assert!(out.iter().all(|datagram| matches!(read(datagram), Some((Kind::Partial, _)))));
        }
    }
}
