//! A vault in a directory of its own, and what tests say to it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use freehold_crypt::{Algorithm, Entropy as _, Secret, SigningKey};
use freehold_disk::{EntryRow, EntryStore, OsEntropy};
use freehold_placement::{BlobRef, Entry, Own};
use freehold_seal::{Blinding, BucketKey, Content, KeyRing, PayloadPlace};
use freehold_vault::{
    Alone, BlobStream, Body, BoxError, BucketInfo, ByteRange, DeleteRequest, Depot, DepotLimits, GetError,
    GetObject, Keyring, NotConfirmed, PeerError, Peers, PutDone, PutError, PutRequest, Replication, Shared,
    Vault, VaultConfig,
};
use freehold_wire::{BlobName, BucketId, EntryId, Hlc, Millis, NodeId, RealmId};
use futures::{StreamExt as _, TryStreamExt as _};

pub(crate) const REALM: RealmId = RealmId::from_bytes([3; 32]);

pub(crate) struct World {
    pub(crate) vault: Vault,
    pub(crate) entries: Arc<EntryStore>,
    pub(crate) bucket: BucketId,
    pub(crate) home: PathBuf,
}

/// How a world is set up; the defaults are one node alone.
pub(crate) struct Setup {
    pub(crate) limits: DepotLimits,
    pub(crate) peers: Arc<dyn Peers>,
    pub(crate) replication: Arc<dyn Replication>,
    pub(crate) confirm: u16,
    pub(crate) node: u8,
    pub(crate) with_key: bool,
    pub(crate) grace: Millis,
    /// Whether small blobs are files too, for those who lay hands on them.
    pub(crate) in_files: bool,
    /// In place of one in the home.
    pub(crate) depot: Option<Depot>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            limits: DepotLimits { reserve_bytes: 0, quota_bytes: None },
            peers: Arc::new(Alone),
            replication: Arc::new(Alone),
            confirm: 1,
            node: 1,
            with_key: true,
            grace: Millis(0),
            in_files: false,
            depot: None,
        }
    }
}

/// The node that a world with this number is.
pub(crate) fn node_id(n: u8) -> NodeId {
    let signing = SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes([n; 32]));
    NodeId::from_bytes(signing.verifying().ed25519_bytes().unwrap())
}

pub(crate) fn ring() -> (BucketId, KeyRing) {
    let root = BucketKey::from_secret(1, Secret::from_bytes([5; 32]));
    let bucket = root.bucket();
    let mut ring = KeyRing::of_bucket(REALM, bucket);
    ring.restore(root, [BucketKey::from_secret(1 << 16, Secret::from_bytes([6; 32]))]).unwrap();
    (bucket, ring)
}

impl World {
    pub(crate) async fn open(home: &Path) -> Self {
        Self::with(home, Setup::default()).await
    }

    pub(crate) async fn with(home: &Path, setup: Setup) -> Self {
        Self::start(home, setup).await.0
    }

    /// Opens it and says which numbers the start told of.
    pub(crate) async fn telling(home: &Path) -> (Self, Vec<u64>) {
        Self::start(home, Setup::default()).await
    }

