//! Blobs that belong here and are not: fetched a few at a time, from whoever holds them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use freehold_wire::{BlobName, Millis, NodeId};

use super::{FetchError, Key, Output, Place, Replica};
use crate::{BlobRef, Message};

/// Fetches under way at one time: of blobs up to a size, and of larger ones, which take long. A few
/// that have the line for themselves come sooner than many that share it.
const SMALL_MAX: usize = 6;
const LARGE_MAX: usize = 2;
const LARGE: u64 = 64 << 20;
/// Wanted blobs looked at in one go; the rest are looked at in the next.
const LOOKS_MAX: usize = 64;
/// How long to wait after a failure, doubled each time up to the maximum.
const RETRY_MIN: Millis = Millis::from_secs(1);
const RETRY_MAX: Millis = Millis::from_secs(60);
/// Of them from one peer while others are connected, so that one that is slow does not take all places
/// in the end.
const SMALL_OF_ONE: usize = 4;
const LARGE_OF_ONE: usize = 1;
/// A peer that was too slow is asked after all others for this long, and for fewer blobs at a time.
const SLOW_FOR: Millis = Millis::from_secs(600);
const SMALL_OF_SLOW: usize = 2;

#[derive(Debug)]
struct Want {
    key: Key,
    seq: u64,
    blob: BlobRef,
    at: Millis,
    /// Failures in a row.
    failed: u32,
    /// Attempts in all: each goes to the next holder.
    tried: usize,
}

/// The blobs wanted.
#[derive(Debug, Default)]
pub(super) struct Wants {
    by_name: BTreeMap<BlobName, Want>,
    bytes: u64,
    small: Lane,
    large: Lane,
    /// Who was too slow, and until when that counts.
    slow: BTreeMap<NodeId, Millis>,
}

/// Blobs of about one size.
#[derive(Debug, Default)]
struct Lane {
    ready: BTreeSet<(Millis, u64, BlobName)>,
    flying: BTreeMap<BlobName, NodeId>,
    /// Those whose holders do enough at present, until something has come; never many.
    held_back: BTreeSet<BlobName>,
}

#[derive(Debug, Clone, Copy)]
enum Size {
    Small,
    Large,
}

impl Size {
    const fn of(blob: &BlobRef) -> Self {
        if blob.len > LARGE { Self::Large } else { Self::Small }
    }

    const fn most(self) -> usize {
        match self {
            Self::Small => SMALL_MAX,
            Self::Large => LARGE_MAX,
        }
    }

    const fn most_of_one(self, is_slow: bool) -> usize {
        match self {
            Self::Small if is_slow => SMALL_OF_SLOW,
            Self::Small => SMALL_OF_ONE,
            Self::Large => LARGE_OF_ONE,
        }
    }
}

impl Wants {
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Bytes of them.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What is on its way and no longer wanted.
    pub(super) fn strays(&self) -> impl Iterator<Item = BlobName> {
        let flying = self.small.flying.keys().chain(self.large.flying.keys());
        flying.filter(|name| !self.by_name.contains_key(*name)).copied()
    }

    const fn lane(&self, size: Size) -> &Lane {
        match size {
            Size::Small => &self.small,
            Size::Large => &self.large,
        }
    }

    const fn lane_mut(&mut self, size: Size) -> &mut Lane {
        match size {
            Size::Small => &mut self.small,
            Size::Large => &mut self.large,
        }
    }

    fn is_flying(&self, name: &BlobName) -> bool {
        self.small.flying.contains_key(name) || self.large.flying.contains_key(name)
    }

    fn has_room(&self, size: Size) -> bool {
        self.lane(size).flying.len() < size.most()
    }

    pub(super) fn add(&mut self, now: Millis, key: Key, seq: u64, blobs: &[BlobRef]) {
        for blob in blobs {
            if let Entry::Vacant(vacant) = self.by_name.entry(blob.name) {
                vacant.insert(Want { key, seq, blob: *blob, at: now, failed: 0, tried: 0 });
                self.bytes = self.bytes.saturating_add(blob.len);
                self.lane_mut(Size::of(blob)).ready.insert((now, seq, blob.name));
            }
        }
    }

    /// No longer wants the blobs of an entry; what is on its way may arrive. Says which were wanted
    /// for its sake.
    fn remove(&mut self, key: Key, seq: u64, blobs: &[BlobRef]) -> Vec<BlobRef> {
        let mut removed = Vec::new();
        for blob in blobs {
            if self.by_name.get(&blob.name).is_some_and(|want| (want.key, want.seq) == (key, seq)) {
                self.take(&blob.name);
                removed.push(*blob);
            }
        }
        removed
    }

    fn take(&mut self, name: &BlobName) {
        if let Some(want) = self.by_name.remove(name) {
            self.bytes = self.bytes.saturating_sub(want.blob.len);
            let lane = self.lane_mut(Size::of(&want.blob));
            lane.ready.remove(&(want.at, want.seq, *name));
            lane.held_back.remove(name);
        }
    }

