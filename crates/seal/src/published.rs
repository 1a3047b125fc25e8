//! How services of the network are shown to the outside, and which authority certifies their names. Names are
//! personal, and all of it may be taken back: so it is in the directory, and the realm log holds who may use what.

use freehold_wire::{Bounded, Text};
use minicbor::{Decode, Encode};

/// The most names of one service.
pub const HOSTS_MAX: usize = 32;
/// The most headers that are changed, and that a sign-on says.
pub const HEADERS_MAX: usize = 16;
/// The longest list of certificates, as text, that an authority is known by.
const ROOTS_MAX: usize = 16 << 10;

/// How a service is published.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Published {
    /// Its names outside, in lower case; `*.` before one stands for any one label.
    #[n(0)]
    pub hosts: Bounded<Text<256>, HOSTS_MAX>,
    /// Where TLS ends for those names.
    #[n(1)]
    pub ends: TlsEnds,
    /// The TCP port at which its program listens, at its homes.
    #[n(2)]
    pub port: u16,
    /// The largest body of a request, in bytes.
    #[n(3)]
    pub body_max: Option<u64>,
    /// Requests of one client: each second in the long run, and at once.
    #[n(4)]
    pub rate: Option<(u32, u32)>,
    /// Who is asked whether a client has signed on, as `http://ADDRESS:PORT/PATH`.
    #[n(5)]
    pub sign_on: Option<Text<512>>,
    /// What is copied from its answers into requests.
    #[n(6)]
    pub copied: Bounded<Text<64>, HEADERS_MAX>,
    /// Headers that are put into answers; an empty one is taken out.
    #[n(7)]
    pub answers: Bounded<(Text<64>, Text<1024>), HEADERS_MAX>,
    /// For how many seconds browsers are told to come by HTTPS only.
    #[n(8)]
    pub hsts: Option<u32>,
}

/// Where TLS ends for a service's names outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum TlsEnds {
    /// At its gateways, which have the certificate.
    #[n(0)]
    Gateway,
    /// At its homes: a gateway sees the name that is asked for, and nothing else.
    #[n(1)]
    Home,
}

/// The public authority that certifies names outside.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PublicAuthority {
    /// Its ACME directory (RFC 8555), which begins with `https://`.
    #[n(0)]
    pub directory: Text<512>,
    /// Where it may write to, as `mailto:ada@example.org`.
    #[n(1)]
    pub contact: Bounded<Text<256>, 4>,
    /// Whether somebody has read its terms and agrees.
    #[n(2)]
    pub agreed: bool,
    /// How it sees that a name is the realm's.
    #[n(3)]
    pub proof: Proof,
    /// The certificates (PEM) that it is known by itself; the system's, without.
    #[n(4)]
    pub roots: Option<Text<ROOTS_MAX>>,
    /// The server that takes updates of the zone (RFC 2136). Its key's secret is not here: every node reads this.
    #[n(5)]
    pub update: Option<ZoneServer>,
}

/// How an authority sees that a name is the realm's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Proof {
    /// It asks for a text on port 80.
    #[n(0)]
    Http,
    /// It looks at a certificate on port 443.
    #[n(1)]
    TlsAlpn,
    /// It looks for a record in the zone.
    #[n(2)]
    Dns,
}

/// A server that takes updates of a zone.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ZoneServer {
    /// Its address and port, as `192.0.2.1:53`.
    #[n(0)]
    pub server: Text<64>,
    /// The zone.
    #[n(1)]
    pub zone: Text<256>,
    /// The name of the key that updates are signed with.
    #[n(2)]
    pub key: Text<256>,
    /// Whether it is for HMAC with SHA-512, and not SHA-256.
    #[n(3)]
    pub sha512: bool,
}
