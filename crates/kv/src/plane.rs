//! All databases of the realm, as this node sees them.

mod change;
mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use freehold_vault::{BucketInfo, Vault};
use freehold_wire::{BucketId, Millis, NodeId};
use slatedb::config::DbReaderOptions;
use slatedb::{DbReader, DbReaderMode};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::KvError;
use crate::bucket::Bucket;
use crate::cache::Cache;
use crate::claim::Claim;
use crate::database::{Database, Opening, Pace, ROOT};
use crate::kept::Pinned;
use crate::read::View;
use crate::store::{Store, Who};

pub use change::Takeover;
pub use reading::Reading;

/// Blocks of all databases in memory.
const CACHE_BYTES: usize = 64 << 20;
/// How often a reader looks what has come.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long what was overwritten stays for those who are just reading it.
const REPLACED_STAYS: Millis = Millis::from_secs(120);
/// How long opening may wait for the copies of what it writes.
const OPEN_WITHIN: Duration = Duration::from_secs(40);
/// Buckets of this plane; no bucket that somebody makes can be called so.
const PREFIX: &str = "kv/";
const NAME_MAX: usize = 48;

/// The realm refused, or failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RealmError(pub String);

/// What this plane asks of the node.
#[async_trait]
pub trait Realm: Send + Sync + std::fmt::Debug + 'static {
    /// Makes a bucket; when it returns the vault knows of it.
    async fn create(&self, name: &str, copies: u16, confirm: u16) -> Result<(), RealmError>;
    /// Ends a bucket, which is empty.
    async fn end(&self, bucket: &BucketId) -> Result<(), RealmError>;
    /// Whether what a node writes counts.
    fn counts(&self, node: &NodeId) -> bool;
    /// How long ago a node was heard, if ever since the start.
    fn heard(&self, node: &NodeId) -> Option<Millis>;
}

/// A database to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDatabase {
    /// What it is called.
    pub name: String,
    /// On how many nodes it is to be.
    pub copies: u16,
    /// How many of them must have a write before it counts.
    pub confirm: u16,
}

/// A database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseInfo {
    /// What it is called.
    pub name: String,
    /// Its bucket.
    pub id: BucketId,
    /// On how many nodes it is to be.
    pub copies: u16,
    /// How many of them must have a write before it counts.
    pub confirm: u16,
    /// Who writes it, if it is known here.
    pub writer: Option<NodeId>,
    /// How often the writer has changed.
    pub epoch: u64,
    /// Whether that is this node.
    pub here: bool,
    /// How long ago its writer was heard here; nothing if never since the start. Zero here.
    pub stale: Option<Millis>,
}

/// The plane. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct Kv {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    vault: Vault,
    me: NodeId,
    realm: Arc<dyn Realm>,
    cache: Arc<Cache>,
    pace: Pace,
    ids: AtomicU64,
    open: Lock<BTreeMap<BucketId, Place>>,
    closing: CancellationToken,
    /// Ends what waits for other nodes.
    cut: CancellationToken,
}

/// A database that is open here.
#[derive(Debug, Clone)]
pub(crate) enum Open {
    Writer(Arc<Database>),
    Reader(Arc<Follower>),
}

/// Where a database is open; locked while it is opened or closed.
type Place = Arc<Mutex<Option<Open>>>;

/// Another node's database, as far as it has come.
pub(crate) struct Follower {
    pub(crate) reader: DbReader,
    store: Store,
    claim: Claim,
    pinned: Pinned,
    pub(crate) stop: CancellationToken,
}

impl Follower {
    pub(crate) const fn view(&self) -> View<'_> {
        View::Behind(&self.reader)
    }
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Follower(epoch {})", self.claim.epoch)
    }
}

impl Open {
    /// Whether it still is what it was opened as.
    fn stands(&self, current: &Claim) -> bool {
        match self {
            Self::Writer(database) => {
                database.claim == *current && database.db.status().close_reason.is_none()
            }
            Self::Reader(follower) => {
                follower.claim == *current && follower.reader.status().close_reason.is_none()
            }
        }
    }

