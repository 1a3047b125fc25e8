//! Messages from peers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use freehold_wire::{BlobName, BucketId, Millis, NodeId};

use super::{Event, Key, Output, Replica};
use crate::message::VECTORS_MAX as PART_MAX;
use crate::stream::Stream;
use crate::{BlobRef, Message, Vector};

/// The most streams remembered of one peer.
pub(super) const VECTORS_MAX: usize = 20_000;
/// A blob that a peer finds bad is checked this often at most.
const VERIFY_EVERY: Millis = Millis::from_secs(600);
/// Blobs checked in that time at most, and for one peer.
const CHECKS_MAX: usize = 2048;
const CHECKS_FOR_ONE: usize = 256;
/// Blobs checked at one time: each is read whole.
const CHECKING_MAX: usize = 2;

/// Blobs that peers found bad.
#[derive(Debug, Default)]
pub(super) struct Checks {
    waiting: VecDeque<(BucketId, BlobRef)>,
    under_way: BTreeSet<BlobName>,
    /// Who told of a blob, and when.
    told: BTreeMap<BlobName, (NodeId, Millis)>,
}

impl Replica {
    pub(super) fn received(&mut self, now: Millis, from: NodeId, message: Message) {
        if !self.peers.contains_key(&from) {
            return;
        }
        match message {
            Message::Vectors { vectors, whole, view } => {
                let is_end = whole && vectors.len() < PART_MAX;
                for vector in vectors {
                    self.heard(now, from, vector, (whole, view));
                }
                self.heard_any |= is_end;
                if let Some(peer) = self.peers.get_mut(&from) {
                    peer.told_all |= is_end;
                }
            }
            Message::Ask { bucket, origin, from: seq, chain } => {
                self.asked(now, from, (bucket, origin), seq, chain);
            }
            Message::Entries { rows } => self.entries(now, from, rows),
            Message::Chain { bucket, origin, seq, chain, reply } => {
                self.compare(now, from, (bucket, origin), (seq, chain), reply);
            }
            Message::AskHolds { bucket, origin } => self.tell_all_holds(now, from, (bucket, origin)),
            Message::Holds { bucket, origin, from: first, count, bits } => {
                self.told_holds(now, from, (bucket, origin), first, (count, &bits));
            }
            Message::Bad { bucket, blob } => self.found_bad(now, from, &bucket, &blob),
            Message::Checked { rows } => self.told_looks(from, rows),
        }
    }

    fn heard(&mut self, now: Millis, from: NodeId, vector: Vector, (whole, view): (bool, u64)) {
        let key: Key = (vector.bucket, vector.origin);
        let Some(peer) = self.peers.get_mut(&from) else { return };
        if peer.vectors.len() >= VECTORS_MAX && !peer.vectors.contains_key(&key) {
            return;
        }
        peer.vectors.insert(key, vector);
        peer.views.insert(key, view);
        if whole {
            peer.asked_holds.remove(&key);
        }
        if whole {
            self.hunt_again(now, from, key);
        }
        let len = self.streams.get(&key).map_or(0, Stream::len);
        let ours = self.streams.get(&key).and_then(|stream| stream.chain(vector.seq));
        if ours.is_some_and(|ours| ours != vector.chain) {
            self.hunt(now, from, key, vector.seq);
        }
        if vector.seq > len {
            self.lag.insert(key);
        } else if vector.seq < len && from == key.1 {
            // Its own entries: it must have them before it writes anew.
            self.out.push_back(Output::Tell(Event::PeerBehind { node: from, bucket: key.0 }));
            self.tell_stream(now, from, key);
        }
        self.check_own(key);
        if whole {
            self.check_holds(now, from, key);
        }
    }

    fn found_bad(&mut self, now: Millis, from: NodeId, bucket: &BucketId, name: &BlobName) {
        let held =
            self.entries_of(name).into_iter().filter(|(key, _)| key.0 == *bucket).find_map(|(key, seq)| {
                let stream = self.streams.get(&key).filter(|stream| stream.mine.get(seq))?;
                stream.record(seq)?.blobs.iter().find(|blob| blob.name == *name).copied()
            });
        let Some(blob) = held else { return };
        let Checks { waiting, told, .. } = &mut self.checks;
        told.retain(|_, (_, at)| now.since(*at) < VERIFY_EVERY);
        let for_it = told.values().filter(|(by, _)| *by == from).count();
        if told.len() < CHECKS_MAX && for_it < CHECKS_FOR_ONE && !told.contains_key(name) {
            told.insert(*name, (from, now));
            waiting.push_back((*bucket, blob));
            self.check();
        }
    }

    fn check(&mut self) {
        let Checks { waiting, under_way, .. } = &mut self.checks;
        while under_way.len() < CHECKING_MAX
            && let Some((bucket, blob)) = waiting.pop_front()
        {
            if under_way.insert(blob.name) {
                self.out.push_back(Output::Verify { bucket, blob });
            }
        }
    }

    /// A blob was looked at.
    pub(super) fn checked(&mut self, blob: &BlobRef) {
        if self.checks.under_way.remove(&blob.name) {
            self.check();
        }
    }
}
