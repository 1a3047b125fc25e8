//! Databases.

#![expect(unused_qualifications, reason = "utoipa's macro writes them")]

use std::convert::Infallible;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use data_encoding::BASE64;
use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::Node;
use super::extract::{Asked, Named, Options};
use crate::Problem;
use crate::kv::{
    KvAnswer, KvAt, KvClone, KvCondition, KvControl, KvDatabase, KvDone, KvEvent, KvHandOver, KvIndex,
    KvNews, KvOp, KvOperations, KvPage, KvQuery, KvScan, KvSnapshot, KvTakeOver, KvTransaction, KvWrite,
    NewKvDatabase, NewKvSnapshot, NewKvTransaction,
};

/// The number of the write that put what is read.
pub(crate) const VERSION: HeaderName = HeaderName::from_static("x-freehold-version");
/// How long ago the writer was heard here.
pub(crate) const STALE: HeaderName = HeaderName::from_static("x-freehold-stale-ms");
/// A write's own name.
pub(crate) const IDEMPOTENCY: HeaderName = HeaderName::from_static("idempotency-key");

/// Kinds of events that are no writes.
pub(crate) const HEARD: &str = "heard";
pub(crate) const PROBLEM: &str = "problem";

impl Node {
    fn kv(&self) -> Result<&dyn KvControl, Problem> {
        self.control.kv().ok_or_else(|| {
            Problem::refused(
                "this node keeps no databases",
                "its KV plane is not up",
                Some("freehold status"),
            )
        })
    }
}

/// The realm's databases
#[utoipa::path(get, path = "/api/v1/kv", tag = "kv", responses(
    (status = 200, body = [KvDatabase]),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn databases(State(node): State<Node>) -> Result<Json<Vec<KvDatabase>>, Problem> {
    node.kv()?.databases().await.map(Json)
}