    /// What was on its way has come, or will not; there is a place.
    fn land(&mut self, now: Millis, blob: &BlobRef) -> Option<NodeId> {
        let lane = self.lane_mut(Size::of(blob));
        let from = lane.flying.remove(&blob.name)?;
        for name in std::mem::take(&mut lane.held_back) {
            self.again(&name, now);
        }
        Some(from)
    }

    fn again(&mut self, name: &BlobName, at: Millis) {
        if let Some(want) = self.by_name.get_mut(name) {
            let (before, after) = ((want.at, want.seq, *name), (at, want.seq, *name));
            want.at = at;
            let size = Size::of(&want.blob);
            let lane = self.lane_mut(size);
            lane.held_back.remove(name);
            lane.ready.remove(&before);
            lane.ready.insert(after);
        }
    }

    /// Somebody new holds these: they need not wait.
    pub(super) fn wake_those(&mut self, now: Millis, names: &[BlobName]) {
        for name in names {
            if !self.is_flying(name) && self.by_name.contains_key(name) {
                self.again(name, now);
            }
        }
    }

    /// The holders may have changed: nothing waits any longer.
    pub(super) fn wake(&mut self, now: Millis) {
        for name in self.by_name.keys().copied().collect::<Vec<_>>() {
            if let Some(want) = self.by_name.get_mut(&name) {
                want.failed = 0;
            }
            if !self.is_flying(&name) {
                self.again(&name, now);
            }
        }
    }

    fn lacks_any(&self, blobs: &[BlobRef]) -> bool {
        blobs.iter().any(|blob| self.by_name.contains_key(&blob.name))
    }

    /// Of those who may have a blob, the one whose turn it is. Different blobs begin with different
    /// ones, so that nobody is the first to be asked for everything.
    fn turn(&self, want: &Want, sources: &[NodeId], is_only_peer: bool) -> Turn {
        let size = Size::of(&want.blob);
        let is_slow = |node: &NodeId| self.slow.contains_key(node);
        let any_quick = sources.iter().any(|node| !is_slow(node));
        let free = |node: &&NodeId| {
            let flying = self.lane(size).flying.values().filter(|from| from == node).count();
            is_only_peer || (is_slow(node) != any_quick && flying < size.most_of_one(is_slow(node)))
        };
        let free: Vec<&NodeId> = sources.iter().filter(free).collect();
        let first = want.blob.name.as_bytes().first().copied().map_or(0, usize::from);
        match first.wrapping_add(want.tried).checked_rem(free.len()).and_then(|turn| free.get(turn)) {
            Some(node) => Turn::Of(**node),
            None if sources.is_empty() => Turn::Nobodys,
            None => Turn::Later,
        }
    }
}

enum Turn {
    Of(NodeId),
    /// Of somebody who does enough already.
    Later,
    Nobodys,
}

impl Replica {
    /// Wants blobs of an entry, but for those of which another entry is believed.
    pub(super) fn want(&mut self, now: Millis, key: Key, seq: u64, blobs: &[BlobRef]) {
        let believed: Vec<BlobRef> = blobs.iter().filter(|blob| self.is_believed(blob)).copied().collect();
        self.wants.add(now, key, seq, &believed);
    }

    /// No longer wants blobs for an entry's sake; another entry may need them.
    pub(super) fn unwant(&mut self, now: Millis, key: Key, seq: u64, blobs: &[BlobRef]) {
        for blob in self.wants.remove(key, seq, blobs) {
            for (other, at) in self.entries_with(&blob) {
                let stream = self.streams.get(&other).filter(|stream| !stream.mine.get(at));
                let Some(record) = stream.and_then(|stream| stream.record(at)) else { continue };
                if (other, at) != (key, seq) && self.belongs_here(&other.0, &record.id) {
                    self.want(now, other, at, &[blob]);
                }
            }
        }
    }

    /// Starts fetches, as many as may be under way.
    pub(super) fn fetch(&mut self, now: Millis) {
        self.wants.slow.retain(|_, until| *until > now);
        self.fetch_some(now, Size::Small);
        self.fetch_some(now, Size::Large);
    }

