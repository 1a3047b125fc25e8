//! HTTP/3: the same services, rights and limits by QUIC. Each worker has a socket of its own at the same port, and the
//! kernel gives each client to one of them.

mod coming;
mod streams;
mod visit;

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use freehold_ports::Guest;
use quinn::crypto::rustls::{HandshakeData, QuicServerConfig};
use quinn::{
    Connection, ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, Incoming, ServerConfig,
    TokioRuntime, TransportConfig, VarInt,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub(crate) use coming::{Coming, Unread};

use crate::gate::Client;
use crate::host::folded;
use crate::visit::{AHEAD, STREAMS, Scheme, Visit};
use crate::worker::Worker;

/// From so many handshakes at a time on, who begins another has to show first that it is where it says.
const HASTY: usize = 64;
/// Streams of one direction: HTTP/3 has three.
const BESIDE: u32 = 8;
/// Bytes of a connection's name.
const NAME: usize = 8;
/// What is held of answers for a client that takes its time.
const HELD: u64 = 1 << 20;

/// A socket at each address for each worker; nobody else may be there.
///
/// # Errors
/// The address that is not to be had, and what the system said.
pub(crate) fn bind(
    at: &[SocketAddr],
    workers: usize,
) -> Result<Vec<Vec<UdpSocket>>, (SocketAddr, io::Error)> {
    let all = |shared: bool| -> Result<Vec<UdpSocket>, (SocketAddr, io::Error)> {
        at.iter().map(|at| bind_at(*at, shared).map_err(|error| (*at, error))).collect()
    };
    drop(all(false)?);
    (0..workers).map(|_| all(true)).collect()
}

/// A socket at one address for each worker; `own`, the door may be at others with its port, and nobody else.
pub(crate) fn bind_all(at: SocketAddr, own: bool, workers: usize) -> io::Result<Vec<UdpSocket>> {
    drop(bind_at(at, own)?);
    (0..workers).map(|_| bind_at(at, true)).collect()
}

/// Listens in one worker at one address more, until that ends, if HTTP/3 is spoken there.
pub(crate) fn hear(worker: &Arc<Worker>, at: SocketAddr, until: &CancellationToken) {
    let Some(manner) = &worker.manner else { return };
    let mut waiting = worker.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(socket) = waiting.get_mut(&at).and_then(Vec::pop) else { return };
    drop(waiting);
    match manner.open(socket) {
        Ok(endpoint) => {
            worker.visits.spawn(listen(Arc::clone(worker), manner.clone(), endpoint, until.clone()));
        }
        Err(error) => tracing::warn!(%at, %error, "a worker of the door does not speak HTTP/3"),
    }
}

fn bind_at(at: SocketAddr, shared: bool) -> io::Result<UdpSocket> {
    let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, None)?;
    sockopt::set_socket_reuseport(&socket, shared)?;
    rustix::net::bind(&socket, &at)?;
    Ok(socket.into())
}

/// How HTTP/3 is spoken, for all workers: what one of them wrote, each of them can read.
#[derive(Clone)]
pub(crate) struct Manner {
    endpoint: EndpointConfig,
    server: ServerConfig,
}

impl Manner {
    /// For a door with this TLS.
    pub(crate) fn new(tls: &rustls::ServerConfig, head_within: Duration) -> Option<Self> {
        let tls = QuicServerConfig::try_from(spoken(tls.clone())).ok()?;
        let mut transport = TransportConfig::default();
        transport
            .max_concurrent_bidi_streams(STREAMS.into())
            .max_concurrent_uni_streams(BESIDE.into())
            .stream_receive_window(AHEAD.0.into())
            .receive_window(AHEAD.1.into())
            .send_window(HELD)
            .datagram_receive_buffer_size(None)
            // A client that vanished is found out, though nothing is sent to it.
            .keep_alive_interval(Some(head_within))
            .max_idle_timeout((head_within * 2).try_into().ok());
        let mut server = ServerConfig::with_crypto(Arc::new(tls));
        server.transport_config(Arc::new(transport));
        let mut endpoint = EndpointConfig::default();
        endpoint.cid_generator(|| Box::new(Names));
        Some(Self { endpoint, server })
    }

    /// Begins to listen, in a runtime.
    pub(crate) fn open(&self, socket: UdpSocket) -> io::Result<Endpoint> {
        Endpoint::new(self.endpoint.clone(), Some(self.server.clone()), socket, Arc::new(TokioRuntime))
    }
}

