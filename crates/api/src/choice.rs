//! What this machine uses of what others offer: an exit to the internet, networks behind other machines.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Problem;

/// What the node that answers uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct NetUse {
    /// The node through which everything goes to the internet; `null` if it goes as without a realm.
    pub exit: Option<String>,
    /// The nodes whose networks are used: names, or `all` alone.
    pub routes: Vec<String>,
    /// Those networks.
    pub networks: Vec<String>,
    /// Whether the network around is reached past the exit.
    pub lan: bool,
    /// Whether packets may go out as if there were no exit, where it cannot be used.
    pub leak: bool,
    /// Why it does not work as chosen, if it does not, and what becomes of packets meanwhile.
    pub troubles: Vec<String>,
    /// What else is to be known of it.
    pub notes: Vec<String>,
}

/// What to change of it; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NetUseSetting {
    /// The node, by name or id, through which everything is to go; an empty one for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<String>,
    /// The nodes, by name or id, whose networks are to be used; `all` alone for everybody's, an empty list
    /// for nobody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<String>>,
    /// Whether the network around is reached past the exit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lan: Option<bool>,
    /// Whether packets may go out as if there were no exit, where it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leak: Option<bool>,
}

/// What a node does about its own choice.
#[async_trait]
pub trait ChoiceControl: Send + Sync {
    /// What it uses.
    async fn net_use(&self) -> Result<NetUse, Problem>;
    /// Changes that; `dry_run` only says whether it would.
    async fn set_net_use(&self, setting: NetUseSetting, dry_run: bool) -> Result<NetUse, Problem>;
}