    async fn start(home: &Path, setup: Setup) -> (Self, Vec<u64>) {
        let signing = SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes([setup.node; 32]));
        let node = node_id(setup.node);
        let (bucket, ring) = ring();
        let keys = Keyring::default();
        if setup.with_key {
            keys.set(ring);
        }
        let entries = Arc::new(EntryStore::open(&home.join("entries.redb")).unwrap());
        let depot = match setup.depot {
            Some(depot) => depot,
            None if setup.in_files => Depot::local(&home.join("depot"), setup.limits).await.unwrap(),
            None => {
                let entries = Arc::clone(&entries);
                Depot::beside(entries, &home.join("depot"), setup.limits).await.unwrap()
            }
        };
        let shared = Shared {
            depot,
            entries: Arc::clone(&entries),
            keys,
            peers: setup.peers,
            replication: setup.replication,
        };
        let config = VaultConfig {
            realm: REALM,
            node,
            signing: Arc::new(signing),
            grace: setup.grace,
            upload_grace: Millis(0),
            day: freehold_vault::DAY,
            confirm_timeout: Millis(1000),
        };
        let note = |told: &mut Vec<u64>, entry: &Entry, payload: Option<usize>| {
            told.extend(payload.map(|_| entry.seq));
        };
        let (vault, told) = Vault::open_telling(config, shared, Vec::new(), note).await.unwrap();
        let info =
            BucketInfo { name: "photos".into(), copies: 2, confirm: setup.confirm, created: Millis(1) };
        vault.set_buckets(BTreeMap::from([(bucket, info)]));
        (Self { vault, entries, bucket, home: home.to_owned() }, told)
    }

    pub(crate) async fn put(&self, key: &str, content: &[u8]) -> Result<PutDone, PutError> {
        self.put_with(key, PutRequest::default(), content).await
    }

    pub(crate) async fn put_with(
        &self,
        key: &str,
        request: PutRequest,
        content: &[u8],
    ) -> Result<PutDone, PutError> {
        self.vault.put(&self.bucket, key, request, body(content)).await
    }

    /// Deletes an object; says whether it was there.
    pub(crate) async fn delete(&self, key: &str) -> bool {
        let request = DeleteRequest { key: key.to_owned(), ..DeleteRequest::default() };
        self.vault.delete(&self.bucket, request).await.unwrap().found
    }

    /// Deletes many; says of each whether it was there.
    pub(crate) async fn delete_many(&self, keys: &[&str]) -> Vec<bool> {
        let request = |key: &&str| DeleteRequest { key: (*key).to_owned(), ..DeleteRequest::default() };
        let requests: Vec<_> = keys.iter().map(request).collect();
        let done = self.vault.delete_many(&self.bucket, &requests).await.unwrap();
        done.into_iter().map(|done| done.unwrap().found).collect()
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Vec<u8>, GetError> {
        self.range(key, None).await
    }

    pub(crate) async fn range(&self, key: &str, range: Option<ByteRange>) -> Result<Vec<u8>, GetError> {
        let GetObject { body, .. } = self.vault.get(&self.bucket, key, None, range).await?;
        let pieces: Vec<Bytes> = body.try_collect().await?;
        Ok(pieces.concat())
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        let query = freehold_vault::ListQuery { max: 100_000, ..Default::default() };
        let page = self.vault.list(&self.bucket, &query).unwrap();
        page.objects.into_iter().map(|object| object.key).collect()
    }

    /// The file of the only blob of an object.
    pub(crate) fn blob_file(&self, key: &str) -> PathBuf {
        self.blob_files(key).remove(0)
    }

    pub(crate) fn blob_files(&self, key: &str) -> Vec<PathBuf> {
        self.blobs(key).iter().map(|blob| blob_path(&self.home, blob.name)).collect()
    }

    /// The blobs of the newest entry that, tested by trial, is the key's.
    pub(crate) fn blobs(&self, key: &str) -> Vec<BlobRef> {
        self.versions(key).pop().unwrap_or_default()
    }

    /// The blobs of all entries of a key.
    pub(crate) fn all_blobs(&self, key: &str) -> Vec<BlobRef> {
        self.versions(key).concat()
    }

    fn versions(&self, key: &str) -> Vec<Vec<BlobRef>> {
        let (_, ring) = ring();
        let mut found = Vec::new();
        self.entries
            .scan(|row| {
                let entry = Entry::decode(&row.entry).unwrap();
                let place =
                    PayloadPlace { realm: REALM, bucket: row.bucket, origin: row.origin, seq: row.seq };
                if let Some(payload) = &row.payload {
                    let content = Content::open(ring.current().unwrap(), &place, payload);
                    if let Content::Manifest(manifest) = content.unwrap()
                        && manifest.name.as_str() == key
                    {
                        found.push(entry.blobs.to_vec());
                    }
                }
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        found
    }

    /// Lets another gateway delete a key, by a clock that is `ahead` milliseconds ahead.
    pub(crate) fn forge_deletion(&self, key: &str, seq: u64, ahead: u64) -> NodeId {
        let wall = wall(ahead);
        let manifest = freehold_seal::Manifest {
            name: freehold_wire::Text::new(key).unwrap(),
            version: freehold_seal::VersionId::random(&mut OsEntropy),
            modified: wall,
            stored: None,
            kind: None,
        };
        let hlc = Hlc { wall, count: 0 };
        self.hear(&made(99, seq, hlc, &Content::Manifest(manifest), &[]));
        node_id(99)
    }

    /// Hears of an entry of another node, as from replication.
    pub(crate) fn hear(&self, row: &EntryRow) {
        let stored = row.clone();
        self.entries.write(move |txn| txn.insert(&stored).map(|_| ())).unwrap();
        let entry = Entry::decode(&row.entry).unwrap();
        self.vault.apply_remote([(&entry, row.payload.as_deref())]);
    }

    /// A release from a node of which nobody asks whether it may.
    pub(crate) fn hear_release(&self, origin: NodeId, seq: u64) {
        let signing = SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes([98; 32]));
        let numbers = freehold_wire::Bounded::from_vec(vec![seq]).unwrap();
        let released = freehold_seal::Released { origin, numbers };
        let released = freehold_wire::Bounded::from_vec(vec![released]).unwrap();
        let payload = freehold_seal::Release(released).to_bytes();
        let draft = freehold_placement::Draft {
            realm: REALM,
            bucket: self.bucket,
            origin: NodeId::from_bytes(signing.verifying().ed25519_bytes().unwrap()),
            seq: 1,
            hlc: Hlc::default(),
            blobs: freehold_wire::Bounded::new(),
            payload_hash: freehold_placement::payload_hash(&payload),
            says: None,
        };
        self.vault.apply_remote([(&draft.sign(&signing), Some(payload.as_slice()))]);
    }

    /// Hands all entries of this node to another one, as replication would.
    pub(crate) fn send_entries(&self, to: &Self) {
        let mut rows = Vec::new();
        self.entries
            .scan(|row| {
                rows.push(row);
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        let stored = rows.clone();
        to.entries.write(move |txn| stored.iter().try_for_each(|row| txn.insert(row).map(|_| ()))).unwrap();
        for EntryRow { entry, payload, .. } in rows {
            let entry = Entry::decode(&entry).unwrap();
            to.vault.apply_remote([(&entry, payload.as_deref())]);
        }
    }
}

/// The wall time, so many milliseconds ahead.
pub(crate) fn wall(ahead: u64) -> Millis {
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Millis(u64::try_from(wall.as_millis()).unwrap() + ahead)
}

/// An entry of any node that has the key, saying anything.
pub(crate) fn made(node: u8, seq: u64, hlc: Hlc, content: &Content, blobs: &[BlobRef]) -> EntryRow {
    let signing = SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes([node; 32]));
    let (bucket, ring) = ring();
    let origin = node_id(node);
    let (key, place) = (ring.current().unwrap(), PayloadPlace { realm: REALM, bucket, origin, seq });
    let payload = content.seal(key, &place, &mut OsEntropy).unwrap();
    let draft = freehold_placement::Draft {
        realm: REALM,
        bucket,
        origin,
        seq,
        hlc,
        blobs: freehold_wire::Bounded::from_vec(blobs.to_vec()).unwrap(),
        payload_hash: freehold_placement::payload_hash(&payload),
        says: content.says(key, &place, &Blinding::of(key, &place)),
    };
    let entry = draft.sign(&signing).to_bytes();
    EntryRow { bucket, origin, seq, entry, payload: Some(payload) }
}

pub(crate) fn blob_path(home: &Path, name: BlobName) -> PathBuf {
    let hex = name.to_string();
    home.join("depot").join(&hex[..2]).join(hex)
}

/// A body in pieces that fit no chunk.
pub(crate) fn body(content: &[u8]) -> Body {
    let pieces: Vec<Result<Bytes, BoxError>> =
        content.chunks(77_777).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    futures::stream::iter(pieces).boxed()
}

pub(crate) fn random(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    OsEntropy.fill(&mut bytes);
    bytes
}

/// Gives the blobs of another node's depot.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) depot: Depot,
}

#[async_trait]
impl Peers for Peer {
    async fn fetch(
        &self,
        _: &BucketId,
        blob: &BlobRef,
        range: Range<u64>,
        _: u32,
    ) -> Result<BlobStream, PeerError> {
        let reader = self.depot.open(blob.name).await.map_err(|_| PeerError::NoHolder)?;
        Ok(reader.stream(range).map_err(|error| Box::new(error) as BoxError).boxed())
    }
}

/// Remembers what it is told; confirms as many copies as it is told to.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    pub(crate) committed: Mutex<Vec<(EntryId, u64)>>,
    pub(crate) lost: Mutex<Vec<BlobName>>,
    pub(crate) forged: Mutex<Vec<NodeId>>,
    pub(crate) copies: u16,
    pub(crate) releases: bool,
    pub(crate) erased: Mutex<Vec<u64>>,
    pub(crate) own: Mutex<Option<Own>>,
    /// How often it was asked for that.
    pub(crate) asked: AtomicUsize,
    /// Whether other nodes hold every blob.
    pub(crate) away: bool,
    /// Whether the blobs of all entries belong on other nodes.
    pub(crate) elsewhere: bool,
    /// How many nodes hold an entry, by its number, where it is not one.
    pub(crate) held: Mutex<BTreeMap<u64, u16>>,
    /// Of which other entries say other things.
    pub(crate) unwanted: Mutex<Vec<BlobName>>,
    /// Others were heard while it listened.
    pub(crate) heard: tokio::sync::Notify,
}

