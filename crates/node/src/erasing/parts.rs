//! What an erasure comes to: one part for each bucket, and a word of each node on each part. A person's buckets go one
//! by one: of two machines that hold keys of one bucket each, neither waits with its own for the other's word.

use std::collections::BTreeSet;

use freehold_crypt::hash::digest;
use freehold_realm::State;
use freehold_wire::{BucketId, NodeId, OpId};

use crate::directory::Directory;
use crate::log::View;

const DOMAIN: &str = "freehold 2026 bucket of a person's erasure";

/// One bucket of an erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    pub(super) bucket: BucketId,
    /// The operation that says it.
    pub(super) erasure: OpId,
    /// What nodes say that they have carried out: the operation where it names one bucket, else what follows from it
    /// and the bucket.
    pub(super) word: OpId,
}

impl Part {
    pub(super) fn new(state: &State, bucket: BucketId, erasure: OpId) -> Self {
        let is_persons = state.erased_persons.contains_key(&erasure);
        Self { bucket, erasure, word: if is_persons { word(erasure, bucket) } else { erasure } }
    }

    /// Who has carried it out. Who says so of the whole erasure has.
    pub(super) fn said_by(&self, directory: &Directory) -> BTreeSet<NodeId> {
        let whole = directory.erased_by(self.erasure);
        directory.erased_by(self.word).chain(whole).map(|said| said.node).collect()
    }

    /// Whether a node has carried it out, or never had what it is about.
    pub(super) fn is_done(&self, directory: &Directory, view: &View, me: NodeId) -> bool {
        !view.was_here(me, self.erasure) || self.said_by(directory).contains(&me)
    }
}

fn word(erasure: OpId, bucket: BucketId) -> OpId {
    let of = [erasure.as_bytes().as_slice(), bucket.as_bytes()].concat();
    OpId::from_bytes(digest(DOMAIN, &of))
}

/// Every part of every erasure of buckets.
pub(super) fn parts(state: &State) -> impl Iterator<Item = Part> {
    state.erased().map(|(bucket, erasure)| Part::new(state, bucket, erasure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bucket_of_each_erasure_has_a_word_of_its_own() {
        let (op, bucket) = (|n| OpId::from_bytes([n; 32]), |n| BucketId::from_bytes([n; 32]));
        let words: BTreeSet<OpId> =
            [(1, 1), (1, 2), (2, 1), (2, 2)].map(|(erasure, of)| word(op(erasure), bucket(of))).into();
        assert_eq!(words.len(), 4);
        assert!(!words.contains(&op(1)) && !words.contains(&op(2)));
    }
}
