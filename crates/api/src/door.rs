//! The door: how services are published, and who certifies their names.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{NetService, Problem};

/// Where TLS ends for a service's names outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TlsEnds {
    /// At its gateways, which have the certificate.
    Gateway,
    /// At the machines that it runs on: a gateway sees the name that is asked for, and nothing else.
    Home,
}

/// How a service is to be published; what is absent stays, or is as usual.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Publishing {
    /// Its names outside, all of them; `*.` before one stands for any one label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Vec<String>>,
    /// Where TLS ends for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<TlsEnds>,
    /// The largest body of a request, in bytes; 0 for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_max: Option<u64>,
    /// Requests of one client a second, in the long run; 0 for any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// Who is asked whether a client has signed on, as `http://127.0.0.1:9091/verify`; an empty one for nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_on: Option<String>,
    /// The headers that it says, which are copied into requests; all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copied: Option<Vec<String>>,
    /// Headers of answers, as `Name: value`, all of them; without a value one is taken out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<Vec<String>>,
    /// For how many seconds browsers are told to come by HTTPS only; 0 for not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hsts: Option<u32>,
}

/// What to change of a service; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceChange {
    /// The nodes that it runs on, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Vec<String>>,
    /// Its ports, all of them; of a published one, the one at which its program listens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<String>>,
    /// Who may use it: `realm`, `lan` or `public`, and `grant:ID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<Vec<String>>,
    /// The gateways that take it to the outside, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateways: Option<Vec<String>>,
    /// How it is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish: Option<Publishing>,
}

/// How a service is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublishedService {
    /// Its names outside.
    pub hosts: Vec<String>,
    /// Where TLS ends for them.
    pub ends: TlsEnds,
    /// The TCP port at which its program listens.
    pub port: u16,
    /// The largest body of a request, in bytes.
    pub body_max: Option<u64>,
    /// Requests of one client a second, in the long run.
    pub rate: Option<u32>,
    /// Who is asked whether a client has signed on.
    pub sign_on: Option<String>,
    /// How the door of the node that answers shows it; absent if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub here: Option<ShownHere>,
}

/// A service at the door of one node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownHere {
    /// Where that door listens.
    pub listening: Vec<String>,
    /// The names that TLS ends for here.
    pub names: Vec<NameStanding>,
    /// What is counted of it since the door opened.
    pub counted: Option<DoorCount>,
    /// What is wrong.
    pub troubles: Vec<String>,
}

/// How it stands with the certificate of a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NameStanding {
    /// The name.
    pub name: String,
    /// Until when the certificate is good that is there, in milliseconds since 1970.
    pub until_ms: Option<u64>,
    /// When another one is asked for.
    pub next_ms: Option<u64>,
    /// How often that failed in a row.
    pub failures: u32,
    /// Why, the last time.
    pub error: Option<String>,
}

/// What is counted of a service at a door, never by whom or for what it was asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DoorCount {
    /// Answers, the door's own among them.
    pub answers: u64,
    /// Those that said that something went wrong here (5xx).
    pub errors: u64,
    /// Bytes of bodies from clients.
    pub received: u64,
    /// The same to clients.
    pub sent: u64,
    /// Requests under way.
    pub under_way: u64,
    /// WebSockets and connections that are passed on, now.
    pub tunnels: u64,
    /// Requests of those who may not.
    pub turned_away: u64,
    /// Requests that came too often.
    pub too_often: u64,
    /// Requests that were too large.
    pub too_large: u64,
    /// Requests for which there was no place.
    pub busy: u64,
    /// Requests that the service did not answer as it should.
    pub failed: u64,
}

/// How an authority sees that a name is the realm's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// It asks for a text on port 80.
    Http,
    /// It looks at a certificate on port 443.
    TlsAlpn,
    /// It looks for a record in the zone.
    Dns,
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::TlsAlpn => "tls-alpn",
            Self::Dns => "dns",
        })
    }
}

/// The public authority that certifies names outside; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuthoritySetting {
    /// Its ACME directory, which begins with `https://`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acme: Option<String>,
    /// Where it may write to, as `mailto:ada@example.org`; all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<Vec<String>>,
    /// Whether somebody has read its terms and agrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreed: Option<bool>,
    /// How it sees that a name is the realm's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// The certificates (PEM) that it is known by itself; an empty one for the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roots: Option<String>,
    /// The server that takes updates of the zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<ZoneServerSetting>,
}

/// A server that takes updates of a zone (RFC 2136), signed with a key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneServerSetting {
    /// Its address and port, as `192.0.2.1:53`.
    pub server: String,
    /// The zone.
    pub zone: String,
    /// The key's name.
    pub key: String,
    /// Whether it is for HMAC with SHA-512, and not SHA-256.
    #[serde(default)]
    pub sha512: bool,
    /// Its secret, in base64. It is sealed, and never shown.
    pub secret: String,
}

impl fmt::Debug for ZoneServerSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZoneServerSetting")
            .field("server", &self.server)
            .field("zone", &self.zone)
            .finish_non_exhaustive()
    }
}

/// Who certifies names, and how it stands with those of this node's door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificatesStatus {
    /// The public authority's ACME directory, once one was chosen.
    pub acme: Option<String>,
    /// Where it may write to.
    pub contact: Vec<String>,
    /// Whether somebody has read its terms and agrees: nothing is asked of it before.
    pub agreed: bool,
    /// How it sees that a name is the realm's.
    pub proof: Proof,
    /// The server that takes updates of the zone.
    pub update: Option<String>,
    /// The names that TLS ends for at this node.
    pub names: Vec<NameStanding>,
}

/// The realm's own authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RealmAuthority {
    /// The zone that it certifies names in, and nothing else.
    pub zone: String,
    /// Its certificate (PEM), for machines that are to trust it.
    pub certificate: String,
    /// SHA-256 of that certificate, in hex pairs.
    pub fingerprint: String,
}

/// What a node does for published services. With `dry_run` it only says whether it would be done.
#[async_trait]
pub trait DoorControl: Send + Sync {
    /// Changes a service.
    async fn change_service(
        &self,
        service: &str,
        change: ServiceChange,
        dry_run: bool,
    ) -> Result<NetService, Problem>;
    /// Who certifies names.
    async fn certificates(&self) -> Result<CertificatesStatus, Problem>;
    /// Chooses who does.
    async fn set_certificates(&self, setting: AuthoritySetting) -> Result<CertificatesStatus, Problem>;
    /// The realm's own authority, which is made when it is first asked for.
    async fn realm_authority(&self) -> Result<RealmAuthority, Problem>;
}
