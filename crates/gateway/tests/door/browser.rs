use std::process::Stdio;
use std::time::Duration;

use http::{HeaderValue, header};
use tokio::process::Command;

use crate::around::{CLOUD, House, Server, cloud, said};

/// The browser itself says by what it came.
const PAGE: &str = "<!doctype html><script>\
    document.write('by ' + performance.getEntriesByType('navigation')[0].nextHopProtocol)</script>";

/// What Chromium shows of a page, given the certificates that it is to believe by their keys.
async fn shown(house: &House, more: &[String]) -> String {
    let key = "openssl x509 -pubkey -noout -in \"$0\" | openssl pkey -pubin -outform der | \
        openssl dgst -sha256 -binary | openssl base64";
    let pem = house.certificate.pem.path();
    let key = Command::new("sh").args(["-c", key]).arg(pem).output().await.unwrap();
    let key = String::from_utf8(key.stdout).unwrap();
    let home = tempfile::tempdir().unwrap();
    let asked = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"])
        .arg(format!("--user-data-dir={}", home.path().display()))
        .arg(format!("--host-resolver-rules=MAP {CLOUD} 127.0.0.1"))
        .arg(format!("--ignore-certificate-errors-spki-list={}", key.trim()))
        .args(more)
        .arg(format!("https://{CLOUD}:{}/", house.at().port()))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let asked = tokio::time::timeout(Duration::from_mins(1), asked).await.expect("it ends").unwrap();
    String::from_utf8_lossy(&asked.stdout).into_owned()
}

/// Needs Chromium; says so where it is not.
#[tokio::test]
async fn a_browser_comes_by_http_2_and_3() {
    if Command::new("chromium").arg("--version").output().await.is_err() {
        println!("not run: needs chromium");
        return;
    }
    let server = Server::new(|_| async {
        let mut page = said(200, PAGE);
        page.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
        page
    })
    .await;
    let house = House::open(vec![cloud(&[server.at])]);
    let dom = shown(&house, &[]).await;
    assert!(dom.contains("by h2"), "{dom}");
    let forced = format!("--origin-to-force-quic-on={CLOUD}:{}", house.at().port());
    let dom = shown(&house, &["--enable-quic".to_owned(), forced]).await;
    assert!(dom.contains("by h3"), "{dom}");
}
