//! Who is near: in a network that this machine stands in, as its routing tables say. An address that only looks
//! like one of a house is not enough: behind a carrier's router, or on a shared network of rented machines, those
//! are strangers'.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use freehold_wire::Prefix;

/// Routes of the kernel for IPv4 and IPv6 (proc(5)).
const V4_ROUTES: &str = "/proc/net/route";
const V6_ROUTES: &str = "/proc/net/ipv6_route";
/// A route that leads to a router, and not to neighbours (`linux/route.h`).
const GATEWAY: u32 = 2;
/// Devices that have no neighbours.
const ALONE: [&str; 2] = ["lo", super::answers::DEVICE];
/// A network with fewer bits is no house's.
const WIDEST: u8 = 8;
/// What carriers give to customers, who are no neighbours (RFC 6598).
const CARRIERS: (Ipv4Addr, u8) = (Ipv4Addr::new(100, 64, 0, 0), 10);

/// The networks of neighbours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Near(Vec<Prefix>);

impl Near {
    /// As it is now.
    pub(crate) fn look() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        Self::of(&read(V4_ROUTES), &read(V6_ROUTES))
    }

    /// Private networks on a link; on a link that has one, its public IPv6 networks as well.
    pub(crate) fn of(v4: &str, v6: &str) -> Self {
        let is_house = |network: &Prefix| network.is_private() && !carriers().overlaps(network);
        let links: Vec<(&str, Prefix)> =
            v4.lines().filter_map(v4_link).chain(v6.lines().filter_map(v6_link)).collect();
        let houses: BTreeSet<&str> =
            links.iter().filter(|(_, network)| is_house(network)).map(|(device, _)| *device).collect();
        let near = |(device, network): &(&str, Prefix)| {
            let is_v6 = network.first().is_ipv6();
            is_house(network) || (is_v6 && houses.contains(device))
        };
        Self(links.iter().filter(|link| near(link)).map(|(_, network)| *network).collect())
    }

    /// Whether somebody there is a neighbour.
    pub(crate) fn has(&self, at: IpAddr) -> bool {
        let is_on_link = match at {
            IpAddr::V4(at) => at.is_link_local(),
            IpAddr::V6(at) => at.is_unicast_link_local(),
        };
        (is_on_link && !self.0.is_empty()) || self.0.iter().any(|network| network.contains(at))
    }
}

fn carriers() -> Prefix {
    Prefix::around(CARRIERS.0.into(), CARRIERS.1)
}

/// Device, destination, router, flags, three numbers, mask: numbers in hex, addresses as they lie in memory.
fn v4_link(line: &str) -> Option<(&str, Prefix)> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let number = |index: usize| u32::from_str_radix(words.get(index)?, 16).ok();
    let address = |number: u32| Ipv4Addr::from(number.to_ne_bytes());
    let (device, to, flags, mask) = (*words.first()?, address(number(1)?), number(3)?, address(number(7)?));
    let bits = u8::try_from(mask.to_bits().leading_ones()).ok()?;
    link(device, to.into(), bits, flags)
}

/// Destination and bits, source and bits, router, three numbers, flags, device: all in hex.
fn v6_link(line: &str) -> Option<(&str, Prefix)> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let to = Ipv6Addr::from(u128::from_str_radix(words.first()?, 16).ok()?);
    let bits = u8::from_str_radix(words.get(1)?, 16).ok()?;
    let flags = u32::from_str_radix(words.get(8)?, 16).ok()?;
    if to.is_multicast() || to.is_unicast_link_local() {
        return None;
    }
    link(words.get(9)?, to.into(), bits, flags)
}

fn link(device: &str, to: IpAddr, bits: u8, flags: u32) -> Option<(&str, Prefix)> {
    let most = if to.is_ipv4() { 32 } else { 128 };
    let is_link = flags & GATEWAY == 0 && (WIDEST..most).contains(&bits) && !ALONE.contains(&device);
    is_link.then(|| (device, Prefix::around(to, bits)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
        eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n\
        wwan0\t00004064\t00000000\t0001\t0\t0\t700\t0000C0FF\t0\t0\t0\n\
        freehold0\t0000140A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
        cloud0\t00710ACB\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
    const V6: &str = "20010db8000100000000000000000000 40 00000000000000000000000000000000 00 \
        00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n\
        20010db8000200000000000000000000 40 00000000000000000000000000000000 00 \
        00000000000000000000000000000000 00000100 00000001 00000000 00000001   cloud0\n\
        fe800000000000000000000000000000 40 00000000000000000000000000000000 00 \
        00000000000000000000000000000000 00000100 00000001 00000000 00000001   cloud0\n\
        fd112233445500000000000000000000 30 00000000000000000000000000000000 00 \
        00000000000000000000000000000000 00000100 00000001 00000000 00000001 freehold0\n";

    #[test]
    fn neighbours_are_those_of_a_house_that_the_machine_stands_in() {
        let near = Near::of(V4, V6);
        for (at, is_near) in [
            ("192.168.1.7", true),
            ("192.168.2.7", false),
            ("100.64.0.1", false),
            ("10.20.0.9", false),
            ("203.10.113.9", false),
            ("169.254.3.4", true),
            ("fe80::7", true),
            ("2001:db8:1::7", true),
            ("2001:db8:2::7", false),
            ("fd11:2233:4455::7", false),
            ("fd99::7", false),
        ] {
            assert_eq!(near.has(at.parse().unwrap()), is_near, "{at}");
        }
    }

    #[test]
    fn what_the_kernel_says_here_is_read() {
        assert!(!Near::look().has([192, 0, 2, 1].into()));
    }

    proptest::proptest! {
        #[test]
        fn no_table_is_too_strange(v4 in ".{0,200}", v6 in ".{0,200}") {
            Near::of(&v4, &v6);
        }
    }
}
