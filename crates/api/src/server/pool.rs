//! Pools.

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use super::Node;
use super::extract::{Asked, Named, Options};
use super::net::Trial;
use crate::{
    NewPool, PoolChange, PoolControl, PoolHanded, PoolPapers, PoolStatus, PoolToJoin, PoolToSign, Problem,
};

fn pools_of(node: &Node) -> Result<&dyn PoolControl, Problem> {
    node.control.pools().ok_or_else(|| {
        Problem::unreachable("nothing was done", "this node does not answer for pools", None::<&str>)
    })
}

/// How the pools stand of which there are papers here
#[utoipa::path(get, path = "/api/v1/pools", tag = "pools", responses(
    (status = 200, body = Vec<PoolStatus>),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn pools(State(node): State<Node>) -> Result<Json<Vec<PoolStatus>>, Problem> {
    pools_of(&node)?.pools().await.map(Json)
}

/// Found a pool
#[utoipa::path(post, path = "/api/v1/pools", tag = "pools", request_body = NewPool, params(Trial), responses(
    (status = 200, body = PoolHanded),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn new_pool(
    State(node): State<Node>,
    Options(trial): Options<Trial>,
    Asked(wish): Asked<NewPool>,
) -> Result<Json<PoolHanded>, Problem> {
    pools_of(&node)?.new_pool(wish, trial.dry_run).await.map(Json)
}

/// Say what this realm would give to a pool and use of it
#[utoipa::path(post, path = "/api/v1/pools/joined", tag = "pools", request_body = PoolToJoin, params(Trial),
    responses(
    (status = 200, body = PoolHanded),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn join_pool(
    State(node): State<Node>,
    Options(trial): Options<Trial>,
    Asked(wish): Asked<PoolToJoin>,
) -> Result<Json<PoolHanded>, Problem> {
    pools_of(&node)?.join_pool(wish, trial.dry_run).await.map(Json)
}

/// Take in what others have of a pool's papers
#[utoipa::path(post, path = "/api/v1/pools/papers", tag = "pools", request_body = PoolPapers, responses(
    (status = 200, body = PoolHanded),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn take_pool_papers(
    State(node): State<Node>,
    Asked(papers): Asked<PoolPapers>,
) -> Result<Json<PoolHanded>, Problem> {
    pools_of(&node)?.take_pool_papers(papers).await.map(Json)
}

/// All papers of a pool
#[utoipa::path(get, path = "/api/v1/pools/{pool}/papers", tag = "pools",
    params(("pool" = String, Path, description = "Id, start of an id, or name")), responses(
    (status = 200, body = PoolHanded),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn pool_papers(
    State(node): State<Node>,
    Named(pool): Named<String>,
) -> Result<Json<PoolHanded>, Problem> {
    pools_of(&node)?.pool_papers(&pool).await.map(Json)
}

/// Sign what waits for this realm
#[utoipa::path(post, path = "/api/v1/pools/signed", tag = "pools", request_body = PoolToSign, params(Trial),
    responses(
    (status = 200, body = PoolHanded),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn sign_pool(
    State(node): State<Node>,
    Options(trial): Options<Trial>,
    Asked(wish): Asked<PoolToSign>,
) -> Result<Json<PoolHanded>, Problem> {
    pools_of(&node)?.sign_pool(wish, trial.dry_run).await.map(Json)
}

/// Propose a change, and sign it
#[utoipa::path(patch, path = "/api/v1/pools/{pool}", tag = "pools", request_body = PoolChange,
    params(("pool" = String, Path, description = "Id, start of an id, or name"), Trial), responses(
    (status = 200, body = PoolHanded),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn change_pool(
    State(node): State<Node>,
    Named(pool): Named<String>,
    Options(trial): Options<Trial>,
    Asked(change): Asked<PoolChange>,
) -> Result<Json<PoolHanded>, Problem> {
    pools_of(&node)?.change_pool(&pool, change, trial.dry_run).await.map(Json)
}

/// Say that this realm leaves, or forget a pool that it is not bound by
#[utoipa::path(delete, path = "/api/v1/pools/{pool}", tag = "pools",
    params(("pool" = String, Path, description = "Id, start of an id, or name"), Trial), responses(
    (status = 200, body = Option<PoolHanded>),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn leave_pool(
    State(node): State<Node>,
    Named(pool): Named<String>,
    Options(trial): Options<Trial>,
) -> Result<(StatusCode, Json<Option<PoolHanded>>), Problem> {
    let left = pools_of(&node)?.leave_pool(&pool, trial.dry_run).await?;
    Ok((StatusCode::OK, Json(left)))
}
