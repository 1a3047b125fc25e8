//! One store made of several: of each object every store has a shard, and any `data` of them give
//! it back (Reed-Solomon). A shard that is missing, cut or altered is known as such, because only
//! this backend can make its tags; `mend` makes it anew from the others.

mod mend;
mod read;
mod shard;
mod store;
mod upload;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use freehold_crypt::Secret;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};

pub use self::mend::Mended;
use self::shard::{Code, END, Tags};

/// Lengths of objects that are remembered.
const REMEMBERED: usize = 1 << 16;
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
        match error {
            object_store::Error::NotFound { .. } => Self::Lost,
            error => Self::Failed(error),
        }
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
        Ok(Self { inner: Arc::new(Inner { stores, code, key, lengths: Mutex::default() }) })
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
        for shard in 0..self.stores.len() {
            match self.end_of(shard, path).await {
                Ok(meta) => {
                    self.remember(path, Some(meta.clone()));
                    return Ok(meta);
                }
                Err(miss) => misses.push(miss),
            }
        }
        Err(too_few(self.code, path, misses))
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
