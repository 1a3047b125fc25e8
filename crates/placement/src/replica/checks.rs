//! When copies were last looked at: each holder says since when it has read all that it holds of a
//! bucket, and nobody knows it better.

use std::collections::BTreeMap;

use freehold_wire::{Bounded, BucketId, Millis, NodeId};

use super::Replica;
use crate::Message;
use crate::message::CHECKS_MAX;

/// That a node had read all that it holds of a bucket, and when it began to, by its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The bucket.
    pub bucket: BucketId,
    /// The node.
    pub node: NodeId,
    /// When.
    pub at: Millis,
}

/// What is known of looks.
#[derive(Debug, Default)]
pub(super) struct Looks {
    all: BTreeMap<(BucketId, NodeId), Millis>,
    is_new: bool,
}

/// How old the checks of a bucket's copies are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Looked {
    /// When each node that holds copies which count began its last look, as it told.
    pub at: BTreeMap<NodeId, Millis>,
    /// Holders that have told of none, and when the oldest of what they hold was written.
    pub never: BTreeMap<NodeId, Millis>,
}

impl Looked {
    /// No copy has gone unread for longer than since then, nor was written before.
    pub fn oldest(&self) -> Option<Millis> {
        self.at.values().chain(self.never.values()).min().copied()
    }
}

impl Replica {
    /// How old the checks are of what the nodes hold whose copies count. It may look at every entry.
    pub fn looked(&self, bucket: &BucketId) -> Looked {
        let mut looked = Looked::default();
        for node in self.view.eligible(bucket) {
            let Some(written) = self.first_held(bucket, &node) else { continue };
            match self.looks.all.get(&(*bucket, node)) {
                Some(at) => looked.at.insert(node, *at),
                None => looked.never.insert(node, written),
            };
        }
        looked
    }

    /// When the oldest of the copies was written that a node holds.
    fn first_held(&self, bucket: &BucketId, node: &NodeId) -> Option<Millis> {
        let first = self.streams_of(bucket).filter_map(|stream| {
            let held = if *node == self.me { Some(&stream.mine) } else { stream.held.get(node) }?;
            let mut here = stream
                .records()
                .filter(|(_, record)| record.payload_len.is_some() && !record.blobs.is_empty());
            here.find(|(seq, _)| held.get(*seq)).map(|(_, record)| record.hlc.wall)
        });
        first.min()
    }

    /// Takes back what was known before the restart.
    pub fn recall_looks(&mut self, looks: impl IntoIterator<Item = Look>) {
        self.looks.all.extend(looks.into_iter().map(|look| ((look.bucket, look.node), look.at)));
    }

    /// All that is known, to be kept for [`Self::recall_looks`]; nothing if it is as at the last call.
    pub fn new_looks(&mut self) -> Option<Vec<Look>> {
        let all =
            self.looks.all.iter().map(|((bucket, node), at)| Look { bucket: *bucket, node: *node, at: *at });
        std::mem::take(&mut self.looks.is_new).then(|| all.collect())
    }

    pub(super) const fn has_new_looks(&self) -> bool {
        self.looks.is_new
    }

    fn note_look(&mut self, bucket: BucketId, node: NodeId, at: Millis) {
        if self.looks.all.insert((bucket, node), at) != Some(at) {
            self.looks.is_new = true;
            self.changed.insert(bucket);
        }
    }

    /// This node has read all that it holds of a bucket, and began at this wall time.
    pub(super) fn looked_at(&mut self, now: Millis, bucket: BucketId, at: Millis) {
        self.note_look(bucket, self.me, at);
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.tell_looks(now, peer);
        }
    }

    pub(super) fn tell_looks(&mut self, now: Millis, to: NodeId) {
        let mine =
            self.looks.all.iter().filter(|((bucket, node), _)| *node == self.me && self.knows_bucket(bucket));
        let mut rows =
            mine.map(|((bucket, _), at)| (*bucket, *at)).collect::<Vec<_>>().into_iter().peekable();
        while rows.peek().is_some() {
            self.send(now, to, Message::Checked { rows: Bounded::fill(&mut rows) });
        }
    }

    pub(super) fn told_looks(&mut self, from: NodeId, rows: Bounded<(BucketId, Millis), CHECKS_MAX>) {
        let view = &self.view;
        let known = |bucket: &BucketId, node: &NodeId| {
            view.buckets.contains_key(bucket) && view.nodes.contains_key(node)
        };
        self.looks.all.retain(|(bucket, node), _| known(bucket, node));
        for (bucket, at) in rows {
            if self.view.buckets.contains_key(&bucket) {
                self.note_look(bucket, from, at);
            }
        }
    }
}
