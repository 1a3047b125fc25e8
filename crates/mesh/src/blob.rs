//! Blobs between members: one stream for each, asked for by name and range, sent as it is read.

use std::fmt;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use freehold_wire::{BlobName, NodeId};
use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use iroh::endpoint::{ReadError, ReadExactError, RecvStream, SendStream, VarInt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

use crate::frame::STALL;
use crate::link::Link;
use crate::shared::Shared;
use crate::{Pace, Why};

/// A peer that does not begin to answer for this long is given up.
const ANSWER: Duration = Duration::from_secs(15);
/// A stream of which nothing more comes for this long is given up.
const QUIET: Duration = Duration::from_secs(30);
/// One of which fewer bytes come than these in such a time is given up as well. A slow line shared by
/// all that may be on it at a time does more.
const LEAST: u64 = 20 << 10;
const LEAST_IN: Duration = Duration::from_secs(20);
/// Blobs on their way out at a time, to all; and those of them for which nobody waits.
const PLACES: usize = 64;
const BACKGROUND_PLACES: usize = 48;
/// The largest piece handed on at once.
const PIECE: usize = 64 << 10;

const ASK_READ: u8 = 1;
const ASK_BACKGROUND: u8 = 2;
pub(crate) const QUESTION: usize = 49;

const HERE: u8 = 0;
const NOT_HERE: u8 = 1;
const BUSY: u8 = 2;
const FAILED: u8 = 3;

/// What a blob is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Haste {
    /// Somebody waits for it: it has places of its own, and its bytes go before others.
    Read,
    /// It comes when there is room.
    Background,
}

/// Where blobs for peers come from. The gate has been asked before.
#[async_trait::async_trait]
pub trait BlobSource: Send + Sync + 'static {
    /// Opens a blob for a peer. The range is cut to the blob's length by the source.
    async fn open(&self, to: NodeId, blob: BlobName, range: Range<u64>) -> Result<Served, Unavailable>;
}

/// A blob on its way out.
pub struct Served {
    /// Length of the whole blob, in bytes.
    pub total: u64,
    /// The bytes of the range, cut to the blob's length.
    pub bytes: BoxStream<'static, io::Result<Bytes>>,
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").field("total", &self.total).finish_non_exhaustive()
    }
}

/// Why a blob is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The node does not hold it.
    #[error("the node does not hold this blob")]
    NotHere,
    /// Too much is going on; ask again later, or somebody else.
    #[error("the node is busy")]
    Busy,
    /// It is held, but could not be read.
    #[error("the node could not read this blob")]
    Failed,
}

/// Why a blob did not come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// There is no connection to the node.
    #[error("{0} is not connected")]
    NotConnected(NodeId),
    /// The node said no.
    #[error("{from} does not serve the blob")]
    Unavailable {
        /// Who was asked.
        from: NodeId,
        /// Its answer.
        #[source]
        why: Unavailable,
    },
    /// Too much is being fetched from the node already.
    #[error("too much is being fetched from {0} already")]
    Crowded(NodeId),
    /// No answer, or no further bytes, in time.
    #[error("{0} has gone silent")]
    Silent(NodeId),
    /// Bytes come, but so few that it would take for ever.
    #[error("{0} sends too slowly")]
    Slow(NodeId),
    /// Fewer bytes came than were announced.
    #[error("{from} broke off {missing} bytes before the end")]
    Cut {
        /// Who was asked.
        from: NodeId,
        /// Bytes that were still to come.
        missing: u64,
    },
    /// More bytes came than were announced, or the answer made no sense.
    #[error("{0} broke the protocol")]
    Broke(NodeId),
}

/// A blob on its way in: exactly the bytes of the range cut to the blob's length, or an error.
/// Nothing is known of their truth: the caller compares the hash.
pub struct BlobStream {
    total: u64,
    range: Range<u64>,
    bytes: BoxStream<'static, Result<Bytes, FetchError>>,
}

impl BlobStream {
    /// Length of the whole blob as its holder says, in bytes.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// The range that comes: the one asked for, cut to the blob's length.
    pub const fn range(&self) -> &Range<u64> {
        &self.range
    }
}

impl fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobStream")
            .field("total", &self.total)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

impl Stream for BlobStream {
    type Item = Result<Bytes, FetchError>;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.bytes.as_mut().poll_next(cx)
    }
}

fn cut_to(range: &Range<u64>, total: u64) -> Range<u64> {
    let end = range.end.min(total);
    range.start.min(end)..end
}

