//! Writing a blob: nothing is under its name until all of it is durable.

mod staged;

use std::sync::atomic::Ordering;

use bytes::Bytes;
use freehold_wire::BlobName;
use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload};
use tokio::task::JoinSet;

use self::staged::Staged;
use super::small::{Small, fits};
use super::{Depot, DepotError, PendingBlob, place};

/// Handed on at once; a smaller blob is one call. S3 wants at least 5 MiB.
const PIECE_LOCAL: usize = 2 << 20;
const PIECE_REMOTE: usize = 8 << 20;

/// A blob being written. Dropped before [`BlobWriter::finish`] it leaves nothing.
pub struct BlobWriter {
    depot: Depot,
    name: BlobName,
    pending: Vec<Bytes>,
    pending_len: usize,
    /// Bytes that are handed on together.
    enough: usize,
    sink: Sink,
    /// One piece is on its way while the next one fills.
    under_way: JoinSet<Result<(), DepotError>>,
    count: Count,
}

/// What a blob under way counts against the quota, from the moment it comes. Dropped before it is
/// kept, nothing.
#[derive(Debug)]
pub(super) struct Count {
    depot: Depot,
    written: u64,
    /// What lies under the name, and is not counted while this is written.
    replaced: u64,
    kept: bool,
}

impl Count {
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

/// Where pieces go once a blob is too large for one call.
enum Sink {
    NotYet,
    Local(Staged),
    Remote(Box<dyn MultipartUpload>),
}

impl BlobWriter {
    pub(super) fn new(depot: Depot, name: BlobName) -> Self {
        let enough = if depot.inner.root.is_some() { PIECE_LOCAL } else { PIECE_REMOTE };
        let count = Count { depot: depot.clone(), written: 0, replaced: 0, kept: false };
        Self {
            depot,
            name,
            enough,
            pending: Vec::new(),
            pending_len: 0,
            sink: Sink::NotYet,
            under_way: JoinSet::new(),
            count,
        }
    }

    /// Counts what lies under the name no longer, unless this is given up.
    pub(super) fn replacing(mut self, len: u64) -> Self {
        self.depot.inner.give_back(len);
        self.count.replaced = len;
        self
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// [`DepotError`]; the blob is then lost, drop the writer.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), DepotError> {
        let len = piece.len() as u64;
        self.count.written = self.count.written.saturating_add(len);
        self.depot.inner.used.fetch_add(len, Ordering::Relaxed);
        self.pending_len += piece.len();
        self.pending.push(piece);
        if self.pending_len >= self.enough { self.send().await } else { Ok(()) }
    }

    /// Hands on sooner than it would, where the backend takes pieces of any size.
    pub(crate) fn gather(&mut self, len: usize) {
        if self.depot.inner.root.is_some() {
            self.enough = len.min(PIECE_LOCAL);
        }
    }

    /// Makes the blob durable under its name.
    ///
    /// # Errors
    /// [`DepotError`]; then nothing of it is kept.
    pub async fn finish(mut self) -> Result<(), DepotError> {
        if !matches!(self.sink, Sink::NotYet) {
            if self.pending_len > 0 {
                self.send().await?;
            }
            self.settle().await?;
        }
        let beside = self.beside()?;
        match std::mem::replace(&mut self.sink, Sink::NotYet) {
            Sink::Local(staged) => staged.publish().await.map_err(|error| self.depot.full(error))?,
            Sink::Remote(mut upload) => {
                upload.complete().await.map_err(|error| self.depot.backend("completing", error))?;
            }
            Sink::NotYet => return self.put_at_once(beside).await,
        }
        give_way(beside, self.name).await?;
        self.count.keep();
        Ok(())
    }

    /// Those small blobs among which one of this name is.
    fn beside(&self) -> Result<Option<Small>, DepotError> {
        let Some(small) = &self.depot.inner.small else { return Ok(None) };
        Ok(small.has(&self.name)?.then(|| small.clone()))
    }

