//! A node's vault with the plane on it, and a realm that allows everything.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use freehold_crypt::{Algorithm, Secret, SigningKey};
use freehold_disk::{EntryRow, EntryStore};
use freehold_kv::{Done, Kv, KvError, NewDatabase, Op, Realm, RealmError, Write};
use freehold_placement::{BlobRef, Entry};
use freehold_seal::{BucketKey, KeyRing};
use freehold_vault::{
    Alone, BlobStream, BucketInfo, Depot, DepotLimits, Keyring, PeerError, Peers, Shared, Vault, VaultConfig,
};
use freehold_wire::{BucketId, Millis, NodeId, RealmId};
use futures::{StreamExt as _, TryStreamExt as _};

const REALM: RealmId = RealmId::from_bytes([3; 32]);

/// The same buckets with the same keys on every node that shares it.
#[derive(Debug, Default)]
pub(crate) struct Agreed {
    buckets: Mutex<BTreeMap<BucketId, BucketInfo>>,
    vaults: Mutex<Vec<Vault>>,
    depots: Mutex<Vec<Depot>>,
    /// Nodes whose rights were taken away.
    pub(crate) out: Mutex<BTreeSet<NodeId>>,
}

/// Each database's key is its number, so that a process that was killed finds them again.
fn ring(number: u8) -> (BucketId, KeyRing) {
    let root = BucketKey::from_secret(1, Secret::from_bytes([number; 32]));
    let bucket = root.bucket();
    let mut ring = KeyRing::of_bucket(REALM, bucket);
    let key = BucketKey::from_secret(1 << 16, Secret::from_bytes([number; 32]).derive("the key of a test"));
    ring.restore(root, [key]).unwrap();
    (bucket, ring)
}

impl Agreed {
    /// Lets the vaults and depots go, which keep their files locked.
    pub(crate) fn forget(&self) {
        self.vaults.lock().unwrap().clear();
        self.depots.lock().unwrap().clear();
    }

    pub(crate) fn agree(&self, name: &str) {
        let mut buckets = self.buckets.lock().unwrap();
        let (id, _) = ring(u8::try_from(buckets.len() + 1).unwrap());
        buckets.insert(id, BucketInfo { name: name.into(), copies: 2, confirm: 1, created: Millis(1) });
        for vault in self.vaults.lock().unwrap().iter() {
            tell(vault, &buckets);
        }
    }
}

fn tell(vault: &Vault, buckets: &BTreeMap<BucketId, BucketInfo>) {
    for number in 1..=u8::try_from(buckets.len()).unwrap() {
        vault.keys().set(ring(number).1);
    }
    vault.set_buckets(buckets.clone());
}

#[async_trait]
impl Realm for Agreed {
    async fn create(&self, name: &str, _: u16, _: u16) -> Result<(), RealmError> {
        self.agree(name);
        Ok(())
    }

    async fn end(&self, bucket: &BucketId) -> Result<(), RealmError> {
        self.buckets.lock().unwrap().remove(bucket);
        let buckets = self.buckets.lock().unwrap();
        self.vaults.lock().unwrap().iter().for_each(|vault| vault.set_buckets(buckets.clone()));
        Ok(())
    }

    fn counts(&self, node: &NodeId) -> bool {
        !self.out.lock().unwrap().contains(node)
    }

    fn heard(&self, _: &NodeId) -> Option<Millis> {
        Some(Millis(1234))
    }
}

/// Reads what any node holds.
#[derive(Debug)]
struct Peer(Arc<Agreed>);

#[async_trait]
impl Peers for Peer {
    async fn fetch(
        &self,
        _: &BucketId,
        blob: &BlobRef,
        range: std::ops::Range<u64>,
        _: u32,
    ) -> Result<BlobStream, PeerError> {
        let depots = self.0.depots.lock().unwrap().clone();
        for depot in depots {
            if let Ok(reader) = depot.open(blob.name).await {
                let stream = reader.stream(range);
                return Ok(stream.map_err(|error| Box::new(error) as freehold_vault::BoxError).boxed());
            }
        }
        Err(PeerError::NoHolder)
    }
}

