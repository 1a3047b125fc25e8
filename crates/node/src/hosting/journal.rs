//! What a backend's node knows is kept on its store as well: seconds after it changes in a part of the
//! journal, and now and then anew altogether. With the letter to the guardians, another machine can be
//! that node again.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use freehold_backend::{Cutter, Packed, Part};
use freehold_crypt::hash::digest;
use freehold_disk::EntryRow;
use freehold_realm::audit::Export;
use freehold_wire::{Bounded, BucketId, Digest, Millis, NodeId, OpId, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

use super::Lodger;
use super::letter::Mail;
use crate::clock;
use crate::problem::chain;
use crate::shared::Shared;

/// How often it is looked for something new.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How soon it is tried again after a failure.
const AGAIN: Duration = Duration::from_secs(20);
/// What is told anew altogether is not told sooner than after so many bytes, nor later than this, if
/// anything came: what was erased leaves the store then.
const LEAST: u64 = 4 << 20;
const ANEW_AFTER: Millis = Millis::from_hours(7 * 24);
/// Entries read at once.
const BATCH: usize = 256;
const META: &str = "journal";
const META_MAX: usize = 64 << 20;

/// How far the journal on the store is.
#[derive(Debug, Clone, Default, Encode, Decode)]
#[cbor(array)]
struct Kept {
    /// The first part that counts; those before it are told anew.
    #[n(0)]
    base: u64,
    /// Bytes when all was told anew, and since.
    #[n(1)]
    whole: u64,
    #[n(2)]
    since: u64,
    #[n(3)]
    at: Millis,
    /// Of the operations, together.
    #[n(4)]
    log: Option<Digest>,
    /// The last entry of each origin in each bucket.
    #[n(5)]
    lasts: Bounded<Last, 1_000_000>,
    /// The last part, by its hash.
    #[n(6)]
    last: Option<Digest>,
    /// Erasures that this node had carried out when all was told anew.
    #[n(7)]
    erased: u64,
}

#[derive(Debug, Clone, Copy, Encode, Decode)]
#[cbor(array)]
struct Last {
    #[n(0)]
    bucket: BucketId,
    #[n(1)]
    origin: NodeId,
    #[n(2)]
    seq: u64,
}

struct Journal<'a> {
    shared: &'a Arc<Shared>,
    packed: &'a Packed,
    kept: Kept,
    lasts: BTreeMap<(BucketId, NodeId), u64>,
    /// The bytes of each operation, hashed, as they were told.
    ops: BTreeMap<OpId, [u8; 32]>,
    next: u64,
    /// Entries when they were last looked at.
    count: Option<u64>,
    /// Parts that others have taken the place of may still be there.
    old: bool,
}

