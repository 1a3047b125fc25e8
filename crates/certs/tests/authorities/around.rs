//! Pebble, BIND and a door, each on ports of its own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use freehold_certs::{
    Acme, AcmeSettings, Folder, Keep, Keeper, Records, Shelf, Standing, Update, UpdateAlgorithm, UpdateKey,
    Wanted,
};
use freehold_gateway::{
    Challenges, Client, Door, Gatekeeper, Handed, Judgement, Service, Settings, Sockets, Table,
};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;
use zeroize::Zeroizing;

pub(crate) const ZONE: &str = "acme.test";
const SECRET: &[u8; 32] = b"a secret of thirty-two bytes....";
pub(crate) const LONG: Duration = Duration::from_mins(1);

fn here(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// A port that was free a moment ago.
fn port() -> u16 {
    TcpListener::bind(here(0)).unwrap().local_addr().unwrap().port()
}

/// A program that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Running {
    /// Starts a program and waits until it listens.
    fn start(command: &mut Command, dir: &Path, at: SocketAddr) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let log = dir.join(format!("{name}.log"));
        let out = std::fs::File::options().create(true).append(true).open(&log).unwrap();
        let child = command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out).spawn();
        let mut running =
            Self(child.unwrap_or_else(|error| panic!("{name}: {error}; cargo xtask ci installs it")));
        let began = Instant::now();
        while TcpStream::connect(at).is_err() {
            let ended = running.0.try_wait().unwrap();
            let said = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(ended.is_none() && began.elapsed() < LONG, "{name}: {ended:?} {}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }
}

fn write(path: &Path, text: &str) {
    freehold_disk::replace(path, text.as_bytes(), 0o600).unwrap();
}

/// A name server for the zone, in which every name leads here.
pub(crate) struct Bind {
    pub(crate) at: SocketAddr,
    _dir: TempDir,
    _running: Running,
}

impl Bind {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = here(port());
        let path = dir.path().display();
        let secret = base64(SECRET);
        let zone = "$TTL 5\n@ SOA ns root 1 3600 600 86400 5\n@ NS ns\n@ A 127.0.0.1\nns A 127.0.0.1\n* A 127.0.0.1\n";
        write(&dir.path().join("zone"), zone);
        let settings = format!(
            "options {{ directory \"{path}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; \
             recursion no; pid-file none; session-keyfile \"{path}/session\"; dnssec-validation no; }};\n\
             controls {{ }};\n\
             key \"update\" {{ algorithm hmac-sha256; secret \"{secret}\"; }};\n\
             zone \"{ZONE}\" {{ type primary; file \"{path}/zone\"; \
             update-policy {{ grant update subdomain {ZONE}. TXT; }}; }};\n",
            port = at.port(),
        );
        write(&dir.path().join("conf"), &settings);
        let mut named = Command::new("named");
        named.arg("-g").arg("-c").arg(dir.path().join("conf")).args(["-n", "1"]);
        let running = Running::start(&mut named, dir.path(), at);
        Self { at, _dir: dir, _running: running }
    }

    pub(crate) fn update(&self, secret: &[u8]) -> Update {
        let secret = Zeroizing::new(secret.to_vec());
        let key = UpdateKey { name: "update".to_owned(), algorithm: UpdateAlgorithm::HmacSha256, secret };
        Update::new(self.at, ZONE, &key, LONG).unwrap()
    }

    pub(crate) fn records(&self) -> Arc<dyn Records> {
        Arc::new(self.update(SECRET))
    }

    /// A program that changes the zone, as somebody would write it.
    pub(crate) fn program(&self, dir: &Path) -> PathBuf {
        let path = dir.join("hook");
        let (port, secret) = (self.at.port(), base64(SECRET));
        let text = format!(
            "#!/bin/sh\nset -e\ncase $1 in add) what=\"add $2 60 TXT $3\";; remove) what=\"delete $2 TXT $3\";; esac\n\
             printf 'server 127.0.0.1 {port}\\nupdate %s\\nsend\\n' \"$what\" | nsupdate -y hmac-sha256:update:{secret}\n"
        );
        freehold_disk::replace(&path, text.as_bytes(), 0o700).unwrap();
        path
    }

    /// What the zone says of a name.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let port = self.at.port().to_string();
        let dig =
            Command::new("dig").args(["@127.0.0.1", "-p", &port, "+short", "TXT", name]).output().unwrap();
        assert!(dig.status.success());
        String::from_utf8(dig.stdout).unwrap().lines().map(ToOwned::to_owned).collect()
    }
}

fn base64(bytes: &[u8]) -> String {
    data_encoding::BASE64.encode(bytes)
}

/// An authority.
pub(crate) struct Pebble {
    dir: TempDir,
    at: SocketAddr,
    management: SocketAddr,
    arguments: (SocketAddr, Vec<(&'static str, &'static str)>),
    running: Option<Running>,
}