pub(crate) struct World {
    pub(crate) kv: Kv,
    pub(crate) node: NodeId,
    pub(crate) agreed: Arc<Agreed>,
    pub(crate) vault: Vault,
    entries: Arc<EntryStore>,
}

impl World {
    pub(crate) async fn open(home: &Path) -> Self {
        Self::with(home, 1, Arc::default()).await
    }

    /// Another node of the same realm.
    pub(crate) async fn beside(&self, home: &Path) -> Self {
        Self::with(home, 2, Arc::clone(&self.agreed)).await
    }

    async fn with(home: &Path, number: u8, agreed: Arc<Agreed>) -> Self {
        let signing = SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes([number; 32]));
        let node = NodeId::from_bytes(signing.verifying().ed25519_bytes().unwrap());
        // What ran here before may be about to end.
        let begun = std::time::Instant::now();
        let entries = loop {
            match EntryStore::open(&home.join("entries.redb")) {
                Ok(entries) => break Arc::new(entries),
                Err(error) if begun.elapsed().as_secs() > 10 => panic!("{error}"),
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let limits = DepotLimits { reserve_bytes: 0, quota_bytes: None };
        let depot = Depot::beside(Arc::clone(&entries), &home.join("depot"), limits).await.unwrap();
        agreed.depots.lock().unwrap().push(depot.clone());
        let shared = Shared {
            depot,
            entries: Arc::clone(&entries),
            keys: Keyring::default(),
            peers: Arc::new(Peer(Arc::clone(&agreed))),
            replication: Arc::new(Alone),
        };
        let config = VaultConfig {
            realm: REALM,
            node,
            signing: Arc::new(signing),
            grace: Millis(0),
            upload_grace: Millis(0),
            day: Millis::from_hours(24),
            confirm_timeout: Millis(1000),
        };
        // The keys are there before the entries are read.
        for number in 1..=9 {
            shared.keys.set(ring(number).1);
        }
        let vault = Vault::open(config, shared).await.unwrap();
        agreed.vaults.lock().unwrap().push(vault.clone());
        tell(&vault, &agreed.buckets.lock().unwrap());
        let realm: Arc<dyn Realm> = Arc::<Agreed>::clone(&agreed);
        Self { kv: Kv::new(vault.clone(), node, realm), node, agreed, vault, entries }
    }

    /// The same at another pace.
    pub(crate) fn at_pace(self, pace: freehold_kv::Pace) -> Self {
        let realm: Arc<dyn Realm> = Arc::<Agreed>::clone(&self.agreed);
        Self { kv: Kv::paced(self.vault.clone(), self.node, realm, pace), ..self }
    }

    pub(crate) async fn make(&self, name: &str) {
        let wish = NewDatabase { name: name.into(), copies: 2, confirm: 1 };
        self.kv.create(&wish).await.unwrap();
    }

    pub(crate) async fn put(&self, key: &str, value: &str) -> Result<Done, KvError> {
        self.kv.write("shop", &write([put(key, value)])).await
    }

    pub(crate) async fn get(&self, key: &str) -> Option<String> {
        match self.kv.read("shop", None).await.unwrap().get(key).await {
            Ok(item) => Some(String::from_utf8(item.value.to_vec()).unwrap()),
            Err(KvError::NoKey(_)) => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Hands all entries of this node to another one, as replication would.
    pub(crate) fn send_entries(&self, to: &Self) {
        let mut rows = Vec::new();
        let mut see = |row: EntryRow| {
            rows.push(row);
            ControlFlow::Continue(())
        };
        self.entries.scan(&mut see).unwrap();
        let stored = rows.clone();
        to.entries.write(move |txn| stored.iter().try_for_each(|row| txn.insert(row).map(|_| ()))).unwrap();
        for EntryRow { entry, payload, .. } in rows {
            let entry = Entry::decode(&entry).unwrap();
            to.vault.apply_remote([(&entry, payload.as_deref())]);
        }
    }
}

pub(crate) fn put(key: &str, value: &str) -> Op {
    Op::Put { key: key.into(), value: value.to_owned().into(), lasting: None }
}

pub(crate) fn write(ops: impl IntoIterator<Item = Op>) -> Write {
    Write { ops: ops.into_iter().collect(), ..Write::default() }
}
