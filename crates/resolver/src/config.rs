//! What the resolver is told: once at its start, and whenever something changes.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use freehold_names::{Domain, Group, LocalTime, PolicyParty, Row};
use rustls::pki_types::{CertificateDer, ServerName};

use crate::lists::List;

/// Whose question it is that comes from there; none: it is refused.
pub type Parties = Arc<dyn Fn(SocketAddr) -> Option<PolicyParty> + Send + Sync>;

/// What time it is, and what the clocks on the wall say.
pub type Clock = Arc<dyn Fn() -> LocalTime + Send + Sync>;

/// What stays as it is while the resolver runs.
pub struct Config {
    /// Where it serves.
    pub listen: Vec<Listen>,
    /// With which certificates. Without, nothing is served over TLS or HTTPS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Who asks.
    pub parties: Parties,
    /// The time.
    pub clock: Clock,
    /// For answers of others, in bytes.
    pub cache: usize,
    /// Where lists are kept; made, and closed to others, if it is not there.
    pub folder: PathBuf,
    /// Whose certificates count when servers and lists are asked.
    pub roots: Roots,
    /// The most names in all lists together.
    pub names_max: usize,
    /// What holds at first.
    pub setting: Setting,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// One address and what is spoken there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// The address; port zero for any.
    pub address: SocketAddr,
    /// What is spoken.
    pub speaks: Speaks,
    /// Only what comes by this network device is taken: Linux takes packets for any of its addresses by all.
    pub device: Option<String>,
}

impl Listen {
    /// By every device.
    pub const fn at(address: SocketAddr, speaks: Speaks) -> Self {
        Self { address, speaks, device: None }
    }
}

/// How clients are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// Over UDP and TCP, on port 53 (RFC 1035, RFC 7766).
    Plain,
    /// Over TLS, on port 853 (RFC 7858).
    Tls,
    /// Over HTTPS, on port 443, at `/dns-query` (RFC 8484).
    Https,
}

/// Whose certificates count.
#[derive(Debug, Clone, Default)]
pub enum Roots {
    /// Those that this machine trusts.
    #[default]
    System,
    /// These and no others.
    Only(Vec<CertificateDer<'static>>),
}

/// What holds until the next one takes its place.
#[derive(Debug, Clone, Default)]
pub struct Setting {
    /// What is answered here.
    pub rows: Vec<Row>,
    /// What holds for whom. The place of a group is its number in what is counted; who is in none is
    /// counted behind the last.
    pub groups: Vec<Group>,
    /// Names that, with all below them, are asked of an upstream of their own.
    pub forwards: Vec<(Domain, u16)>,
    /// Who is asked, by the numbers that groups and `forwards` use.
    pub upstreams: Vec<Upstream>,
    /// Lists, by the numbers that groups use.
    pub lists: Vec<List>,
    /// What is counted, in memory, for a day.
    pub statistics: Statistics,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Statistics {
    /// Nothing.
    Off,
    /// How much was asked, and what became of it.
    #[default]
    Numbers,
    /// The most frequent names as well.
    Names,
}

/// Servers that are asked for the same names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Upstream {
    /// In order: the next one is asked when one is late or fails.
    pub servers: Vec<Server>,
    /// Whether signatures are verified. Not for names that only these servers know.
    pub validate: bool,
    /// Whether they know names of a house: then what they answer may lead into one.
    pub inside: bool,
    /// The keys that are trusted, as DNSKEY records in a zone file; the root's if there are none.
    pub anchors: Option<String>,
}

/// A server that can be asked. As text: `192.0.2.1`, `192.0.2.1:5353`, `tls://dns.example@192.0.2.1`,
/// `https://dns.example/dns-query@192.0.2.1`: a name is never looked up to reach who looks names up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where it is.
    pub address: SocketAddr,
    /// How it is asked.
    pub way: Way,
}

/// How a server is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Over UDP, and TCP for what is long.
    Plain,
    /// Over TLS, with a certificate for this name.
    Tls(String),
    /// Over HTTPS, with a certificate for this name, at this path.
    Https(String, String),
}

/// What is no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// Neither an address nor one with a port.
    #[error(
        "no address of a server: write it as 192.0.2.1, [2001:db8::1]:53, tls://dns.example@192.0.2.1 or \
         https://dns.example/dns-query@192.0.2.1"
    )]
    Address,
    /// A certificate cannot be for that.
    #[error("the name of the server is none that a certificate can be for")]
    Name,
}

impl FromStr for Server {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, ServerError> {
        let (way, address, port) = if let Some(rest) = text.strip_prefix("tls://") {
            let (name, address) = rest.rsplit_once('@').ok_or(ServerError::Address)?;
            (Way::Tls(certified(name)?), address, 853)
        } else if let Some(rest) = text.strip_prefix("https://") {
            let (url, address) = rest.rsplit_once('@').ok_or(ServerError::Address)?;
            let (name, path) = url.split_once('/').unwrap_or((url, "dns-query"));
            (Way::Https(certified(name)?, format!("/{path}")), address, 443)
        } else {
            (Way::Plain, text, 53)
        };
        let bare = address.trim_start_matches('[').trim_end_matches(']');
        let address = address
            .parse()
            .or_else(|_| bare.parse().map(|ip| SocketAddr::new(ip, port)))
            .map_err(|_| ServerError::Address)?;
        Ok(Self { address, way })
    }
}

fn certified(name: &str) -> Result<String, ServerError> {
    ServerName::try_from(name).map_err(|_| ServerError::Name)?;
    Ok(name.to_owned())
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.way {
            Way::Plain => write!(f, "{}", self.address),
            Way::Tls(name) => write!(f, "tls://{name}@{}", self.address),
            Way::Https(name, path) => write!(f, "https://{name}{path}@{}", self.address),
        }
    }
}

/// Where a list comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// From a website.
    Url(String),
    /// From a file of this machine.
    File(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}
