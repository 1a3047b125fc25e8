//! The index in memory, from the entries on disk: at the start, after a key came, and as entries
//! of other nodes arrive.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use freehold_disk::{EntryRow, StoreError};
use freehold_index::{Carried, Fact, Index, Locator, Stamp};
use freehold_placement::Entry;
use freehold_wire::{BucketId, Hlc, Millis, NodeId};

use super::read::Said;
use super::release::is_release;
use super::{Inner, Vault, now};
use crate::GetError;

/// What is opened in one go, by number and by bytes.
const BATCH_ENTRIES: usize = 256;
const BATCH_BYTES: usize = 1 << 20;

impl Vault {
    /// Opens the entries of a bucket anew: its key has come.
    ///
    /// # Errors
    /// [`StoreError`] if the entry store cannot be read.
    pub async fn reopen(&self, bucket: &BucketId) -> Result<(), StoreError> {
        self.inner.index_mut().forget_releases(bucket);
        self.rebuild(Some(*bucket), (), |(), _, _| ()).await
    }

    /// Makes entries of other nodes visible. They must be durable in the entry store. What cannot
    /// be opened here, for want of a key, is passed over until [`Self::reopen`].
    pub fn apply_remote<'a>(&self, entries: impl IntoIterator<Item = (&'a Entry, Option<&'a [u8]>)>) {
        let inner = &self.inner;
        for (entry, payload) in entries {
            inner.heard(entry.origin, entry.hlc);
            if payload.is_some_and(is_release) {
                if inner.counts(&entry.bucket, &entry.origin, entry.seq) {
                    inner.hear_release(entry, payload.unwrap_or_default(), now());
                }
                continue;
            }
            let heard = payload.and_then(|payload| inner.open_entry(entry, payload));
            for heard in heard.into_iter().chain(inner.sealed_anew_of(&locator_of(entry))) {
                inner.take_in(&mut inner.index_mut(), entry.bucket, heard, Index::apply);
            }
        }
    }

    pub(super) async fn rebuild<S: Send + 'static>(
        &self,
        bucket: Option<BucketId>,
        listener: S,
        tell: fn(&mut S, &Entry, Option<usize>),
    ) -> Result<S, StoreError> {
        let inner = Arc::clone(&self.inner);
        let scanned = tokio::task::spawn_blocking(move || inner.scan(bucket.as_ref(), listener, tell));
        match scanned.await {
            Ok(result) => result,
            Err(_) => Err(StoreError::Closed { path: "entries".into() }),
        }
    }
}

/// Entries and payloads still to be opened.
#[derive(Default)]
struct Batch {
    sealed: Vec<(Entry, Vec<u8>)>,
    bytes: usize,
}

impl Inner {
    /// One thread reads, the others open. The index hears of entries a little out of order: the
    /// same ones win, and what was overtaken may count as overtaken later.
    fn scan<S>(
        &self,
        bucket: Option<&BucketId>,
        mut listener: S,
        tell: fn(&mut S, &Entry, Option<usize>),
    ) -> Result<S, StoreError> {
        let openers = std::thread::available_parallelism().map_or(1, usize::from).clamp(2, 9) - 1;
        let (hand_on, batches) = sync_channel::<Batch>(4 * openers);
        let batches = Mutex::new(batches);
        let mut erased = Vec::new();
        std::thread::scope(|scope| {
            for _ in 0..openers {
                scope.spawn(|| {
                    while let Some(batch) = next(&batches) {
                        self.open_batch(batch);
                    }
                });
            }
            let mut batch = Batch::default();
            let mut see = |row: EntryRow| {
                if row.payload.is_none() && self.shared.keys.has(&row.bucket) {
                    erased.push(Locator { bucket: row.bucket, origin: row.origin, seq: row.seq });
                }
                self.take(row, &mut batch, |entry, payload| tell(&mut listener, entry, payload));
                if batch.sealed.len() >= BATCH_ENTRIES || batch.bytes >= BATCH_BYTES {
                    self.hand_on(&hand_on, std::mem::take(&mut batch));
                }
                ControlFlow::Continue(())
            };
            let read = match bucket {
                Some(bucket) => self.shared.entries.scan_bucket(bucket, &mut see),
                None => self.shared.entries.scan(&mut see),
            };
            self.hand_on(&hand_on, batch);
            drop(hand_on);
            read
        })?;
        self.index_mut().are_erased(&erased);
        Ok(listener)
    }

