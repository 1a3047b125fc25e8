//! Entries on their way to being durable, and what follows when they are.

use std::collections::BTreeSet;

use freehold_wire::{Bounded, EntryId, Millis, NodeId};

use super::{Event, Key, Output, Place, Replica, STORE_AGAIN, Ticket};
use crate::message::ROWS_MAX;
use crate::stream::Stream;
use crate::{BlobRef, Entry, Message, PAYLOAD_MAX, Payload, Row};

/// Bytes handed over to be stored and not yet durable; what comes beyond is asked for again.
const STORING_MAX: usize = 16 << 20;
/// A new entry up to this size is pushed to those who have all before it; of a longer one they are
/// told, and ask.
const PUSH_BYTES: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Storing {
    /// Who sent them.
    from: NodeId,
    entries: Vec<(Entry, Option<usize>)>,
    bytes: usize,
}

/// What to do with an entry from a peer.
enum Verdict {
    Keep,
    Pass,
    /// The realm does not let its origin write there, as far as we know.
    Stranger,
    /// It is due at that time.
    Early(Millis),
    /// Its origin has written too much; its turn is at that time.
    Crowded(Millis),
    Conflict,
    Garbage,
}

impl Replica {
    pub(super) fn entries(&mut self, now: Millis, from: NodeId, rows: Bounded<Row, ROWS_MAX>) {
        let mut kept: Vec<Row> = Vec::new();
        let mut fruitful: BTreeSet<Key> = BTreeSet::new();
        for row in rows {
            let key = (row.entry.bucket, row.entry.origin);
            match self.judge(now, &row) {
                Verdict::Keep => {
                    self.stream_mut(key).storing = row.entry.seq;
                    self.count_said(now, &row.entry);
                    fruitful.insert(key);
                    kept.push(row);
                }
                Verdict::Pass => {}
                Verdict::Stranger => {
                    fruitful.insert(key);
                    self.put_off(from, &row.entry, None);
                }
                Verdict::Early(due) => {
                    fruitful.insert(key);
                    self.put_off(from, &row.entry, Some(due));
                }
                Verdict::Crowded(turn) => {
                    fruitful.insert(key);
                    self.wait_turn(from, &row.entry, turn);
                }
                Verdict::Conflict => self.conflict(from, row),
                Verdict::Garbage => {
                    self.garbage(now, from);
                    if !self.peers.contains_key(&from) {
                        break;
                    }
                }
            }
        }
        self.asks.retain(|key, asked| asked.peer != from || !fruitful.contains(key));
        for key in &fruitful {
            self.resting.remove(&(*key, from));
        }
        if !kept.is_empty() {
            let len = |row: &Row| row.payload.as_ref().map(|payload| payload.len());
            let bytes = kept.iter().map(|row| 400 + row.entry.blobs.len() * 80 + len(row).unwrap_or(0)).sum();
            let entries = kept.iter().map(|row| (row.entry.clone(), len(row))).collect();
            let ticket = self.ticket();
            self.storing_bytes += bytes;
            self.storing.insert(ticket, Storing { from, entries, bytes });
            self.out.push_back(Output::Store(ticket, kept));
        }
    }

    fn judge(&self, now: Millis, row: &Row) -> Verdict {
        let entry = &row.entry;
        let seq = entry.seq;
        if entry.realm != self.view.realm || seq == 0 {
            return Verdict::Garbage;
        }
        if !self.knows_bucket(&entry.bucket) {
            return Verdict::Pass;
        }
        if !self.view.accepts(&entry.bucket, &entry.origin, seq) {
            return Verdict::Stranger;
        }
        let stream = self.streams.get(&(entry.bucket, entry.origin));
        if let Some(here) = stream.and_then(|stream| stream.record(seq)) {
            return if here.id == entry.id() {
                Verdict::Pass
            } else if entry.verify().is_ok() {
                Verdict::Conflict
            } else {
                Verdict::Garbage
            };
        }
        let forked = stream.is_some_and(|stream| stream.fork.is_some());
        let next = stream.map_or(0, |stream| stream.storing).saturating_add(1);
        if seq != next || forked || self.storing_bytes > STORING_MAX {
            return Verdict::Pass;
        }
        let payload = row.payload.as_ref();
        let covered = payload.is_none_or(|payload| payload.len() <= PAYLOAD_MAX && entry.covers(payload));
        // Everybody's node writes into the directory, and it holds nothing that blobs are for.
        let bare = entry.bucket != self.view.directory || entry.blobs.is_empty();
        let too_long = self.is_too_long(entry, payload.map(|payload| payload.len()));
        if !covered || !bare || too_long || entry.verify().is_err() {
            return Verdict::Garbage;
        }
        match (self.due(now, entry), self.turn_of(now, entry)) {
            (Some(due), _) => Verdict::Early(due),
            (None, Some(turn)) => Verdict::Crowded(turn),
            (None, None) => Verdict::Keep,
        }
    }

    pub(super) fn stored(&mut self, now: Millis, ticket: Ticket) {
        if !self.storing.contains_key(&ticket) {
            return;
        }
        self.stored.insert(ticket);
        // In the order of tickets: a later one may continue an earlier one.
        while let Some(first) = self.storing.first_entry()
            && self.stored.remove(first.key())
        {
            let Storing { from, entries, bytes } = first.remove();
            self.storing_bytes = self.storing_bytes.saturating_sub(bytes);
            self.durable(now, from, &entries);
        }
    }