    fn fetch_some(&mut self, now: Millis, size: Size) {
        for _ in 0..LOOKS_MAX {
            let Some((at, _, name)) = self.wants.lane(size).ready.first().copied() else { return };
            if at > now || !self.wants.has_room(size) {
                return;
            }
            let Some(want) = self.wants.by_name.get(&name) else {
                self.wants.lane_mut(size).ready.pop_first();
                continue;
            };
            if self.wants.is_flying(&name) {
                self.wants.again(&name, now.plus(RETRY_MIN));
                continue;
            }
            let mut sources = self.holders(&want.blob);
            sources.retain(|node| self.peers.contains_key(node));
            if sources.is_empty() && want.failed > 0 {
                // Nobody holds all blobs of the entry, but somebody may have this one.
                sources = self.peers.keys().copied().collect();
            }
            let turn = self.wants.turn(want, &sources, self.peers.len() == 1);
            let (bucket, blob, failed, tried) = (want.key.0, want.blob, want.failed, want.tried);
            match turn {
                Turn::Of(from) => {
                    let lane = self.wants.lane_mut(size);
                    lane.ready.pop_first();
                    lane.flying.insert(name, from);
                    let patience = u32::try_from(tried).unwrap_or(u32::MAX);
                    self.out.push_back(Output::Fetch { from, bucket, blob, patience });
                }
                Turn::Later => {
                    let lane = self.wants.lane_mut(size);
                    lane.ready.pop_first();
                    lane.held_back.insert(name);
                    if lane.held_back.len() >= LOOKS_MAX {
                        return;
                    }
                }
                Turn::Nobodys => self.wants.again(&name, now.plus(pause(failed))),
            }
            if let Some(want) = self.wants.by_name.get_mut(&name) {
                want.tried = want.tried.wrapping_add(usize::from(matches!(turn, Turn::Of(_))));
                want.failed = want.failed.saturating_add(u32::from(matches!(turn, Turn::Nobodys)));
            }
        }
    }

    pub(super) fn fetching_again(&self) -> Option<(Millis, &'static str)> {
        let sizes = [Size::Small, Size::Large].into_iter().filter(|size| self.wants.has_room(*size));
        let first = sizes.filter_map(|size| self.wants.lane(size).ready.first()).map(|(at, ..)| *at).min();
        first.map(|at| (at, "fetch a blob"))
    }

    pub(super) fn fetched(&mut self, now: Millis, blob: &BlobRef) {
        self.wants.land(now, blob);
        if !self.is_believed(blob) {
            return;
        }
        self.wants.take(&blob.name);
        let mut held = Vec::new();
        for (key, seq) in self.entries_with(blob) {
            let Some(record) = self.streams.get(&key).and_then(|stream| stream.record(seq)) else { continue };
            let complete = self.belongs_here(&key.0, &record.id)
                && !self.wants.lacks_any(&record.blobs)
                && record.blobs.iter().all(|blob| self.is_believed(blob));
            if complete && self.stream_mut(key).mine.set(seq, true) {
                self.recount(now, key, seq);
                held.push((key, seq));
            }
        }
        self.tell_holds(now, &held);
    }

    pub(super) fn fetch_failed(&mut self, now: Millis, blob: &BlobRef, why: FetchError) {
        let name = &blob.name;
        let Some(from) = self.wants.land(now, blob) else { return };
        if why == FetchError::Slow {
            self.wants.slow.insert(from, now.plus(SLOW_FOR));
        }
        let Some(want) = self.wants.by_name.get_mut(name) else { return };
        want.failed = want.failed.saturating_add(1);
        let (bucket, failed) = (want.key.0, want.failed);
        self.wants.again(name, now.plus(pause(failed)));
        let held = |(key, seq): &(Key, u64)| {
            self.streams.get(key).and_then(|stream| stream.held.get(&from)).is_some_and(|held| held.get(*seq))
        };
        let entries = self.entries_with(blob);
        let told = entries.iter().any(held);
        if told && matches!(why, FetchError::Missing | FetchError::Corrupt) {
            self.send(now, from, Message::Bad { bucket, blob: *name });
            for (key, seq) in entries {
                self.believe(now, from, key, seq, false);
            }
        }
    }

    pub(super) fn lost(&mut self, now: Millis, blob: &BlobRef) {
        if !self.is_believed(blob) {
            return;
        }
        let mut changed = Vec::new();
        for (key, seq) in self.entries_with(blob) {
            let Some(record) = self.streams.get(&key).and_then(|stream| stream.record(seq)) else { continue };
            if self.belongs_here(&key.0, &record.id) {
                self.want(now, key, seq, &[*blob]);
            }
            if self.stream_mut(key).mine.set(seq, false) {
                self.recount(now, key, seq);
                changed.push((key, seq));
            }
        }
        self.tell_holds(now, &changed);
    }

    pub(super) fn erased(&mut self, now: Millis, place: &Place) {
        let key = (place.bucket, place.origin);
        let Some(stream) = self.streams.get_mut(&key) else { return };
        let number = stream.number;
        let Some(record) = stream.record_mut(place.seq) else { return };
        record.payload_len = None;
        let told = stream.mine.set(place.seq, true);
        // While it is known what it counted for.
        self.recount(now, key, place.seq);
        let record = self.streams.get_mut(&key).and_then(|stream| stream.record_mut(place.seq));
        let blobs = record.map(|record| std::mem::take(&mut record.blobs)).unwrap_or_default();
        self.unwant(now, key, place.seq, &blobs);
        for blob in &blobs {
            self.blobs.remove(&(blob.name, number, place.seq));
            self.settle(now, &blob.name);
        }
        if told {
            self.tell_holds(now, &[(key, place.seq)]);
        }
    }
}

fn pause(failed: u32) -> Millis {
    Millis(RETRY_MIN.0.checked_shl(failed.min(16)).unwrap_or(RETRY_MAX.0).min(RETRY_MAX.0))
}
