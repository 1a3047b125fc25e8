//! What the planes of a running node share. No plane owns it; each part has its own lock or owner.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use freehold_api::{Endpoints, Problem, Sessions};
use freehold_crypt::{BoxPublic, BoxSecret};
use freehold_disk::EntryStore;
use freehold_mesh::Mesh;
use freehold_placement::{COPIES_TOLD, Cuts, Entry, Own};
use freehold_realm::Standing;
use freehold_seal::{KeyOf, KeyRing};
use freehold_vault::{Depot, Keyring, Vault};
use freehold_wire::{BucketId, Hlc, Millis, NodeId, RealmId, ZoneId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access_keys::AccessKeys;
use crate::clock;
use crate::directory::{Directory, From, Learned, Unwanted, directory_bucket, read_directory};
use crate::erasing::{Begun, Endings, Renewals};
use crate::home::Home;
use crate::hosting::Backends;
use crate::identity::{Identity, Keys};
use crate::log::Log;
use crate::neighbours::Neighbours;
use crate::net::followed::Followed;
use crate::scribe::{Saying, Scribe, ScribeError, Written};
use crate::supervisor::Board;

pub(crate) const VISITORS: &str = "visitors";
const SESSIONS: &str = "sessions";
const DAMAGES: &str = "damages";

/// How far a bucket is from being protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Objects that wait for a copy.
    pub waiting: u64,
    /// How long the oldest has been waiting.
    pub oldest_ms: Option<u64>,
    /// Sealed bytes of the copies that are to be made.
    pub bytes: u64,
    /// How many have no copy, one, two, and so on.
    pub copies: [u64; COPIES_TOLD],
}

/// A running node.
pub struct Shared {
    /// Where it lives.
    pub home: Home,
    /// Which realm it belongs to.
    pub identity: Identity,
    /// Its keys.
    pub keys: Arc<Keys>,
    /// The realm log.
    pub log: Log,
    /// Names, addresses and keys.
    directory: Arc<RwLock<Directory>>,
    directory_version: watch::Sender<u64>,
    /// Writes directory entries.
    pub scribe: Scribe,
    /// Entries of all buckets and the directory.
    pub entries: Arc<EntryStore>,
    /// Sealed blobs.
    pub depot: Depot,
    /// Bucket keys in memory.
    pub keyring: Keyring,
    /// Objects.
    pub vault: Vault,
    /// Databases, once they can be used.
    pub kv: OnceLock<freehold_kv::Kv>,
    /// The mesh, once it is up.
    pub mesh: Arc<OnceLock<Arc<Mesh>>>,
    /// What carries packets, while it does.
    pub tunnel: watch::Sender<Option<Arc<freehold_tunnel::Tunnel>>>,
    /// What the door of this node shows.
    pub(crate) door: crate::net::door::Told,
    /// What this machine uses of the network.
    pub(crate) chosen: crate::net::choice::Chosen,
    /// By whom connections into the network are opened, while somebody can.
    pub(crate) way: watch::Sender<Option<freehold_stack::Way>>,
    /// The forwarded ports of this machine.
    pub(crate) outlets: crate::net::outlets::Outlets,
    /// What goes to phones and comes from them.
    pub(crate) phones: crate::net::phones::Phones,
    /// The console and SSH over the Tor network.
    pub(crate) onion: crate::net::onion::Onion,
    /// Ports that the house's router is asked for.
    pub(crate) mapping: crate::net::mapping::Mapping,
    /// Machines of other realms.
    pub(crate) strangers: crate::net::grants::Strangers,
    /// Room that is lent and borrowed.
    pub(crate) rooms: crate::net::lending::Rooms,
    /// Papers of pools.
    pub(crate) pools: crate::pools::Shelf,
    /// With whom they are exchanged.
    pub(crate) talk: crate::net::papers::Talk,
    /// What answers for names, once it does.
    pub(crate) names: OnceLock<Arc<crate::net::answers::Names>>,
    /// Where this node answers.
    pub endpoints: OnceLock<Endpoints>,
    /// How the planes are.
    pub board: OnceLock<Board>,
    /// Console sessions.
    pub sessions: Arc<Sessions>,
    /// Access keys of persons and services.
    pub access_keys: AccessKeys,
    /// Ends the node.
    pub stop: CancellationToken,
    /// When it started, monotonic.
    pub started: Millis,
    /// Machines that guardians are bringing back.
    pub visitors: crate::gate::Visitors,
    /// What verifications found damaged.
    pub damages: crate::damage::Damages,
    /// What replicates entries, once it is up.
    pub replica: OnceLock<crate::replica::Replica>,
    /// Held by whoever makes or ends a bucket.
    pub(crate) buckets_turn: tokio::sync::Mutex<()>,
    /// Held by whoever changes who holds a bucket's key.
    pub(crate) holders_turn: tokio::sync::Mutex<()>,
    /// Held by whoever brings the node in line with log and directory: an older look must not win.
    pub(crate) tidying: tokio::sync::Mutex<()>,
    /// Decisions under way.
    errands: TaskTracker,
    /// Nodes in this process.
    pub(crate) neighbours: Neighbours,
    /// When this node's box key was renewed last.
    pub(crate) renewals: Renewals,
    /// Erasures that this node has begun to carry out.
    pub(crate) begun: Begun,
    /// What keys that are to end wait for.
    pub(crate) endings: Endings,
    /// Backends that this node hosts.
    pub(crate) backends: Backends,
    /// Where alarms go.
    pub(crate) alarms: crate::alarms::Alarms,
    /// Backups of this machine's files.
    pub(crate) backups_of_files: crate::backup::Backups,
    /// Backups of ZFS datasets, of this machine and at it.
    pub(crate) datasets: crate::zfs::Datasets,
    /// Names on the internet that follow this node.
    pub(crate) followed: Followed,
}

