//! What peers are told of their own accord, and who counts as a peer.

use std::collections::BTreeSet;

use freehold_wire::{Bounded, BucketId, Millis, NodeId};

use super::{
    Event, GARBAGE_FORGIVEN, GARBAGE_MAX, Key, Output, Peer, QUEUED_MAX, Replica, TELL_EVERY, TELL_SOON,
};
use crate::message::VECTORS_MAX;
use crate::stream::{Class, Stream};
use crate::{Message, Vector, View};

impl Replica {
    /// Queues a message, unless too many wait already: then the peer is told anew soon.
    pub(super) fn send(&mut self, now: Millis, to: NodeId, message: Message) {
        let Some(peer) = self.peers.get_mut(&to) else { return };
        if peer.queued >= QUEUED_MAX {
            peer.tell_at = peer.tell_at.min(now.plus(TELL_SOON));
            return;
        }
        peer.queued += 1;
        self.out.push_back(Output::Send(to, message));
    }

    /// Takes up with a peer that is connected and whose rights hold.
    pub(super) fn greet(&mut self, now: Millis, peer: NodeId) {
        if peer == self.me || !self.view.is_active(&peer) {
            return;
        }
        self.part(&peer);
        self.peers.insert(peer, Peer::default());
        self.wants.wake(now);
        self.tell_all(now, peer);
    }

    /// Leaves off with a peer.
    pub(super) fn part(&mut self, peer: &NodeId) {
        if self.peers.remove(peer).is_some() {
            self.out.retain(|output| !matches!(output, Output::Send(to, _) if to == peer));
            self.asks.retain(|_, asked| asked.peer != *peer);
            self.resting.retain(|(_, resting), _| resting != peer);
        }
    }

    pub(super) fn tell_all(&mut self, now: Millis, to: NodeId) {
        if let Some(peer) = self.peers.get_mut(&to) {
            peer.tell_at = now.plus(TELL_EVERY);
        }
        self.tell_looks(now, to);
        let known = self.streams.values().filter(|stream| self.knows_bucket(&stream.bucket));
        let mut vectors = known.filter_map(vector_of).collect::<Vec<_>>().into_iter();
        // Even an empty telling says something: there is nothing here. A part with room left is the
        // last one.
        loop {
            let part = Bounded::fill(&mut vectors);
            let is_last = part.len() < VECTORS_MAX;
            self.send(now, to, Message::Vectors { vectors: part, whole: true, view: self.view_sum });
            if is_last {
                return;
            }
        }
    }

    /// Tells one peer of one stream.
    pub(super) fn tell_stream(&mut self, now: Millis, to: NodeId, key: Key) {
        if let Some(vector) = self.streams.get(&key).and_then(vector_of) {
            let vectors = Bounded::fill(&mut std::iter::once(vector));
            self.send(now, to, Message::Vectors { vectors, whole: false, view: self.view_sum });
        }
    }

