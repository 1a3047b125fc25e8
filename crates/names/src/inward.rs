//! Addresses that others name for a name of the internet, and that lead into a house: by them a website could
//! have a browser speak to machines beside it, as that website (DNS rebinding).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use freehold_wire::Prefix;

use crate::code::kind;
use crate::message::{Message, Section};

/// Keys of SVCB and HTTPS records whose values are addresses (RFC 9460, 14.3.2).
const V4_HINT: u16 = 4;
const V6_HINT: u16 = 6;

/// Whether an answer names an address that leads into a house.
pub fn leads_inside(answer: &[u8]) -> bool {
    let Some(message) = Message::parse(answer) else { return false };
    let told = message.records().map_while(Result::ok).take_while(|record| record.section == Section::Answer);
    told.into_iter().any(|record| {
        let data = message.data(&record);
        match record.kind {
            kind::A | kind::AAAA => address(data).is_some_and(is_inside),
            kind::SVCB | kind::HTTPS => hints(data).any(is_inside),
            _ => false,
        }
    })
}

/// Whether an address means something only where one stands: this machine's own, its network's, its house's.
pub fn is_inside(at: IpAddr) -> bool {
    match at {
        IpAddr::V4(at) => is_inside_v4(at),
        IpAddr::V6(at) => is_inside_v6(at),
    }
}

fn is_inside_v4(at: Ipv4Addr) -> bool {
    let [first, ..] = at.octets();
    first == 0
        || at.is_loopback()
        || at.is_link_local()
        || at.is_broadcast()
        || Prefix::around(at.into(), u8::MAX).is_private()
}

fn is_inside_v6(at: Ipv6Addr) -> bool {
    let within = |[high, low]: [u16; 2]| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match at.segments() {
        // Unspecified, loopback, and IPv4 in the two old ways and by NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_inside_v4(within([high, low]))
        }
        _ => at.is_unicast_link_local() || Prefix::around(at.into(), u8::MAX).is_private(),
    }
}

fn address(data: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(data).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(data).map(IpAddr::from)).ok()
}

/// The addresses in the parameters of an SVCB record: behind its priority and a name that is not compressed.
fn hints(data: &[u8]) -> impl Iterator<Item = IpAddr> {
    let mut rest = data.get(2..).and_then(|rest| {
        let name = crate::domain::wire_len(rest)?;
        rest.get(name..)
    });
    let parameters = std::iter::from_fn(move || {
        let (key, behind) = rest?.split_at_checked(2)?;
        let (len, behind) = behind.split_at_checked(2)?;
        let len = usize::from(u16::from_be_bytes(len.try_into().ok()?));
        let (value, behind) = behind.split_at_checked(len)?;
        rest = Some(behind);
        Some((u16::from_be_bytes(key.try_into().ok()?), value))
    });
    parameters.flat_map(|(key, value)| {
        let size = match key {
            V4_HINT => 4,
            V6_HINT => 16,
            _ => value.len().max(1),
        };
        let is_hint = matches!(key, V4_HINT | V6_HINT);
        value.chunks(size).filter(move |_| is_hint).filter_map(address).collect::<Vec<_>>()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An answer about `a.example` with one record.
    fn answer(kind: u16, data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
        bytes.extend(b"\x01a\x07example\x00\x00\x01\x00\x01\xc0\x0c");
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1, 0, 0, 0, 60]);
        bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn what_leads_into_a_house_is_seen_in_every_form() {
        for (at, inside) in [
            ("127.0.0.1", true),
            ("0.0.0.0", true),
            ("10.1.2.3", true),
            ("172.16.0.1", true),
            ("192.168.1.1", true),
            ("169.254.169.254", true),
            ("100.64.0.1", true),
            ("192.0.2.1", false),
            ("172.32.0.1", false),
            ("::1", true),
            ("::", true),
            ("fe80::1", true),
            ("fd00::1", true),
            ("::ffff:192.168.1.1", true),
            ("64:ff9b::c0a8:101", true),
            ("64:ff9b::c000:201", false),
            ("2001:db8::1", false),
        ] {
            let at: IpAddr = at.parse().unwrap();
            let (kind, data) = match at {
                IpAddr::V4(at) => (kind::A, at.octets().to_vec()),
                IpAddr::V6(at) => (kind::AAAA, at.octets().to_vec()),
            };
            assert_eq!(leads_inside(&answer(kind, &data)), inside, "{at}");
            // The same as a hint, behind another parameter: HTTPS 1 . alpn=h2 ipv4hint=...
            let key = if at.is_ipv4() { V4_HINT } else { V6_HINT };
            let mut hint = vec![0, 1, 0, 0, 1, 0, 3, 2, b'h', b'2', 0, u8::try_from(key).unwrap(), 0];
            hint.push(u8::try_from(data.len()).unwrap());
            hint.extend(&data);
            assert_eq!(leads_inside(&answer(kind::HTTPS, &hint)), inside, "{at} as a hint");
        }
        assert!(!leads_inside(&answer(kind::TXT, &[127, 0, 0, 1])));
    }

    proptest! {
        #[test]
        fn no_record_is_too_strange(kind in prop::sample::select(vec![1u16, 28, 64, 65]), data in prop::collection::vec(any::<u8>(), 0..80)) {
            leads_inside(&answer(kind, &data));
        }
    }
}
