//! What stands around a door in a test: a certificate, services, a gatekeeper, clients.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use freehold_gateway::{
    Access, Challenges, Client, Dial, Door, Gatekeeper, Handed, Host, Judgement, Service, Settings, Sockets,
    Table, Target, Upstream, Web,
};
use freehold_wire::ServiceId;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::task::AbortOnDropHandle;

pub(crate) const CLOUD: &str = "cloud.test";
pub(crate) const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Longer than anything here takes on a machine that does much else.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A key and a certificate for some names, signed by itself.
#[derive(Debug)]
pub(crate) struct Certificate {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) pem: tempfile::NamedTempFile,
    names: Vec<String>,
}

impl Certificate {
    pub(crate) fn of(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let made = rcgen::generate_simple_self_signed(names.clone()).unwrap();
        let der = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let signer = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
        let key = Arc::new(CertifiedKey::new(vec![der.clone()], signer));
        let mut pem = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut pem, made.cert.pem().as_bytes()).unwrap();
        Self { der, key, pem, names }
    }

    fn resolver(&self) -> One {
        One { names: self.names.clone(), key: Arc::clone(&self.key) }
    }

    /// TLS on a connection that is there already.
    pub(crate) async fn shake(&self, stream: TcpStream, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
        shake_on(stream, self, name, &[]).await
    }

    /// Of everybody who asks a door in these tests.
    pub(crate) fn cloud() -> Self {
        Self::of(&[CLOUD, "other.test", "unknown.test", "*.wild.test"])
    }
}

/// One certificate, for its names and no others.
#[derive(Debug)]
struct One {
    names: Vec<String>,
    key: Arc<CertifiedKey>,
}

impl ResolvesServerCert for One {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.trim_end_matches('.').to_ascii_lowercase();
        let wild = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        let is_for = self.names.iter().any(|one| *one == name || Some(one) == wild.as_ref());
        is_for.then(|| Arc::clone(&self.key))
    }
}

/// Says what it was told to say.
pub(crate) struct Keeper {
    pub(crate) says: Mutex<Judgement>,
    pub(crate) believes: bool,
    pub(crate) may: bool,
    pub(crate) seen: Mutex<Vec<Client>>,
}

impl Default for Keeper {
    fn default() -> Self {
        Self { says: Mutex::new(Judgement::Allowed), believes: false, may: false, seen: Mutex::default() }
    }
}

impl Gatekeeper for Keeper {
    fn judge(&self, client: &Client, _: &Service) -> Judgement {
        self.seen.lock().unwrap().push(*client);
        self.says.lock().unwrap().clone()
    }

    fn speaks_for_others(&self, _: IpAddr) -> bool {
        self.believes
    }

    fn may_speak_for_others(&self, _: IpAddr) -> bool {
        self.may
    }

    fn believes(&self, _: &Client, said: &Client) -> bool {
        said.from.ip() != IpAddr::V4(Ipv4Addr::new(127, 0, 0, 66))
    }
}

struct Token;

impl Challenges for Token {
    fn text(&self, host: &str, token: &str) -> Option<String> {
        (host == CLOUD && token == "token").then(|| "token.thumb".to_owned())
    }
}

pub(crate) fn settings() -> Settings {
    let mut settings = Settings::new(vec![HERE], vec![HERE]);
    settings.workers = NonZeroUsize::new(2).unwrap();
    settings
}

fn handed_by(certificate: &Certificate, gatekeeper: Arc<dyn Gatekeeper>) -> Handed {
    Handed {
        certificates: Arc::new(certificate.resolver()),
        gatekeeper,
        challenges: Arc::new(Token),
        dial: Arc::new(Sockets),
    }
}

/// For a door that nobody comes to.
pub(crate) fn handed() -> Handed {
    handed_by(&Certificate::cloud(), Arc::<Keeper>::default())
}

