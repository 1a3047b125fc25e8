//! One valid input of each kind that the door reads.

use std::net::SocketAddr;

use freehold_gateway::announce;

use super::{Seeds, named};

fn with(which: u8, bytes: &[u8]) -> Vec<u8> {
    [&[which], bytes].concat()
}

pub(crate) fn gateway() -> Seeds {
    let four = [SocketAddr::from(([192, 0, 2, 1], 50_000)), SocketAddr::from(([198, 51, 100, 2], 443))];
    let six = four.map(|at| SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, 1], at.port())));
    // A check of its own: version 2, LOCAL, no addresses.
    let own = [&announce(four[0], four[1])[..12], &[0x20, 0, 0, 0]].concat();
    named(vec![
        ("four", with(0, &announce(four[0], four[1]))),
        ("six", with(0, &announce(six[0], six[1]))),
        ("own", with(0, &own)),
        ("name", with(1, b"Cloud.example.org:8443")),
        ("address", with(1, b"[fd00::1]:443")),
        ("wild", with(1, b"*.example.org")),
    ])
}
