//! The vault as its callers see it.

mod commit;
mod copy;
mod cut;
mod delete;
mod ending;
mod lifecycle;
mod manifest;
mod read;
mod rebuild;
mod release;
mod reseal;
mod settings;
mod upload;
mod vetting;
mod write;

pub use self::copy::Place;
pub use self::ending::{Ended, Ending, Outlived};
pub(crate) use self::read::Opened;
pub(crate) use self::release::is_release;
pub use self::reseal::Renewed;
pub(crate) use self::upload::{blob_of_part, bucket_of, end_upload};

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use freehold_crypt::SigningKey;
use freehold_disk::{EntryStore, EntryTxn, StoreError};
use freehold_index::{BucketIndex, Index, Writers};
use freehold_placement::{Cuts, Entry, Own};
use freehold_seal::{BucketKey, PayloadPlace};
use freehold_wire::{BucketId, Hlc, Millis, NodeId, RealmId};
use tokio::sync::oneshot;

use self::vetting::Awaited;
use crate::opening::Sources;
use crate::sealing::Press;
use crate::{BucketInfo, Depot, GetError, Keyring, Peers, PutError, Replication, Room};

/// Locks over which keys are spread: writes of different keys seldom wait for each other.
const STRIPES: usize = 256;

/// What a vault is for, and its times.
#[derive(Debug, Clone)]
pub struct VaultConfig {
    /// The realm.
    pub realm: RealmId,
    /// This node.
    pub node: NodeId,
    /// The node's key, which signs entries.
    pub signing: Arc<SigningKey>,
    /// How long blobs that nothing refers to, and what was overwritten, are kept.
    pub grace: Millis,
    /// How long an upload in parts may rest before it is swept.
    pub upload_grace: Millis,
    /// How long a day is in lifecycle rules; tests make it shorter.
    pub day: Millis,
    /// How long a write waits for the confirmations that its bucket asks for.
    pub confirm_timeout: Millis,
}

/// What the vault stands on.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Where blobs are.
    pub depot: Depot,
    /// Where entries are.
    pub entries: Arc<EntryStore>,
    /// The keys given to this node.
    pub keys: Keyring,
    /// Blobs of other nodes.
    pub peers: Arc<dyn Peers>,
    /// The replication machine.
    pub replication: Arc<dyn Replication>,
}

/// One bucket in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BucketStats {
    /// Objects visible.
    pub objects: u64,
    /// Versions of objects, deleted ones among them, and markers of deletions.
    pub versions: u64,
    /// The bytes of plaintext of all versions.
    pub bytes: u64,
}

/// Held from the check of keys' conditions until their new entries are visible, also if whoever
/// asked has gone.
type KeyLocks = Vec<tokio::sync::OwnedMutexGuard<()>>;

/// The vault. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct Vault {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: VaultConfig,
    pub(crate) shared: Shared,
    pub(crate) buckets: RwLock<BTreeMap<BucketId, BucketInfo>>,
    /// Whose word on a bucket's owner counts; anybody's who writes it where none is named.
    pub(crate) makers: RwLock<BTreeMap<BucketId, BTreeSet<NodeId>>>,
    index: RwLock<Index>,
    cuts: RwLock<Arc<Cuts>>,
    writers: RwLock<Arc<BTreeMap<BucketId, Writers>>>,
    /// Buckets in which an entry was passed over because its node may not write there.
    passed_over: Mutex<BTreeSet<BucketId>>,
    /// Of which reading who counts failed, or is under way.
    uncounted: Mutex<BTreeSet<BucketId>>,
    awaited: Mutex<Awaited>,
    words: tokio::sync::watch::Sender<()>,
    clock: Mutex<Hlc>,
    stripes: Vec<Arc<tokio::sync::Mutex<()>>>,
    press: Press,
    /// What parts of uploads under way take, since this process began.
    rooms: Mutex<BTreeMap<[u8; 32], BTreeMap<u16, Room>>>,
}

