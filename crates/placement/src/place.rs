//! Which nodes should hold an entry's blobs: rendezvous hashing (Thaler and Ravishankar, 1998). The
//! nodes that hash highest with the entry hold it, so that a node that joins or leaves moves only
//! what it takes over or held. The highest of each zone come before the second of any.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use freehold_crypt::hash::Hasher;
use freehold_wire::{BucketId, EntryId, NodeId, ZoneId};

use crate::View;

/// The nodes that should hold the blobs of an entry, by id: as many as the bucket asks for, or all
/// that may if they are fewer. Nobody for a bucket that is not in the view.
pub fn place(view: &View, bucket: &BucketId, entry: &EntryId) -> Vec<NodeId> {
    let mut nodes: Vec<NodeId> = view.eligible(bucket).collect();
    let copies = view.copies(bucket).unwrap_or(0);
    if nodes.len() > copies {
        nodes.sort_by_cached_key(|node| Reverse(score(bucket, entry, node)));
        let mut turns: BTreeMap<ZoneId, usize> = BTreeMap::new();
        let in_turn = nodes.into_iter().map(|node| {
            let zone = view.nodes.get(&node).map_or(ZoneId::NONE, |node| node.zone);
            let turn = turns.entry(zone).or_default();
            *turn += 1;
            (*turn, node)
        });
        let mut in_turn: Vec<(usize, NodeId)> = in_turn.collect();
        in_turn.sort_by_key(|(turn, _)| *turn);
        nodes = in_turn.into_iter().map(|(_, node)| node).take(copies).collect();
        nodes.sort_unstable();
    }
    nodes
}

fn score(bucket: &BucketId, entry: &EntryId, node: &NodeId) -> [u8; 32] {
    Hasher::new("freehold 2026 placement")
        .update(bucket.as_bytes())
        .update(entry.as_bytes())
        .update(node.as_bytes())
        .finish()
}

#[cfg(test)]
mod tests;
