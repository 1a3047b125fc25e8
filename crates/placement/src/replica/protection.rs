//! How well a bucket is protected, counted as things change.

use std::collections::BTreeMap;

use freehold_wire::{BucketId, Hlc, Millis};

use super::{Key, Replica};
use crate::stream::{Class, Stream};

/// How many entries of a bucket have their copies. Entries whose payload was erased do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Protection {
    /// Held by as many nodes as the bucket asks for.
    pub full: u64,
    /// Held by fewer.
    pub partly: u64,
    /// Held by no node that we know of.
    pub nowhere: u64,
    /// Since when, by the clock handed in, not all are fully held.
    pub since: Option<Millis>,
    /// When the oldest entry that is not fully held was written, by its writer's clock.
    pub oldest: Option<Hlc>,
}

impl Protection {
    /// Whether every entry has all its copies.
    pub const fn is_full(&self) -> bool {
        self.partly == 0 && self.nowhere == 0
    }

    const fn count(&mut self, class: Class) -> Option<&mut u64> {
        match class {
            Class::Full => Some(&mut self.full),
            Class::Partly => Some(&mut self.partly),
            Class::Nowhere => Some(&mut self.nowhere),
            Class::Erased => None,
        }
    }
}

impl Replica {
    /// How well a bucket is protected.
    pub fn protection(&self, bucket: &BucketId) -> Protection {
        let mut protection = self.tally.get(bucket).copied().unwrap_or_default();
        if !protection.is_full() {
            // Within a stream later entries have later times.
            let oldest = self.streams_of(bucket).filter_map(Stream::first_short);
            protection.oldest = oldest.map(|record| record.hlc).min();
        }
        protection
    }

    /// How many blobs are still to be fetched to this node.
    pub fn missing(&self) -> usize {
        self.wants.len()
    }

    pub(super) fn recount(&mut self, now: Millis, key: Key, seq: u64) {
        let class = self.class(&key, seq);
        let before = self.streams.get_mut(&key).and_then(|stream| stream.classify(seq, class));
        let Some(before) = before else { return };
        if before == class {
            return;
        }
        let tally = self.tally.entry(key.0).or_default();
        if let Some(count) = tally.count(before) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = tally.count(class) {
            *count = count.saturating_add(1);
        }
        tally.since = if tally.is_full() { None } else { tally.since.or(Some(now)) };
        self.changed.insert(key.0);
    }

    /// After the view changed: who counts, and how many copies are asked for.
    pub(super) fn recount_all(&mut self, now: Millis) {
        let since: BTreeMap<BucketId, Option<Millis>> =
            self.tally.iter().map(|(bucket, tally)| (*bucket, tally.since)).collect();
        self.tally.clear();
        for (key, len) in self.streams.iter().map(|(key, stream)| (*key, stream.len())).collect::<Vec<_>>() {
            for seq in 1..=len {
                if let Some(stream) = self.streams.get_mut(&key) {
                    stream.classify(seq, Class::Erased);
                }
                self.recount(now, key, seq);
            }
        }
        for (bucket, tally) in &mut self.tally {
            if !tally.is_full() {
                tally.since = since.get(bucket).copied().flatten().or(tally.since);
            }
        }
        self.changed.extend(since.into_keys());
    }

    fn class(&self, key: &Key, seq: u64) -> Class {
        let (Some(stream), Some(copies)) = (self.streams.get(key), self.view.copies(&key.0)) else {
            return Class::Erased;
        };
        if stream.record(seq).is_none_or(|record| record.payload_len.is_none()) {
            return Class::Erased;
        }
        let counts = |node| self.view.counts(&key.0, node);
        let others = stream.held.iter().filter(|(node, held)| held.get(seq) && counts(node)).count();
        match others + usize::from(stream.mine.get(seq) && counts(&self.me)) {
            held if held >= copies => Class::Full,
            0 => Class::Nowhere,
            _ => Class::Partly,
        }
    }
}
