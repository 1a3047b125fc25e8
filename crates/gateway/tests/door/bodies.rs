use std::time::Duration;

use http::Request;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::around::{CLOUD, HERE, House, LONG, Server, cloud, said, service, task};

#[tokio::test]
async fn large_bodies_stream_both_ways() {
    let server = Server::new(|request: Request<Incoming>| async move {
        // As it comes: nothing is gathered anywhere.
        let body = request.into_body().map_err(std::io::Error::other).boxed();
        http::Response::new(body)
    })
    .await;
    let house = House::open(vec![cloud(&[server.at])]);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let block: Vec<u8> = (0..1_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for _ in 0..24 {
        std::io::Write::write_all(&mut file, &block).unwrap();
    }
    let path = file.path().to_str().unwrap();
    for flags in [&["--http1.1"][..], &["--http2"], &["--http1.1", "-H", "Transfer-Encoding: chunked"]] {
        let seen = house.curl(CLOUD, "/", &[flags, &["-T", path]].concat()).await;
        assert_eq!((seen.exit, seen.status, seen.body.len()), (0, 200, 24 << 20), "{}", seen.trouble);
        assert!(seen.body.chunks(1 << 20).all(|chunk| chunk == block));
    }
    assert_eq!(house.shown().sent, 3 * (24 << 20));
}

#[tokio::test]
async fn a_service_that_does_not_read_holds_its_client_back() {
    let listener = TcpListener::bind(HERE).await.unwrap();
    let at = listener.local_addr().unwrap();
    let _server = task(async move {
        let _held = listener.accept().await.unwrap();
        std::future::pending::<()>().await;
    });
    let house = House::open(vec![cloud(&[at])]);
    let mut stream = house.tls(CLOUD, &["http/1.1"]).await;
    let head = format!("POST / HTTP/1.1\r\nHost: {CLOUD}\r\nContent-Length: 1000000000\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let (piece, mut written) = (vec![0; 64 << 10], 0);
    while let Ok(done) = timeout(Duration::from_secs(1), stream.write(&piece)).await {
        written += done.unwrap();
        assert!(written < 32 << 20, "all this is held somewhere");
    }
    assert!(written > 0);
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_sent_or_where_it_becomes_so() {
    let echo = Server::echo().await;
    let house = House::open(vec![service(1, CLOUD, &[echo.at], |web| web.limits.body = Some(10))]);
    let ask = async |more: &[&str]| {
        let seen = house.curl(CLOUD, "/", more).await;
        assert_eq!(seen.exit, 0, "{seen:?}");
        seen.status
    };
    for version in ["--http1.1", "--http2"] {
        assert_eq!(ask(&[version, "-d", "0123456789"]).await, 200);
        assert_eq!(ask(&[version, "-d", "0123456789a"]).await, 413);
    }
    assert_eq!(ask(&["--http1.1", "-H", "Transfer-Encoding: chunked", "-d", "0123456789a"]).await, 413);

    // One that goes on sending hears it all the same.
    let mut stream = house.tls(CLOUD, &["http/1.1"]).await;
    let head = format!("POST / HTTP/1.1\r\nHost: {CLOUD}\r\nContent-Length: 1000000\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..20 {
        stream.write_all(&[0; 10_000]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut answer = Vec::new();
    timeout(LONG, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 413"));

    // A client that asks first sends nothing.
    let mut stream = house.tls(CLOUD, &["http/1.1"]).await;
    let head = |length| {
        format!(
            "POST / HTTP/1.1\r\nHost: {CLOUD}\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    stream.write_all(head(11).as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    timeout(LONG, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    // And one that may is told to go on.
    let mut stream = house.tls(CLOUD, &["http/1.1"]).await;
    stream.write_all(head(5).as_bytes()).await.unwrap();
    let mut answer = [0; 25];
    timeout(LONG, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").await.unwrap();
    let mut answer = [0; 12];
    timeout(LONG, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[tokio::test]
async fn an_answer_comes_piece_by_piece() {
    let (next, pieces) =
        futures::channel::mpsc::channel::<Result<http_body::Frame<bytes::Bytes>, std::io::Error>>(1);
    let pieces = std::sync::Arc::new(std::sync::Mutex::new(Some(pieces)));
    let server = Server::new(move |_| {
        let pieces = pieces.lock().unwrap().take();
        async move {
            let Some(pieces) = pieces else { return said(500, "asked twice") };
            http::Response::new(http_body_util::StreamBody::new(pieces).boxed())
        }
    })
    .await;
    let house = House::open(vec![cloud(&[server.at])]);
    let (mut client, _task) = house.http2().await;
    let mut answer = client.send_request(crate::around::get("/events")).await.unwrap();
    let mut next = next;
    for text in ["data: one\n\n", "data: two\n\n"] {
        futures::SinkExt::send(&mut next, Ok(http_body::Frame::data(text.into()))).await.unwrap();
        let frame = timeout(LONG, answer.frame()).await.unwrap().unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), text);
    }
}