#[async_trait]
impl Replication for Witness {
    fn committed(&self, entry: &Entry, payload: &[u8]) {
        assert!(entry.covers(payload) && entry.verify().is_ok());
        self.committed.lock().unwrap().push((entry.id(), entry.seq));
    }

    fn lost(&self, _: &BucketId, blob: &BlobRef) {
        self.lost.lock().unwrap().push(blob.name);
    }

    fn forged(&self, _: &BucketId, by: &NodeId) {
        self.forged.lock().unwrap().push(*by);
    }

    fn belongs_here(&self, _: &BucketId, _: &EntryId) -> bool {
        !self.elsewhere
    }

    async fn wanted(&self, blob: &BlobRef) -> bool {
        !self.unwanted.lock().unwrap().contains(&blob.name)
    }

    fn erased(&self, _: &BucketId, _: &NodeId, seq: u64) {
        self.erased.lock().unwrap().push(seq);
    }

    fn releases(&self, _: &BucketId, _: &NodeId) -> bool {
        self.releases
    }

    fn own(&self, _: &BucketId) -> Own {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.own.lock().unwrap().unwrap_or(Own::Sure)
    }

    async fn listened(&self, bucket: &BucketId) {
        if self.own(bucket) == Own::Listening {
            self.heard.notified().await;
        }
    }

    async fn copies(&self, _: &BucketId, entries: Vec<(NodeId, u64)>) -> Vec<u16> {
        let held = self.held.lock().unwrap();
        entries.iter().map(|(_, seq)| held.get(seq).copied().unwrap_or(1)).collect()
    }

    async fn is_elsewhere(&self, _: &BlobRef) -> bool {
        self.away
    }

    async fn confirmed(&self, entry: EntryId, copies: u16, _: Millis) -> Result<(), NotConfirmed> {
        assert!(self.committed.lock().unwrap().iter().any(|(id, _)| *id == entry));
        if copies <= self.copies { Ok(()) } else { Err(NotConfirmed { have: self.copies }) }
    }
}
