//! Where alarms go.

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use super::Node;
use super::extract::{Asked, Named};
use crate::{AlarmChannel, AlarmControl, NewAlarmChannel, Problem};

fn alarms_of(node: &Node) -> Result<&dyn AlarmControl, Problem> {
    node.control
        .alarms()
        .ok_or_else(|| Problem::unreachable("nothing was done", "this node sends no alarms", None::<&str>))
}

/// Where this node sends its alarms
#[utoipa::path(get, path = "/api/v1/alarms/channels", tag = "node", responses(
    (status = 200, body = Vec<AlarmChannel>),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn alarm_channels(State(node): State<Node>) -> Result<Json<Vec<AlarmChannel>>, Problem> {
    alarms_of(&node)?.alarm_channels().await.map(Json)
}

/// Send alarms somewhere else, too
#[utoipa::path(post, path = "/api/v1/alarms/channels", tag = "node", request_body = NewAlarmChannel, responses(
    (status = 201, body = AlarmChannel),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn add_alarm_channel(
    State(node): State<Node>,
    Asked(wish): Asked<NewAlarmChannel>,
) -> Result<(StatusCode, Json<AlarmChannel>), Problem> {
    let made = alarms_of(&node)?.add_alarm_channel(wish).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Send alarms there no longer
#[utoipa::path(delete, path = "/api/v1/alarms/channels/{name}", tag = "node",
    params(("name" = String, Path, description = "What it is called")), responses(
    (status = 204, description = "Nothing goes there any more"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn remove_alarm_channel(
    State(node): State<Node>,
    Named(name): Named<String>,
) -> Result<StatusCode, Problem> {
    alarms_of(&node)?.remove_alarm_channel(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Send a message there that says that it is a test
#[utoipa::path(post, path = "/api/v1/alarms/channels/{name}/test", tag = "node",
    params(("name" = String, Path, description = "What it is called")), responses(
    (status = 200, description = "It has arrived", body = AlarmChannel),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn test_alarm_channel(
    State(node): State<Node>,
    Named(name): Named<String>,
) -> Result<Json<AlarmChannel>, Problem> {
    alarms_of(&node)?.test_alarm_channel(&name).await.map(Json)
}
