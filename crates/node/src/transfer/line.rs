//! Ranges of a blob from other nodes: from one after the other for whoever reads, and from one for as
//! long as it takes for a copy.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use freehold_mesh::{FetchError, Haste, Mesh, Pace, Unavailable};
use freehold_wire::{BlobName, NodeId};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::time::{Instant, sleep, timeout};

/// Bytes on their way.
pub(crate) type Coming = BoxStream<'static, Result<Bytes, FetchError>>;

/// While somebody else could be asked, a read waits this long for bytes, and wants so many in that
/// time.
const READ_WAIT: Duration = Duration::from_secs(5);
const READ_LEAST: u64 = 64 << 10;
/// Who kept a read waiting is asked last for this long.
const SLOW_FOR: Duration = Duration::from_mins(10);
/// A copy wants so many bytes in such a time from a node at the first attempt, and half as many at
/// each further one.
const COPY_LEAST: u64 = 256 << 10;
const COPY_WINDOW: Duration = Duration::from_mins(1);
/// A copy of which so much has come is gone on with when the connection breaks, if it is there again
/// within this time.
const WORTH: u64 = 8 << 20;
const RESUME_WITHIN: Duration = Duration::from_mins(5);
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Opens ranges of one blob.
#[async_trait]
pub(crate) trait Line: Send + Sync + 'static {
    async fn open(&self, from: NodeId, range: Range<u64>) -> Result<Coming, FetchError>;
}

/// The same over the mesh.
pub(crate) struct MeshLine {
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) blob: BlobName,
    pub(crate) haste: Haste,
}

#[async_trait]
impl Line for MeshLine {
    async fn open(&self, from: NodeId, range: Range<u64>) -> Result<Coming, FetchError> {
        Ok(self.mesh.fetch_blob(from, self.blob, range, self.haste).await?.boxed())
    }
}

/// Who kept reads waiting lately.
#[derive(Debug, Default)]
pub(crate) struct Slow(Mutex<BTreeMap<NodeId, Instant>>);

impl Slow {
    fn note(&self, node: NodeId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(node, Instant::now());
    }

    /// Puts them last.
    pub(crate) fn sort(&self, nodes: &mut [NodeId]) {
        let mut slow = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slow.retain(|_, since| since.elapsed() < SLOW_FOR);
        nodes.sort_by_key(|node| slow.contains_key(node));
    }
}

/// A range for whoever reads: from the next node if one is too slow or breaks off.
pub(crate) struct Read<L> {
    line: L,
    range: Range<u64>,
    left: VecDeque<NodeId>,
    slow: Arc<Slow>,
    now: Option<(NodeId, Coming, Pace)>,
}

