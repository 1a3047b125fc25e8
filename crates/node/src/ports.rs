//! Ports: the wanted one if it is free, else the next that is, and a word about it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpListener;

/// How many ports above the wanted one are tried before the system is asked for any.
const TRIES: u16 = 20;

/// A listener and whether it had to move.
#[derive(Debug)]
pub struct Listening {
    /// The socket.
    pub listener: TcpListener,
    /// Where it is.
    pub address: SocketAddr,
    /// Why it is not where it was wanted, for people.
    pub moved: Option<String>,
}

impl Listening {
    /// Where a program on this machine finds it.
    pub fn reachable(&self) -> SocketAddr {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        SocketAddr::new(ip, self.address.port())
    }
}

/// Listens on `wanted` or the next free port.
///
/// # Errors
/// The system's own error if the address itself cannot be used.
pub async fn listen(what: &str, ip: IpAddr, wanted: u16) -> io::Result<Listening> {
    for port in (wanted..=wanted.saturating_add(TRIES)).chain([0]) {
        match TcpListener::bind((ip, port)).await {
            Ok(listener) => {
                let address = listener.local_addr()?;
                let moved = (address.port() != wanted && wanted != 0)
                    .then(|| format!("port {wanted} is taken, so the {what} is on {}", address.port()));
                return Ok(Listening { listener, address, moved });
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) => {}
            Err(e) => return Err(e),
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no port is free"))
}

/// A UDP port that is free now: the wanted one or one above it.
pub fn free_udp(ip: IpAddr, wanted: u16) -> Option<u16> {
    (wanted..=wanted.saturating_add(TRIES)).find(|port| std::net::UdpSocket::bind((ip, *port)).is_ok())
}
