//! What outlives a restart besides the entries: what peers were heard to hold, when, and who used a
//! number twice. Else a node that starts alone would call protected what is not known to be lost
//! "not protected", and forget an alarm.
//!
//! What is remembered counts as it did before the restart: until the peer tells anew or its rights
//! end, with the age of the last word beside it. It is written a little after it was heard, so it
//! can be older than what was known, never newer.

use std::collections::BTreeMap;
use std::sync::Arc;

use freehold_disk::{BeliefRow, EntryStore, StoreError};
use freehold_placement::{Belief, Entry, Look, Place, Replica as Machine};
use freehold_wire::{BucketId, Millis, NodeId};

use crate::clock;

/// Looks lie under this name: bucket, node and time, 72 bytes each.
const LOOKS: &str = "looks";

/// What changes is written this much later, together with what follows.
const KEEP_AFTER: Millis = Millis::from_secs(3);
/// When a peer was last heard is written this often if nothing else is.
const HEARD_EVERY: Millis = Millis::from_secs(600);

/// When peers were heard, and what is to be written of it.
#[derive(Debug)]
pub(super) struct Memory {
    entries: Arc<EntryStore>,
    /// By this machine's clock.
    heard: BTreeMap<NodeId, Millis>,
    /// When to write, by the monotonic clock.
    due: Option<Millis>,
    kept: Millis,
}

impl Memory {
    /// Reads what was kept into the machine, before it has its entries; also says where numbers
    /// were used twice.
    pub(super) fn recall(
        entries: &Arc<EntryStore>,
        machine: &mut Machine,
    ) -> Result<(Self, Vec<Place>), StoreError> {
        let now = clock::monotonic();
        for BeliefRow { bucket, origin, node, bits } in entries.beliefs()? {
            machine.recall(now, Belief { node, bucket, origin, bits });
        }
        machine.recall_looks(looks_of(&entries.meta(LOOKS)?.unwrap_or_default()));
        let proofs = entries.conflicts()?;
        let forks = proofs.iter().filter_map(|row| Entry::decode(&row.later).ok());
        let place = |entry: Entry| Place { bucket: entry.bucket, origin: entry.origin, seq: entry.seq };
        let forks = forks.map(place).inspect(|place| machine.recall_conflict(place)).collect();
        let heard = entries.heard()?;
        Ok((Self { entries: Arc::clone(entries), heard, due: None, kept: now }, forks))
    }

    /// When each peer was last heard.
    pub(super) const fn heard(&self) -> &BTreeMap<NodeId, Millis> {
        &self.heard
    }

    /// A peer says something, or has just gone.
    pub(super) fn hear(&mut self, peer: NodeId) {
        self.heard.insert(peer, clock::wall());
        let now = clock::monotonic();
        if now.since(self.kept) >= HEARD_EVERY {
            self.due.get_or_insert(now);
        }
    }

    /// When there is something to write.
    pub(super) fn due(&mut self, machine: &Machine) -> Option<Millis> {
        if machine.has_news() && self.due.is_none() {
            self.due = Some(clock::monotonic().plus(KEEP_AFTER));
        }
        self.due
    }

    /// Writes what has changed, in the background.
    pub(super) fn keep(&mut self, machine: &mut Machine) {
        let write = self.write(machine);
        self.entries.submit(write, |kept| {
            if let Err(error) = kept {
                tracing::warn!(%error, "what other nodes hold was not kept");
            }
        });
    }

    /// Writes what has changed, and waits for it.
    pub(super) fn keep_now(&mut self, machine: &mut Machine) {
        let write = self.write(machine);
        if let Err(error) = self.entries.write(write) {
            tracing::warn!(%error, "what other nodes hold was not kept");
        }
    }

    fn write(
        &mut self,
        machine: &mut Machine,
    ) -> impl FnOnce(&mut freehold_disk::EntryTxn<'_>) -> Result<(), StoreError> + Send + 'static {
        self.due = None;
        self.kept = clock::monotonic();
        let news = machine.news();
        let looks = machine.new_looks();
        let heard = self.heard.clone();
        move |txn| {
            for Belief { node, bucket, origin, bits } in news {
                txn.set_belief(&BeliefRow { bucket, origin, node, bits })?;
            }
            if let Some(looks) = looks {
                txn.set_meta(LOOKS, &bytes_of(&looks))?;
            }
            heard.iter().try_for_each(|(node, at)| txn.set_heard(node, *at))
        }
    }
}

fn bytes_of(looks: &[Look]) -> Vec<u8> {
    let row =
        |look: &Look| [&look.bucket.as_bytes()[..], look.node.as_bytes(), &look.at.0.to_be_bytes()].concat();
    looks.iter().flat_map(row).collect()
}

fn looks_of(bytes: &[u8]) -> Vec<Look> {
    let look = |row: &[u8; 72]| {
        let (bucket, rest) = row.split_first_chunk::<32>()?;
        let (node, at) = rest.split_first_chunk::<32>()?;
        let at = Millis(u64::from_be_bytes(*at.first_chunk()?));
        Some(Look { bucket: BucketId::from_bytes(*bucket), node: NodeId::from_bytes(*node), at })
    };
    bytes.as_chunks::<72>().0.iter().filter_map(look).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_outlive_a_restart() {
        let look = |n, at| Look {
            bucket: BucketId::from_bytes([n; 32]),
            node: NodeId::from_bytes([7; 32]),
            at: Millis(at),
        };
        let looks = vec![look(1, 5), look(2, u64::MAX)];
        assert_eq!(looks_of(&bytes_of(&looks)), looks);
        assert_eq!(looks_of(&[1; 71]), []);
    }
}
