//! The opened index in memory: for each bucket and key the entry that wins, and just enough of it
//! to list. It is made anew from the sealed entries at every start.

use std::collections::{BTreeMap, BTreeSet};

use freehold_placement::{Cuts, is_cut_off};
use freehold_seal::VersionId;
use freehold_wire::{BucketId, Hlc, Millis, NodeId};

use crate::list::Listed;
use crate::{Etag, ObjectMeta};

/// Where an entry stands: bucket, origin, number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Locator {
    pub(crate) bucket: BucketId,
    pub(crate) origin: NodeId,
    pub(crate) seq: u64,
}

/// What is remembered of the winning entry of a key.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) origin: NodeId,
    pub(crate) seq: u64,
    pub(crate) hlc: Hlc,
    pub(crate) version: VersionId,
    pub(crate) size: u64,
    pub(crate) etag: Etag,
    pub(crate) modified: Millis,
    /// The key was deleted; kept because an older write may still arrive.
    pub(crate) deleted: bool,
}

impl Row {
    /// What a listing shows.
    pub(crate) fn meta(&self, key: &str) -> ObjectMeta {
        ObjectMeta {
            key: key.to_owned(),
            version: self.version,
            size: self.size,
            etag: self.etag.to_string(),
            modified: self.modified,
            content_type: None,
            headers: BTreeMap::new(),
            user_meta: BTreeMap::new(),
            checksums: Vec::new(),
            parts: self.etag.parts(),
        }
    }

    pub(crate) const fn locator(&self, bucket: BucketId) -> Locator {
        Locator { bucket, origin: self.origin, seq: self.seq }
    }

    /// Later wins; at the same time the greater origin, so that all nodes agree.
    fn order(&self) -> (Hlc, NodeId, u64) {
        (self.hlc, self.origin, self.seq)
    }
}

impl Listed for Row {
    fn shown(&self) -> bool {
        !self.deleted
    }
}

/// One bucket's keys.
#[derive(Debug, Default)]
pub(crate) struct BucketIndex {
    pub(crate) rows: BTreeMap<String, Row>,
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
}

/// An entry that is not the newest of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Overtaken {
    pub(crate) key: Box<str>,
    /// Since when.
    pub(crate) since: Millis,
}

/// All buckets.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) buckets: BTreeMap<BucketId, BucketIndex>,
    /// Entries that another one has overtaken.
    pub(crate) superseded: BTreeMap<Locator, Overtaken>,
}

impl Index {
    /// Takes in an opened entry that has just come. The loser of the two is noted as superseded.
    pub(crate) fn apply(&mut self, bucket: BucketId, key: String, row: Row, now: Millis) {
        self.take(bucket, key, row, |_| now);
    }

    /// Takes in an opened entry that was here before this start: what it overtook was overtaken
    /// when it was written, or a node that is off at night would never let anything go.
    pub(crate) fn restore(&mut self, bucket: BucketId, key: String, row: Row, now: Millis) {
        self.take(bucket, key, row, |winner| winner.wall.min(now));
    }

    fn take(&mut self, bucket: BucketId, key: String, row: Row, since: impl FnOnce(Hlc) -> Millis) {
        let index = self.buckets.entry(bucket).or_default();
        let name: Box<str> = key.as_str().into();
        let (overtaken, winner) = match index.rows.get(&key) {
            Some(there) if there.locator(bucket) == row.locator(bucket) => return,
            Some(there) if there.order() > row.order() => (Some(row.locator(bucket)), there.hlc),
            _ => {
                if !row.deleted {
                    index.objects += 1;
                    index.bytes = index.bytes.saturating_add(row.size);
                }
                let winner = row.hlc;
                let old = index.rows.insert(key, row);
                if let Some(old) = old.as_ref().filter(|old| !old.deleted) {
                    index.objects = index.objects.saturating_sub(1);
                    index.bytes = index.bytes.saturating_sub(old.size);
                }
                (old.map(|old| old.locator(bucket)), winner)
            }
        };
        if let Some(overtaken) = overtaken {
            let since = since(winner);
            self.superseded.entry(overtaken).or_insert(Overtaken { key: name, since });
        }
    }

    /// Takes out what does not count any more. What it had overtaken must be taken in again.
    pub(crate) fn hide(&mut self, bucket: &BucketId, cuts: &Cuts) {
        let Some(index) = self.buckets.get_mut(bucket) else { return };
        let gone = index.rows.iter().filter(|(_, row)| is_cut_off(cuts, bucket, &row.origin, row.seq));
        let gone: BTreeSet<String> = gone.map(|(key, _)| key.clone()).collect();
        for key in &gone {
            if let Some(row) = index.rows.remove(key).filter(|row| !row.deleted) {
                index.objects = index.objects.saturating_sub(1);
                index.bytes = index.bytes.saturating_sub(row.size);
            }
        }
        self.superseded.retain(|at, overtaken| at.bucket != *bucket || !gone.contains(&*overtaken.key));
    }

    /// Takes in that an entry is not needed any more, where its key cannot be told.
    pub(crate) fn release(&mut self, at: Locator, since: Millis) {
        self.superseded.entry(at).or_insert(Overtaken { key: "".into(), since });
    }

    /// Forgets what it was told of a bucket, now that it can be read.
    pub(crate) fn forget_releases(&mut self, bucket: &BucketId) {
        self.superseded.retain(|at, overtaken| at.bucket != *bucket || !overtaken.key.is_empty());
    }

    /// What may go, and the entry that must be on as many nodes first; none if the object was
    /// deleted.
    pub(crate) fn due(&self, now: Millis, grace: Millis) -> Vec<(Locator, Option<Locator>)> {
        let due = self.superseded.iter().filter(|(_, overtaken)| now.since(overtaken.since) >= grace);
        due.map(|(at, overtaken)| {
            let winner = self.visible(&at.bucket, &overtaken.key);
            (*at, winner.map(|row| row.locator(at.bucket)))
        })
        .collect()
    }

    /// When the winning entry of a key was written, be it a deletion.
    pub(crate) fn newest(&self, bucket: &BucketId, key: &str) -> Option<Hlc> {
        Some(self.buckets.get(bucket)?.rows.get(key)?.hlc)
    }

    /// The winning row of a key, if the object exists.
    pub(crate) fn visible(&self, bucket: &BucketId, key: &str) -> Option<&Row> {
        self.buckets.get(bucket)?.rows.get(key).filter(|row| !row.deleted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(wall: u64, origin: u8, seq: u64, deleted: bool) -> Row {
        Row {
            origin: NodeId::from_bytes([origin; 32]),
            seq,
            hlc: Hlc { wall: Millis(wall), count: 0 },
            version: VersionId::from_bytes([0; 16]),
            size: 10,
            etag: Etag::single([0; 16]),
            modified: Millis(wall),
            deleted,
        }
    }

    #[test]
    fn any_order_gives_the_same_winner() {
        let bucket = BucketId::from_bytes([1; 32]);
        let rows = [row(1, 1, 1, false), row(2, 2, 1, true), row(2, 1, 2, false)];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut index = Index::default();
            for at in order {
                index.apply(bucket, "k".into(), rows[at].clone(), Millis(9));
            }
            assert!(index.visible(&bucket, "k").is_none(), "the delete of the greater origin wins");
            assert_eq!(index.superseded.len(), 2);
            assert_eq!((index.buckets[&bucket].objects, index.buckets[&bucket].bytes), (0, 0));
        }
    }
}
