//! Requests that two readers read differently. Whatever is done with them, the service sees no request that
//! the door did not see.

use std::sync::{Arc, Mutex};

use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::around::{CLOUD, House, LONG, Server, cloud, said};

/// Sends bytes as they are, and gives what came until the door closed, and what the service saw.
async fn send(bytes: &str) -> (String, Vec<String>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let saw = Arc::clone(&seen);
    let server = Server::new(move |request: http::Request<hyper::body::Incoming>| {
        let saw = Arc::clone(&saw);
        async move {
            let line = format!("{} {}", request.method(), request.uri());
            let body = request
                .into_body()
                .collect()
                .await
                .map(http_body_util::Collected::to_bytes)
                .unwrap_or_default();
            saw.lock().unwrap().push(format!("{line} {:?}", String::from_utf8_lossy(&body)));
            said(200, "seen")
        }
    })
    .await;
    let house = House::open(vec![cloud(&[server.at])]);
    let mut stream = house.tls(CLOUD, &["http/1.1"]).await;
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    drop(timeout(LONG, stream.read_to_end(&mut answer)).await.expect("the door closes"));
    drop(stream);
    house.door.close().await;
    let seen = seen.lock().unwrap().clone();
    (String::from_utf8_lossy(&answer).into_owned(), seen)
}

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: cloud.test\r\n\r\n";

#[tokio::test]
async fn what_is_refused_reaches_no_service() {
    let vectors = [
        ("two lengths", "Content-Length: 3\r\nContent-Length: 5"),
        ("two lengths in one line", "Content-Length: 3, 5"),
        ("a length with a sign", "Content-Length: +3"),
        ("a length in hex", "Content-Length: 0x3"),
        ("a length of nothing", "Content-Length: "),
        ("another coding", "Transfer-Encoding: xchunked"),
        ("chunked, and then another", "Transfer-Encoding: chunked, identity"),
        ("another, and then chunked", "Transfer-Encoding: gzip, chunked"),
        ("chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        ("a blank before the colon", "Transfer-Encoding : chunked"),
        ("a folded line", "Transfer-Encoding:\r\n chunked"),
        ("a vertical tab", "Transfer-Encoding: \x0bchunked"),
        ("a bare return", "X: a\rTransfer-Encoding: chunked"),
        ("no name", ": chunked"),
        ("two hosts", "Host: other.test"),
        ("an upgrade with a body", "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3"),
    ];
    for (what, lines) in vectors {
        let bytes = format!("POST /seen HTTP/1.1\r\nHost: {CLOUD}\r\n{lines}\r\n\r\n0\r\n\r\n{SMUGGLED}");
        let (answer, seen) = send(&bytes).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{what}: {answer}");
        assert!(seen.is_empty(), "{what}: {seen:?}");
        assert!(answer.matches("HTTP/1.1").count() <= 1, "{what}: {answer}");
    }
}

/// RFC 9112, 6.1: chunks count, the length does not, and nothing that follows on the connection is read.
#[tokio::test]
async fn a_length_beside_chunks_smuggles_nothing() {
    let lengths = [
        "Content-Length: 6\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
    ];
    for lines in lengths {
        let bytes =
            format!("POST /seen HTTP/1.1\r\nHost: {CLOUD}\r\n{lines}\r\n\r\n2\r\nab\r\n0\r\n\r\n{SMUGGLED}");
        let (answer, seen) = send(&bytes).await;
        assert!(seen.is_empty() || seen == ["POST /seen \"ab\""], "{lines}: {seen:?}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
}

#[tokio::test]
async fn http_1_0_has_no_chunks_and_no_line_is_believed_against_its_host() {
    let old =
        format!("POST / HTTP/1.0\r\nHost: {CLOUD}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}");
    let differ = format!("GET http://other.test/ HTTP/1.1\r\nHost: {CLOUD}\r\n\r\n");
    let none = "GET / HTTP/1.1\r\n\r\n".to_owned();
    for bytes in [old, differ, none] {
        let (answer, seen) = send(&bytes).await;
        assert!(
            answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.0 400 "),
            "{bytes}: {answer}"
        );
        assert!(seen.is_empty(), "{bytes}: {seen:?}");
    }
    let (answer, seen) =
        send(&format!("GET http://{CLOUD}/x?y HTTP/1.1\r\nHost: {CLOUD}\r\nConnection: close\r\n\r\n")).await;
    assert_eq!((answer.starts_with("HTTP/1.1 200 "), seen), (true, vec!["GET /x?y \"\"".to_owned()]));
}

#[tokio::test]
async fn methods_that_lead_elsewhere_are_not_done() {
    for line in [format!("CONNECT {CLOUD}:443"), "TRACE /".to_owned()] {
        let (answer, seen) =
            send(&format!("{line} HTTP/1.1\r\nHost: {CLOUD}:443\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 501 ") && seen.is_empty(), "{answer} {seen:?}");
    }
    // Over to HTTP/2 inside: an ordinary request, and no change of protocol.
    let lines =
        "Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__";
    let (answer, seen) = send(&format!("GET /x HTTP/1.1\r\nHost: {CLOUD}\r\n{lines}\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && seen.len() == 1, "{answer} {seen:?}");
}
