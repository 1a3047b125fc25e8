//! Port Control Protocol (RFC 6887) and its predecessor NAT-PMP (RFC 6886), which share a port: questions and answers.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::home::Home;
use crate::{Promise, Protocol, RouterError, Way};

/// Where routers listen.
pub(crate) const PORT: u16 = 5351;
/// No answer of either is longer (RFC 6887, 7).
const ANSWER_MAX: usize = 1100;
/// How long an answer is waited for, each time the question is sent.
const PATIENCE: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1)];
const UNSUPPORTED_VERSION: u8 = 1;

/// A port that is to be passed on; for so many seconds, or not any more with none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) protocol: Protocol,
    pub(crate) inside: u16,
    pub(crate) outside: u16,
    pub(crate) seconds: u32,
    /// Who asks again has to know it (PCP only).
    pub(crate) nonce: [u8; 12],
}

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// Not an answer to this.
    Nothing,
    /// It does not speak this protocol.
    OtherVersion,
    Refused(u16),
    /// NAT-PMP says its address apart.
    Mapped {
        port: u16,
        at: Option<Ipv4Addr>,
        seconds: u32,
    },
    At(Ipv4Addr),
}

/// Asks by PCP, or by NAT-PMP if the router speaks that alone; nothing comes back if it is silent.
pub(crate) async fn ask(home: Home, ask: &Ask) -> Result<Option<(Way, Promise)>, RouterError> {
    let socket = UdpSocket::bind(SocketAddrV4::new(home.own, 0)).await?;
    socket.connect((home.router, PORT)).await?;
    let question = pcp(home.own, ask);
    match exchange(&socket, &question, |answer| read_pcp(answer, ask)).await? {
        None => Ok(None),
        Some(Said::Mapped { port, at: Some(at), seconds }) => {
            Ok(Some((Way::Pcp, promise(at, port, seconds))))
        }
        Some(Said::OtherVersion) => nat_pmp(home, &socket, ask).await,
        Some(said) => Err(refused(home, Way::Pcp, said)),
    }
}

async fn nat_pmp(home: Home, socket: &UdpSocket, ask: &Ask) -> Result<Option<(Way, Promise)>, RouterError> {
    let at = match exchange(socket, &[0, 0], read_nat_pmp_address).await? {
        None => return Ok(None),
        Some(Said::At(at)) => at,
        Some(said) => return Err(refused(home, Way::NatPmp, said)),
    };
    match exchange(socket, &nat_pmp_map(ask), |answer| read_nat_pmp(answer, ask)).await? {
        None => Ok(None),
        Some(Said::Mapped { port, seconds, .. }) => Ok(Some((Way::NatPmp, promise(at, port, seconds)))),
        Some(said) => Err(refused(home, Way::NatPmp, said)),
    }
}

fn promise(at: Ipv4Addr, port: u16, seconds: u32) -> Promise {
    Promise { outside: SocketAddrV4::new(at, port), lasts: Duration::from_secs(u64::from(seconds)) }
}

fn refused(home: Home, way: Way, said: Said) -> RouterError {
    let said = match said {
        Said::Refused(2) => "it is not allowed".to_owned(),
        Said::Refused(3) => "it has no network itself".to_owned(),
        Said::Refused(4 | 8) => "it has no room".to_owned(),
        Said::Refused(code) => format!("it says {code}"),
        _ => "it says nothing of use".to_owned(),
    };
    RouterError::Refused { at: home.router, way, said }
}

/// Sends until something comes that is an answer.
async fn exchange(
    socket: &UdpSocket,
    question: &[u8],
    read: impl Fn(&[u8]) -> Said,
) -> Result<Option<Said>, RouterError> {
    let mut buffer = [0; ANSWER_MAX];
    for patience in PATIENCE {
        socket.send(question).await?;
        let answer = async {
            loop {
                let length = socket.recv(&mut buffer).await?;
                match read(buffer.get(..length).unwrap_or_default()) {
                    Said::Nothing => {}
                    said => return Ok::<_, io::Error>(said),
                }
            }
        };
        match timeout(patience, answer).await {
            Ok(Ok(said)) => return Ok(Some(said)),
            // Nobody listens there.
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(None),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {}
        }
    }
    Ok(None)
}

const fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    }
}

/// RFC 6887, 7.1 and 11.1: a request with the opcode MAP.
fn pcp(own: Ipv4Addr, ask: &Ask) -> Vec<u8> {
    let mut out = vec![2, 1, 0, 0];
    out.extend(ask.seconds.to_be_bytes());
    out.extend(own.to_ipv6_mapped().octets());
    out.extend(ask.nonce);
    out.extend([number(ask.protocol), 0, 0, 0]);
    out.extend(ask.inside.to_be_bytes());
    out.extend(ask.outside.to_be_bytes());
    // Any address of the family.
    out.extend(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets());
    out
}

pub(crate) fn read_pcp(answer: &[u8], ask: &Ask) -> Said {
    // What speaks NAT-PMP alone answers in its own form (RFC 6886, 3.5).
    if answer.len() >= 4 && answer.first() == Some(&0) {
        let refuses = u16_at(answer, 2) == Some(u16::from(UNSUPPORTED_VERSION));
        return if refuses { Said::OtherVersion } else { Said::Nothing };
    }
    let head = (answer.first(), answer.get(1), answer.get(3));
    let (Some(2), Some(0x81), Some(&code)) = head else { return Said::Nothing };
    if code == UNSUPPORTED_VERSION {
        return Said::OtherVersion;
    }
    let is_ours = answer.get(24..36) == Some(&ask.nonce)
        && answer.get(36) == Some(&number(ask.protocol))
        && u16_at(answer, 40) == Some(ask.inside);
    if !is_ours {
        return Said::Nothing;
    }
    if code != 0 {
        return Said::Refused(u16::from(code));
    }
    let at = answer.get(44..60).and_then(|at| <[u8; 16]>::try_from(at).ok());
    let at = at.and_then(|at| Ipv6Addr::from(at).to_ipv4_mapped());
    match (u32_at(answer, 4), u16_at(answer, 42), at) {
        (Some(seconds), Some(port), Some(at)) => Said::Mapped { port, at: Some(at), seconds },
        _ => Said::Nothing,
    }
}

/// RFC 6886, 3.3.
fn nat_pmp_map(ask: &Ask) -> Vec<u8> {
    let opcode = nat_pmp_opcode(ask.protocol);
    // To take a mapping back the port outside is none as well.
    let outside = if ask.seconds == 0 { 0 } else { ask.outside };
    let mut out = vec![0, opcode, 0, 0];
    out.extend(ask.inside.to_be_bytes());
    out.extend(outside.to_be_bytes());
    out.extend(ask.seconds.to_be_bytes());
    out
}

const fn nat_pmp_opcode(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Udp => 1,
        Protocol::Tcp => 2,
    }
}

pub(crate) fn read_nat_pmp(answer: &[u8], ask: &Ask) -> Said {
    let opcode = nat_pmp_opcode(ask.protocol) | 0x80;
    if answer.first() != Some(&0) || answer.get(1) != Some(&opcode) {
        return Said::Nothing;
    }
    match (u16_at(answer, 2), u16_at(answer, 8), u16_at(answer, 10), u32_at(answer, 12)) {
        (Some(0), Some(inside), Some(port), Some(seconds)) if inside == ask.inside => {
            Said::Mapped { port, at: None, seconds }
        }
        (Some(code), ..) if code != 0 => Said::Refused(code),
        _ => Said::Nothing,
    }
}

