//! What the directory says of keys that are to end.

use std::collections::BTreeMap;

use freehold_crypt::BoxPublic;
use freehold_seal::{DirectoryRow, KeyOf, Ready, Recipient, RowKey, ends_before};
use freehold_wire::{BucketId, NodeId};

use super::Directory;

impl Directory {
    /// Which nodes said that they are ready for keys of a bucket to end, and for which.
    pub(crate) fn ready(&self, bucket: BucketId) -> BTreeMap<NodeId, Ready> {
        let [low, high] = [[0; 32], [0xff; 32]].map(|node| RowKey::Ready(bucket, NodeId::from_bytes(node)));
        let rows = self.rows.range(low..=high).filter_map(|(_, (_, _, row))| match row {
            DirectoryRow::Ready(node, _, ready) => Some((*node, *ready)),
            _ => None,
        });
        rows.collect()
    }

    /// The nodes to which a key was boxed that ends before one, by themselves or by a keeper; and whether a keeper
    /// did. Others can box noise.
    pub(crate) fn boxed_before(&self, bucket: BucketId, kept: u32) -> BTreeMap<NodeId, bool> {
        let mut all: BTreeMap<NodeId, bool> = BTreeMap::new();
        for (of, version, to, _, origin) in self.envelopes.keys() {
            let Recipient::Node(to) = to else { continue };
            let by_keeper = self.trust.keepers.contains(origin);
            if *of == KeyOf::Bucket(bucket) && ends_before(*version, kept) && (by_keeper || origin == to) {
                *all.entry(*to).or_default() |= by_keeper && origin != to;
            }
        }
        all
    }

    /// Whether a keeper boxed a key for the guardians that are now.
    pub(crate) fn is_for_guardians(&self, bucket: BucketId, version: u32, recovery: &BoxPublic) -> bool {
        let counts = |origin: &NodeId| self.trust.keepers.contains(origin);
        self.has_envelope((KeyOf::Bucket(bucket), version), (Recipient::Recovery, recovery), counts)
    }
}