    fn durable(&mut self, now: Millis, from: NodeId, entries: &[(Entry, Option<usize>)]) {
        let mut grown: BTreeSet<Key> = BTreeSet::new();
        let mut held: Vec<(Key, u64)> = Vec::new();
        for (entry, payload_len) in entries {
            let key = (entry.bucket, entry.origin);
            // Not so if a write before it failed: then it is asked for again.
            if !self.add(key, entry, *payload_len) {
                continue;
            }
            grown.insert(key);
            let blobs: &[BlobRef] = if payload_len.is_some() { &entry.blobs } else { &[] };
            // What was sealed anew names the blobs of the entry that it stands for.
            if blobs.iter().all(|blob| self.holds_for_another((key, entry.seq), blob) == Some(true)) {
                self.stream_mut(key).mine.set(entry.seq, true);
                held.push((key, entry.seq));
            } else if self.belongs_here(&key.0, &entry.id()) {
                self.want(now, key, entry.seq, blobs);
            }
            self.recount(now, key, entry.seq);
        }
        for key in grown {
            let len = self.streams.get(&key).map_or(0, Stream::len);
            self.caught_up(key);
            self.tell_growth(now, key);
            // The sender's own telling may be older than what it sent.
            let told = self.peers.get(&from).and_then(|peer| peer.vectors.get(&key)).map_or(0, |v| v.seq);
            if told < len {
                self.tell_stream(now, from, key);
            }
            for peer in self.peers.keys().copied().collect::<Vec<_>>() {
                self.check_holds(now, peer, key);
            }
        }
        self.tell_holds(now, &held);
    }

    pub(super) fn store_failed(&mut self, now: Millis, ticket: Ticket) {
        if let Some(failed) = self.storing.remove(&ticket) {
            self.storing_bytes = self.storing_bytes.saturating_sub(failed.bytes);
            for (entry, _) in &failed.entries {
                let key = (entry.bucket, entry.origin);
                // Later tickets of the stream find their predecessor missing and are dropped.
                let stream = self.stream_mut(key);
                stream.storing = stream.len();
                self.lag.insert(key);
            }
        }
        self.ask_after = now.plus(STORE_AGAIN);
        let next = self.storing.keys().next().copied().filter(|next| self.stored.contains(next));
        if let Some(next) = next {
            self.stored(now, next);
        }
    }

    /// Whether a blob of an entry lies here for the sake of another one; none if no other names it.
    fn holds_for_another(&self, of: (Key, u64), blob: &BlobRef) -> Option<bool> {
        let others = self.entries_with(blob).into_iter().filter(|other| *other != of);
        let held = |(key, seq): (Key, u64)| self.streams.get(&key).is_some_and(|stream| stream.mine.get(seq));
        others.map(held).reduce(|one, other| one || other)
    }

    /// An entry of this node's own, which is durable with its blobs, but for those of an entry that it stands
    /// for and of which this node has none.
    pub(super) fn wrote(&mut self, now: Millis, entry: Entry, payload: Payload) {
        let key = (entry.bucket, entry.origin);
        let place = Place { bucket: entry.bucket, origin: entry.origin, seq: entry.seq };
        let stream = self.stream_mut(key);
        let (len, storing) = (stream.len(), stream.storing);
        if entry.seq <= storing {
            // Its number is taken by an older entry of ours that another node has kept for us.
            let same = stream.record(entry.seq).is_some_and(|record| record.id == entry.id());
            if !same {
                let kept = stream.record(entry.seq).map_or(EntryId::from_bytes([0; 32]), |record| record.id);
                self.forked(place, kept, entry.id());
            }
            return;
        }
        if entry.seq != len.saturating_add(1) || !self.add(key, &entry, Some(payload.len())) {
            return self.out.push_back(Output::Tell(Event::OutOfOrder(place)));
        }
        let here = |blob: &BlobRef| self.holds_for_another((key, entry.seq), blob) != Some(false);
        if entry.blobs.iter().all(here) {
            self.stream_mut(key).mine.set(entry.seq, true);
        } else if self.belongs_here(&key.0, &entry.id()) {
            self.want(now, key, entry.seq, &entry.blobs);
        }
        self.recount(now, key, entry.seq);
        let has_rest = |peer: &super::Peer| peer.vectors.get(&key).map_or(0, |vector| vector.seq) >= len;
        let (level, behind): (Vec<_>, Vec<_>) = self.peers.iter().partition(|(_, peer)| has_rest(peer));
        let level: Vec<NodeId> = level.into_iter().map(|(id, _)| *id).collect();
        let behind: Vec<NodeId> = behind.into_iter().map(|(id, _)| *id).collect();
        let short = entry.blobs.len() * 80 + payload.len() <= PUSH_BYTES;
        let row = Row { entry, payload: Some(payload.into()) };
        for peer in level {
            if short {
                let rows = Bounded::fill(&mut std::iter::once(row.clone()));
                self.send(now, peer, Message::Entries { rows });
            } else {
                self.tell_stream(now, peer, key);
            }
        }
        for peer in behind {
            self.tell_stream(now, peer, key);
        }
        self.tell_holds(now, &[(key, place.seq)]);
    }
}
