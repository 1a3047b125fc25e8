//! The handle, and how the parts start and stop.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use bytes::Bytes;
use freehold_crypt::SigningKey;
use freehold_wire::{BlobName, NodeId};
use iroh::dns::DnsResolver;
use iroh::endpoint::{BindOpts, IdleTimeout, PortmapperConfig, QuicTransportConfig, VarInt, presets};
use iroh::{Endpoint, NetReportConfig, RelayMap, RelayMode, SecretKey, Watcher as _};
use iroh_relay::tls::CaTlsConfig;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::address::node_id;
use crate::again;
use crate::arrivals::accept_all;
use crate::blob;
use crate::call;
use crate::door;
use crate::errand;
use crate::hub::{Hub, Input};
use crate::line;
use crate::lines::{LineInput, Switch};
use crate::protocol::Protocol;
use crate::relay::{self, AnyRelay, House};
use crate::shared::{Note, Shared};
use crate::{
    Addresses, BlobSource, BlobStream, Channel, Config, Doorman, Event, FetchError, Gate, Haste, KnockError,
    Lines, Path, PeerHealth, RelayHealth, RelayUrl, SendError, StartError, Why,
};
use freehold_ports::Porter;

/// Events that may wait for the owner; then peers are held back.
const EVENTS: usize = 64;
const INPUTS: usize = 256;
/// How long the start waits for the machine's own addresses to be known.
const OWN_ADDRESSES: Duration = Duration::from_secs(3);

/// Shutting down took longer than allowed; what was left was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the mesh did not shut down within {0:?}")]
pub struct LateShutdown(Duration);

/// A node's place in the mesh. Clones are handles to the same; with the last of them it ends, if
/// nobody has shut it down before.
#[derive(Clone)]
pub struct Mesh {
    shared: Arc<Shared>,
    _end: Arc<DropGuard>,
}

impl std::fmt::Debug for Mesh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mesh").field("node", &self.shared.me).finish_non_exhaustive()
    }
}

impl Mesh {
    /// Takes the sockets and starts. Nobody is dialled before [`Mesh::set_peers`], and no address
    /// outside of the configuration and the peers' own is ever contacted.
    ///
    /// # Errors
    /// [`StartError`]; a port in use has its own variants.
    pub async fn start(
        config: Config,
        gate: Arc<dyn Gate>,
        blobs: Arc<dyn BlobSource>,
        doorman: Arc<dyn Doorman>,
    ) -> Result<(Self, mpsc::Receiver<Event>), StartError> {
        let mut boot = [0u8; 8];
        getrandom::fill(&mut boot).map_err(StartError::Entropy)?;
        for at in &config.bind {
            probe(*at, config.bind.len())?;
        }
        let relay = match &config.relay_serve {
            Some(serve) => Some(House::open(serve, Arc::clone(&gate), Arc::clone(&doorman))?),
            None => None,
        };
        let endpoint = bind(&config).await?;
        let me = node_id(endpoint.id());
        let serves = match (&config.relay_serve, &relay) {
            (Some(serve), Some(house)) => match &serve.url {
                Some(url) => Some(url.clone()),
                None => house.url(own_addresses(&endpoint).await.direct()),
            },
            _ => None,
        };
        let own_relays: Vec<_> = config.relays.iter().chain(&serves).cloned().collect();
        for url in &own_relays {
            endpoint.insert_relay(url.inner().clone(), Arc::new(relay::entry(url, None))).await;
        }
        let (events, told) = mpsc::channel(EVENTS);
        let (hub, inputs) = mpsc::channel(INPUTS);
        let (lines_hub, line_inputs) = mpsc::channel(INPUTS);
        let line_transport = line::transport();
        let names = vec![Protocol::line(me).name().to_vec()];
        let line_server = endpoint.create_server_config_builder(names);
        let line_server = line_server.set_transport_config(line_transport.clone()).build();
        let shared = Arc::new(Shared {
            me,
            addresses: watch::Sender::new(addresses(&endpoint.addr(), serves.as_ref())),
            endpoint,
            gate,
            blobs,
            doorman,
            cancel: CancellationToken::new(),
            tasks: TaskTracker::new(),
            relay,
            door_places: Porter::new(door::PLACES),
            blob_places: blob::Places::new(),
            call_places: Porter::new(call::PLACES),
            errand_places: Porter::new(errand::PLACES),
            trips: errand::Trips::default(),
            events,
            hub,
            links: RwLock::default(),
            notes: RwLock::default(),
            places: RwLock::default(),
            borrowed: RwLock::default(),
            abroad: RwLock::default(),
            lines_hub,
            lines: RwLock::default(),
            line_transport,
            line_server: Arc::new(line_server),
            line_idle: config.line_idle,
        });
        let tasks = &shared.tasks;
        tasks.spawn(Hub::new(Arc::clone(&shared), inputs, own_relays, boot).run());
        tasks.spawn(Switch::new(Arc::clone(&shared), line_inputs).run());
        tasks.spawn(accept_all(Arc::clone(&shared)));
        tasks.spawn(watch_addresses(Arc::clone(&shared), serves));
        tasks.spawn(again::run(Arc::clone(&shared)));
        if shared.relay.is_some() {
            tasks.spawn(sweep_relay(Arc::clone(&shared)));
        }
        info!(node = %me.short(), at = %*shared.addresses.borrow(), "the mesh is up");
        let end = Arc::new(shared.cancel.clone().drop_guard());
        Ok((Self { shared, _end: end }, told))
    }

