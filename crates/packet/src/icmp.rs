//! Errors that the tunnel sends, so that a program hears at once what else it would wait for; and what
//! such an error from elsewhere is about. How often they are sent is for the sender to bound.

use std::net::IpAddr;

use crate::checksum::{pseudo, seal_v4, sum};
use crate::field::{put_u16, short};
use crate::head::{self, Flow, Head, Icmp, protocol};

/// What an error may weigh: the least that every IPv6 line carries, and every IPv4 host takes.
const V6_MAX: usize = 1280;
const V4_MAX: usize = 576;
/// The error's own heads.
const V6_HEADS: usize = 48;
const V4_HEADS: usize = 28;

/// Why a packet goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody has this address, or nobody who has it is there.
    Unreachable,
    /// The rules forbid it.
    Prohibited,
    /// It may have at most so many bytes, and may not be split.
    TooBig(u16),
    /// It has been passed on too often.
    Expired,
}

impl Refusal {
    /// Type, code, and the four bytes that follow the sum.
    fn words(self, v6: bool) -> (u8, u8, u32) {
        match (self, v6) {
            (Self::Unreachable, true) => (1, 3, 0),
            (Self::Unreachable, false) => (3, 1, 0),
            (Self::Prohibited, true) => (1, 1, 0),
            (Self::Prohibited, false) => (3, 13, 0),
            (Self::TooBig(most), true) => (2, 0, u32::from(most)),
            (Self::TooBig(most), false) => (3, 4, u32::from(most)),
            (Self::Expired, true) => (3, 0, 0),
            (Self::Expired, false) => (11, 0, 0),
        }
    }
}

/// The error about a packet, from an address of this machine. None where none may be sent: about another
/// error, a later piece, or to and from what is not one machine (RFC 1122, 3.2.2; RFC 4443, 2.4).
pub fn error(packet: &[u8], from: IpAddr, why: Refusal) -> Option<Vec<u8>> {
    let head = Head::parse(packet).ok()?;
    let later = head.piece.is_some_and(|piece| !piece.first);
    let answerable = !later
        && !matches!(head.icmp, Some(Icmp::Error | Icmp::Other))
        && is_one(head.flow.src)
        && (is_one(head.flow.dst) || (head.is_v6() && matches!(why, Refusal::TooBig(_))));
    if !answerable {
        return None;
    }
    match (from, head.flow.src) {
        (IpAddr::V6(from), IpAddr::V6(to)) => Some(v6(packet, from.octets(), to.octets(), why)),
        (IpAddr::V4(from), IpAddr::V4(to)) => Some(v4(packet, from.octets(), to.octets(), why)),
        _ => None,
    }
}

/// The flow of ours that an error is about, as we would send it. An error about a flow that nobody has is
/// not for us.
pub fn about(packet: &[u8], head: &Head) -> Option<Flow> {
    if head.icmp != Some(Icmp::Error) {
        return None;
    }
    let flow = head::quoted(packet.get(usize::from(head.payload)..)?)?;
    (flow.src == head.flow.dst && flow.src.is_ipv6() == head.is_v6()).then_some(flow)
}

fn is_one(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(address.is_multicast() || address.is_unspecified() || address.is_loopback() || broadcast)
}

fn quote(packet: &[u8], room: usize) -> &[u8] {
    packet.get(..room).unwrap_or(packet)
}

fn v6(packet: &[u8], from: [u8; 16], to: [u8; 16], why: Refusal) -> Vec<u8> {
    let quote = quote(packet, V6_MAX - V6_HEADS);
    let mut out = Vec::with_capacity(V6_HEADS + quote.len());
    out.extend_from_slice(&[0x60, 0, 0, 0]);
    out.extend_from_slice(&short(8 + quote.len()).to_be_bytes());
    out.extend_from_slice(&[protocol::ICMP6, 64]);
    out.extend_from_slice(&from);
    out.extend_from_slice(&to);
    body(&mut out, why, true, quote);
    if let Ok(head) = Head::parse(&out) {
        let l4 = out.get(40..).unwrap_or_default();
        let whole = !crate::checksum::add(sum(l4), pseudo(&head, l4.len()));
        put_u16(&mut out, 42, whole);
    }
    out
}

fn v4(packet: &[u8], from: [u8; 4], to: [u8; 4], why: Refusal) -> Vec<u8> {
    let quote = quote(packet, V4_MAX - V4_HEADS);
    let mut out = Vec::with_capacity(V4_HEADS + quote.len());
    // An answer, to routers on the way: precedence 6 (RFC 1812, 4.3.2.5).
    out.extend_from_slice(&[0x45, 0xc0]);
    out.extend_from_slice(&short(V4_HEADS + quote.len()).to_be_bytes());
    out.extend_from_slice(&[0, 0, 0, 0, 64, protocol::ICMP, 0, 0]);
    out.extend_from_slice(&from);
    out.extend_from_slice(&to);
    seal_v4(&mut out, 20);
    body(&mut out, why, false, quote);
    let whole = !sum(out.get(20..).unwrap_or_default());
    put_u16(&mut out, 22, whole);
    out
}

fn body(out: &mut Vec<u8>, why: Refusal, v6: bool, quote: &[u8]) {
    let (kind, code, rest) = why.words(v6);
    out.extend_from_slice(&[kind, code, 0, 0]);
    out.extend_from_slice(&rest.to_be_bytes());
    out.extend_from_slice(quote);
}
