//! A small realm to test in: who belongs to it, which keys open the door, which blobs there are.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use freehold_crypt::{Algorithm, Secret, SigningKey, VerifyingKey};
use freehold_mesh::{
    Addresses, BlobSource, Channel, Config, Doorman, Event, Gate, Mesh, PeerHealth, Proof, RelayServe,
    RelayUrl, Served, Unavailable,
};
use freehold_wire::{BlobName, NodeId};
use futures::StreamExt as _;
use tokio::sync::mpsc;

/// No single wait takes longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Who belongs, and what is there.
#[derive(Default)]
pub(crate) struct Realm {
    pub(crate) members: RwLock<BTreeSet<NodeId>>,
    pub(crate) invitations: RwLock<Vec<VerifyingKey>>,
    /// Keys of which two together open the door.
    pub(crate) guardians: RwLock<Vec<VerifyingKey>>,
    /// Who may have errands done.
    pub(crate) let_in: RwLock<BTreeSet<NodeId>>,
    pub(crate) served: AtomicUsize,
    pub(crate) blobs: Mutex<BTreeMap<BlobName, Blob>>,
}

#[derive(Clone)]
pub(crate) enum Blob {
    Whole(Bytes),
    /// Breaks off after as many bytes.
    Cut(Bytes, usize),
    /// Gives more than it announces.
    TooMuch(Bytes),
    /// Never ends.
    Endless,
    /// Gives a byte every 50 milliseconds.
    Drip,
}

impl Gate for Realm {
    fn admits(&self, node: NodeId) -> bool {
        self.members.read().unwrap().contains(&node)
    }
}

#[async_trait::async_trait]
impl Doorman for Realm {
    fn admit(&self, proof: &Proof) -> bool {
        let guardians = self.guardians.read().unwrap();
        let invitations = self.invitations.read().unwrap();
        proof.keys.iter().any(|key| invitations.contains(key))
            || proof.keys.iter().filter(|key| guardians.contains(key)).count() >= 2
    }

    async fn serve(&self, proof: Proof, request: Bytes) -> Bytes {
        self.served.fetch_add(1, Ordering::SeqCst);
        self.members.write().unwrap().insert(proof.newcomer);
        [b"welcome, you said ", request.as_ref()].concat().into()
    }

    async fn called(&self, caller: NodeId, question: Bytes) -> Option<Bytes> {
        let who = (1..9).find(|of| id(*of) == caller).unwrap_or_default();
        question.starts_with(b"pass").then(|| format!("heard you, {who}").into())
    }

    fn has_errands(&self, caller: NodeId) -> bool {
        self.let_in.read().unwrap().contains(&caller)
    }

    async fn errand(&self, _: NodeId, question: Bytes, body: Bytes) -> Option<(Bytes, Bytes)> {
        if question.as_ref() == b"turn" {
            return Some((question, body.iter().rev().copied().collect()));
        }
        None
    }
}

fn pieces(body: &Bytes) -> Vec<io::Result<Bytes>> {
    (0..body.len()).step_by(70_000).map(|at| Ok(body.slice(at..body.len().min(at + 70_000)))).collect()
}

#[async_trait::async_trait]
impl BlobSource for Realm {
    async fn open(&self, _: NodeId, name: BlobName, range: Range<u64>) -> Result<Served, Unavailable> {
        let blob = self.blobs.lock().unwrap().get(&name).cloned().ok_or(Unavailable::NotHere)?;
        let clip = |body: &Bytes| {
            let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(body.len());
            body.slice(usize::try_from(range.start).unwrap().min(end)..end)
        };
        let (total, bytes) = match blob {
            Blob::Whole(body) => (body.len() as u64, futures::stream::iter(pieces(&clip(&body))).boxed()),
            Blob::Cut(body, at) => {
                let mut all = pieces(&clip(&body).slice(..at));
                all.push(Err(io::ErrorKind::Other.into()));
                (body.len() as u64, futures::stream::iter(all).boxed())
            }
            Blob::TooMuch(body) => (body.len() as u64 / 2, futures::stream::iter(pieces(&body)).boxed()),
            Blob::Drip => {
                let every = tokio::time::interval(Duration::from_millis(50));
                let drip = futures::stream::unfold(every, |mut every| async move {
                    every.tick().await;
                    Some((Ok(Bytes::from_static(b"x")), every))
                });
                (1 << 50, drip.boxed())
            }
            Blob::Endless => {
                (1 << 50, futures::stream::repeat_with(|| Ok(Bytes::from(vec![7; 60_000]))).boxed())
            }
        };
        Ok(Served { total, bytes })
    }
}

