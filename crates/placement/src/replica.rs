//! The replication machine: inputs in, outputs out. Entries are pulled stream by stream, then the
//! blobs that belong here are fetched from whoever holds them, and what is held is told to all.
//! Times are monotonic and handed in.

mod ask;
mod blobs;
mod checks;
mod dispute;
mod exchange;
mod fork;
mod hear;
mod holds;
mod protection;
mod store;
mod tell;
mod trust;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use freehold_wire::{BlobName, BucketId, EntryId, Hlc, Millis, NodeId};

pub use self::checks::{Look, Looked};
pub use self::exchange::{
    Belief, Conflict, Dispute, Event, FetchError, Input, Load, Output, Own, Place, Ticket,
};
pub use self::protection::{Burden, COPIES_TOLD, Protection};
use crate::bits::Bits;
use crate::stream::Stream;
use crate::{BlobRef, Entry, Vector, View};

/// What peers have is told again this often, so that a lost message is made good.
const TELL_EVERY: Millis = Millis::from_secs(30);
/// A peer that was told less than it should for want of room is told again after this.
const TELL_SOON: Millis = Millis::from_secs(1);
/// Entries asked of a peer come within this, or another one is asked.
const ANSWER_WITHIN: Millis = Millis::from_secs(10);
/// After a write failed, nothing is asked for until then: the disk may be full.
const STORE_AGAIN: Millis = Millis::from_secs(5);
/// Messages that wait for one peer; what does not fit is told later.
const QUEUED_MAX: usize = 128;
/// A peer that sent this much garbage is dropped, and one piece is forgiven every ten minutes.
const GARBAGE_MAX: u32 = 16;
const GARBAGE_FORGIVEN: Millis = Millis::from_secs(600);

/// So long after its start a node waits for another one, which could say whether its disk is the
/// newest, before it writes.
const LISTEN: Millis = Millis::from_secs(10);

/// A stream: bucket and origin.
type Key = (BucketId, NodeId);

/// Replicates the entries of all buckets, and the blobs that belong here.
#[derive(Debug)]
pub struct Replica {
    me: NodeId,
    view: View,
    /// [`View::sum`] of it.
    view_sum: u64,
    streams: BTreeMap<Key, Stream>,
    /// Which entries a blob belongs to.
    blobs: BTreeSet<(BlobName, u32, u64)>,
    /// Blobs of which entries say different things, and what is believed.
    disputed: BTreeMap<BlobName, BlobRef>,
    /// The numbers that stand for streams in `blobs`.
    keys: Vec<Key>,
    connected: BTreeSet<NodeId>,
    /// The connected ones whose rights hold.
    peers: BTreeMap<NodeId, Peer>,
    garbage: BTreeMap<NodeId, (u32, Millis)>,
    /// Wall time when the monotonic one began.
    epoch: Millis,
    /// Streams whose next entry lies in the future, and when it is asked for again.
    early: BTreeMap<Key, Millis>,
    /// What quiet nodes have written into the directory lately.
    said: BTreeMap<NodeId, trust::Said>,
    /// Whose holdings of which stream have changed since somebody asked.
    believed: BTreeSet<(Key, NodeId)>,
    heard_any: bool,
    /// Until when this node waits to be heard from, once it has begun.
    listening: Listening,
    /// Who has later entries of ours than are here, by bucket, and up to which number.
    behind: BTreeMap<BucketId, BTreeMap<NodeId, u64>>,
    /// Streams of which somebody has told more than is here.
    lag: BTreeSet<Key>,
    asks: BTreeMap<Key, ask::Asked>,
    /// Who was asked for a stream last, and how many asks there were before.
    asked_last: BTreeMap<Key, (NodeId, u64)>,
    ask_turn: u64,
    resting: BTreeMap<(Key, NodeId), ask::Rest>,
    /// Nothing is asked for before this; 0 if nothing stands in the way.
    ask_after: Millis,
    next_ticket: u64,
    storing: BTreeMap<Ticket, store::Storing>,
    stored: BTreeSet<Ticket>,
    storing_bytes: usize,
    wants: blobs::Wants,
    checks: hear::Checks,
    looks: checks::Looks,
    tally: BTreeMap<BucketId, Protection>,
    changed: BTreeSet<BucketId>,
    out: VecDeque<Output>,
}

