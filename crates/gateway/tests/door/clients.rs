use std::time::Duration;

use freehold_gateway::{HeaderRules, Host, Hsts, Rate, Speaks, Target, Upstream};
use http::header;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::around::{CLOUD, HERE, House, Server, cloud, curl, get, service, task};

#[tokio::test]
async fn curl_comes_by_both_versions_and_the_service_hears_who_it_is() {
    let echo = Server::echo().await;
    let house = House::open(vec![cloud(&[echo.at])]);
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let forged =
            ["-H", "X-Forwarded-For: 10.9.8.7", "-H", "X_Real_IP: 10.9.8.7", "-H", "Forwarded: for=x"];
        let seen = house.curl(CLOUD, "/a/b?c=d", &[&[flag, "-d", "hello"], &forged[..]].concat()).await;
        let port = house.at().port();
        let expected = format!(
            "POST /a/b?c=d HTTP/1.1\n\
             accept: */*\n\
             content-length: 5\n\
             content-type: application/x-www-form-urlencoded\n\
             forwarded: for=127.0.0.1;host=\"{CLOUD}:{port}\";proto=https\n\
             host: {CLOUD}:{port}\n\
             user-agent: curl/"
        );
        assert_eq!((seen.status, seen.version.as_str()), (200, version), "{seen:?}");
        assert!(seen.text().starts_with(&expected), "{}", seen.text());
        let rest = format!(
            "x-forwarded-for: 127.0.0.1\nx-forwarded-host: {CLOUD}:{port}\nx-forwarded-proto: https\n\
             x-real-ip: 127.0.0.1\nbody: 5\n"
        );
        assert!(seen.text().ends_with(&rest), "{}", seen.text());
    }
    let shown = house.shown();
    assert_eq!((shown.classes, shown.received, shown.under_way), ([0, 2, 0, 0, 0], 10, 0));
    assert_eq!(shown.took.iter().sum::<u64>(), 2);
}

#[tokio::test]
async fn answers_are_changed_as_the_service_asks() {
    let server = Server::new(|_| async {
        let mut said = crate::around::said(200, "x");
        said.headers_mut().insert(header::SERVER, HeaderValue::from_static("secret/1.2"));
        said.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("x-hop"));
        said.headers_mut().insert("x-hop", HeaderValue::from_static("1"));
        said
    })
    .await;
    let rules = HeaderRules {
        answer_drop: vec![header::SERVER],
        answer_set: vec![(HeaderName::from_static("x-frame-options"), HeaderValue::from_static("DENY"))],
        ..HeaderRules::default()
    };
    let house = House::open(vec![service(1, CLOUD, &[server.at], |web| {
        web.headers = rules;
        web.hsts = Some(Hsts { age: Duration::from_hours(1), below: false });
    })]);
    let seen = house.curl(CLOUD, "/", &[]).await;
    assert!(seen.head.contains("x-frame-options: deny\r\n"), "{seen:?}");
    assert!(seen.head.contains("strict-transport-security: max-age=3600\r\n"), "{seen:?}");
    assert!(!seen.head.contains("secret") && !seen.head.contains("x-hop"), "{seen:?}");
}

#[tokio::test]
async fn one_name_leads_to_one_service_and_others_nowhere() {
    let (one, two) = (Server::new(|_| async { crate::around::said(200, "one") }).await, Server::echo().await);
    let mut wild = service(2, "*.wild.test", &[two.at], |_| {});
    wild.hosts.push(Host::parse("other.test").unwrap());
    let house = House::open(vec![cloud(&[one.at]), wild]);
    assert_eq!(house.curl(CLOUD, "/", &[]).await.text(), "one");
    assert_eq!(house.curl("CLOUD.test.", "/", &["-k"]).await.text(), "one");
    assert!(house.curl("x.wild.test", "/", &[]).await.text().starts_with("GET / "));
    let nowhere = house.curl("unknown.test", "/", &[]).await;
    assert_eq!(nowhere.status, 404);
    assert!(nowhere.text().contains("Nothing is published"), "{nowhere:?}");
    // TLS was made for one name, the request is for another.
    let misled = house.curl(CLOUD, "/", &["-H", "Host: other.test"]).await;
    assert_eq!(misled.status, 421, "{misled:?}");
}

