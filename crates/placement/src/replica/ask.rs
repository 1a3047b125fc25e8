//! Asking for entries, and answering those who ask.

use freehold_wire::{Bounded, Millis, NodeId};

use super::{Key, Load, Output, Place, Replica};
use crate::message::{Chain, ROWS_MAX};
use crate::stream::{Record, Stream};
use crate::{MESSAGE_MAX, Message, Row};

/// Streams asked for at one time, and of them from one peer.
const ASKS_MAX: usize = 8;
const ASKS_OF_ONE: usize = 4;
/// A peer that did not answer in time is not asked for the stream for so long, twice as long each
/// time that it happens again.
const REST_MIN: Millis = Millis::from_secs(10);
const REST_MAX: Millis = Millis::from_secs(120);
/// Reads from the store for one peer at one time; who asks for more asks again.
const LOADS_MAX: usize = 4;
/// Bytes of entries in an answer, unless a single one is longer.
const ANSWER_BYTES: usize = 512 << 10;
/// Bytes handed over to be stored, and not yet durable, beyond which nothing more is asked for.
const STORING_ENOUGH: usize = 8 << 20;

#[derive(Debug)]
pub(super) struct Asked {
    pub(super) peer: NodeId,
    pub(super) until: Millis,
}

/// A peer that was asked for a stream in vain.
#[derive(Debug, Default)]
pub(super) struct Rest {
    times: u32,
    /// 0 when it is over.
    until: Millis,
}

/// Who is to be asked for a stream.
enum Source {
    Peer(NodeId),
    /// Somebody, but not now.
    Later,
    Nobody,
}

impl Replica {
    /// Asks for streams of which somebody has more.
    pub(super) fn ask(&mut self, now: Millis) {
        if now < self.ask_after || self.storing_bytes > STORING_ENOUGH {
            return;
        }
        self.ask_after = Millis(0);
        let most = ASKS_MAX.min(self.peers.len().max(1).saturating_mul(ASKS_OF_ONE));
        if self.asks.len() >= most {
            return;
        }
        // Those not asked for in the longest time first: else what comes first and never leads to
        // anything starves the rest.
        let turn = |key: &Key| self.asked_last.get(key).map_or(0, |(_, turn)| *turn);
        let mut keys: Vec<(u64, Key)> = self.lag.iter().map(|key| (turn(key), *key)).collect();
        keys.sort_unstable();
        for (_, key) in keys {
            if self.asks.len() >= most {
                return;
            }
            let (len, storing, forked) = self
                .streams
                .get(&key)
                .map_or((0, 0, false), |stream| (stream.len(), stream.storing, stream.fork.is_some()));
            if self.asks.contains_key(&key) || storing > len {
                continue;
            }
            let wanted = !forked
                && self.view.accepts(&key.0, &key.1, len.saturating_add(1))
                && !self.early.contains_key(&key)
                && self.knows_bucket(&key.0);
            let source = if wanted { self.source(now, &key, len) } else { Source::Nobody };
            let chain = self.streams.get(&key).map_or_else(|| Some(Chain::from([0; 16])), |s| s.chain(len));
            let (peer, chain) = match (source, chain) {
                (Source::Peer(peer), Some(chain)) => (peer, chain),
                (Source::Later, _) => continue,
                _ => {
                    self.lag.remove(&key);
                    self.check_own(key);
                    continue;
                }
            };
            self.ask_turn = self.ask_turn.saturating_add(1);
            self.asked_last.insert(key, (peer, self.ask_turn));
            self.asks.insert(key, Asked { peer, until: now.plus(super::ANSWER_WITHIN) });
            let from = len.saturating_add(1);
            self.send(now, peer, Message::Ask { bucket: key.0, origin: key.1, from, chain });
        }
    }