    async fn close(&self) {
        match self {
            Self::Writer(database) => database.close().await,
            Self::Reader(follower) => {
                follower.stop.cancel();
                follower.pinned.close().await;
                if let Err(error) = follower.reader.close().await {
                    tracing::debug!(%error, "a reader did not close cleanly");
                }
            }
        }
    }
}

impl Kv {
    /// The plane of a node.
    pub fn new(vault: Vault, me: NodeId, realm: Arc<dyn Realm>) -> Self {
        Self::paced(vault, me, realm, Pace::default())
    }

    /// The same at another pace.
    pub fn paced(vault: Vault, me: NodeId, realm: Arc<dyn Realm>, pace: Pace) -> Self {
        let inner = Inner {
            vault,
            me,
            realm,
            cache: Arc::new(Cache::new(CACHE_BYTES)),
            pace,
            ids: AtomicU64::new(1),
            open: Lock::default(),
            closing: CancellationToken::new(),
            cut: CancellationToken::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The databases of the realm, by name.
    ///
    /// # Errors
    /// [`KvError::Get`] if a bucket cannot be listed.
    pub fn list(&self) -> Result<Vec<DatabaseInfo>, KvError> {
        let all = self.inner.vault.buckets().into_iter();
        let named = all.filter_map(|(id, info)| Some((info.name.strip_prefix(PREFIX)?.to_owned(), id, info)));
        let mut all =
            named.map(|(name, id, info)| self.describe(&name, id, &info)).collect::<Result<Vec<_>, _>>()?;
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    /// One database.
    ///
    /// # Errors
    /// [`KvError::NoDatabase`]
    pub fn info(&self, name: &str) -> Result<DatabaseInfo, KvError> {
        let (id, info) = self.find(name)?;
        self.describe(name, id, &info)
    }

    fn describe(&self, name: &str, id: BucketId, info: &BucketInfo) -> Result<DatabaseInfo, KvError> {
        let claim = match Claim::current(&self.bucket(id)) {
            Ok(claim) => claim.map(|(claim, _)| claim),
            // Its key has not come.
            Err(freehold_vault::GetError::NoBucketKey) => None,
            Err(error) => return Err(KvError::Get(error)),
        };
        let here = claim.as_ref().is_some_and(|claim| claim.node == self.inner.me);
        let stale = claim.as_ref().and_then(|claim| self.stale(&claim.node));
        Ok(DatabaseInfo {
            name: name.to_owned(),
            id,
            copies: info.copies,
            confirm: info.confirm,
            epoch: claim.as_ref().map_or(0, |claim| claim.epoch),
            writer: claim.map(|claim| claim.node),
            here,
            stale,
        })
    }

    fn stale(&self, writer: &NodeId) -> Option<Millis> {
        if *writer == self.inner.me { Some(Millis(0)) } else { self.inner.realm.heard(writer) }
    }

    fn find(&self, name: &str) -> Result<(BucketId, BucketInfo), KvError> {
        self.inner.vault.bucket_named(&format!("{PREFIX}{name}")).ok_or(KvError::NoDatabase)
    }

    fn bucket(&self, id: BucketId) -> Bucket {
        Bucket::new(self.inner.vault.clone(), id)
    }

    /// Opens a database, or finds it open.
    async fn open(&self, name: &str) -> Result<Open, KvError> {
        let (id, _) = self.find(name)?;
        let place = self.place(id);
        let opening = async {
            let mut place = place.lock().await;
            self.open_at(id, &mut place).await
        };
        tokio::time::timeout(OPEN_WITHIN, opening).await.map_err(|_| KvError::NotConfirmed)?
    }

    fn place(&self, id: BucketId) -> Place {
        let mut all = self.inner.open.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(id).or_default())
    }

    async fn open_at(&self, id: BucketId, place: &mut Option<Open>) -> Result<Open, KvError> {
        if self.inner.closing.is_cancelled() {
            return Err(KvError::Closing);
        }
        let bucket = self.bucket(id);
        let current = Claim::current(&bucket).map_err(KvError::Get)?;
        let (claim, _) = current.ok_or(KvError::Takeover("it is not known yet who writes this database"))?;
        if let Some(open) = place.as_ref().filter(|open| open.stands(&claim)) {
            return Ok(open.clone());
        }
        if let Some(old) = place.take() {
            old.close().await;
        }
        let data = claim.data(&bucket).await.map_err(KvError::Get)?;
        let open = if claim.node == self.inner.me {
            let opening = Opening {
                bucket,
                claim,
                data,
                cache: Arc::clone(&self.inner.cache),
                cache_id: self.number(),
                pace: self.inner.pace,
                cut: self.inner.cut.child_token(),
            };
            Open::Writer(Database::open(opening).await?)
        } else {
            Open::Reader(Arc::new(self.follow(bucket, claim, &data).await?))
        };
        *place = Some(open.clone());
        Ok(open)
    }

    /// Tells the blocks of one open database from another's in the cache.
    fn number(&self) -> u64 {
        self.inner.ids.fetch_add(1, Ordering::Relaxed)
    }

    async fn follow(&self, bucket: Bucket, claim: Claim, data: &str) -> Result<Follower, KvError> {
        let stop = CancellationToken::new();
        let store = Store::open(bucket, data, Who::Reader, stop.clone()).await.map_err(KvError::Get)?;
        let options = DbReaderOptions {
            manifest_poll_interval: LOOK_EVERY,
            object_store_max_retries: Some(3),
            ..DbReaderOptions::default()
        };
        let (number, cache) = (self.number(), Arc::clone(&self.inner.cache));
        let builder =
            DbReader::builder(ROOT, Arc::new(store.clone())).with_reader_mode(DbReaderMode::FollowLatest);
        let reader = builder.with_options(options).with_db_cache(cache, number).build().await?;
        Ok(Follower { reader, store, claim, pinned: Pinned::default(), stop })
    }

    /// The database, if this node writes it.
    async fn writer(&self, name: &str) -> Result<Arc<Database>, KvError> {
        match self.open(name).await? {
            Open::Writer(database) => Ok(database),
            Open::Reader(follower) => Err(KvError::Elsewhere(follower.claim.node)),
        }
    }

    /// Frees what databases have overwritten or deleted: a log that is flushed often leaves much of it,
    /// and nobody asks for what was. The node calls it every few minutes. Says how many objects went.
    ///
    /// # Errors
    /// [`KvError::Get`] if the vault fails; what was done stays done.
    pub async fn tidy(&self, now: Millis) -> Result<u64, KvError> {
        let all = self.inner.vault.buckets().into_iter();
        let own: BTreeSet<BucketId> =
            all.filter(|(_, info)| info.name.starts_with(PREFIX)).map(|(id, _)| id).collect();
        self.inner.vault.sweep_replaced(&own, now, REPLACED_STAYS).await.map_err(KvError::Get)
    }

    /// Closes everything: what was acknowledged is durable already.
    pub async fn close(&self) {
        self.inner.closing.cancel();
        let all: Vec<Place> = {
            let mut all = self.inner.open.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *all).into_values().collect()
        };
        let closing = all.iter().map(|place| async move {
            if let Ok(mut place) = tokio::time::timeout(LOOK_EVERY, place.lock()).await
                && let Some(open) = place.take()
            {
                open.close().await;
            }
        });
        futures::future::join_all(closing).await;
        self.inner.cut.cancel();
    }
}

/// Whether a database can be called so.
fn check_name(name: &str) -> Result<(), KvError> {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let fits = plain && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.len() <= NAME_MAX;
    if fits { Ok(()) } else { Err(KvError::Name) }
}
