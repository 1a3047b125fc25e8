//! One number, two entries: how it is found, and what is kept of it.

use freehold_wire::{EntryId, Millis, NodeId};

use super::{Conflict, Event, Key, Output, Place, Replica};
use crate::message::Chain;
use crate::{Message, Row};

/// Streams searched at one time with one peer.
const HUNTS_MAX: usize = 64;

impl Replica {
    /// Begins to search for the first number at which a peer's history differs from ours; at `seq`
    /// it does.
    pub(super) fn hunt(&mut self, now: Millis, with: NodeId, key: Key, seq: u64) {
        let found = self.streams.get(&key).is_some_and(|stream| stream.fork.is_some_and(|fork| fork <= seq));
        let Some(peer) = self.peers.get_mut(&with) else { return };
        if found || seq == 0 || peer.hunts.contains_key(&key) || peer.hunts.len() >= HUNTS_MAX {
            return;
        }
        peer.hunts.insert(key, (0, seq));
        self.hunt_on(now, with, key);
    }

    /// Goes on with a search if one is under way: its last message may have been lost.
    pub(super) fn hunt_again(&mut self, now: Millis, with: NodeId, key: Key) {
        let fork = self.streams.get(&key).and_then(|stream| stream.fork);
        let Some(peer) = self.peers.get_mut(&with) else { return };
        let Some((_, high)) = peer.hunts.get(&key) else { return };
        if fork.is_some_and(|fork| fork <= *high) {
            peer.hunts.remove(&key);
        } else {
            self.hunt_on(now, with, key);
        }
    }

    /// Asks at the middle, or shows our entry once the place is found.
    fn hunt_on(&mut self, now: Millis, with: NodeId, key: Key) {
        let Some(peer) = self.peers.get_mut(&with) else { return };
        let Some((low, high)) = peer.hunts.get(&key).copied() else { return };
        if high.saturating_sub(low) <= 1 {
            peer.hunts.remove(&key);
            self.load(with, Place { bucket: key.0, origin: key.1, seq: high }, 1);
            // The peer shows its own when it sees ours, or when asked at the same place.
            self.tell_chain(now, with, key, high, false);
        } else {
            self.tell_chain(now, with, key, low.midpoint(high), false);
        }
    }

    fn tell_chain(&mut self, now: Millis, to: NodeId, key: Key, seq: u64, reply: bool) {
        if let Some(chain) = self.streams.get(&key).and_then(|stream| stream.chain(seq)) {
            self.send(now, to, Message::Chain { bucket: key.0, origin: key.1, seq, chain, reply });
        }
    }

    /// A peer tells its history up to a number.
    pub(super) fn compare(
        &mut self,
        now: Millis,
        from: NodeId,
        key: Key,
        (seq, theirs): (u64, Chain),
        reply: bool,
    ) {
        let Some(ours) = self.streams.get(&key).and_then(|stream| stream.chain(seq)) else { return };
        if !reply {
            self.tell_chain(now, from, key, seq, true);
        }
        let Some(peer) = self.peers.get_mut(&from) else { return };
        match peer.hunts.get_mut(&key) {
            Some((low, high)) => {
                if ours == theirs {
                    *low = (*low).max(seq);
                } else {
                    *high = (*high).min(seq);
                }
                self.hunt_on(now, from, key);
            }
            None if ours != theirs => self.hunt(now, from, key, seq),
            None => {}
        }
    }

    /// A peer showed an entry with a number that another one has here; its signature is good.
    pub(super) fn conflict(&mut self, from: NodeId, row: Row) {
        let place = Place { bucket: row.entry.bucket, origin: row.entry.origin, seq: row.entry.seq };
        let Some((kept, _)) = self.entry(&place) else { return };
        let other = row.entry.id();
        if self.forked(place, kept, other) {
            self.out.push_back(Output::Evidence(Box::new(row)));
            // It may not know ours.
            self.load(from, place, 1);
        }
    }

    /// Notes a fork; whether it is news.
    pub(super) fn forked(&mut self, place: Place, kept: EntryId, other: EntryId) -> bool {
        let key = (place.bucket, place.origin);
        let stream = self.stream_mut(key);
        if stream.fork.is_some_and(|fork| fork <= place.seq) {
            return false;
        }
        stream.fork = Some(place.seq);
        self.asks.remove(&key);
        self.lag.remove(&key);
        self.behind.remove(&place.bucket);
        self.out.push_back(Output::Tell(Event::Conflict(Conflict { place, kept, other })));
        true
    }
}