    /// The next peer in turn that has told more than `len`.
    fn source(&self, now: Millis, key: &Key, len: u64) -> Source {
        let has = |peer: &super::Peer| peer.vectors.get(key).is_some_and(|vector| vector.seq > len);
        if !self.peers.values().any(has) {
            return Source::Nobody;
        }
        let free = |id: &NodeId| {
            let rests = self.resting.get(&(*key, *id)).is_some_and(|rest| rest.until > now);
            !rests && self.asks.values().filter(|asked| asked.peer == *id).count() < ASKS_OF_ONE
        };
        let sources = self.peers.iter().filter(|(id, peer)| has(peer) && free(id)).map(|(id, _)| *id);
        let sources: Vec<NodeId> = sources.collect();
        let after = self.asked_last.get(key).map(|(peer, _)| peer);
        let next = sources.iter().find(|id| after.is_some_and(|after| *id > after));
        next.or(sources.first()).map_or(Source::Later, |id| Source::Peer(*id))
    }

    /// Peers that were asked and did not answer are passed over for the next.
    pub(super) fn asks_lapse(&mut self, now: Millis) {
        for rest in self.resting.values_mut().filter(|rest| rest.until <= now) {
            rest.until = Millis(0);
        }
        for (key, asked) in self.asks.extract_if(.., |_, asked| asked.until <= now) {
            let rest = self.resting.entry((key, asked.peer)).or_default();
            let pause = REST_MIN.0.checked_shl(rest.times).unwrap_or(REST_MAX.0).min(REST_MAX.0);
            rest.times = rest.times.saturating_add(1).min(32);
            rest.until = now.plus(Millis(pause));
        }
    }

    pub(super) fn asking_again(&self) -> Option<(Millis, &'static str)> {
        let failed = (self.ask_after, "ask again after a failed write");
        let rested = self.resting.values().map(|rest| (rest.until, "ask again who did not answer"));
        rested.chain([failed]).filter(|(at, _)| *at > Millis(0)).min()
    }

    /// A peer asks for entries from `first` on.
    pub(super) fn asked(&mut self, now: Millis, to: NodeId, key: Key, first: u64, chain: Chain) {
        let Some(stream) = self.streams.get(&key) else { return };
        if first == 0 || first > stream.len() || !self.knows_bucket(&key.0) {
            return;
        }
        let before = first.saturating_sub(1);
        if stream.chain(before) != Some(chain) {
            return self.hunt(now, to, key, before);
        }
        let mut room = ANSWER_BYTES;
        let fits = |(_, record): &(u64, &Record)| {
            let len = record.message_len();
            let fits = len <= room;
            room = room.saturating_sub(len);
            fits
        };
        let skip = usize::try_from(before).unwrap_or(usize::MAX);
        let count = stream.records().skip(skip).take(ROWS_MAX).take_while(fits).count().max(1);
        self.load(to, Place { bucket: key.0, origin: key.1, seq: first }, count);
    }

    pub(super) fn load(&mut self, to: NodeId, first: Place, count: usize) {
        if let Some(peer) = self.peers.get_mut(&to)
            && peer.loads < LOADS_MAX
        {
            peer.loads += 1;
            self.out.push_back(Output::Load(Load { to, first, count }));
        }
    }

    pub(super) fn loaded(&mut self, now: Millis, load: &Load, rows: Vec<Row>) {
        let Some(peer) = self.peers.get_mut(&load.to) else { return };
        peer.loads = peer.loads.saturating_sub(1);
        let mut room = MESSAGE_MAX - 64;
        let fits = |row: &Row| {
            let payload = row.payload.as_ref().map_or(0, |payload| payload.len());
            let len = row.entry.to_bytes().len().saturating_add(payload).saturating_add(16);
            let fits = len <= room;
            room = room.saturating_sub(len);
            fits
        };
        let rows = Bounded::fill(&mut rows.into_iter().take_while(fits));
        if !rows.is_empty() {
            self.send(now, load.to, Message::Entries { rows });
        }
    }

    /// Whether a stream has all that anybody told of it.
    pub(super) fn caught_up(&mut self, key: Key) {
        let len = self.streams.get(&key).map_or(0, Stream::len);
        if !self.peers.values().any(|peer| peer.vectors.get(&key).is_some_and(|vector| vector.seq > len)) {
            self.lag.remove(&key);
        }
        self.check_own(key);
    }
}