/// What connections are called. Each worker answers for all, those that it knows nothing of too: a client whose address
/// changed, and whom the kernel gives to another worker, is told at once to come anew.
#[derive(Debug, Clone, Copy)]
struct Names;

impl ConnectionIdGenerator for Names {
    fn generate_cid(&mut self) -> ConnectionId {
        ConnectionId::new(&rand_name())
    }

    fn cid_len(&self) -> usize {
        NAME
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

fn rand_name() -> [u8; NAME] {
    getrandom::u64().unwrap_or_else(|_| RandomState::new().hash_one(NAME)).to_ne_bytes()
}

fn spoken(mut tls: rustls::ServerConfig) -> rustls::ServerConfig {
    tls.alpn_protocols = vec![b"h3".to_vec()];
    tls
}

/// Serves who comes until that ends; connections that are there go on.
pub(crate) async fn listen(
    worker: Arc<Worker>,
    manner: Manner,
    endpoint: Endpoint,
    until: CancellationToken,
) {
    let Ok(at) = endpoint.local_addr() else { return };
    let greeted = Arc::new(AtomicUsize::new(0));
    loop {
        let incoming = tokio::select! {
            biased;
            () = until.cancelled() => break,
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { return };
        if !incoming.remote_address_validated() && greeted.load(Relaxed) >= HASTY {
            drop(incoming.retry());
            continue;
        }
        let client = client(&incoming, at);
        let gatekeeper = &worker.shared.handed.gatekeeper;
        // Who speaks for others cannot say so here.
        let guest = Some(client.from.ip()).filter(|ip| !gatekeeper.speaks_for_others(*ip));
        let Some(guest) = guest.and_then(|ip| worker.porter.admit(ip.into())) else {
            incoming.refuse();
            continue;
        };
        let (worker, server) = (Arc::clone(&worker), manner.server.clone());
        let greeting = Greeting::of(&greeted);
        Arc::clone(&worker).visits.spawn(async move {
            if let Some(connection) = greet(&worker, incoming, server, client, &guest).await {
                drop(greeting);
                let visit = Visit::new(worker, client, named(&connection), guest, Scheme::Quic);
                visit::serve(Arc::new(visit), connection).await;
            }
        });
    }
    endpoint.set_server_config(None);
    // That their connections are closed reaches clients.
    endpoint.wait_idle().await;
}

/// A handshake under way.
struct Greeting(Arc<AtomicUsize>);

impl Greeting {
    fn of(all: &Arc<AtomicUsize>) -> Self {
        all.fetch_add(1, Relaxed);
        Self(Arc::clone(all))
    }
}

impl Drop for Greeting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

fn client(incoming: &Incoming, at: SocketAddr) -> Client {
    let from = incoming.remote_address();
    let to = incoming.local_ip().unwrap_or(at.ip());
    Client {
        from: SocketAddr::new(from.ip().to_canonical(), from.port()),
        to: SocketAddr::new(to.to_canonical(), at.port()),
    }
}

/// Shakes hands, with the certificates that this client may see.
async fn greet(
    worker: &Arc<Worker>,
    incoming: Incoming,
    mut server: ServerConfig,
    client: Client,
    guest: &Guest,
) -> Option<Connection> {
    let tls = spoken(worker.tls_for(client, true));
    server.crypto = Arc::new(QuicServerConfig::try_from(tls).ok()?);
    let connecting = incoming.accept_with(Arc::new(server)).ok()?;
    tokio::select! {
        biased;
        greeted = timeout(worker.shared.settings.head_within, connecting) => match greeted.ok()? {
            Ok(connection) => Some(connection),
            Err(error) => {
                tracing::debug!(%error, "no QUIC was agreed on");
                None
            }
        },
        () = guest.has_to_go() => None,
        () = worker.shared.cancel.cancelled() => None,
    }
}

/// The name that TLS was made for.
fn named(connection: &Connection) -> Option<String> {
    let data = connection.handshake_data()?.downcast::<HandshakeData>().ok()?;
    data.server_name.as_deref().map(|name| folded(name).into_owned())
}

/// Of HTTP/3, as QUIC wants it.
fn code(code: h3::error::Code) -> VarInt {
    VarInt::from_u64(code.value()).unwrap_or_default()
}
