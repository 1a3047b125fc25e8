//! Plain object storage for sealed blobs. It knows names, lengths and hashes, and no key.

mod listing;
mod read;
mod small;
mod write;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use freehold_disk::{EntryStore, StoreError};
use freehold_placement::BlobRef;
use freehold_wire::{BlobName, Millis};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt as _};

pub use self::read::BlobReader;
pub(crate) use self::read::read_at;
pub(crate) use self::small::PendingBlob;
use self::small::{ALL_MAX, Small};
pub use self::write::BlobWriter;
use crate::BoxError;

/// What lies on a backend under a blob's name is not what was put there. A backend that sees it says
/// so with this as the source of its error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Altered(pub String);

/// The depot failed.
#[derive(Debug, thiserror::Error)]
pub enum DepotError {
    /// Too little room is left; nothing of the blob was kept.
    #[error("no space: {free} bytes are free, and {reserve} are kept in reserve")]
    NoSpace {
        /// Bytes free on the file system, or below the quota.
        free: u64,
        /// Bytes that are never filled.
        reserve: u64,
    },
    /// The blob is not there.
    #[error("blob {} is not in the depot", .name.short())]
    Missing {
        /// The blob.
        name: BlobName,
    },
    /// What the backend has is not what was put there.
    #[error("blob {} is not what was put on the backend", .name.short())]
    Altered {
        /// The blob.
        name: BlobName,
        /// What was seen.
        source: object_store::Error,
    },
    /// A blob that came has another length or hash than was announced.
    #[error("blob {} is not what was announced", .name.short())]
    NotAsAnnounced {
        /// The blob.
        name: BlobName,
    },
    /// The one who sends the blob broke off.
    #[error("blob {} broke off while it came", .name.short())]
    BrokeOff {
        /// The blob.
        name: BlobName,
        /// Why.
        source: BoxError,
    },
    /// The backend failed.
    #[error("{doing} a blob failed")]
    Backend {
        /// What was being done.
        doing: &'static str,
        /// What the backend said.
        source: object_store::Error,
    },
    /// A file or directory of the depot failed.
    #[error("{doing} {path} failed")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The store of small blobs failed.
    #[error("the store of small blobs failed")]
    Store(#[source] StoreError),
    /// A blocking task was cut off because the program ends.
    #[error("the depot is closing")]
    Closing,
}

impl DepotError {
    /// Whether the blob is bad or gone, and another copy would do.
    pub(crate) const fn is_damage(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Altered { .. })
    }
}

/// Blobs removed in one transaction.
const DELETED_AT_ONCE: usize = 1000;

/// How much a depot takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepotLimits {
    /// Bytes of the file system that are never filled.
    pub reserve_bytes: u64,
    /// The most the depot takes altogether.
    pub quota_bytes: Option<u64>,
}

/// A blob in the depot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Its name.
    pub name: BlobName,
    /// Its bytes.
    pub len: u64,
    /// When it was written.
    pub modified: Millis,
}

/// A depot. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct Depot {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Arc<dyn ObjectStore>,
    /// Where the files are, if it is a directory here.
    root: Option<PathBuf>,
    /// Where small blobs are, if not on the backend.
    small: Option<Small>,
    limits: DepotLimits,
    /// Bytes held or on their way.
    used: AtomicU64,
    /// What was there at the opening, until somebody asks.
    found: Mutex<Option<Vec<BlobName>>>,
}

impl Depot {
    /// Whether what lies in it is somewhere else.
    pub fn is_remote(&self) -> bool {
        self.inner.root.is_none()
    }

    /// A depot in a directory, which is made if needed. Writes are durable; what an earlier
    /// process left unfinished is removed.
    ///
    /// # Errors
    /// [`DepotError`]
    pub async fn local(root: &Path, limits: DepotLimits) -> Result<Self, DepotError> {
        Self::in_directory(root, None, limits).await
    }

    /// The same, with small blobs beside the entries: the vault writes both in one transaction.
    ///
    /// # Errors
    /// [`DepotError`]
    pub async fn beside(
        entries: Arc<EntryStore>,
        root: &Path,
        limits: DepotLimits,
    ) -> Result<Self, DepotError> {
        Self::in_directory(root, Some(Small::new(entries, ALL_MAX)), limits).await
    }

