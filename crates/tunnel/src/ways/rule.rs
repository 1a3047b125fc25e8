//! Which table of routes the kernel looks into first: rules as plain data, and as messages of netlink.

use std::net::IpAddr;

use rtnetlink::packet_route::route::{RouteHeader, RouteProtocol};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage, RulePortRange};
use rtnetlink::packet_route::{AddressFamily, IpProtocol};

/// The number by which the kernel knows that a rule or a route is ours, so that the next start finds what a
/// power cut left. The kernel's list of such numbers (`rtnetlink.h`) does not have it.
pub(super) const OURS: u8 = 0xF7;
/// Our table.
pub(super) const TABLE: u32 = 4710;
/// The kernel's own, with the machine's routes.
pub(super) const MAIN: u32 = RouteHeader::RT_TABLE_MAIN as u32;
/// A bit of packets' marks, and of flows': others began it, so that the answer goes back the way that the
/// question came.
pub(super) const MARK: u32 = 0x2000_0000;
/// What the kernel says where nothing is suppressed.
const NOTHING: u32 = u32::MAX;

/// Where a packet comes from or goes to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Which {
    /// From a socket of this machine at a port.
    From { proto: u8, port: u16 },
    /// To a port of a machine.
    To { proto: u8, at: IpAddr, port: u16 },
    /// With our mark.
    Marked,
    /// By a device: what is passed on for others.
    By(String),
    /// Any.
    All,
}

/// A rule: those with a lower number are asked first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rule {
    pub(super) number: u32,
    pub(super) v6: bool,
    pub(super) which: Which,
    pub(super) table: u32,
    /// Only what is not the machine's way to everywhere else.
    pub(super) near: bool,
}

impl Rule {
    pub(super) fn message(&self) -> RuleMessage {
        let mut message = RuleMessage::default();
        message.header.family = if self.v6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
        message.header.action = RuleAction::ToTable;
        let all = &mut message.attributes;
        all.push(RuleAttribute::Priority(self.number));
        all.push(RuleAttribute::Table(self.table));
        all.push(RuleAttribute::Protocol(RouteProtocol::Other(OURS)));
        if self.near {
            all.push(RuleAttribute::SuppressPrefixLen(0));
        }
        let only = |port| RulePortRange { start: port, end: port };
        match &self.which {
            Which::From { proto, port } => {
                all.push(RuleAttribute::IpProtocol(IpProtocol::from(*proto)));
                all.push(RuleAttribute::SourcePortRange(only(*port)));
            }
            Which::To { proto, at, port } => {
                all.push(RuleAttribute::IpProtocol(IpProtocol::from(*proto)));
                all.push(RuleAttribute::Destination(*at));
                all.push(RuleAttribute::DestinationPortRange(only(*port)));
                message.header.dst_len = if at.is_ipv6() { 128 } else { 32 };
            }
            Which::Marked => {
                all.push(RuleAttribute::FwMark(MARK));
                all.push(RuleAttribute::FwMask(MARK));
            }
            Which::By(device) => all.push(RuleAttribute::Iifname(device.clone())),
            Which::All => {}
        }
        message
    }

    /// Reads one of ours; none if it is somebody else's. One that is ours and reads as no rule that we make is
    /// there as one for everything with its number, so that it is taken away.
    pub(super) fn read(message: &RuleMessage) -> Option<Self> {
        let v6 = match message.header.family {
            AddressFamily::Inet => false,
            AddressFamily::Inet6 => true,
            _ => return None,
        };
        let (mut ours, mut number, mut table) = (false, 0, u32::from(message.header.table));
        let (mut near, mut marked, mut by) = (false, false, None);
        let (mut proto, mut from, mut at, mut to) = (None, None, None, None);
        for attribute in &message.attributes {
            match attribute {
                RuleAttribute::Protocol(of) => ours = *of == RouteProtocol::Other(OURS),
                RuleAttribute::Priority(of) => number = *of,
                RuleAttribute::Table(of) => table = *of,
                RuleAttribute::SuppressPrefixLen(of) => near = *of != NOTHING,
                RuleAttribute::FwMark(of) => marked = *of == MARK,
                RuleAttribute::Iifname(name) => by = Some(name.clone()),
                RuleAttribute::IpProtocol(of) => proto = Some(u8::from(*of)),
                RuleAttribute::SourcePortRange(range) => from = Some(range.start),
                RuleAttribute::Destination(of) => at = Some(*of),
                RuleAttribute::DestinationPortRange(range) => to = Some(range.start),
                _ => {}
            }
        }
        let which = match (proto, from, at, to) {
            (Some(proto), Some(port), None, None) => Which::From { proto, port },
            (Some(proto), None, Some(at), Some(port)) => Which::To { proto, at, port },
            _ if marked => Which::Marked,
            _ => by.map_or(Which::All, Which::By),
        };
        ours.then_some(Self { number, v6, which, table, near })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_reads_as_it_was_written_and_others_rules_are_not_ours() {
        let at = "192.0.2.7".parse().unwrap();
        for which in [
            Which::From { proto: 17, port: 4710 },
            Which::To { proto: 6, at, port: 4711 },
            Which::Marked,
            Which::By("freehold0".to_owned()),
            Which::All,
        ] {
            let rule = Rule { number: 4712, v6: false, which, table: MAIN, near: false };
            assert_eq!(Rule::read(&rule.message()), Some(rule.clone()));
            let near = Rule { near: true, table: TABLE, ..rule };
            let mut message = near.message();
            assert_eq!(Rule::read(&message), Some(near));
            message.attributes.retain(|attribute| !matches!(attribute, RuleAttribute::Protocol(_)));
            assert_eq!(Rule::read(&message), None);
        }
    }
}
