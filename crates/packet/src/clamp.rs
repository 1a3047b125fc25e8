//! The segment size of TCP, lowered to what goes through the line in one piece.

use crate::checksum::add;
use crate::field::{put_u16, u8_at, u16_at};
use crate::head::{Head, tcp_flag};

/// What every host takes (RFC 9293); no line of ours is so narrow.
const FLOOR: u16 = 536;

/// Lowers the segment size that a SYN announces, so that the packets of the other side have at most `most`
/// bytes. `partial`: the sum does not cover the options, so it stays. Returns whether anything changed.
pub fn mss(packet: &mut [u8], partial: bool, most: u16) -> bool {
    let Ok(head) = Head::parse(packet) else { return false };
    let syn = head.tcp.is_some_and(|tcp| tcp.flags & tcp_flag::SYN != 0);
    if !syn || head.piece.is_some() {
        return false;
    }
    let (l4, options) = (usize::from(head.l4), usize::from(head.l4) + 20);
    let heads = if head.is_v6() { 60 } else { 40 };
    let wanted = most.saturating_sub(heads).max(FLOOR);
    let Some(at) = option(packet, options, usize::from(head.payload)) else { return false };
    let Some(old) = u16_at(packet, at).filter(|old| *old > wanted) else { return false };
    put_u16(packet, at, wanted);
    if !partial && let Some(sum) = u16_at(packet, l4 + 16) {
        // An option may begin anywhere: at an odd place its bytes count the other way round (RFC 1071).
        let turn = |value: u16| if (at - l4) % 2 == 0 { value } else { value.swap_bytes() };
        put_u16(packet, l4 + 16, !add(add(!sum, !turn(old)), turn(wanted)));
    }
    true
}

/// Where the value of the option stands.
fn option(packet: &[u8], mut at: usize, end: usize) -> Option<usize> {
    while at < end {
        match u8_at(packet, at)? {
            0 => return None,
            1 => at += 1,
            kind => {
                let len = usize::from(u8_at(packet, at + 1)?);
                if len < 2 || at + len > end {
                    return None;
                }
                if kind == 2 {
                    return (len == 4).then_some(at + 2);
                }
                at += len;
            }
        }
    }
    None
}
