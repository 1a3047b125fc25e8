//! The door as a whole: opened, given another table, closed.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use freehold_wire::ServiceId;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Table;
use crate::gate::Handed;
use crate::listening::{self, Listening};
use crate::quic::{self, Manner};
use crate::table::Routes;
use crate::tally::Shown;
use crate::worker::{ACME_TLS, Ears, Shared, Worker};

/// Connections that the kernel holds until they are taken.
const BACKLOG: u32 = 1024;

/// Where the door is, and how large.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where HTTPS is spoken.
    pub https: Vec<SocketAddr>,
    /// Whether HTTP/3 is spoken beside it, by UDP at the same ports.
    pub http3: bool,
    /// Where clients are sent to HTTPS, and certificate authorities are answered.
    pub http: Vec<SocketAddr>,
    /// The port under which HTTPS is seen from outside, and HTTP/3.
    pub https_port: u16,
    /// Threads.
    pub workers: NonZeroUsize,
    /// The most clients' connections at a time.
    pub connections: usize,
    /// For so long requests under way are waited for when the door closes.
    pub drain: Duration,
    /// A client that does not finish its handshake or the head of a request by then is cut.
    pub head_within: Duration,
    /// A client that takes nothing of an answer for so long is cut.
    pub stall: Duration,
    /// The life of a connection that asks nothing.
    pub rest: Duration,
}

impl Settings {
    /// A worker for each processor.
    pub fn new(https: Vec<SocketAddr>, http: Vec<SocketAddr>) -> Self {
        let workers = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            https,
            http3: true,
            http,
            https_port: 443,
            workers,
            connections: 8192,
            drain: Duration::from_secs(10),
            head_within: Duration::from_secs(15),
            stall: Duration::from_mins(1),
            rest: Duration::from_mins(1),
        }
    }
}

/// Why the door does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot listen there.
    #[error("listening at {at}: {source}; {}", remedy(source, at))]
    Listen {
        /// The address.
        at: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The same for HTTP/3.
    #[error("listening at {at} for HTTP/3: {source}; ss -lunp 'sport = :{}' shows who is there", at.port())]
    Datagrams {
        /// The address.
        at: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A thread cannot be had.
    #[error("starting a worker of the door: {0}")]
    Worker(#[source] io::Error),
    /// TLS refused its settings.
    #[error("preparing TLS for the door")]
    Tls(#[source] rustls::Error),
}

fn remedy(error: &io::Error, at: &SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need CAP_NET_BIND_SERVICE, or net.ipv4.ip_unprivileged_port_start".to_owned()
        }
        io::ErrorKind::AddrInUse => {
            format!("something else listens there; ss -ltnp 'sport = :{}' shows what", at.port())
        }
        _ => "is it an address of this machine?".to_owned(),
    }
}

/// What is counted of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The service.
    pub service: ServiceId,
    /// The numbers.
    pub shown: Shown,
}

/// The door. Dropped, it closes without anybody waiting for its clients; [`Door::close`] waits.
#[derive(Debug)]
pub struct Door {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    https: Vec<SocketAddr>,
    http: Vec<SocketAddr>,
    no_http3: Option<OpenError>,
    speaks_http3: bool,
}