impl Pebble {
    /// Looks at these ports for what proves a name; `faults` are its environment.
    pub(crate) fn start(
        names: SocketAddr,
        (http, https): (u16, u16),
        faults: &[(&'static str, &'static str)],
        more: &str,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (at, management) = (here(port()), here(port()));
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        write(&dir.path().join("root"), &made.cert.pem());
        write(&dir.path().join("key"), &made.signing_key.serialize_pem());
        let path = dir.path().display();
        let settings = format!(
            "{{\"pebble\": {{\"listenAddress\": \"{at}\", \"managementListenAddress\": \"{management}\", \
             \"certificate\": \"{path}/root\", \"privateKey\": \"{path}/key\", \
             \"httpPort\": {http}, \"tlsPort\": {https}, \"ocspResponderURL\": \"\"{more}}}}}"
        );
        write(&dir.path().join("conf"), &settings);
        let arguments = (names, faults.to_vec());
        let mut pebble = Self { dir, at, management, arguments, running: None };
        pebble.restart();
        pebble
    }

    /// Forgets everything.
    pub(crate) fn restart(&mut self) {
        drop(self.running.take());
        let mut pebble = Command::new("pebble");
        pebble.arg("-strict").arg("-config").arg(self.dir.path().join("conf"));
        pebble.arg("-dnsserver").arg(self.arguments.0.to_string());
        pebble.env_clear().env("PEBBLE_VA_NOSLEEP", "1").envs(self.arguments.1.iter().copied());
        self.running = Some(Running::start(&mut pebble, self.dir.path(), self.at));
    }

    pub(crate) fn settings(&self) -> AcmeSettings {
        AcmeSettings {
            directory: format!("https://{}/dir", self.at),
            contact: vec!["mailto:ada@acme.test".to_owned()],
            agreed: true,
            roots: Some(self.dir.path().join("root")),
            external: None,
            within: LONG,
            settle: Duration::ZERO,
        }
    }

    /// The certificate of who signs, for curl.
    pub(crate) fn root(&self) -> PathBuf {
        let path = self.dir.path().join("issuer");
        let url = format!("https://{}/roots/0", self.management);
        let curl = Command::new("curl").args(["-sSfk", "-o"]).arg(&path).arg(url).status().unwrap();
        assert!(curl.success());
        path
    }
}

struct Everybody;

impl Gatekeeper for Everybody {
    fn judge(&self, _: &Client, _: &Service) -> Judgement {
        Judgement::Allowed
    }
}

struct Answers(Arc<Shelf>);

impl Challenges for Answers {
    fn text(&self, host: &str, token: &str) -> Option<String> {
        self.0.text(host, token)
    }
}

/// A door that shows what is on a shelf.
pub(crate) struct House {
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) door: Door,
}

impl House {
    pub(crate) fn open() -> Self {
        let shelf = Arc::new(Shelf::new());
        let handed = Handed {
            certificates: Arc::clone(&shelf) as Arc<dyn rustls::server::ResolvesServerCert>,
            gatekeeper: Arc::new(Everybody),
            challenges: Arc::new(Answers(Arc::clone(&shelf))),
            dial: Arc::new(Sockets),
        };
        let door = Door::open(Settings::new(vec![here(0)], vec![here(0)]), handed, Table::default()).unwrap();
        Self { shelf, door }
    }

    /// Plain, and with TLS.
    pub(crate) fn ports(&self) -> (u16, u16) {
        let (https, http) = self.door.addresses();
        (http[0].port(), https[0].port())
    }

    /// Whether curl trusts what it sees under a name, and the authority alone.
    pub(crate) fn is_trusted(&self, name: &str, root: &Path) -> bool {
        let port = self.ports().1;
        let curl = Command::new("curl")
            .args([
                "-sS",
                "--max-time",
                "30",
                "-o",
                "/dev/null",
                "--resolve",
                &format!("{name}:{port}:127.0.0.1"),
            ])
            .arg("--cacert")
            .arg(root)
            .arg(format!("https://{name}:{port}/"))
            .output()
            .unwrap();
        println!("{}", String::from_utf8_lossy(&curl.stderr));
        curl.status.success()
    }
}

/// A keeper at work.
pub(crate) struct Work {
    pub(crate) wanted: watch::Sender<Vec<Wanted>>,
    pub(crate) standing: watch::Receiver<Vec<Standing>>,
    _stop: DropGuard,
    _task: AbortOnDropHandle<()>,
}

impl Work {
    pub(crate) fn begin(keep: &Arc<dyn Keep>, house: &House, acme: Acme, wanted: Vec<Wanted>) -> Self {
        let keeper = Keeper::new(Arc::clone(keep), Arc::clone(&house.shelf), None, Some(Arc::new(acme)));
        let (wanted, asked) = watch::channel(wanted);
        let (told, standing) = watch::channel(Vec::new());
        let cancel = CancellationToken::new();
        let run = keeper.run(asked, told, cancel.clone());
        #[expect(clippy::disallowed_methods, reason = "its handle owns it")]
        let task = AbortOnDropHandle::new(tokio::spawn(run));
        Self { wanted, standing, _stop: cancel.drop_guard(), _task: task }
    }

    /// Waits until it stands so.
    pub(crate) async fn until(&mut self, holds: impl FnMut(&Vec<Standing>) -> bool) -> Vec<Standing> {
        let last = self.standing.clone();
        let wait = tokio::time::timeout(LONG, self.standing.wait_for(holds)).await;
        wait.unwrap_or_else(|_| panic!("it stands like this: {:?}", last.borrow())).unwrap().clone()
    }
}

pub(crate) fn folder() -> (TempDir, Arc<dyn Keep>) {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::new(dir.path().join("certs")).unwrap();
    (dir, Arc::new(folder))
}
