//! Ports that this house's router is asked to pass on.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A port that the house's router was asked to pass on to the node that answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MappedPort {
    /// What for: `mesh`, `door` or `phones`.
    pub what: String,
    /// The port of this machine, as `udp/4433`.
    pub port: String,
    /// Where the router says that it listens for it; `null` if it passes nothing on.
    pub outside: Option<String>,
    /// How it was asked: PCP, NAT-PMP or UPnP.
    pub way: Option<String>,
    /// Why nothing is passed on, or what is odd about it.
    pub trouble: Option<String>,
}
