//! Probes of what stands around a machine: the router of its house, and its own `tor`. The first byte says which.

use std::net::{Ipv4Addr, SocketAddrV4};

use freehold_onion::probe as tor;
use freehold_onion::{Address, ClientKey, ClientName};
use freehold_router::{Protocol, probe};

const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
const NONCE: [u8; 12] = [7; 12];
const INSIDE: u16 = 4710;
/// The longest text of `tor`'s that people are shown.
const SHOWN: usize = 200;

/// An answer counts for what was asked alone, and nothing leads anywhere but to the router.
pub fn router(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    let text = || String::from_utf8_lossy(data).into_owned();
    match which % 6 {
        0 => {
            if let Some((port, _)) = probe::pcp(data, Protocol::Udp, INSIDE, NONCE) {
                assert!(data.len() >= 60 && data[24..36] == NONCE, "an answer to somebody else");
                assert_eq!(
                    (&data[40..42], &data[42..44]),
                    (&INSIDE.to_be_bytes()[..], &port.to_be_bytes()[..])
                );
                assert_eq!(probe::pcp(data, Protocol::Tcp, INSIDE, NONCE), None, "TCP and UDP are one");
                assert_eq!(probe::pcp(data, Protocol::Udp, INSIDE, [8; 12]), None, "anybody's nonce");
            }
        }
        1 => {
            if probe::nat_pmp(data, Protocol::Udp, INSIDE).is_some() {
                assert!(data.len() >= 16 && data[8..10] == INSIDE.to_be_bytes(), "another port");
                assert_eq!(probe::nat_pmp(data, Protocol::Tcp, INSIDE), None, "TCP and UDP are one");
            }
        }
        2 => {
            if let Some(at) = probe::nat_pmp_address(data) {
                assert_eq!(data.get(8..12), Some(&at.octets()[..]));
            }
        }
        3 => {
            if let Some((at, path)) = probe::description(data, ROUTER) {
                assert_eq!(*at.ip(), ROUTER, "led elsewhere");
                assert!(path.starts_with('/'), "{path}");
            }
        }
        4 => {
            let described = SocketAddrV4::new(ROUTER, 5000);
            if let Some((service, at, path)) = probe::control(&text(), ROUTER, described) {
                assert_eq!(*at.ip(), ROUTER, "led elsewhere");
                assert!(path.starts_with('/'), "{path}");
                // It is said in a header and in XML as it is.
                let plain = |letter: char| letter.is_ascii_alphanumeric() || ":-".contains(letter);
                assert!(service.chars().all(plain), "{service:?}");
            }
        }
        _ => {
            let text = text();
            for name in ["NewExternalIPAddress", "errorCode"] {
                assert!(
                    probe::field(&text, name).is_none_or(|said| !said.is_empty() && said.len() <= text.len())
                );
            }
        }
    }
}

/// What is shown of `tor` to people is short and plain, and no line is held that is too long.
pub fn onion(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    let text = std::str::from_utf8(data).unwrap_or_default();
    match which % 4 {
        0 => {
            let whole = tor::lines(data, data.len());
            assert!(whole.iter().all(|line| line.len() <= tor::LINE_MAX), "a line that is too long");
            for size in [1, 7] {
                assert_eq!(tor::lines(data, size), whole, "other lines in pieces of {size}");
            }
            for line in &whole {
                said(line);
            }
        }
        1 => said(text),
        2 => {
            if let Ok(address) = text.parse::<Address>() {
                assert_eq!(address.as_str(), text);
                let plain = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit();
                assert!(address.letters().bytes().all(plain), "{text}");
            }
        }
        _ => {
            if let Ok(name) = text.parse::<ClientName>() {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
                assert!(name.as_str().bytes().all(plain), "a name that leads elsewhere: {text}");
            }
            if let Ok(key) = text.parse::<ClientKey>() {
                assert_eq!(key.text(), text, "two spellings of one key");
            }
        }
    }
}

fn said(line: &str) {
    let (percent, shown) = tor::line(line);
    assert!(percent.is_none_or(|percent| percent <= 100), "{line}");
    assert!(shown.is_none_or(|shown| is_plain(&shown)), "{line}");
}

fn is_plain(shown: &str) -> bool {
    shown.chars().count() <= SHOWN && !shown.chars().any(char::is_control)
}
