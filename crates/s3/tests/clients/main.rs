//! The front as real clients find it: boto3, the AWS CLI, rclone, and a client that sends garbage.
//! Each test runs a script of this directory against a server of its own and shows what it said.

#![cfg(test)]

mod world;

use std::path::Path;
use std::time::Duration;

use freehold_s3::Limits;
use freehold_vault::{ListQuery, Vault, VersionQuery};
use freehold_wire::Millis;
use futures::TryStreamExt as _;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const INSTALL: &str = "the clients are missing: pip install -r tests/requirements.txt";
const SCRIPT_TIMEOUT: Duration = Duration::from_mins(10);

/// Runs a script against a fresh server; afterwards nothing half-written may be left.
async fn against(script: &str, limits: Limits) {
    let home = tempfile::tempdir().unwrap();
    let (listener, address) = world::listen(0).await;
    let cancel = CancellationToken::new();
    let mut server = JoinSet::new();
    let (at, stop) = (home.path().to_owned(), cancel.clone());
    server.spawn(async move { world::run(&at, listener, limits, stop).await });

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
    let mut command = Command::new("python3");
    command.arg(&path).arg(format!("http://{address}")).args([world::KEY_ID, world::SECRET]);
    command.current_dir(home.path()).kill_on_drop(true);
    let said = tokio::time::timeout(SCRIPT_TIMEOUT, command.output()).await.expect("the script ends in time");
    let said = said.expect(INSTALL);
    let again = format!("to see it alone: cargo test -p freehold-s3 --test clients {script}");
    assert!(
        said.status.success(),
        "{}{}\n{again}\n{INSTALL}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );

    cancel.cancel();
    let vault = server.join_next().await.unwrap().unwrap().unwrap();
    nothing_is_left(&vault).await;
}

/// After sweeping the depot holds the blobs of the objects that are there, and nothing else.
async fn nothing_is_left(vault: &Vault) {
    // A blob goes when it was loose at two looks.
    for look in 1..=2 {
        vault.sweep(Millis(u64::MAX - 2 + look)).await.unwrap();
    }
    let mut blobs = 0;
    for bucket in vault.buckets().keys() {
        let keys = ListQuery { max: usize::MAX, ..ListQuery::default() };
        let query = VersionQuery { keys, older_than: None };
        let versions = vault.list_versions(bucket, &query).unwrap().versions;
        let written = versions.iter().filter(|version| !version.marker);
        blobs += written.map(|version| usize::from(version.meta.parts.max(1))).sum::<usize>();
    }
    let held: Vec<_> = vault.depot().list().try_collect().await.unwrap();
    assert_eq!(held.len(), blobs, "in the depot, and blobs of objects: {held:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3() {
    against("boto.py", Limits::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access() {
    against("access.py", Limits::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms() {
    against("forms.py", Limits::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts() {
    against("hosts.py", Limits::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys() {
    against("keys.py", Limits::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions() {
    against("versions.py", Limits::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aws_cli() {
    against("awscli.py", Limits::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rclone() {
    against("rclone.py", Limits::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expect_continue() {
    against("expect.py", Limits::default()).await;
}

/// Short limits, so that the test sees them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile() {
    let limits = Limits {
        connections: 16,
        // Whoever is not let in yet may rest for so long: longer than a body that stalls, which is to be answered.
        header_timeout: Duration::from_secs(4),
        body_idle: Duration::from_secs(2),
        write_stall: Duration::from_secs(1),
        ..Limits::default()
    };
    against("hostile.py", limits).await;
}

/// A request under way at shutdown is answered, and a client that will never end is cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_ends_in_time() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let home = tempfile::tempdir().unwrap();
    let (listener, address) = world::listen(0).await;
    let cancel = CancellationToken::new();
    let mut server = JoinSet::new();
    let (at, stop) = (home.path().to_owned(), cancel.clone());
    let limits = Limits { drain: Duration::from_secs(3), ..Limits::default() };
    server.spawn(async move { world::run(&at, listener, limits, stop).await.map(|_| ()) });
    let mut idle = tokio::net::TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut some = [0; 64];
    assert!(idle.read(&mut some).await.unwrap() > 0);
    cancel.cancel();
    // An idle kept connection does not count as late.
    assert!(server.join_next().await.unwrap().unwrap().is_ok());
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
}
