//! Names of addresses: `1.0.168.192.in-addr.arpa`, and 32 nibbles below `ip6.arpa`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::domain::{Domain, labels};

/// No more zones than this stand for one prefix.
const ZONES_MAX: u32 = 256;

/// The name of an address.
pub fn name_of(address: IpAddr) -> Domain {
    let zone = match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    };
    zone_at(address, zone).unwrap_or_else(Domain::root)
}

/// The address that a name stands for; none if it is another name, or one of a whole network.
pub fn address_of(name: &[u8]) -> Option<IpAddr> {
    let lower = name.to_ascii_lowercase();
    let mut from_the_right: Vec<&[u8]> = labels(&lower).collect();
    from_the_right.reverse();
    match from_the_right.as_slice() {
        [b"arpa", b"in-addr", bytes @ ..] => {
            let bytes: Vec<u8> = bytes.iter().map(|label| number(label)).collect::<Option<_>>()?;
            Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into())
        }
        [b"arpa", b"ip6", nibbles @ ..] if nibbles.len() == 32 => {
            let mut value = 0u128;
            for label in nibbles {
                let [digit] = *label else { return None };
                value = value << 4 | u128::from(char::from(*digit).to_digit(16)?);
            }
            Some(Ipv6Addr::from(value).into())
        }
        _ => None,
    }
}

/// The zones that together hold the names of all addresses of a prefix and, where it ends within a
/// label, no others; none if it is longer than an address or would take more than 256 zones.
pub fn zones_of(address: IpAddr, prefix: u8) -> Option<Vec<Domain>> {
    let (bits, width, step) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32, 8),
        IpAddr::V6(address) => (address.to_bits(), 128, 4),
    };
    if prefix > width {
        return None;
    }
    let whole = prefix.div_ceil(step) * step;
    let count = 1u32 << (whole - prefix);
    let kept = bits & u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
    if count > ZONES_MAX {
        return None;
    }
    let zone = |number: u32| {
        let moved = u128::from(number).checked_shl(128 - u32::from(whole)).unwrap_or(0);
        let value = kept | moved;
        let address = match address {
            IpAddr::V4(_) => Ipv4Addr::from_bits(u32::try_from(value >> 96).ok()?).into(),
            IpAddr::V6(_) => Ipv6Addr::from_bits(value).into(),
        };
        zone_at(address, whole)
    };
    (0..count).map(zone).collect()
}

/// The zone of the first bits, which end where a label ends.
fn zone_at(address: IpAddr, bits: u8) -> Option<Domain> {
    let (parts, tail): (Vec<String>, [&str; 2]) = match address {
        IpAddr::V4(address) => (address.octets().map(|byte| byte.to_string()).into(), ["in-addr", "arpa"]),
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
            (nibbles.map(|nibble| format!("{nibble:x}")).collect(), ["ip6", "arpa"])
        }
    };
    let step = if address.is_ipv4() { 8 } else { 4 };
    let kept = parts.get(..usize::from(bits / step))?;
    let names = kept.iter().rev().map(String::as_str).chain(tail);
    Domain::from_labels(names.map(str::as_bytes)).ok()
}

/// A byte in decimal, as it is written and in no other way.
fn number(label: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(label).ok()?;
    let value: u8 = text.parse().ok()?;
    (value.to_string() == text).then_some(value)
}
