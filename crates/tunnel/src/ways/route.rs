//! Routes as plain data, and as messages of netlink.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use freehold_wire::Prefix;
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};

use super::rule::{MAIN, OURS};

/// Behind whatever else there is in our table.
const LAST: u32 = 0xFF00_0000;
/// Behind the machine's own routes to the same network: at home, what is at home is reached without a tunnel.
const BEHIND: u32 = 4710;

/// What becomes of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// They go into the tunnel, from this address if nothing else is said.
    /// The kernel takes that away with the address.
    Tunnel { device: u32, source: Option<IpAddr> },
    /// Another table knows.
    Elsewhere,
    /// They go nowhere, and that is said.
    Nowhere,
}

/// A route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Route {
    pub(super) table: u32,
    pub(super) to: Prefix,
    pub(super) way: Way,
}

impl Route {
    pub(super) fn message(&self) -> RouteMessage {
        let bits = self.to.bits();
        let mut message = match self.to.first() {
            IpAddr::V4(first) => {
                RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(first, bits).build()
            }
            IpAddr::V6(first) => {
                RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(first, bits).build()
            }
        };
        // A table's number beyond a byte stands in an attribute.
        message.header.table = u8::try_from(self.table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
        message.header.protocol = RouteProtocol::Other(OURS);
        message.header.kind = match self.way {
            Way::Tunnel { .. } => RouteType::Unicast,
            Way::Elsewhere => RouteType::Throw,
            Way::Nowhere => RouteType::Unreachable,
        };
        let all = &mut message.attributes;
        all.push(RouteAttribute::Table(self.table));
        if let Way::Tunnel { device, source } = self.way {
            all.push(RouteAttribute::Oif(device));
            all.extend(source.map(|source| RouteAttribute::PrefSource(source.into())));
            message.header.scope = RouteScope::Link;
        }
        if self.way == Way::Nowhere {
            all.push(RouteAttribute::Priority(LAST));
        } else if self.table == MAIN {
            all.push(RouteAttribute::Priority(BEHIND));
        }
        message
    }

    /// Whether the kernel takes one for the other, and so never both.
    pub(super) fn is_in_the_way_of(&self, other: &Self) -> bool {
        let last = |way| way == Way::Nowhere;
        (self.table, self.to, last(self.way)) == (other.table, other.to, last(other.way)) && self != other
    }

    /// Reads one of ours; none if it is somebody else's.
    pub(super) fn read(message: &RouteMessage) -> Option<Self> {
        if message.header.protocol != RouteProtocol::Other(OURS) {
            return None;
        }
        let seen = Seen::read(message)?;
        let way = match (message.header.kind, seen.device) {
            (RouteType::Throw, _) => Way::Elsewhere,
            (RouteType::Unicast, Some(device)) => Way::Tunnel { device, source: seen.source },
            _ => Way::Nowhere,
        };
        Some(Self { table: seen.table, to: seen.to, way })
    }
}

/// What is read of anybody's route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) table: u32,
    pub(super) to: Prefix,
    pub(super) device: Option<u32>,
    pub(super) source: Option<IpAddr>,
    pub(super) is_plain: bool,
}

impl Seen {
    pub(super) fn read(message: &RouteMessage) -> Option<Self> {
        let everywhere: IpAddr = match message.header.address_family {
            AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
            AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
            _ => return None,
        };
        let (mut to, mut table) = (everywhere, u32::from(message.header.table));
        let (mut device, mut source) = (None, None);
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Destination(at) => to = address(at)?,
                RouteAttribute::PrefSource(at) => source = address(at),
                RouteAttribute::Table(of) => table = *of,
                RouteAttribute::Oif(of) => device = Some(*of),
                // Of several ways any stands for all.
                RouteAttribute::MultiPath(hops) => device = hops.first().map(|hop| hop.interface_index),
                _ => {}
            }
        }
        let to = Prefix::around(to, message.header.destination_prefix_length);
        Some(Self { table, to, device, source, is_plain: message.header.kind == RouteType::Unicast })
    }
}

fn address(of: &RouteAddress) -> Option<IpAddr> {
    match of {
        RouteAddress::Inet(at) => Some((*at).into()),
        RouteAddress::Inet6(at) => Some((*at).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::rule::TABLE;
    use super::*;

    #[test]
    fn a_route_reads_as_it_was_written_and_others_routes_are_not_ours() {
        let way = |source: &str| Way::Tunnel { device: 7, source: source.parse().ok() };
        for (to, way) in [
            ("0.0.0.0/0", way("10.20.0.1")),
            ("2000::/3", way("fd00::1")),
            ("172.17.0.0/16", Way::Elsewhere),
            ("fd77::/64", Way::Tunnel { device: 7, source: None }),
            ("::/0", Way::Nowhere),
        ] {
            for table in [TABLE, MAIN] {
                let route = Route { table, to: to.parse().unwrap(), way };
                let mut message = route.message();
                assert_eq!(Route::read(&message), Some(route));
                message.header.protocol = RouteProtocol::Static;
                assert_eq!(Route::read(&message), None);
            }
        }
    }

    #[test]
    fn what_lost_its_source_makes_room_and_what_goes_nowhere_stays() {
        let route = |way| Route { table: TABLE, to: "::/0".parse().unwrap(), way };
        let [with, without] =
            ["fd00::1", ""].map(|at| route(Way::Tunnel { device: 7, source: at.parse().ok() }));
        assert!(without.is_in_the_way_of(&with) && !with.is_in_the_way_of(&with));
        assert!(!route(Way::Nowhere).is_in_the_way_of(&with));
        assert!(!Route { table: MAIN, ..without }.is_in_the_way_of(&with));
    }
}
