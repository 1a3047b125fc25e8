//! One thread's part of the door, with connections, TLS and upstreams of its own.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::BytesMut;
use freehold_ports::{Guest, Places, Porter, Source, Stall};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::door::Settings;
use crate::gate::{Client, Handed, Judgement};
use crate::host::folded;
use crate::judged::Judged;
use crate::line::{Again, Linger};
use crate::listening::{self, Listening, Waiting};
use crate::live::Live;
use crate::pass::{Opening, keeps_its_tls, pass};
use crate::quic::{self, Manner};
use crate::table::Routes;
use crate::upstream::Upstreams;
use crate::visit::{Scheme, Visit};

/// How often kept connections are looked through.
const SWEEP: Duration = Duration::from_secs(15);

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) handed: Handed,
    pub(crate) routes: ArcSwap<Routes>,
    /// Goes up when what is under way has to be judged again.
    pub(crate) changed: watch::Sender<u64>,
    /// Where it listens besides where it was opened.
    pub(crate) listening: watch::Sender<Listening>,
    pub(crate) cancel: CancellationToken,
    pub(crate) began: Instant,
    /// So that nobody outside knows who shares a row with whom.
    pub(crate) seed: RandomState,
    /// Where HTTP/3 is spoken.
    pub(crate) heard: ArcSwap<BTreeSet<SocketAddr>>,
    /// Where it is not, although it is at all addresses beside.
    pub(crate) tcp_only: ArcSwap<BTreeSet<SocketAddr>>,
    /// What workers listen with for HTTP/3 where the door has come to.
    pub(crate) waiting: Mutex<Waiting>,
}

impl Shared {
    /// Since the door opened.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn number_of(&self, source: Source) -> u64 {
        self.seed.hash_one(match source {
            Source::Here => (0, 0),
            Source::V4(ip) => (1, u64::from(u32::from_be_bytes(ip))),
            Source::V6(net) => (2, net),
        })
    }

    /// Whether HTTP/3 is spoken where a client came to.
    pub(crate) fn hears(&self, at: SocketAddr) -> bool {
        if self.tcp_only.load().contains(&at) {
            return false;
        }
        let heard = self.heard.load();
        heard.contains(&at) || heard.iter().any(|own| own.port() == at.port() && own.ip().is_unspecified())
    }

    /// Whether a client may use a service as it is published now.
    pub(crate) fn judge(&self, client: &Client, live: &Live) -> Judgement {
        match self.routes.load().service(&live.service.id) {
            Some(now) => self.handed.gatekeeper.judge(client, &now.service),
            None => Judgement::Hidden,
        }
    }
}

/// Where one thread listens.
pub(crate) struct Ears {
    pub(crate) https: Vec<TcpListener>,
    pub(crate) http: Vec<TcpListener>,
    pub(crate) quic: Vec<std::net::UdpSocket>,
    pub(crate) manner: Option<Manner>,
}

/// One thread's part.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) upstreams: Arc<Upstreams>,
    /// Clients' connections.
    pub(crate) visits: TaskTracker,
    pub(crate) porter: Porter,
    /// How HTTP/3 is spoken, if it is.
    pub(crate) manner: Option<Manner>,
    tls: ServerConfig,
}

impl Worker {
    /// Serves until the door closes and its clients have gone, or the time for that is over. What is left
    /// then ends with the runtime.
    pub(crate) async fn run(shared: Arc<Shared>, tls: ServerConfig, ears: Ears) {
        let each = shared.settings.connections.div_ceil(shared.settings.workers.get());
        let upstreams = Arc::new(Upstreams::new(Arc::clone(&shared.handed.dial), TaskTracker::new()));
        // What is under way makes room for nobody: so a quarter for one source, that two do not have it all.
        let places = Places { each: each.div_ceil(4), ..Places::of(each, shared.settings.rest) };
        let porter = Porter::new(places);
        let visits = TaskTracker::new();
        let worker = Arc::new(Self { shared, upstreams, visits, porter, tls, manner: ears.manner.clone() });
        let shared = Arc::clone(&worker.shared);
        for listener in ears.https {
            let until = shared.cancel.clone();
            worker.visits.spawn(Arc::clone(&worker).listen(listener, true, until));
        }
        for listener in ears.http {
            let until = shared.cancel.clone();
            worker.visits.spawn(Arc::clone(&worker).listen(listener, false, until));
        }
        if let Some(manner) = worker.manner.clone() {
            for socket in ears.quic {
                match manner.open(socket) {
                    Ok(endpoint) => {
                        worker.visits.spawn(quic::listen(
                            Arc::clone(&worker),
                            manner.clone(),
                            endpoint,
                            shared.cancel.clone(),
                        ));
                    }
                    Err(error) => {
                        tracing::error!(%error, "HTTP/3 is not spoken by one of the door's workers");
                    }
                }
            }
        }
        worker.visits.spawn(listening::keep(Arc::clone(&worker)));
        while timeout(SWEEP, shared.cancel.cancelled()).await.is_err() {
            worker.upstreams.sweep();
        }
        worker.visits.close();
        // A little longer than connections take to say good-bye.
        drop(timeout(shared.settings.drain + Duration::from_secs(1), worker.visits.wait()).await);
    }

