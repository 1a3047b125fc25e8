//! The API over both of its roads, and the gate in front of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use expect_test::expect_file;
use freehold_api::*;
use freehold_crypt::Entropy;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

#[path = "../testing/pretend.rs"]
#[expect(dead_code, reason = "the console's tests use the rest")]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a stand-in"
)]
mod pretend;

use pretend::{Pretend, World};

struct Sequence(u8);

impl Entropy for Sequence {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(77).wrapping_add(13);
            *byte = self.0;
        }
    }
}

fn sessions() -> Arc<Sessions> {
    Arc::new(Sessions::new("7d1f0a93", Box::new(Sequence(1))))
}

fn node() -> Router {
    router(Arc::new(Pretend::new(World::family())), sessions())
}

fn bytes(data: &'static [u8]) -> ByteStream {
    stream::iter(data.chunks(7).map(|piece| Ok(Bytes::from_static(piece)))).boxed()
}

#[expect(clippy::unwrap_used, reason = "a test")]
async fn read(read: ObjectRead) -> Vec<u8> {
    read.body.map_ok(|piece| piece.to_vec()).try_concat().await.unwrap()
}

#[test]
fn the_document_is_the_committed_one() {
    expect_file!["../../../docs/openapi.json"].assert_eq(openapi_json());
}

#[tokio::test]
async fn every_documented_operation_is_served_and_the_other_way_round() {
    let document: serde_json::Value = serde_json::from_str(openapi_json()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let mut asked = 0;
    for (path, operations) in paths {
        let uri = path
            .replace("{key}", "autumn%20walk.svg")
            .replace("{bucket}", "photos")
            .replace("{node}", "cellar");
        for method in ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"] {
            let documented = operations.get(method.to_lowercase()).is_some();
            let request = Request::builder()
                .method(method)
                .uri(uri.replace("{id}", "1"))
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from("{}"))
                .unwrap();
            let answer = node().oneshot(request).await.unwrap();
            // GET answers HEAD too.
            let served = answer.status() != StatusCode::NOT_FOUND;
            let head_of_get = method == "HEAD" && operations.get("get").is_some();
            assert_eq!(served, documented || head_of_get, "{method} {path}: {}", answer.status());
            asked += usize::from(documented);
        }
    }
    assert!(asked > 25, "only {asked} operations are documented");
}

#[tokio::test]
async fn both_roads_lead_to_the_same_node() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("control.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let mut serving = JoinSet::new();
    let routes = node();
    serving.spawn(async move { axum::serve(listener, routes).await });
    for client in [Client::over_socket(&socket), Client::in_process(node())] {
        assert_eq!(client.status().await.unwrap().realm.name, "smith");
        assert_eq!(client.nodes().await.unwrap().len(), 3);
        assert!(client.metrics().await.unwrap().contains("freehold_alarms"));
        for key in ["plain.txt", "a folder/ü ?&#%+\"<script>.txt", "double//slash", "/leading"] {
            let options =
                PutOptions { content_type: Some("text/plain".into()), len: Some(20), only_new: true };
            let made =
                client.put_object("photos", key, &options, bytes(b"twenty bytes of text")).await.unwrap();
            assert_eq!((made.key.as_str(), made.size), (key, 20));
            let again = client.put_object("photos", key, &options, bytes(b"twenty bytes of text")).await;
            assert_eq!(again.unwrap_err().kind, ProblemKind::Conflict);
            let head = client.head_object("photos", key).await.unwrap();
            assert_eq!(head, made, "{key}");
            assert_eq!(
                read(client.get_object("photos", key, None).await.unwrap()).await,
                b"twenty bytes of text"
            );
            let range = ByteRange::parse("bytes=7-11");
            let part = client.get_object("photos", key, range).await.unwrap();
            assert_eq!((part.range.clone(), part.info.size), (7..12, 20));
            assert_eq!(read(part).await, b"bytes");
            let query = ListQuery { prefix: key.into(), ..ListQuery::default() };
            assert_eq!(client.list_objects("photos", &query).await.unwrap().objects, [made]);
            client.delete_object("photos", key).await.unwrap();
            assert_eq!(client.head_object("photos", key).await.unwrap_err().kind, ProblemKind::NotFound);
        }
        let report = client.verify_bucket_to_end("photos", true).await.unwrap();
        assert!(report.blobs > 0 && !report.is_damaged());
        let missing = client.verify_bucket_to_end("nothing", true).await.unwrap_err();
        assert_eq!(missing.next.as_deref(), Some("freehold bucket list"));
        assert_eq!(client.import_log(client.export_log().await.unwrap()).await.unwrap().known, 47);
    }
}

#[tokio::test]
async fn a_connection_is_used_again_and_a_lost_one_made_anew() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("control.sock");
    let client = Client::over_socket(&socket);
    for _ in 0..2 {
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let made = Arc::new(AtomicUsize::new(0));
        let mut serving = JoinSet::new();
        let counted = Arc::clone(&made);
        serving.spawn(async move {
            let mut guests = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let routes = TowerToHyperService::new(node());
                guests.spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), routes),
                );
            }
        });
        for _ in 0..20 {
            assert_eq!(client.nodes().await.unwrap().len(), 3);
            assert!(client.head_object("photos", "nothing").await.is_err());
            client.delete_object("photos", "nothing").await.unwrap();
        }
        assert_eq!(made.load(Ordering::Relaxed), 1);
        serving.shutdown().await;
        std::fs::remove_file(&socket).unwrap();
    }
}

#[tokio::test]
async fn nobody_behind_the_socket_is_unreachable_with_a_remedy() {
    let problem = Client::over_socket("/nonexistent/control.sock").status().await.unwrap_err();
    assert_eq!((problem.kind, problem.kind.exit_code()), (ProblemKind::Unreachable, 4));
    assert_eq!(problem.next.as_deref(), Some("freehold up"));
}