/// Whether this node still waits for somebody to tell it of its own entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listening {
    /// Nothing has happened yet.
    Ahead,
    Until(Millis),
    Over,
}

#[derive(Debug, Default)]
struct Peer {
    tell_at: Millis,
    queued: usize,
    /// What it told of itself.
    vectors: BTreeMap<Key, Vector>,
    /// By which view it told so.
    views: BTreeMap<Key, u64>,
    /// Asked what it holds; not asked again before it tells anew.
    asked_holds: BTreeSet<Key>,
    /// Where two histories are known to agree and to differ.
    hunts: BTreeMap<Key, (u64, u64)>,
    /// Whether it has told of all that it has.
    told_all: bool,
    loads: usize,
}

impl Replica {
    /// A replica without entries. [`Self::restore`] each stored entry before the first input.
    pub fn new(me: NodeId, view: View) -> Self {
        Self {
            me,
            view_sum: view.sum(),
            view,
            streams: BTreeMap::new(),
            blobs: BTreeSet::new(),
            disputed: BTreeMap::new(),
            keys: Vec::new(),
            connected: BTreeSet::new(),
            peers: BTreeMap::new(),
            garbage: BTreeMap::new(),
            epoch: Millis(0),
            early: BTreeMap::new(),
            said: BTreeMap::new(),
            believed: BTreeSet::new(),
            heard_any: false,
            listening: Listening::Ahead,
            behind: BTreeMap::new(),
            lag: BTreeSet::new(),
            asks: BTreeMap::new(),
            asked_last: BTreeMap::new(),
            ask_turn: 0,
            resting: BTreeMap::new(),
            ask_after: Millis(0),
            next_ticket: 0,
            storing: BTreeMap::new(),
            stored: BTreeSet::new(),
            storing_bytes: 0,
            wants: blobs::Wants::default(),
            checks: hear::Checks::default(),
            looks: checks::Looks::default(),
            tally: BTreeMap::new(),
            changed: BTreeSet::new(),
            out: VecDeque::new(),
        }
    }

    /// Takes in an entry from this node's own store: ascending within its stream. `payload_len` is
    /// `None` if the payload was erased; `has` says whether a blob is here. Returns whether it was
    /// the next of its stream.
    pub fn restore(
        &mut self,
        now: Millis,
        entry: &Entry,
        payload_len: Option<usize>,
        has: &mut dyn FnMut(&BlobRef) -> bool,
    ) -> bool {
        let key = (entry.bucket, entry.origin);
        if !self.add(key, entry, payload_len) {
            return false;
        }
        let missing: Vec<BlobRef> = if payload_len.is_none() {
            Vec::new()
        } else {
            entry.blobs.iter().filter(|b| !has(b)).copied().collect()
        };
        let believed = payload_len.is_none() || entry.blobs.iter().all(|blob| self.is_believed(blob));
        if missing.is_empty() && believed {
            self.stream_mut(key).mine.set(entry.seq, true);
        } else if self.belongs_here(&key.0, &entry.id()) {
            self.want(now, key, entry.seq, &missing);
        }
        self.recount(now, key, entry.seq);
        true
    }

    /// Takes back what a peer was heard to hold before the restart, best before the entries. It counts
    /// until the peer tells anew, as if this node had been running and the peer away; it never lets
    /// a copy go, since [`Self::keeps`] asks who was heard since.
    pub fn recall(&mut self, now: Millis, belief: Belief) {
        let key = (belief.bucket, belief.origin);
        let stream = self.stream_mut(key);
        stream.held.insert(belief.node, Bits::from_bytes(belief.bits));
        for seq in 1..=stream.len() {
            self.recount(now, key, seq);
        }
    }

    /// All entries and beliefs have been taken back: of an entry that never became durable here
    /// nothing is believed.
    pub fn restored(&mut self) {
        for stream in self.streams.values_mut() {
            let len = stream.len();
            for bits in stream.held.values_mut() {
                *bits = std::mem::take(bits).up_to(len);
            }
        }
    }

    /// Takes back what [`Event::Conflict`] told before the restart.
    pub fn recall_conflict(&mut self, place: &Place) {
        let stream = self.stream_mut((place.bucket, place.origin));
        stream.fork = Some(stream.fork.map_or(place.seq, |fork| fork.min(place.seq)));
    }