    /// The same; but one that is small is handed back, for the transaction of its entry.
    ///
    /// # Errors
    /// [`DepotError`]; then nothing of it is kept.
    pub(crate) async fn finish_with_entry(self) -> Result<Option<PendingBlob>, DepotError> {
        let Some(small) = self.small().cloned() else { return self.finish().await.map(|()| None) };
        self.depot.check_room(self.pending_len as u64)?;
        let bytes = joined(&self.pending);
        Ok(Some(PendingBlob::new(small, self.name, bytes, self.count)))
    }

    /// Where it goes if it is small.
    fn small(&self) -> Option<&Small> {
        let small = self.depot.inner.small.as_ref().filter(|_| matches!(self.sink, Sink::NotYet));
        small.filter(|small| small.takes(self.pending_len))
    }

    /// In the form that it has here already, if it has one.
    async fn put_at_once(mut self, beside: Option<Small>) -> Result<(), DepotError> {
        let len = self.pending_len;
        self.depot.check_room(len as u64)?;
        let is_file = self.count.replaced > 0;
        let small = match &beside {
            Some(small) => Some(small).filter(|_| fits(len)),
            None => self.small().filter(|_| !is_file),
        };
        if let Some(small) = small {
            small.put(self.name, joined(&self.pending)).await?;
        } else {
            let payload = PutPayload::from_iter(std::mem::take(&mut self.pending));
            let put = self.depot.inner.store.put(&place(self.name), payload).await;
            put.map_err(|error| self.depot.backend("writing", error))?;
            give_way(beside, self.name).await?;
        }
        self.count.keep();
        Ok(())
    }

    async fn send(&mut self) -> Result<(), DepotError> {
        self.depot.check_room(self.pending_len as u64)?;
        self.settle().await?;
        let pieces = std::mem::take(&mut self.pending);
        self.pending_len = 0;
        if matches!(self.sink, Sink::NotYet) {
            self.sink = self.begin().await?;
        }
        match &mut self.sink {
            Sink::Local(staged) => {
                let write = staged.write(pieces).await.map_err(|error| self.depot.full(error))?;
                self.under_way.spawn(write);
            }
            Sink::Remote(upload) => {
                let part = upload.put_part(PutPayload::from_iter(pieces));
                let failed = |source| DepotError::Backend { doing: "writing", source };
                self.under_way.spawn(async move { part.await.map_err(failed) });
            }
            Sink::NotYet => {}
        }
        Ok(())
    }

    async fn begin(&mut self) -> Result<Sink, DepotError> {
        let place = place(self.name);
        if let Some(root) = &self.depot.inner.root {
            let staged = Staged::create(root.join(place.as_ref())).await;
            return staged.map(Sink::Local).map_err(|error| self.depot.full(error));
        }
        let upload = self.depot.inner.store.put_multipart(&place).await;
        upload.map(Sink::Remote).map_err(|error| self.depot.backend("beginning", error))
    }

    async fn settle(&mut self) -> Result<(), DepotError> {
        while let Some(done) = self.under_way.join_next().await {
            done.map_err(|_| DepotError::Closing)?.map_err(|error| self.depot.full(error))?;
        }
        Ok(())
    }
}

/// A small blob would be found before the file of its name.
async fn give_way(beside: Option<Small>, name: BlobName) -> Result<(), DepotError> {
    let Some(small) = beside else { return Ok(()) };
    small.remove(vec![name]).await.map(drop)
}

/// One piece is taken as it is.
fn joined(pieces: &[Bytes]) -> Bytes {
    match pieces {
        [one] => one.clone(),
        pieces => pieces.concat().into(),
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        if !self.kept {
            self.depot.inner.give_back(self.written);
            self.depot.inner.used.fetch_add(self.replaced, Ordering::Relaxed);
        }
    }
}

impl std::fmt::Debug for BlobWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlobWriter({}, {} bytes)", self.name.short(), self.count.written)
    }
}
