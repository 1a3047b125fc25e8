//! Buckets.

#![expect(unused_qualifications, reason = "utoipa's macro writes them")]

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::StreamExt as _;
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::Node;
use super::extract::{Asked, Named, Options};
use crate::{BucketStatus, NewBucket, Problem, VerifyEvent};

/// The realm's buckets
#[utoipa::path(get, path = "/api/v1/buckets", tag = "buckets", responses(
    (status = 200, body = [BucketStatus]),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn buckets(State(node): State<Node>) -> Result<Json<Vec<BucketStatus>>, Problem> {
    node.control.buckets().await.map(Json)
}

/// Make a bucket
#[utoipa::path(post, path = "/api/v1/buckets", tag = "buckets", request_body = NewBucket, responses(
    (status = 201, body = BucketStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create_bucket(
    State(node): State<Node>,
    Asked(wish): Asked<NewBucket>,
) -> Result<(StatusCode, Json<BucketStatus>), Problem> {
    let made = node.control.create_bucket(wish).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// How to delete.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Delete {
    /// Only say whether it would be deleted.
    dry_run: bool,
}

/// Delete an empty bucket
#[utoipa::path(delete, path = "/api/v1/buckets/{bucket}", tag = "buckets",
    params(("bucket" = String, Path), Delete), responses(
    (status = 204, description = "It is gone, or would be"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete_bucket(
    State(node): State<Node>,
    Named(bucket): Named<String>,
    Options(Delete { dry_run }): Options<Delete>,
) -> Result<StatusCode, Problem> {
    node.control.delete_bucket(&bucket, dry_run).await.map(|()| StatusCode::NO_CONTENT)
}

/// How to verify.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Verify {
    /// Put good copies in the place of damaged ones.
    repair: bool,
}

/// Read every sealed object on this node
///
/// The answer is one JSON object a line: progress now and then, and one end. Closing the connection
/// stops the work.
#[utoipa::path(post, path = "/api/v1/buckets/{bucket}/verify", tag = "buckets",
    params(("bucket" = String, Path), Verify), responses(
    (status = 200, body = VerifyEvent, content_type = "application/x-ndjson"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn verify_bucket(
    State(node): State<Node>,
    Named(bucket): Named<String>,
    Options(Verify { repair }): Options<Verify>,
) -> Result<Response, Problem> {
    let events = node.control.verify_bucket(&bucket, repair).await?;
    let lines = events.map(|event| {
        let mut line = serde_json::to_vec(&event)?;
        line.push(b'\n');
        Ok::<_, serde_json::Error>(Bytes::from(line))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}
