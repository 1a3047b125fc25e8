//! The realm: its nodes, its log, its guardians.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use bytes::Bytes;
use http::{HeaderName, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};

use super::Node;
use super::extract::{Asked, Named};
use crate::{
    Audit, Card, Checkpoint, GuardianTest, ImportReport, Invitation, InvitationStatus, LOG_MAX,
    NewInvitation, NewName, NodeStatus, Phrase, Problem,
};

/// Invitations that nobody has redeemed yet
#[utoipa::path(get, path = "/api/v1/invitations", tag = "realm", responses(
    (status = 200, body = [InvitationStatus]),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn invitations(State(node): State<Node>) -> Result<Json<Vec<InvitationStatus>>, Problem> {
    node.control.invitations().await.map(Json)
}

/// Invite a machine
#[utoipa::path(post, path = "/api/v1/invitations", tag = "realm", request_body = NewInvitation, responses(
    (status = 201, body = Invitation),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn invite(
    State(node): State<Node>,
    Asked(wish): Asked<NewInvitation>,
) -> Result<(StatusCode, Json<Invitation>), Problem> {
    let made = node.control.invite(wish).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Make an invitation void
#[utoipa::path(delete, path = "/api/v1/invitations/{id}", tag = "realm", params(("id" = String, Path)), responses(
    (status = 204, description = "Nobody can redeem it any more"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn withdraw_invitation(
    State(node): State<Node>,
    Named(id): Named<String>,
) -> Result<StatusCode, Problem> {
    node.control.withdraw_invitation(&id).await.map(|()| StatusCode::NO_CONTENT)
}

/// The realm's nodes
#[utoipa::path(get, path = "/api/v1/nodes", tag = "realm", responses(
    (status = 200, body = [NodeStatus]),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn nodes(State(node): State<Node>) -> Result<Json<Vec<NodeStatus>>, Problem> {
    node.control.nodes().await.map(Json)
}

/// Take a node's rights away
#[utoipa::path(post, path = "/api/v1/nodes/{node}/suspend", tag = "realm",
    params(("node" = String, Path, description = "Id, start of an id, or name")), responses(
    (status = 204, description = "It is suspended"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn suspend_node(
    State(node): State<Node>,
    Named(named): Named<String>,
) -> Result<StatusCode, Problem> {
    node.control.suspend_node(&named).await.map(|()| StatusCode::NO_CONTENT)
}

/// Give a suspended node its rights back
#[utoipa::path(post, path = "/api/v1/nodes/{node}/lift", tag = "realm",
    params(("node" = String, Path, description = "Id, start of an id, or name")), responses(
    (status = 204, description = "The suspension is lifted"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn lift_node(
    State(node): State<Node>,
    Named(named): Named<String>,
) -> Result<StatusCode, Problem> {
    node.control.lift_node(&named).await.map(|()| StatusCode::NO_CONTENT)
}

/// Give a node another name
#[utoipa::path(post, path = "/api/v1/nodes/{node}/rename", tag = "realm", request_body = NewName,
    params(("node" = String, Path, description = "Id, start of an id, or name")), responses(
    (status = 204, description = "It has its new name"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn rename_node(
    State(node): State<Node>,
    Named(named): Named<String>,
    Asked(name): Asked<NewName>,
) -> Result<StatusCode, Problem> {
    node.control.rename_node(&named, name).await.map(|()| StatusCode::NO_CONTENT)
}

/// The realm log as a file
#[utoipa::path(get, path = "/api/v1/realm/export", tag = "realm", responses(
    (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn export_log(
    State(node): State<Node>,
) -> Result<([(HeaderName, &'static str); 2], Bytes), Problem> {
    let log = node.control.export_log().await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"realm.log\""),
    ];
    Ok((headers, log))
}

/// Take in an exported log of this realm
#[utoipa::path(post, path = "/api/v1/realm/import", tag = "realm",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses(
    (status = 200, body = ImportReport),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn import_log(State(node): State<Node>, body: Body) -> Result<Json<ImportReport>, Problem> {
    let exported = Limited::new(body, LOG_MAX).collect().await.map_err(|error| {
        let next = format!("send a log of at most {}, whole", crate::words::bytes(LOG_MAX as u64));
        Problem::invalid("cannot read the exported log", error.to_string(), Some(next))
    })?;
    node.control.import_log(exported.to_bytes()).await.map(Json)
}

/// Derive the state from the log again
#[utoipa::path(get, path = "/api/v1/realm/audit", tag = "realm", responses(
    (status = 200, body = Audit),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn audit(State(node): State<Node>) -> Result<Json<Audit>, Problem> {
    node.control.audit().await.map(Json)
}

/// Stop a recovery that waits for its 72 hours
#[utoipa::path(post, path = "/api/v1/realm/recoveries/{id}/veto", tag = "realm",
    params(("id" = String, Path, description = "Id, or start of an id")), responses(
    (status = 204, description = "It will not take effect"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn veto_recovery(
    State(node): State<Node>,
    Named(id): Named<String>,
) -> Result<StatusCode, Problem> {
    node.control.veto_recovery(&id).await.map(|()| StatusCode::NO_CONTENT)
}

/// Make the history up to now final
#[utoipa::path(post, path = "/api/v1/realm/checkpoint", tag = "realm", responses(
    (status = 200, body = Checkpoint),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn checkpoint(State(node): State<Node>) -> Result<Json<Checkpoint>, Problem> {
    node.control.checkpoint().await.map(Json)
}

/// The card to keep for recovery
#[utoipa::path(get, path = "/api/v1/realm/card", tag = "realm", responses(
    (status = 200, body = Card),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn card(State(node): State<Node>) -> Result<Json<Card>, Problem> {
    node.control.card().await.map(Json)
}

/// Try a guardian phrase, without recovering anything
#[utoipa::path(post, path = "/api/v1/guardians/test", tag = "realm", request_body = Phrase, responses(
    (status = 200, body = GuardianTest),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn test_guardian(
    State(node): State<Node>,
    Asked(phrase): Asked<Phrase>,
) -> Result<Json<GuardianTest>, Problem> {
    node.control.test_guardian(phrase).await.map(Json)
}
