//! Who holds which entries with all their blobs.

use freehold_wire::{BlobName, BucketId, Millis, NodeId};

use super::{Event, Key, Output, Place, Replica};
use crate::message::BITS_MAX;
use crate::stream::Stream;
use crate::{BlobRef, Message};

/// Bits in one message.
const COUNT_MAX: u64 = BITS_MAX as u64 * 8;

impl Replica {
    /// Asks a peer what it holds of a stream, if what it told in short differs from what we think.
    pub(super) fn check_holds(&mut self, now: Millis, with: NodeId, key: Key) {
        let Some(stream) = self.streams.get(&key) else { return };
        let sum = stream.held.get(&with).cloned().unwrap_or_default().sum();
        let len = stream.len();
        let Some(peer) = self.peers.get_mut(&with) else { return };
        let Some(told) = peer.vectors.get(&key) else { return };
        if told.seq <= len && told.held != sum && peer.asked_holds.insert(key) {
            self.send(now, with, Message::AskHolds { bucket: key.0, origin: key.1 });
        }
    }

    pub(super) fn tell_all_holds(&mut self, now: Millis, to: NodeId, key: Key) {
        let len = self.streams.get(&key).map_or(0, Stream::len);
        let mut first = 1;
        while first <= len {
            let count = COUNT_MAX.min(len - first + 1);
            if let Some(message) = self.holds(key, first, count) {
                self.send(now, to, message);
            }
            first += count;
        }
    }

