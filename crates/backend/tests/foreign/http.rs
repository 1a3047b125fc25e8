//! Servers that answer, but not as they should.

use std::time::{Duration, Instant};

use freehold_backend::{Credentials, Pace, Packed, ProbeError, Settings, connect, probe};
use freehold_crypt::Secret;
use freehold_vault::{Depot, DepotError, DepotLimits};
use freehold_wire::Millis;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::home::put;

/// A server that says the same to whatever is asked, and hangs up.
async fn server(says: &'static str) -> (Settings, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings::new(&format!("http://{}", listener.local_addr().unwrap()), "attic");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 4096];
            drop(stream.read(&mut asked).await);
            drop(stream.write_all(says.as_bytes()).await);
            drop(stream.shutdown().await);
            // Whatever else was sent, so that the answer is not lost.
            let rest = async { while stream.read(&mut asked).await.is_ok_and(|got| got > 0) {} };
            drop(tokio::time::timeout(Duration::from_millis(200), rest).await);
        }
    });
    (settings, tasks)
}

fn credentials() -> Credentials {
    Credentials::parse("access_key_id=A\nsecret_access_key=B").unwrap()
}

async fn asked(says: &'static str) -> ProbeError {
    let (settings, _server) = server(says).await;
    probe(&*connect(&settings, &credentials()).unwrap(), Millis(0)).await.unwrap_err()
}

fn xml(status: &str, code: &str) -> &'static str {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>");
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nConnection: close\r\n");
    Box::leak(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_boxed_str())
}

#[tokio::test]
async fn what_a_server_refuses_is_told_with_its_remedy() {
    let told = asked(xml("403 Forbidden", "AccessDenied")).await;
    assert!(matches!(told, ProbeError::NotLetIn(_)), "{told:?}");
    let told = asked(xml("403 Forbidden", "SignatureDoesNotMatch")).await;
    assert!(told.remedy().contains("clock"), "{told:?}");
    let told = asked(xml("404 Not Found", "NoSuchBucket")).await;
    assert!(matches!(told, ProbeError::NoBucket(_)), "{told:?}");
    let told = asked(xml("507 Insufficient Storage", "QuotaExceeded")).await;
    assert!(matches!(told, ProbeError::Full(_)), "{told:?}");
}

#[tokio::test]
async fn a_server_that_talks_nonsense_is_an_error_soon() {
    for says in [
        "",
        "SSH-2.0-OpenSSH_9.2\r\n",
        xml("500 Internal Server Error", "InternalError"),
        "HTTP/1.1 200 OK\r\n\r\n",
    ] {
        let begun = Instant::now();
        let (settings, _server) = server(says).await;
        let asked = probe(&*connect(&settings, &credentials()).unwrap(), Millis(0)).await;
        // One that says "200" to everything is not unreachable, but gives nothing back.
        let refused = asked.as_ref().map_or(true, |found| found.refusal().is_some());
        assert!(refused, "{says}: {asked:?}");
        let home = tempfile::tempdir().unwrap();
        let opened = Packed::on(
            connect(&settings, &credentials()).unwrap(),
            home.path(),
            Secret::from_bytes([1; 32]),
            None,
            Pace::default(),
        );
        if let Ok(packed) = opened.await {
            let limits = DepotLimits { reserve_bytes: 0, quota_bytes: None };
            let depot = Depot::on(std::sync::Arc::new(packed), None, limits).await.unwrap();
            let stored = put(&depot, 1, b"something").await;
            assert!(matches!(stored, Err(DepotError::Backend { .. })), "{says}: {stored:?}");
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{says}: {:?}", begun.elapsed());
    }
}
