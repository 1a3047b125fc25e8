//! Replication of entries and blobs between nodes: the shell around the machine in `placement`.

use freehold_placement::Entry;
use freehold_wire::{BucketId, NodeId};

use crate::shared::Held;

/// A handle to the replication of this node.
#[derive(Debug, Clone)]
pub struct Replica;

impl Replica {
    /// An entry was written here.
    pub fn local(&self, _entry: &Entry, _payload: &[u8]) {}

    /// When a node was last heard, as an age in milliseconds.
    pub fn last_heard(&self, _node: NodeId) -> Option<u64> {
        None
    }

    /// How far a bucket is from being protected.
    pub fn protection(&self, _bucket: &BucketId) -> Held {
        Held::default()
    }

    /// The realm's nodes or buckets changed.
    pub async fn look_again(&self) {}
}