    /// This node's id.
    pub fn node_id(&self) -> NodeId {
        self.shared.me
    }

    /// Where this node can be reached, as far as it knows by now.
    pub fn addresses(&self) -> Addresses {
        self.shared.addresses.borrow().clone()
    }

    /// [`Mesh::addresses`] whenever they change, for the directory.
    pub fn watch_addresses(&self) -> watch::Receiver<Addresses> {
        self.shared.addresses.subscribe()
    }

    /// Another address at which this node's IPv4 socket is reached from outside, for peers to try.
    pub async fn add_outside(&self, at: SocketAddr) {
        self.shared.endpoint.add_external_addr(at).await;
    }

    /// It is not reached there any more.
    pub async fn remove_outside(&self, at: SocketAddr) {
        self.shared.endpoint.remove_external_addr(&at).await;
    }

    /// The UDP sockets, with the ports that were taken.
    pub fn bound(&self) -> Vec<SocketAddr> {
        self.shared.endpoint.bound_sockets()
    }

    /// The socket of the relay, if this node runs one.
    pub fn relay_bound(&self) -> Option<SocketAddr> {
        self.shared.relay.as_ref().map(|house| house.at)
    }

    /// Says which peers there ought to be and where. A connection to each is kept; one whose
    /// addresses changed is dialled at once if it is not there. Relays that peers serve are used:
    /// leave out those of nodes that may not be relays ([`Addresses::without_relay_service`]), and
    /// others that nodes only name ([`Addresses::reached_only_by`]).
    pub async fn set_peers(&self, peers: BTreeMap<NodeId, Addresses>) {
        // At once: a line may be asked for before the hub is through with it.
        let mut moved = BTreeSet::new();
        if let Ok(mut places) = self.shared.places.write() {
            let other = peers.iter().filter(|(node, at)| places.0.get(node) != Some(at));
            moved.extend(other.map(|(node, _)| *node));
            places.0.clone_from(&peers);
        }
        if !moved.is_empty() {
            self.shared.ask_lines(LineInput::Moved(Some(moved))).await;
        }
        self.shared.ask(Input::SetPeers(peers)).await;
    }

    /// Queues a frame for a peer.
    ///
    /// # Errors
    /// [`SendError::Full`] if the peer does not keep up, with nothing queued.
    pub fn send(&self, to: NodeId, channel: Channel, body: Bytes) -> Result<(), SendError> {
        self.shared.told_link(to).ok_or(SendError::NotConnected(to))?.send(channel, body)
    }

    /// Queues a frame for a peer, waiting for room.
    ///
    /// # Errors
    /// [`SendError`], but never [`SendError::Full`].
    pub async fn send_wait(&self, to: NodeId, channel: Channel, body: Bytes) -> Result<(), SendError> {
        self.shared.told_link(to).ok_or(SendError::NotConnected(to))?.send_wait(channel, body).await
    }

    /// Asks a peer for a range of a blob; an end past the blob's means up to its end. Returns when
    /// the answer begins.
    ///
    /// # Errors
    /// [`FetchError`], also from the stream.
    pub async fn fetch_blob(
        &self,
        from: NodeId,
        blob: BlobName,
        range: Range<u64>,
        haste: Haste,
    ) -> Result<BlobStream, FetchError> {
        let link = self.shared.told_link(from).ok_or(FetchError::NotConnected(from))?;
        blob::fetch(link, blob, range, haste).await
    }

    /// Knocks at a node's door as a newcomer or with guardians' keys: proves the keys to exactly
    /// this node, sends the request, and gives its answer.
    ///
    /// # Errors
    /// [`KnockError`]; a refusal has no reason.
    pub async fn knock(
        &self,
        addresses: &Addresses,
        host: NodeId,
        keys: &[&SigningKey],
        request: Bytes,
    ) -> Result<Bytes, KnockError> {
        door::knock(&self.shared.endpoint, addresses, host, keys, request).await
    }

