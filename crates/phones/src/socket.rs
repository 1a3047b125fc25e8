//! The socket of the door: what comes is looked at before any key is tried.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use freehold_crypt::BoxSecret;
use gotatun::noise::TunnResult;
use gotatun::noise::rate_limiter::RateLimiter;
use gotatun::packet::{Packet, PacketBufPool, WgKind};
use gotatun::udp::socket::{SockOpt, UdpSocket};
use gotatun::udp::{UdpRecv, UdpSend as _, UdpTransportFactory, UdpTransportFactoryParams};
use gotatun::x25519::PublicKey;

use crate::limit::{Answer, Handshakes};

/// Room in the kernel for packets that were not read yet, in bytes.
const ROOM: usize = 2 << 20;
/// What a handshake begins with (WireGuard's first message).
const INITIATION: u8 = 1;
/// How long reading rests when the system says that something is wrong.
const REST: Duration = Duration::from_millis(100);

/// The address cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("phones cannot be taken in at {address}/udp")]
pub struct BindError {
    address: SocketAddr,
    #[source]
    source: io::Error,
}

/// A bound socket, for the door that has the same key.
pub struct Socket {
    udp: UdpSocket,
    bound: SocketAddr,
    key: PublicKey,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("bound", &self.bound).finish_non_exhaustive()
    }
}

impl Socket {
    /// Binds it; port 0 for any.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind(at: SocketAddr, secret: &BoxSecret) -> Result<Self, BindError> {
        let failed = |source| BindError { address: at, source };
        let options = SockOpt {
            recv_buffer_size: Some(ROOM),
            send_buffer_size: Some(ROOM),
            only_v6: Some(!at.ip().is_unspecified()),
            ..SockOpt::default()
        };
        let udp = UdpSocket::bind(at, options).map_err(failed)?;
        let bound = UdpSocket::local_addr(&udp).map_err(failed)?;
        Ok(Self { udp, bound, key: PublicKey::from(*secret.public().as_bytes()) })
    }

    /// Where it is.
    pub const fn bound(&self) -> SocketAddr {
        self.bound
    }
}

/// Gives the socket to the engine, which asks for it whenever it begins anew.
pub(crate) struct Bound(pub(crate) Socket);

impl UdpTransportFactory for Bound {
    type Send = UdpSocket;
    type Recv = Guarded;

    async fn bind(&mut self, _: &UdpTransportFactoryParams) -> io::Result<(UdpSocket, Guarded)> {
        // It is only faster with it.
        let Self(Socket { udp, key, .. }) = self;
        drop(udp.enable_udp_gro());
        let guarded = Guarded {
            udp: udp.clone(),
            asked: Handshakes::new(Instant::now()),
            look: RateLimiter::new(key, u64::MAX),
            prove: RateLimiter::new(key, 0),
        };
        Ok((udp.clone(), guarded))
    }
}

/// The receiving side.
pub(crate) struct Guarded {
    udp: UdpSocket,
    asked: Handshakes,
    /// Finds out whether a handshake's sender knows this door's key, and lets all of those through.
    look: RateLimiter,
    /// Asks for a proof each time that it is asked.
    prove: RateLimiter,
}

impl Guarded {
    /// What of a datagram may go on to where keys are tried.
    async fn admit(&mut self, packet: Packet, from: SocketAddr) -> Option<Packet> {
        if packet.first() != Some(&INITIATION) {
            return Some(packet);
        }
        // They count sources, and forget them when told.
        self.look.try_reset_count();
        self.prove.try_reset_count();
        let packet = Packet::from(self.look.verify_packet(from, packet).ok()?);
        let now = Instant::now();
        match self.asked.ask(now, from.ip()) {
            Answer::Yes => Some(packet),
            Answer::No => None,
            Answer::Prove => match self.prove.verify_packet(from, packet) {
                Ok(proven) => {
                    (self.asked.proven(now, from.ip()) == Answer::Yes).then(|| Packet::from(proven))
                }
                Err(TunnResult::WriteToNetwork(WgKind::CookieReply(cookie))) => {
                    drop(self.udp.send_to(cookie.into(), from).await);
                    None
                }
                Err(_) => None,
            },
        }
    }
}

impl UdpRecv for Guarded {
    type RecvManyBuf = <UdpSocket as UdpRecv>::RecvManyBuf;

    async fn recv_from(&mut self, pool: &mut PacketBufPool) -> io::Result<(Packet, SocketAddr)> {
        loop {
            match self.udp.recv_from(pool).await {
                Ok((packet, from)) => {
                    if let Some(packet) = self.admit(packet, from).await {
                        return Ok((packet, from));
                    }
                }
                Err(error) => rest(&error).await,
            }
        }
    }

    async fn recv_many_from(
        &mut self,
        buffer: &mut Self::RecvManyBuf,
        pool: &mut PacketBufPool,
        packets: &mut Vec<(Packet, SocketAddr)>,
    ) -> io::Result<()> {
        let mut came = Vec::new();
        while let Err(error) = self.udp.recv_many_from(buffer, pool, &mut came).await {
            // An error that is handed on ends the door.
            came.clear();
            rest(&error).await;
        }
        for (packet, from) in came {
            if let Some(packet) = self.admit(packet, from).await {
                packets.push((packet, from));
            }
        }
        Ok(())
    }
}

async fn rest(error: &io::Error) {
    tracing::debug!(%error, "nothing can be read at the door for phones");
    tokio::time::sleep(REST).await;
}
