//! Asking for entries, and answering those who ask.

use freehold_wire::{Bounded, Millis, NodeId};

use super::{Key, Load, Output, Place, Replica};
use crate::message::{Chain, ROWS_MAX};
use crate::stream::{Record, Stream};
use crate::{MESSAGE_MAX, Message, Row};

/// Streams asked for at one time.
const ASKS_MAX: usize = 8;
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

impl Replica {
    /// Asks for streams of which somebody has more.
    pub(super) fn ask(&mut self, now: Millis) {
        if now < self.ask_after || self.storing_bytes > STORING_ENOUGH {
            return;
        }
        self.ask_after = Millis(0);
        for key in self.lag.iter().copied().collect::<Vec<_>>() {
            if self.asks.len() >= ASKS_MAX {
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
            let source = wanted.then(|| self.source(&key, len)).flatten();
            let chain = self.streams.get(&key).map_or_else(|| Some(Chain::from([0; 16])), |s| s.chain(len));
            let (Some(peer), Some(chain)) = (source, chain) else {
                self.lag.remove(&key);
                self.check_own(key);
                continue;
            };
            self.asked_last.insert(key, peer);
            self.asks.insert(key, Asked { peer, until: now.plus(super::ANSWER_WITHIN) });
            let from = len.saturating_add(1);
            self.send(now, peer, Message::Ask { bucket: key.0, origin: key.1, from, chain });
        }
    }

    /// The next peer in turn that has told more than `len`.
    fn source(&self, key: &Key, len: u64) -> Option<NodeId> {
        let has = |peer: &super::Peer| peer.vectors.get(key).is_some_and(|vector| vector.seq > len);
        let mut sources = self.peers.iter().filter(|(_, peer)| has(peer)).map(|(id, _)| *id);
        let after = self.asked_last.get(key).copied();
        let first = sources.next()?;
        match after {
            Some(after) if first <= after => sources.find(|id| *id > after).or(Some(first)),
            _ => Some(first),
        }
    }

    /// Peers that were asked and did not answer are passed over for the next.
    pub(super) fn asks_lapse(&mut self, now: Millis) {
        self.asks.retain(|_, asked| asked.until > now);
    }

    pub(super) fn asking_again(&self) -> Option<(Millis, &'static str)> {
        (self.ask_after > Millis(0)).then_some((self.ask_after, "ask again after a failed write"))
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
