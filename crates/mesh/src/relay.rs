//! The relay that a node runs for its realm: iroh's own, inside our process, behind the gate. It
//! carries QUIC packets between endpoint keys and sees their ids, sizes and times, not what they
//! say; so plain HTTP is enough. UDP on the same port number tells an endpoint its public address.

mod discovery;
mod port;

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use freehold_crypt::hash;
use freehold_ports::{Busy, Places, Porter, Source};
use freehold_wire::NodeId;
use http::HeaderMap;
use iroh::EndpointId;
use iroh_relay::server::http_server::Handlers;
use iroh_relay::server::{Access, AccessControl, ClientRateLimit, ClientRequest, ConnectionId, RelayService};
use iroh_relay::{KeyCache, RelayQuicConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use self::port::Lobby;
use crate::address::{endpoint_id, node_id};
use crate::door::read_pass;
use crate::{Doorman, Gate, RelayServe, RelayUrl, StartError};

/// Newcomers that may use the relay at a time, and for how long each.
const GUESTS: usize = 16;
const GUEST_STAY: Duration = Duration::from_mins(2);
/// What one client may send through the relay, in bytes per second.
const CLIENT_RATE: NonZeroU32 = NonZeroU32::MIN.saturating_add((32 << 20) - 1);
/// How often those present are looked at.
pub(crate) const SWEEP: Duration = Duration::from_secs(5);
/// Public keys kept in their unpacked form.
const KEYS: usize = 1024;
/// Tries to find a port that is free with both TCP and UDP.
const PORT_TRIES: usize = 16;

/// Whoever comes by way of a relay counts as one network: an IPv6 network that nobody has.
pub(crate) fn source(url: &str) -> Source {
    let digest = hash::digest("freehold 2026 mesh relay as a source", url.as_bytes());
    let number = digest.first_chunk().copied().map_or(0, u64::from_be_bytes);
    // ff00::/8 is no address that anybody connects from.
    Source::V6(number | 0xff << 56)
}

/// The entry of a relay in iroh's list.
pub(crate) fn entry(url: &RelayUrl, pass: Option<String>) -> iroh_relay::RelayConfig {
    let quic = url.discovery_port().map_or_else(RelayQuicConfig::default, RelayQuicConfig::new);
    let entry = iroh_relay::RelayConfig::new(url.inner().clone(), Some(quic));
    match pass {
        Some(pass) => entry.with_auth_token(pass),
        None => entry,
    }
}

/// A running relay.
pub(crate) struct House {
    service: RelayService,
    guard: Guard,
    tasks: TaskTracker,
    stop: DropGuard,
    /// Where it listens.
    pub(crate) at: SocketAddr,
}

impl House {
    pub(crate) fn open(
        serve: &RelayServe,
        gate: Arc<dyn Gate>,
        doorman: Arc<dyn Doorman>,
    ) -> Result<Self, StartError> {
        let (listener, at) = free_port(serve.bind)?;
        let guard = Guard { gate, doorman, present: Arc::default(), lobby: Lobby::default() };
        let limit = Some(ClientRateLimit::new(CLIENT_RATE));
        let keys = KeyCache::new(KEYS);
        let access = Arc::new(guard.clone());
        let service =
            RelayService::new(Handlers::default(), HeaderMap::new(), limit, keys, access, Arc::default());
        let discovery = discovery::open(at)?;
        let porter = Porter::new(Places::of(serve.connections, port::PROVE_WITHIN));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(port::serve(listener, porter, service.clone(), guard.lobby.clone(), stop.clone()));
        tasks.spawn(discovery::serve(discovery, stop.clone()));
        tasks.close();
        Ok(Self { service, guard, tasks, stop: stop.drop_guard(), at })
    }

    /// The relay's URL if nobody gave one: an address of this machine and the port.
    pub(crate) fn url(&self, ours: &[SocketAddr]) -> Option<RelayUrl> {
        let bound = self.at.ip();
        let ip = if bound.is_unspecified() {
            let reach = |at: &&SocketAddr| bound.is_ipv6() || at.is_ipv4();
            ours.iter().find(reach).map_or(IpAddr::from([127, 0, 0, 1]), SocketAddr::ip)
        } else {
            bound
        };
        RelayUrl::plain(SocketAddr::new(ip, self.at.port()))
    }

    /// Ends a node's connections to the relay.
    pub(crate) fn disconnect(&self, node: NodeId) {
        if let Some(id) = endpoint_id(node) {
            self.service.clients().disconnect(id, None);
        }
    }

    /// Ends those that may no longer be here: suspended members, guests whose time is up.
    pub(crate) fn sweep(&self) {
        for (connection, endpoint) in self.guard.overdue(Instant::now()) {
            self.service.clients().disconnect(endpoint, Some(connection));
        }
    }

    pub(crate) async fn close(&self) {
        self.stop.token().cancel();
        self.service.shutdown().await;
        self.tasks.wait().await;
    }
}

struct Presence {
    connection: ConnectionId,
    endpoint: EndpointId,
    guest_until: Option<Instant>,
    _busy: Busy,
}

/// Asks the gate, and for newcomers the doorman, who may use the relay.
#[derive(Clone)]
struct Guard {
    gate: Arc<dyn Gate>,
    doorman: Arc<dyn Doorman>,
    present: Arc<Mutex<Vec<Presence>>>,
    lobby: Lobby,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

impl Guard {
    fn overdue(&self, now: Instant) -> Vec<(ConnectionId, EndpointId)> {
        let Ok(present) = self.present.lock() else { return Vec::new() };
        let overdue = present.iter().filter(|one| {
            let stays = one.guest_until.is_some_and(|until| now < until);
            !stays && !self.gate.admits_relay(node_id(one.endpoint))
        });
        overdue.map(|one| (one.connection, one.endpoint)).collect()
    }
}

impl AccessControl for Guard {
    async fn on_connect(&self, request: &ClientRequest) -> Access {
        let no = Access::Deny { reason: None };
        let Some(busy) = self.lobby.call_in(request.headers()) else { return no };
        let endpoint = request.endpoint_id();
        let node = node_id(endpoint);
        let guest_until = if self.gate.admits_relay(node) {
            None
        } else {
            let proof = request.auth_token().and_then(|pass| read_pass(&pass, node));
            if !proof.is_some_and(|proof| self.doorman.admit(&proof)) {
                return no;
            }
            Some(Instant::now() + GUEST_STAY)
        };
        let Ok(mut present) = self.present.lock() else { return no };
        let guests = present.iter().filter(|one| one.guest_until.is_some()).count();
        if guest_until.is_some() && guests >= GUESTS {
            return no;
        }
        let connection = request.connection_id();
        present.push(Presence { connection, endpoint, guest_until, _busy: busy });
        Access::Allow
    }

    fn on_disconnect(&self, _: EndpointId, connection: ConnectionId) {
        if let Ok(mut present) = self.present.lock() {
            present.retain(|one| one.connection != connection);
        }
    }
}

/// Listens with TCP where UDP is free too; finds a port if none was asked for.
fn free_port(wanted: SocketAddr) -> Result<(tokio::net::TcpListener, SocketAddr), StartError> {
    let mut tries = 0;
    loop {
        let failed = |source| bind_error(wanted, source);
        let tcp = TcpListener::bind(wanted).map_err(failed)?;
        let at = tcp.local_addr().map_err(failed)?;
        match UdpSocket::bind(at) {
            Ok(_) => {
                tcp.set_nonblocking(true).map_err(failed)?;
                return Ok((tokio::net::TcpListener::from_std(tcp).map_err(failed)?, at));
            }
            Err(_) if wanted.port() == 0 && tries < PORT_TRIES => tries += 1,
            Err(source) => return Err(bind_error(at, source)),
        }
    }
}

fn bind_error(at: SocketAddr, source: std::io::Error) -> StartError {
    if source.kind() == std::io::ErrorKind::AddrInUse {
        StartError::RelayPortInUse(at)
    } else {
        StartError::Bind { at, source }
    }
}

/// Settings for address discovery, which speaks QUIC and so needs a certificate; nobody checks it.
fn self_signed() -> Result<rustls::ServerConfig, StartError> {
    let made =
        rcgen::generate_simple_self_signed(["freehold".to_owned()]).map_err(StartError::Certificate)?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(StartError::Tls)?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .map_err(StartError::Tls)
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Takes any certificate of a relay. A false relay can hold back packets or name a wrong public
/// address, which anybody on the path could do as well; it cannot read or forge what peers say,
/// since they prove their keys to each other.
#[derive(Debug)]
pub(crate) struct AnyRelay(pub(crate) Arc<CryptoProvider>);

impl ServerCertVerifier for AnyRelay {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
