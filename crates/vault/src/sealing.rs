//! From a client's body to a sealed blob in the depot, in constant memory: while one batch is
//! sealed and hashed on blocking threads, the one before is being written and the next one comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use freehold_disk::OsEntropy;
use freehold_placement::BlobRef;
use freehold_seal::{Binding, BlobSealer, ObjectKey, SealedSummary, cipher_len};
use futures::StreamExt as _;
use md5::{Digest as _, Md5};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::depot::PendingBlob;
use crate::{AtEnd, Body, Depot, Expect, PutError};

/// Plaintext of one body sealed at once, and of all bodies together: the more there are, the
/// smaller are their batches. About nine batches of a body are in memory at a time.
const BATCH: usize = 1 << 20;
const BATCHES: usize = 4 << 20;
/// Below this the hops between threads would cost more than the work.
const BATCH_MIN: usize = 128 << 10;
/// Up to here a whole body is sealed where it is: a thread hop costs more than the work.
const INLINE: usize = 32 << 10;
/// What such a body grows by at most: its header, and the tag of its one chunk.
const INLINE_ROOM: usize = 256;
/// The largest object, as in S3.
pub(crate) const SIZE_MAX: u64 = 5 << 40;

/// A part that is sealed and, but for a small one, durable; nothing refers to it yet.
#[derive(Debug)]
pub(crate) struct SealedPart {
    /// A small one, for the transaction of what will refer to it.
    pub(crate) small: Option<PendingBlob>,
    pub(crate) blob: BlobRef,
    pub(crate) plain_len: u64,
    pub(crate) md5: [u8; 16],
    pub(crate) checksums: Vec<freehold_seal::Checksum>,
}

/// Shares memory and processors among all bodies that are being sealed.
#[derive(Debug)]
pub(crate) struct Press {
    bodies: AtomicUsize,
    /// One for each processor: more threads at work would only hold more memory.
    places: Arc<Semaphore>,
}

impl Default for Press {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(2, usize::from).max(2);
        Self { bodies: AtomicUsize::new(0), places: Arc::new(Semaphore::new(processors)) }
    }
}

impl Press {
    fn enter(&self) -> Share<'_> {
        self.bodies.fetch_add(1, Ordering::Relaxed);
        Share(self)
    }

    /// Waits for a processor.
    async fn place(&self) -> Result<Place, PutError> {
        Arc::clone(&self.places).acquire_owned().await.map(Place).map_err(|_| PutError::Closing)
    }
}

/// A processor, until the work is done.
struct Place(OwnedSemaphorePermit);

impl Place {
    fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop(self.0);
            done
        })
    }
}

/// One body's share.
struct Share<'a>(&'a Press);

impl Share<'_> {
    /// How much to seal at once, as many bodies as there are now.
    fn batch(&self) -> usize {
        let bodies = self.0.bodies.load(Ordering::Relaxed).max(1);
        // Few different sizes, so that memory that comes back fits what is asked for next.
        (BATCHES / bodies.next_power_of_two()).clamp(BATCH_MIN, BATCH)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.0.bodies.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a part is sealed as.
pub(crate) struct Target<'a> {
    pub(crate) press: &'a Press,
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
    body: Body,
) -> Result<SealedPart, PutError> {
    if let Some(len) = expect.len.filter(|len| *len > SIZE_MAX) {
        return Err(PutError::TooLarge(len));
    }
    let sealer = BlobSealer::new(target.key, &target.binding, target.part, &mut OsEntropy);
    let name = sealer.name();
    let mut writer = target.depot.begin(name, expect.len.and_then(cipher_len)).map_err(PutError::Depot)?;
    let share = target.press.enter();
    let mut work = Work::new(sealer);
    let mut source = Source { body, rest: None, expected: expect.len, len: 0 };
    let finished = loop {
        let size = share.batch();
        writer.gather(2 * size);
        let batch = source.gather(size).await?;
        if let Some(sealed) = work.settle().await? {
            writer.write(sealed).await.map_err(PutError::Depot)?;
        }
        if batch.last && source.len <= INLINE as u64 {
            break work.finish_inline(&batch.pieces)?;
        }
        if !batch.pieces.is_empty() {
            work.start(target.press, batch.pieces).await?;
        }
        if batch.last {
            if let Some(sealed) = work.settle().await? {
                writer.write(sealed).await.map_err(PutError::Depot)?;
            }
            let place = target.press.place().await?;
            break work.finish(place).await?;
        }
    };
    let Finished { rest, summary, md5 } = finished;
    writer.write(rest).await.map_err(PutError::Depot)?;
    if let Some(expected) = expect.len.filter(|expected| *expected != source.len) {
        return Err(PutError::Length { expected, got: source.len });
    }
    if expect.md5.is_some_and(|expected| expected != md5) {
        return Err(PutError::Digest);
    }
    let checksums = at_end.map_or(Ok(Vec::new()), |check| check()).map_err(PutError::Refused)?;
    let small = writer.finish_with_entry().await.map_err(PutError::Depot)?;
    let blob = BlobRef { name, len: summary.cipher_len, hash: summary.hash };
    Ok(SealedPart { small, blob, plain_len: summary.plain_len, md5, checksums })
}

