//! Blobs too small for files of their own: they lie beside the entries, and are written in the
//! transaction of the entry that names them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use freehold_disk::{EntryStore, EntryTxn, SmallBlob, StoreError};
use freehold_wire::BlobName;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::oneshot;

use super::write::Count;
use super::{DepotError, Held, blocking};
use crate::vault::now;

/// Bytes of a sealed blob up to which it is small. The store's pages are powers of two: more
/// would waste more room than a file.
pub(super) const SMALL_MAX: usize = 16_000;
/// Bytes of all of them. After a power cut the store is read through from end to end, which must not
/// take long: what is more lies in files.
pub(super) const ALL_MAX: u64 = 512 << 20;
/// Rows read, or removed, in one transaction.
const PAGE: usize = 1000;

/// Whether a sealed blob of so many bytes is small.
pub(super) const fn fits(len: usize) -> bool {
    len <= SMALL_MAX
}

/// Where small blobs are.
#[derive(Debug, Clone)]
pub(super) struct Small {
    entries: Arc<EntryStore>,
    /// Bytes of all.
    held: Arc<AtomicU64>,
    /// From how many bytes on new ones are files.
    most: u64,
}

impl Small {
    pub(super) fn new(entries: Arc<EntryStore>, most: u64) -> Self {
        Self { entries, held: Arc::default(), most }
    }

    /// The names of all; and counts them.
    pub(super) async fn names(&self) -> Result<Vec<BlobName>, DepotError> {
        let all: Vec<Held> = self.list().try_collect().await?;
        self.held.store(all.iter().map(|blob| blob.len).sum(), Ordering::Relaxed);
        Ok(all.into_iter().map(|blob| blob.name).collect())
    }

    pub(super) fn takes(&self, len: usize) -> bool {
        fits(len) && self.held.load(Ordering::Relaxed) < self.most
    }

    /// Whether one of this name is here already, which is looked for here before any file.
    pub(super) fn has(&self, name: &BlobName) -> Result<bool, DepotError> {
        self.find(name).map(|found| found.is_some())
    }

    /// Counts what has been written in place of `old` bytes.
    fn count(&self, len: usize, old: u64) {
        let correct = |held: u64| Some(held.saturating_add(len as u64).saturating_sub(old));
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, correct).ok();
    }

    /// Read where it is asked for: the store's reads are short, a hop to another thread costs more.
    pub(super) fn get(&self, name: &BlobName) -> Result<Option<Bytes>, DepotError> {
        self.entries.blob(name).map(|found| found.map(Bytes::from)).map_err(of_store)
    }

    pub(super) fn find(&self, name: &BlobName) -> Result<Option<u64>, DepotError> {
        self.entries.find_blob(name).map(|found| found.map(|blob| blob.len)).map_err(of_store)
    }

    pub(super) async fn put(&self, name: BlobName, bytes: Bytes) -> Result<(), DepotError> {
        let len = bytes.len();
        let old = self.write(move |txn| txn.put_blob(&name, &bytes, now())).await?;
        self.count(len, old);
        Ok(())
    }

    /// Removes those that are here, and says which, with their bytes.
    pub(super) async fn remove(&self, names: Vec<BlobName>) -> Result<Vec<(BlobName, u64)>, DepotError> {
        let removed = self.write(move |txn| {
            let mut removed = Vec::new();
            for name in names {
                removed.extend(txn.remove_blob(&name)?.map(|len| (name, len)));
            }
            Ok(removed)
        });
        let removed = removed.await?;
        self.count(0, removed.iter().map(|(_, len)| len).sum());
        Ok(removed)
    }

    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut EntryTxn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, DepotError> {
        let (tell, told) = oneshot::channel();
        // Nobody waits any more if whoever asked has gone.
        self.entries.submit(job, move |result| drop(tell.send(result)));
        told.await.unwrap_or(Err(StoreError::Closed { path: "entries".into() })).map_err(of_store)
    }

    /// All of them, a page at a time.
    pub(super) fn list(&self) -> BoxStream<'static, Result<Held, DepotError>> {
        let pages = futures::stream::try_unfold((self.clone(), None), async |(small, after)| {
            let entries = Arc::clone(&small.entries);
            let page = blocking(move || entries.blobs(after.as_ref(), PAGE).map_err(of_store)).await?;
            let last = page.last().map(|blob| blob.name);
            Ok(last.map(|last| (futures::stream::iter(page.into_iter().map(Ok)), (small, Some(last)))))
        });
        let held = |SmallBlob { name, len, modified }| Held { name, len, modified };
        pages.try_flatten().map_ok(held).boxed()
    }
}

/// A small blob that waits for the transaction of its entry. Dropped, it leaves nothing.
#[derive(Debug)]
pub(crate) struct PendingBlob {
    small: Small,
    name: BlobName,
    bytes: Bytes,
    count: Count,
}

impl PendingBlob {
    pub(super) const fn new(small: Small, name: BlobName, bytes: Bytes, count: Count) -> Self {
        Self { small, name, bytes, count }
    }

    /// Writes it, as far as the transaction is committed.
    pub(crate) fn put(&self, txn: &mut EntryTxn<'_>) -> Result<(), StoreError> {
        txn.put_blob(&self.name, &self.bytes, now()).map(drop)
    }

    /// The transaction is durable.
    pub(crate) fn kept(self) {
        // Its name is new: nothing was replaced.
        self.small.count(self.bytes.len(), 0);
        self.count.keep();
    }
}

fn of_store(error: StoreError) -> DepotError {
    match error {
        StoreError::NoSpace { .. } => DepotError::NoSpace { free: 0, reserve: 0 },
        error => DepotError::Store(error),
    }
}
