//! Who is believed, and when: entries of nodes that the view does not name, and entries from the
//! future, are not taken in. Both may be right later, so they are asked for again then.

use freehold_wire::{Hlc, Millis, NodeId};

use super::hear::VECTORS_MAX;
use super::{Event, Key, Output, Place, Replica};
use crate::message::Chain;
use crate::{Entry, Vector};

impl Replica {
    /// Wall time is now this.
    pub(super) fn clock(&mut self, now: Millis, wall: Millis) {
        self.epoch = wall.since(now);
        // Whether they are still too early is found out by asking.
        self.lag.extend(std::mem::take(&mut self.early).into_keys());
    }

    /// When an entry may be taken in, if that is not yet: a writer whose clock is ahead would win
    /// over all that others write until then.
    pub(super) fn due(&self, now: Millis, entry: &Entry) -> Option<Millis> {
        let latest = self.epoch.plus(now).plus(Hlc::DRIFT_MAX);
        // Its own entries a node must have before it writes anew.
        if entry.hlc.wall <= latest || entry.origin == self.me {
            return None;
        }
        Some(now.plus(entry.hlc.wall.since(latest)))
    }

    /// Remembers that a peer has an entry which cannot be taken in now.
    pub(super) fn put_off(&mut self, from: NodeId, entry: &Entry, until: Option<Millis>) {
        let key: Key = (entry.bucket, entry.origin);
        self.lag.remove(&key);
        if let Some(peer) = self.peers.get_mut(&from) {
            let told = peer.vectors.get(&key).map_or(0, |vector| vector.seq);
            if told < entry.seq && (told > 0 || peer.vectors.len() < VECTORS_MAX) {
                let (seq, chain) = (entry.seq, Chain::from([0; 16]));
                let vector = Vector { bucket: entry.bucket, origin: entry.origin, seq, chain, held: 0 };
                peer.vectors.insert(key, vector);
            }
        }
        let Some(until) = until else { return };
        if self.early.insert(key, until).is_none() {
            let place = Place { bucket: entry.bucket, origin: entry.origin, seq: entry.seq };
            self.out.push_back(Output::Tell(Event::Early { place, wall: entry.hlc.wall }));
        }
    }

    /// Asks again for what has become due.
    pub(super) fn ripen(&mut self, now: Millis) {
        let due: Vec<Key> = self.early.iter().filter(|(_, at)| **at <= now).map(|(key, _)| *key).collect();
        for key in due {
            self.early.remove(&key);
            self.lag.insert(key);
        }
    }

    pub(super) fn ripening(&self) -> Option<(Millis, &'static str)> {
        self.early.values().min().map(|at| (*at, "an entry from the future is due"))
    }
}
