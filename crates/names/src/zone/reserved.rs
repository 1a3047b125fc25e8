//! Names that mean something only here, so that nobody outside is asked for them: by RFC 6303, 6761,
//! 7686, 7793 and 8375, and `internal`, which ICANN keeps free for uses like ours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Data, Row};
use crate::domain::Domain;
use crate::reverse::zones_of;

const NAMES: [&str; 8] =
    ["home.arpa", "internal", "invalid", "local", "localhost", "onion", "resolver.arpa", "test"];

const V4: [([u8; 4], u8); 8] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 168, 0, 0], 16),
    ([255, 255, 255, 255], 32),
];

const V6: [(u128, u8); 5] =
    [(0, 128), (1, 128), (0xfd << 120, 8), (0xfe80 << 112, 10), (0x2001_0db8 << 96, 32)];

/// A day: they do not change.
const TTL: u32 = 86_400;

/// Rows for all reserved names but those that somebody in the house answers.
pub fn reserved(except: &[Domain]) -> Vec<Row> {
    let v4 = V4.into_iter().map(|(bytes, len)| (IpAddr::V4(Ipv4Addr::from(bytes)), len));
    let v6 = V6.into_iter().map(|(bits, len)| (IpAddr::V6(Ipv6Addr::from_bits(bits)), len));
    let networks = v4.chain(v6).filter_map(|(address, len)| zones_of(address, len)).flatten();
    let named = NAMES.into_iter().filter_map(|name| name.parse::<Domain>().ok());
    let zone = |apex: Domain| Row::Zone { apex, server: Domain::root(), serial: 1 };
    let mut rows: Vec<Row> = named.chain(networks).filter(|apex| !except.contains(apex)).map(zone).collect();
    for name in ["localhost", "*.localhost"] {
        if let Ok(name) = name.parse::<Domain>() {
            let record = |data| Row::Record { name: name.clone(), ttl: TTL, data };
            rows.push(record(Data::V4(Ipv4Addr::LOCALHOST)));
            rows.push(record(Data::V6(Ipv6Addr::LOCALHOST)));
        }
    }
    rows
}
