//! From a sealed blob, here or with a peer, to plaintext: batches of chunks are read and opened
//! on blocking threads, one ahead of the one that is being sent.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use freehold_placement::BlobRef;
use freehold_seal::{
    Binding, BlobOpener, CHUNK_LEN, HEADER_LEN, ObjectKey, OpenError, SEALED_CHUNK_LEN, plan_range,
};
use freehold_wire::BucketId;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::depot::read_at;
use crate::{BlobReader, Depot, DepotError, GetError, Peers, Replication};

/// Chunks read and opened at once: 1 MiB.
const BATCH: u64 = 16;
/// A blob of one chunk is read as it is opened, and opened where it is.
const SMALL: u64 = HEADER_LEN as u64 + SEALED_CHUNK_LEN as u64;
/// Holders asked before a blob counts as unreadable.
const TRIES: u32 = 3;

/// Where blobs are read from, and who is told when one is bad.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    pub(crate) depot: Depot,
    pub(crate) peers: Arc<dyn Peers>,
    pub(crate) replication: Arc<dyn Replication>,
}

/// A part to be read.
#[derive(Debug, Clone)]
pub(crate) struct SealedAt {
    pub(crate) bucket: BucketId,
    pub(crate) binding: Binding,
    pub(crate) part: u16,
    pub(crate) blob: BlobRef,
    pub(crate) plain_len: u64,
}

/// Streams a range of a part's plaintext.
pub(crate) fn open_range(
    sources: Sources,
    key: Arc<ObjectKey>,
    part: SealedAt,
    want: Range<u64>,
) -> BoxStream<'static, Result<Bytes, GetError>> {
    futures::stream::once(async move {
        let reader = Reader::open(sources, key, part).await?;
        batches(Arc::new(reader), want)
    })
    .try_flatten()
    .boxed()
}

fn batches(
    reader: Arc<Reader>,
    want: Range<u64>,
) -> Result<impl futures::Stream<Item = Result<Bytes, GetError>> + Send, GetError> {
    let plan = plan_range(reader.part.plain_len, want).map_err(|_| GetError::Tampered)?;
    let (first, end) = (plan.chunks.start, plan.chunks.end);
    let starts = (0..(end - first).div_ceil(BATCH)).map(move |batch| first + batch * BATCH);
    let (skip, take) = (plan.skip, plan.take);
    Ok(futures::stream::iter(starts)
        .map(move |start| {
            let reader = Arc::clone(&reader);
            let chunks = start..end.min(start + BATCH);
            async move {
                let plain = reader.batch(chunks).await?;
                // Where the wanted range lies in this batch.
                let before = (start - first) * CHUNK_LEN as u64;
                let from = skip.saturating_sub(before).min(plain.len() as u64);
                let to = (skip + take).saturating_sub(before).min(plain.len() as u64);
                Ok(plain.slice(index(from)..index(to.max(from))))
            }
        })
        .buffered(2))
}

/// One part, open.
struct Reader {
    sources: Sources,
    key: Arc<ObjectKey>,
    part: SealedAt,
    /// Absent when the blob is not here, or is bad from the start.
    local: Option<(BlobReader, Arc<BlobOpener>)>,
    /// Whether there is a blob of that name here, good or bad.
    here: bool,
    /// From the header that a peer sent; kept while it is right.
    remote: Mutex<Option<Arc<BlobOpener>>>,
}

impl Reader {
    async fn open(sources: Sources, key: Arc<ObjectKey>, part: SealedAt) -> Result<Self, GetError> {
        let blob = &part.blob;
        let first = if blob.len <= SMALL { blob.len } else { HEADER_LEN as u64 };
        let found = match sources.depot.open_reading(blob.name, first).await {
            Ok(found) => Some(found),
            Err(DepotError::Missing { .. }) => {
                sources.replication.lost(&part.bucket, &part.blob);
                None
            }
            Err(error) => return Err(GetError::Depot(error)),
        };
        let mut local = None;
        let here = found.is_some();
        if let Some(found) = found {
            let header = match found.read(0..HEADER_LEN as u64).await {
                Err(error) if error.is_damage() => Vec::new(),
                read => read.map_err(GetError::Depot)?,
            };
            match BlobOpener::new(&key, &part.binding, part.part, part.blob.name, &header) {
                Ok(_) if found.len() != part.blob.len => report(&sources, &part, &OpenError::Excess),
                Ok(opener) => local = Some((found, Arc::new(opener))),
                Err(error) => report(&sources, &part, &error),
            }
        }
        Ok(Self { sources, key, part, local, here, remote: Mutex::new(None) })
    }