    async fn in_directory(
        root: &Path,
        small: Option<Small>,
        limits: DepotLimits,
    ) -> Result<Self, DepotError> {
        let at = root.to_owned();
        let (store, mut found) = blocking(move || {
            freehold_disk::make_private_dir(&at).map_err(io("making", &at))?;
            let found = listing::tidy(&at)?;
            LocalFileSystem::new_with_prefix(&at)
                .map(|store| (store, found))
                .map_err(|source| DepotError::Backend { doing: "opening the directory of", source })
        })
        .await?;
        let store = Arc::new(store.with_fsync(true));
        if let Some(small) = &small {
            found.extend(small.names().await?);
        }
        let depot = Self::made(store, Some(root.to_owned()), small, limits).await?;
        *depot.inner.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        Ok(depot)
    }

    /// A depot on any backend. `root` is where its files are, if they are here.
    ///
    /// # Errors
    /// [`DepotError`]
    pub async fn on(
        store: Arc<dyn ObjectStore>,
        root: Option<PathBuf>,
        limits: DepotLimits,
    ) -> Result<Self, DepotError> {
        Self::made(store, root, None, limits).await
    }

    async fn made(
        store: Arc<dyn ObjectStore>,
        root: Option<PathBuf>,
        small: Option<Small>,
        limits: DepotLimits,
    ) -> Result<Self, DepotError> {
        let (used, found) = (AtomicU64::new(0), Mutex::new(None));
        let depot = Self { inner: Arc::new(Inner { store, root, small, limits, used, found }) };
        if limits.quota_bytes.is_some() {
            depot.count_anew().await?;
        }
        Ok(depot)
    }

    /// Begins to write a blob. `len` is what is known of its length, for the check of free space.
    ///
    /// # Errors
    /// [`DepotError::NoSpace`] before anything is written.
    pub fn begin(&self, name: BlobName, len: Option<u64>) -> Result<BlobWriter, DepotError> {
        self.check_space(len.unwrap_or(0))?;
        Ok(BlobWriter::new(self.clone(), name))
    }

    /// Begins to write a blob in place of one that may be there: one of the two is counted.
    async fn begin_again(&self, name: BlobName, len: u64) -> Result<BlobWriter, DepotError> {
        let old = self.len(name).await?.unwrap_or(0);
        let writer = BlobWriter::new(self.clone(), name).replacing(old);
        self.check_space(len).map(|()| writer)
    }

