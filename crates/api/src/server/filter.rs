//! The filter of names.

use axum::Json;
use axum::extract::State;

use super::Node;
use super::extract::{Asked, Options};
use super::net::Trial;
use crate::{
    FilterChange, FilterControl, FilterExplanation, FilterQuestion, FilterStats, FilterStatus, Problem,
};

fn filter_of(node: &Node) -> Result<&dyn FilterControl, Problem> {
    node.control.filter().ok_or_else(|| {
        Problem::unreachable("nothing was done", "this node does not answer for names", None::<&str>)
    })
}

/// What the realm says of names, and how that is here
#[utoipa::path(get, path = "/api/v1/net/filter", tag = "net", responses(
    (status = 200, body = FilterStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn filter(State(node): State<Node>) -> Result<Json<FilterStatus>, Problem> {
    filter_of(&node)?.filter().await.map(Json)
}

/// Change what the realm says of names
#[utoipa::path(patch, path = "/api/v1/net/filter", tag = "net", request_body = FilterChange, params(Trial),
    responses(
    (status = 200, body = FilterStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn change(
    State(node): State<Node>,
    Options(Trial { dry_run }): Options<Trial>,
    Asked(change): Asked<FilterChange>,
) -> Result<Json<FilterStatus>, Problem> {
    filter_of(&node)?.change_filter(change, dry_run).await.map(Json)
}

/// Look for newer lists now
#[utoipa::path(post, path = "/api/v1/net/filter/renewals", tag = "net", responses(
    (status = 200, body = FilterStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn renew(State(node): State<Node>) -> Result<Json<FilterStatus>, Problem> {
    filter_of(&node)?.renew_lists().await.map(Json)
}

/// What becomes of a name for somebody, and why
#[utoipa::path(post, path = "/api/v1/net/filter/explanations", tag = "net", request_body = FilterQuestion,
    responses(
    (status = 200, body = FilterExplanation),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn explain(
    State(node): State<Node>,
    Asked(question): Asked<FilterQuestion>,
) -> Result<Json<FilterExplanation>, Problem> {
    filter_of(&node)?.explain_name(question).await.map(Json)
}

/// How much was asked of this node in the last day
#[utoipa::path(get, path = "/api/v1/net/filter/statistics", tag = "net", responses(
    (status = 200, body = FilterStats),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn statistics(State(node): State<Node>) -> Result<Json<FilterStats>, Problem> {
    filter_of(&node)?.filter_stats().await.map(Json)
}
