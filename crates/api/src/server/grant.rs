//! Grants.

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use super::Node;
use super::extract::{Asked, Named, Options};
use super::net::{Trial, made};
use crate::{GrantControl, GrantOffered, GrantStatus, GrantToAccept, NewGrant, Problem, RealmCard};

fn grants_of(node: &Node) -> Result<&dyn GrantControl, Problem> {
    node.control.grants().ok_or_else(|| {
        Problem::unreachable("nothing was done", "this node does not answer for grants", None::<&str>)
    })
}

/// What another realm needs to lend this one something
#[utoipa::path(get, path = "/api/v1/grants/card", tag = "grants", responses(
    (status = 200, body = RealmCard),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn realm_card(State(node): State<Node>) -> Result<Json<RealmCard>, Problem> {
    grants_of(&node)?.realm_card().await.map(Json)
}

/// What is lent and borrowed
#[utoipa::path(get, path = "/api/v1/grants", tag = "grants", responses(
    (status = 200, body = Vec<GrantStatus>),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn grants(State(node): State<Node>) -> Result<Json<Vec<GrantStatus>>, Problem> {
    grants_of(&node)?.grants().await.map(Json)
}

/// Lend another realm something
#[utoipa::path(post, path = "/api/v1/grants", tag = "grants", request_body = NewGrant, params(Trial),
    responses(
    (status = 200, description = "It would be offered"),
    (status = 201, body = GrantOffered),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn offer_grant(
    State(node): State<Node>,
    Options(trial): Options<Trial>,
    Asked(wish): Asked<NewGrant>,
) -> Result<(StatusCode, Json<Option<GrantOffered>>), Problem> {
    grants_of(&node)?.offer_grant(wish, trial.dry_run).await.map(made)
}

/// Take up what another realm offers
#[utoipa::path(post, path = "/api/v1/grants/accepted", tag = "grants", request_body = GrantToAccept,
    params(Trial), responses(
    (status = 200, body = GrantStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn accept_grant(
    State(node): State<Node>,
    Options(trial): Options<Trial>,
    Asked(wish): Asked<GrantToAccept>,
) -> Result<Json<GrantStatus>, Problem> {
    grants_of(&node)?.accept_grant(wish, trial.dry_run).await.map(Json)
}

/// End a grant for good
#[utoipa::path(delete, path = "/api/v1/grants/{grant}", tag = "grants",
    params(("grant" = String, Path, description = "Id, start of an id, or name"), Trial), responses(
    (status = 204, description = "Done"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn end_grant(
    State(node): State<Node>,
    Named(grant): Named<String>,
    Options(trial): Options<Trial>,
) -> Result<StatusCode, Problem> {
    grants_of(&node)?.end_grant(&grant, trial.dry_run).await.map(|()| StatusCode::NO_CONTENT)
}
