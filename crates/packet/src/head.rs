//! What the first bytes of a packet say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::field::{array, short, u8_at, u16_at, u32_at};

/// Numbers of the protocols that are looked into.
pub mod protocol {
    /// ICMP of IPv4.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMP of IPv6.
    pub const ICMP6: u8 = 58;
}

/// The flags of a TCP head.
pub mod tcp_flag {
    /// The sender has no more to say.
    pub const FIN: u8 = 0x01;
    /// A connection begins.
    pub const SYN: u8 = 0x02;
    /// There is no such connection.
    pub const RST: u8 = 0x04;
    /// To be handed on at once.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement counts.
    pub const ACK: u8 = 0x10;
    /// Urgent data.
    pub const URG: u8 = 0x20;
    /// Congestion was seen.
    pub const ECE: u8 = 0x40;
    /// Congestion was answered.
    pub const CWR: u8 = 0x80;
}

/// Extension heads of one IPv6 packet; more is nothing that anybody sends in earnest.
const EXTENSIONS_MAX: usize = 8;

/// Who talks to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// From.
    pub src: IpAddr,
    /// To.
    pub dst: IpAddr,
    /// The protocol, past all extension heads.
    pub proto: u8,
    /// TCP's and UDP's port of the sender, an echo's id; zero for all else, and for later pieces.
    pub sport: u16,
    /// The receiver's port, an echo's id.
    pub dport: u16,
}

impl Flow {
    /// What an answer has.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self { src: self.dst, dst: self.src, proto: self.proto, sport: self.dport, dport: self.sport }
    }
}

/// What a TCP head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tcp {
    /// Number of the first byte.
    pub seq: u32,
    /// The next byte that is expected.
    pub ack: u32,
    /// See [`tcp_flag`].
    pub flags: u8,
    /// How much may come.
    pub window: u16,
}

/// What an ICMP packet is, as far as it matters who may send it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icmp {
    /// A ping.
    Echo,
    /// Its answer.
    Reply,
    /// About a packet that it quotes, see [`crate::icmp::about`].
    Error,
    /// Anything else: routers, neighbours, redirects.
    Other,
}

/// Which part of a packet that IP itself has split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Pieces of one packet have the same.
    pub id: u32,
    /// Has the ports; the others follow its fate.
    pub first: bool,
}

/// The head of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Who talks to whom.
    pub flow: Flow,
    /// Where the transport's head begins.
    pub l4: u16,
    /// Where its payload begins.
    pub payload: u16,
    /// The packet's length.
    pub total: u16,
    /// Present for TCP, unless it is a later piece.
    pub tcp: Option<Tcp>,
    /// Present for ICMP, unless it is a later piece.
    pub icmp: Option<Icmp>,
    /// Present if IP has split the packet.
    pub piece: Option<Piece>,
}

/// Why a packet was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// It ends within a head.
    #[error("the packet ends within a head")]
    Short,
    /// Neither IPv4 nor IPv6.
    #[error("IP version {0}")]
    Version(u8),
    /// A length in a head is not that of what came.
    #[error("a length does not fit the packet")]
    Length,
    /// Too many extension heads.
    #[error("more than {EXTENSIONS_MAX} extension heads")]
    Chain,
    /// The protocol, or this piece of a packet, has no such sum.
    #[error("no checksum to fill in")]
    NoSum,
}

/// What is found where the transport's head is.
#[derive(Default)]
struct Transport {
    ports: (u16, u16),
    len: usize,
    tcp: Option<Tcp>,
    icmp: Option<Icmp>,
}

impl Head {
    /// Reads the heads. All lengths fit afterwards; sums are not looked at.
    pub fn parse(packet: &[u8]) -> Result<Self, HeadError> {
        match u8_at(packet, 0).ok_or(HeadError::Short)? >> 4 {
            4 => v4(packet),
            6 => v6(packet),
            other => Err(HeadError::Version(other)),
        }
    }

