//! Large packets cut into what a line carries.

use crate::checksum::{add, addresses, seal_v4, whole};
use crate::field::{put, put_u16, short};
use crate::head::{Head, HeadError, protocol, tcp_flag};
use crate::virtio::{Gso, Virtio};

/// The longest heads that are copied: IPv6, some extensions, TCP with all its options.
const HEADS_MAX: usize = 256;

/// What came of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// How many packets were put.
    pub packets: usize,
    /// Their sums are partial: [`crate::frame::Kind::Partial`].
    pub partial: bool,
}

/// Why a packet cannot be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CutError {
    /// Its heads.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The device says that it is what it is not, or what was not asked for.
    #[error("the packet is not of the kind that the device names")]
    Kind,
    /// Nothing of its payload would fit.
    #[error("no room beside the heads")]
    Room,
    /// A SYN or RST stands for itself.
    #[error("the packet must not be cut")]
    Single,
}

/// Cuts what a TUN gave into packets, TCP's of at most `most` bytes; `put(head, payload)` is called for
/// each, in order. The sum of a segment is left partial: whoever hands it to a kernel says so, and no
/// byte of payload is read on the way. A datagram larger than `most` stays whole, as its sender meant it:
/// see [`crate::fragment`].
pub fn cut(
    virtio: &Virtio,
    packet: &[u8],
    most: usize,
    put: impl FnMut(&[u8], &[u8]),
) -> Result<Cut, CutError> {
    let head = Head::parse(packet)?;
    if virtio.gso == Gso::None {
        one(virtio, &head, packet, put)
    } else {
        many(virtio, &head, packet, most, put)
    }
}

fn one(
    virtio: &Virtio,
    head: &Head,
    packet: &[u8],
    mut give: impl FnMut(&[u8], &[u8]),
) -> Result<Cut, CutError> {
    let ours = virtio.sum_start == head.l4 && Some(virtio.sum_offset) == head.sum_offset();
    if !virtio.needs_sum || ours {
        let (heads, payload) = packet.split_at_checked(usize::from(head.payload)).ok_or(HeadError::Short)?;
        give(heads, payload);
        return Ok(Cut { packets: 1, partial: virtio.needs_sum });
    }
    // The sum of something within: a tunnel inside this one, ICMP of a raw socket.
    let (start, offset) = (usize::from(virtio.sum_start), usize::from(virtio.sum_offset));
    if start < usize::from(head.l4) {
        return Err(CutError::Kind);
    }
    let until = start + offset + 2;
    let (heads, payload) = packet.split_at_checked(until).ok_or(HeadError::Short)?;
    let mut copy = [0; HEADS_MAX];
    let copy = copy.get_mut(..until).ok_or(CutError::Room)?;
    copy.copy_from_slice(heads);
    let body = packet.get(start..).ok_or(HeadError::Short)?;
    put_u16(copy, start + offset, whole(body, offset == 6));
    give(copy, payload);
    Ok(Cut { packets: 1, partial: false })
}

fn many(
    virtio: &Virtio,
    head: &Head,
    packet: &[u8],
    most: usize,
    mut give: impl FnMut(&[u8], &[u8]),
) -> Result<Cut, CutError> {
    let (heads, payload) = packet.split_at_checked(usize::from(head.payload)).ok_or(HeadError::Short)?;
    let mut segment = Segment::of(virtio.gso, head, heads)?;
    let mut each = usize::from(virtio.segment);
    if segment.tcp.is_some() {
        each = each.min(most.saturating_sub(heads.len()));
    }
    if each == 0 {
        return Err(CutError::Room);
    }
    // An answer without payload is one segment all the same.
    let packets = payload.len().div_ceil(each).max(1);
    if packets > 1 && segment.tcp.is_some_and(|(_, flags)| flags & (tcp_flag::SYN | tcp_flag::RST) != 0) {
        return Err(CutError::Single);
    }
    let mut rest = payload;
    for number in 0..packets {
        let (part, after) = rest.split_at_checked(each).unwrap_or((rest, &[]));
        give(segment.next(number, part.len(), number + 1 == packets), part);
        rest = after;
    }
    Ok(Cut { packets, partial: true })
}

/// The heads of one segment after another, over one copy.
struct Segment {
    copy: [u8; HEADS_MAX],
    len: usize,
    l4: usize,
    v6: bool,
    /// IPv4's id.
    id: u16,
    /// Number of the first byte that is not put yet, and the flags of the whole.
    tcp: Option<(u32, u8)>,
    /// What the pseudo-headers of all segments have.
    addresses: u16,
}

impl Segment {
    fn of(gso: Gso, head: &Head, heads: &[u8]) -> Result<Self, CutError> {
        let kind = match (gso, head.flow.proto) {
            (Gso::Tcp4, protocol::TCP) => !head.is_v6(),
            (Gso::Tcp6, protocol::TCP) => head.is_v6(),
            (Gso::Udp, protocol::UDP) => true,
            _ => false,
        };
        if !kind || head.piece.is_some() {
            return Err(CutError::Kind);
        }
        let mut copy = [0; HEADS_MAX];
        copy.get_mut(..heads.len()).ok_or(CutError::Room)?.copy_from_slice(heads);
        Ok(Self {
            copy,
            len: heads.len(),
            l4: usize::from(head.l4),
            v6: head.is_v6(),
            id: u16::from_be_bytes([copy[4], copy[5]]),
            tcp: head.tcp.map(|tcp| (tcp.seq, tcp.flags)),
            addresses: addresses(head),
        })
    }

    /// The heads of segment `number`, before `payload` bytes.
    fn next(&mut self, number: usize, payload: usize, last: bool) -> &[u8] {
        let (l4, total) = (self.l4, self.len + payload);
        let copy = &mut self.copy;
        if self.v6 {
            put_u16(copy, 4, short(total - 40));
        } else {
            put_u16(copy, 2, short(total));
            put_u16(copy, 4, self.id.wrapping_add(short(number)));
            seal_v4(copy, l4);
        }
        let partial = add(self.addresses, short(total - l4));
        if let Some((seq, flags)) = &mut self.tcp {
            put(copy, l4 + 4, &seq.to_be_bytes());
            let mut own = *flags;
            if !last {
                own &= !(tcp_flag::FIN | tcp_flag::PSH);
            }
            if number > 0 {
                own &= !tcp_flag::CWR;
            }
            put(copy, l4 + 13, &[own]);
            put_u16(copy, l4 + 16, partial);
            *seq = seq.wrapping_add(u32::from(short(payload)));
        } else {
            put_u16(copy, l4 + 4, short(total - l4));
            put_u16(copy, l4 + 6, partial);
        }
        copy.get(..self.len).unwrap_or_default()
    }
}
