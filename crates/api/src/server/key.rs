//! Access keys of the S3 endpoint.

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use super::Node;
use super::extract::{Asked, Named};
use crate::{KeyStatus, MadeKey, NewKey, Problem};

/// This node's access keys, without their secrets
#[utoipa::path(get, path = "/api/v1/keys", tag = "keys", responses(
    (status = 200, body = [KeyStatus]),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn keys(State(node): State<Node>) -> Result<Json<Vec<KeyStatus>>, Problem> {
    node.control.keys().await.map(Json)
}

/// Make an access key
#[utoipa::path(post, path = "/api/v1/keys", tag = "keys", request_body = NewKey, responses(
    (status = 201, body = MadeKey),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create_key(
    State(node): State<Node>,
    Asked(wish): Asked<NewKey>,
) -> Result<(StatusCode, Json<MadeKey>), Problem> {
    let made = node.control.create_key(wish).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// End an access key
#[utoipa::path(delete, path = "/api/v1/keys/{id}", tag = "keys",
    params(("id" = String, Path, description = "Id, or start of an id")), responses(
    (status = 204, description = "It is refused from now on"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn revoke_key(
    State(node): State<Node>,
    Named(id): Named<String>,
) -> Result<StatusCode, Problem> {
    node.control.revoke_key(&id).await.map(|()| StatusCode::NO_CONTENT)
}
