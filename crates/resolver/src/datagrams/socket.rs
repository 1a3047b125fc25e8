//! A UDP socket that takes and gives datagrams by the batch.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;

use noq_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use rustix::net::addr::SocketAddrArg as _;
use rustix::net::{AddressFamily, MMsgHdr, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType, sockopt};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::Leaving;

/// What the kernel holds for us while we are busy, as far as it lets us.
const QUEUE: usize = 1 << 20;

/// A bound socket.
#[derive(Debug)]
pub(crate) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    /// Bound to every address: an answer has to name the one that was asked.
    everywhere: bool,
    address: SocketAddr,
}

impl Socket {
    /// Bound, beside others with the same address.
    ///
    /// # Errors
    /// What the system said.
    pub(crate) fn open(address: SocketAddr, device: Option<&str>) -> io::Result<Self> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, None)?;
        sockopt::set_socket_reuseport(&socket, true)?;
        if let Some(device) = device {
            SockRef::from(&socket).bind_device(Some(device.as_bytes()))?;
        }
        if address.is_ipv6() {
            sockopt::set_ipv6_v6only(&socket, true)?;
        }
        // Less than wanted is no reason not to serve.
        sockopt::set_socket_recv_buffer_size(&socket, QUEUE).ok();
        rustix::net::bind(&socket, &address)?;
        let socket = std::net::UdpSocket::from(socket);
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let address = socket.local_addr()?;
        let everywhere = address.ip().is_unspecified();
        Ok(Self { io: UdpSocket::from_std(socket)?, state, everywhere, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        self.io.readable().await
    }

    /// What is there, or `WouldBlock`.
    pub(super) fn receive(&self, room: &mut [IoSliceMut<'_>], heads: &mut [RecvMeta]) -> io::Result<usize> {
        self.io.try_io(Interest::READABLE, || self.state.recv(UdpSockRef::from(&self.io), room, heads))
    }

    /// Sends answers. Who cannot be reached, or for whom there is no room, will ask again.
    pub(super) async fn send_all(&self, leaving: &[Leaving]) {
        let mut rest = leaving;
        while !rest.is_empty() {
            let sent = self.io.try_io(Interest::WRITABLE, || self.send_some(rest));
            match sent {
                Ok(count) => rest = rest.get(count.max(1)..).unwrap_or(&[]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.io.writable().await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    if let Some(first) = rest.first() {
                        tracing::debug!(%error, to = %first.to, "an answer could not be sent");
                    }
                    rest = rest.get(1..).unwrap_or(&[]);
                }
            }
        }
    }

    fn send_some(&self, leaving: &[Leaving]) -> io::Result<usize> {
        if !self.everywhere {
            return send_batch(&self.io, leaving);
        }
        let Some(first) = leaving.first() else { return Ok(0) };
        let transmit = Transmit {
            destination: first.to,
            ecn: None,
            contents: &first.bytes,
            segment_size: None,
            src_ip: first.from,
        };
        self.state.try_send(UdpSockRef::from(&self.io), &transmit).map(|()| 1)
    }
}

/// Sends as many as the kernel takes in one call.
fn send_batch(socket: &UdpSocket, leaving: &[Leaving]) -> io::Result<usize> {
    let addresses: Vec<_> = leaving.iter().map(|leaving| leaving.to.as_any()).collect();
    let slices: Vec<[IoSlice<'_>; 1]> =
        leaving.iter().map(|leaving| [IoSlice::new(&leaving.bytes)]).collect();
    let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> =
        leaving.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let mut messages: Vec<MMsgHdr<'_>> = addresses
        .iter()
        .zip(&slices)
        .zip(&mut controls)
        .map(|((address, slice), control)| MMsgHdr::new_with_addr(address, slice, control))
        .collect();
    Ok(rustix::net::sendmmsg(socket, &mut messages, SendFlags::empty())?)
}