    fn take(&self, row: EntryRow, batch: &mut Batch, tell: impl FnOnce(&Entry, Option<usize>)) {
        let Ok(entry) = Entry::decode(&row.entry) else {
            tracing::error!(bucket = %row.bucket.short(), seq = row.seq, "an entry on disk does not decode");
            return;
        };
        tell(&entry, row.payload.as_ref().map(Vec::len));
        self.heard(entry.origin, entry.hlc);
        if let Some(payload) = row.payload.as_deref().filter(|payload| is_release(payload)) {
            return self.hear_release(&entry, payload, entry.hlc.wall.min(now()));
        }
        // Erased, or another bucket's business: the directory is not ours to open.
        if let Some(payload) = row.payload.filter(|_| self.shared.keys.has(&entry.bucket)) {
            batch.bytes += payload.len();
            batch.sealed.push((entry, payload));
        }
    }

    /// To an opener; if all are busy the reader opens it itself.
    fn hand_on(&self, openers: &SyncSender<Batch>, batch: Batch) {
        match openers.try_send(batch) {
            Ok(()) => {}
            Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) => self.open_batch(batch),
        }
    }

    fn open_batch(&self, batch: Batch) {
        let open = |(entry, payload): (Entry, Vec<u8>)| {
            self.open_entry(&entry, &payload).map(|heard| (entry.bucket, heard))
        };
        let opened: Vec<_> = batch.sealed.into_iter().filter_map(open).collect();
        // The lock is taken once for many, so that readers are not kept waiting.
        let mut index = self.index_mut();
        for (bucket, heard) in opened {
            self.take_in(&mut index, bucket, heard, Index::restore);
        }
    }

    /// Shows what an entry says, as that of the entry whose content it is, if both count. What was sealed anew
    /// is what it is, whoever did it: of one who may not write, it is made use of where there is nothing else.
    pub(super) fn take_in(
        &self,
        index: &mut Index,
        bucket: BucketId,
        heard: Heard,
        take: fn(&mut Index, BucketId, Stamp, Fact, Millis),
    ) {
        let Heard { entry, stamp, generation, fact, alone } = heard;
        if !self.counts(&bucket, &stamp.origin, stamp.seq) {
            return;
        }
        if fact.is_of_each() {
            // It would be another node's word on its own authority.
            if entry != stamp {
                return;
            }
            // Nobody sees it before the index is let go.
            self.note_word();
        } else if !self.may_say(&bucket, &stamp.origin, stamp.seq) {
            return;
        }
        if entry != stamp {
            let counts = self.counts(&bucket, &entry.origin, entry.seq)
                && self.may_say(&bucket, &entry.origin, entry.seq);
            let by = Carried { counts, generation, stamp: entry };
            index.carried(bucket, stamp, by, alone, entry.hlc.wall.min(now()));
        }
        take(index, bucket, stamp, fact, now());
    }

    fn heard(&self, origin: NodeId, hlc: Hlc) {
        if origin == self.config.node { self.outlast(hlc) } else { self.hear(hlc) }
    }
}

/// What an entry says, and of which entry it is.
pub(super) struct Heard {
    /// The one that says it.
    entry: Stamp,
    /// The one whose content it is: in most cases the same.
    stamp: Stamp,
    generation: u16,
    fact: Fact,
    /// Whether that one cannot be read here.
    alone: bool,
}

impl Heard {
    /// Nothing for what says nothing of a bucket.
    pub(super) fn of(said: &Said, entry: &Entry, alone: bool) -> Option<Self> {
        let entry = Stamp { hlc: entry.hlc, origin: entry.origin, seq: entry.seq };
        let stamp = said.of.as_ref().map_or(entry, |original| original.stamp);
        let generation = u16::try_from(said.key.generation()).unwrap_or(u16::MAX);
        let fact = Fact::of(&said.content, stamp)?.sealed_with(generation);
        Some(Self { entry, stamp, generation, fact, alone })
    }
}

pub(super) fn locator_of(entry: &Entry) -> Locator {
    Locator { bucket: entry.bucket, origin: entry.origin, seq: entry.seq }
}

fn next(batches: &Mutex<Receiver<Batch>>) -> Option<Batch> {
    batches.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

pub(super) fn pass_over(entry: &Entry, error: &GetError) {
    match error {
        GetError::NoBucketKey => {}
        error => tracing::warn!(
            bucket = %entry.bucket.short(), origin = %entry.origin.short(), seq = entry.seq, %error,
            "an entry is passed over: its payload does not open"
        ),
    }
}
