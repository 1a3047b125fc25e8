//! A store of blobs over a foreign one: small blobs together in packs, large ones alone, all sealed
//! under the backend's key, read back before they count. Which blob lies where says a map on this
//! machine, which can be made anew from the packs.

mod audit;
mod large;
mod mend;
mod parts;
mod read;
mod rebuild;
mod store;
mod tend;
mod write;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use freehold_crypt::{Entropy as _, Secret};
use freehold_disk::{OsEntropy, PackName, PackStore, StoreError};
use freehold_wire::{BlobName, Hex, Millis};
use object_store::ObjectStore;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::audit::{Audit, BadPack, Inventory, check};
pub use self::parts::PartAt;
use self::write::Waiting;
use crate::journal::PartNames;
use crate::{PackError, Spread};

/// How long a store counts as full that does not say so again.
const FULL_FOR: Millis = Millis::from_hours(1);
/// Packs on their way at once.
const FLIGHTS: usize = 4;
/// Memory for blobs that wait for their pack, in KiB.
const ROOM_KIB: u32 = 64 << 10;

/// How long things wait.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// A blob waits so long for others that go into the same pack.
    pub gather: Duration,
    /// A pack is asked for so often before it is said not to be there.
    pub tries: u32,
    /// And so long after the first time; each time twice as long.
    pub between: Duration,
    /// What needs no hurry is looked at so often: packs to remove or to write anew.
    pub tend: Duration,
    /// The store's listing is compared with the map so often, and some packs are read.
    pub audit: Duration,
    /// What was removed has left all packs after that.
    pub purge: Duration,
    /// Of several stores, parts that one has lost are looked for so often.
    pub mend: Duration,
    /// And within that time every part is read once.
    pub round: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            gather: Duration::from_millis(20),
            tries: 5,
            between: Duration::from_millis(200),
            tend: Duration::from_secs(30),
            audit: Duration::from_hours(24),
            purge: Duration::from_hours(7 * 24),
            mend: Duration::from_hours(1),
            round: Duration::from_hours(90 * 24),
        }
    }
}

/// The map cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The file of the map.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The map has to be made anew, and the store does not answer.
    #[error("the map of packs is not here, and the store cannot be read to make it anew")]
    Unreachable(#[source] PackError),
    /// What lies there was sealed with another key.
    #[error("{0} packs lie on the store, and this backend's key opens none of them")]
    NotOurs(u64),
}

/// How a backend is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Packs on the store.
    pub packs: u64,
    /// Their bytes, as the vendor counts them.
    pub bytes: u64,
    /// Blobs in them.
    pub blobs: u64,
    /// Bytes of those.
    pub live: u64,
    /// Packs that are still to be removed.
    pub dying: u64,
    /// What the store answered last, if that was no success.
    pub last_error: Option<String>,
    /// When it last did what it was asked.
    pub last_ok: Option<Millis>,
    /// When its listing was last compared with the map, since the start.
    pub audited: Option<Millis>,
    /// What was found wrong then. A check of the blobs has them fetched anew.
    pub bad: Vec<BadPack>,
}

/// A store of blobs over a foreign one.
#[derive(Debug)]
pub struct Packed {
    inner: Arc<Inner>,
    cancel: CancellationToken,
}

