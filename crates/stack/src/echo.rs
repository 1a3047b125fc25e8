//! The answer to a ping.

use freehold_packet::{Head, checksum};

/// ICMP's kinds.
const ASKED: [u8; 2] = [8, 128];
const ANSWER: [u8; 2] = [0, 129];
/// Where ICMP's sum stands.
const SUM: std::ops::Range<usize> = 2..4;

/// The answer to an echo, as long as it and from whom it was sent to.
pub(crate) fn answer(packet: &[u8], head: &Head) -> Option<Vec<u8>> {
    let version = usize::from(head.is_v6());
    let (source, len) = if head.is_v6() { (8, 16) } else { (12, 4) };
    // Heads with options are sent by nobody in earnest.
    let plain = if head.is_v6() { 40 } else { 20 };
    let l4 = usize::from(head.l4);
    if l4 != plain || packet.get(l4) != ASKED.get(version) {
        return None;
    }
    let mut out = packet.get(..usize::from(head.total))?.to_vec();
    let (from, to) = out.get_mut(source..source + 2 * len)?.split_at_mut(len);
    from.swap_with_slice(to);
    *out.get_mut(l4)? = *ANSWER.get(version)?;
    // The sum has changed by the kind alone: addresses are swapped, and the order is nothing to a sum.
    let body = out.get_mut(l4..)?;
    body.get_mut(SUM)?.fill(0);
    let pseudo = if head.is_v6() { checksum::pseudo(head, body.len()) } else { 0 };
    let (sum, carry) = checksum::sum(body).overflowing_add(pseudo);
    let whole = !(sum + u16::from(carry));
    body.get_mut(SUM)?.copy_from_slice(&whole.to_be_bytes());
    Some(out)
}

#[cfg(test)]
mod tests {
    use freehold_packet::Icmp;

    use super::*;

    use freehold_packet::icmp::Refusal;

    /// An echo with sixteen bytes; what it has of sums is nobody's matter before it is answered.
    fn asked(v6: bool) -> Vec<u8> {
        let mut packet = if v6 {
            vec![0x60, 0, 0, 0, 0, 24, 58, 64]
        } else {
            vec![0x45, 0, 0, 44, 0, 0, 0, 0, 64, 1, 0, 0]
        };
        let len = if v6 { 16 } else { 4 };
        packet.extend(
            std::iter::repeat_n(10, len - 1).chain([1]).chain(std::iter::repeat_n(10, len - 1)).chain([2]),
        );
        packet.extend_from_slice(&[if v6 { 128 } else { 8 }, 0, 0, 0, 0x12, 0x34, 0, 1]);
        packet.extend(1..=16);
        packet
    }

    #[test]
    fn an_answer_has_what_was_asked_and_a_right_sum() {
        for v6 in [true, false] {
            let mut asked = asked(v6);
            if !v6 {
                asked[10..12].fill(0);
                let whole = !checksum::sum(&asked[..20]);
                asked[10..12].copy_from_slice(&whole.to_be_bytes());
            }
            let head = Head::parse(&asked).unwrap();
            assert_eq!(head.icmp, Some(Icmp::Echo));
            let answer = answer(&asked, &head).unwrap();
            let back = Head::parse(&answer).unwrap();
            let flow = (back.icmp, back.flow.src, back.flow.dst);
            assert_eq!(flow, (Some(Icmp::Reply), head.flow.dst, head.flow.src));
            assert!(checksum::verify(&answer, &back), "{answer:02x?}");
            let at = usize::from(head.l4) + 4;
            assert_eq!(answer[at..], asked[at..]);
            assert_eq!(super::answer(&answer, &back), None);
            let error = freehold_packet::icmp::error(&asked, head.flow.dst, Refusal::Prohibited).unwrap();
            assert_eq!(super::answer(&error, &Head::parse(&error).unwrap()), None);
        }
    }
}
