//! What peers are told: heads, new operations, answers.

use std::collections::BTreeSet;

use freehold_wire::{Bounded, Millis, NodeId, OpId};

use super::{LogSync, Output, QUEUED_MAX, TELL_EVERY, TELL_SOON};
use crate::{Answer, Log, MESSAGE_MAX, Message, OPERATIONS_MAX};

/// Bytes of operations in one message: the rest of it is lengths and the frame around them.
const BATCH_BYTES: usize = MESSAGE_MAX - (OPERATIONS_MAX * 5 + 64);
/// Bytes of operations in the answer to one want.
const ANSWER_BYTES: usize = 4 << 20;
/// What is new is pushed up to this size; of more only the heads are told, and who lacks it asks.
const PUSH_BYTES: usize = 64 << 10;

impl<L: Log> LogSync<L> {
    /// Queues a message, unless too many wait already: then the peer is told anew soon.
    pub(super) fn send(&mut self, now: Millis, to: NodeId, message: Message) {
        let Some(queued) = self.queued.get_mut(&to) else { return };
        if *queued >= QUEUED_MAX {
            if let Some(peer) = self.peers.get_mut(&to) {
                peer.tell_at = now.plus(TELL_SOON);
            }
            return;
        }
        *queued += 1;
        self.out.push_back(Output::Send(to, message));
    }

    pub(super) fn tell_heads(&mut self, now: Millis, to: NodeId) {
        let heads = Bounded::fill(&mut self.graph.heads());
        let total = u64::try_from(self.graph.len()).unwrap_or(u64::MAX);
        let message = Message::Heads { heads, total, sum: self.graph.sum() };
        if let Some(peer) = self.peers.get_mut(&to) {
            peer.tell_at = now.plus(TELL_EVERY);
        }
        self.send(now, to, message);
    }

    /// Tells everybody of operations that have just become durable; `from` says who sent each.
    pub(super) fn relay(&mut self, now: Millis, admitted: &[(OpId, Option<NodeId>)]) {
        let peers: Vec<NodeId> = self.peers.keys().copied().collect();
        for peer in peers {
            let news = admitted.iter().filter(|(_, from)| *from != Some(peer)).map(|(id, _)| *id);
            let (pushed, rest) = self.pack(news, PUSH_BYTES);
            if rest {
                self.tell_heads(now, peer);
            } else {
                self.send_all(now, peer, pushed, Answer::Push);
            }
        }
    }

    pub(super) fn answer(&mut self, now: Millis, to: NodeId, have: &[OpId]) {
        let beyond = self.graph.beyond(have);
        let (batches, rest) = self.pack(beyond.into_iter(), ANSWER_BYTES);
        let last = if rest { Answer::Cut } else { Answer::End };
        if batches.is_empty() {
            self.send(now, to, Message::Operations { operations: Bounded::new(), answer: last });
        } else {
            self.send_all(now, to, batches, last);
        }
    }

    /// Both have the same operations; those with other signatures show by the sums.
    pub(super) fn compare(&mut self, now: Millis, from: NodeId, sums: &[u64]) {
        let differ: BTreeSet<u8> = (0..=u8::MAX)
            .zip(self.graph.sums().iter().zip(sums))
            .filter(|(_, (ours, theirs))| ours != theirs)
            .map(|(first, _)| first)
            .collect();
        let ids = self.graph.beginning_with(&differ);
        let (batches, _) = self.pack(ids.into_iter(), ANSWER_BYTES);
        self.send_all(now, from, batches, Answer::Push);
    }

    /// Every message but the last is part of the answer.
    fn send_all(
        &mut self,
        now: Millis,
        to: NodeId,
        batches: Vec<Vec<minicbor::bytes::ByteVec>>,
        last: Answer,
    ) {
        let count = batches.len();
        for (number, batch) in (1..).zip(batches) {
            let answer = if number == count || last == Answer::Push { last } else { Answer::Part };
            let operations = Bounded::fill(&mut batch.into_iter());
            self.send(now, to, Message::Operations { operations, answer });
        }
    }

    /// Bytes of operations in batches that fit a message, `max` bytes in all; whether some are left.
    fn pack(
        &self,
        ids: impl Iterator<Item = OpId>,
        max: usize,
    ) -> (Vec<Vec<minicbor::bytes::ByteVec>>, bool) {
        let mut batches = Vec::new();
        let (mut batch, mut batch_bytes, mut total) = (Vec::new(), 0_usize, 0_usize);
        for bytes in ids.filter_map(|id| self.log.bytes(&id)) {
            total += bytes.len();
            if total > max && !(batches.is_empty() && batch.is_empty()) {
                if !batch.is_empty() {
                    batches.push(batch);
                }
                return (batches, true);
            }
            if batch_bytes + bytes.len() > BATCH_BYTES || batch.len() == OPERATIONS_MAX {
                batches.push(std::mem::take(&mut batch));
                batch_bytes = 0;
            }
            batch_bytes += bytes.len();
            batch.push(bytes.into());
        }
        if !batch.is_empty() {
            batches.push(batch);
        }
        (batches, false)
    }
}