#[tokio::test]
async fn who_comes_without_tls_is_sent_to_it() {
    let echo = Server::echo().await;
    let mut settings = crate::around::settings();
    settings.https_port = 8443;
    let house = House::with(settings, crate::around::Keeper::default(), vec![cloud(&[echo.at])]);
    let port = house.plain_at().port();
    let resolve = format!("{CLOUD}:{port}:127.0.0.1");
    let ask = async |path: &str, more: &[&str]| {
        let url = format!("http://{CLOUD}:{port}{path}");
        curl(&[&["--resolve", resolve.as_str()], more, &[&url]].concat()).await
    };
    let seen = ask("/a?b", &[]).await;
    assert_eq!(seen.status, 308);
    assert!(seen.head.contains("location: https://cloud.test:8443/a?b\r\n"), "{seen:?}");
    assert_eq!(ask("/.well-known/acme-challenge/token", &[]).await.text(), "token.thumb");
    assert_eq!(ask("/.well-known/acme-challenge/other", &[]).await.status, 308);
    assert_eq!(ask("/", &["-d", "password"]).await.status, 403);
    assert_eq!(ask("/", &["-H", "Host: nobody.test"]).await.status, 404);
}

#[tokio::test]
async fn a_service_at_a_socket_is_reached() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let _server = task(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 4096];
        assert!(stream.read(&mut head).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
    });
    let mut at_socket = cloud(&[]);
    let Target::Web(web) = &mut at_socket.target else { unreachable!() };
    web.upstreams = vec![Upstream::Unix(path)];
    let house = House::open(vec![at_socket]);
    assert_eq!(house.curl(CLOUD, "/", &[]).await.text(), "hi");
}

/// What gRPC needs.
#[tokio::test]
async fn trailers_come_through_http2_on_both_sides() {
    let listener = TcpListener::bind(HERE).await.unwrap();
    let at = listener.local_addr().unwrap();
    let _server = task(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(|request: Request<hyper::body::Incoming>| async move {
            assert_eq!(request.uri().to_string(), format!("http://{CLOUD}/pkg.Service/Call"));
            assert_eq!(request.headers().get("te").unwrap(), "trailers");
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            let frames = [Ok(Frame::data(bytes::Bytes::from("data"))), Ok(Frame::trailers(trailers))];
            let body = StreamBody::new(futures::stream::iter(frames));
            let body = body.map_err(|never: std::convert::Infallible| match never {}).boxed();
            Ok::<_, std::convert::Infallible>(Response::<crate::around::Bodies>::new(body))
        });
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        drop(server.serve_connection(TokioIo::new(stream), service).await);
    });
    let house = House::open(vec![service(1, CLOUD, &[at], |web| web.speaks = Speaks::H2c)]);
    let (mut client, _task) = house.http2().await;
    for _ in 0..2 {
        let mut request = get("/pkg.Service/Call");
        request.headers_mut().insert("te", HeaderValue::from_static("trailers"));
        let answer = client.send_request(request).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(answer.trailers().unwrap().get("grpc-status").unwrap(), "0");
        assert_eq!(answer.to_bytes(), "data");
    }
}

#[tokio::test]
async fn who_asks_too_often_waits() {
    let echo = Server::echo().await;
    let rate = Some(Rate { each_second: 1, burst: 2 });
    let house = House::open(vec![service(1, CLOUD, &[echo.at], |web| web.limits.rate = rate)]);
    let (mut client, _task) = house.http2().await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let answer = client.send_request(get("/")).await.unwrap();
        let later = answer.headers().get(header::RETRY_AFTER).cloned();
        statuses.push((answer.status().as_u16(), later.is_some()));
    }
    assert_eq!(statuses, [(200, false), (200, false), (429, true)]);
    assert_eq!(house.shown().too_often, 1);
}