/// RFC 6886, 3.2.
pub(crate) fn read_nat_pmp_address(answer: &[u8]) -> Said {
    if answer.first() != Some(&0) || answer.get(1) != Some(&0x80) {
        return Said::Nothing;
    }
    match (u16_at(answer, 2), u32_at(answer, 8)) {
        (Some(0), Some(at)) => Said::At(at.into()),
        (Some(code), _) if code != 0 => Said::Refused(code),
        _ => Said::Nothing,
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_be_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ASK: Ask =
        Ask { protocol: Protocol::Udp, inside: 4710, outside: 4710, seconds: 7200, nonce: [7; 12] };

    fn pcp_answer(code: u8, port: u16) -> Vec<u8> {
        let mut out = vec![2, 0x81, 0, code, 0, 0, 0x0e, 0x10];
        out.extend([0; 16]);
        out.extend([7; 12]);
        out.extend([17, 0, 0, 0]);
        out.extend(4710_u16.to_be_bytes());
        out.extend(port.to_be_bytes());
        out.extend(Ipv4Addr::new(203, 0, 113, 7).to_ipv6_mapped().octets());
        out
    }

    #[test]
    fn questions_are_as_the_standards_say() {
        let question = pcp(Ipv4Addr::new(192, 168, 1, 7), &ASK);
        assert_eq!(question.len(), 60);
        assert_eq!(question[..8], [2, 1, 0, 0, 0, 0, 0x1c, 0x20]);
        assert_eq!(question[18..24], [0xff, 0xff, 192, 168, 1, 7]);
        assert_eq!(question[36], 17);
        assert_eq!(nat_pmp_map(&ASK), [0, 1, 0, 0, 0x12, 0x66, 0x12, 0x66, 0, 0, 0x1c, 0x20]);
        let back = Ask { seconds: 0, ..ASK };
        assert_eq!(nat_pmp_map(&back), [0, 1, 0, 0, 0x12, 0x66, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn an_answer_counts_for_what_was_asked_alone() {
        let at = Some(Ipv4Addr::new(203, 0, 113, 7));
        let good = pcp_answer(0, 5000);
        assert_eq!(read_pcp(&good, &ASK), Said::Mapped { port: 5000, at, seconds: 3600 });
        assert_eq!(read_pcp(&good, &Ask { nonce: [8; 12], ..ASK }), Said::Nothing);
        assert_eq!(read_pcp(&good, &Ask { inside: 1, ..ASK }), Said::Nothing);
        assert_eq!(read_pcp(&good, &Ask { protocol: Protocol::Tcp, ..ASK }), Said::Nothing);
        assert_eq!(read_pcp(&pcp_answer(2, 0), &ASK), Said::Refused(2));
        assert_eq!(read_pcp(&[0, 0x81, 0, 1, 0, 0, 0, 0], &ASK), Said::OtherVersion);
        let nat_pmp = [0, 0x81, 0, 0, 0, 0, 0, 9, 0x12, 0x66, 0x13, 0x88, 0, 0, 0x0e, 0x10];
        assert_eq!(read_nat_pmp(&nat_pmp, &ASK), Said::Mapped { port: 5000, at: None, seconds: 3600 });
        assert_eq!(read_nat_pmp(&nat_pmp, &Ask { inside: 1, ..ASK }), Said::Nothing);
        let address = [0, 0x80, 0, 0, 0, 0, 0, 9, 203, 0, 113, 7];
        assert_eq!(read_nat_pmp_address(&address), Said::At(Ipv4Addr::new(203, 0, 113, 7)));
        assert_eq!(read_nat_pmp_address(&[0, 0x80, 0, 3]), Said::Refused(3));
    }

    const fn is_mapped(said: Said) -> bool {
        matches!(said, Said::Mapped { .. })
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_none(bytes: Vec<u8>, cut in 0..60_usize) {
            prop_assert!(bytes.len() >= 60 || !is_mapped(read_pcp(&bytes, &ASK)));
            prop_assert!(bytes.len() >= 16 || !is_mapped(read_nat_pmp(&bytes, &ASK)));
            prop_assert!(bytes.len() >= 12 || !matches!(read_nat_pmp_address(&bytes), Said::At(_)));
            let good = pcp_answer(0, 1);
            prop_assert_eq!(read_pcp(&good[..cut], &ASK), Said::Nothing);
        }
    }
}
