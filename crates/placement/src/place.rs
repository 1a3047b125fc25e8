//! Which nodes should hold an entry's blobs: rendezvous hashing (Thaler and Ravishankar, 1998). The
//! nodes that hash highest with the entry hold it, so that a node that joins or leaves moves only
//! what it takes over or held.

use freehold_crypt::hash::Hasher;
use freehold_wire::{BucketId, EntryId, NodeId};

use crate::View;

/// The nodes that should hold the blobs of an entry, by id: as many as the bucket asks for, or all
/// that may if they are fewer. Nobody for a bucket that is not in the view.
pub fn place(view: &View, bucket: &BucketId, entry: &EntryId) -> Vec<NodeId> {
    let mut nodes: Vec<NodeId> = view.eligible(bucket).collect();
    let copies = view.copies(bucket).unwrap_or(0);
    if nodes.len() > copies {
        nodes.sort_by_cached_key(|node| std::cmp::Reverse(score(bucket, entry, node)));
        nodes.truncate(copies);
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
