//! Messages from peers.

use std::collections::BTreeSet;

use freehold_wire::{Bounded, Millis, NodeId, OpId};
use minicbor::bytes::ByteVec;

use super::{ANSWER_WITHIN, Asking, Event, LogSync, Output};
use crate::{Answer, HEADS_MAX, Log, Message, OPERATIONS_MAX};

impl<L: Log> LogSync<L> {
    pub(super) fn received(&mut self, now: Millis, from: NodeId, message: Message) {
        if !self.peers.contains_key(&from) {
            return;
        }
        match message {
            Message::Heads { heads, total, sum } => self.heard(now, from, &heads, (total, sum)),
            Message::Want { have } => self.answer(now, from, &have),
            Message::Operations { operations, answer } => self.operations(now, from, operations, answer),
            Message::Sums { sums } => self.compare(now, from, &sums),
        }
    }

    fn heard(
        &mut self,
        now: Millis,
        from: NodeId,
        heads: &Bounded<OpId, HEADS_MAX>,
        (total, sum): (u64, u64),
    ) {
        let lacking: BTreeSet<OpId> = heads.iter().filter(|id| !self.graph.contains(id)).copied().collect();
        let ours = (u64::try_from(self.graph.len()).unwrap_or(u64::MAX), self.graph.sum());
        let same = lacking.is_empty() && total == ours.0;
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.lacking = lacking;
        if same && sum == ours.1 {
            self.out.push_back(Output::Tell(Event::InStep(from)));
        } else if same {
            let sums = Bounded::fill(&mut self.graph.sums().iter().copied());
            self.send(now, from, Message::Sums { sums });
        }
        self.ask(now);
    }

    fn operations(
        &mut self,
        now: Millis,
        from: NodeId,
        operations: Bounded<ByteVec, OPERATIONS_MAX>,
        answer: Answer,
    ) {
        let mut fresh = Vec::new();
        for bytes in operations {
            match self.log.check(&bytes) {
                Ok(checked) => fresh.extend(self.sift(Some(from), checked)),
                Err(why) => {
                    self.out.push_back(Output::Tell(Event::Refused {
                        from: Some(from),
                        why,
                        written: false,
                    }));
                    self.garbage(now, from);
                    if !self.peers.contains_key(&from) {
                        break;
                    }
                }
            }
        }
        let fruitful = !fresh.is_empty();
        self.store(fresh);
        for peer in std::mem::take(&mut self.blamed) {
            self.garbage(now, peer);
        }
        if let Some(asking) = self.asking.as_mut().filter(|asking| asking.peer == from) {
            asking.fruitful |= fruitful;
            if fruitful {
                asking.until = now.plus(ANSWER_WITHIN);
            }
            if matches!(answer, Answer::End | Answer::Cut) {
                self.ended(answer);
            }
        }
        self.ask(now);
    }

    /// The answer is complete.
    fn ended(&mut self, answer: Answer) {
        let Some(Asking { peer, fruitful, mut named, .. }) = self.asking.take() else { return };
        let Some(peer) = self.peers.get_mut(&peer) else { return };
        if !fruitful {
            // Asking once more would bring the same nothing; it may tell its heads anew.
            peer.lacking.clear();
        } else if answer == Answer::Cut {
            peer.lacking.append(&mut named);
        }
    }

    /// Asks one peer that has what we lack, unless one is being asked.
    pub(super) fn ask(&mut self, now: Millis) {
        for peer in self.peers.values_mut() {
            peer.lacking.retain(|id| !self.graph.contains(id));
        }
        if self.asking.is_some() || !self.storing.is_empty() || now < self.ask_after {
            return;
        }
        let ahead = |(id, peer): (&NodeId, &super::Peer)| (!peer.lacking.is_empty()).then_some(*id);
        // In turns: the first after the one that was asked last.
        let after = self.asked_last.and_then(|last| {
            self.peers.range((std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded)).find_map(ahead)
        });
        let Some(peer) = after.or_else(|| self.peers.iter().find_map(ahead)) else { return };
        let have = Bounded::fill(&mut self.graph.heads().take(HEADS_NAMED).chain(self.graph.samples()));
        self.asked_last = Some(peer);
        let named = self.peers.get_mut(&peer).map(|peer| std::mem::take(&mut peer.lacking));
        self.asking = Some(Asking {
            peer,
            until: now.plus(ANSWER_WITHIN),
            fruitful: false,
            named: named.unwrap_or_default(),
        });
        self.send(now, peer, Message::Want { have });
    }
}

/// The most heads named in a want; the rest of its room is for samples of the past.
const HEADS_NAMED: usize = 128;