impl Vault {
    /// Opens the vault: reads every entry and opens those of the buckets whose keys are there.
    ///
    /// # Errors
    /// [`StoreError`] if the entry store cannot be read.
    pub async fn open(config: VaultConfig, shared: Shared) -> Result<Self, StoreError> {
        Ok(Self::open_telling(config, shared, (), |(), _, _| ()).await?.0)
    }

    /// The same, telling somebody else of every entry on the way: the entry and the length of its
    /// payload, each stream in the order of its numbers. Reading all entries twice takes long.
    ///
    /// # Errors
    /// [`StoreError`] if the entry store cannot be read.
    pub async fn open_telling<S: Send + 'static>(
        config: VaultConfig,
        shared: Shared,
        listener: S,
        tell: fn(&mut S, &Entry, Option<usize>),
    ) -> Result<(Self, S), StoreError> {
        let inner = Inner {
            config,
            shared,
            buckets: RwLock::default(),
            makers: RwLock::default(),
            index: RwLock::default(),
            cuts: RwLock::default(),
            writers: RwLock::default(),
            passed_over: Mutex::default(),
            uncounted: Mutex::default(),
            awaited: Mutex::default(),
            words: tokio::sync::watch::channel(()).0,
            clock: Mutex::new(Hlc::default()),
            stripes: std::iter::repeat_with(Arc::default).take(STRIPES).collect(),
            press: Press::default(),
            rooms: Mutex::default(),
        };
        let vault = Self { inner: Arc::new(inner) };
        let listener = vault.rebuild(None, listener, tell).await?;
        Ok((vault, listener))
    }

    /// What the clock says that entries follow: later than anything that was heard, within reason.
    pub fn clock(&self) -> Millis {
        self.inner.tick().wall
    }

    /// Says which buckets the realm has; called at the start and after each change.
    pub fn set_buckets(&self, buckets: BTreeMap<BucketId, BucketInfo>) {
        *self.inner.buckets.write().unwrap_or_else(PoisonError::into_inner) = buckets;
    }

    /// The buckets of the realm, by id.
    pub fn buckets(&self) -> BTreeMap<BucketId, BucketInfo> {
        self.inner.buckets.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The bucket that people call `name`. Two nodes apart can give one name to two buckets: then
    /// the older one has it.
    pub fn bucket_named(&self, name: &str) -> Option<(BucketId, BucketInfo)> {
        let buckets = self.inner.buckets.read().unwrap_or_else(PoisonError::into_inner);
        let named = buckets.iter().filter(|(_, info)| info.name == name);
        named.min_by_key(|(id, info)| (info.created, **id)).map(|(id, info)| (*id, info.clone()))
    }

    /// Every bucket in numbers.
    pub fn stats(&self) -> BTreeMap<BucketId, BucketStats> {
        let index = self.inner.index();
        let count = |bucket: &BucketIndex| BucketStats {
            objects: bucket.objects(),
            versions: bucket.versions(),
            bytes: bucket.bytes(),
        };
        index.buckets().map(|(id, bucket)| (*id, count(bucket))).collect()
    }

    /// The keys it reads and seals with.
    pub fn keys(&self) -> &Keyring {
        &self.inner.shared.keys
    }

    /// The depot it writes to.
    pub fn depot(&self) -> &Depot {
        &self.inner.shared.depot
    }
}

impl Inner {
    pub(crate) fn rooms(&self) -> MutexGuard<'_, BTreeMap<[u8; 32], BTreeMap<u16, Room>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn awaited(&self) -> MutexGuard<'_, Awaited> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn bucket(&self, bucket: &BucketId) -> Option<BucketInfo> {
        self.buckets.read().unwrap_or_else(PoisonError::into_inner).get(bucket).cloned()
    }

    fn bucket_to_read(&self, bucket: &BucketId) -> Result<BucketInfo, GetError> {
        let info = self.bucket(bucket).ok_or(GetError::NoSuchBucket)?;
        self.shared.keys.current(bucket).ok_or(GetError::NoBucketKey)?;
        Ok(info)
    }

