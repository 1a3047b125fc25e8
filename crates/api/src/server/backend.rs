//! Backends.

#![expect(unused_qualifications, reason = "utoipa's macro writes them")]

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::Node;
use super::extract::{Asked, Named, Options};
use crate::{
    Attached, BackendControl, BackendStatus, Detach, Detached, NewBackend, PackLine, Probed, Problem,
};

fn backends_of(node: &Node) -> Result<&dyn BackendControl, Problem> {
    node.control.backends().ok_or_else(|| {
        Problem::refused("this node has no backends", "it hosts none", Some("ask another node"))
    })
}

/// Backends of this node
#[utoipa::path(get, path = "/api/v1/backends", tag = "backends", responses(
    (status = 200, body = [BackendStatus]),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn backends(State(node): State<Node>) -> Result<Json<Vec<BackendStatus>>, Problem> {
    backends_of(&node)?.backends().await.map(Json)
}

/// How to attach.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Trial {
    /// Only try the store out.
    dry_run: bool,
}

/// Attach a foreign object store as a storage node of the realm
#[utoipa::path(post, path = "/api/v1/backends", tag = "backends", params(Trial),
    request_body = NewBackend, responses(
    (status = 201, body = Attached),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn attach(
    State(node): State<Node>,
    Options(Trial { dry_run }): Options<Trial>,
    Asked(wish): Asked<NewBackend>,
) -> Result<(StatusCode, Json<Attached>), Problem> {
    let attached = backends_of(&node)?.attach(wish, dry_run).await?;
    Ok((if dry_run { StatusCode::OK } else { StatusCode::CREATED }, Json(attached)))
}

/// Try the store of a backend out again
#[utoipa::path(post, path = "/api/v1/backends/{name}/probe", tag = "backends",
    params(("name" = String, Path)), responses(
    (status = 200, body = Probed),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn probe(
    State(node): State<Node>,
    Named(name): Named<String>,
) -> Result<Json<Probed>, Problem> {
    backends_of(&node)?.probe(&name).await.map(Json)
}

/// The list by which anybody can check a backend's packs without a key
#[utoipa::path(get, path = "/api/v1/backends/{name}/packs", tag = "backends",
    params(("name" = String, Path)), responses(
    (status = 200, body = [PackLine]),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn packs(
    State(node): State<Node>,
    Named(name): Named<String>,
) -> Result<Json<Vec<PackLine>>, Problem> {
    backends_of(&node)?.packs(&name).await.map(Json)
}

/// How to detach.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Ending {
    /// Though something is only there.
    force: bool,
    /// Only say whether it would be done.
    dry_run: bool,
}

/// End a backend
#[utoipa::path(delete, path = "/api/v1/backends/{name}", tag = "backends",
    params(("name" = String, Path), Ending), responses(
    (status = 200, body = Detached),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn detach(
    State(node): State<Node>,
    Named(name): Named<String>,
    Options(Ending { force, dry_run }): Options<Ending>,
) -> Result<Json<Detached>, Problem> {
    backends_of(&node)?.detach(&name, Detach { force, dry_run }).await.map(Json)
}
