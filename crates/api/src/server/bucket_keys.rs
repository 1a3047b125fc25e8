//! Keys of buckets.

use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use http::{HeaderName, StatusCode, header};

use super::Node;
use super::extract::{Asked, Named};
use crate::{
    BucketKeys, BucketStatus, Erasure, ErasurePlan, KeyControl, NewPrivateBucket, ObjectErasurePlan,
    ObjectToErase, Problem, Rewrapped, Rotated, Rotation, Share,
};

fn keys(node: &Node) -> Result<&dyn KeyControl, Problem> {
    node.control.bucket_keys().ok_or_else(|| {
        Problem::unreachable("nothing was done", "this node does not answer for keys", None::<&str>)
    })
}

/// A bucket's keys: who holds them, and what is sealed with which
#[utoipa::path(get, path = "/api/v1/buckets/{bucket}/keys", tag = "buckets",
    params(("bucket" = String, Path)), responses(
    (status = 200, body = BucketKeys),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn bucket_keys(
    State(node): State<Node>,
    Named(bucket): Named<String>,
) -> Result<Json<BucketKeys>, Problem> {
    keys(&node)?.bucket_keys(&bucket).await.map(Json)
}

/// Make new keys
#[utoipa::path(post, path = "/api/v1/rotations", tag = "buckets", request_body = Rotation, responses(
    (status = 200, body = Rotated),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn rotate(
    State(node): State<Node>,
    Asked(wish): Asked<Rotation>,
) -> Result<Json<Rotated>, Problem> {
    keys(&node)?.rotate(wish).await.map(Json)
}

/// Seal with a bucket's newest key what earlier ones sealed
///
/// Blobs stay as they are. It does not do everything at once: ask again while there is more.
#[utoipa::path(post, path = "/api/v1/buckets/{bucket}/rewrap", tag = "buckets",
    params(("bucket" = String, Path)), responses(
    (status = 200, body = Rewrapped),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn rewrap(
    State(node): State<Node>,
    Named(bucket): Named<String>,
) -> Result<Json<Rewrapped>, Problem> {
    keys(&node)?.rewrap(&bucket).await.map(Json)
}

/// Let a node or a person have a bucket's keys
#[utoipa::path(post, path = "/api/v1/buckets/{bucket}/holders", tag = "buckets", request_body = Share,
    params(("bucket" = String, Path)), responses(
    (status = 200, body = BucketKeys),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn share(
    State(node): State<Node>,
    Named(bucket): Named<String>,
    Asked(wish): Asked<Share>,
) -> Result<Json<BucketKeys>, Problem> {
    keys(&node)?.share(&bucket, wish).await.map(Json)
}

/// Give them no key that is made from now on
#[utoipa::path(delete, path = "/api/v1/buckets/{bucket}/holders/{holder}", tag = "buckets",
    params(("bucket" = String, Path), ("holder" = String, Path)), responses(
    (status = 200, body = BucketKeys),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn unshare(
    State(node): State<Node>,
    Named((bucket, holder)): Named<(String, String)>,
) -> Result<Json<BucketKeys>, Problem> {
    keys(&node)?.unshare(&bucket, &holder).await.map(Json)
}

/// Make a bucket whose key only those nodes get that are named
#[utoipa::path(post, path = "/api/v1/private-buckets", tag = "buckets", request_body = NewPrivateBucket,
    responses(
    (status = 201, body = BucketStatus),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create_private(
    State(node): State<Node>,
    Asked(wish): Asked<NewPrivateBucket>,
) -> Result<(StatusCode, Json<BucketStatus>), Problem> {
    let made = keys(&node)?.create_private(wish).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// What erasing a bucket would come to, if it may be erased
#[utoipa::path(get, path = "/api/v1/buckets/{bucket}/erasure", tag = "buckets",
    params(("bucket" = String, Path)), responses(
    (status = 200, body = ErasurePlan),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn plan_erasure(
    State(node): State<Node>,
    Named(bucket): Named<String>,
) -> Result<Json<ErasurePlan>, Problem> {
    keys(&node)?.plan_erasure(&bucket).await.map(Json)
}

/// Erase a bucket with all that is in it
///
/// Every node destroys its keys of the bucket; nothing brings it back. On a machine that is an admin's device.
#[utoipa::path(post, path = "/api/v1/buckets/{bucket}/erasure", tag = "buckets",
    params(("bucket" = String, Path)), responses(
    (status = 200, body = Erasure),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn erase(
    State(node): State<Node>,
    Named(bucket): Named<String>,
) -> Result<Json<Erasure>, Problem> {
    keys(&node)?.erase(&bucket).await.map(Json)
}

/// What erasing an object would come to, if it may be erased
#[utoipa::path(post, path = "/api/v1/buckets/{bucket}/object-erasure-plans", tag = "buckets",
    params(("bucket" = String, Path)), request_body = ObjectToErase, responses(
    (status = 200, body = ObjectErasurePlan),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn plan_object_erasure(
    State(node): State<Node>,
    Named(bucket): Named<String>,
    Asked(wish): Asked<ObjectToErase>,
) -> Result<Json<ObjectErasurePlan>, Problem> {
    keys(&node)?.plan_object_erasure(&bucket, wish).await.map(Json)
}

/// Erase an object with all its versions
///
/// The bucket gets its next key, what lives is sealed anew with it, and every node destroys the earlier ones;
/// nothing brings the object back. On a machine that is an admin's device.
#[utoipa::path(post, path = "/api/v1/buckets/{bucket}/object-erasures", tag = "buckets",
    params(("bucket" = String, Path)), request_body = ObjectToErase, responses(
    (status = 200, body = Erasure),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn erase_object(
    State(node): State<Node>,
    Named(bucket): Named<String>,
    Asked(wish): Asked<ObjectToErase>,
) -> Result<Json<Erasure>, Problem> {
    keys(&node)?.erase_object(&bucket, wish).await.map(Json)
}

/// Every erasure, the newest first
#[utoipa::path(get, path = "/api/v1/erasures", tag = "buckets", responses(
    (status = 200, body = Vec<Erasure>),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn erasures(State(node): State<Node>) -> Result<Json<Vec<Erasure>>, Problem> {
    keys(&node)?.erasures().await.map(Json)
}

/// The receipt of an erasure, as a file
#[utoipa::path(get, path = "/api/v1/erasures/{id}/receipt", tag = "buckets",
    params(("id" = String, Path, description = "Id, or start of an id")), responses(
    (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn receipt(
    State(node): State<Node>,
    Named(id): Named<String>,
) -> Result<([(HeaderName, &'static str); 2], Bytes), Problem> {
    let receipt = keys(&node)?.receipt(&id).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"erasure.receipt\""),
    ];
    Ok((headers, receipt))
}
