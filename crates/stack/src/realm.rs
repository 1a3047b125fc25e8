//! What the stack and the doors of this crate ask of the node.

use std::net::{IpAddr, SocketAddr};

use freehold_packet::Flow;

/// Where a connection that comes over the network goes on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inlet {
    /// Nowhere.
    Shut,
    /// To whatever program listens at the port on all addresses of the machine, as with a network device: what
    /// listens on the loopback alone has not been opened to anybody.
    Wide,
    /// To the loopback as well: somebody has named this very port.
    Named,
    /// To this address.
    At(SocketAddr),
}

/// What a name is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A name of the realm, at these addresses.
    Here(Vec<IpAddr>),
    /// A name below the realm's zone that nothing has.
    Nothing,
    /// A name of somebody else.
    Foreign,
}

/// The realm's network as the node sees it now.
pub trait Realm: Send + Sync + std::fmt::Debug {
    /// The addresses that are this machine's in the network, its own first.
    fn own(&self) -> Vec<IpAddr>;
    /// Where what comes goes. The policy has been asked: this is about how far it means the loopback.
    fn inlet(&self, flow: &Flow) -> Inlet;
    /// What is meant by a name.
    fn look_up(&self, name: &str) -> Found;
    /// Whether an address is reached over the network.
    fn leads(&self, to: IpAddr) -> bool;
}
