//! Backups of ZFS datasets.

use axum::Json;
use axum::extract::State;

use super::Node;
use super::extract::Asked;
use crate::{Problem, ZfsAsked, ZfsControl, ZfsDeclaration, ZfsStatus};

fn zfs_of(node: &Node) -> Result<&dyn ZfsControl, Problem> {
    let none = || Problem::unreachable("nothing was done", "this node backs no datasets up", None::<&str>);
    node.control.zfs().ok_or_else(none)
}

/// How backups of ZFS datasets stand
#[utoipa::path(get, path = "/api/v1/zfs", tag = "node", responses(
    (status = 200, body = ZfsStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn zfs(State(node): State<Node>) -> Result<Json<ZfsStatus>, Problem> {
    zfs_of(&node)?.zfs().await.map(Json)
}

/// Back datasets up as a declaration says, from now on
#[utoipa::path(post, path = "/api/v1/zfs", tag = "node", request_body = ZfsDeclaration, responses(
    (status = 200, description = "How they stand; with dry_run, what it would come to", body = ZfsStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn apply_zfs(
    State(node): State<Node>,
    Asked(wish): Asked<ZfsDeclaration>,
) -> Result<Json<ZfsStatus>, Problem> {
    zfs_of(&node)?.apply_zfs(wish).await.map(Json)
}

/// Take snapshots of datasets and send them now
#[utoipa::path(post, path = "/api/v1/zfs/now", tag = "node", responses(
    (status = 200, description = "Rounds begin", body = Vec<ZfsAsked>),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn zfs_now(State(node): State<Node>) -> Result<Json<Vec<ZfsAsked>>, Problem> {
    zfs_of(&node)?.zfs_now().await.map(Json)
}
