//! Starting and ending other people's servers.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use freehold_backend::{Credentials, Settings};

/// A server's process; it ends with its owner.
pub(crate) struct Server(Child);

impl Server {
    pub(crate) fn start(command: &mut Command, log: &Path) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// So many ports in a row that are free, and those 10,000 above them.
pub(crate) fn ports(count: u16) -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let first = 20_000 + (std::process::id() % 1_000) as u16 * 20;
    (first..40_000)
        .step_by(usize::from(count))
        .find(|base| (*base..base + count).all(|port| free(port) && free(port + 10_000)))
        .unwrap()
}

/// A program of `tests/requirements.txt`.
pub(crate) fn tool(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/python/bin");
    let all = std::env::split_paths(&path).chain([tools]);
    let found = all.map(|folder| folder.join(name)).find(|program| program.exists());
    found.unwrap_or_else(|| panic!("{name} is missing: cargo xtask tools"))
}

pub(crate) fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Makes a bucket, which no backend does by itself.
pub(crate) fn make_bucket(settings: &Settings, credentials: &Credentials) -> bool {
    let user = format!("{}:{}", credentials.access_key_id, credentials.secret_access_key.as_str());
    let signed = format!("aws:amz:{}:s3", settings.region);
    let url = format!("{}/{}", settings.endpoint, settings.bucket);
    let curl = Command::new("curl")
        .args(["-s", "-f", "-m", "5", "-o", "/dev/null", "-X", "PUT"])
        .args(["--aws-sigv4", &signed, "--user", &user, &url])
        .status();
    curl.unwrap().success()
}
