//! Writing a blob: nothing is under its name until all of it is durable.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use freehold_wire::BlobName;
use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload, UploadPart};
use tokio::task::JoinSet;

use super::{Depot, DepotError, place};

/// Handed to the backend at once; a smaller blob is one call. S3 wants at least 5 MiB.
const PIECE_LOCAL: usize = 2 << 20;
const PIECE_REMOTE: usize = 8 << 20;

/// A blob being written. Dropped before [`BlobWriter::finish`] it leaves nothing.
pub struct BlobWriter {
    depot: Depot,
    name: BlobName,
    pending: Vec<Bytes>,
    pending_len: usize,
    upload: Option<Box<dyn MultipartUpload>>,
    /// One piece is on its way while the next one fills.
    under_way: JoinSet<object_store::Result<()>>,
    /// Counted against the quota from the moment it comes.
    written: u64,
    kept: bool,
}

impl BlobWriter {
    pub(super) fn new(depot: Depot, name: BlobName) -> Self {
        Self {
            depot,
            name,
            pending: Vec::new(),
            pending_len: 0,
            upload: None,
            under_way: JoinSet::new(),
            written: 0,
            kept: false,
        }
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// [`DepotError`]; the blob is then lost, drop the writer.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), DepotError> {
        let len = piece.len() as u64;
        self.written = self.written.saturating_add(len);
        self.depot.inner.used.fetch_add(len, Ordering::Relaxed);
        self.pending_len += piece.len();
        self.pending.push(piece);
        let enough = if self.depot.inner.root.is_some() { PIECE_LOCAL } else { PIECE_REMOTE };
        if self.pending_len >= enough { self.send().await } else { Ok(()) }
    }

    /// Makes the blob durable under its name.
    ///
    /// # Errors
    /// [`DepotError`]; then nothing of it is kept.
    pub async fn finish(mut self) -> Result<(), DepotError> {
        if self.upload.is_some() {
            if self.pending_len > 0 {
                self.send().await?;
            }
            self.settle().await?;
            if let Some(mut upload) = self.upload.take() {
                upload.complete().await.map_err(|error| self.depot.backend("completing", error))?;
            }
        } else {
            self.depot.check_room(self.pending_len as u64)?;
            let payload = PutPayload::from_iter(std::mem::take(&mut self.pending));
            self.depot
                .inner
                .store
                .put(&place(self.name), payload)
                .await
                .map_err(|error| self.depot.backend("writing", error))?;
        }
        self.kept = true;
        Ok(())
    }

    async fn send(&mut self) -> Result<(), DepotError> {
        self.depot.check_room(self.pending_len as u64)?;
        self.settle().await?;
        let payload = PutPayload::from_iter(std::mem::take(&mut self.pending));
        self.pending_len = 0;
        let part: UploadPart = match &mut self.upload {
            Some(upload) => upload.put_part(payload),
            none => {
                let upload = self.depot.inner.store.put_multipart(&place(self.name)).await;
                let upload = upload.map_err(|error| self.depot.backend("beginning", error))?;
                none.insert(upload).put_part(payload)
            }
        };
        self.under_way.spawn(part);
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), DepotError> {
        while let Some(done) = self.under_way.join_next().await {
            done.map_err(|_| DepotError::Closing)?.map_err(|error| self.depot.backend("writing", error))?;
        }
        Ok(())
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if !self.kept {
            self.depot.inner.give_back(self.written);
        }
    }
}

impl std::fmt::Debug for BlobWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlobWriter({}, {} bytes)", self.name.short(), self.written)
    }
}
