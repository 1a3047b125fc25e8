//! Ports of this machine that lead to a place in the realm's network.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Problem;

/// A forwarded port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetForward {
    /// Where programs of this machine come, as `127.0.0.1:8080`.
    pub listen: String,
    /// Where they come to, as `nas:80`.
    pub to: String,
    /// Why nobody listens there, if nobody does.
    pub trouble: Option<String>,
}

/// A port to forward.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewForward {
    /// An address and a port, or a port of the loopback.
    pub listen: String,
    /// A name of the realm, or an address of it, and a port.
    pub to: String,
    /// That others than programs of this machine may come: they are this machine to the realm.
    #[serde(default)]
    pub others: bool,
}

/// What a node does about forwarded ports.
#[async_trait]
pub trait ForwardControl: Send + Sync {
    /// All of them.
    async fn forwards(&self) -> Result<Vec<NetForward>, Problem>;
    /// Forwards another port.
    async fn add_forward(&self, wish: NewForward) -> Result<NetForward, Problem>;
    /// Forwards one no longer, and cuts what goes through it.
    async fn remove_forward(&self, listen: &str) -> Result<(), Problem>;
}
