//! Datagrams of one sender to one port of this machine, through a socket of its own.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use freehold_packet::{Head, Virtio, checksum, protocol};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::comers::{COMERS, Comers};
use crate::table::{Item, Key};

/// A flow ends when nothing was sent or came for this long (RFC 4787, REQ-5).
const QUIET: Duration = Duration::from_mins(2);
/// What one datagram holds at most.
const LARGEST: usize = 65_535 - 40 - 8;
/// UDP's head.
const HEAD: usize = 8;

/// A flow that others have begun.
pub(crate) struct Flow {
    pub(crate) key: Key,
    /// Where the program is.
    pub(crate) to: SocketAddr,
    pub(crate) out: mpsc::Sender<Bytes>,
    pub(crate) comers: Comers,
}

impl Flow {
    pub(crate) async fn run(self, mut items: mpsc::Receiver<Item>) -> io::Result<()> {
        let own: IpAddr = if self.to.is_ipv4() { COMERS.into() } else { Ipv6Addr::LOCALHOST.into() };
        let socket = UdpSocket::bind((own, 0)).await?;
        let _note = self.comers.note((socket.local_addr()?, false), self.key.other.ip());
        let mut buffer = vec![0; LARGEST];
        let mut moved = Instant::now();
        loop {
            tokio::select! {
                item = items.recv() => match item {
                    Some(Item::Packet(packet)) => {
                        // What the program does not take is lost, as on any line.
                        drop(socket.send_to(payload(&packet), self.to).await);
                    }
                    Some(Item::Barred(_)) | None => return Ok(()),
                },
                came = timeout_at(moved + QUIET, socket.recv_from(&mut buffer)) => {
                    let Ok(came) = came else { return Ok(()) };
                    // A program on all addresses answers from whichever the kernel likes.
                    if let Ok((len, from)) = came
                        && from.port() == self.to.port()
                        && from.ip().is_loopback()
                        && let Some(packet) = packet((self.key.own, self.key.other), buffer.get(..len).unwrap_or_default())
                    {
                        drop(self.out.try_send(packet));
                    }
                }
            }
            moved = Instant::now();
        }
    }
}

/// What a datagram holds.
pub(crate) fn payload(packet: &[u8]) -> &[u8] {
    let Ok(head) = Head::parse(packet) else { return &[] };
    // Said twice, and the smaller one counts.
    let l4 = packet.get(usize::from(head.l4)..).unwrap_or_default();
    let said = l4.get(4..6).and_then(|len| len.try_into().ok()).map_or(0, u16::from_be_bytes);
    l4.get(HEAD..usize::from(said).min(l4.len())).unwrap_or_default()
}

/// A datagram as a packet, with what the tunnel wants before it.
pub(crate) fn packet((from, to): (SocketAddr, SocketAddr), payload: &[u8]) -> Option<Bytes> {
    let len = u16::try_from(HEAD + payload.len()).ok()?;
    let mut out = BytesMut::with_capacity(Virtio::LEN + 40 + usize::from(len));
    out.put_slice(&Virtio::default().write());
    match (from.ip(), to.ip()) {
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            out.put_slice(&[0x60, 0, 0, 0]);
            out.put_u16(len);
            out.put_slice(&[protocol::UDP, 64]);
            out.put_slice(&from.octets());
            out.put_slice(&to.octets());
        }
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut head = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol::UDP, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            head[2..4].copy_from_slice(&len.checked_add(20)?.to_be_bytes());
            head[12..16].copy_from_slice(&from.octets());
            head[16..20].copy_from_slice(&to.octets());
            let whole = !checksum::sum(&head);
            head[10..12].copy_from_slice(&whole.to_be_bytes());
            out.put_slice(&head);
        }
        _ => return None,
    }
    out.put_u16(from.port());
    out.put_u16(to.port());
    out.put_u16(len);
    out.put_u16(0);
    out.put_slice(payload);
    let (_, own) = out.split_at_mut_checked(Virtio::LEN)?;
    let head = Head::parse(own).ok()?;
    let partial = checksum::pseudo(&head, usize::from(len));
    let at = usize::from(head.l4) + 6;
    own.get_mut(at..at + 2)?.copy_from_slice(&partial.to_be_bytes());
    checksum::finish(own).ok()?;
    Some(out.freeze())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_datagram_as_a_packet_is_the_same_again() {
        for (from, to) in [("[fd00::1]:53", "[fd00::2]:4000"), ("10.20.0.1:53", "10.20.0.2:4000")] {
            let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
            for len in [0, 1, 7, 1200, 9000] {
                let bytes = vec![0xa7; len];
                let made = packet((from, to), &bytes).unwrap();
                let own = &made[Virtio::LEN..];
                let head = Head::parse(own).unwrap();
                assert!(checksum::verify(own, &head));
                assert_eq!(Key::of(&head.flow.reversed(), false), Key { other: to, own: from, tcp: false });
                assert_eq!(payload(own), bytes);
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = payload(&bytes);
            if let Ok(head) = Head::parse(&bytes) {
                let _ = crate::echo::answer(&bytes, &head);
            }
            let _ = crate::engine::refusal(bytes.into(), 1400);
        }
    }
}
