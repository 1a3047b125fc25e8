//! One store made of several: of each object every store has a shard, and any `data` of them give
//! it back (Reed-Solomon). A shard that is missing, cut or altered is known as such, because only
//! this backend can make its tags; `mend` makes it anew from the others.

mod mend;
mod outside;
mod read;
mod shard;
mod store;
mod upload;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use freehold_crypt::Secret;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};
use tokio::sync::Notify;
use tokio::time::Instant;

pub use self::mend::{Counts, Mended};
pub(crate) use self::outside::Shards;
use self::shard::{Code, END, Tags};

/// Lengths of objects that are remembered.
const REMEMBERED: usize = 1 << 16;
/// Objects with a bad shard that are remembered.
const SUSPECTS: usize = 1000;
/// A store that has not answered by then is waited for no longer, if others will do.
const PATIENCE: Duration = Duration::from_secs(3);
/// And for so long others are asked first.
const SLOW_FOR: Duration = Duration::from_mins(1);
/// The most stores.
pub(crate) const STORES: usize = 64;

/// These stores cannot be used together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{stores} stores, of which {parity} may be lost: it takes one more than may be lost, and {STORES} at most"
)]
pub struct SpreadError {
    /// How many were given.
    pub stores: usize,
    /// How many of them may be lost.
    pub parity: u8,
}

/// One store made of several.
#[derive(Debug, Clone)]
pub struct Spread {
    inner: Arc<Inner>,
}

