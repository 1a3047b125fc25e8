//! What the mesh is told at its start, and what can be wrong with it.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use freehold_crypt::Secret;
use freehold_wire::NodeId;

use crate::RelayUrl;

/// So long a line stays without datagrams, unless said otherwise.
const LINE_IDLE: Duration = Duration::from_mins(1);

/// Who belongs to the realm. Asked at every connection and before every blob, so it must be quick
/// and must not block.
pub trait Gate: Send + Sync + 'static {
    /// Whether this node may connect and be connected to, now.
    fn admits(&self, node: NodeId) -> bool;

    /// Whether there may be a line to this node, now: whoever is admitted may have one, and others may
    /// have only that.
    fn admits_line(&self, node: NodeId) -> bool {
        self.admits(node)
    }

    /// Whether this node may come by the relay that this machine runs, now: besides whoever is admitted, others who
    /// are on their way to somebody here.
    fn admits_relay(&self, node: NodeId) -> bool {
        self.admits(node)
    }
}

/// Settings of the mesh.
#[derive(Debug)]
pub struct Config {
    /// The seed of the node's Ed25519 key; its public half is the node's id.
    pub secret: Secret,
    /// UDP sockets: one for IPv4, one for IPv6. A port of 0 takes a free one. An IPv6 socket that
    /// the host cannot have is done without if there is an IPv4 one.
    pub bind: Vec<SocketAddr>,
    /// Run a relay for the nodes of the realm.
    pub relay_serve: Option<RelayServe>,
    /// Relays to be reachable through, besides those that peers run.
    pub relays: Vec<RelayUrl>,
    /// Neither send nor receive on UDP: relays only. For networks that block UDP, and for tests.
    pub relay_only: bool,
    /// How long a line stays without datagrams.
    pub line_idle: Duration,
}

impl Config {
    /// A node on these sockets, with no relay of its own or others'.
    pub const fn new(secret: Secret, bind: Vec<SocketAddr>) -> Self {
        Self { secret, bind, relay_serve: None, relays: Vec::new(), relay_only: false, line_idle: LINE_IDLE }
    }
}

/// The relay that this node runs.
#[derive(Debug, Clone)]
pub struct RelayServe {
    /// The TCP socket; UDP with the same port number answers questions about public addresses.
    pub bind: SocketAddr,
    /// How others reach it. Without it, the machine's own address with the widest reach and the
    /// port of `bind`.
    pub url: Option<RelayUrl>,
    /// How many connections it takes at a time.
    pub connections: usize,
}

/// Why the mesh did not start.
#[derive(thiserror::Error)]
pub enum StartError {
    /// Somebody else has the UDP port.
    #[error("UDP port {} is in use; choose another one with --mesh-port PORT, or 0 for any", .0.port())]
    PortInUse(SocketAddr),
    /// Somebody else has the relay's port, with TCP or UDP.
    #[error("the relay's port {} is in use (TCP and UDP are needed); choose another one with --relay IP:PORT", .0.port())]
    RelayPortInUse(SocketAddr),
    /// The address is not one of this machine, or the port needs a privilege we do not have.
    #[error("cannot listen on {at}")]
    Bind {
        /// What was to be bound.
        at: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// More than one socket of a family, or none at all.
    #[error("the mesh needs one IPv4 or one IPv6 socket, and takes at most one of each")]
    Sockets,
    /// iroh refused to start.
    #[error("the mesh's endpoint did not start")]
    Endpoint(#[source] iroh::endpoint::BindError),
    /// The relay's address discovery refused to start.
    #[error("the relay did not start")]
    Discovery(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No certificate could be made for the relay's address discovery.
    #[error("no certificate could be made for the relay")]
    Certificate(#[source] rcgen::Error),
    /// The TLS library refused our own settings.
    #[error("the relay's TLS settings were refused")]
    Tls(#[source] rustls::Error),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Entropy(#[source] getrandom::Error),
}

impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}