/// Make a database, which this node writes
#[utoipa::path(post, path = "/api/v1/kv", tag = "kv", request_body = NewKvDatabase, responses(
    (status = 201, body = KvDatabase),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn create(
    State(node): State<Node>,
    Asked(wish): Asked<NewKvDatabase>,
) -> Result<(StatusCode, Json<KvDatabase>), Problem> {
    let made = node.kv()?.create(wish).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// One database, with its collections
#[utoipa::path(get, path = "/api/v1/kv/{database}", tag = "kv", params(("database" = String, Path)), responses(
    (status = 200, body = KvDatabase),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn database(
    State(node): State<Node>,
    Named(name): Named<String>,
) -> Result<Json<KvDatabase>, Problem> {
    node.kv()?.database(&name).await.map(Json)
}

/// Delete a database with all that is in it
#[utoipa::path(delete, path = "/api/v1/kv/{database}", tag = "kv", params(("database" = String, Path)),
    responses((status = 204, description = "It is gone"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delete(
    State(node): State<Node>,
    Named(name): Named<String>,
) -> Result<StatusCode, Problem> {
    node.kv()?.delete(&name).await.map(|()| StatusCode::NO_CONTENT)
}

/// Make a database from what is in another one, or in a snapshot of it
#[utoipa::path(post, path = "/api/v1/kv/{database}/clone", tag = "kv", params(("database" = String, Path)),
    request_body = KvClone, responses((status = 201, body = KvDatabase),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn clone_database(
    State(node): State<Node>,
    Named(name): Named<String>,
    Asked(wish): Asked<KvClone>,
) -> Result<(StatusCode, Json<KvDatabase>), Problem> {
    let made = node.kv()?.clone_database(&name, wish).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Have another node write the database
#[utoipa::path(post, path = "/api/v1/kv/{database}/handover", tag = "kv",
    params(("database" = String, Path)), request_body = KvHandOver, responses((status = 200, body = KvDatabase),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn hand_over(
    State(node): State<Node>,
    Named(name): Named<String>,
    Asked(wish): Asked<KvHandOver>,
) -> Result<Json<KvDatabase>, Problem> {
    node.kv()?.hand_over(&name, wish).await.map(Json)
}

/// Write the database on this node from now on
#[utoipa::path(post, path = "/api/v1/kv/{database}/takeover", tag = "kv",
    params(("database" = String, Path)), request_body = KvTakeOver, responses((status = 200, body = KvDatabase),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn take_over(
    State(node): State<Node>,
    Named(name): Named<String>,
    Asked(wish): Asked<KvTakeOver>,
) -> Result<Json<KvDatabase>, Problem> {
    node.kv()?.take_over(&name, wish).await.map(Json)
}

/// Hold what is there now for a while
#[utoipa::path(post, path = "/api/v1/kv/{database}/snapshots", tag = "kv",
    params(("database" = String, Path)), request_body = NewKvSnapshot,
    responses((status = 201, body = KvSnapshot),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn snapshot(
    State(node): State<Node>,
    Named(name): Named<String>,
    Asked(wish): Asked<NewKvSnapshot>,
) -> Result<(StatusCode, Json<KvSnapshot>), Problem> {
    let held = node.kv()?.snapshot(&name, wish).await?;
    Ok((StatusCode::CREATED, Json(held)))
}

/// The snapshots that have a name
#[utoipa::path(get, path = "/api/v1/kv/{database}/snapshots", tag = "kv",
    params(("database" = String, Path)), responses((status = 200, body = [KvSnapshot]),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn snapshots(
    State(node): State<Node>,
    Named(name): Named<String>,
) -> Result<Json<Vec<KvSnapshot>>, Problem> {
    node.kv()?.snapshots(&name).await.map(Json)
}

/// Begin a transaction
///
/// It reads what is there now, and what it has put itself. Nothing is locked: it is refused at its end if
/// something that it read has changed. It lapses by itself.
#[utoipa::path(post, path = "/api/v1/kv/{database}/transactions", tag = "kv",
    params(("database" = String, Path)), request_body = NewKvTransaction,
    responses((status = 201, body = KvTransaction),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn begin(
    State(node): State<Node>,
    Named(name): Named<String>,
    Asked(wish): Asked<NewKvTransaction>,
) -> Result<(StatusCode, Json<KvTransaction>), Problem> {
    let begun = node.kv()?.begin(&name, wish).await?;
    Ok((StatusCode::CREATED, Json(begun)))
}

/// Add to what a transaction is to write
#[utoipa::path(post, path = "/api/v1/kv/{database}/transactions/{transaction}/operations", tag = "kv",
    params(("database" = String, Path), ("transaction" = String, Path)), request_body = KvOperations,
    responses((status = 204, description = "It reads them from now on; nothing is written yet"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn add(
    State(node): State<Node>,
    Named((name, transaction)): Named<(String, String)>,
    Asked(wish): Asked<KvOperations>,
) -> Result<StatusCode, Problem> {
    node.kv()?.add(&name, &transaction, wish).await.map(|()| StatusCode::NO_CONTENT)
}

/// Commit a transaction
///
/// All of it is written, or nothing, and it is over in any case. The same again within a day does nothing
/// and answers the same, for whom the answer was lost.
#[utoipa::path(post, path = "/api/v1/kv/{database}/transactions/{transaction}/commit", tag = "kv",
    params(("database" = String, Path), ("transaction" = String, Path)),
    responses((status = 200, body = KvDone),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn commit(
    State(node): State<Node>,
    Named((name, transaction)): Named<(String, String)>,
) -> Result<Json<KvDone>, Problem> {
    node.kv()?.commit(&name, &transaction).await.map(Json)
}

/// Abort a transaction
#[utoipa::path(delete, path = "/api/v1/kv/{database}/transactions/{transaction}", tag = "kv",
    params(("database" = String, Path), ("transaction" = String, Path)),
    responses((status = 204, description = "It is over, and nothing of it was written"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn abort(
    State(node): State<Node>,
    Named((name, transaction)): Named<(String, String)>,
) -> Result<StatusCode, Problem> {
    node.kv()?.abort(&name, &transaction).await.map(|()| StatusCode::NO_CONTENT)
}

/// Let a snapshot go
#[utoipa::path(delete, path = "/api/v1/kv/{database}/snapshots/{snapshot}", tag = "kv",
    params(("database" = String, Path), ("snapshot" = String, Path)),
    responses((status = 204, description = "It is gone"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn let_go(
    State(node): State<Node>,
    Named((name, snapshot)): Named<(String, String)>,
) -> Result<StatusCode, Problem> {
    node.kv()?.let_go(&name, &snapshot).await.map(|()| StatusCode::NO_CONTENT)
}

/// Read a value
#[utoipa::path(get, path = "/api/v1/kv/{database}/keys/{*key}", tag = "kv",
    params(("database" = String, Path), ("key" = String, Path, description = "May contain slashes"), KvAt),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream",
        headers(("x-freehold-version" = u64, description = "The number of the write that put it"),
            ("x-freehold-stale-ms" = u64, description = "How long ago the writer was heard here"))),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn get(
    State(node): State<Node>,
    Named((name, key)): Named<(String, String)>,
    Options(at): Options<KvAt>,
) -> Result<Response, Problem> {
    let found = node.kv()?.get(&name, &key, &at).await?;
    let mut head = HeaderMap::new();
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    head.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    head.insert(VERSION, HeaderValue::from(found.version));
    if let Some(stale) = found.stale_ms {
        head.insert(STALE, HeaderValue::from(stale));
    }
    Ok((head, Body::from(found.value)).into_response())
}

/// How to write a value.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    /// For how long.
    lasting_ms: Option<u64>,
    /// Only if this write put what is there; 0: only if nothing is there.
    if_version: Option<u64>,
}

/// Write a value
#[utoipa::path(put, path = "/api/v1/kv/{database}/keys/{*key}", tag = "kv",
    params(("database" = String, Path), ("key" = String, Path, description = "May contain slashes"), How,
        ("idempotency-key" = Option<String>, Header)),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = KvDone),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn put(
    State(node): State<Node>,
    Named((name, key)): Named<(String, String)>,
    Options(how): Options<How>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<KvDone>, Problem> {
    let value_base64 = Some(BASE64.encode(&body));
    let op = KvOp::Put { key: key.clone(), value: None, value_base64, lasting_ms: how.lasting_ms };
    one(&node, &name, key, how.if_version, op, &headers).await
}

/// Delete a key
#[utoipa::path(delete, path = "/api/v1/kv/{database}/keys/{*key}", tag = "kv",
    params(("database" = String, Path), ("key" = String, Path, description = "May contain slashes"), How,
        ("idempotency-key" = Option<String>, Header)),
    responses((status = 200, body = KvDone),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn remove(
    State(node): State<Node>,
    Named((name, key)): Named<(String, String)>,
    Options(how): Options<How>,
    headers: HeaderMap,
) -> Result<Json<KvDone>, Problem> {
    one(&node, &name, key.clone(), how.if_version, KvOp::Delete { key }, &headers).await
}

async fn one(
    node: &Node,
    name: &str,
    key: String,
    if_version: Option<u64>,
    op: KvOp,
    headers: &HeaderMap,
) -> Result<Json<KvDone>, Problem> {
    let condition =
        |version: u64| KvCondition { key, collection: None, version: (version > 0).then_some(version) };
    let idempotency_key = headers.get(IDEMPOTENCY).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let conditions = if_version.map(condition).into_iter().collect();
    node.kv()?.write(name, KvWrite { conditions, operations: vec![op], idempotency_key }).await.map(Json)
}

/// Write several things, all or nothing
#[utoipa::path(post, path = "/api/v1/kv/{database}/write", tag = "kv", params(("database" = String, Path)),
    request_body = KvWrite, responses((status = 200, body = KvDone),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn write(
    State(node): State<Node>,
    Named(name): Named<String>,
    Asked(write): Asked<KvWrite>,
) -> Result<Json<KvDone>, Problem> {
    node.kv()?.write(&name, write).await.map(Json)
}

/// Read keys with their values, in order
#[utoipa::path(get, path = "/api/v1/kv/{database}/keys", tag = "kv",
    params(("database" = String, Path), KvScan), responses((status = 200, body = KvPage),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn scan(
    State(node): State<Node>,
    Named(name): Named<String>,
    Options(scan): Options<KvScan>,
) -> Result<Json<KvPage>, Problem> {
    node.kv()?.scan(&name, scan).await.map(Json)
}

/// Read a document
#[utoipa::path(get, path = "/api/v1/kv/{database}/collections/{collection}/documents/{*id}", tag = "kv",
    params(("database" = String, Path), ("collection" = String, Path), ("id" = String, Path), KvAt),
    responses((status = 200, body = serde_json::Value),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn document(
    State(node): State<Node>,
    Named((name, collection, id)): Named<(String, String, String)>,
    Options(at): Options<KvAt>,
) -> Result<Json<serde_json::Value>, Problem> {
    node.kv()?.document(&name, &collection, &id, &at).await.map(Json)
}

/// Ask for documents
#[utoipa::path(post, path = "/api/v1/kv/{database}/collections/{collection}/query", tag = "kv",
    params(("database" = String, Path), ("collection" = String, Path)), request_body = KvQuery,
    responses((status = 200, body = KvAnswer),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn query(
    State(node): State<Node>,
    Named((name, collection)): Named<(String, String)>,
    Asked(query): Asked<KvQuery>,
) -> Result<Json<KvAnswer>, Problem> {
    node.kv()?.query(&name, &collection, query).await.map(Json)
}

/// Declare an index; documents that are there are put in in the background
#[utoipa::path(post, path = "/api/v1/kv/{database}/collections/{collection}/indexes", tag = "kv",
    params(("database" = String, Path), ("collection" = String, Path)), request_body = KvIndex,
    responses((status = 202, description = "It is being built: the database shows how far"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn add_index(
    State(node): State<Node>,
    Named((name, collection)): Named<(String, String)>,
    Asked(index): Asked<KvIndex>,
) -> Result<StatusCode, Problem> {
    node.kv()?.add_index(&name, &collection, index).await.map(|()| StatusCode::ACCEPTED)
}

/// Drop an index
#[utoipa::path(delete, path = "/api/v1/kv/{database}/collections/{collection}/indexes/{index}", tag = "kv",
    params(("database" = String, Path), ("collection" = String, Path), ("index" = String, Path)),
    responses((status = 204, description = "It answers nothing any more; its rows go in the background"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn drop_index(
    State(node): State<Node>,
    Named((name, collection, index)): Named<(String, String, String)>,
) -> Result<StatusCode, Problem> {
    node.kv()?.drop_index(&name, &collection, &index).await.map(|()| StatusCode::NO_CONTENT)
}

/// From where to watch.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct From {
    /// Tell what changed after this write. A client that comes again with `Last-Event-ID` need not.
    after: Option<u64>,
}

/// Watch what changes
///
/// Server-sent events, whose ids are the numbers of writes and whose data are JSON. The last 100,000
/// writes can be told again. On a node that does not write the database they come as it hears them, and
/// each says how long ago the writer was heard. Every few seconds without a change an event `heard` says
/// the same.
#[utoipa::path(get, path = "/api/v1/kv/{database}/watch", tag = "kv",
    params(("database" = String, Path), From, ("last-event-id" = Option<u64>, Header)),
    responses((status = 200, body = KvEvent, content_type = "text/event-stream"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn watch(
    State(node): State<Node>,
    Named(name): Named<String>,
    Options(From { after }): Options<From>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let news = node.kv()?.watch(&name, last.or(after)).await?;
    let lines = news.map(|one| Ok::<_, Infallible>(Bytes::from(line(one))));
    let head = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((head, Body::from_stream(lines)).into_response())
}

fn line(news: Result<KvNews, Problem>) -> String {
    let (head, data) = match news {
        Ok(KvNews::Event(event)) => (format!("id: {}", event.number), serde_json::to_string(&event)),
        Ok(KvNews::Heard(heard)) => (format!("event: {HEARD}"), serde_json::to_string(&heard)),
        Err(problem) => (format!("event: {PROBLEM}"), serde_json::to_string(&problem)),
    };
    format!("{head}\ndata: {}\n\n", data.unwrap_or_default())
}
