//! Ports as people type and read them.

use freehold_realm::body::{Ports, Proto};

/// What a ping is: an echo of ICMPv6, which has no port.
pub(crate) const PING: (u8, u16) = (58, 0);

const ANY: &str = "any";
const PING_WORD: &str = "ping";

/// `tcp/22`, `22/tcp`, `22`, `udp/53`, `tcp/8000-8010`, or `any` for everything that can be sent.
pub(crate) fn read(text: &str) -> Option<Ports> {
    if text == ANY {
        return Some(Ports::ALL);
    }
    let (proto, numbers) = match text.split_once('/') {
        None => (Proto::Tcp, text),
        Some((first, second)) => match (proto(first), proto(second)) {
            (Some(proto), None) => (proto, second),
            (None, Some(proto)) => (proto, first),
            _ => return None,
        },
    };
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let ports = Ports { proto, first: number(first)?, last: number(last)? };
    ports.fits().then_some(ports)
}

/// One port or a ping, as a packet has it: protocol and port.
pub(crate) fn one(text: &str) -> Option<(u8, u16)> {
    if text == PING_WORD {
        return Some(PING);
    }
    let ports = read(text)?;
    (ports.first == ports.last).then_some((ports.proto as u8, ports.first))
}

/// The same the other way round.
pub(crate) fn shown(ports: Ports) -> String {
    match (ports.proto, ports.first == ports.last) {
        (Proto::Any, _) => ANY.to_owned(),
        (proto, true) => format!("{}/{}", word(proto), ports.first),
        (proto, false) => format!("{}/{}-{}", word(proto), ports.first, ports.last),
    }
}

/// One port or a ping.
pub(crate) fn one_shown((proto, port): (u8, u16)) -> String {
    match proto {
        6 => format!("tcp/{port}"),
        17 => format!("udp/{port}"),
        _ => PING_WORD.to_owned(),
    }
}

fn proto(text: &str) -> Option<Proto> {
    [Proto::Tcp, Proto::Udp].into_iter().find(|proto| word(*proto) == text)
}

const fn word(proto: Proto) -> &'static str {
    match proto {
        Proto::Any => ANY,
        Proto::Tcp => "tcp",
        Proto::Udp => "udp",
    }
}

/// A number without sign or spaces.
fn number(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_people_type_them() {
        for (text, shown_as) in [
            ("22", Some("tcp/22")),
            ("tcp/22", Some("tcp/22")),
            ("53/udp", Some("udp/53")),
            ("tcp/8000-8010", Some("tcp/8000-8010")),
            ("8000-8010/udp", Some("udp/8000-8010")),
            ("any", Some("any")),
            ("", None),
            ("0", None),
            ("tcp", None),
            ("tcp/udp", None),
            ("tcp/", None),
            ("+22", None),
            ("65536", None),
            ("tcp/20-10", None),
            ("22/23", None),
            ("any/22", None),
            ("ping", None),
        ] {
            assert_eq!(read(text).map(shown).as_deref(), shown_as, "{text}");
        }
    }

    #[test]
    fn a_question_is_about_one_port() {
        for (text, expected) in [
            ("443", Some((6, 443))),
            ("53/udp", Some((17, 53))),
            ("ping", Some(PING)),
            ("tcp/1-2", None),
            ("any", None),
        ] {
            assert_eq!(one(text), expected, "{text}");
            if let Some(port) = expected {
                assert_eq!(one(&one_shown(port)), Some(port));
            }
        }
    }
}
