//! Backups of ZFS datasets, asked of a node.

use axum::body::Body;
use http::Method;

use super::{Client, read_json, request};
use crate::{Problem, ZfsAsked, ZfsDeclaration, ZfsStatus};

impl Client {
    /// How they stand.
    pub async fn zfs(&self) -> Result<ZfsStatus, Problem> {
        self.get("/zfs").await
    }

    /// Does from now on what a declaration says.
    pub async fn apply_zfs(&self, wish: &ZfsDeclaration) -> Result<ZfsStatus, Problem> {
        self.send(Method::POST, "/zfs", wish).await
    }

    /// Takes snapshots and sends them now.
    pub async fn zfs_now(&self) -> Result<Vec<ZfsAsked>, Problem> {
        read_json(self.ask(request(Method::POST, "/zfs/now", Body::empty())?).await?).await
    }
}