    /// Calls a node that is to answer one question, of whatever realm it is; this node's own key is what it is
    /// known by.
    ///
    /// # Errors
    /// [`KnockError`]; a refusal has no reason.
    pub async fn call(
        &self,
        addresses: &Addresses,
        host: NodeId,
        question: Bytes,
    ) -> Result<Bytes, KnockError> {
        call::call(&self.shared.endpoint, addresses, host, question).await
    }

    /// Has an errand done by a node of another realm, as far as that lets this one: a question and an answer, each with
    /// a body of at most [`MAX_BODY`](crate::MAX_BODY) bytes. It may be done twice if the line breaks.
    ///
    /// # Errors
    /// [`KnockError`]; a refusal has no reason.
    pub async fn errand(
        &self,
        addresses: &Addresses,
        host: NodeId,
        question: Bytes,
        body: Bytes,
    ) -> Result<(Bytes, Bytes), KnockError> {
        errand::run(&self.shared.trips, &self.shared.endpoint, addresses, host, (question, body)).await
    }

    /// Says where the machines of other realms are that there may be lines to. No connection is made for it.
    pub fn set_abroad(&self, machines: BTreeMap<NodeId, Addresses>) {
        if let Ok(mut abroad) = self.shared.abroad.write() {
            *abroad = machines;
        }
    }

    /// Says which relays of others this node may use, besides those of its peers. It counts from the next time on that peers
    /// are set.
    pub fn borrow_relays(&self, relays: BTreeSet<RelayUrl>) {
        if let Ok(mut borrowed) = self.shared.borrowed.write() {
            *borrowed = relays;
        }
    }

    /// Asks for a line to a node, as if there were packets for it, if somebody has lines here.
    pub fn open_line(&self, node: NodeId) {
        drop(self.shared.lines_hub.try_send(LineInput::Open(node)));
    }

    /// How it goes with each peer, wanted or connected.
    pub fn peers(&self) -> Vec<PeerHealth> {
        let notes = self.shared.notes.read().map(|notes| notes.clone()).unwrap_or_default();
        let links = self.shared.links.read().map(|links| links.clone()).unwrap_or_default();
        let mut all: Vec<NodeId> = notes.keys().chain(links.keys()).copied().collect();
        all.sort();
        all.dedup();
        let health = |id| {
            if let Some(link) = links.get(&id) {
                let (path, rtt) = link.path();
                let last_heard = Some(link.heard_ago());
                return PeerHealth {
                    id,
                    connected: link.is_told() && link.is_open(),
                    path,
                    rtt,
                    last_heard,
                    trouble: None,
                };
            }
            let Note { trouble, heard } = notes.get(&id).copied().unwrap_or_default();
            let last_heard = heard.map(|at| at.elapsed());
            PeerHealth { id, connected: false, path: Path::Unknown, rtt: None, last_heard, trouble }
        };
        all.into_iter().map(health).collect()
    }

    /// How it goes with the relays through which others reach this node; none are in use before one
    /// was chosen.
    pub fn relays(&self) -> Vec<RelayHealth> {
        let status = self.shared.endpoint.home_relay_status().get();
        let health = status.iter().filter_map(|relay| {
            let url = RelayUrl::from_inner(relay.url())?;
            let refused = relay.auth_denied_reason().is_some();
            Some(RelayHealth { url, connected: relay.is_connected(), refused })
        });
        health.collect()
    }

    /// Has the lines of this node, on which packets travel; whoever had them before has none any more.
    pub async fn lines(&self) -> Lines {
        Lines::take(&self.shared).await
    }

    /// Cuts a node off at once: its connection, its lines, blobs on their way to it, and its place at our
    /// relay. It stays away only if the gate no longer admits it.
    pub fn disconnect(&self, node: NodeId) {
        self.shared.cut_lines(node);
        drop(self.shared.lines_hub.try_send(LineInput::Cut(node)));
        if let Some(link) = self.shared.link(node) {
            link.close(Why::Cut);
        }
        if let Some(house) = &self.shared.relay {
            house.disconnect(node);
        }
        // If the queue is full, the gate is asked again before anything else comes of it.
        drop(self.shared.hub.try_send(Input::Cut(node)));
    }

    /// Ends every connection in order, and the relay.
    ///
    /// # Errors
    /// [`LateShutdown`] if that takes longer than `within`; the rest ends with the process.
    pub async fn shutdown(&self, within: Duration) -> Result<(), LateShutdown> {
        let end = async {
            self.shared.cancel.cancel();
            self.shared.tasks.close();
            self.shared.tasks.wait().await;
            if let Some(house) = &self.shared.relay {
                house.close().await;
            }
        };
        timeout(within, end).await.map_err(|_| LateShutdown(within))
    }
}

