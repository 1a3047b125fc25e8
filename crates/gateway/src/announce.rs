//! Who comes, told to the other end of a connection that is passed on: the PROXY protocol, version 2
//! (HAProxy's `proxy-protocol.txt`, 2.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const MARK: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const HEAD: usize = 16;
const VERSION: u8 = 2;
/// The longest that is read, what is told besides addresses included.
pub const ANNOUNCE_MAX: usize = 4096;

/// What stands before a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announced {
    /// More bytes are needed.
    More,
    /// A client at one address has come to another; the head is so long.
    Client {
        /// Who comes.
        from: SocketAddr,
        /// Where to.
        to: SocketAddr,
        /// The length of all that was read.
        len: usize,
    },
    /// Whoever is at the other end speaks for itself, in a check of its own.
    Own {
        /// The length of all that was read.
        len: usize,
    },
    /// Nothing of the kind.
    Bad,
}

/// What to send before anything else.
pub fn announce(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let mut out = MARK.to_vec();
    out.push(VERSION << 4 | 1);
    match (from.ip().to_canonical(), to.ip().to_canonical()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            out.extend([0x11, 0, 12]);
            out.extend(from.octets());
            out.extend(to.octets());
        }
        (from, to) => {
            let wide = |ip| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            };
            out.extend([0x21, 0, 36]);
            out.extend(wide(from).octets());
            out.extend(wide(to).octets());
        }
    }
    out.extend(from.port().to_be_bytes());
    out.extend(to.port().to_be_bytes());
    out
}

/// Reads what somebody announces at the beginning of all that has come so far.
pub fn read(bytes: &[u8]) -> Announced {
    if !MARK.iter().zip(bytes).all(|(mark, byte)| mark == byte) {
        return Announced::Bad;
    }
    let Some(&[command, family, high, low]) = bytes.get(12..HEAD) else { return Announced::More };
    let len = HEAD + usize::from(u16::from_be_bytes([high, low]));
    let (version, own) = (command >> 4, command & 15);
    if version != VERSION || own > 1 || len > ANNOUNCE_MAX {
        return Announced::Bad;
    }
    let Some(body) = bytes.get(HEAD..len) else { return Announced::More };
    if own == 0 {
        return Announced::Own { len };
    }
    addresses(family, body).map_or(Announced::Bad, |(from, to)| Announced::Client { from, to, len })
}

fn addresses(family: u8, body: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let port = |at: usize| body.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes);
    match family {
        0x11 => {
            let ip = |at: usize| <[u8; 4]>::try_from(body.get(at..at + 4)?).ok().map(Ipv4Addr::from);
            Some(((ip(0)?, port(8)?).into(), (ip(4)?, port(10)?).into()))
        }
        0x21 => {
            let ip = |at: usize| <[u8; 16]>::try_from(body.get(at..at + 16)?).ok().map(Ipv6Addr::from);
            Some(((ip(0)?, port(32)?).into(), (ip(16)?, port(34)?).into()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_as_the_format_says() {
        let said = announce("192.0.2.1:56324".parse().unwrap(), "198.51.100.2:443".parse().unwrap());
        let expected = [
            0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x21, 0x11, 0, 12, 192, 0,
            2, 1, 198, 51, 100, 2, 0xdc, 0x04, 0x01, 0xbb,
        ];
        assert_eq!(said, expected);
        assert_eq!(read(b"GET / HTTP/1.1\r\n"), Announced::Bad);
        let mut own = MARK.to_vec();
        own.extend([0x20, 0, 0, 3, 1, 2, 3, b'x']);
        assert_eq!(read(&own), Announced::Own { len: 19 });
    }

    proptest! {
        #[test]
        fn what_is_announced_is_read(from: SocketAddr, to: SocketAddr, rest: Vec<u8>) {
            let said = announce(from, to);
            for cut in 0..said.len() {
                prop_assert_eq!(read(&said[..cut]), Announced::More);
            }
            let whole = [said.clone(), rest].concat();
            let Announced::Client { from: f, to: t, len } = read(&whole) else { panic!("{whole:?}") };
            prop_assert_eq!(len, said.len());
            prop_assert_eq!((f.ip().to_canonical(), f.port()), (from.ip().to_canonical(), from.port()));
            prop_assert_eq!((t.ip().to_canonical(), t.port()), (to.ip().to_canonical(), to.port()));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, command: u8, family: u8) {
            let with = [&MARK[..], &[command, family], &bytes].concat();
            if let Announced::Client { len, .. } | Announced::Own { len } = read(&with) {
                prop_assert!(len <= with.len());
            }
        }
    }
}
