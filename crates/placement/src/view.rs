//! What the realm log says about nodes and buckets, as far as placement needs it.

use std::collections::{BTreeMap, BTreeSet};

use freehold_wire::{BucketId, NodeId, RealmId};

/// A node of the realm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeView {
    /// Whether it has the role `storage`.
    pub stores: bool,
    /// Whether its rights are taken away: it counts for nothing and hears nothing.
    pub suspended: bool,
}

/// A bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketView {
    /// How many nodes should hold each object.
    pub copies: u16,
}

/// The realm's nodes and buckets at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The realm.
    pub realm: RealmId,
    /// The stream that every node holds.
    pub directory: BucketId,
    /// Nodes, this one included; not those that were removed.
    pub nodes: BTreeMap<NodeId, NodeView>,
    /// Buckets, without the directory; not those that were deleted.
    pub buckets: BTreeMap<BucketId, BucketView>,
    /// Who may write into the directory: nodes that the realm log ever let in, since what those
    /// that have left wrote still counts, and machines that guardians are bringing back.
    pub members: BTreeSet<NodeId>,
    /// Who may write into buckets: nodes that ever were gateways.
    pub writers: BTreeSet<NodeId>,
    /// Nodes that never did more than store: of what they write into the directory only so much is
    /// taken in at a time.
    pub quiet: BTreeSet<NodeId>,
    /// Of nodes whose rights were taken away: the last number that counts, by bucket; nothing
    /// counts in a bucket that is not there.
    pub cuts: Cuts,
}

/// For nodes whose rights were taken away, the last number of theirs that counts in each bucket.
pub type Cuts = BTreeMap<NodeId, BTreeMap<BucketId, u64>>;

/// Whether an entry lies beyond what counts of its writer.
pub fn is_cut_off(cuts: &Cuts, bucket: &BucketId, origin: &NodeId, seq: u64) -> bool {
    cuts.get(origin).is_some_and(|cut| seq > cut.get(bucket).copied().unwrap_or(0))
}

impl View {
    /// Whether a node's rights hold.
    pub fn is_active(&self, node: &NodeId) -> bool {
        self.nodes.get(node).is_some_and(|node| !node.suspended)
    }

    /// Whether a node's copy counts for a bucket.
    pub fn counts(&self, bucket: &BucketId, node: &NodeId) -> bool {
        self.nodes.get(node).is_some_and(|node| !node.suspended && (node.stores || *bucket == self.directory))
    }

    /// Whether the realm lets a node write entries there, or once did.
    pub fn may_write(&self, bucket: &BucketId, origin: &NodeId) -> bool {
        let may = if *bucket == self.directory { &self.members } else { &self.writers };
        may.contains(origin)
    }

    /// Whether an entry with this number is to be taken in.
    pub fn accepts(&self, bucket: &BucketId, origin: &NodeId, seq: u64) -> bool {
        self.may_write(bucket, origin) && !is_cut_off(&self.cuts, bucket, origin, seq)
    }

    /// The nodes whose copies count for a bucket.
    pub fn eligible<'a>(&'a self, bucket: &'a BucketId) -> impl Iterator<Item = NodeId> + 'a {
        self.nodes.keys().copied().filter(|node| self.counts(bucket, node))
    }

    /// How many copies a bucket asks for: of the directory, one on every node.
    pub fn copies(&self, bucket: &BucketId) -> Option<usize> {
        if *bucket == self.directory {
            return Some(self.eligible(bucket).count());
        }
        self.buckets.get(bucket).map(|bucket| usize::from(bucket.copies))
    }
}
