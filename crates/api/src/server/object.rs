//! Objects. What people store is never trusted as a page of ours: answers carry a policy that turns
//! scripts off, and only kinds that cannot carry any are shown in place.

#![expect(unused_qualifications, reason = "utoipa's macro writes them")]

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use utoipa::IntoParams;

use super::Node;
use super::extract::{Named, Options};
use crate::control::pieces;
use crate::object::encode_path;
use crate::{ByteRange, ListQuery, Listing, ObjectInfo, Problem, ProblemKind, PutOptions};

/// Milliseconds, which `Last-Modified` does not have.
pub(crate) const MODIFIED: HeaderName = HeaderName::from_static("x-freehold-modified-ms");
const NO_SCRIPTS: &str =
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox";

/// List objects
#[utoipa::path(get, path = "/api/v1/buckets/{bucket}/objects", tag = "buckets",
    params(("bucket" = String, Path), ListQuery), responses(
    (status = 200, body = Listing),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list_objects(
    State(node): State<Node>,
    Named(bucket): Named<String>,
    Options(mut query): Options<ListQuery>,
) -> Result<Json<Listing>, Problem> {
    query.max = query.max.clamp(1, 1000);
    node.control.list_objects(&bucket, query).await.map(Json)
}

/// How to read.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Read {
    /// Makes a browser keep it as a file instead of showing it.
    download: bool,
}

/// Read an object, or a range of it
#[utoipa::path(get, path = "/api/v1/buckets/{bucket}/objects/{*key}", tag = "buckets",
    params(("bucket" = String, Path), ("key" = String, Path, description = "May contain slashes"), Read,
        ("range" = Option<String>, Header), ("if-none-match" = Option<String>, Header)), responses(
    (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
    (status = 206, body = Vec<u8>, content_type = "application/octet-stream"),
    (status = 304, description = "It is still what the ETag stands for"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn get_object(
    State(node): State<Node>,
    Named((bucket, key)): Named<(String, String)>,
    Options(Read { download }): Options<Read>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(known) = headers.get(header::IF_NONE_MATCH) {
        let info = node.control.head_object(&bucket, &key).await?;
        if known.to_str().is_ok_and(|known| known.split(',').any(|tag| tag.trim() == quoted(&info.etag))) {
            return Ok((StatusCode::NOT_MODIFIED, describe(&info, download)).into_response());
        }
    }
    let range = headers.get(header::RANGE).and_then(|range| ByteRange::parse(range.to_str().ok()?));
    let read = match node.control.get_object(&bucket, &key, range).await {
        Ok(read) => read,
        Err(problem) if range.is_some() && problem.kind == ProblemKind::Invalid => {
            return Ok(problem.with_status(StatusCode::RANGE_NOT_SATISFIABLE));
        }
        Err(problem) => return Err(problem),
    };
    let mut head = describe(&read.info, download);
    head.insert(header::CONTENT_LENGTH, HeaderValue::from(read.range.end.saturating_sub(read.range.start)));
    let status = if range.is_some() {
        let (first, last) = (read.range.start, read.range.end.saturating_sub(1));
        put(&mut head, header::CONTENT_RANGE, &format!("bytes {first}-{last}/{}", read.info.size));
        StatusCode::PARTIAL_CONTENT
    } else {
        StatusCode::OK
    };
    Ok((status, head, Body::from_stream(read.body)).into_response())
}

/// What is known of an object
#[utoipa::path(head, path = "/api/v1/buckets/{bucket}/objects/{*key}", tag = "buckets",
    params(("bucket" = String, Path), ("key" = String, Path, description = "May contain slashes")), responses(
    (status = 200, description = "In headers: length, type, ETag, when"),
    (status = "default", description = "As for GET, without its body")))]
pub(super) async fn head_object(
    State(node): State<Node>,
    Named((bucket, key)): Named<(String, String)>,
) -> Result<Response, Problem> {
    let info = node.control.head_object(&bucket, &key).await?;
    let mut head = describe(&info, false);
    head.insert(header::CONTENT_LENGTH, HeaderValue::from(info.size));
    Ok((StatusCode::OK, head).into_response())
}

/// Write an object
#[utoipa::path(put, path = "/api/v1/buckets/{bucket}/objects/{*key}", tag = "buckets",
    params(("bucket" = String, Path), ("key" = String, Path, description = "May contain slashes"),
        ("if-none-match" = Option<String>, Header, description = "`*`: only if there is none yet")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses(
    (status = 200, body = ObjectInfo),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn put_object(
    State(node): State<Node>,
    Named((bucket, key)): Named<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ObjectInfo>, Problem> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let options = PutOptions {
        content_type: text(header::CONTENT_TYPE).map(str::to_owned),
        len: text(header::CONTENT_LENGTH).and_then(|len| len.parse().ok()),
        only_new: text(header::IF_NONE_MATCH) == Some("*"),
    };
    node.control.put_object(&bucket, &key, options, pieces(body)).await.map(Json)
}

/// Delete an object
#[utoipa::path(delete, path = "/api/v1/buckets/{bucket}/objects/{*key}", tag = "buckets",
    params(("bucket" = String, Path), ("key" = String, Path, description = "May contain slashes")), responses(
    (status = 204, description = "It is gone"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete_object(
    State(node): State<Node>,
    Named((bucket, key)): Named<(String, String)>,
) -> Result<StatusCode, Problem> {
    node.control.delete_object(&bucket, &key).await.map(|()| StatusCode::NO_CONTENT)
}

fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// The headers of an object. What its writer gave as its type is passed on only if it is a header.
fn describe(info: &ObjectInfo, download: bool) -> HeaderMap {
    let mut head = HeaderMap::new();
    let kind = info.content_type.as_deref().unwrap_or("application/octet-stream");
    put(&mut head, header::CONTENT_TYPE, kind);
    put(&mut head, header::ETAG, &quoted(&info.etag));
    put(&mut head, MODIFIED, &info.modified_ms.to_string());
    if let Some(date) = http_date(info.modified_ms) {
        put(&mut head, header::LAST_MODIFIED, &date);
    }
    put(&mut head, header::CACHE_CONTROL, "private, no-cache");
    put(&mut head, header::ACCEPT_RANGES, "bytes");
    put(&mut head, header::CONTENT_SECURITY_POLICY, NO_SCRIPTS);
    put(&mut head, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    let place = if !download && is_harmless(kind) { "inline" } else { "attachment" };
    let file = info.key.rsplit('/').next().unwrap_or_default();
    put(&mut head, header::CONTENT_DISPOSITION, &format!("{place}; filename*=UTF-8''{}", encode_path(file)));
    head
}

/// Kinds in which a browser finds nothing to run.
fn is_harmless(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (family, sort) = kind.split_once('/').unwrap_or_default();
    match family {
        "image" => matches!(sort, "png" | "jpeg" | "gif" | "webp" | "avif" | "bmp"),
        "video" | "audio" => true,
        "text" => sort == "plain",
        _ => false,
    }
}

fn put(head: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        head.insert(name, value);
    }
}

/// As HTTP writes dates.
fn http_date(modified_ms: u64) -> Option<String> {
    let seconds = i64::try_from(modified_ms / 1000).ok()?;
    let date = OffsetDateTime::from_unix_timestamp(seconds).ok()?.format(&Rfc2822).ok()?;
    Some(date.replace("+0000", "GMT"))
}
