//! What the realm log says about nodes and buckets, as far as placement needs it.

use std::collections::{BTreeMap, BTreeSet};

use freehold_crypt::hash::Hasher;
use freehold_wire::{BucketId, NodeId, RealmId, Region, Regions, ZoneId};

/// A node of the realm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeView {
    /// Whether it has the role `storage`.
    pub stores: bool,
    /// Whether its rights are taken away: it counts for nothing and hears nothing.
    pub suspended: bool,
    /// Whether it is to be emptied: it gives out what it has and keeps it, but its copies do not
    /// count and it is given none.
    pub draining: bool,
    /// Its zone; all that nobody named are one.
    pub zone: ZoneId,
    /// Its region.
    pub region: Region,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BucketView {
    /// How many nodes should hold each object.
    pub copies: u16,
    /// In how many zones at least.
    pub zones: u16,
    /// In which regions.
    pub regions: Regions,
}

/// Why a bucket's objects cannot all have what it asks for, whatever is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// No node that stores stands where the bucket may lie.
    Nowhere,
    /// Fewer nodes may hold it than it asks for.
    Nodes(u16),
    /// Those that may stand in fewer zones than it asks for.
    Zones(u16),
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
        let Some(view) = self.nodes.get(node) else { return false };
        let counts = view.stores && !view.draining && self.allows(bucket, node);
        !view.suspended && (counts || *bucket == self.directory)
    }

    /// Whether a bucket may lie where a node stands. Of a bucket that is not in the view nobody knows.
    pub fn allows(&self, bucket: &BucketId, node: &NodeId) -> bool {
        let region = self.nodes.get(node).map_or(Region::UNKNOWN, |node| node.region);
        *bucket == self.directory
            || self.buckets.get(bucket).is_some_and(|bucket| bucket.regions.allow(region))
    }

    /// Whether a node is to be emptied.
    pub fn is_draining(&self, node: &NodeId) -> bool {
        self.nodes.get(node).is_some_and(|node| node.draining)
    }

    /// The nodes that are to be emptied and whose rights hold.
    pub fn draining(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.nodes.iter().filter(|(_, node)| node.draining && !node.suspended).map(|(id, _)| *id)
    }

    /// In how many zones these nodes stand.
    pub fn zones_of<'a>(&self, nodes: impl IntoIterator<Item = &'a NodeId>) -> usize {
        let zones = nodes.into_iter().filter_map(|node| self.nodes.get(node)).map(|node| node.zone);
        zones.collect::<BTreeSet<_>>().len()
    }

    /// Whether copies on these nodes are all that a bucket asks for.
    pub fn suffice(&self, bucket: &BucketId, nodes: &[NodeId]) -> bool {
        let zones = self.buckets.get(bucket).map_or(0, |bucket| usize::from(bucket.zones));
        self.copies(bucket).is_some_and(|copies| nodes.len() >= copies)
            && (zones <= 1 || self.zones_of(nodes) >= zones)
    }

    /// What stands in the way of a bucket's having what it asks for.
    pub fn lack(&self, bucket: &BucketId) -> Option<Lack> {
        let (nodes, view) = (self.eligible(bucket).collect::<Vec<_>>(), self.buckets.get(bucket)?);
        let count = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        let zones = count(self.zones_of(&nodes));
        match count(nodes.len()) {
            0 => Some(Lack::Nowhere),
            have if have < view.copies => Some(Lack::Nodes(have)),
            _ if zones < view.zones => Some(Lack::Zones(zones)),
            _ => None,
        }
    }

    /// Tells apart views by which copies would go to different nodes. Who lets a copy go because
    /// another node has it must know that the other would not do the same the other way round.
    pub(crate) fn sum(&self) -> u64 {
        let mut hasher = Hasher::new("freehold 2026 placement view");
        let stores = self.nodes.iter().filter(|(_, node)| node.stores && !node.suspended);
        for (id, node) in stores {
            hasher.update(id.as_bytes()).update(node.zone.as_bytes()).update(node.region.as_str().as_bytes());
            hasher.update(&[u8::from(node.draining)]);
        }
        hasher.update(b"buckets");
        for (id, bucket) in &self.buckets {
            hasher.update(id.as_bytes()).update(&freehold_wire::to_canonical(&(
                bucket.copies,
                bucket.zones,
                &bucket.regions,
            )));
        }
        hasher.finish().first_chunk().copied().map_or(0, u64::from_be_bytes)
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