    /// What peers were heard to hold where that has changed since the last call, to be kept for
    /// [`Self::recall`].
    pub fn news(&mut self) -> Vec<Belief> {
        let changed = std::mem::take(&mut self.believed);
        let belief = |((bucket, origin), node): (Key, NodeId)| {
            let bits = self.streams.get(&(bucket, origin))?.held.get(&node)?.as_bytes().to_vec();
            Some(Belief { node, bucket, origin, bits })
        };
        changed.into_iter().filter_map(belief).collect()
    }

    /// Whether [`Self::news`] has any.
    pub fn has_news(&self) -> bool {
        !self.believed.is_empty() || self.has_new_looks()
    }

    /// Takes in what happened. Poll for outputs afterwards.
    pub fn handle(&mut self, now: Millis, input: Input) {
        if self.listening == Listening::Ahead {
            self.listening = Listening::Until(now.plus(LISTEN));
        }
        match input {
            Input::View(view) => self.viewed(now, view),
            Input::Clock(wall) => self.clock(now, wall),
            Input::Connected(peer) => {
                self.connected.insert(peer);
                self.greet(now, peer);
            }
            Input::Disconnected(peer) => {
                self.connected.remove(&peer);
                self.part(&peer);
            }
            Input::Received(peer, message) => self.received(now, peer, message),
            Input::Garbage(peer) => self.garbage(now, peer),
            Input::Wrote(entry, payload) => self.wrote(now, *entry, payload),
            Input::Stored(ticket) => self.stored(now, ticket),
            Input::StoreFailed(ticket) => self.store_failed(now, ticket),
            Input::Loaded(load, rows) => self.loaded(now, &load, rows),
            Input::Fetched(blob) => self.fetched(now, &blob),
            Input::FetchFailed(blob, why) => self.fetch_failed(now, &blob, why),
            Input::Lost(blob) => {
                self.checked(&blob);
                self.lost(now, &blob);
            }
            Input::Verified(blob) => self.checked(&blob),
            Input::Erased(place) => self.erased(now, &place),
            Input::Looked(bucket, at) => self.looked_at(now, bucket, at),
        }
        // Who has been alone may have written, and would wait in vain for whoever joins now.
        if self.is_alone() {
            self.listening = Listening::Over;
        }
        self.ask(now);
        self.fetch(now);
        let changed = std::mem::take(&mut self.changed);
        self.out.extend(changed.into_iter().map(|bucket| Output::Tell(Event::Protection(bucket))));
    }