    /// Keeps a blob that comes from elsewhere, if it has the announced length and hash. One that
    /// is there already is replaced: it may be the bad copy that is being repaired.
    ///
    /// # Errors
    /// [`DepotError`]; then nothing of it was kept.
    pub async fn put_stream(
        &self,
        blob: &BlobRef,
        mut from: BoxStream<'_, Result<Bytes, BoxError>>,
    ) -> Result<(), DepotError> {
        let name = blob.name;
        let mut writer = self.begin_again(name, blob.len).await?;
        let mut hash = freehold_crypt::hash::Hasher::plain();
        let mut len = 0u64;
        while let Some(piece) = from.next().await {
            let piece = piece.map_err(|source| DepotError::BrokeOff { name, source })?;
            len = len.saturating_add(piece.len() as u64);
            if len > blob.len {
                return Err(DepotError::NotAsAnnounced { name });
            }
            hash.update(&piece);
            writer.write(piece).await?;
        }
        if len != blob.len || hash.finish() != *blob.hash.as_bytes() {
            return Err(DepotError::NotAsAnnounced { name });
        }
        writer.finish().await
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    /// [`DepotError::Missing`] if it is not here.
    pub async fn open(&self, name: BlobName) -> Result<BlobReader, DepotError> {
        BlobReader::open(self.clone(), name).await
    }

    /// The same; its `first` bytes are read at once.
    pub(crate) async fn open_reading(&self, name: BlobName, first: u64) -> Result<BlobReader, DepotError> {
        BlobReader::open_reading(self.clone(), name, first).await
    }

    /// Its length, if it is here.
    ///
    /// # Errors
    /// [`DepotError`] if the backend cannot say.
    pub async fn len(&self, name: BlobName) -> Result<Option<u64>, DepotError> {
        if let Some(small) = &self.inner.small
            && let Some(len) = small.find(&name)?
        {
            return Ok(Some(len));
        }
        match self.inner.store.head(&place(name)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(DepotError::Backend { doing: "looking for", source }),
        }
    }

    /// Removes a blob; one that is not here is no error.
    ///
    /// # Errors
    /// [`DepotError`] if the backend cannot.
    pub async fn delete(&self, name: BlobName) -> Result<(), DepotError> {
        self.delete_all(&[name]).await
    }

    /// Removes blobs, small ones together; also a file that a kill left beside a small one of its name.
    ///
    /// # Errors
    /// [`DepotError`] if the backend cannot; some may be gone then.
    pub async fn delete_all(&self, names: &[BlobName]) -> Result<(), DepotError> {
        for some in names.chunks(DELETED_AT_ONCE) {
            let removed = self.delete_small(some).await?;
            for name in some.iter().filter(|name| !removed.contains(*name)) {
                self.delete_file(*name).await?;
            }
        }
        Ok(())
    }

    /// Removes those of some blobs that are small, and says which they were.
    async fn delete_small(&self, names: &[BlobName]) -> Result<BTreeSet<BlobName>, DepotError> {
        let Some(small) = &self.inner.small else { return Ok(BTreeSet::new()) };
        let mut here = Vec::new();
        for name in names {
            here.extend(small.find(name)?.map(|_| *name));
        }
        if here.is_empty() {
            return Ok(BTreeSet::new());
        }
        let removed = small.remove(here).await?;
        self.inner.give_back(removed.iter().map(|(_, len)| len).sum());
        let removed: BTreeSet<BlobName> = removed.into_iter().map(|(name, _)| name).collect();
        self.remove_files(removed.iter().copied().collect()).await?;
        Ok(removed)
    }

    /// Removes files of such names, of which there are hardly any.
    async fn remove_files(&self, names: Vec<BlobName>) -> Result<(), DepotError> {
        let Some(root) = self.inner.root.clone() else { return Ok(()) };
        let remove = blocking(move || {
            let mut bytes = 0;
            for name in names {
                let path = root.join(place(name).as_ref());
                let Ok(meta) = std::fs::metadata(&path) else { continue };
                std::fs::remove_file(&path).map_err(io("removing", &path))?;
                bytes += meta.len();
            }
            Ok(bytes)
        });
        self.inner.give_back(remove.await?);
        Ok(())
    }

    async fn delete_file(&self, name: BlobName) -> Result<(), DepotError> {
        let counts = self.inner.root.is_some() || self.inner.limits.quota_bytes.is_some();
        let len = if counts { self.len(name).await?.unwrap_or(0) } else { 0 };
        match self.inner.store.delete(&place(name)).await {
            Ok(()) => {
                self.inner.give_back(len);
                Ok(())
            }
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(DepotError::Backend { doing: "removing", source }),
        }
    }

    /// All blobs, in no order. Anything else that lies in the depot is passed over.
    pub fn list(&self) -> BoxStream<'static, Result<Held, DepotError>> {
        if let Some(root) = &self.inner.root {
            let files = listing::held(root.clone());
            return match &self.inner.small {
                Some(small) => files.chain(small.list()).boxed(),
                None => files,
            };
        }
        self.inner
            .store
            .list(None)
            .map_err(|source| DepotError::Backend { doing: "listing", source })
            .try_filter_map(async |meta| {
                let name = meta.location.filename().and_then(|name| name.parse().ok());
                let modified = u64::try_from(meta.last_modified.timestamp_millis()).unwrap_or(0);
                Ok(name.map(|name| Held { name, len: meta.size, modified: Millis(modified) }))
            })
            .boxed()
    }

    /// The names of all blobs. Who asks first, and before anything is written, hears what was
    /// found at the opening: a start need not look twice.
    ///
    /// # Errors
    /// [`DepotError`]
    pub async fn names(&self) -> Result<Vec<BlobName>, DepotError> {
        let found = self.inner.found.lock().unwrap_or_else(PoisonError::into_inner).take();
        match found {
            Some(found) => Ok(found),
            None => self.list().map_ok(|held| held.name).try_collect().await,
        }
    }

