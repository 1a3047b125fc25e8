//! What a router's bytes go through before anything is believed, without a network: for the fuzzer and the tests that
//! replay what it found.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::Protocol;
use crate::pcp::{self, Ask};
use crate::soap;

/// What an answer has to be about.
const fn ask(protocol: Protocol, inside: u16, nonce: [u8; 12]) -> Ask {
    Ask { protocol, inside, outside: inside, seconds: 7200, nonce }
}

/// The port, and the address, that an answer of PCP promises.
#[must_use]
pub fn pcp(answer: &[u8], protocol: Protocol, inside: u16, nonce: [u8; 12]) -> Option<(u16, Ipv4Addr)> {
    match pcp::read_pcp(answer, &ask(protocol, inside, nonce)) {
        pcp::Said::Mapped { port, at: Some(at), .. } => Some((port, at)),
        _ => None,
    }
}

/// The port that an answer of NAT-PMP promises.
#[must_use]
pub fn nat_pmp(answer: &[u8], protocol: Protocol, inside: u16) -> Option<u16> {
    match pcp::read_nat_pmp(answer, &ask(protocol, inside, [0; 12])) {
        pcp::Said::Mapped { port, .. } => Some(port),
        _ => None,
    }
}

/// The address that an answer of NAT-PMP tells.
#[must_use]
pub fn nat_pmp_address(answer: &[u8]) -> Option<Ipv4Addr> {
    match pcp::read_nat_pmp_address(answer) {
        pcp::Said::At(at) => Some(at),
        _ => None,
    }
}

/// Where an answer to a search leads.
#[must_use]
pub fn description(answer: &[u8], router: Ipv4Addr) -> Option<(SocketAddrV4, String)> {
    soap::description_of(answer, router).map(|place| (place.at, place.path))
}

/// The service that a description names, and where it is called.
#[must_use]
pub fn control(
    xml: &str,
    router: Ipv4Addr,
    described: SocketAddrV4,
) -> Option<(String, SocketAddrV4, String)> {
    let found = soap::control_of(xml, router, described)?;
    Some((found.service, found.place.at, found.place.path))
}

/// A word of an answer to a call.
#[must_use]
pub fn field(xml: &str, name: &str) -> Option<String> {
    soap::field(xml, name)
}