    /// Where the transport's sum stands, counted from its head.
    pub fn sum_offset(&self) -> Option<u16> {
        match (self.piece, self.flow.proto) {
            (None, protocol::TCP) => Some(16),
            (None, protocol::UDP) => Some(6),
            _ => None,
        }
    }

    /// Whether it is IPv6.
    pub const fn is_v6(&self) -> bool {
        self.flow.src.is_ipv6()
    }
}

fn v4(packet: &[u8]) -> Result<Head, HeadError> {
    let fixed: [u8; 20] = array(packet, 0).ok_or(HeadError::Short)?;
    let l4 = usize::from(fixed[0] & 15) * 4;
    if l4 < 20 || usize::from(u16::from_be_bytes([fixed[2], fixed[3]])) != packet.len() {
        return Err(HeadError::Length);
    }
    let split = u16::from_be_bytes([fixed[6], fixed[7]]);
    let offset = split & 0x1fff;
    let piece = (split & 0x2000 != 0 || offset != 0)
        .then(|| Piece { id: u32::from(u16::from_be_bytes([fixed[4], fixed[5]])), first: offset == 0 });
    let src = Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15]);
    let dst = Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19]);
    head(packet, src.into(), dst.into(), fixed[9], l4, piece)
}

fn v6(packet: &[u8]) -> Result<Head, HeadError> {
    let fixed: [u8; 40] = array(packet, 0).ok_or(HeadError::Short)?;
    if usize::from(u16::from_be_bytes([fixed[4], fixed[5]])) + 40 != packet.len() {
        return Err(HeadError::Length);
    }
    let src: [u8; 16] = array(&fixed, 8).ok_or(HeadError::Short)?;
    let dst: [u8; 16] = array(&fixed, 24).ok_or(HeadError::Short)?;
    let (proto, l4, piece) = extensions(packet, fixed[6])?;
    head(packet, Ipv6Addr::from(src).into(), Ipv6Addr::from(dst).into(), proto, l4, piece)
}

/// Walks over extension heads to the transport's.
fn extensions(packet: &[u8], mut next: u8) -> Result<(u8, usize, Option<Piece>), HeadError> {
    let mut at = 40;
    let mut piece = None;
    for _ in 0..=EXTENSIONS_MAX {
        match next {
            // Hop by hop, routing, for the destination.
            0 | 43 | 60 => {
                let [following, len] = array(packet, at).ok_or(HeadError::Short)?;
                next = following;
                at += (usize::from(len) + 1) * 8;
            }
            44 => {
                let [following, _, high, low, id @ ..] = array::<8>(packet, at).ok_or(HeadError::Short)?;
                let split = u16::from_be_bytes([high, low]);
                let first = split & !7 == 0;
                // Alone in its packet it is none (RFC 6946), and has all that a whole packet has.
                if split & !6 != 0 {
                    piece = Some(Piece { id: u32::from_be_bytes(id), first });
                }
                next = following;
                at += 8;
                if !first {
                    return Ok((next, at, piece));
                }
            }
            _ => return Ok((next, at, piece)),
        }
    }
    Err(HeadError::Chain)
}

fn head(
    packet: &[u8],
    src: IpAddr,
    dst: IpAddr,
    proto: u8,
    l4: usize,
    piece: Option<Piece>,
) -> Result<Head, HeadError> {
    let body = packet.get(l4..).ok_or(HeadError::Short)?;
    let found = match piece {
        Some(Piece { first: false, .. }) => Transport::default(),
        _ => transport(body, proto, piece.is_some())?,
    };
    let (sport, dport) = found.ports;
    if packet.len() > usize::from(u16::MAX) {
        return Err(HeadError::Length);
    }
    Ok(Head {
        flow: Flow { src, dst, proto, sport, dport },
        l4: short(l4),
        payload: short(l4 + found.len),
        total: short(packet.len()),
        tcp: found.tcp,
        icmp: found.icmp,
        piece,
    })
}

