//! Names in zones of the internet that follow a node's public addresses.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Problem;

/// A name that is to follow this node.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAddress {
    /// The name, whole: `home.example.org`.
    pub name: String,
    /// Who keeps its zone, and what they want to see.
    pub by: AddressBy,
    /// `ipv4` or `ipv6` if it is to have addresses of that family only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
}

impl std::fmt::Debug for NewAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewAddress").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How a name's addresses are changed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AddressBy {
    /// A name server that takes updates which are signed (RFC 2136, TSIG).
    Server {
        /// Its address, with a port if that is not 53.
        server: String,
        /// The zone.
        zone: String,
        /// The key, as `tsig-keygen` writes it or as `ALGORITHM:NAME:SECRET`.
        key: String,
    },
    /// A program on the node.
    Hook {
        /// Its path.
        program: String,
    },
    /// A provider (dyndns2).
    Provider {
        /// Where it is asked.
        url: String,
        /// Who is known there.
        user: String,
        /// And by what.
        password: String,
    },
}

impl std::fmt::Debug for AddressBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Server { .. } => "Server",
            Self::Hook { .. } => "Hook",
            Self::Provider { .. } => "Provider",
        })
    }
}

impl Default for AddressBy {
    fn default() -> Self {
        Self::Hook { program: String::new() }
    }
}

/// A name that follows this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublishedAddress {
    /// The name.
    pub name: String,
    /// Who is told, in words without secrets.
    pub by: String,
    /// Its families of addresses.
    pub families: Vec<AddressFamily>,
}

/// What is told of one family of a name's addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AddressFamily {
    /// `ipv4` or `ipv6`.
    pub family: String,
    /// The address that this node has on the internet, if it knows one.
    pub own: Option<String>,
    /// The address that the name leads to, as far as this node has told.
    pub told: Option<String>,
    /// When it was told last, in milliseconds since 1970.
    pub told_ms: Option<u64>,
    /// Why it could not be told.
    pub trouble: Option<String>,
    /// Whether it is not told again until somebody changes something.
    pub stopped: bool,
}

/// What a node does for names that follow it.
#[async_trait]
pub trait AddressControl: Send + Sync {
    /// The names that follow this node.
    async fn addresses(&self) -> Result<Vec<PublishedAddress>, Problem>;
    /// Makes a name follow this node, or changes how; with `dry_run` it only says what would be told.
    async fn publish_address(&self, wish: NewAddress, dry_run: bool) -> Result<PublishedAddress, Problem>;
    /// Takes a name back; gives what it may still say, and why.
    async fn remove_address(&self, name: &str, dry_run: bool) -> Result<Option<String>, Problem>;
}