impl<L: Line> Read<L> {
    /// Asks these, in order, until one begins to answer.
    pub(crate) async fn begin(
        line: L,
        range: Range<u64>,
        nodes: impl IntoIterator<Item = NodeId>,
        slow: Arc<Slow>,
    ) -> Result<Option<Coming>, FetchError> {
        let left: VecDeque<NodeId> = nodes.into_iter().collect();
        if left.is_empty() {
            return Ok(None);
        }
        let mut read = Self { line, range, left, slow, now: None };
        read.turn_to_next().await?;
        let stream = futures::stream::unfold(Some(read), |read| async move {
            let mut read = read?;
            match read.next().await? {
                Ok(piece) => Some((Ok(piece), Some(read))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(Some(stream.boxed()))
    }

    async fn turn_to_next(&mut self) -> Result<(), FetchError> {
        self.now = None;
        loop {
            let Some(node) = self.left.pop_front() else { return Ok(()) };
            let open = self.line.open(node, self.range.clone());
            let opened = if self.left.is_empty() {
                open.await
            } else {
                timeout(READ_WAIT, open).await.unwrap_or(Err(FetchError::Silent(node)))
            };
            match opened {
                Ok(stream) => {
                    self.now = Some((node, stream, Pace::new(READ_LEAST, READ_WAIT)));
                    return Ok(());
                }
                Err(error) => {
                    self.note(node, &error);
                    if self.left.is_empty() {
                        return Err(error);
                    }
                }
            }
        }
    }

    fn note(&self, node: NodeId, error: &FetchError) {
        if matches!(error, FetchError::Silent(_) | FetchError::Slow(_) | FetchError::Broke(_)) {
            self.slow.note(node);
        }
    }

    async fn next(&mut self) -> Option<Result<Bytes, FetchError>> {
        loop {
            let is_last = self.left.is_empty();
            let (node, stream, pace) = self.now.as_mut()?;
            let node = *node;
            let begun = Instant::now();
            let next = if is_last {
                stream.next().await
            } else {
                timeout(READ_WAIT, stream.next()).await.unwrap_or(Some(Err(FetchError::Silent(node))))
            };
            let error = match next? {
                Ok(piece) if !is_last && pace.is_too_slow(begun.elapsed(), piece.len() as u64) => {
                    FetchError::Slow(node)
                }
                Ok(piece) => {
                    self.range.start = self.range.start.saturating_add(piece.len() as u64);
                    return Some(Ok(piece));
                }
                Err(error) => error,
            };
            self.note(node, &error);
            if is_last {
                return Some(Err(error));
            }
            if let Err(error) = self.turn_to_next().await {
                return Some(Err(error));
            }
        }
    }
}

/// A whole blob from one node, over several connections if need be.
pub(crate) struct Copy<L> {
    line: L,
    from: NodeId,
    range: Range<u64>,
    now: Option<Coming>,
    pace: Pace,
    came: u64,
    /// When the last piece came.
    last: Instant,
    pause: Duration,
}

impl<L: Line> Copy<L> {
    /// `patience` counts the attempts before.
    pub(crate) fn of(line: L, from: NodeId, len: u64, patience: u32) -> Self {
        let least = COPY_LEAST.checked_shr(patience).unwrap_or(0);
        let pace = Pace::new(least, COPY_WINDOW);
        let (last, pause) = (Instant::now(), PAUSE_MIN);
        Self { line, from, range: 0..len, now: None, pace, came: 0, last, pause }
    }

    /// The bytes.
    pub(crate) fn stream(self) -> Coming {
        let stream = futures::stream::unfold(Some(self), |copy| async move {
            let mut copy = copy?;
            match copy.next().await? {
                Ok(piece) => Some((Ok(piece), Some(copy))),
                Err(error) => Some((Err(error), None)),
            }
        });
        stream.boxed()
    }

    async fn next(&mut self) -> Option<Result<Bytes, FetchError>> {
        loop {
            let begun = Instant::now();
            let next = match &mut self.now {
                Some(stream) => stream.next().await,
                None => match self.line.open(self.from, self.range.clone()).await {
                    Ok(stream) => {
                        self.now = Some(stream);
                        continue;
                    }
                    Err(error) => Some(Err(error)),
                },
            };
            match next? {
                Ok(piece) => {
                    self.range.start = self.range.start.saturating_add(piece.len() as u64);
                    self.came = self.came.saturating_add(piece.len() as u64);
                    (self.last, self.pause) = (Instant::now(), PAUSE_MIN);
                    let is_done = self.range.is_empty();
                    if !is_done && self.pace.is_too_slow(begun.elapsed(), piece.len() as u64) {
                        return Some(Err(FetchError::Slow(self.from)));
                    }
                    return Some(Ok(piece));
                }
                Err(error) if self.is_worth_waiting(&error) => {
                    self.now = None;
                    sleep(self.pause).await;
                    self.pause = (self.pause * 2).min(PAUSE_MAX);
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Whether the line may be back soon, and much would have to come again.
    fn is_worth_waiting(&self, error: &FetchError) -> bool {
        let passes = match error {
            FetchError::Unavailable { why, .. } => *why != Unavailable::NotHere,
            FetchError::Slow(_) | FetchError::Broke(_) => false,
            _ => true,
        };
        passes && self.came >= WORTH && self.last.elapsed() < RESUME_WITHIN
    }
}

#[cfg(test)]
mod tests;
