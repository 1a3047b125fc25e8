//! Connections that this machine opens: by the stack, or by the kernel where it has the device.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tracing::debug;

use crate::comers::Comers;
use crate::engine::Engine;
use crate::purse::Purse;
use crate::realm::{Found, Realm};
use crate::table::Table;
use crate::talk::{CutError, Talk};

/// How long one may wait for an answer: a line may have to be opened first, and a SYN be lost twice.
const PATIENCE: Duration = Duration::from_secs(15);

/// Opens connections through the stack.
#[derive(Debug, Clone)]
pub struct Dialer {
    pub(crate) realm: Arc<dyn Realm>,
    pub(crate) table: Arc<Table>,
    pub(crate) purse: Purse,
    pub(crate) comers: Comers,
    pub(crate) out: mpsc::Sender<Bytes>,
    pub(crate) mtu: u16,
}

impl Dialer {
    /// Who in the network is behind a connection or datagram that came to a program of this machine from `end`; none
    /// if it is not the stack's, or is over.
    pub fn whose(&self, end: SocketAddr) -> Option<IpAddr> {
        self.comers.whose(SocketAddr::new(end.ip().to_canonical(), end.port()))
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// [`CutError`]; the other side has not heard of it, or has refused it.
    pub async fn dial(&self, to: SocketAddr) -> Result<Talk, CutError> {
        let own = self.realm.own().into_iter().find(|own| own.is_ipv6() == to.is_ipv6());
        let own = own.ok_or(if to.is_ipv6() { CutError::Stopped } else { CutError::NoAddress })?;
        let share = self.purse.take().ok_or(CutError::Full)?;
        let (key, place, items) = self.table.leave_for(own, to).ok_or(CutError::Full)?;
        let engine = Engine::connecting((key.own, to), self.mtu, share.bytes, PATIENCE);
        let engine = engine.ok_or(CutError::Full)?;
        let mut talk = Talk::new(engine, (place, items), self.out.clone(), share);
        timeout(PATIENCE, talk.opened()).await.map_err(|_| CutError::TimedOut)??;
        Ok(talk)
    }
}

/// Whoever opens connections into the network.
#[derive(Debug, Clone)]
pub enum Way {
    /// The kernel, which has a network device.
    Kernel,
    /// The stack.
    Stack(Dialer),
}

/// A connection into the network.
#[derive(Debug)]
pub enum Line {
    /// The kernel's.
    Kernel(TcpStream),
    /// The stack's.
    Stack(Box<Talk>),
}

impl Way {
    async fn dial(&self, to: SocketAddr) -> Result<Line, CutError> {
        match self {
            Self::Kernel => {
                let opened = timeout(PATIENCE, TcpStream::connect(to)).await;
                opened.map_err(|_| CutError::TimedOut)?.map(Line::Kernel).map_err(|error| of_kernel(&error))
            }
            Self::Stack(dialer) => dialer.dial(to).await.map(|talk| Line::Stack(Box::new(talk))),
        }
    }
}

/// What the kernel means.
fn of_kernel(error: &std::io::Error) -> CutError {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        // EACCES: the other side, or the tunnel, said that it is prohibited.
        Kind::PermissionDenied => CutError::NotAllowed,
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => CutError::Unreachable,
        Kind::AddrNotAvailable => CutError::NoAddress,
        Kind::TimedOut => CutError::TimedOut,
        _ => CutError::Refused,
    }
}

impl Line {
    /// Carries bytes between the line and `partner` until both sides have said all.
    ///
    /// # Errors
    /// [`CutError`] if it was cut before; then the partner has not heard all, and is to be told so.
    pub async fn carry<S: AsyncRead + AsyncWrite + Unpin>(self, partner: &mut S) -> Result<(), CutError> {
        match self {
            Self::Kernel(mut stream) => {
                let carried = tokio::io::copy_bidirectional(&mut stream, partner).await;
                carried.map(drop).map_err(|_| CutError::Refused)
            }
            Self::Stack(talk) => talk.carry(partner).await,
        }
    }
}

/// Why nothing was reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReachError {
    /// The realm has no such name.
    #[error("{0} is no name of the realm: freehold net status, freehold net service list")]
    NoName(String),
    /// It is somebody else's name, or address.
    #[error("{0} is not in the realm's network, and nothing else is reached from here")]
    Foreign(String),
    /// It is in the network, and was not reached.
    #[error("{target} was not reached: {why}")]
    Cut {
        /// What was to be reached.
        target: String,
        /// Why it was not.
        #[source]
        why: CutError,
    },
}

/// Reaches machines and services by name or address, and nobody else.
#[derive(Debug, Clone)]
pub struct Reacher {
    way: watch::Receiver<Option<Way>>,
    realm: Arc<dyn Realm>,
}

impl Reacher {
    /// Goes by what the realm says, on whichever way there is at the moment.
    pub const fn new(way: watch::Receiver<Option<Way>>, realm: Arc<dyn Realm>) -> Self {
        Self { way, realm }
    }

    /// A connection to a name or an address.
    ///
    /// # Errors
    /// [`ReachError`].
    pub async fn reach(&self, host: &str, port: u16) -> Result<Line, ReachError> {
        // An IPv6 address in a URL stands in brackets.
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let addresses = match host.parse::<IpAddr>() {
            Ok(address) => vec![address.to_canonical()],
            Err(_) => match self.realm.look_up(host) {
                Found::Here(addresses) => addresses,
                Found::Nothing => return Err(ReachError::NoName(host.to_owned())),
                Found::Foreign => return Err(ReachError::Foreign(host.to_owned())),
            },
        };
        let mut ways: Vec<IpAddr> = addresses.into_iter().filter(|to| self.realm.leads(*to)).collect();
        if ways.is_empty() {
            return Err(ReachError::Foreign(host.to_owned()));
        }
        ways.sort_by_key(IpAddr::is_ipv4);
        let target = format!("{host}:{port}");
        let Some(way) = self.way.borrow().clone() else {
            return Err(ReachError::Cut { target, why: CutError::Stopped });
        };
        let mut why = CutError::Unreachable;
        for address in ways {
            match way.dial(SocketAddr::new(address, port)).await {
                Ok(line) => return Ok(line),
                Err(error) => {
                    debug!(%address, port, %error, "not reached");
                    // Of several addresses the first says what is wrong with the machine.
                    why = if why == CutError::Unreachable { error } else { why };
                }
            }
        }
        Err(ReachError::Cut { target, why })
    }
}