#[tokio::test]
async fn pages_are_listed_to_their_end() {
    let client = Client::in_process(node());
    let mut after = None;
    let mut seen = Vec::new();
    loop {
        let query = ListQuery { delimiter: Some("/".into()), after, max: 2, ..ListQuery::default() };
        let page = client.list_objects("photos", &query).await.unwrap();
        seen.extend(page.prefixes);
        seen.extend(page.objects.into_iter().map(|object| object.key));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 6);
}

#[expect(clippy::unwrap_used, reason = "a test")]
async fn get(routes: &Router, uri: &str, headers: &[(&str, &str)]) -> http::Response<Body> {
    let mut request = Request::get(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    routes.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn what_people_store_is_never_a_page_of_ours() {
    let routes = node();
    let client = Client::in_process(routes.clone());
    let options = PutOptions { content_type: Some("text/html".into()), ..PutOptions::default() };
    client.put_object("photos", "evil\r\n.html", &options, bytes(b"<script>1</script>")).await.unwrap();
    let answer = get(&routes, "/api/v1/buckets/photos/objects/evil%0D%0A.html", &[]).await;
    let header = |name: header::HeaderName| answer.headers()[name].to_str().unwrap().to_owned();
    assert!(header(header::CONTENT_DISPOSITION).starts_with("attachment; filename*=UTF-8''evil%0D%0A.html"));
    assert!(header(header::CONTENT_SECURITY_POLICY).contains("sandbox"));
    assert_eq!(header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
}

#[tokio::test]
async fn ranges_and_etags_are_http() {
    let routes = node();
    let uri = "/api/v1/buckets/photos/objects/autumn%20walk.svg";
    let whole = get(&routes, uri, &[]).await;
    let etag = whole.headers()[header::ETAG].to_str().unwrap().to_owned();
    assert_eq!(get(&routes, uri, &[("if-none-match", &etag)]).await.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(get(&routes, uri, &[("range", "bytes=0-9")]).await.status(), StatusCode::PARTIAL_CONTENT);
    let past = get(&routes, uri, &[("range", "bytes=99999999-")]).await;
    assert_eq!(past.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(get(&routes, uri, &[("range", "lines=1-2")]).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_browser_is_shown_backups_and_no_more() {
    let sessions = sessions();
    let node = router(Arc::new(Pretend::new(World::family())), Arc::clone(&sessions));
    let guarded = guard(node, Arc::clone(&sessions));
    let code = sessions.issue_code(Duration::from_mins(1));
    let typed = TypedCode { code: code.code.clone() };
    let cookie = sessions.sign_in(Source::Here, &typed).await.unwrap();
    let cookie = cookie.as_header().split(';').next().unwrap().to_owned();
    let ask = |method: Method, path: &str| {
        let asked = Request::builder().method(method).uri(path).header(header::COOKIE, &cookie);
        guarded.clone().oneshot(asked.header("sec-fetch-site", "same-origin").body(Body::empty()).unwrap())
    };
    assert_ne!(ask(Method::GET, "/api/v1/backup").await.unwrap().status(), StatusCode::FORBIDDEN);
    for path in
        ["", "/targets", "/targets/disk/password", "/restore", "/forget", "/mounts", "/mounts/1/bytes"]
    {
        let answer = ask(Method::POST, &format!("/api/v1/backup{path}")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(ask(Method::GET, "/api/v1/backup/snapshots").await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn browsers_need_a_session_and_our_own_pages() {
    let sessions = sessions();
    let node = router(Arc::new(Pretend::new(World::family())), Arc::clone(&sessions));
    let guarded = guard(node, Arc::clone(&sessions));
    for path in ["/api/v1/status", "/api/v1/openapi.json", "/api/v1/metrics", "/api/v1/nonsense"] {
        assert_eq!(get(&guarded, path, &[]).await.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    let code = sessions.issue_code(Duration::from_mins(1));
    let sign_in = |site: &'static str, code: &str| {
        Request::post("/api/v1/setup/session")
            .header(header::CONTENT_TYPE, "application/json")
            .header("sec-fetch-site", site)
            .body(Body::from(format!("{{\"code\":\"{code}\"}}")))
            .unwrap()
    };
    let foreign = guarded.clone().oneshot(sign_in("cross-site", &code.code)).await.unwrap();
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    let wrong = guarded.clone().oneshot(sign_in("same-origin", "ABCD-EFGH")).await.unwrap();
    assert_eq!(wrong.status(), StatusCode::FORBIDDEN);
    let long = guarded.clone().oneshot(sign_in("same-origin", &"0".repeat(2000))).await.unwrap();
    assert_eq!(long.status(), StatusCode::BAD_REQUEST, "a stranger's body is not gathered");
    let answer = guarded.clone().oneshot(sign_in("same-origin", &code.code)).await.unwrap();
    let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(get(&guarded, "/api/v1/status", &[("cookie", &cookie)]).await.status(), StatusCode::OK);
    let delete = Request::builder()
        .method(Method::DELETE)
        .uri("/api/v1/buckets/music")
        .header(header::COOKIE, &cookie)
        .header(header::ORIGIN, "https://evil.example")
        .header(header::HOST, "nas.lan:8443")
        .body(Body::empty())
        .unwrap();
    assert_eq!(guarded.oneshot(delete).await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn garbage_is_a_problem_with_a_remedy() {
    let asked = Request::post("/api/v1/buckets")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from("{\"name\":5,"))
        .unwrap();
    let answer = node().oneshot(asked).await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
}