/// Asks a peer for a range of a blob.
pub(crate) async fn fetch(
    link: Arc<Link>,
    blob: BlobName,
    range: Range<u64>,
    haste: Haste,
) -> Result<BlobStream, FetchError> {
    let from = link.node;
    let deadline = Instant::now() + ANSWER;
    let lost = || FetchError::NotConnected(from);
    // A stream that breaks off may take the beginning of the answer with it.
    let unread = |error| match error {
        ReadExactError::ReadError(ReadError::ConnectionLost(_)) => lost(),
        ReadExactError::ReadError(_) | ReadExactError::FinishedEarly(_) => {
            FetchError::Unavailable { from, why: Unavailable::Failed }
        }
    };
    let place = timeout_at(deadline, Arc::clone(link.places(haste)).acquire_owned()).await;
    let place = place.map_err(|_| FetchError::Crowded(from))?.map_err(|_| lost())?;
    let ask = async {
        let (mut tx, mut rx) = link.connection.open_bi().await.map_err(|_| lost())?;
        tx.write_all(&question(haste, blob, &range)).await.map_err(|_| lost())?;
        // Failures show when the answer is read.
        drop(tx.finish());
        let mut verdict = [0u8];
        rx.read_exact(&mut verdict).await.map_err(unread)?;
        let why = match verdict {
            [HERE] => {
                let mut total = [0u8; 8];
                rx.read_exact(&mut total).await.map_err(unread)?;
                return Ok((u64::from_be_bytes(total), rx));
            }
            [NOT_HERE] => Unavailable::NotHere,
            [BUSY] => Unavailable::Busy,
            [FAILED] => Unavailable::Failed,
            _ => return Err(FetchError::Broke(from)),
        };
        Err(FetchError::Unavailable { from, why })
    };
    let (total, rx) = timeout_at(deadline, ask).await.unwrap_or(Err(FetchError::Silent(from)))?;
    let range = cut_to(&range, total);
    let missing = range.end - range.start;
    let pace = Pace::new(LEAST, LEAST_IN);
    let arriving = Arriving { from, rx, missing, pace, ended: false, _place: place };
    let bytes = stream::unfold(arriving, |mut arriving| async move {
        let next = arriving.next().await?;
        Some((next, arriving))
    });
    Ok(BlobStream { total, range, bytes: bytes.boxed() })
}

/// The reading side. Dropping it tells the peer to stop.
struct Arriving {
    from: NodeId,
    rx: RecvStream,
    missing: u64,
    pace: Pace,
    ended: bool,
    _place: OwnedSemaphorePermit,
}

impl Arriving {
    async fn next(&mut self) -> Option<Result<Bytes, FetchError>> {
        if self.ended {
            return None;
        }
        let begun = Instant::now();
        let read = timeout(QUIET, self.rx.read_chunk(PIECE)).await;
        let waited = begun.elapsed();
        let error = match read {
            Err(_) => FetchError::Silent(self.from),
            Ok(Ok(Some(piece))) => match self.missing.checked_sub(piece.len() as u64) {
                Some(missing) if missing > 0 && self.pace.is_too_slow(waited, piece.len() as u64) => {
                    FetchError::Slow(self.from)
                }
                Some(missing) => {
                    self.missing = missing;
                    return Some(Ok(piece));
                }
                None => FetchError::Broke(self.from),
            },
            Ok(Ok(None)) if self.missing == 0 => {
                self.ended = true;
                return None;
            }
            Ok(Ok(None) | Err(_)) => FetchError::Cut { from: self.from, missing: self.missing },
        };
        self.ended = true;
        Some(Err(error))
    }
}

pub(crate) fn question(haste: Haste, blob: BlobName, range: &Range<u64>) -> Vec<u8> {
    let kind = match haste {
        Haste::Read => ASK_READ,
        Haste::Background => ASK_BACKGROUND,
    };
    [&[kind], blob.as_bytes().as_slice(), &range.start.to_be_bytes(), &range.end.to_be_bytes()].concat()
}

pub(crate) fn read_question(bytes: [u8; QUESTION]) -> Option<(Haste, BlobName, Range<u64>)> {
    let (kind, rest) = bytes.split_first()?;
    let haste = match *kind {
        ASK_READ => Haste::Read,
        ASK_BACKGROUND => Haste::Background,
        _ => return None,
    };
    let (name, rest) = rest.split_first_chunk::<32>()?;
    let (start, end) = rest.split_first_chunk::<8>()?;
    let range = u64::from_be_bytes(*start)..u64::from_be_bytes(end.try_into().ok()?);
    (range.start <= range.end).then_some((haste, BlobName::from_bytes(*name), range))
}

/// Places for blobs on their way out.
pub(crate) struct Places {
    all: Semaphore,
    background: Semaphore,
}

