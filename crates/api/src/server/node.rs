//! This node.

use axum::Json;
use axum::extract::State;
use http::{HeaderName, StatusCode, header};

use super::Node;
use crate::{Doctor, Problem, Status};

/// How everything is
#[utoipa::path(get, path = "/api/v1/status", tag = "node", responses(
    (status = 200, body = Status),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn status(State(node): State<Node>) -> Result<Json<Status>, Problem> {
    node.control.status().await.map(Json)
}

/// Look for what is wrong
#[utoipa::path(get, path = "/api/v1/doctor", tag = "node", responses(
    (status = 200, body = Doctor),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn doctor(State(node): State<Node>) -> Result<Json<Doctor>, Problem> {
    node.control.doctor().await.map(Json)
}

/// Metrics in the text format of Prometheus
#[utoipa::path(get, path = "/api/v1/metrics", tag = "node", responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn metrics(
    State(node): State<Node>,
) -> Result<([(HeaderName, &'static str); 1], String), Problem> {
    let text = node.control.metrics().await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}

/// Begin an orderly stop
#[utoipa::path(post, path = "/api/v1/shutdown", tag = "node", responses(
    (status = 202, description = "The node is stopping"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn shut_down(State(node): State<Node>) -> Result<StatusCode, Problem> {
    node.control.shut_down().await.map(|()| StatusCode::ACCEPTED)
}
