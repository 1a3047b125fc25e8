//! From a client's body to a sealed blob in the depot, in constant memory: while one batch is
//! sealed and hashed on blocking threads, the one before is being written and the next one comes.

use bytes::Bytes;
use freehold_disk::OsEntropy;
use freehold_placement::BlobRef;
use freehold_seal::{Binding, BlobSealer, ObjectKey, SealedSummary, cipher_len};
use futures::StreamExt as _;
use md5::{Digest as _, Md5};
use tokio::task::JoinHandle;

use crate::{AtEnd, Body, Depot, Expect, PutError};

/// Plaintext sealed at once.
const BATCH: usize = 1 << 20;
/// Up to here a whole body is sealed where it is: a thread hop costs more than the work.
const INLINE: usize = 32 << 10;
/// The largest object, as in S3.
pub(crate) const SIZE_MAX: u64 = 5 << 40;

/// A part that is sealed and durable, but which nothing refers to yet.
#[derive(Debug)]
pub(crate) struct SealedPart {
    pub(crate) blob: BlobRef,
    pub(crate) plain_len: u64,
    pub(crate) md5: [u8; 16],
    pub(crate) checksums: Vec<freehold_seal::Checksum>,
}

/// What a part is sealed as.
pub(crate) struct Target<'a> {
    pub(crate) depot: &'a Depot,
    pub(crate) key: &'a ObjectKey,
    pub(crate) binding: Binding,
    pub(crate) part: u16,
}

/// Seals a body into the depot.
pub(crate) async fn seal_body(
    target: Target<'_>,
    expect: &Expect,
    at_end: Option<AtEnd>,
    mut body: Body,
) -> Result<SealedPart, PutError> {
    if let Some(len) = expect.len.filter(|len| *len > SIZE_MAX) {
        return Err(PutError::TooLarge(len));
    }
    let sealer = BlobSealer::new(target.key, &target.binding, target.part, &mut OsEntropy);
    let name = sealer.name();
    let mut writer = target.depot.begin(name, expect.len.and_then(cipher_len)).map_err(PutError::Depot)?;
    let mut work = Work::new(sealer);
    let mut len = 0u64;
    let finished = loop {
        let batch = gather(&mut body, expect.len, &mut len).await?;
        if let Some(sealed) = work.settle().await? {
            writer.write(sealed).await.map_err(PutError::Depot)?;
        }
        if batch.last && len <= INLINE as u64 {
            break work.finish_inline(&batch.pieces)?;
        }
        work.start(batch.pieces)?;
        if batch.last {
            if let Some(sealed) = work.settle().await? {
                writer.write(sealed).await.map_err(PutError::Depot)?;
            }
            break work.finish().await?;
        }
    };
    let Finished { rest, summary, md5 } = finished;
    writer.write(rest).await.map_err(PutError::Depot)?;
    if let Some(expected) = expect.len.filter(|expected| *expected != len) {
        return Err(PutError::Length { expected, got: len });
    }
    if expect.md5.is_some_and(|expected| expected != md5) {
        return Err(PutError::Digest);
    }
    let checksums = at_end.map_or(Ok(Vec::new()), |check| check()).map_err(PutError::Refused)?;
    writer.finish().await.map_err(PutError::Depot)?;
    let blob = BlobRef { name, len: summary.cipher_len, hash: summary.hash };
    Ok(SealedPart { blob, plain_len: summary.plain_len, md5, checksums })
}

struct Batch {
    pieces: Vec<Bytes>,
    last: bool,
}

/// Takes about a batch from the body. `len` counts all of it and is checked as it grows.
async fn gather(body: &mut Body, expected: Option<u64>, len: &mut u64) -> Result<Batch, PutError> {
    let mut pieces = Vec::new();
    let mut size = 0;
    while size < BATCH {
        let Some(piece) = body.next().await else { return Ok(Batch { pieces, last: true }) };
        let piece = piece.map_err(PutError::Body)?;
        size += piece.len();
        *len = len.saturating_add(piece.len() as u64);
        if let Some(expected) = expected.filter(|expected| *len > *expected) {
            return Err(PutError::Length { expected, got: *len });
        }
        if *len > SIZE_MAX {
            return Err(PutError::TooLarge(*len));
        }
        pieces.push(piece);
    }
    Ok(Batch { pieces, last: false })
}

struct Finished {
    rest: Bytes,
    summary: SealedSummary,
    md5: [u8; 16],
}

type Sealed = Result<(BlobSealer, Vec<u8>), PutError>;

/// The sealer and the MD5, each on its own blocking thread while a batch is worked on.
struct Work {
    sealer: Option<BlobSealer>,
    md5: Option<Md5>,
    sealing: Option<JoinHandle<Sealed>>,
    hashing: Option<JoinHandle<Md5>>,
}

impl Work {
    fn new(sealer: BlobSealer) -> Self {
        Self { sealer: Some(sealer), md5: Some(Md5::new()), sealing: None, hashing: None }
    }

    /// Starts on a batch; the one before must be settled.
    fn start(&mut self, pieces: Vec<Bytes>) -> Result<(), PutError> {
        let (Some(sealer), Some(mut md5)) = (self.sealer.take(), self.md5.take()) else {
            return Err(PutError::Closing);
        };
        let to_hash = pieces.clone();
        self.hashing = Some(tokio::task::spawn_blocking(move || {
            for piece in &to_hash {
                md5.update(piece);
            }
            md5
        }));
        self.sealing = Some(tokio::task::spawn_blocking(move || seal(sealer, &pieces)));
        Ok(())
    }

    /// Waits for the batch under way.
    async fn settle(&mut self) -> Result<Option<Bytes>, PutError> {
        let Some(sealing) = self.sealing.take() else { return Ok(None) };
        let (sealer, sealed) = sealing.await.map_err(|_| PutError::Closing)??;
        self.sealer = Some(sealer);
        if let Some(hashing) = self.hashing.take() {
            self.md5 = Some(hashing.await.map_err(|_| PutError::Closing)?);
        }
        Ok(Some(sealed.into()))
    }

    async fn finish(self) -> Result<Finished, PutError> {
        let (Some(sealer), Some(md5)) = (self.sealer, self.md5) else { return Err(PutError::Closing) };
        tokio::task::spawn_blocking(move || finish(sealer, md5, Vec::new()))
            .await
            .map_err(|_| PutError::Closing)
    }

    fn finish_inline(self, pieces: &[Bytes]) -> Result<Finished, PutError> {
        let (Some(sealer), Some(mut md5)) = (self.sealer, self.md5) else { return Err(PutError::Closing) };
        for piece in pieces {
            md5.update(piece);
        }
        let (sealer, sealed) = seal(sealer, pieces)?;
        Ok(finish(sealer, md5, sealed))
    }
}

fn seal(mut sealer: BlobSealer, pieces: &[Bytes]) -> Sealed {
    let plain: usize = pieces.iter().map(Bytes::len).sum();
    // Header, tags, and the chunk that was held back.
    let mut out = Vec::with_capacity(plain + plain / 1024 + (66 << 10));
    for piece in pieces {
        sealer.push(piece, &mut out).map_err(|_| PutError::TooLarge(freehold_seal::PLAIN_MAX))?;
    }
    Ok((sealer, out))
}

fn finish(sealer: BlobSealer, md5: Md5, mut sealed: Vec<u8>) -> Finished {
    let summary = sealer.finish(&mut sealed);
    Finished { rest: sealed.into(), summary, md5: md5.finalize().into() }
}
