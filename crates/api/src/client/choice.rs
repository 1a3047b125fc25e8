//! What a node uses of the network, asked of it.

use http::Method;

use super::Client;
use crate::{NetUse, NetUseSetting, Problem};

impl Client {
    /// What it uses.
    pub async fn net_use(&self) -> Result<NetUse, Problem> {
        self.get("/net/use").await
    }

    /// Changes that, or only says whether it would.
    pub async fn set_net_use(&self, setting: &NetUseSetting, dry_run: bool) -> Result<NetUse, Problem> {
        self.send(Method::PATCH, &format!("/net/use?dry_run={dry_run}"), setting).await
    }
}