impl Realm {
    pub(crate) fn of(nodes: &[NodeId]) -> Arc<Self> {
        let realm = Self::default();
        realm.members.write().unwrap().extend(nodes);
        Arc::new(realm)
    }

    pub(crate) fn remove(&self, node: NodeId) {
        self.members.write().unwrap().remove(&node);
    }

    pub(crate) fn put(&self, seed: u8, blob: Blob) -> BlobName {
        let name = BlobName::from_bytes([seed; 32]);
        self.blobs.lock().unwrap().insert(name, blob);
        name
    }
}

pub(crate) fn seed(seed: u8) -> Secret {
    Secret::from_bytes([seed; 32])
}

pub(crate) fn key(of: u8) -> SigningKey {
    SigningKey::from_seed(Algorithm::Ed25519, &seed(of))
}

pub(crate) fn id(of: u8) -> NodeId {
    NodeId::from_bytes(key(of).verifying().ed25519_bytes().unwrap())
}

/// Numbers `below`, in the order of their ids: the first one leads all others.
pub(crate) fn by_id(below: u8) -> Vec<u8> {
    let mut seeds: Vec<_> = (1..=below).collect();
    seeds.sort_by_key(|seed| id(*seed));
    seeds
}

pub(crate) fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

pub(crate) fn config(of: u8) -> Config {
    Config::new(seed(of), vec![loopback()])
}

pub(crate) fn with_relay(of: u8) -> Config {
    Config { relay_serve: Some(RelayServe { bind: loopback(), url: None, connections: 64 }), ..config(of) }
}

pub(crate) fn relay_only(of: u8, relays: Vec<RelayUrl>) -> Config {
    Config { relays, relay_only: true, ..config(of) }
}

/// A node and what it was told.
pub(crate) struct Node {
    pub(crate) mesh: Mesh,
    pub(crate) told: mpsc::Receiver<Event>,
}

impl Node {
    pub(crate) async fn start(of: u8, realm: &Arc<Realm>) -> Self {
        Self::with(config(of), realm).await
    }

    pub(crate) async fn with(config: Config, realm: &Arc<Realm>) -> Self {
        let start = Mesh::start(
            config,
            Arc::clone(realm) as Arc<dyn Gate>,
            Arc::clone(realm) as Arc<dyn BlobSource>,
            Arc::clone(realm) as Arc<dyn Doorman>,
        );
        let (mesh, told) = start.await.unwrap();
        Self { mesh, told }
    }

    pub(crate) fn id(&self) -> NodeId {
        self.mesh.node_id()
    }

    /// Waits until the node knows an address of its own.
    pub(crate) async fn addresses(&self) -> Addresses {
        let mut watch = self.mesh.watch_addresses();
        let known =
            watch.wait_for(|addresses| !addresses.direct().is_empty() || !addresses.relays().is_empty());
        within("own addresses", known).await.unwrap().clone()
    }

    /// Waits until the node can be reached through a relay.
    pub(crate) async fn relayed(&self) -> Addresses {
        let mut watch = self.mesh.watch_addresses();
        within("a home relay", watch.wait_for(|at| !at.relays().is_empty())).await.unwrap().clone()
    }

    /// Sets the peers to these nodes.
    pub(crate) async fn expect(&self, peers: &[&Self]) {
        let mut all = BTreeMap::new();
        for peer in peers {
            all.insert(peer.id(), peer.addresses().await);
        }
        self.mesh.set_peers(all).await;
    }