struct Batch {
    pieces: Vec<Bytes>,
    last: bool,
}

/// A body, cut into batches.
struct Source {
    body: Body,
    /// What came with the last batch and is more than was wanted.
    rest: Option<Bytes>,
    expected: Option<u64>,
    /// Bytes that came so far.
    len: u64,
}

impl Source {
    /// Takes a batch; only the last one is shorter.
    async fn gather(&mut self, size: usize) -> Result<Batch, PutError> {
        let mut pieces = Vec::new();
        let mut room = size;
        while room > 0 {
            let mut piece = match self.rest.take() {
                Some(piece) => piece,
                None => match self.next().await? {
                    Some(piece) => piece,
                    None => return Ok(Batch { pieces, last: true }),
                },
            };
            if piece.len() > room {
                self.rest = Some(piece.split_off(room));
            }
            room -= piece.len();
            pieces.push(piece);
        }
        Ok(Batch { pieces, last: false })
    }

    /// What comes next. The length is checked as it grows.
    async fn next(&mut self) -> Result<Option<Bytes>, PutError> {
        let Some(piece) = self.body.next().await else { return Ok(None) };
        let piece = piece.map_err(PutError::Body)?;
        self.len = self.len.saturating_add(piece.len() as u64);
        match self.expected {
            Some(expected) if self.len > expected => Err(PutError::Length { expected, got: self.len }),
            _ if self.len > SIZE_MAX => Err(PutError::TooLarge(self.len)),
            _ => Ok(Some(piece)),
        }
    }
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
    async fn start(&mut self, press: &Press, pieces: Vec<Bytes>) -> Result<(), PutError> {
        let to_hash = pieces.clone();
        self.hash(press.place().await?, to_hash)?;
        self.seal(press.place().await?, pieces)
    }

    fn hash(&mut self, place: Place, pieces: Vec<Bytes>) -> Result<(), PutError> {
        let mut md5 = self.md5.take().ok_or(PutError::Closing)?;
        self.hashing = Some(place.run(move || {
            for piece in &pieces {
                md5.update(piece);
            }
            md5
        }));
        Ok(())
    }

    fn seal(&mut self, place: Place, pieces: Vec<Bytes>) -> Result<(), PutError> {
        let sealer = self.sealer.take().ok_or(PutError::Closing)?;
        let out = room(&pieces);
        self.sealing = Some(place.run(move || seal(sealer, &pieces, out)));
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

    async fn finish(self, place: Place) -> Result<Finished, PutError> {
        let (Some(sealer), Some(md5)) = (self.sealer, self.md5) else { return Err(PutError::Closing) };
        let out = room(&[]);
        place.run(move || finish(sealer, md5, out)).await.map_err(|_| PutError::Closing)
    }

    fn finish_inline(self, pieces: &[Bytes]) -> Result<Finished, PutError> {
        let (Some(sealer), Some(mut md5)) = (self.sealer, self.md5) else { return Err(PutError::Closing) };
        for piece in pieces {
            md5.update(piece);
        }
        let (sealer, sealed) = seal(sealer, pieces, Vec::with_capacity(INLINE_ROOM + total(pieces)))?;
        Ok(finish(sealer, md5, sealed))
    }
}

/// Memory for what is sealed. It is asked for here, and not on the thread that seals: an allocator
/// keeps what comes back for the thread that had asked for it, and of those there are many. That
/// halved the memory of ten parts at a time.
fn room(pieces: &[Bytes]) -> Vec<u8> {
    let plain = total(pieces);
    // Header, tags, and the chunk that was held back.
    Vec::with_capacity(plain + plain / 1024 + (66 << 10))
}

fn total(pieces: &[Bytes]) -> usize {
    pieces.iter().map(Bytes::len).sum()
}

fn seal(mut sealer: BlobSealer, pieces: &[Bytes], mut out: Vec<u8>) -> Sealed {
    for piece in pieces {
        sealer.push(piece, &mut out).map_err(|_| PutError::TooLarge(freehold_seal::PLAIN_MAX))?;
    }
    Ok((sealer, out))
}

fn finish(sealer: BlobSealer, md5: Md5, mut sealed: Vec<u8>) -> Finished {
    let summary = sealer.finish(&mut sealed);
    Finished { rest: sealed.into(), summary, md5: md5.finalize().into() }
}

#[cfg(test)]
mod tests;