/// A door with its certificate and gatekeeper.
pub(crate) struct House {
    pub(crate) door: Door,
    pub(crate) certificate: Certificate,
    pub(crate) keeper: Arc<Keeper>,
}

impl House {
    pub(crate) fn open(services: Vec<Service>) -> Self {
        Self::with(settings(), Keeper::default(), services)
    }

    pub(crate) fn with(settings: Settings, keeper: Keeper, services: Vec<Service>) -> Self {
        Self::whole(settings, keeper, Arc::new(Sockets), services)
    }

    /// Services are reached in another way.
    pub(crate) fn reaching(dial: impl Dial, services: Vec<Service>) -> Self {
        Self::whole(settings(), Keeper::default(), Arc::new(dial), services)
    }

    fn whole(settings: Settings, keeper: Keeper, dial: Arc<dyn Dial>, services: Vec<Service>) -> Self {
        let certificate = Certificate::cloud();
        let keeper = Arc::new(keeper);
        let handed = Handed { dial, ..handed_by(&certificate, Arc::clone(&keeper) as Arc<dyn Gatekeeper>) };
        let door = Door::open(settings, handed, Table::new(services).unwrap()).unwrap();
        Self { door, certificate, keeper }
    }

    pub(crate) fn at(&self) -> SocketAddr {
        self.door.addresses().0[0]
    }

    pub(crate) fn plain_at(&self) -> SocketAddr {
        self.door.addresses().1[0]
    }

    pub(crate) fn say(&self, judgement: Judgement) {
        *self.keeper.says.lock().unwrap() = judgement;
        self.door.judge_again();
    }

    /// What curl sees of a path of a host.
    pub(crate) async fn curl(&self, host: &str, path: &str, arguments: &[&str]) -> Seen {
        let url = format!("https://{host}:{}{path}", self.at().port());
        let resolve = format!("{host}:{}:127.0.0.1", self.at().port());
        let ca = self.certificate.pem.path().to_str().unwrap();
        curl(&[&["--cacert", ca, "--resolve", &resolve], arguments, &[&url]].concat()).await
    }

    /// TLS with the door, for those who send bytes themselves.
    pub(crate) async fn tls(&self, name: &str, protocols: &[&str]) -> TlsStream<TcpStream> {
        shake(self.at(), &self.certificate, name, protocols).await.unwrap()
    }

    /// HTTP/1.1 on a connection that is kept.
    pub(crate) async fn http1(&self) -> (hyper::client::conn::http1::SendRequest<Full<Bytes>>, Task) {
        let stream = TokioIo::new(self.tls(CLOUD, &["http/1.1"]).await);
        let (sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        (sender, task(async move { drop(connection.await) }))
    }

    /// HTTP/2 on a connection that is kept.
    pub(crate) async fn http2(&self) -> (hyper::client::conn::http2::SendRequest<Full<Bytes>>, Task) {
        let stream = TokioIo::new(self.tls(CLOUD, &["h2"]).await);
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        (sender, task(async move { drop(connection.await) }))
    }

    /// What was counted of the first service.
    pub(crate) fn shown(&self) -> freehold_gateway::Shown {
        self.door.counted().remove(0).shown
    }
}

pub(crate) async fn shake(
    at: SocketAddr,
    certificate: &Certificate,
    name: &str,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    shake_on(TcpStream::connect(at).await?, certificate, name, protocols).await
}

async fn shake_on(
    stream: TcpStream,
    certificate: &Certificate,
    name: &str,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.der.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(tls)).connect(name, stream).await
}

/// What a client saw.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) exit: i32,
    pub(crate) status: u16,
    pub(crate) version: String,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) trouble: String,
}

