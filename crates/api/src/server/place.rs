//! Where things may lie, and where machines stand.

#![expect(unused_qualifications, reason = "utoipa's macro writes them")]

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::Node;
use super::extract::{Asked, Named, Options};
use crate::{BucketChange, BucketStatus, NodeSetting, NodeStatus, Problem, QuotaSetting, UsageStatus};

/// Say where a node stands and how much it is to do
///
/// With `draining` it is emptied: it serves what it has, its copies do not count, and it is given
/// none. How far that is, the node's status says.
#[utoipa::path(patch, path = "/api/v1/nodes/{node}", tag = "realm", request_body = NodeSetting,
    params(("node" = String, Path, description = "Id, start of an id, or name")), responses(
    (status = 200, body = NodeStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set_node(
    State(node): State<Node>,
    Named(named): Named<String>,
    Asked(setting): Asked<NodeSetting>,
) -> Result<Json<NodeStatus>, Problem> {
    node.control.set_node(&named, setting).await.map(Json)
}

/// How to remove.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Remove {
    /// Though objects depend on it, or others have not been heard.
    force: bool,
    /// Only say whether it would be removed.
    dry_run: bool,
}

/// End a node that nothing depends on
#[utoipa::path(delete, path = "/api/v1/nodes/{node}", tag = "realm",
    params(("node" = String, Path, description = "Id, start of an id, or name"), Remove), responses(
    (status = 204, description = "It is no node of the realm any more, or would not be"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn remove_node(
    State(node): State<Node>,
    Named(named): Named<String>,
    Options(Remove { force, dry_run }): Options<Remove>,
) -> Result<StatusCode, Problem> {
    node.control.remove_node(&named, force, dry_run).await.map(|()| StatusCode::NO_CONTENT)
}

/// Change how many copies of a bucket there are to be, and where
#[utoipa::path(patch, path = "/api/v1/buckets/{bucket}", tag = "buckets", request_body = BucketChange,
    params(("bucket" = String, Path)), responses(
    (status = 200, body = BucketStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set_bucket(
    State(node): State<Node>,
    Named(bucket): Named<String>,
    Asked(change): Asked<BucketChange>,
) -> Result<Json<BucketStatus>, Problem> {
    node.control.set_bucket(&bucket, change).await.map(Json)
}

/// What the realm, its members, services and buckets keep, and may keep
#[utoipa::path(get, path = "/api/v1/usage", tag = "realm", responses(
    (status = 200, body = [UsageStatus]),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn usage(State(node): State<Node>) -> Result<Json<Vec<UsageStatus>>, Problem> {
    node.control.usage().await.map(Json)
}

/// Set or lift a quota
#[utoipa::path(put, path = "/api/v1/quotas", tag = "realm", request_body = QuotaSetting, responses(
    (status = 200, body = [UsageStatus]),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set_quota(
    State(node): State<Node>,
    Asked(setting): Asked<QuotaSetting>,
) -> Result<Json<Vec<UsageStatus>>, Problem> {
    node.control.set_quota(setting).await.map(Json)
}
