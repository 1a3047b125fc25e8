//! A large blob on its way: sealed as it comes, in pieces of one length, with its index and the
//! zeros at the end.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use freehold_disk::{BlobRow, NewPack, PackName};
use freehold_wire::{BlobName, Bounded};
use futures::FutureExt as _;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload, PutResult, UploadPart};

use super::write::LOOKED_AT;
use super::{Inner, now, place, random_name};
use crate::PackError;
use crate::answer::put_result;
use crate::pack::{Index, Row, Sealed, Sealer};

/// Length of a piece; some stores want all but the last to be the same.
const PIECE: usize = 8 << 20;
/// Zeros sealed at once.
const ZEROS: usize = 1 << 20;

/// A large blob on its way.
pub(super) struct LargeUpload {
    inner: Arc<Inner>,
    name: BlobName,
    location: Path,
    pack: PackName,
    seq: u64,
    taken: u64,
    out: Vec<u8>,
    sealer: Option<Sealer>,
    upload: Option<Box<dyn MultipartUpload>>,
    /// In the map, or given up.
    settled: bool,
}

impl std::fmt::Debug for LargeUpload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LargeUpload({}, {} bytes)", self.name.short(), self.taken)
    }
}

impl LargeUpload {
    pub(super) async fn begin(inner: Arc<Inner>, name: BlobName, location: &Path) -> Result<Self, PackError> {
        let pack = random_name();
        let seq = inner.on_map(move |map| map.begin(pack)).await?;
        let upload = match inner.store.put_multipart(&place(&pack)).await {
            Ok(upload) => upload,
            Err(source) => {
                inner.on_map(move |map| map.give_up(pack)).await?;
                return Err(PackError::Store { doing: "beginning a pack", source });
            }
        };
        let sealer = Some(Sealer::new(&inner.key, &pack));
        let location = location.clone();
        let (upload, out) = (Some(upload), Vec::new());
        Ok(Self { inner, name, location, pack, seq, taken: 0, out, sealer, upload, settled: false })
    }

    /// Whole pieces of what has been sealed.
    fn pieces(&mut self) -> Vec<UploadPart> {
        let Some(upload) = &mut self.upload else { return Vec::new() };
        let mut parts = Vec::new();
        while self.out.len() >= PIECE {
            let rest = self.out.split_off(PIECE);
            let piece = Bytes::from(std::mem::replace(&mut self.out, rest));
            parts.push(upload.put_part(PutPayload::from_bytes(piece)));
        }
        parts
    }

    async fn end(&mut self) -> Result<NewPack, PackError> {
        let failed = |source| PackError::Store { doing: "writing a pack", source };
        let mut sealer = self.sealer.take().ok_or(PackError::Closing)?;
        let at = now();
        let row = Row { name: self.name, len: self.taken, at: at.0 };
        let blobs = Bounded::fill(&mut std::iter::once(row));
        let index = Index { seq: self.seq, at: at.0, blobs }.encode();
        let mut zeros = usize::try_from(sealer.padding(&index)).unwrap_or(usize::MAX);
        while zeros > 0 {
            let now = zeros.min(ZEROS);
            sealer.push(&vec![0; now], &mut self.out);
            zeros -= now;
            for part in self.pieces() {
                part.await.map_err(failed)?;
            }
        }
        let Sealed { len, hash } = sealer.finish(&index, &mut self.out);
        let tail = Bytes::copy_from_slice(
            self.out.get(self.out.len().saturating_sub(LOOKED_AT)..).unwrap_or_default(),
        );
        for part in self.pieces() {
            part.await.map_err(failed)?;
        }
        let _flying = self.inner.reserve(len)?;
        let last = Bytes::from(std::mem::take(&mut self.out));
        let upload = self.upload.as_mut().ok_or(PackError::Closing)?;
        if !last.is_empty() {
            upload.put_part(PutPayload::from_bytes(last)).await.map_err(failed)?;
        }
        upload.complete().await.map_err(failed)?;
        self.upload = None;
        self.inner.see(&place(&self.pack), &self.pack, len, &tail).await?;
        let blob = BlobRow { name: self.name, pack: self.pack, offset: 0, len: self.taken, modified: at };
        Ok(NewPack { name: self.pack, len, hash: Some(hash), seq: self.seq, blobs: vec![blob] })
    }
}

#[async_trait]
impl MultipartUpload for LargeUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let location = self.location.clone();
        let Some(sealer) = &mut self.sealer else {
            return async move { Err(Arc::new(PackError::Closing).tell(&location)) }.boxed();
        };
        for piece in &data {
            sealer.push(piece, &mut self.out);
        }
        self.taken = self.taken.saturating_add(data.content_length() as u64);
        let parts = self.pieces();
        // Sooner than at the end, where all of it would have been sent for nothing.
        let room = self.inner.reserve(self.taken).map(drop);
        let (inner, taken) = (Arc::clone(&self.inner), self.taken);
        async move {
            room.map_err(|error| Arc::new(error).tell(&location))?;
            let sent = futures::future::try_join_all(parts).await.map(drop);
            sent.inspect_err(|error| inner.weighed(taken, Some(error)))
        }
        .boxed()
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        let ended = self.end().await;
        let kept = match self.inner.heard(ended) {
            Ok(pack) => {
                self.settled = true;
                self.inner.finish(pack, None, Ok(())).await
            }
            Err(error) => {
                self.inner.weighed(self.taken, Some(&error));
                self.give_up().await;
                Err(error)
            }
        };
        kept.map_err(|error| Arc::new(error).tell(&self.location))?;
        Ok(put_result())
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        self.give_up().await;
        Ok(())
    }
}

impl LargeUpload {
    async fn give_up(&mut self) {
        self.sealer = None;
        self.settled = true;
        give_up(Arc::clone(&self.inner), self.pack, self.upload.take()).await;
    }
}

/// Whatever fails here is tried again by the tending, or after the next start.
async fn give_up(inner: Arc<Inner>, pack: PackName, upload: Option<Box<dyn MultipartUpload>>) {
    if let Some(mut upload) = upload
        && let Err(error) = upload.abort().await
    {
        tracing::warn!(%error, "an unfinished pack may lie on the store; its vendor can remove those by age");
    }
    if let Err(error) = inner.on_map(move |map| map.give_up(pack)).await {
        tracing::warn!(%error, "an unfinished pack stays noted until the next start");
    }
    inner.tend.notify_one();
}

impl Drop for LargeUpload {
    fn drop(&mut self) {
        // Where the program ends, the next start gives it up.
        if !self.settled
            && let Ok(handle) = tokio::runtime::Handle::try_current()
        {
            let (inner, upload) = (Arc::clone(&self.inner), self.upload.take());
            self.inner.tasks.spawn_on(give_up(inner, self.pack, upload), &handle);
        }
    }
}