    /// Waits for an event, and drops those before it.
    pub(crate) async fn until(&mut self, what: &str, mut wanted: impl FnMut(&Event) -> bool) -> Event {
        within(what, async {
            loop {
                let event = self.told.recv().await.expect("the mesh is up");
                if wanted(&event) {
                    return event;
                }
            }
        })
        .await
    }

    pub(crate) async fn up(&mut self, peer: NodeId) {
        self.until("a peer to come", |event| matches!(event, Event::Up(who, _) if *who == peer)).await;
    }

    pub(crate) async fn down(&mut self, peer: NodeId) -> freehold_mesh::Why {
        match self.until("a peer to go", |event| matches!(event, Event::Down(who, _) if *who == peer)).await {
            Event::Down(_, why) => why,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn message(&mut self, from: NodeId) -> (Channel, Bytes) {
        match self.until("a message", |event| matches!(event, Event::Message(who, ..) if *who == from)).await
        {
            Event::Message(_, channel, body) => (channel, body),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn health(&self, of: NodeId) -> Option<PeerHealth> {
        self.mesh.peers().into_iter().find(|peer| peer.id == of)
    }

    /// Looks at the health of a peer until it is as wanted.
    pub(crate) async fn healthy(&self, of: NodeId, wanted: impl Fn(&PeerHealth) -> bool) -> PeerHealth {
        poll("the health of a peer", || self.health(of).filter(&wanted)).await
    }

    pub(crate) async fn stop(self) {
        self.mesh.shutdown(Duration::from_secs(10)).await.unwrap();
    }
}

pub(crate) async fn within<T>(what: &str, wait: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(LIMIT, wait).await;
    done.unwrap_or_else(|_| panic!("waited {LIMIT:?} for {what}"))
}

/// For things that nothing announces: looks again and again.
pub(crate) async fn poll<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    loop {
        tick.tick().await;
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < LIMIT, "looked {LIMIT:?} for {what}");
    }
}

/// Two nodes that know each other and are connected.
pub(crate) async fn pair(realm: &Arc<Realm>, a: u8, b: u8) -> (Node, Node) {
    let (mut a, mut b) = (Node::start(a, realm).await, Node::start(b, realm).await);
    a.expect(&[&b]).await;
    b.expect(&[&a]).await;
    a.up(b.id()).await;
    b.up(a.id()).await;
    (a, b)
}

/// A bare endpoint of iroh with a node's key, for those who do not play by the rules.
pub(crate) async fn bare(of: u8) -> iroh::Endpoint {
    iroh::Endpoint::builder(iroh::endpoint::presets::Minimal)
        .secret_key(iroh::SecretKey::from_bytes(seed(of).expose()))
        .clear_ip_transports()
        .bind_addr(loopback())
        .unwrap()
        .bind()
        .await
        .unwrap()
}

/// The names under which a node is spoken to, as docs/formats/mesh.md has them.
pub(crate) fn member_protocol(of: NodeId) -> Vec<u8> {
    freehold_crypt::hash::digest("freehold 2026 mesh protocol, members, 1", of.as_bytes()).to_vec()
}

pub(crate) fn door_protocol(of: NodeId) -> Vec<u8> {
    freehold_crypt::hash::digest("freehold 2026 mesh protocol, door, 1", of.as_bytes()).to_vec()
}

pub(crate) fn call_protocol(of: NodeId) -> Vec<u8> {
    freehold_crypt::hash::digest("freehold 2026 mesh protocol, calls, 1", of.as_bytes()).to_vec()
}

/// Where a bare endpoint dials a node.
pub(crate) async fn target(node: &Node) -> iroh::EndpointAddr {
    let id = iroh::EndpointId::from_bytes(node.id().as_bytes()).unwrap();
    let direct = node.addresses().await.direct().to_vec();
    iroh::EndpointAddr::from_parts(id, direct.into_iter().map(iroh::TransportAddr::Ip))
}
