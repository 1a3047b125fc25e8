//! Asks the router of this house to pass a port of its public address on to this machine: by PCP (RFC 6887), NAT-PMP
//! (RFC 6886) or UPnP (Internet Gateway Device), in this order. It must never ask anybody but the machine that the
//! default route leads to, read more of an answer than a few kilobytes, believe that what a router says is true, or
//! leave a port open that nobody listens at any more.
//!
//! Start reading at [`keep`]. What goes over the wire is in `pcp` and `soap`, without I/O.

mod home;
mod keep;
mod pcp;
#[doc(hidden)]
pub mod probe;
mod soap;
mod upnp;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

pub use keep::{Wanted, keep};

/// What is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
}

/// How a router was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Port Control Protocol.
    Pcp,
    /// Its predecessor.
    NatPmp,
    /// Universal Plug and Play.
    Upnp,
}

impl Way {
    /// As people call it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pcp => "PCP",
            Self::NatPmp => "NAT-PMP",
            Self::Upnp => "UPnP",
        }
    }
}

/// A port that a router says it passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapped {
    /// Where it says that it listens. It may be wrong, or stand behind another router: then that is a private
    /// address.
    pub outside: SocketAddrV4,
    /// How it was asked.
    pub way: Way,
}

/// How a port stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Standing {
    /// Not asked yet.
    #[default]
    Asking,
    /// Passed on.
    Open(Mapped),
    /// Not passed on, and why.
    Shut(String),
}

impl Standing {
    /// Where it is reached from outside, as far as the router says.
    #[must_use]
    pub const fn outside(&self) -> Option<SocketAddrV4> {
        match self {
            Self::Open(mapped) => Some(mapped.outside),
            Self::Asking | Self::Shut(_) => None,
        }
    }
}

/// Why a router does not pass a port on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RouterError {
    #[error("this machine is behind no router: it has no default route over IPv4")]
    NoRouter,
    #[error("this machine has an address of the internet itself, {0}")]
    Outside(Ipv4Addr),
    #[error("the router at {0} answers neither PCP, NAT-PMP nor UPnP")]
    Silent(Ipv4Addr),
    #[error("the router at {at} does not pass it on ({}): {said}", way.word())]
    Refused { at: Ipv4Addr, way: Way, said: String },
    #[error("the router passes port {got} on, and {wanted} is needed")]
    OtherPort { got: u16, wanted: u16 },
    #[error("asking the router: {0}")]
    Ask(#[from] std::io::Error),
}

/// What a router was asked and promised.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Promise {
    pub(crate) outside: SocketAddrV4,
    /// It forgets after this time.
    pub(crate) lasts: Duration,
}