    /// Tells everybody how it stands with these entries.
    pub(super) fn tell_holds(&mut self, now: Millis, entries: &[(Key, u64)]) {
        let mut runs: Vec<(Key, u64, u64)> = Vec::new();
        for (key, seq) in entries {
            match runs.last_mut() {
                Some((last, first, count))
                    if last == key && first.saturating_add(*count) == *seq && *count < COUNT_MAX =>
                {
                    *count += 1;
                }
                _ => runs.push((*key, *seq, 1)),
            }
        }
        let messages: Vec<Message> =
            runs.into_iter().filter_map(|(key, first, count)| self.holds(key, first, count)).collect();
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            for message in &messages {
                self.send(now, peer, message.clone());
            }
        }
    }

    fn holds(&self, key: Key, first: u64, count: u64) -> Option<Message> {
        let stream = self.streams.get(&key)?;
        let mut bits = vec![0_u8; usize::try_from(count.div_ceil(8)).ok()?];
        for (index, seq) in (first..first.saturating_add(count)).enumerate() {
            if let Some(byte) = bits.get_mut(index / 8).filter(|_| stream.mine.get(seq)) {
                *byte |= 1 << (index % 8);
            }
        }
        let count = u32::try_from(count).ok()?;
        Some(Message::Holds { bucket: key.0, origin: key.1, from: first, count, bits: bits.into() })
    }

    pub(super) fn told_holds(
        &mut self,
        now: Millis,
        from: NodeId,
        key: Key,
        first: u64,
        (count, bits): (u32, &[u8]),
    ) {
        let count = u64::from(count);
        if first == 0 || count > COUNT_MAX || u64::try_from(bits.len()) != Ok(count.div_ceil(8)) {
            return self.garbage(now, from);
        }
        // Entries that are being stored count: what is told of them comes right behind them.
        let last = self.streams.get(&key).map_or(0, |stream| stream.storing);
        for (index, seq) in (first..first.saturating_add(count)).take_while(|seq| *seq <= last).enumerate() {
            let holds = bits.get(index / 8).is_some_and(|byte| byte & (1 << (index % 8)) != 0);
            self.believe(now, from, key, seq, holds);
        }
    }

    /// Notes that a peer holds an entry, or does not.
    pub(super) fn believe(&mut self, now: Millis, node: NodeId, key: Key, seq: u64, holds: bool) {
        let Some(stream) = self.streams.get_mut(&key) else { return };
        if !stream.held.entry(node).or_default().set(seq, holds) {
            return;
        }
        self.believed.insert((key, node));
        let names: Vec<BlobName> =
            stream.record(seq).iter().flat_map(|record| record.blobs.iter().map(|blob| blob.name)).collect();
        self.recount(now, key, seq);
        if holds {
            self.wants.wake_those(now, &names);
            let place = Place { bucket: key.0, origin: key.1, seq };
            if key.1 == self.me
                && let Some((entry, _)) = self.entry(&place)
            {
                let copies = self.copies(&place);
                self.out.push_back(Output::Tell(Event::Confirmed { place, entry, by: node, copies }));
            }
        }
    }

    /// How many nodes whose copies count have confirmed an entry, this one included.
    pub fn copies(&self, place: &Place) -> u16 {
        let Some(stream) = self.streams.get(&(place.bucket, place.origin)) else { return 0 };
        // Where there are no blobs, it is enough to know of it.
        let bare = stream.record(place.seq).is_none_or(|record| record.blobs.is_empty());
        let counts = |node: &NodeId| {
            if bare { self.view.is_active(node) } else { self.view.counts(&place.bucket, node) }
        };
        let others = stream.held.iter().filter(|(node, held)| held.get(place.seq) && counts(node));
        let count = others.count() + usize::from(stream.mine.get(place.seq));
        u16::try_from(count).unwrap_or(u16::MAX)
    }

    /// Other nodes that hold a blob, the connected ones first.
    pub fn holders(&self, blob: &BlobRef) -> Vec<NodeId> {
        let mut nodes: Vec<NodeId> = Vec::new();
        for (key, seq) in self.entries_with(blob) {
            let held = self.streams.get(&key).into_iter().flat_map(|stream| stream.held.iter());
            nodes.extend(held.filter(|(_, held)| held.get(seq)).map(|(node, _)| *node));
        }
        nodes.retain(|node| self.view.is_active(node) && *node != self.me);
        nodes.sort_unstable_by_key(|node| (!self.peers.contains_key(node), *node));
        nodes.dedup();
        nodes
    }

    /// Whether a blob must stay here: it belongs here, or those it belongs to have not all said so
    /// lately, and by the same view of the realm. So it is for a blob that no entry names yet, while
    /// this node's rights are taken away, for others do not hear what it gives up, and while it is to
    /// be emptied: what the others have is looked at as a whole before it goes.
    pub fn keeps(&self, bucket: &BucketId, blob: &BlobName) -> bool {
        let entries = self.entries_of(blob);
        entries.is_empty()
            || entries.iter().any(|(key, seq)| key.0 != *bucket || self.keeps_entry(*key, *seq))
    }

    /// Whether something lies here that must not lie where this node stands.
    pub fn is_barred(&self) -> bool {
        self.barred_here().next().is_some()
    }

    /// What lies here and must not, and may go because others have it; so many at most.
    pub fn may_go(&self, most: usize) -> Vec<BlobRef> {
        self.barred_here()
            .filter(|(key, blob)| !self.keeps(&key.0, &blob.name))
            .map(|(_, b)| *b)
            .take(most)
            .collect()
    }

    fn barred_here(&self) -> impl Iterator<Item = (&Key, &BlobRef)> {
        let barred =
            |(bucket, _): &Key| self.view.buckets.contains_key(bucket) && !self.view.allows(bucket, &self.me);
        self.streams.iter().filter(move |(key, _)| barred(key)).flat_map(|(key, stream)| {
            let held = stream.records().filter(|(seq, _)| stream.mine.get(*seq));
            held.flat_map(move |(_, record)| record.blobs.iter().map(move |blob| (key, blob)))
        })
    }

    fn keeps_entry(&self, key: Key, seq: u64) -> bool {
        let Some(stream) = self.streams.get(&key) else { return true };
        let Some(record) = stream.record(seq) else { return true };
        let places = crate::place(&self.view, &key.0, &record.id);
        // Who was not heard since it connected may have lost what it had; who goes by another view may
        // give it up because it is here.
        let holds = |node: &NodeId| {
            let Some(peer) = self.peers.get(node) else { return false };
            let told = peer.vectors.get(&key).map(|vector| vector.held);
            let held = stream.held.get(node).filter(|held| held.get(seq));
            peer.views.get(&key) == Some(&self.view_sum) && held.is_some_and(|held| told == Some(held.sum()))
        };
        let waits = self.view.is_draining(&self.me) && self.view.allows(&key.0, &self.me);
        waits || !self.view.is_active(&self.me) || places.is_empty() || !places.iter().all(holds)
    }
}
