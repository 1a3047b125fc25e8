//! What the tunnel is told at its start and whenever the log changes, and what can be wrong with it.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use freehold_reach::{Net, Party, Wish};
use freehold_wire::{NodeId, Prefix};
use tokio::sync::mpsc;

use crate::kernel::RouteError;
use crate::phones::Phones;

/// The largest packet on the device: what one datagram of a line carries over most of the internet.
pub const MTU: u16 = 1400;
/// What Linux takes as a name of a device, in bytes.
const NAME_MAX: usize = 15;

/// How the device is to be.
#[derive(Debug)]
pub struct Config {
    /// Its name; another program must not have it.
    pub name: String,
    /// The largest packet on it, in bytes; at least 1,280, which IPv6 asks for.
    pub mtu: u16,
    /// A TUN that somebody has opened with this name for a process without rights (`IFF_TUN`, `IFF_NO_PI`,
    /// `IFF_VNET_HDR`), up, with its addresses and routes set: then nothing of that is touched.
    pub opened: Option<OwnedFd>,
    /// What stands in for a kernel, where none is to be asked: then there is no device at all.
    pub hands: Option<Hands>,
    /// Phones that reach the network through this machine.
    pub phones: Option<Phones>,
}

/// Packets by hand, for a process that may not make a device: a stack of its own has the other ends.
#[derive(Debug)]
pub struct Hands {
    /// What came and passed: whole IP packets. Who sent them stands behind them, and not their sums, which may
    /// be partial.
    pub to: mpsc::Sender<Vec<Bytes>>,
    /// What leaves: [`freehold_packet::Virtio`], and an IP packet, which may be a large one.
    pub from: mpsc::Receiver<Bytes>,
}

impl Default for Config {
    fn default() -> Self {
        Self { name: "freehold0".to_owned(), mtu: MTU, opened: None, hands: None, phones: None }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), StartError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty() || self.name.len() > NAME_MAX || !self.name.chars().all(plain) {
            return Err(StartError::Name(self.name.clone()));
        }
        if self.mtu < 1280 { Err(StartError::Mtu(self.mtu)) } else { Ok(()) }
    }
}

/// What the tunnel goes by: the log at one moment, as the node sees it.
#[derive(Debug, Clone)]
pub struct View {
    /// Another number with each change: flows are judged again.
    pub generation: u64,
    /// Who may reach whom.
    pub net: Net,
    /// What this machine uses of what others offer.
    pub wish: Wish,
    /// What the kernel is to send into the device.
    pub networks: Vec<Prefix>,
    /// The networks that are the realm's own: packets with addresses of these come and go by the device alone.
    pub realm: Vec<Prefix>,
}

impl View {
    /// The addresses of a machine, and of the services that answer at it.
    pub(crate) fn own(&self, me: NodeId) -> Vec<IpAddr> {
        let Some((v6, v4)) = self.net.addresses(Party::Node(me)) else { return Vec::new() };
        [Some(v6.into()), v4.map(IpAddr::from)].into_iter().flatten().chain(self.net.offered()).collect()
    }
}

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The name cannot be a device's.
    #[error("{0:?} cannot be the name of a network device: 1 to {NAME_MAX} letters, digits, - _ .")]
    Name(String),
    /// Too small.
    #[error("a device whose packets have at most {0} bytes carries no IPv6; 1280 is the least")]
    Mtu(u16),
    /// The kernel has no TUN.
    #[error(
        "this machine has no /dev/net/tun: load the kernel's module with `sudo modprobe tun`, or give the \
         container the device"
    )]
    NoTun,
    /// No right to make a network device.
    #[error(
        "no right to make the network device {0}: let systemd run the daemon, which gives it that one right, with \
         `sudo freehold up --install-service`; a container needs `--cap-add NET_ADMIN --device /dev/net/tun`; \
         anybody else `sudo setcap cap_net_admin+ep \"$(readlink -f \"$(command -v freehold)\")\"`"
    )]
    NotAllowed(String),
    /// The name is in use.
    #[error("another program has the network device {0}; is a daemon running already?")]
    Taken(String),
    /// Something else about the device.
    #[error("the network device {name} could not be made")]
    Device {
        /// Its name.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Addresses or routes.
    #[error("the network device is there, and could not be set up")]
    Routes(#[from] RouteError),
}
