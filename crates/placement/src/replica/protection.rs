//! How well a bucket is protected, counted as things change.

use std::collections::BTreeMap;

use freehold_wire::{BucketId, Hlc, Millis, NodeId};

use super::{Key, Replica};
use crate::stream::{Class, Record, Stream};

/// Numbers of copies that are told apart; the last stands for that many and more.
pub const COPIES_TOLD: usize = 8;

/// How many entries of a bucket have their copies. Entries whose payload was erased do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Protection {
    /// Held as the bucket asks for: by so many nodes, in so many zones.
    pub full: u64,
    /// Held by fewer.
    pub partly: u64,
    /// Held by no node that we know of.
    pub nowhere: u64,
    /// How many of those with blobs are held by none, one, two ... nodes that count.
    pub copies: [u64; COPIES_TOLD],
    /// Bytes of the copies that are to be made.
    pub bytes: u64,
    /// Bytes of all blobs, each counted once.
    pub sealed: u64,
    /// Since when, by the clock handed in, not all are fully held.
    pub since: Option<Millis>,
    /// When the oldest entry that is not fully held was written, by its writer's clock.
    pub oldest: Option<Hlc>,
}

/// What a node holds that others do not have as they should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Burden {
    /// Entries.
    pub entries: u64,
    /// Bytes of their blobs.
    pub bytes: u64,
}

impl Protection {
    /// Whether every entry has all its copies.
    pub const fn is_full(&self) -> bool {
        self.partly == 0 && self.nowhere == 0
    }

    /// The fewest copies that an entry has; none if there is no entry.
    pub fn worst(&self) -> Option<usize> {
        self.copies.iter().position(|count| *count > 0)
    }

    const fn count(&mut self, class: Class) -> Option<&mut u64> {
        match class {
            Class::Full => Some(&mut self.full),
            Class::Partly => Some(&mut self.partly),
            Class::Nowhere => Some(&mut self.nowhere),
            Class::Erased => None,
        }
    }

    /// An entry is now of this class, or no longer.
    fn note(&mut self, (class, copies): (Class, u16), (sealed, bytes): (u64, u64), is_so: bool) {
        let change = |count: &mut u64, by: u64| {
            *count = if is_so { count.saturating_add(by) } else { count.saturating_sub(by) };
        };
        let Some(count) = self.count(class) else { return };
        change(count, 1);
        let told = usize::from(copies).min(COPIES_TOLD - 1);
        if let Some(count) = self.copies.get_mut(told).filter(|_| sealed > 0) {
            change(count, 1);
        }
        change(&mut self.bytes, bytes);
        change(&mut self.sealed, sealed);
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

    /// How many blobs are still to be fetched to this node, and their bytes.
    pub fn missing(&self) -> (usize, u64) {
        (self.wants.len(), self.wants.bytes())
    }

    /// What would be lacking without a node that is to be emptied: what it holds and others do not
    /// have as they should.
    pub fn burden(&self, node: &NodeId) -> Burden {
        self.burden_if(node, Class::is_short)
    }

    /// What would be gone with a node whose copies do not count: what it holds and nobody that counts.
    pub fn only_copies(&self, node: &NodeId) -> Burden {
        self.burden_if(node, |class| class == Class::Nowhere)
    }

    /// How many entries a peer has told of that are not here; none if it is not connected, or has not yet
    /// told of all that it has.
    pub fn ahead(&self, node: &NodeId) -> Option<u64> {
        let peer = self.peers.get(node).filter(|peer| peer.told_all)?;
        let lacking = peer
            .vectors
            .iter()
            .map(|(key, vector)| vector.seq.saturating_sub(self.streams.get(key).map_or(0, Stream::len)));
        Some(lacking.fold(0, u64::saturating_add))
    }

    fn burden_if(&self, node: &NodeId, counts: impl Fn(Class) -> bool) -> Burden {
        let mut burden = Burden::default();
        for (key, stream) in &self.streams {
            let held = if *node == self.me { Some(&stream.mine) } else { stream.held.get(node) };
            let Some(held) = held.filter(|_| key.0 != self.view.directory) else { continue };
            let short = stream.short_records().filter(|(seq, record)| held.get(*seq) && counts(record.class));
            for (_, record) in short.filter(|(_, record)| !record.blobs.is_empty()) {
                burden.entries = burden.entries.saturating_add(1);
                burden.bytes = burden.bytes.saturating_add(record.bytes());
            }
        }
        burden
    }

    pub(super) fn recount(&mut self, now: Millis, key: Key, seq: u64) {
        let class = self.class(&key, seq);
        let wanted = self.view.copies(&key.0).unwrap_or(0);
        let Some(stream) = self.streams.get_mut(&key) else { return };
        let Some(before) = stream.classify(seq, class) else { return };
        if before == class {
            return;
        }
        let all = stream.record(seq).map_or(0, Record::bytes);
        let bytes = |(class, copies): (Class, u16)| {
            // One that has its copies and not its zones needs another one.
            let lacking = wanted.saturating_sub(copies.into()).max(1);
            let lacking = u64::try_from(lacking).unwrap_or(u64::MAX);
            (all, if class.is_short() { all.saturating_mul(lacking) } else { 0 })
        };
        let tally = self.tally.entry(key.0).or_default();
        tally.note(before, bytes(before), false);
        tally.note(class, bytes(class), true);
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
                    stream.classify(seq, (Class::Erased, 0));
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

    fn class(&self, key: &Key, seq: u64) -> (Class, u16) {
        let erased = (Class::Erased, 0);
        let (Some(stream), Some(copies)) = (self.streams.get(key), self.view.copies(&key.0)) else {
            return erased;
        };
        if stream.record(seq).is_none_or(|record| record.payload_len.is_none()) {
            return erased;
        }
        let counts = |node: &&NodeId| self.view.counts(&key.0, node);
        let others = stream.held.iter().filter(|(_, held)| held.get(seq)).map(|(node, _)| node);
        let me = Some(&self.me).filter(|_| stream.mine.get(seq));
        let holders = || others.clone().chain(me).filter(counts);
        let held = holders().count();
        let zones = self.view.buckets.get(&key.0).map_or(0, |bucket| usize::from(bucket.zones));
        let apart = zones <= 1 || self.view.zones_of(holders()) >= zones;
        let class = match held {
            held if held >= copies && apart => Class::Full,
            0 => Class::Nowhere,
            _ => Class::Partly,
        };
        (class, u16::try_from(held).unwrap_or(u16::MAX))
    }
}