/// Keeps the journal; never returns.
pub(super) async fn keep(lodger: &Lodger, shared: &Arc<Shared>, packed: &Packed) -> Infallible {
    loop {
        match keep_on(lodger, shared, packed).await {
            Ok(never) => match never {},
            Err(why) => {
                tracing::warn!(backend = lodger.folder, why, "the journal of a backend is behind");
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn keep_on(lodger: &Lodger, shared: &Arc<Shared>, packed: &Packed) -> Result<Infallible, String> {
    let mut journal = Journal::read(shared, packed).await?;
    let mut log = shared.log.watch();
    log.mark_changed();
    let mut mail = Mail::default();
    loop {
        let news = log.has_changed().unwrap_or(false);
        log.mark_unchanged();
        let now = clock::monotonic();
        journal.look(news).await?;
        if let Some(last) = journal.kept.last {
            mail.leave(lodger, shared, (journal.kept.base, last), news).await?;
        }
        journal.remove_old().await?;
        lodger.journal_is(now);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl<'a> Journal<'a> {
    async fn read(shared: &'a Arc<Shared>, packed: &'a Packed) -> Result<Self, String> {
        let meta = shared.entries.meta(META).map_err(|e| chain(&e))?;
        // Where none is, or an unknown one, all is told anew.
        let kept: Kept = meta.and_then(|bytes| from_canonical(&bytes, META_MAX).ok()).unwrap_or_default();
        let lasts = kept.lasts.iter().map(|last| ((last.bucket, last.origin), last.seq)).collect();
        let parts = packed.parts().await.map_err(|e| chain(&e))?;
        let next = parts.last().map_or(0, |part| part.number).saturating_add(1);
        Ok(Self { shared, packed, kept, lasts, ops: BTreeMap::new(), next, count: None, old: true })
    }

    /// Tells what is new, or all anew if that is due.
    async fn look(&mut self, news: bool) -> Result<(), String> {
        let age = clock::wall().since(self.kept.at);
        let erased = self.erased();
        let anew = self.kept.last.is_none()
            || self.packed.has_lost_parts()
            || erased > self.kept.erased
            || self.kept.since > self.kept.whole.max(LEAST)
            || (self.kept.since > 0 && age >= ANEW_AFTER);
        let first = self.next;
        if anew {
            self.lasts.clear();
            self.ops.clear();
            (self.kept.log, self.count, self.kept.last) = (None, None, None);
        }
        let mut told = 0;
        if news || anew {
            told += self.tell_log().await?;
        }
        told += self.tell_entries().await?;
        if anew {
            (self.kept.base, self.kept.whole, self.kept.since) = (first, told, 0);
            (self.kept.at, self.kept.erased, self.old) = (clock::wall(), erased, true);
        } else if told == 0 {
            return Ok(());
        } else {
            self.kept.since = self.kept.since.saturating_add(told);
        }
        self.note().await
    }

    /// Erasures that this node has carried out: the boxes of these keys are still in older parts.
    fn erased(&self) -> u64 {
        let (view, me) = (self.shared.log.view(), self.shared.me());
        let directory = self.shared.directory();
        let here = |erasure: OpId| directory.erased_by(erasure).any(|said| said.node == me);
        let ended = view.state().ended().map(|(_, ended)| ended.erasure);
        let all = view.state().erased().map(|(_, erasure)| erasure).chain(ended);
        all.filter(|erasure| here(*erasure)).count() as u64
    }

    /// Removes what was told anew, once the letter names the new parts: until then only the old ones are a
    /// whole journal.
    async fn remove_old(&mut self) -> Result<(), String> {
        if std::mem::take(&mut self.old) {
            let mut old = self.packed.parts().await.map_err(|e| chain(&e))?;
            old.retain(|part| part.number < self.kept.base);
            self.packed.remove_parts(old).await.map_err(|e| chain(&e))?;
        }
        Ok(())
    }

    async fn tell_log(&mut self) -> Result<u64, String> {
        let exported = self.shared.log.export().await.map_err(|problem| problem.why)?;
        let read = tokio::task::spawn_blocking(move || Export::decode(&exported).map_err(|e| chain(&e)));
        let export = read.await.map_err(|e| e.to_string())??;
        let all: Vec<(OpId, Vec<u8>)> = export.ops.iter().map(|op| (op.id(), op.to_bytes())).collect();
        let hash = |bytes: &[u8]| digest("freehold 2026 journal operation", bytes);
        let whole: Vec<u8> = all
            .iter()
            .flat_map(|(_, bytes)| hash(bytes))
            .chain(export.matured.iter().flat_map(|id| *id.as_bytes()))
            .collect();
        let whole = Digest::from_bytes(hash(&whole));
        let same = self.kept.log == Some(whole);
        let (mut cutter, mut told) = (Cutter::default(), 0);
        for (id, bytes) in all {
            let now = hash(&bytes);
            if self.ops.insert(id, now) != Some(now)
                && !same
                && let Some(part) = cutter.op(id, bytes)
            {
                told += self.put(part).await?;
            }
        }
        if !same {
            told += self.put(cutter.finish(&export.matured)).await?;
            self.kept.log = Some(whole);
        }
        Ok(told)
    }

    async fn tell_entries(&mut self) -> Result<u64, String> {
        let entries = &self.shared.entries;
        let count = entries.count().map_err(|e| chain(&e))?;
        if self.count == Some(count) {
            return Ok(0);
        }
        let mut buckets: BTreeSet<BucketId> =
            self.shared.log.view().state().buckets.keys().copied().collect();
        buckets.insert(self.shared.directory_bucket());
        let (mut cutter, mut told, mut lasts) = (Cutter::default(), 0, self.lasts.clone());
        for bucket in buckets {
            let vector = self.shared.entries.vector(&bucket).map_err(|e| chain(&e))?;
            for (origin, last) in vector {
                let known = lasts.entry((bucket, origin)).or_default();
                while *known < last {
                    let rows = self.rows(bucket, origin, known.saturating_add(1)).await?;
                    let Some(end) = rows.last().map(|row| row.seq) else { break };
                    *known = end;
                    for row in rows {
                        if let Some(part) = cutter.entry(row) {
                            told += self.put(part).await?;
                        }
                    }
                }
            }
        }
        told += self.put(cutter.finish(&BTreeSet::new())).await?;
        (self.lasts, self.count) = (lasts, Some(count));
        Ok(told)
    }

    async fn rows(&self, bucket: BucketId, origin: NodeId, from: u64) -> Result<Vec<EntryRow>, String> {
        let entries = Arc::clone(&self.shared.entries);
        let read = tokio::task::spawn_blocking(move || entries.entries(&bucket, &origin, from, BATCH));
        read.await.map_err(|e| e.to_string())?.map_err(|e| chain(&e))
    }

    async fn put(&mut self, part: Part) -> Result<u64, String> {
        if part.is_empty() {
            return Ok(0);
        }
        let bytes = part.after(self.kept.last).to_bytes();
        let (len, hash) = (bytes.len() as u64, Part::hash(&bytes));
        self.packed.put_part(self.next, bytes.into()).await.map_err(|e| chain(&e))?;
        (self.next, self.kept.last) = (self.next.saturating_add(1), Some(hash));
        Ok(len)
    }

    /// Notes how far the store is; without it all is only told once more.
    async fn note(&mut self) -> Result<(), String> {
        let mut lasts = self.lasts.iter().map(|((bucket, origin), seq)| Last {
            bucket: *bucket,
            origin: *origin,
            seq: *seq,
        });
        self.kept.lasts = Bounded::fill(&mut lasts);
        drop(lasts);
        set_meta(self.shared, META, to_canonical(&self.kept)).await
    }
}

pub(super) async fn set_meta(shared: &Shared, row: &'static str, bytes: Vec<u8>) -> Result<(), String> {
    let entries = Arc::clone(&shared.entries);
    let written = tokio::task::spawn_blocking(move || entries.write(move |txn| txn.set_meta(row, &bytes)));
    written.await.map_err(|e| e.to_string())?.map_err(|e| chain(&e))
}
