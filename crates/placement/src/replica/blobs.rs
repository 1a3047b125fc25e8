//! Blobs that belong here and are not: fetched a few at a time, from whoever holds them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use freehold_wire::{BlobName, Millis, NodeId};

use super::{FetchError, Key, Output, Place, Replica};
use crate::{BlobRef, Message};

/// Fetches under way at one time.
const FETCHES_MAX: usize = 8;
/// Wanted blobs looked at in one go; the rest are looked at in the next.
const LOOKS_MAX: usize = 64;
/// How long to wait after a failure, doubled each time up to the maximum.
const RETRY_MIN: Millis = Millis::from_secs(1);
const RETRY_MAX: Millis = Millis::from_secs(60);

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
    ready: BTreeSet<(Millis, u64, BlobName)>,
    flying: BTreeMap<BlobName, NodeId>,
}

impl Wants {
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn add(&mut self, now: Millis, key: Key, seq: u64, blobs: &[BlobRef]) {
        for blob in blobs {
            if let Entry::Vacant(vacant) = self.by_name.entry(blob.name) {
                vacant.insert(Want { key, seq, blob: *blob, at: now, failed: 0, tried: 0 });
                self.ready.insert((now, seq, blob.name));
            }
        }
    }

    /// No longer wants the blobs of an entry; what is on its way may arrive.
    pub(super) fn remove(&mut self, key: Key, seq: u64, blobs: &[BlobRef]) {
        for blob in blobs {
            if self.by_name.get(&blob.name).is_some_and(|want| (want.key, want.seq) == (key, seq)) {
                self.take(&blob.name);
            }
        }
    }

    fn take(&mut self, name: &BlobName) {
        if let Some(want) = self.by_name.remove(name) {
            self.ready.remove(&(want.at, want.seq, *name));
        }
    }

    fn again(&mut self, name: &BlobName, at: Millis) {
        if let Some(want) = self.by_name.get_mut(name) {
            self.ready.remove(&(want.at, want.seq, *name));
            want.at = at;
            self.ready.insert((at, want.seq, *name));
        }
    }

    /// Somebody new holds these: they need not wait.
    pub(super) fn wake_those(&mut self, now: Millis, names: &[BlobName]) {
        for name in names {
            if !self.flying.contains_key(name) && self.by_name.contains_key(name) {
                self.again(name, now);
            }
        }
    }

    /// The holders may have changed: nothing waits any longer.
    pub(super) fn wake(&mut self, now: Millis) {
        self.ready.clear();
        for (name, want) in &mut self.by_name {
            want.failed = 0;
            if !self.flying.contains_key(name) {
                want.at = now;
                self.ready.insert((now, want.seq, *name));
            }
        }
    }

    fn lacks_any(&self, blobs: &[BlobRef]) -> bool {
        blobs.iter().any(|blob| self.by_name.contains_key(&blob.name))
    }
}

impl Replica {
    /// Wants blobs of an entry, but for those of which another entry is believed.
    pub(super) fn want(&mut self, now: Millis, key: Key, seq: u64, blobs: &[BlobRef]) {
        let believed: Vec<BlobRef> = blobs.iter().filter(|blob| self.is_believed(blob)).copied().collect();
        self.wants.add(now, key, seq, &believed);
    }

    /// Starts fetches, as many as may be under way.
    pub(super) fn fetch(&mut self, now: Millis) {
        for _ in 0..LOOKS_MAX {
            let Some((at, _, name)) = self.wants.ready.first().copied() else { return };
            if at > now || self.wants.flying.len() >= FETCHES_MAX {
                return;
            }
            let Some(want) = self.wants.by_name.get(&name) else {
                self.wants.ready.pop_first();
                continue;
            };
            if self.wants.flying.contains_key(&name) {
                self.wants.again(&name, now.plus(RETRY_MIN));
                continue;
            }
            let mut sources = self.holders(&want.blob);
            sources.retain(|node| self.peers.contains_key(node));
            if sources.is_empty() && want.failed > 0 {
                // Nobody holds all blobs of the entry, but somebody may have this one.
                sources = self.peers.keys().copied().collect();
            }
            let source = want.tried.checked_rem(sources.len()).and_then(|turn| sources.get(turn)).copied();
            let (bucket, blob, failed) = (want.key.0, want.blob, want.failed);
            if let Some(from) = source {
                self.wants.ready.pop_first();
                self.wants.flying.insert(name, from);
                self.out.push_back(Output::Fetch { from, bucket, blob });
            } else {
                self.wants.again(&name, now.plus(pause(failed)));
            }
            if let Some(want) = self.wants.by_name.get_mut(&name) {
                want.tried = want.tried.wrapping_add(usize::from(source.is_some()));
                want.failed = want.failed.saturating_add(u32::from(source.is_none()));
            }
        }
    }

    pub(super) fn fetching_again(&self) -> Option<(Millis, &'static str)> {
        let (at, _, _) = self.wants.ready.first().filter(|_| self.wants.flying.len() < FETCHES_MAX)?;
        Some((*at, "fetch a blob"))
    }

    pub(super) fn fetched(&mut self, now: Millis, blob: &BlobRef) {
        self.wants.flying.remove(&blob.name);
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
        let Some(from) = self.wants.flying.remove(name) else { return };
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
        let blobs = std::mem::take(&mut record.blobs);
        let told = stream.mine.set(place.seq, true);
        self.wants.remove(key, place.seq, &blobs);
        for blob in &blobs {
            self.blobs.remove(&(blob.name, number, place.seq));
            self.settle(now, &blob.name);
        }
        self.recount(now, key, place.seq);
        if told {
            self.tell_holds(now, &[(key, place.seq)]);
        }
    }
}

fn pause(failed: u32) -> Millis {
    Millis(RETRY_MIN.0.checked_shl(failed.min(16)).unwrap_or(RETRY_MAX.0).min(RETRY_MAX.0))
}