    /// Counts blobs and bytes; it looks at every one.
    ///
    /// # Errors
    /// [`DepotError`]
    pub async fn measure(&self) -> Result<(u64, u64), DepotError> {
        self.list().try_fold((0, 0), async |(blobs, bytes), held| Ok((blobs + 1, bytes + held.len))).await
    }

    /// Bytes of all blobs, as last measured or assumed and counted along since.
    pub fn used(&self) -> u64 {
        self.inner.used.load(Ordering::Relaxed)
    }

    /// Says what [`Self::used`] counts on from, for a start that has not measured yet.
    pub fn assume(&self, bytes: u64) {
        self.inner.used.store(bytes, Ordering::Relaxed);
    }

    /// Measures what [`Self::used`] counts on from.
    ///
    /// # Errors
    /// [`DepotError`]
    pub async fn count_anew(&self) -> Result<(), DepotError> {
        let thought = self.used();
        let (_, bytes) = self.measure().await?;
        // What came and went meanwhile is counted already.
        let correct = |used: u64| Some(used.saturating_add(bytes).saturating_sub(thought));
        self.inner.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, correct).ok();
        Ok(())
    }

    /// Bytes that may still be written; `None` if the backend does not say.
    ///
    /// # Errors
    /// [`DepotError`]
    pub fn free(&self) -> Result<Option<u64>, DepotError> {
        let limits = self.inner.limits;
        let quota = limits.quota_bytes.map(|all| all.saturating_sub(self.used()));
        let Some(root) = self.inner.root.clone() else { return Ok(quota) };
        // Answered from memory by the kernel: no need for another thread.
        let disk = freehold_disk::free_bytes(&root).map_err(io("measuring", &root))?;
        let disk = disk.saturating_sub(limits.reserve_bytes);
        Ok(Some(quota.map_or(disk, |quota| quota.min(disk))))
    }

    fn check_space(&self, len: u64) -> Result<(), DepotError> {
        match self.free()? {
            Some(free) if free <= len => {
                Err(DepotError::NoSpace { free, reserve: self.inner.limits.reserve_bytes })
            }
            _ => Ok(()),
        }
    }

    /// Whether a piece that has been counted may be written.
    fn check_room(&self, len: u64) -> Result<(), DepotError> {
        let limits = self.inner.limits;
        let over = limits.quota_bytes.is_some_and(|quota| self.used() > quota);
        let free = match &self.inner.root {
            Some(root) => freehold_disk::free_bytes(root).map_err(io("measuring", root))?,
            None => u64::MAX,
        };
        let free = free.saturating_sub(limits.reserve_bytes);
        if over || free <= len {
            return Err(DepotError::NoSpace {
                free: if over { 0 } else { free },
                reserve: limits.reserve_bytes,
            });
        }
        Ok(())
    }

    fn backend(&self, doing: &'static str, source: object_store::Error) -> DepotError {
        self.full(DepotError::Backend { doing, source })
    }

    /// Says "no space" plainly if that is what lies below an error.
    fn full(&self, error: DepotError) -> DepotError {
        if out_of_space(&error) {
            DepotError::NoSpace { free: 0, reserve: self.inner.limits.reserve_bytes }
        } else {
            error
        }
    }
}

impl Inner {
    fn give_back(&self, len: u64) {
        // Blobs of before the count began are not in it.
        self.used.fetch_sub(len.min(self.used.load(Ordering::Relaxed)), Ordering::Relaxed);
    }
}

/// Names are random, so the first byte spreads them over 256 directories.
fn place(name: BlobName) -> object_store::path::Path {
    let hex = name.to_string();
    let shard = hex.get(..2).unwrap_or_default();
    object_store::path::Path::from_iter([shard, hex.as_str()])
}

/// Runs file work away from the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DepotError> + Send + 'static,
) -> Result<T, DepotError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(DepotError::Closing))
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> DepotError {
    let path = path.to_owned();
    move |source| DepotError::Io { doing, path, source }
}

/// Looks for "disk full" below the layers that wrap it.
fn out_of_space(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind::{QuotaExceeded, StorageFull};
            if matches!(io.kind(), StorageFull | QuotaExceeded) {
                return true;
            }
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests;
