//! The onion door.

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use super::Node;
use super::extract::{Asked, Named};
use crate::{OnionClient, OnionControl, OnionSetting, OnionStatus, Problem};

fn onion_of(node: &Node) -> Result<&dyn OnionControl, Problem> {
    node.control
        .onion_door()
        .ok_or_else(|| Problem::unreachable("nothing was done", "this node has no onion door", None::<&str>))
}

/// How the onion door stands
#[utoipa::path(get, path = "/api/v1/net/onion", tag = "net", responses(
    (status = 200, body = OnionStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn onion(State(node): State<Node>) -> Result<Json<OnionStatus>, Problem> {
    onion_of(&node)?.onion().await.map(Json)
}

/// Open the onion door, or shut it
#[utoipa::path(patch, path = "/api/v1/net/onion", tag = "net", request_body = OnionSetting, responses(
    (status = 200, body = OnionStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set_onion(
    State(node): State<Node>,
    Asked(setting): Asked<OnionSetting>,
) -> Result<Json<OnionStatus>, Problem> {
    onion_of(&node)?.set_onion(setting).await.map(Json)
}

/// Let somebody in by the onion door
///
/// Whoever asks has made the key pair, and keeps the secret half to the client.
#[utoipa::path(post, path = "/api/v1/net/onion/clients", tag = "net", request_body = OnionClient, responses(
    (status = 201, body = OnionStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn let_in_by_onion(
    State(node): State<Node>,
    Asked(client): Asked<OnionClient>,
) -> Result<(StatusCode, Json<OnionStatus>), Problem> {
    let status = onion_of(&node)?.let_in_by_onion(client).await?;
    Ok((StatusCode::CREATED, Json(status)))
}

/// Let somebody in by the onion door no longer
#[utoipa::path(delete, path = "/api/v1/net/onion/clients/{name}", tag = "net",
    params(("name" = String, Path, description = "What it is called")), responses(
    (status = 200, description = "It is cut off", body = OnionStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn remove_from_onion(
    State(node): State<Node>,
    Named(name): Named<String>,
) -> Result<Json<OnionStatus>, Problem> {
    onion_of(&node)?.remove_from_onion(&name).await.map(Json)
}