    /// Tells everybody of a stream that has grown, except who has it all.
    pub(super) fn tell_growth(&mut self, now: Millis, key: Key) {
        let len = self.streams.get(&key).map_or(0, Stream::len);
        let told = |peer: &Peer| peer.vectors.get(&key).map_or(0, |vector| vector.seq);
        let behind = self.peers.iter().filter(|(id, peer)| told(peer) < len || **id == key.1);
        for peer in behind.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.tell_stream(now, peer, key);
        }
    }

    pub(super) fn garbage(&mut self, now: Millis, from: NodeId) {
        let (count, since) = self.garbage.entry(from).or_insert((0, now));
        let forgiven = now.since(*since).0 / GARBAGE_FORGIVEN.0;
        *count = count.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX));
        // Time goes on from what was forgiven last, not from the last piece.
        let paid = Millis(forgiven.saturating_mul(GARBAGE_FORGIVEN.0));
        *since = if *count == 0 { now } else { since.plus(paid) };
        *count = count.saturating_add(1);
        if *count >= GARBAGE_MAX && self.peers.contains_key(&from) {
            self.part(&from);
            self.out.push_back(Output::Drop(from));
        }
    }

    pub(super) fn viewed(&mut self, now: Millis, view: View) {
        if view == self.view {
            return;
        }
        let sum = view.sum();
        if sum != std::mem::replace(&mut self.view_sum, sum) {
            // Others let go what is here only once they know by what view it stays.
            for peer in self.peers.values_mut() {
                peer.tell_at = peer.tell_at.min(now.plus(TELL_SOON));
            }
        }
        self.view = view;
        for peer in self.connected.clone() {
            match (self.view.is_active(&peer), self.peers.contains_key(&peer)) {
                (true, false) => self.greet(now, peer),
                (false, true) => self.part(&peer),
                _ => {}
            }
        }
        let told = self.peers.values().flat_map(|peer| peer.vectors.keys());
        self.lag = told.copied().collect();
        self.behind.retain(|bucket, _| self.view.copies(bucket).is_some());
        self.check_all_own();
        self.recount_all(now);
        for (key, len) in self.streams.iter().map(|(key, stream)| (*key, stream.len())).collect::<Vec<_>>() {
            for seq in 1..=len {
                self.want_or_not(now, key, seq);
            }
        }
        self.out.extend(self.wants.strays().map(Output::Stop));
    }

    /// Wants what belongs here and is not, and nothing else.
    pub(super) fn want_or_not(&mut self, now: Millis, key: Key, seq: u64) {
        let Some(stream) = self.streams.get(&key) else { return };
        let Some(record) = stream.record(seq) else { return };
        if stream.mine.get(seq) || record.class == Class::Erased && self.knows_bucket(&key.0) {
            return;
        }
        let blobs = record.blobs.clone();
        if self.belongs_here(&key.0, &record.id) {
            self.want(now, key, seq, &blobs);
        } else {
            self.unwant(now, key, seq, &blobs);
        }
    }

    /// Notes that others have later entries of this node, or no longer. What somebody told counts
    /// while it is away, but not after its rights ended.
    pub(super) fn check_own(&mut self, key: Key) {
        let (bucket, origin) = key;
        if origin != self.me || !self.knows_bucket(&bucket) || !self.view.may_write(&bucket, &origin) {
            return;
        }
        let have = self.streams.get(&key).map_or(0, Stream::len);
        let mut ahead = self.behind.remove(&bucket).unwrap_or_default();
        let was_behind = !ahead.is_empty();
        for (id, peer) in &self.peers {
            ahead.extend(peer.vectors.get(&key).map(|vector| (*id, vector.seq)));
        }
        ahead.retain(|id, told| *told > have && self.view.is_active(id));
        match ahead.values().max().copied() {
            Some(told) => {
                self.behind.insert(bucket, ahead);
                if !was_behind {
                    self.out.push_back(Output::Tell(Event::Behind { bucket, have, told }));
                }
            }
            None if was_behind => self.out.push_back(Output::Tell(Event::CaughtUp(bucket))),
            None => {}
        }
    }

    /// The same for every bucket, after the view changed.
    fn check_all_own(&mut self) {
        let told = self.peers.values().flat_map(|peer| peer.vectors.keys());
        let own = told.filter(|(_, origin)| *origin == self.me).map(|(bucket, _)| *bucket);
        let buckets: BTreeSet<BucketId> = own.chain(self.behind.keys().copied()).collect();
        for bucket in buckets {
            self.check_own((bucket, self.me));
        }
    }
}

fn vector_of(stream: &Stream) -> Option<Vector> {
    let seq = stream.len();
    let chain = stream.chain(seq).filter(|_| seq > 0)?;
    Some(Vector { bucket: stream.bucket, origin: stream.origin, seq, chain, held: stream.mine.sum() })
}