impl Shared {
    /// Puts the parts together; planes that come up later fill themselves in.
    #[expect(clippy::too_many_arguments, reason = "called once, with everything that must exist before")]
    pub(crate) fn new(
        home: Home,
        identity: Identity,
        keys: Arc<Keys>,
        (log, mesh): (Log, Arc<OnceLock<Arc<Mesh>>>),
        directory: Directory,
        entries: Arc<EntryStore>,
        keyring: Keyring,
        vault: Vault,
        (sessions, access_keys): (Arc<Sessions>, AccessKeys),
        neighbours: Neighbours,
    ) -> Self {
        let scribe = Scribe {
            realm: identity.realm,
            node: keys.node_id(),
            key: Arc::clone(&keys.node),
            entries: Arc::clone(&entries),
        };
        Self {
            chosen: crate::net::choice::Chosen::kept(home.choice()),
            alarms: crate::alarms::Alarms::kept(&home),
            onion: crate::net::onion::Onion::kept(&home),
            strangers: crate::net::grants::Strangers::kept(&home),
            backups_of_files: crate::backup::Backups::kept(&home),
            datasets: crate::zfs::Datasets::kept(&home),
            outlets: crate::net::outlets::Outlets::kept(home.forwards()),
            pools: crate::pools::Shelf::at(home.pools()),
            talk: crate::net::papers::Talk::default(),
            home,
            identity,
            keys,
            log,
            directory: Arc::new(RwLock::new(directory)),
            directory_version: watch::channel(0).0,
            scribe,
            entries,
            depot: vault.depot().clone(),
            keyring,
            vault,
            kv: OnceLock::new(),
            mesh,
            tunnel: watch::Sender::new(None),
            door: crate::net::door::Told::default(),
            way: watch::Sender::new(None),
            phones: crate::net::phones::Phones::default(),
            mapping: crate::net::mapping::Mapping::default(),
            rooms: crate::net::lending::Rooms::default(),
            names: OnceLock::new(),
            endpoints: OnceLock::new(),
            board: OnceLock::new(),
            sessions,
            access_keys,
            stop: CancellationToken::new(),
            started: clock::monotonic(),
            visitors: crate::gate::Visitors::default(),
            damages: crate::damage::Damages::default(),
            replica: OnceLock::new(),
            buckets_turn: tokio::sync::Mutex::default(),
            holders_turn: tokio::sync::Mutex::default(),
            tidying: tokio::sync::Mutex::default(),
            errands: TaskTracker::new(),
            neighbours,
            renewals: Renewals::default(),
            begun: Begun::default(),
            endings: Endings::default(),
            backends: Backends::default(),
            followed: Followed::default(),
        }
    }