/// Finds out by name what iroh would only call a failure.
fn probe(at: SocketAddr, sockets: usize) -> Result<(), StartError> {
    match UdpSocket::bind(at) {
        Ok(_) => Ok(()),
        Err(source) if source.kind() == std::io::ErrorKind::AddrInUse => Err(StartError::PortInUse(at)),
        Err(_) if at.is_ipv6() && sockets > 1 => Ok(()),
        Err(source) => Err(StartError::Bind { at, source }),
    }
}

async fn bind(config: &Config) -> Result<Endpoint, StartError> {
    let transport = QuicTransportConfig::builder()
        .max_concurrent_bidi_streams(VarInt::from_u32(16))
        .max_concurrent_uni_streams(VarInt::from_u32(4))
        .stream_receive_window(VarInt::from_u32(2 << 20))
        // A stranger gets this much before anybody looks at it; members get more later.
        .receive_window(VarInt::from_u32(2 << 20))
        .send_window(16 << 20)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(20_000))))
        .datagram_receive_buffer_size(None)
        .build();
    let mut report = NetReportConfig::default();
    report.captive_portal_check = false;
    let verifier = Arc::new(|provider| Ok(Arc::new(AnyRelay(provider)) as Arc<_>));
    let secret = SecretKey::from_bytes(config.secret.expose());
    let me = node_id(secret.public());
    let mut builder = Endpoint::builder(presets::Minimal)
        .secret_key(secret)
        .alpns(
            [Protocol::member(me), Protocol::door(me), Protocol::call(me), Protocol::errand(me)]
                .iter()
                .map(|one| one.name().to_vec())
                .collect(),
        )
        .transport_config(transport)
        .relay_mode(RelayMode::Custom(RelayMap::empty()))
        .ca_tls_config(CaTlsConfig::custom_server_cert_verifier(verifier))
        .net_report_config(report)
        // iroh would ask public resolvers when the machine's own do not answer.
        .dns_resolver(DnsResolver::builder().with_system_defaults().disable_fallback().build())
        // iroh would ask by UPnP alone, whoever answers, and read whatever comes: `router` asks instead.
        .portmapper_config(PortmapperConfig::Disabled)
        .clear_ip_transports();
    if !config.relay_only {
        if config.bind.is_empty() {
            return Err(StartError::Sockets);
        }
        for at in &config.bind {
            let optional = at.is_ipv6() && config.bind.len() > 1;
            let opts = BindOpts::default().set_is_required(!optional);
            builder = builder.bind_addr_with_opts(*at, opts).map_err(|_| StartError::Sockets)?;
        }
    }
    builder.bind().await.map_err(StartError::Endpoint)
}

fn addresses(endpoint: &iroh::EndpointAddr, serves: Option<&RelayUrl>) -> Addresses {
    let relays = endpoint.relay_urls().filter_map(RelayUrl::from_inner);
    let direct = endpoint.ip_addrs().copied().filter(|at| !again::is_nobodys(at));
    Addresses::new(direct, relays, serves.cloned())
}

/// Waits until the machine's own addresses are known, but not for long.
async fn own_addresses(endpoint: &Endpoint) -> Addresses {
    let mut watcher = endpoint.watch_addr();
    let known = async {
        loop {
            let now = addresses(&watcher.get(), None);
            if !now.direct().is_empty() || watcher.updated().await.is_err() {
                return now;
            }
        }
    };
    timeout(OWN_ADDRESSES, known).await.unwrap_or_default()
}

async fn watch_addresses(shared: Arc<Shared>, serves: Option<RelayUrl>) {
    let mut watcher = shared.endpoint.watch_addr();
    loop {
        let now = addresses(&watcher.get(), serves.as_ref());
        let changed = shared.addresses.send_if_modified(|known| {
            let changed = *known != now;
            *known = now;
            changed
        });
        if changed {
            shared.ask_lines(LineInput::Moved(None)).await;
            shared.ask(Input::Moved).await;
        }
        tokio::select! {
            biased;
            () = shared.cancel.cancelled() => return,
            updated = watcher.updated() => if updated.is_err() { return },
        }
    }
}

async fn sweep_relay(shared: Arc<Shared>) {
    let mut tick = tokio::time::interval(relay::SWEEP);
    loop {
        tokio::select! {
            biased;
            () = shared.cancel.cancelled() => return,
            _ = tick.tick() => if let Some(house) = &shared.relay { house.sweep() },
        }
    }
}
