//! What is published, as data.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use freehold_wire::ServiceId;
use http::{HeaderName, HeaderValue};

use crate::Host;

/// A service that the door leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Which one. What is counted of it goes on over a change of the table.
    pub id: ServiceId,
    /// The names that it is asked for by.
    pub hosts: Vec<Host>,
    /// Who may use it, in short; the gatekeeper has the last word.
    pub access: Access,
    /// Where it is.
    pub target: Target,
}

/// Who may use a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Members, and nodes with a role.
    Realm,
    /// Whoever is in the network that the door stands in.
    Lan,
    /// Another realm, under a grant.
    Grant,
    /// Everybody.
    Public,
}

/// Where a service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// TLS ends here, and requests go on.
    Web(Box<Web>),
    /// TLS ends there; nothing but the name is seen here.
    Pass(Pass),
}

/// A service that speaks HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    /// Where it listens; one after the other is asked, and those that do not answer are left out for a while.
    pub upstreams: Vec<Upstream>,
    /// What it speaks.
    pub speaks: Speaks,
    /// How much it is asked.
    pub limits: Limits,
    /// What is changed in heads.
    pub headers: HeaderRules,
    /// Who says that a client has signed on; everybody has, without.
    pub sign_on: Option<SignOn>,
    /// For how long browsers are told to come by HTTPS only; they are told nothing without.
    pub hsts: Option<Hsts>,
}

impl Web {
    /// HTTP/1.1 at these addresses, with ordinary limits.
    pub fn at(upstreams: Vec<Upstream>) -> Self {
        Self {
            upstreams,
            speaks: Speaks::Http1,
            limits: Limits::default(),
            headers: HeaderRules::default(),
            sign_on: None,
            hsts: None,
        }
    }
}

/// A service whose TLS is its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// Where it listens.
    pub upstreams: Vec<Upstream>,
    /// Whether it is told who comes, by the PROXY protocol (version 2).
    pub announce: bool,
    /// How long a connection may be quiet.
    pub quiet: Duration,
    /// Where it answers what certificate authorities ask without TLS (RFC 8555, 8.3), if it does: that alone is passed
    /// on of what comes so.
    pub proofs: Option<Upstream>,
}

/// An address of a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Upstream {
    /// TCP.
    Tcp(SocketAddr),
    /// A socket on this machine.
    Unix(PathBuf),
}

/// What an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS, for gRPC.
    H2c,
}

/// How much a service is asked, and how long everything may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The largest body of a request, in bytes.
    pub body: Option<u64>,
    /// Requests under way at a time.
    pub at_once: usize,
    /// Of these, those of one client: an IPv4 address, an IPv6 network of /64, or this machine.
    pub share: usize,
    /// How fast the body of a request has to come. Not asked for where HTTP/2 is spoken with the service: there bodies
    /// are conversations.
    pub slowest: Option<Slowest>,
    /// Requests of one client.
    pub rate: Option<Rate>,
    /// Until a connection with an upstream is there.
    pub connect: Duration,
    /// Until the head of its answer is there, from when the request's body is.
    pub answer: Duration,
    /// Between two pieces of a body, either way, and in a WebSocket.
    pub quiet: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: None,
            at_once: 1024,
            share: 256,
            slowest: Some(Slowest { each_second: 500, grace: Duration::from_secs(30) }),
            rate: None,
            connect: Duration::from_secs(5),
            answer: Duration::from_mins(2),
            quiet: Duration::from_mins(5),
        }
    }
}

/// How often one client may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second, in the long run.
    pub each_second: u32,
    /// Requests at once.
    pub burst: u32,
}

/// The least speed of a request's body. Only time counts in which its client is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slowest {
    /// Bytes a second.
    pub each_second: u32,
    /// So much longer it may take.
    pub grace: Duration,
}

/// What is changed in heads. Framing and what the door says itself cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderRules {
    /// Taken out of requests.
    pub drop: Vec<HeaderName>,
    /// Put into requests, in the place of what the client said.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Taken out of answers.
    pub answer_drop: Vec<HeaderName>,
    /// Put into answers, in the place of what the service said.
    pub answer_set: Vec<(HeaderName, HeaderValue)>,
}

/// Who says that a client has signed on: asked before each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignOn {
    /// Where it listens, with HTTP/1.1.
    pub upstream: Upstream,
    /// Its name, for the Host header.
    pub host: String,
    /// The path that is asked with GET: 2xx lets the request pass, any other answer goes to the client.
    pub path: String,
    /// What is copied from its answer into the request. Whatever a client says there itself is taken out.
    pub copy: Vec<HeaderName>,
    /// Within this time.
    pub within: Duration,
}

/// Strict-Transport-Security (RFC 6797).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hsts {
    /// For how long.
    pub age: Duration,
    /// Whether it is said of everything below the name, too.
    pub below: bool,
}