    /// Carries a decision out to its end, whether or not whoever asked for it still waits: half of
    /// one can be worse than none.
    ///
    /// # Errors
    /// What the work says.
    pub(crate) async fn to_the_end<T, F>(
        self: &Arc<Self>,
        work: impl FnOnce(Arc<Self>) -> F,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Problem>> + Send + 'static,
    {
        let done = self.errands.spawn(work(Arc::clone(self)));
        done.await.unwrap_or_else(|error| {
            Err(Problem::bug("what was asked was not carried out", error.to_string(), None::<&str>))
        })
    }

    /// Waits for the decisions under way, once nobody asks for more.
    pub(crate) async fn finish_errands(&self) {
        self.errands.close();
        self.errands.wait().await;
    }

    /// Keeps the list of visitors over a restart. If the disk fails now, the store says so at the
    /// next write that somebody waits for.
    pub fn keep_visitors(&self) {
        let bytes = self.visitors.to_bytes();
        let kept = |kept: Result<(), freehold_disk::StoreError>| {
            if let Err(error) = kept {
                tracing::warn!(%error, "the list of visitors was not kept");
            }
        };
        self.entries.submit(move |txn| txn.set_meta(VISITORS, &bytes), kept);
    }

    /// Notes what a verification saw, and keeps it over a restart, as far as the disk does.
    pub fn note_damage(&self, bucket: BucketId, report: &freehold_vault::VerifyReport) {
        self.damages.note(bucket, report);
        let bytes = self.damages.to_bytes();
        let kept = |kept: Result<(), freehold_disk::StoreError>| {
            if let Err(error) = kept {
                tracing::warn!(%error, "what is damaged was not kept");
            }
        };
        self.entries.submit(move |txn| txn.set_meta(DAMAGES, &bytes), kept);
    }

    /// Takes the console's sessions back, and keeps them from now on.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn keep_sessions(&self) -> Result<(), freehold_disk::StoreError> {
        let kept = self.entries.meta(SESSIONS)?.unwrap_or_default();
        let entries = Arc::clone(&self.entries);
        let said = |kept: Result<(), freehold_disk::StoreError>| {
            if let Err(error) = kept {
                tracing::warn!(%error, "the console's sessions were not kept");
            }
        };
        self.sessions
            .keep(&kept, move |bytes| entries.submit(move |txn| txn.set_meta(SESSIONS, &bytes), said));
        Ok(())
    }