    pub(crate) async fn listen(
        self: Arc<Self>,
        listener: TcpListener,
        secure: bool,
        until: CancellationToken,
    ) {
        loop {
            let (stream, guest) = tokio::select! {
                biased;
                () = until.cancelled() => return,
                accepted = self.porter.accept(&listener) => accepted,
            };
            let worker = Arc::clone(&self);
            self.visits.spawn(async move {
                let Some(client) = addresses(&stream) else { return };
                // A small answer is not held back for a larger one.
                drop(stream.set_nodelay(true));
                if secure {
                    worker.secure(stream, client, guest).await;
                } else {
                    let stall = worker.shared.settings.stall;
                    let visit = Visit::new(worker, client, None, guest, Scheme::Http);
                    Arc::new(visit).serve(Stall::new(Linger::new(stream), stall)).await;
                }
            });
        }
    }

    async fn secure(self: Arc<Self>, stream: TcpStream, client: Client, guest: Guest) {
        let greeting = async {
            tokio::select! {
                biased;
                greeted = timeout(self.shared.settings.head_within, self.greet(stream, client, &guest)) => greeted.ok().flatten(),
                () = guest.has_to_go() => None,
                () = self.shared.cancel.cancelled() => None,
            }
        };
        match greeting.await {
            Some(Greeted::Pass(live, opening)) => pass(&self, live, opening, guest).await,
            Some(Greeted::Here(stream, client)) => {
                let tls = stream.get_ref().1;
                let protocol = tls.alpn_protocol();
                // The handshake was the answer (RFC 8737).
                if protocol == Some(ACME_TLS) {
                    return;
                }
                let two = protocol == Some(b"h2");
                let named = tls.server_name().map(|name| folded(name).into_owned());
                let visit = Visit::new(self, client, named, guest, Scheme::Https { two });
                Arc::new(visit).serve(stream).await;
            }
            None => {}
        }
    }

    /// TLS as one client meets it. What is kept of sessions is shared by all.
    pub(crate) fn tls_for(&self, client: Client, here_only: bool) -> ServerConfig {
        let mut tls = self.tls.clone();
        tls.cert_resolver = Arc::new(Judged { shared: Arc::clone(&self.shared), client, here_only });
        tls
    }

    /// Sees who comes and for which name, and shakes hands unless the service does that itself.
    async fn greet(&self, stream: TcpStream, client: Client, guest: &Guest) -> Option<Greeted> {
        let mut opening = Opening { stream, client, read: BytesMut::new() };
        let gatekeeper = &self.shared.handed.gatekeeper;
        let must = gatekeeper.speaks_for_others(client.from.ip());
        if must || gatekeeper.may_speak_for_others(client.from.ip()) {
            opening.hear(must).await.ok()?;
            if opening.client != client && !gatekeeper.believes(&client, &opening.client) {
                return None;
            }
        }
        let routes = self.shared.routes.load_full();
        if routes.passes() {
            let name = opening.name().await.ok()?;
            let live = name.and_then(|name| routes.find(&name).map(Arc::clone));
            if let Some(live) = live.filter(|live| keeps_its_tls(&live.service.target).is_some()) {
                return Some(Greeted::Pass(live, opening));
            }
        }
        guest.touch();
        let client = opening.client;
        let stream = Stall::new(Linger::new(opening.again()), self.shared.settings.stall);
        let stream = TlsAcceptor::from(Arc::new(self.tls_for(client, false))).accept(stream).await;
        match stream {
            Ok(stream) => Some(Greeted::Here(Box::new(stream), client)),
            Err(error) => {
                tracing::debug!(%error, "no TLS was agreed on");
                None
            }
        }
    }
}

enum Greeted {
    /// The service keeps its TLS.
    Pass(Arc<Live>, Opening),
    /// TLS ends here.
    Here(Box<TlsStream<Stall<Linger<Again<TcpStream>>>>>, Client),
}

/// What a certificate authority speaks to see who answers for a name (RFC 8737, 6.2).
pub(crate) const ACME_TLS: &[u8] = b"acme-tls/1";

fn addresses(stream: &TcpStream) -> Option<Client> {
    let plain = |at: SocketAddr| SocketAddr::new(at.ip().to_canonical(), at.port());
    Some(Client { from: plain(stream.peer_addr().ok()?), to: plain(stream.local_addr().ok()?) })
}