/// What its tasks share.
struct Inner {
    store: Arc<dyn ObjectStore>,
    /// The same, if it is several.
    spread: Option<Spread>,
    map: PackStore,
    key: Secret,
    /// What the journal's parts are called, and whether the store has lost some.
    parts: PartNames,
    parts_lost: AtomicBool,
    capacity: Option<u64>,
    pace: Pace,
    /// Everything that is under way, also on other threads: who closes waits for it.
    tasks: TaskTracker,
    waiting: Mutex<Waiting>,
    /// Somebody waits for a pack; enough for a whole one do; something is to be tended.
    wake: tokio::sync::Notify,
    full: tokio::sync::Notify,
    tend: tokio::sync::Notify,
    /// A store of several is there again.
    mend: tokio::sync::Notify,
    /// An audit has found packs that are bad.
    found: tokio::sync::Notify,
    room: Arc<Semaphore>,
    flights: Arc<Semaphore>,
    /// Bytes of the packs in the map, as last counted, and of those on their way.
    kept: AtomicU64,
    flying: AtomicU64,
    health: Mutex<Health>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("store", &self.store).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Health {
    last_error: Option<String>,
    last_ok: Option<Millis>,
    audited: Option<Millis>,
    bad: Vec<BadPack>,
    lacking: Option<String>,
    /// The shortest that the store had no room for, and when it last said so.
    full: Option<(u64, Millis)>,
}

impl Packed {
    /// Opens the map in `home`, or makes it anew from what lies on the store.
    ///
    /// # Errors
    /// [`MapError`]
    pub async fn on(
        store: Arc<dyn ObjectStore>,
        home: &Path,
        key: Secret,
        capacity: Option<u64>,
        pace: Pace,
    ) -> Result<Self, MapError> {
        let packed = Self::read_only(store, None, home, key, capacity, pace).await?;
        packed.tend();
        Ok(packed)
    }

    /// The same over several stores, whose lost parts it makes anew.
    ///
    /// # Errors
    /// [`MapError`]
    pub async fn over(
        spread: Spread,
        home: &Path,
        key: Secret,
        capacity: Option<u64>,
        pace: Pace,
    ) -> Result<Self, MapError> {
        let store = Arc::new(spread.clone());
        let packed = Self::read_only(store, Some(spread), home, key, capacity, pace).await?;
        packed.tend();
        Ok(packed)
    }

    /// The same, but nothing is written until [`Packed::tend`].
    pub(crate) async fn read_only(
        store: Arc<dyn ObjectStore>,
        spread: Option<Spread>,
        home: &Path,
        key: Secret,
        capacity: Option<u64>,
        pace: Pace,
    ) -> Result<Self, MapError> {
        let path = home.join("packs.redb");
        let opened = tokio::task::spawn_blocking(move || {
            let map = PackStore::open(&path)?;
            map.give_up_all()?;
            Ok::<_, StoreError>(map)
        });
        let map = opened.await.map_err(|_| MapError::Unreachable(PackError::Closing))??;
        let inner = Arc::new(Inner {
            store,
            spread,
            map,
            parts: PartNames::of(&key),
            parts_lost: AtomicBool::new(false),
            key,
            capacity,
            pace,
            tasks: TaskTracker::new(),
            waiting: Mutex::default(),
            wake: tokio::sync::Notify::new(),
            full: tokio::sync::Notify::new(),
            tend: tokio::sync::Notify::new(),
            mend: tokio::sync::Notify::new(),
            found: tokio::sync::Notify::new(),
            room: Arc::new(Semaphore::new(usize::try_from(ROOM_KIB).unwrap_or(usize::MAX))),
            flights: Arc::new(Semaphore::new(FLIGHTS)),
            kept: AtomicU64::new(0),
            flying: AtomicU64::new(0),
            health: Mutex::default(),
        });
        if !inner.map.is_whole()? {
            inner.rebuild().await?;
        }
        inner.count()?;
        Ok(Self { inner, cancel: CancellationToken::new() })
    }

    /// Writes and tidies up from now on.
    pub(crate) fn tend(&self) {
        let (inner, cancel) = (&self.inner, &self.cancel);
        inner.tasks.spawn(Arc::clone(inner).gather(cancel.clone()));
        inner.tasks.spawn(Arc::clone(inner).tend(cancel.clone()));
        if let Some(spread) = inner.spread.clone() {
            inner.tasks.spawn(Arc::clone(inner).keep_whole(spread, cancel.clone()));
        }
    }

    /// How it is.
    ///
    /// # Errors
    /// [`StoreError`] of the map.
    pub async fn state(&self) -> Result<State, PackError> {
        let mut state = self
            .inner
            .on_map(|map| {
                let dying = map.dying()?.len() as u64 + map.pending()?.len() as u64;
                let empty = State { dying, ..State::default() };
                Ok(map.packs()?.iter().fold(empty, |sum, pack| State {
                    packs: sum.packs + 1,
                    bytes: sum.bytes.saturating_add(pack.len),
                    blobs: sum.blobs + pack.blobs,
                    live: sum.live.saturating_add(pack.live),
                    ..sum
                }))
            })
            .await?;
        let health = self.inner.health.lock().unwrap_or_else(PoisonError::into_inner);
        state.last_error.clone_from(&health.last_error);
        state.last_ok = health.last_ok;
        state.audited = health.audited;
        drop(health);
        state.bad = self.bad();
        Ok(state)
    }