    /// Takes the list of visitors back, what was found damaged, and which erasures were begun.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn recall(&self) -> Result<(), freehold_disk::StoreError> {
        self.damages.restore(&self.entries.meta(DAMAGES)?.unwrap_or_default());
        self.visitors.restore(&self.entries.meta(VISITORS)?.unwrap_or_default());
        self.begun.restore(&self.entries)
    }

    /// The realm.
    pub fn realm(&self) -> RealmId {
        self.identity.realm
    }

    /// This node.
    pub fn me(&self) -> NodeId {
        self.keys.node_id()
    }

    /// The directory, to be read for a moment.
    pub fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells when the directory changes.
    pub fn watch_directory(&self) -> watch::Receiver<u64> {
        self.directory_version.subscribe()
    }

    /// Tells the directory whom to believe, as the log says now.
    pub fn trust_the_log(&self) {
        let trust = crate::erasing::trust(self);
        if *self.directory().trust() == trust {
            return;
        }
        let mut directory = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        let changed = directory.set_trust(trust).iter().any(|learned| *learned != Learned::Nothing);
        drop(directory);
        if changed {
            self.directory_version.send_modify(|version| *version += 1);
        }
    }

    /// Tells the directory who vouches for a private bucket's keys.
    pub(crate) fn trust_writers(&self, bucket: BucketId, writers: BTreeSet<NodeId>) -> bool {
        let mut directory = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        let changed = directory.set_writers(bucket, writers);
        drop(directory);
        if changed {
            self.directory_version.send_modify(|version| *version += 1);
        }
        changed
    }

    /// Reads directory entries that are durable.
    pub fn absorb<'a>(&self, entries: impl IntoIterator<Item = (&'a Entry, &'a [u8])>) {
        absorb(&self.directory, &self.directory_version, entries);
    }

    /// Forgets keys of a bucket that end, for good.
    pub(crate) fn end_keys(&self, bucket: BucketId, kept: u32) {
        self.directory.write().unwrap_or_else(PoisonError::into_inner).end_keys(bucket, kept);
    }

    /// Takes in what was done about boxes with keys of erased buckets.
    pub(crate) fn settle_unwanted(&self, done: Unwanted) {
        self.directory.write().unwrap_or_else(PoisonError::into_inner).settle_unwanted(done);
    }

    /// Opens boxes with another key from now on, which `settle` puts in force; unless there are keys that
    /// nothing boxes to it yet: then gives back the rings. No key comes meanwhile.
    ///
    /// # Errors
    /// What `settle` says.
    pub(crate) fn settle_box_secret<E>(
        &self,
        boxed: &BTreeSet<(KeyOf, u32)>,
        settle: impl FnOnce() -> Result<Option<BoxSecret>, E>,
    ) -> Result<Vec<KeyRing>, E> {
        self.directory.write().unwrap_or_else(PoisonError::into_inner).change_secret(boxed, settle)
    }

    /// The key that this node opens boxes with now.
    pub(crate) fn box_public(&self) -> BoxPublic {
        self.directory().public()
    }

    /// Whether the directory can be written without waiting.
    pub fn may_say(&self) -> bool {
        let own = self.replica.get().and_then(|replica| replica.own(&self.directory_bucket()));
        own.is_some_and(is_settled)
    }

    /// Waits until it can.
    pub async fn until_may_say(&self) {
        match self.replica.get() {
            Some(replica) => replica.until(&self.directory_bucket(), is_settled).await,
            None => std::future::pending().await,
        }
    }

    /// Others must have told whether this node's disk is the newest, or it would use numbers twice.
    async fn check_own(&self) -> Result<(), Problem> {
        let Some(replica) = self.replica.get() else { return Ok(()) };
        let directory = self.directory_bucket();
        replica.listened(&directory).await;
        match replica.own(&directory) {
            Some(Own::Behind) => Err(Problem::unreachable(
                "the directory was not written",
                "this node's disk was rolled back, and it is fetching what it wrote before",
                Some("try again in a moment; freehold status says how far it is"),
            )),
            Some(Own::Forked) => Err(Problem::refused(
                "the directory was not written",
                "this node was cloned or rolled back: it used a number twice, and nobody reads what it writes",
                Some("freehold node list, then suspend this machine and let it join anew"),
            )),
            _ => Ok(()),
        }
    }

    /// Writes into the directory: durable here, then read, then handed to the other nodes. Soon after
    /// the start it waits until others were heard.
    ///
    /// # Errors
    /// A [`Problem`] if this node has no directory key yet, its disk is an old copy, or it fails.
    pub async fn say(&self, sayings: Vec<Saying>) -> Result<(), Problem> {
        self.check_own().await?;
        let key = self.directory().ring(KeyOf::Directory).and_then(|ring| ring.current().cloned());
        if key.is_none() && sayings.iter().any(|saying| matches!(saying, Saying::Row(_))) {
            return Err(Problem::unreachable(
                "the directory cannot be written",
                "this node has not been given the directory's key yet",
                Some("wait until another node is connected: freehold status"),
            ));
        }
        let (reply, written) = tokio::sync::oneshot::channel();
        let replica = self.replica.get().cloned();
        let hlc = {
            let rows = sayings.iter().filter_map(|saying| match saying {
                Saying::Row(row) => Some(row.key()),
                Saying::Key(_) => None,
            });
            self.directory().reading_for(rows, Hlc { wall: clock::wall(), count: 0 })
        };
        let (directory, version) = (Arc::clone(&self.directory), self.directory_version.clone());
        self.scribe.submit(sayings, key, hlc, move |written| {
            // From the writing thread, so that it is read though nobody waits any more, and the machine
            // hears of numbers in their order.
            let kept = written.as_deref().unwrap_or_default();
            absorb(&directory, &version, kept.iter().map(|one| (&one.entry, one.payload.as_slice())));
            if let Some(replica) = replica {
                for one in kept {
                    replica.wrote(&one.entry, &one.payload);
                }
            }
            drop(reply.send(written));
        });
        let stopping = || {
            Problem::unreachable("the directory was not written", "the node is stopping", Some("freehold up"))
        };
        let written: Result<Vec<Written>, ScribeError> = written.await.map_err(|_| stopping())?;
        written.map(drop).map_err(|error| match &error {
            ScribeError::Store(store) => crate::problem::store_problem(store),
            ScribeError::Seal(_) => Problem::invalid(
                "the directory was not written",
                error.to_string(),
                Some("choose a shorter name"),
            ),
        })
    }

    /// Whether what this node says of names and cuts is believed, and its boxes for others.
    pub(crate) fn is_keeper(&self) -> bool {
        let (view, me) = (self.log.view(), self.me());
        let active = view.state().nodes.get(&me).is_some_and(|node| node.standing == Standing::Active);
        active && view.keepers.contains(&me)
    }

    /// The directory's stream among the entries.
    pub fn directory_bucket(&self) -> BucketId {
        directory_bucket(self.realm())
    }

    /// What counts of nodes whose rights were taken away.
    pub fn cuts(&self) -> Cuts {
        self.directory().cuts().clone()
    }

    /// Brings the directory in line with what counts of nodes whose rights were taken away.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn cut_directory(&self) -> Result<(), freehold_disk::StoreError> {
        let view = self.log.view();
        let nodes = &view.state().nodes;
        let gone = |node: &NodeId| nodes.get(node).is_none_or(|node| node.standing != Standing::Active);
        let mut directory = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        let cuts = directory.cuts_of(gone);
        if directory.set_cuts(cuts) {
            // Held meanwhile: nobody sees half of the names.
            tokio::task::block_in_place(|| read_directory(&mut directory, &self.entries, self.realm()))?;
            drop(directory);
            self.directory_version.send_modify(|version| *version += 1);
        }
        Ok(())
    }

    /// How far a bucket's objects are from being on `copies` nodes.
    pub fn protection(&self, bucket: &BucketId, copies: u16, objects: u64) -> Held {
        match self.replica.get() {
            Some(replica) => replica.protection(bucket),
            None if copies <= 1 => Held::default(),
            None => Held { waiting: objects, ..Held::default() },
        }
    }

    /// The newest time that anybody in the realm has written.
    pub fn newest_heard(&self) -> Millis {
        self.log.view().newest
    }

    /// What people call the realm, once the directory has come. Never ask for it, or for
    /// [`Self::directory`], inside a larger expression: its guard would live until the end of that,
    /// and a second reader behind a waiting writer never wakes.
    pub fn realm_name(&self) -> Option<String> {
        self.directory().realm_name().map(str::to_owned)
    }

    /// What people call a node.
    pub fn name_of(&self, node: NodeId) -> String {
        self.directory().node_name(node).map_or_else(|| node.short(), str::to_owned)
    }

    /// What people call a zone.
    pub fn zone_name(&self, zone: ZoneId) -> String {
        self.directory().zone_name(zone).map_or_else(|| zone.to_string(), str::to_owned)
    }

    /// The zone of that name.
    pub fn zone_named(&self, name: &str) -> Option<ZoneId> {
        self.directory().zone_named(name)
    }

    /// Whether a node is on, as far as this one knows: it is this one, or there is a connection.
    pub(crate) fn is_on(&self, node: NodeId) -> bool {
        let peers = self.mesh.get().map(|mesh| mesh.peers()).unwrap_or_default();
        node == self.me() || peers.iter().any(|peer| peer.id == node && peer.connected)
    }

    /// The realm's nodes of that name, those that are suspended too.
    pub fn nodes_named(&self, name: &str) -> Vec<NodeId> {
        let view = self.log.view();
        let directory = self.directory();
        let named = |node: &&NodeId| directory.node_name(**node) == Some(name);
        view.state().nodes.keys().filter(named).copied().collect()
    }
}

/// Whether waiting makes no difference to what may be written.
const fn is_settled(own: Own) -> bool {
    matches!(own, Own::Sure | Own::Unheard | Own::Stranger | Own::Reads | Own::Unshared | Own::Barred)
}

/// Reads directory entries that are durable, and says if that changes something.
fn absorb<'a>(
    directory: &RwLock<Directory>,
    version: &watch::Sender<u64>,
    entries: impl IntoIterator<Item = (&'a Entry, &'a [u8])>,
) {
    let mut directory = directory.write().unwrap_or_else(PoisonError::into_inner);
    let mut changed = false;
    for (entry, payload) in entries {
        let from = From { origin: entry.origin, seq: entry.seq, hlc: entry.hlc };
        changed |= directory.absorb(from, payload).iter().any(|learned| *learned != Learned::Nothing);
    }
    drop(directory);
    if changed {
        version.send_modify(|version| *version += 1);
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shared({})", self.me().short())
    }
}