impl Door {
    /// Listens, and serves from now on what the table says.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open(settings: Settings, handed: Handed, table: Table) -> Result<Self, OpenError> {
        let tls = tls(&handed).map_err(OpenError::Tls)?;
        let (mut https, mut http) = (settings.https.clone(), settings.http.clone());
        is_free(&https)?;
        is_free(&http)?;
        let mut ready = Vec::new();
        for _ in 0..settings.workers.get() {
            let runtime = Builder::new_current_thread().enable_all().build().map_err(OpenError::Worker)?;
            let listeners = (listen(&runtime, &mut https)?, listen(&runtime, &mut http)?);
            ready.push((runtime, listeners));
        }
        let (mut quic, no_http3) = match settings.http3.then(|| hear(&settings, &tls, &https)) {
            Some(Ok(quic)) => (Some(quic), None),
            Some(Err(error)) => (None, Some(error)),
            None => (None, None),
        };
        let heard: BTreeSet<SocketAddr> =
            if quic.is_some() { https.iter().copied().collect() } else { BTreeSet::new() };
        let shared = Arc::new(Shared {
            heard: ArcSwap::from_pointee(heard),
            tcp_only: ArcSwap::default(),
            waiting: Mutex::default(),
            routes: ArcSwap::from_pointee(Routes::default().next(table)),
            changed: watch::channel(0).0,
            listening: watch::channel(Listening::new()).0,
            cancel: CancellationToken::new(),
            began: Instant::now(),
            seed: std::hash::RandomState::new(),
            settings,
            handed,
        });
        let mut door =
            Self { shared, threads: Vec::new(), https, http, no_http3, speaks_http3: quic.is_some() };
        for (at, (runtime, (https, http))) in ready.into_iter().enumerate() {
            let shared = Arc::clone(&door.shared);
            let tls = tls.clone();
            let manner = quic.as_ref().map(|(manner, _)| manner.clone());
            let quic = quic.as_mut().and_then(|(_, all)| all.pop()).unwrap_or_default();
            let ears = Ears { https, http, quic, manner };
            let thread = std::thread::Builder::new().name(format!("door-{at}"));
            let work = move || runtime.block_on(Worker::run(shared, tls, ears));
            // An error here drops the door, and so ends those that run.
            door.threads.push(thread.spawn(work).map_err(OpenError::Worker)?);
        }
        Ok(door)
    }

    /// Where it listens: HTTPS, and plain HTTP. A port that was asked for as 0 is the one that was given.
    pub fn addresses(&self) -> (&[SocketAddr], &[SocketAddr]) {
        (&self.https, &self.http)
    }

    /// Why HTTP/3 is not spoken although it was asked for. That is no reason not to open: everybody comes by TCP as well.
    pub const fn no_http3(&self) -> Option<&OpenError> {
        self.no_http3.as_ref()
    }

    /// Listens for HTTPS and plain HTTP at these addresses as well, and at no others that were said here before:
    /// where [`Settings`] says, it always does. Connections that are there go on. Gives back what cannot be had
    /// now; it may be said again. At `tcp_only` HTTPS is spoken without HTTP/3, and nobody is told of that there. To
    /// be called within a runtime.
    pub fn listen(
        &self,
        https: &[SocketAddr],
        tcp_only: &[SocketAddr],
        http: &[SocketAddr],
    ) -> Vec<OpenError> {
        let https = || https.iter().chain(tcp_only);
        let wanted = https().map(|at| (*at, true)).chain(http.iter().map(|at| (*at, false)));
        let now = self.shared.listening.borrow().clone();
        let (next, failed) = listening::possible(&now, wanted.collect());
        if next != now {
            if self.speaks_http3 {
                let before = self.shared.heard.load_full();
                let always = before.iter().filter(|at| self.https.contains(at)).copied();
                let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                let wanted = listening::secure(&next, tcp_only);
                let heard = listening::hear(&mut waiting, &before, wanted, self.threads.len());
                drop(waiting);
                self.shared.heard.store(Arc::new(heard.into_iter().chain(always).collect()));
                self.shared.tcp_only.store(Arc::new(tcp_only.iter().copied().collect()));
            }
            self.shared.listening.send_replace(next);
        }
        failed
    }

    /// Goes over to another table. A request that is under way ends as it began, unless its client may no
    /// longer use the service, or nobody may.
    pub fn swap(&self, table: Table) {
        let next = self.shared.routes.load().next(table);
        self.shared.routes.store(Arc::new(next));
        self.judge_again();
    }

    /// Asks the gatekeeper again about all that is under way; what it refuses is cut.
    pub fn judge_again(&self) {
        self.shared.changed.send_modify(|times| *times = times.wrapping_add(1));
    }

    /// What is counted, by service.
    pub fn counted(&self) -> Vec<Counted> {
        let routes = self.shared.routes.load();
        let shown =
            |live: &Arc<crate::live::Live>| Counted { service: live.service.id, shown: live.tally.shown() };
        routes.all().map(shown).collect()
    }

    /// Takes nobody in any more, waits for requests under way as long as the settings say, and ends.
    pub async fn close(mut self) {
        self.shared.cancel.cancel();
        let threads = std::mem::take(&mut self.threads);
        let joined = tokio::task::spawn_blocking(move || {
            threads.into_iter().filter_map(|thread| thread.join().err()).count()
        });
        if joined.await.unwrap_or(1) > 0 {
            tracing::error!("a worker of the door had failed");
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shared.cancel.cancel();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn tls(handed: &Handed) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&handed.certificates));
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), ACME_TLS.to_vec()];
    tls.ticketer = rustls::crypto::ring::Ticketer::new()?;
    Ok(tls)
}

/// Sockets for HTTP/3, for each worker, where HTTPS is.
fn hear(
    settings: &Settings,
    tls: &ServerConfig,
    https: &[SocketAddr],
) -> Result<(Manner, Vec<Vec<UdpSocket>>), OpenError> {
    let sockets = quic::bind(https, settings.workers.get())
        .map_err(|(at, source)| OpenError::Datagrams { at, source })?;
    let no_suite = || OpenError::Tls(rustls::Error::General("it has nothing that QUIC needs".to_owned()));
    Ok((Manner::new(tls, settings.head_within).ok_or_else(no_suite)?, sockets))
}

/// Whether an address is free: the workers share theirs among each other, and so would with any other process of
/// this user, which would get a part of the connections, unnoticed.
fn is_free(at: &[SocketAddr]) -> Result<(), OpenError> {
    let bind = |at: SocketAddr| {
        let socket = if at.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(at)
    };
    at.iter().try_for_each(|at| bind(*at).map_err(|source| OpenError::Listen { at: *at, source }))
}

/// Listens at all of these beside other workers; the first of them finds out the port where it is 0.
fn listen(runtime: &Runtime, at: &mut [SocketAddr]) -> Result<Vec<TcpListener>, OpenError> {
    let entered = runtime.enter();
    let listeners = at.iter_mut().map(|at| {
        let listener = listen_at(*at).map_err(|source| OpenError::Listen { at: *at, source })?;
        *at = listener.local_addr().map_err(|source| OpenError::Listen { at: *at, source })?;
        Ok(listener)
    });
    let listeners = listeners.collect();
    drop(entered);
    listeners
}

pub(crate) fn listen_at(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = if at.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    // A client that vanished is found out, though nothing is sent to it.
    socket.set_keepalive(true)?;
    socket.bind(at)?;
    socket.listen(BACKLOG)
}