    async fn batch(&self, chunks: Range<u64>) -> Result<Bytes, GetError> {
        if let Some((reader, opener)) = &self.local {
            match self.local_batch(reader, opener, chunks.clone()).await {
                Ok(plain) => return Ok(plain),
                Err(GetError::Tampered) => {}
                Err(error) => return Err(error),
            }
        }
        let mut outcome = GetError::Missing;
        for tried in 0..TRIES {
            match self.peer_batch(chunks.clone(), tried).await {
                Ok(plain) => return Ok(plain),
                // Somebody answered, but wrongly: that says more than nobody answering later.
                Err(GetError::Tampered) => outcome = GetError::Tampered,
                Err(_) => {}
            }
        }
        // A copy is here, but bad.
        Err(if self.here { GetError::Tampered } else { outcome })
    }

    async fn local_batch(
        &self,
        reader: &BlobReader,
        opener: &Arc<BlobOpener>,
        chunks: Range<u64>,
    ) -> Result<Bytes, GetError> {
        let range = self.cipher(&chunks);
        if reader.is_held() {
            let cipher = reader.read(range).await.map_err(GetError::Depot)?;
            return open(opener, self.part.plain_len, chunks, cipher).map_err(|error| {
                report(&self.sources, &self.part, &error);
                GetError::Tampered
            });
        }
        let ready = if reader.file().is_some() { None } else { Some(reader.read(range.clone()).await) };
        let file = reader.file().map(Arc::clone);
        let opener = Arc::clone(opener);
        let plain_len = self.part.plain_len;
        let opened = tokio::task::spawn_blocking(move || {
            let cipher = match (ready, file) {
                (Some(cipher), _) => cipher,
                (None, Some(file)) => read_at(&file, range.clone()),
                (None, None) => Ok(Vec::new()),
            };
            cipher.map(|cipher| open(&opener, plain_len, chunks, cipher))
        });
        match opened.await.map_err(|_| GetError::Closing)? {
            Ok(Ok(plain)) => Ok(plain),
            // The backend saw it for itself.
            Err(error) if error.is_damage() => {
                tracing::warn!(blob = %self.part.blob.name.short(), %error, "a blob in the depot is bad");
                self.sources.replication.lost(&self.part.bucket, &self.part.blob);
                Err(GetError::Tampered)
            }
            Err(error) => Err(GetError::Depot(error)),
            Ok(Err(error)) => {
                report(&self.sources, &self.part, &error);
                Err(GetError::Tampered)
            }
        }
    }

    async fn peer_batch(&self, chunks: Range<u64>, tried: u32) -> Result<Bytes, GetError> {
        let range = self.cipher(&chunks);
        let opener = self.remote_opener(tried).await?;
        let cipher = self.fetch(range, tried).await?;
        let plain_len = self.part.plain_len;
        let opened = tokio::task::spawn_blocking(move || open(&opener, plain_len, chunks, cipher))
            .await
            .map_err(|_| GetError::Closing)?;
        opened.map_err(|error| {
            tracing::warn!(blob = %self.part.blob.name.short(), %error, "a peer sent another blob than asked for");
            self.remote.lock().unwrap_or_else(PoisonError::into_inner).take();
            GetError::Tampered
        })
    }

    async fn remote_opener(&self, tried: u32) -> Result<Arc<BlobOpener>, GetError> {
        if let Some(opener) = self.remote.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            return Ok(Arc::clone(opener));
        }
        let header = self.fetch(0..HEADER_LEN as u64, tried).await?;
        let SealedAt { binding, part, blob, .. } = &self.part;
        let opener = BlobOpener::new(&self.key, binding, *part, blob.name, &header);
        let opener = Arc::new(opener.map_err(|_| GetError::Tampered)?);
        *self.remote.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&opener));
        Ok(opener)
    }

    async fn fetch(&self, range: Range<u64>, tried: u32) -> Result<Vec<u8>, GetError> {
        let want = index(range.end - range.start);
        let mut stream = self
            .sources
            .peers
            .fetch(&self.part.bucket, &self.part.blob, range, tried)
            .await
            .map_err(|_| GetError::Missing)?;
        let mut got = BytesMut::new();
        while let Some(piece) = stream.next().await {
            got.extend_from_slice(&piece.map_err(|_| GetError::Missing)?);
            if got.len() > want {
                return Err(GetError::Tampered);
            }
        }
        Ok(got.into())
    }

    fn cipher(&self, chunks: &Range<u64>) -> Range<u64> {
        let at = |chunk: u64| (HEADER_LEN as u64 + chunk * SEALED_CHUNK_LEN as u64).min(self.part.blob.len);
        at(chunks.start)..at(chunks.end)
    }
}

fn open(
    opener: &BlobOpener,
    plain_len: u64,
    chunks: Range<u64>,
    mut cipher: Vec<u8>,
) -> Result<Bytes, OpenError> {
    let len = opener.open_run(plain_len, chunks, &mut cipher)?;
    cipher.truncate(len);
    Ok(cipher.into())
}

fn report(sources: &Sources, part: &SealedAt, error: &OpenError) {
    tracing::warn!(blob = %part.blob.name.short(), %error, "a blob in the depot is not what was written");
    sources.replication.lost(&part.bucket, &part.blob);
}

/// A length that is at most a batch's.
fn index(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
