//! Backups of this machine.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt as _;
use http::{StatusCode, header};

use super::Node;
use super::extract::{Asked, Named};
use super::setup::CODE_LASTS;
use crate::{
    BackupAsked, BackupCheck, BackupControl, BackupEntry, BackupEvent, BackupEvents, BackupForget,
    BackupFound, BackupKeep, BackupLook, BackupMetered, BackupMount, BackupMounted, BackupNode, BackupPace,
    BackupPassword, BackupPlace, BackupRead, BackupRestore, BackupSnapshot, BackupSought, BackupSpare,
    BackupStatus, BackupTarget, BackupTree, BackupUnprotected, Backups, NewBackup, NewBackupTarget, Problem,
    SetupCode,
};

fn backups_of(node: &Node) -> Result<&dyn BackupControl, Problem> {
    node.control
        .backups_of_files()
        .ok_or_else(|| Problem::unreachable("nothing was done", "this node makes no backups", None::<&str>))
}

/// A JSON object a line.
fn lines(events: BackupEvents) -> Response {
    let lines = events.map(|event| {
        let mut line = serde_json::to_vec(&event)?;
        line.push(b'\n');
        Ok::<_, serde_json::Error>(Bytes::from(line))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

/// Backups of this node, and how they stand
#[utoipa::path(get, path = "/api/v1/backup", tag = "backup", responses(
    (status = 200, body = Backups),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn backups(State(node): State<Node>) -> Result<Json<Backups>, Problem> {
    backups_of(&node)?.backups().await.map(Json)
}

/// Add a target: make a repository there, or take over one that is there
#[utoipa::path(post, path = "/api/v1/backup/targets", tag = "backup", request_body = NewBackupTarget, responses(
    (status = 201, body = BackupTarget),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn add_backup_target(
    State(node): State<Node>,
    Asked(wish): Asked<NewBackupTarget>,
) -> Result<(StatusCode, Json<BackupTarget>), Problem> {
    let made = backups_of(&node)?.add_backup_target(wish).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Say how fast backups go to a target
#[utoipa::path(patch, path = "/api/v1/backup/targets/{name}", tag = "backup", request_body = BackupPace,
    params(("name" = String, Path, description = "What it is called")), responses(
    (status = 200, description = "The target", body = BackupTarget),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn pace_backup_target(
    State(node): State<Node>,
    Named(name): Named<String>,
    Asked(pace): Asked<BackupPace>,
) -> Result<Json<BackupTarget>, Problem> {
    backups_of(&node)?.pace_backup_target(&name, pace).await.map(Json)
}

/// Forget a target that no backup goes to; what lies there stays
#[utoipa::path(delete, path = "/api/v1/backup/targets/{name}", tag = "backup",
    params(("name" = String, Path, description = "What it is called")), responses(
    (status = 204, description = "It is no target any more"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn remove_backup_target(
    State(node): State<Node>,
    Named(name): Named<String>,
) -> Result<StatusCode, Problem> {
    backups_of(&node)?.remove_backup_target(&name).await.map(|()| StatusCode::NO_CONTENT)
}

/// What opens the repository of a target without this program
#[utoipa::path(post, path = "/api/v1/backup/targets/{name}/password", tag = "backup",
    params(("name" = String, Path, description = "What it is called")), responses(
    (status = 200, body = BackupPassword),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn backup_password(
    State(node): State<Node>,
    Named(name): Named<String>,
) -> Result<Json<BackupPassword>, Problem> {
    backups_of(&node)?.backup_password(&name).await.map(Json)
}

/// Back something up
#[utoipa::path(post, path = "/api/v1/backup", tag = "backup", request_body = NewBackup, responses(
    (status = 201, body = BackupStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn add_backup(
    State(node): State<Node>,
    Asked(wish): Asked<NewBackup>,
) -> Result<(StatusCode, Json<BackupStatus>), Problem> {
    let made = backups_of(&node)?.add_backup(wish).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Back something up no longer; its snapshots stay
#[utoipa::path(delete, path = "/api/v1/backup/made/{name}", tag = "backup",
    params(("name" = String, Path, description = "What it is called")), responses(
    (status = 204, description = "It is backed up no longer"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn remove_backup(
    State(node): State<Node>,
    Named(name): Named<String>,
) -> Result<StatusCode, Problem> {
    backups_of(&node)?.remove_backup(&name).await.map(|()| StatusCode::NO_CONTENT)
}

/// Have a run begin at each target
///
/// It goes on whether or not somebody waits; how it stands is told with the backups.
#[utoipa::path(post, path = "/api/v1/backup/made/{name}/now", tag = "backup",
    params(("name" = String, Path, description = "What it is called")), responses(
    (status = 202, body = [BackupAsked]),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn back_up_now(
    State(node): State<Node>,
    Named(name): Named<String>,
) -> Result<(StatusCode, Json<Vec<BackupAsked>>), Problem> {
    let asked = backups_of(&node)?.back_up_now(&name).await?;
    Ok((StatusCode::ACCEPTED, Json(asked)))
}

/// Change how many of its snapshots stay
#[utoipa::path(put, path = "/api/v1/backup/made/{name}/keep", tag = "backup", request_body = BackupKeep,
    params(("name" = String, Path, description = "What it is called")), responses(
    (status = 200, body = BackupStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn keep_backups(
    State(node): State<Node>,
    Named(name): Named<String>,
    Asked(keep): Asked<BackupKeep>,
) -> Result<Json<BackupStatus>, Problem> {
    backups_of(&node)?.keep_backups(&name, keep).await.map(Json)
}

/// Say whether it is made over a network that costs by the byte
#[utoipa::path(put, path = "/api/v1/backup/made/{name}/metered", tag = "backup", request_body = BackupMetered,
    params(("name" = String, Path, description = "What it is called")), responses(
    (status = 200, body = BackupStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn meter_backup(
    State(node): State<Node>,
    Named(name): Named<String>,
    Asked(wish): Asked<BackupMetered>,
) -> Result<Json<BackupStatus>, Problem> {
    backups_of(&node)?.meter_backup(&name, wish).await.map(Json)
}

/// Say that what it covers is as it is meant to be
///
/// What its last run had is the measure from then on, and snapshots are forgotten again.
#[utoipa::path(post, path = "/api/v1/backup/made/{name}/accept", tag = "backup",
    params(("name" = String, Path, description = "What it is called")), responses(
    (status = 200, body = BackupStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn accept_backup(
    State(node): State<Node>,
    Named(name): Named<String>,
) -> Result<Json<BackupStatus>, Problem> {
    backups_of(&node)?.accept_backup(&name).await.map(Json)
}

/// What of this machine, and of the realm as far as that is for it, lies in no backup
///
/// It is looked anew, a directory deep.
#[utoipa::path(get, path = "/api/v1/backup/unprotected", tag = "backup", responses(
    (status = 200, body = BackupUnprotected),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn unprotected(State(node): State<Node>) -> Result<Json<BackupUnprotected>, Problem> {
    backups_of(&node)?.unprotected().await.map(Json)
}

/// Say that something is meant to be in no backup, or not any more
#[utoipa::path(post, path = "/api/v1/backup/unprotected", tag = "backup", request_body = BackupSpare, responses(
    (status = 200, description = "What lies in none then", body = BackupUnprotected),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn spare_from_backup(
    State(node): State<Node>,
    Asked(wish): Asked<BackupSpare>,
) -> Result<Json<BackupUnprotected>, Problem> {
    backups_of(&node)?.spare_from_backup(wish).await.map(Json)
}

/// The snapshots on a target, the oldest first
#[utoipa::path(post, path = "/api/v1/backup/snapshots", tag = "backup", request_body = BackupPlace, responses(
    (status = 200, body = [BackupSnapshot]),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn backup_snapshots(
    State(node): State<Node>,
    Asked(place): Asked<BackupPlace>,
) -> Result<Json<Vec<BackupSnapshot>>, Problem> {
    backups_of(&node)?.backup_snapshots(place).await.map(Json)
}

/// Looks for something by its name, in all snapshots of a target or in one
#[utoipa::path(post, path = "/api/v1/backup/seek", tag = "backup", request_body = BackupSought, responses(
    (status = 200, body = BackupFound),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn seek_backup(
    State(node): State<Node>,
    Asked(sought): Asked<BackupSought>,
) -> Result<Json<BackupFound>, Problem> {
    backups_of(&node)?.seek_backup(sought).await.map(Json)
}

/// What lies below a path of a snapshot
#[utoipa::path(post, path = "/api/v1/backup/entries", tag = "backup", request_body = BackupPlace, responses(
    (status = 200, body = [BackupEntry]),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn backup_entries(
    State(node): State<Node>,
    Asked(place): Asked<BackupPlace>,
) -> Result<Json<Vec<BackupEntry>>, Problem> {
    backups_of(&node)?.backup_entries(place).await.map(Json)
}

/// Keep a repository open, to walk through it
///
/// The answer is one JSON object a line: what is there, and then progress now and then, which says nothing, until the
/// connection is closed. What is open is asked by its id meanwhile.
#[utoipa::path(post, path = "/api/v1/backup/mounts", tag = "backup", request_body = BackupMount, responses(
    (status = 200, body = BackupEvent, content_type = "application/x-ndjson"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn mount_backup(
    State(node): State<Node>,
    Asked(wish): Asked<BackupMount>,
) -> Result<Response, Problem> {
    backups_of(&node)?.mount_backup(wish).await.map(lines)
}

/// Open a repository to look into it now and then
///
/// It is asked by its id as one that is mounted, and closed when nobody has asked it for a while.
#[utoipa::path(post, path = "/api/v1/backup/looks", tag = "backup", request_body = BackupLook, responses(
    (status = 200, body = BackupMounted),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn look_into_backups(
    State(node): State<Node>,
    Asked(wish): Asked<BackupLook>,
) -> Result<Json<BackupMounted>, Problem> {
    backups_of(&node)?.look_into_backups(wish).await.map(Json)
}

/// Make a code with which a browser may look into backups
///
/// For one that has signed in, and for an hour. No browser can ask for it.
#[utoipa::path(post, path = "/api/v1/backup/code", tag = "backup", responses(
    (status = 201, body = SetupCode),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn new_reading_code(State(node): State<Node>) -> (StatusCode, Json<SetupCode>) {
    (StatusCode::CREATED, Json(node.sessions.issue_reading_code(CODE_LASTS)))
}

/// What is in a directory of a repository that is open
#[utoipa::path(post, path = "/api/v1/backup/mounts/{id}/nodes", tag = "backup", request_body = BackupTree,
    params(("id" = String, Path, description = "By what it was said to be called")), responses(
    (status = 200, body = [BackupNode]),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn mounted_nodes(
    State(node): State<Node>,
    Named(id): Named<String>,
    Asked(wish): Asked<BackupTree>,
) -> Result<Json<Vec<BackupNode>>, Problem> {
    backups_of(&node)?.mounted_nodes(&id, wish).await.map(Json)
}

/// Bytes of a file in a repository that is open
///
/// Fewer than were asked for where the file ends. What is damaged is an error, and never other bytes.
#[utoipa::path(post, path = "/api/v1/backup/mounts/{id}/bytes", tag = "backup", request_body = BackupRead,
    params(("id" = String, Path, description = "By what it was said to be called")), responses(
    (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn mounted_bytes(
    State(node): State<Node>,
    Named(id): Named<String>,
    Asked(wish): Asked<BackupRead>,
) -> Result<Response, Problem> {
    let bytes = backups_of(&node)?.mounted_bytes(&id, wish).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

/// Bring something back
///
/// The answer is one JSON object a line: progress now and then, and one end. Closing the connection stops the work.
#[utoipa::path(post, path = "/api/v1/backup/restore", tag = "backup", request_body = BackupRestore, responses(
    (status = 200, body = BackupEvent, content_type = "application/x-ndjson"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn restore_backup(
    State(node): State<Node>,
    Asked(wish): Asked<BackupRestore>,
) -> Result<Response, Problem> {
    backups_of(&node)?.restore_backup(wish).await.map(lines)
}

/// Look whether a repository is sound
///
/// The answer is as that of a restore.
#[utoipa::path(post, path = "/api/v1/backup/check", tag = "backup", request_body = BackupCheck, responses(
    (status = 200, body = BackupEvent, content_type = "application/x-ndjson"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn check_backup(
    State(node): State<Node>,
    Asked(wish): Asked<BackupCheck>,
) -> Result<Response, Problem> {
    backups_of(&node)?.check_backup(wish).await.map(lines)
}

/// Forget snapshots, and remove what no other needs
///
/// The answer is as that of a restore.
#[utoipa::path(post, path = "/api/v1/backup/forget", tag = "backup", request_body = BackupForget, responses(
    (status = 200, body = BackupEvent, content_type = "application/x-ndjson"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn forget_backups(
    State(node): State<Node>,
    Asked(wish): Asked<BackupForget>,
) -> Result<Response, Problem> {
    backups_of(&node)?.forget_backups(wish).await.map(lines)
}
