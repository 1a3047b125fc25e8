//! A name server for a zone.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use freehold_records::{Update, UpdateAlgorithm, UpdateKey};
use tempfile::TempDir;
use zeroize::Zeroizing;

/// That of the key that may change the zone.
pub(crate) const SECRET: &[u8] = b"what a house shares with its server";
const LONG: Duration = Duration::from_secs(30);
const ZONE: &str = "dyn.test";

pub(crate) struct Bind {
    at: SocketAddr,
    _folder: TempDir,
    named: Child,
}

impl Drop for Bind {
    fn drop(&mut self) {
        self.named.kill().unwrap();
        self.named.wait().unwrap();
    }
}

impl Bind {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let at = free.local_addr().unwrap();
        drop(free);
        let path = folder.path().display();
        let zone = "$TTL 5\n@ SOA ns root 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\nalias CNAME ns\n";
        write(&folder.path().join("zone"), zone, 0o600);
        let settings = format!(
            "options {{ directory \"{path}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; \
             recursion no; pid-file none; session-keyfile \"{path}/session\"; dnssec-validation no; }};\n\
             controls {{ }};\n\
             key \"update\" {{ algorithm hmac-sha256; secret \"{secret}\"; }};\n\
             zone \"{ZONE}\" {{ type primary; file \"{path}/zone\"; \
             update-policy {{ deny update name {ZONE}. ANY; grant update subdomain {ZONE}. A AAAA TXT; }}; }};\n",
            port = at.port(),
            secret = base64(SECRET),
        );
        write(&folder.path().join("conf"), &settings, 0o600);
        let log = folder.path().join("log");
        let out = std::fs::File::create(&log).unwrap();
        let mut named = Command::new("named");
        named.arg("-g").arg("-c").arg(folder.path().join("conf")).args(["-n", "1"]);
        named.stdin(Stdio::null()).stdout(Stdio::null()).stderr(out);
        let named =
            named.spawn().unwrap_or_else(|error| panic!("named: {error}; cargo xtask ci installs it"));
        let mut bind = Self { at, _folder: folder, named };
        let began = Instant::now();
        while TcpStream::connect(at).is_err() {
            let ended = bind.named.try_wait().unwrap();
            let said = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(ended.is_none() && began.elapsed() < LONG, "named: {ended:?} {}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
        bind
    }

    pub(crate) fn update(&self, secret: &[u8]) -> Update {
        let secret = Zeroizing::new(secret.to_vec());
        let key = UpdateKey { name: "update".to_owned(), algorithm: UpdateAlgorithm::HmacSha256, secret };
        Update::new(self.at, ZONE, &key, LONG).unwrap()
    }

    /// A program that changes the zone, as somebody would write it.
    pub(crate) fn program(&self, folder: &Path) -> PathBuf {
        let path = folder.join("hook");
        let (port, secret) = (self.at.port(), base64(SECRET));
        let text = format!(
            "#!/bin/sh\nset -e\ncase $1 in\n\
             add) what=\"update add $2 60 TXT $3\";;\n\
             remove) what=\"update delete $2 TXT $3\";;\n\
             replace) what=\"update delete $2 $3\nupdate add $2 60 $3 $4\";;\n\
             clear) what=\"update delete $2 $3\";;\nesac\n\
             printf 'server 127.0.0.1 {port}\\n%s\\nsend\\n' \"$what\" | nsupdate -y hmac-sha256:update:{secret}\n"
        );
        write(&path, &text, 0o700);
        path
    }

    /// What the zone says of a name.
    pub(crate) fn says(&self, name: &str, kind: &str) -> Vec<String> {
        let port = self.at.port().to_string();
        let dig =
            Command::new("dig").args(["@127.0.0.1", "-p", &port, "+short", kind, name]).output().unwrap();
        assert!(dig.status.success());
        String::from_utf8(dig.stdout).unwrap().lines().map(ToOwned::to_owned).collect()
    }
}

fn write(path: &Path, text: &str, mode: u32) {
    freehold_disk::replace(path, text.as_bytes(), mode).unwrap();
}

fn base64(bytes: &[u8]) -> String {
    data_encoding::BASE64.encode(bytes)
}