impl Places {
    pub(crate) const fn new() -> Self {
        let background = Semaphore::const_new(BACKGROUND_PLACES);
        Self { all: Semaphore::const_new(PLACES), background }
    }

    fn take(&self, haste: Haste) -> Option<(SemaphorePermit<'_>, Option<SemaphorePermit<'_>>)> {
        let background = match haste {
            Haste::Read => None,
            Haste::Background => Some(self.background.try_acquire().ok()?),
        };
        Some((self.all.try_acquire().ok()?, background))
    }
}

/// Answers a peer's questions for blobs as long as the link lives. QUIC's limit on streams is the
/// limit on blobs at a time for one peer.
pub(crate) async fn serve_all(shared: Arc<Shared>, link: Arc<Link>) {
    let mut serving = JoinSet::new();
    loop {
        tokio::select! {
            stream = link.connection.accept_bi() => {
                let Ok((tx, rx)) = stream else { return };
                if !shared.gate.admits(link.node) {
                    link.close(Why::Cut);
                    return;
                }
                serving.spawn(serve(Arc::clone(&shared), Arc::clone(&link), tx, rx));
            }
            Some(_) = serving.join_next() => {}
        }
    }
}

async fn serve(shared: Arc<Shared>, link: Arc<Link>, mut tx: SendStream, mut rx: RecvStream) {
    let mut bytes = [0u8; QUESTION];
    if !matches!(timeout(ANSWER, rx.read_exact(&mut bytes)).await, Ok(Ok(()))) {
        // Whoever asked has given it up while its question was under way: that ends this stream only.
        drop(tx.reset(VarInt::from_u32(u32::from(FAILED))));
        return;
    }
    let Some((haste, blob, range)) = read_question(bytes) else {
        link.close(Why::Broke);
        return;
    };
    let Some(_places) = shared.blob_places.take(haste) else {
        return refuse(tx, Unavailable::Busy).await;
    };
    // Fails only if the stream is gone, which shows below.
    drop(tx.set_priority(i32::from(haste == Haste::Read)));
    let opened = timeout(ANSWER, shared.blobs.open(link.node, blob, range.clone())).await;
    let served = match opened {
        Ok(Ok(served)) => served,
        Ok(Err(why)) => return refuse(tx, why).await,
        Err(_) => return refuse(tx, Unavailable::Failed).await,
    };
    if let Err(error) = send(&mut tx, served, &range).await {
        debug!(peer = %link.node.short(), blob = %blob.short(), %error, "a blob was not sent to its end");
        // The stream may be gone already.
        drop(tx.reset(VarInt::from_u32(u32::from(FAILED))));
    }
}

async fn refuse(mut tx: SendStream, why: Unavailable) {
    let verdict = match why {
        Unavailable::NotHere => NOT_HERE,
        Unavailable::Busy => BUSY,
        Unavailable::Failed => FAILED,
    };
    // Whoever asked may have gone.
    drop(timeout(ANSWER, tx.write_all(&[verdict])).await);
}

async fn send(tx: &mut SendStream, served: Served, range: &Range<u64>) -> io::Result<()> {
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let range = cut_to(range, served.total);
    let mut missing = range.end - range.start;
    let head = [&[HERE], served.total.to_be_bytes().as_slice()].concat();
    timeout(STALL, tx.write_all(&head)).await.map_err(late)??;
    let mut bytes = served.bytes;
    while let Some(piece) = timeout(STALL, bytes.next()).await.map_err(late)? {
        let piece = piece?;
        missing = missing.checked_sub(piece.len() as u64).ok_or(io::ErrorKind::InvalidData)?;
        timeout(STALL, tx.write_chunk(piece)).await.map_err(late)??;
    }
    if missing > 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // Nobody left to read it is not an error of ours.
    drop(tx.finish());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_round_trip() {
        let (blob, range) = (BlobName::from_bytes([3; 32]), 5..u64::MAX);
        for haste in [Haste::Read, Haste::Background] {
            let bytes: [u8; QUESTION] = question(haste, blob, &range).try_into().unwrap();
            assert_eq!(read_question(bytes), Some((haste, blob, range.clone())));
        }
        assert_eq!(read_question([1; QUESTION]).map(|(.., range)| range.is_empty()), Some(true));
        assert_eq!(read_question([0; QUESTION]), None);
        assert_eq!(read_question([3; QUESTION]), None);
    }

    #[test]
    fn ranges_are_cut_to_the_blob() {
        assert_eq!(cut_to(&(2..9), 5), 2..5);
        assert_eq!(cut_to(&(7..9), 5), 5..5);
        assert_eq!(cut_to(&(0..u64::MAX), 0), 0..0);
    }
}