fn transport(body: &[u8], proto: u8, split: bool) -> Result<Transport, HeadError> {
    match proto {
        protocol::TCP => tcp(body),
        protocol::UDP => {
            let len = usize::from(u16_at(body, 4).ok_or(HeadError::Short)?);
            if body.len() < 8 {
                return Err(HeadError::Short);
            }
            if len < 8 || (len > body.len() && !split) {
                return Err(HeadError::Length);
            }
            Ok(Transport { ports: ports(body), len: 8, ..Transport::default() })
        }
        protocol::ICMP | protocol::ICMP6 => icmp(body, proto),
        _ => Ok(Transport::default()),
    }
}

fn tcp(body: &[u8]) -> Result<Transport, HeadError> {
    let fixed: [u8; 20] = array(body, 0).ok_or(HeadError::Short)?;
    let len = usize::from(fixed[12] >> 4) * 4;
    if len < 20 {
        return Err(HeadError::Length);
    }
    if len > body.len() {
        return Err(HeadError::Short);
    }
    let tcp = Tcp {
        seq: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        ack: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        flags: fixed[13],
        window: u16::from_be_bytes([fixed[14], fixed[15]]),
    };
    Ok(Transport { ports: ports(body), len, tcp: Some(tcp), icmp: None })
}

fn icmp(body: &[u8], proto: u8) -> Result<Transport, HeadError> {
    let [kind, _, _, _, id, id2, _, _] = array::<8>(body, 0).ok_or(HeadError::Short)?;
    let icmp = match (proto, kind) {
        (protocol::ICMP, 8) | (protocol::ICMP6, 128) => Icmp::Echo,
        (protocol::ICMP, 0) | (protocol::ICMP6, 129) => Icmp::Reply,
        // A redirect (5) quotes as well, and yet is a router's order and no error.
        (protocol::ICMP, 3 | 11 | 12) | (protocol::ICMP6, 1..=4) => Icmp::Error,
        _ => Icmp::Other,
    };
    let id = match icmp {
        Icmp::Echo | Icmp::Reply => u16::from_be_bytes([id, id2]),
        Icmp::Error | Icmp::Other => 0,
    };
    Ok(Transport { ports: (id, id), len: 8, tcp: None, icmp: Some(icmp) })
}

fn ports(body: &[u8]) -> (u16, u16) {
    let both = u32_at(body, 0).unwrap_or_default();
    ((both >> 16) as u16, (both & 0xffff) as u16)
}

/// The flow of a packet of which only the beginning is there: its addresses and ports, no lengths.
pub(crate) fn quoted(packet: &[u8]) -> Option<Flow> {
    let (src, dst, proto, l4, piece): (IpAddr, IpAddr, _, _, _) = match u8_at(packet, 0)? >> 4 {
        4 => {
            let src: [u8; 4] = array(packet, 12)?;
            let dst: [u8; 4] = array(packet, 16)?;
            let later = u16_at(packet, 6)? & 0x1fff != 0;
            let l4 = usize::from(u8_at(packet, 0)? & 15) * 4;
            (src.into(), dst.into(), u8_at(packet, 9)?, l4, later)
        }
        6 => {
            let src: [u8; 16] = array(packet, 8)?;
            let dst: [u8; 16] = array(packet, 24)?;
            let (proto, l4, piece) = extensions(packet, u8_at(packet, 6)?).ok()?;
            (src.into(), dst.into(), proto, l4, piece.is_some_and(|piece| !piece.first))
        }
        _ => return None,
    };
    let body = packet.get(l4..)?;
    let (sport, dport) = match proto {
        _ if piece => (0, 0),
        protocol::TCP | protocol::UDP => (u16_at(body, 0)?, u16_at(body, 2)?),
        protocol::ICMP | protocol::ICMP6 => icmp(body, proto).ok()?.ports,
        _ => (0, 0),
    };
    Some(Flow { src, dst, proto, sport, dport })
}