    /// What the last audit found wrong, as far as anything in it still counts.
    pub fn bad(&self) -> Vec<BadPack> {
        let mut bad = {
            let health = self.inner.health.lock().unwrap_or_else(PoisonError::into_inner);
            health.bad.clone()
        };
        bad.retain(|bad| {
            bad.id().is_some_and(|name| self.inner.map.pack(&name).is_ok_and(|row| row.is_some()))
        });
        bad
    }

    /// Waits until an audit finds packs that are bad, and says which blobs lie in them.
    ///
    /// # Errors
    /// [`PackError`] of the map.
    pub async fn damaged(&self) -> Result<BTreeSet<BlobName>, PackError> {
        self.inner.found.notified().await;
        let bad: Vec<PackName> = self.bad().iter().filter_map(BadPack::id).collect();
        let members = self.inner.on_map(move |map| {
            let mut blobs = BTreeSet::new();
            for name in &bad {
                blobs.extend(map.members(name)?.into_iter().map(|row| row.name));
            }
            Ok(blobs)
        });
        Ok(self.of_the_depot(members.await?))
    }

    /// Whether the store has no room for what is to be written. It is forgotten when it takes as much again, or
    /// after an hour in which it was not said again.
    pub fn is_full(&self) -> bool {
        let health = self.inner.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.full.is_some_and(|(_, at)| now().since(at) < FULL_FOR)
    }

    /// Finishes what is under way.
    pub async fn close(&self) {
        self.cancel.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.inner.tasks.close();
    }
}

impl Inner {
    /// Asks the map away from the async threads.
    async fn on_map<T: Send + 'static>(
        self: &Arc<Self>,
        ask: impl FnOnce(&PackStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, PackError> {
        let inner = Arc::clone(self);
        let asked = self.tasks.spawn_blocking(move || ask(&inner.map));
        asked.await.map_err(|_| PackError::Closing)?.map_err(PackError::Map)
    }

    fn count(&self) -> Result<(), StoreError> {
        let sum = self.map.packs()?.iter().fold(0u64, |sum, pack| sum.saturating_add(pack.len));
        self.kept.store(sum, Ordering::Relaxed);
        Ok(())
    }

    /// Remembers how the store answered, for status.
    fn heard<T>(&self, result: Result<T, PackError>) -> Result<T, PackError> {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        match &result {
            Ok(_) => (health.last_error, health.last_ok) = (None, Some(now())),
            // Of this machine, not of the store.
            Err(PackError::Closing | PackError::Name(_) | PackError::Map(_)) => {}
            Err(error) => health.last_error = Some(chain(error)),
        }
        result
    }
}

impl Inner {
    /// The store took a pack, or did not: if it has no room, that is told.
    fn weighed(&self, len: u64, refused: Option<&(dyn std::error::Error + 'static)>) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let known = health.full;
        match refused {
            None if known.is_some_and(|(least, _)| len >= least) => health.full = None,
            Some(error) if says_full(&chain(error)) => {
                health.full = Some((known.map_or(len, |(least, _)| least.min(len)), now()));
            }
            _ => {}
        }
    }
}

/// Whether an answer of a store means that it has no room.
pub(crate) fn says_full(answer: &str) -> bool {
    ["QuotaExceeded", "507 Insufficient Storage", "InsufficientStorage"]
        .iter()
        .any(|word| answer.contains(word))
        || answer.contains(&freehold_passes::storage::Refusal::Full.to_string())
}

/// An error with what lies below it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

fn random_name() -> PackName {
    OsEntropy.bytes32()
}

/// Where a pack lies: nothing but its random name.
pub(crate) fn place(name: &PackName) -> object_store::path::Path {
    object_store::path::Path::from(Hex(name).to_string())
}

fn short(name: &PackName) -> String {
    Hex(name.get(..4).unwrap_or_default()).to_string()
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
