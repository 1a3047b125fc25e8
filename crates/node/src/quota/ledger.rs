//! What is being written and not counted yet, so that writes at one time do not all find the same room.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use freehold_placement::Entry;
use freehold_wire::BucketId;

use crate::replica::Report;

/// Bytes on their way, by bucket.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    buckets: Mutex<BTreeMap<BucketId, Coming>>,
    turn: Mutex<()>,
}

#[derive(Debug, Default)]
struct Coming {
    /// Being written.
    taken: u64,
    /// Written, by number, and perhaps not in the last report.
    flying: VecDeque<(u64, u64)>,
}

/// Room that was taken, given back at the end.
#[derive(Debug)]
pub(crate) struct Taken {
    ledger: Arc<Ledger>,
    bucket: BucketId,
    bytes: u64,
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(coming) = self.ledger.all().get_mut(&self.bucket) {
            coming.taken = coming.taken.saturating_sub(self.bytes);
        }
    }
}

impl Ledger {
    fn all(&self) -> MutexGuard<'_, BTreeMap<BucketId, Coming>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One looks and takes at a time.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes room.
    pub(super) fn take(self: &Arc<Self>, bucket: BucketId, bytes: u64) -> Taken {
        let mut all = self.all();
        let coming = all.entry(bucket).or_default();
        coming.taken = coming.taken.saturating_add(bytes);
        Taken { ledger: Arc::clone(self), bucket, bytes }
    }

    /// An entry of this node is durable, and the next report will count it.
    pub(crate) fn flies(&self, entry: &Entry, report: &Report) {
        let bytes = entry.blobs.iter().fold(0, |sum: u64, blob| sum.saturating_add(blob.len));
        if bytes == 0 {
            return;
        }
        let counted = report.counted.get(&entry.bucket).copied().unwrap_or_default();
        let mut all = self.all();
        let flying = &mut all.entry(entry.bucket).or_default().flying;
        while flying.front().is_some_and(|(seq, _)| *seq <= counted) {
            flying.pop_front();
        }
        flying.push_back((entry.seq, bytes));
    }

    /// What comes, beyond the entries that are counted.
    pub(super) fn coming(&self, bucket: &BucketId, counted: u64) -> u64 {
        self.all().get(bucket).map_or(0, |coming| {
            let flying = coming.flying.iter().filter(|(seq, _)| *seq > counted);
            flying.fold(coming.taken, |sum, (_, bytes)| sum.saturating_add(*bytes))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUCKET: BucketId = BucketId::from_bytes([1; 32]);

    #[test]
    fn what_is_on_its_way_counts_until_it_is_counted_or_given_up() {
        let ledger = Arc::new(Ledger::default());
        let (one, other) = (ledger.take(BUCKET, 5), ledger.take(BUCKET, 7));
        assert_eq!(ledger.coming(&BUCKET, 0), 12);
        drop(one);
        assert_eq!(ledger.coming(&BUCKET, 0), 7);
        ledger.all().entry(BUCKET).or_default().flying.extend([(1, 20), (2, 30)]);
        assert_eq!((ledger.coming(&BUCKET, 0), ledger.coming(&BUCKET, 1)), (57, 37));
        drop(other);
        assert_eq!(ledger.coming(&BUCKET, 2), 0);
        assert_eq!(ledger.coming(&BucketId::from_bytes([2; 32]), 0), 0);
    }
}
