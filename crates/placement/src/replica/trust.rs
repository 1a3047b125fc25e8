//! Who is believed, and when: entries of nodes that the view does not name, and entries from the
//! future, are not taken in. Both may be right later, so they are asked for again then.

use freehold_wire::{Hlc, Millis, NodeId};

use super::hear::VECTORS_MAX;
use super::{Event, Key, Output, Place, Replica};
use crate::message::Chain;
use crate::{Entry, Vector};

/// Rows of the directory that are taken in at once from a node that never did more than store: its
/// names and addresses of years.
pub(super) const QUIET_ROWS: u32 = 512;
/// After those, one row in this time.
pub(super) const QUIET_EVERY: Millis = Millis::from_secs(120);
/// The most bytes that such a row may hold.
const QUIET_BYTES: usize = 4096;

/// What a quiet node has written into the directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    rows: u32,
    /// Up to when rows were forgiven.
    since: Millis,
}

impl Said {
    /// Without what was long ago.
    fn at(self, now: Millis) -> Self {
        let forgiven = now.since(self.since).0 / QUIET_EVERY.0;
        let rows = self.rows.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX));
        Self { rows, since: self.since.plus(Millis(forgiven.saturating_mul(QUIET_EVERY.0))) }
    }
}

impl Replica {
    fn is_quiet(&self, entry: &Entry) -> bool {
        entry.bucket == self.view.directory
            && entry.origin != self.me
            && self.view.quiet.contains(&entry.origin)
    }

    /// Whether a quiet node's row is longer than anything it has to say.
    pub(super) fn is_too_long(&self, entry: &Entry, payload: Option<usize>) -> bool {
        self.is_quiet(entry) && payload.is_some_and(|len| len > QUIET_BYTES)
    }

    /// When a quiet node's row is taken in, if it has written too many lately.
    pub(super) fn turn_of(&self, now: Millis, entry: &Entry) -> Option<Millis> {
        let said = self.said.get(&entry.origin).filter(|_| self.is_quiet(entry))?.at(now);
        (said.rows >= QUIET_ROWS).then(|| said.since.plus(QUIET_EVERY))
    }

    /// Counts a row that is taken in.
    pub(super) fn count_said(&mut self, now: Millis, entry: &Entry) {
        if self.is_quiet(entry) {
            let said = self.said.get(&entry.origin).copied().unwrap_or(Said { rows: 0, since: now }).at(now);
            // A full allowance grows no further.
            let since = if said.rows == 0 { now } else { said.since };
            self.said.insert(entry.origin, Said { rows: said.rows + 1, since });
        }
    }

    /// Asks for a row again when its turn comes.
    pub(super) fn wait_turn(&mut self, from: NodeId, entry: &Entry, until: Millis) {
        self.put_off(from, entry, None);
        self.early.insert((entry.bucket, entry.origin), until);
    }

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