    /// The next thing to do. Take all there is before the next input.
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.out.pop_front()?;
        if let Output::Send(peer, _) = &output
            && let Some(peer) = self.peers.get_mut(peer)
        {
            peer.queued = peer.queued.saturating_sub(1);
        }
        Some(output)
    }

    /// When [`Self::handle_timeout`] wants to be called, and what for.
    pub fn poll_timeout(&self) -> Option<(Millis, &'static str)> {
        let tell = self.peers.values().map(|peer| (peer.tell_at, "tell again what is here"));
        let asks = self.asks.values().map(|asked| (asked.until, "entries asked of a peer"));
        let listening = match self.listening {
            Listening::Until(at) => Some((at, "wait no longer for somebody to be heard")),
            Listening::Ahead | Listening::Over => None,
        };
        let again = self.asking_again().into_iter().chain(self.fetching_again()).chain(self.ripening());
        tell.chain(asks).chain(again).chain(listening).min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Millis) {
        let due: Vec<NodeId> =
            self.peers.iter().filter(|(_, peer)| peer.tell_at <= now).map(|(id, _)| *id).collect();
        for peer in due {
            self.tell_all(now, peer);
        }
        if matches!(self.listening, Listening::Until(at) if at <= now) {
            self.listening = Listening::Over;
        }
        self.asks_lapse(now);
        self.ripen(now);
        self.ask(now);
        self.fetch(now);
    }

    /// Whether this node may write to a bucket.
    pub fn own(&self, bucket: &BucketId) -> Own {
        let forked = self.streams.get(&(*bucket, self.me)).is_some_and(|stream| stream.fork.is_some());
        let suspended = self.view.nodes.get(&self.me).is_some_and(|me| me.suspended);
        if suspended || !self.view.may_write(bucket, &self.me) {
            Own::Stranger
        } else if self.view.buckets.contains_key(bucket) && !self.view.allows(bucket, &self.me) {
            Own::Barred
        } else if forked {
            Own::Forked
        } else if self.behind.contains_key(bucket) {
            Own::Behind
        } else if self.heard_any || self.is_alone() {
            Own::Sure
        } else if self.listening == Listening::Over {
            Own::Unheard
        } else {
            Own::Listening
        }
    }

    /// Whether no other node's rights hold.
    fn is_alone(&self) -> bool {
        !self.view.nodes.keys().any(|node| *node != self.me && self.view.is_active(node))
    }

    /// Whether all is here and durable that anybody has told of a bucket, and somebody has told if
    /// there is anybody.
    pub fn in_step(&self, bucket: &BucketId) -> bool {
        let more = self.lag.iter().chain(self.early.keys()).any(|key| key.0 == *bucket);
        let storing = self.streams_of(bucket).any(|stream| stream.storing > stream.len());
        (self.heard_any || self.is_alone()) && !more && !storing && !self.behind.contains_key(bucket)
    }

    /// Whether an entry of this node waits for its date.
    pub fn is_early(&self, node: &NodeId) -> bool {
        self.early.keys().any(|(_, origin)| origin == node)
    }

    /// Whether others have later entries of this node than it has itself.
    pub fn is_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// The last number of each origin in a bucket.
    pub fn vector(&self, bucket: &BucketId) -> BTreeMap<NodeId, u64> {
        self.streams_of(bucket).map(|stream| (stream.origin, stream.len())).collect()
    }

    /// The last number of an origin in each bucket.
    pub fn lengths(&self, origin: &NodeId) -> BTreeMap<BucketId, u64> {
        let theirs = self.streams.values().filter(|stream| stream.origin == *origin && stream.len() > 0);
        theirs.map(|stream| (stream.bucket, stream.len())).collect()
    }

    /// The id and clock reading of an entry that is here.
    pub fn entry(&self, place: &Place) -> Option<(EntryId, Hlc)> {
        let record = self.streams.get(&(place.bucket, place.origin))?.record(place.seq)?;
        Some((record.id, record.hlc))
    }

    /// One line for traces: streams, entries, peers, tickets open, streams asked for, blobs wanted.
    pub fn describe(&self) -> String {
        format!(
            "streams={} entries={} peers={} tickets={} asks={} wants={}",
            self.streams.len(),
            self.streams.values().map(Stream::len).sum::<u64>(),
            self.peers.len(),
            self.storing.len(),
            self.asks.len(),
            self.wants.len(),
        )
    }

    fn streams_of(&self, bucket: &BucketId) -> impl Iterator<Item = &Stream> {
        let low = (*bucket, NodeId::from_bytes([0; 32]));
        let high = (*bucket, NodeId::from_bytes([0xff; 32]));
        self.streams.range(low..=high).map(|(_, stream)| stream)
    }

    fn stream_mut(&mut self, key: Key) -> &mut Stream {
        self.streams.entry(key).or_insert_with(|| {
            let number = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
            self.keys.push(key);
            Stream::new(key.0, key.1, number)
        })
    }

    /// Adds a durable entry to its stream.
    fn add(&mut self, key: Key, entry: &Entry, payload_len: Option<usize>) -> bool {
        let stream = self.stream_mut(key);
        let number = stream.number;
        if !stream.push(entry, payload_len) {
            return false;
        }
        if payload_len.is_some() {
            self.refer(key, number, entry);
        }
        true
    }

    /// The entries that a blob belongs to.
    fn entries_of(&self, blob: &BlobName) -> Vec<(Key, u64)> {
        let range = (*blob, 0, 0)..=(*blob, u32::MAX, u64::MAX);
        let key = |number: u32| usize::try_from(number).ok().and_then(|at| self.keys.get(at)).copied();
        self.blobs.range(range).filter_map(|(_, number, seq)| Some((key(*number)?, *seq))).collect()
    }

    fn knows_bucket(&self, bucket: &BucketId) -> bool {
        self.view.copies(bucket).is_some()
    }

    /// Whether the blobs of an entry should be here.
    fn belongs_here(&self, bucket: &BucketId, entry: &EntryId) -> bool {
        *bucket != self.view.directory && crate::place(&self.view, bucket, entry).contains(&self.me)
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket = self.next_ticket.saturating_add(1);
        Ticket(self.next_ticket)
    }
}

#[cfg(test)]
mod tests;