impl Seen {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub(crate) async fn curl(arguments: &[&str]) -> Seen {
    let head = tempfile::NamedTempFile::new().unwrap();
    let output = tokio::process::Command::new("curl")
        .args(["-sS", "--max-time", "60", "-D", head.path().to_str().unwrap()])
        .args(["-w", "%{stderr}%{http_code} %{http_version}"])
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let (trouble, told) = said.rsplit_once('\n').unwrap_or(("", &said));
    let (status, version) = told.split_once(' ').unwrap_or_default();
    Seen {
        exit: output.status.code().unwrap_or(-1),
        status: status.parse().unwrap_or_default(),
        version: version.to_owned(),
        head: std::fs::read_to_string(head.path()).unwrap().to_ascii_lowercase(),
        body: output.stdout,
        trouble: trouble.to_owned(),
    }
}

pub(crate) type Task = AbortOnDropHandle<()>;

/// A task that ends with its test.
pub(crate) fn task(work: impl Future<Output = ()> + Send + 'static) -> Task {
    #[expect(clippy::disallowed_methods, reason = "its handle owns it")]
    AbortOnDropHandle::new(tokio::spawn(work))
}

pub(crate) type Bodies = BoxBody<Bytes, std::io::Error>;
pub(crate) type Said = Response<Bodies>;

pub(crate) fn said(status: u16, text: impl Into<Bytes>) -> Said {
    let body = Full::new(text.into()).map_err(|never| match never {});
    Response::builder().status(status).body(body.boxed()).unwrap()
}

/// A service of HTTP/1.1, which answers as it is told.
pub(crate) struct Server {
    pub(crate) at: SocketAddr,
    _task: Task,
}

impl Server {
    pub(crate) async fn new<F, A>(answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Said> + Send + 'static,
    {
        let listener = TcpListener::bind(HERE).await.unwrap();
        let at = listener.local_addr().unwrap();
        let serve = async move {
            let mut open = Vec::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let answer = answer.clone();
                open.push(task(async move {
                    let service = service_fn(move |request| {
                        let answer = answer(request);
                        async move { Ok::<_, std::convert::Infallible>(answer.await) }
                    });
                    let server = hyper::server::conn::http1::Builder::new();
                    drop(server.serve_connection(TokioIo::new(stream), service).with_upgrades().await);
                }));
            }
        };
        Self { at, _task: task(serve) }
    }

    /// Tells what it was asked: the line, the headers in order, and the length of the body.
    pub(crate) async fn echo() -> Self {
        Self::new(|request: Request<Incoming>| async move {
            let (parts, body) = request.into_parts();
            let mut text = format!("{} {} {:?}\n", parts.method, parts.uri, parts.version);
            let mut headers: Vec<String> = parts
                .headers
                .iter()
                .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())))
                .collect();
            headers.sort();
            text.extend(headers);
            let mut length = 0;
            let mut body = body;
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { return said(400, "the body broke off") };
                length += frame.data_ref().map_or(0, Bytes::len);
            }
            said(200, format!("{text}body: {length}\n"))
        })
        .await
    }
}

/// A service under the test's name.
pub(crate) fn cloud(at: &[SocketAddr]) -> Service {
    service(1, CLOUD, at, |_| {})
}

pub(crate) fn service(n: u8, host: &str, at: &[SocketAddr], change: impl FnOnce(&mut Web)) -> Service {
    let mut web = Web::at(at.iter().copied().map(Upstream::Tcp).collect());
    change(&mut web);
    Service {
        id: ServiceId::from_bytes([n; 32]),
        hosts: vec![Host::parse(host).unwrap()],
        access: Access::Public,
        target: Target::Web(Box::new(web)),
    }
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, wait).await.unwrap_or_else(|_| panic!("waited for {what}"));
}

pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    let uri = format!("https://{CLOUD}{path}");
    Request::builder().uri(uri).body(Full::default()).unwrap()
}

/// The same for HTTP/1.1, which has the host in a header.
pub(crate) fn get1(path: &str) -> Request<Full<Bytes>> {
    Request::builder().uri(path).header("host", CLOUD).body(Full::default()).unwrap()
}
