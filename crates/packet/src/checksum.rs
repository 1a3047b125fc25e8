//! The internet's checksum. A *partial* sum covers the pseudo-header alone: the kernel leaves it so for
//! whoever sends the packet on, and takes it back so from us.

use std::net::IpAddr;

use crate::field::{put_u16, short, u16_at};
use crate::head::{Head, HeadError, protocol};

/// Ones' complement sum of bytes, folded to sixteen bits.
pub fn sum(bytes: &[u8]) -> u16 {
    // Added in the machine's order and turned at the end: the sum does not mind (RFC 1071, 2 B).
    let (words, rest) = bytes.as_chunks::<4>();
    let mut wide: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    let mut last = [0; 4];
    if let Some(last) = last.get_mut(..rest.len()) {
        last.copy_from_slice(rest);
    }
    wide += u64::from(u32::from_ne_bytes(last));
    u16::from_be(fold(wide))
}

fn fold(wide: u64) -> u16 {
    let mut wide = (wide >> 32) + (wide & 0xffff_ffff);
    while wide >> 16 != 0 {
        wide = (wide >> 16) + (wide & 0xffff);
    }
    (wide & 0xffff) as u16
}

/// Ones' complement addition.
pub(crate) fn add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u16::from(carry)
}

/// The sum of the pseudo-header: what a partial sum is.
pub fn pseudo(head: &Head, l4_len: usize) -> u16 {
    add(addresses(head), short(l4_len))
}

/// The part of the pseudo-header that all segments of a packet share.
pub(crate) fn addresses(head: &Head) -> u16 {
    let pair = |src: &[u8], dst: &[u8]| add(sum(src), sum(dst));
    let both = match (head.flow.src, head.flow.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => pair(&src.octets(), &dst.octets()),
        (IpAddr::V6(src), IpAddr::V6(dst)) => pair(&src.octets(), &dst.octets()),
        // One head has one version.
        _ => 0,
    };
    add(both, u16::from(head.flow.proto))
}

/// Makes a partial sum a whole one, for peers and sockets that want it filled in.
pub fn finish(packet: &mut [u8]) -> Result<(), HeadError> {
    let head = Head::parse(packet)?;
    let offset = head.sum_offset().ok_or(HeadError::NoSum)?;
    let (start, offset) = (usize::from(head.l4), usize::from(offset));
    let whole = whole(packet.get(start..).unwrap_or_default(), head.flow.proto == protocol::UDP);
    put_u16(packet, start + offset, whole);
    Ok(())
}

/// The whole sum of bytes that hold their partial one.
pub(crate) fn whole(body: &[u8], udp: bool) -> u16 {
    let whole = !sum(body);
    // Zero says that there is none.
    if udp && whole == 0 { u16::MAX } else { whole }
}

/// Whether the transport's whole sum is right, and IPv4's own. What has no sum, or is a piece of a
/// packet, has no wrong one.
pub fn verify(packet: &[u8], head: &Head) -> bool {
    let (before, body) = packet.split_at_checked(usize::from(head.l4)).unwrap_or((packet, &[]));
    if !head.is_v6() && sum(before) != u16::MAX {
        return false;
    }
    if head.piece.is_some() {
        return true;
    }
    match head.flow.proto {
        protocol::UDP if !head.is_v6() && u16_at(body, 6) == Some(0) => true,
        protocol::UDP => {
            let body = u16_at(body, 4).and_then(|len| body.get(..usize::from(len))).unwrap_or_default();
            add(sum(body), pseudo(head, body.len())) == u16::MAX
        }
        protocol::TCP | protocol::ICMP6 => add(sum(body), pseudo(head, body.len())) == u16::MAX,
        protocol::ICMP => sum(body) == u16::MAX,
        _ => true,
    }
}

/// Writes IPv4's own sum over the first `len` bytes.
pub(crate) fn seal_v4(packet: &mut [u8], len: usize) {
    put_u16(packet, 10, 0);
    let whole = !sum(packet.get(..len).unwrap_or_default());
    put_u16(packet, 10, whole);
}
