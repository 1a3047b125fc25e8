//! Forwarded ports of this machine.

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use super::Node;
use super::extract::{Asked, Named};
use crate::{ForwardControl, NetForward, NewForward, Problem};

fn forwards_of(node: &Node) -> Result<&dyn ForwardControl, Problem> {
    node.control
        .forwards()
        .ok_or_else(|| Problem::unreachable("nothing was done", "this node forwards no ports", None::<&str>))
}

/// The ports of this machine that lead into the network
#[utoipa::path(get, path = "/api/v1/net/forwards", tag = "net", responses(
    (status = 200, body = [NetForward]),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn forwards(State(node): State<Node>) -> Result<Json<Vec<NetForward>>, Problem> {
    forwards_of(&node)?.forwards().await.map(Json)
}

/// Forward a port of this machine
#[utoipa::path(post, path = "/api/v1/net/forwards", tag = "net", request_body = NewForward, responses(
    (status = 201, body = NetForward),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn add_forward(
    State(node): State<Node>,
    Asked(wish): Asked<NewForward>,
) -> Result<(StatusCode, Json<NetForward>), Problem> {
    let made = forwards_of(&node)?.add_forward(wish).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Forward a port no longer
#[utoipa::path(delete, path = "/api/v1/net/forwards/{listen}", tag = "net",
    params(("listen" = String, Path, description = "Its address, or its port on the loopback")), responses(
    (status = 204, description = "It is forwarded no longer, and what went through it is cut"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn remove_forward(
    State(node): State<Node>,
    Named(listen): Named<String>,
) -> Result<StatusCode, Problem> {
    forwards_of(&node)?.remove_forward(&listen).await.map(|()| StatusCode::NO_CONTENT)
}