    fn bucket_to_write(&self, bucket: &BucketId, key: &str) -> Result<(BucketInfo, BucketKey), PutError> {
        let info = self.bucket(bucket).ok_or(PutError::NoSuchBucket)?;
        if key.is_empty() || key.len() > 1024 {
            return Err(PutError::KeyLength(key.len()));
        }
        let sealing = self.shared.keys.current(bucket).ok_or(PutError::NoBucketKey)?;
        self.may_write(bucket)?;
        Ok((info, sealing))
    }

    fn may_write(&self, bucket: &BucketId) -> Result<(), PutError> {
        match self.shared.replication.own(bucket) {
            Own::Stranger => Err(PutError::NotAWriter),
            Own::Reads => Err(PutError::OnlyReads),
            Own::Unshared => Err(PutError::TakenBack),
            Own::Barred => Err(PutError::Barred),
            Own::Behind => Err(PutError::CatchingUp),
            Own::Forked => Err(PutError::Cloned),
            // Early checks do not wait: the commit does.
            Own::Listening | Own::Unheard | Own::Sure => Ok(()),
        }
    }

    /// The same, once this node has heard others tell whether its disk is the newest, or has waited
    /// for them long enough.
    async fn may_write_now(&self, bucket: &BucketId) -> Result<(), PutError> {
        self.shared.replication.listened(bucket).await;
        self.may_write(bucket)
    }

    /// A small write beside entries.
    async fn store<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut EntryTxn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, PutError> {
        self.store_then(job, |done| done).await
    }

    /// The same, with something that is done once it is durable, be it that nobody waits any more.
    async fn store_then<T: Send + 'static, U: Send + 'static>(
        &self,
        job: impl FnOnce(&mut EntryTxn<'_>) -> Result<T, StoreError> + Send + 'static,
        then: impl FnOnce(T) -> U + Send + 'static,
    ) -> Result<U, PutError> {
        let (tell, told) = oneshot::channel();
        self.shared.entries.submit(job, move |result| drop(tell.send(result.map(then))));
        told.await.map_err(|_| PutError::Closing)?.map_err(PutError::of_store)
    }

    pub(crate) fn sources(&self) -> Sources {
        Sources {
            depot: self.shared.depot.clone(),
            peers: Arc::clone(&self.shared.peers),
            replication: Arc::clone(&self.shared.replication),
        }
    }

    pub(crate) const fn place(&self, bucket: BucketId, origin: NodeId, seq: u64) -> PayloadPlace {
        PayloadPlace { realm: self.config.realm, bucket, origin, seq }
    }

    async fn lock_key(&self, bucket: &BucketId, key: &str) -> KeyLocks {
        self.lock_keys(bucket, &[key]).await
    }

    /// Always in one order, so that no two wait for each other.
    async fn lock_keys(&self, bucket: &BucketId, keys: &[&str]) -> KeyLocks {
        let wanted: BTreeSet<usize> = keys.iter().map(|key| stripe(bucket, key)).collect();
        let mut held = Vec::with_capacity(wanted.len());
        for stripe in wanted.into_iter().filter_map(|at| self.stripes.get(at)) {
            held.push(Arc::clone(stripe).lock_owned().await);
        }
        held
    }

    /// The next reading of this node's clock.
    fn tick(&self) -> Hlc {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        *clock = clock.tick(now());
        *clock
    }

    /// Follows a reading heard from another node, within reason.
    fn hear(&self, remote: Hlc) {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        *clock = clock.hear(remote, now());
    }

    /// Never again reads less than this node itself has written.
    fn outlast(&self, own: Hlc) {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        *clock = (*clock).max(own);
    }
}

/// A reading that is later than one that is known.
fn after(read: Hlc, known: Option<Hlc>) -> Hlc {
    known.filter(|known| *known >= read).map_or(read, |known| known.tick(known.wall))
}

/// Which lock a key falls on.
fn stripe(bucket: &BucketId, key: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    (bucket, key).hash(&mut hasher);
    usize::try_from(hasher.finish() % STRIPES as u64).unwrap_or(0)
}

/// Wall time.
pub(crate) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