struct Inner {
    stores: Vec<Arc<dyn ObjectStore>>,
    code: Code,
    key: Secret,
    /// An object never changes.
    lengths: Mutex<HashMap<Path, ObjectMeta>>,
    /// Stores that did not answer in time, or failed, and when.
    slow: Mutex<HashMap<usize, Instant>>,
    /// Objects of which a reader found a shard to be of no use.
    suspects: Mutex<BTreeSet<Path>>,
    suspected: Notify,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spread")
            .field("stores", &self.stores)
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

/// Why a shard cannot be had.
#[derive(Debug)]
enum Miss {
    /// It is not there, or is not what was stored.
    Lost,
    /// Its store does not answer.
    Failed(object_store::Error),
}

impl From<object_store::Error> for Miss {
    fn from(error: object_store::Error) -> Self {
        if crate::error::is_missing(&error) { Self::Lost } else { Self::Failed(error) }
    }
}

/// What is said when too few shards are left. If more are lost than may be, nothing that a silent
/// store has helps.
fn too_few(code: Code, path: &Path, misses: Vec<Miss>) -> object_store::Error {
    let lost = misses.iter().filter(|miss| matches!(miss, Miss::Lost)).count();
    let failed = misses.into_iter().find_map(|miss| match miss {
        Miss::Failed(error) => Some(error),
        Miss::Lost => None,
    });
    failed.filter(|_| lost <= usize::from(code.parity)).unwrap_or_else(|| object_store::Error::NotFound {
        path: path.to_string(),
        source: "too few of its shards are left".into(),
    })
}

impl Spread {
    /// Puts stores together, of which `parity` may be lost. Their order is part of what is stored;
    /// `key` is a secret of the backend.
    ///
    /// # Errors
    /// [`SpreadError`] if that cannot be.
    pub fn new(stores: Vec<Arc<dyn ObjectStore>>, parity: u8, key: &Secret) -> Result<Self, SpreadError> {
        let wrong = SpreadError { stores: stores.len(), parity };
        let data = stores.len().checked_sub(parity.into()).and_then(|data| u8::try_from(data).ok());
        let data = data.filter(|data| *data > 0 && parity > 0 && stores.len() <= STORES).ok_or(wrong)?;
        let (code, key) = (Code { data, parity }, key.derive("freehold 2026 backend shards"));
        let inner = Inner {
            stores,
            code,
            key,
            lengths: Mutex::default(),
            slow: Mutex::default(),
            suspects: Mutex::default(),
            suspected: Notify::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// How many of its stores may be lost.
    pub(crate) fn parity(&self) -> usize {
        self.inner.code.parity.into()
    }

    /// Whether what lies there under that name on one of its stores is a shard of this backend's.
    pub(crate) async fn is_shard(&self, shard: usize, path: &Path) -> object_store::Result<bool> {
        match self.inner.end_of(shard, path).await {
            Ok(_) => Ok(true),
            Err(Miss::Lost) => Ok(false),
            Err(Miss::Failed(error)) => Err(error),
        }
    }

    /// Waits until a reader has found a shard to be of no use.
    pub(crate) async fn suspected(&self) {
        self.inner.suspected.notified().await;
    }

    /// The objects of which one was found so since this was last asked.
    pub(crate) fn suspects(&self) -> BTreeSet<Path> {
        std::mem::take(&mut *self.inner.suspects.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    fn tags(&self, path: &Path) -> Tags {
        Tags::new(&self.key, path.as_ref())
    }

    fn remember(&self, path: &Path, meta: Option<ObjectMeta>) {
        let mut lengths = self.lengths.lock().unwrap_or_else(PoisonError::into_inner);
        match meta {
            Some(_) if lengths.len() >= REMEMBERED => lengths.clear(),
            None => drop(lengths.remove(path)),
            _ => {}
        }
        if let Some(meta) = meta {
            lengths.insert(path.clone(), meta);
        }
    }

    /// What is known of an object, from the end of the first shard that has one.
    async fn meta(&self, path: &Path) -> object_store::Result<ObjectMeta> {
        let known = self.lengths.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let mut misses = Vec::new();
        let mut others = self.in_order().into_iter();
        let mut open = BTreeSet::new();
        let ask = |shard| async move { (shard, self.end_of(shard, path).await) };
        let mut asked = FuturesUnordered::new();
        loop {
            if let Some(next) = others.next() {
                open.insert(next);
                asked.push(ask(next));
            }
            match tokio::time::timeout(PATIENCE, asked.next()).await {
                Ok(Some((_, Ok(meta)))) => {
                    self.remember(path, Some(meta.clone()));
                    return Ok(meta);
                }
                Ok(Some((shard, Err(miss)))) => {
                    open.remove(&shard);
                    self.heard(shard, Some(&miss));
                    misses.push(miss);
                }
                Ok(None) => return Err(too_few(self.code, path, misses)),
                Err(_) => self.are_slow(&open),
            }
        }
    }

    /// All stores, those last that were slow just now.
    fn in_order(&self) -> Vec<usize> {
        let mut all: Vec<usize> = (0..self.stores.len()).collect();
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        slow.retain(|_, since| since.elapsed() < SLOW_FOR);
        all.sort_by_key(|shard| slow.contains_key(shard));
        all
    }

    /// Remembers how a store answered.
    fn heard(&self, shard: usize, miss: Option<&Miss>) {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        match miss {
            Some(Miss::Failed(_)) => drop(slow.insert(shard, Instant::now())),
            _ => drop(slow.remove(&shard)),
        }
    }

    fn are_slow(&self, shards: &BTreeSet<usize>) {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        slow.extend(shards.iter().map(|shard| (*shard, Instant::now())));
    }

    fn suspect(&self, path: &Path) {
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        if suspects.len() < SUSPECTS {
            suspects.insert(path.clone());
            self.suspected.notify_one();
        }
    }

    /// The object as the end of one shard tells of it; the shard has the length that goes with it.
    async fn end_of(&self, shard: usize, path: &Path) -> Result<ObjectMeta, Miss> {
        let store = self.stores.get(shard).ok_or(Miss::Lost)?;
        let options = GetOptions { range: Some(GetRange::Suffix(END)), ..GetOptions::default() };
        let found = store.get_opts(path, options).await?;
        let (size, last_modified) = (found.meta.size, found.meta.last_modified);
        let end = found.bytes().await?;
        let len = self.tags(path).len(self.code, shard, &end).ok_or(Miss::Lost)?;
        if self.code.shard_len(len) != size {
            return Err(Miss::Lost);
        }
        Ok(ObjectMeta { location: path.clone(), last_modified, size: len, e_tag: None, version: None })
    }
}
