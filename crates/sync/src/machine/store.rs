//! From checked bytes to the log: parents first, durable before anybody hears of them.

use std::collections::{BTreeMap, BTreeSet};

use freehold_wire::{Millis, NodeId, OpId};

use super::{Event, LogSync, Output, STORE_AGAIN, STORING_MAX, Storing, Ticket};
use crate::{Checked, Fault, Known, Log};

/// The most operations kept while their parents are missing, and their bytes.
const ORPHANS_MAX: usize = 1024;
const ORPHAN_BYTES_MAX: usize = 4 << 20;
/// How far what waits is followed to find out who builds on an operation.
const GENERATIONS: usize = 32;

/// Operations that came before their parents. What does not fit is dropped and asked for again.
#[derive(Debug)]
pub(super) struct Orphans<T> {
    kept: BTreeMap<OpId, Storing<T>>,
    bytes: usize,
}

impl<T> Default for Orphans<T> {
    fn default() -> Self {
        Self { kept: BTreeMap::new(), bytes: 0 }
    }
}

impl<T> Orphans<T> {
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    fn keep(&mut self, orphan: Storing<T>) {
        let bytes = self.bytes + orphan.bytes.len();
        if self.kept.len() < ORPHANS_MAX
            && bytes <= ORPHAN_BYTES_MAX
            && !self.kept.contains_key(&orphan.checked.id)
        {
            self.bytes = bytes;
            self.kept.insert(orphan.checked.id, orphan);
        }
    }

    fn take(&mut self, id: &OpId) -> Option<Storing<T>> {
        let orphan = self.kept.remove(id)?;
        self.bytes -= orphan.bytes.len();
        Some(orphan)
    }

    /// Those that name one of these as a parent.
    fn naming(&self, before: &BTreeSet<OpId>) -> impl Iterator<Item = &Checked<T>> {
        let names = |child: &&Checked<T>| child.parents.iter().any(|parent| before.contains(parent));
        self.kept.values().map(|orphan| &orphan.checked).filter(names)
    }

    /// Drops what a peer sent that has gone: room for the others.
    pub(super) fn forget(&mut self, peer: &NodeId) {
        self.kept.retain(|_, orphan| orphan.from != Some(*peer));
        self.bytes = self.kept.values().map(|orphan| orphan.bytes.len()).sum();
    }
}

impl<L: Log> LogSync<L> {
    /// Sorts out an operation from a peer: what is known goes, what lacks parents waits, what is
    /// left can be stored.
    pub(super) fn sift(&mut self, from: Option<NodeId>, checked: Checked<L::Op>) -> Option<Storing<L::Op>> {
        // Signatures that come while the operation is in flight show in the sums later.
        if self.log.known(&checked) == Known::Known || self.in_flight.contains(&checked.id) {
            return None;
        }
        let here = checked.parents.iter().all(|p| self.graph.contains(p));
        if here && self.log.known(&checked) == Known::New && self.is_refused(from, &checked) {
            return None;
        }
        let bytes = self.log.merged(&checked);
        let rooted =
            here || checked.parents.iter().all(|p| self.graph.contains(p) || self.in_flight.contains(p));
        let item = Storing { from, own: false, checked, bytes };
        if !rooted {
            // Its sender has the parents: ask for them.
            self.lacks(from, item.checked.id);
            self.orphans.keep(item);
            return None;
        }
        if from.is_some() && self.storing_bytes + item.bytes.len() > STORING_MAX {
            self.lacks(from, item.checked.id);
            return None;
        }
        // Here already, so that a child in the same message finds its parent.
        self.storing_bytes += item.bytes.len();
        self.in_flight.insert(item.checked.id);
        Some(item)
    }

    /// Whether the log would not take an operation; then nothing is written.
    fn is_refused(&mut self, from: Option<NodeId>, checked: &Checked<L::Op>) -> bool {
        if self.log.refuses(checked).is_some() {
            self.show_children(checked);
        }
        let Some((why, fault)) = self.log.refuses(checked) else { return false };
        self.out.push_back(Output::Tell(Event::Refused { from, why, written: false }));
        self.blame(fault, from);
        true
    }

    fn blame(&mut self, fault: Fault, from: Option<NodeId>) {
        self.blamed.extend(from.filter(|from| fault == Fault::Author(*from)));
    }

    /// Shows the log what waits and builds on an operation.
    fn show_children(&mut self, checked: &Checked<L::Op>) {
        let mut open = BTreeSet::from([checked.id]);
        let mut seen = BTreeSet::new();
        for _ in 0..GENERATIONS {
            let mut next = BTreeSet::new();
            for child in self.orphans.naming(&open) {
                if seen.insert(child.id) {
                    self.log.awaited(checked, child);
                    next.insert(child.id);
                }
            }
            if next.is_empty() {
                return;
            }
            open = next;
        }
    }

    /// Hands operations out to be made durable; they are in flight already.
    pub(super) fn store(&mut self, items: Vec<Storing<L::Op>>) {
        if items.is_empty() {
            return;
        }
        let ticket = self.ticket();
        let rows = items.iter().map(|item| (item.checked.id, item.bytes.clone())).collect();
        self.storing.insert(ticket, items);
        self.out.push_back(Output::Store(ticket, rows));
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        let checked = match self.log.check(bytes) {
            Ok(checked) => checked,
            Err(why) => {
                return self.out.push_back(Output::Tell(Event::Refused { from: None, why, written: false }));
            }
        };
        // Of an operation in flight the signatures are not known yet: storing another copy would
        // replace it.
        let busy = self.storing.values().flatten().any(|item| item.own);
        if busy || self.in_flight.contains(&checked.id) {
            return self.out.push_back(Output::Tell(Event::Busy(checked.id)));
        }
        // In flight is not enough: if that write failed, this one would lie on the disk unseen, and
        // the next own operation would get its number.
        let rooted = checked.parents.iter().all(|p| self.graph.contains(p));
        if !rooted {
            return self.out.push_back(Output::Tell(Event::Unrooted(checked.id)));
        }
        let bytes = self.log.merged(&checked);
        self.storing_bytes += bytes.len();
        self.in_flight.insert(checked.id);
        self.store(vec![Storing { from: None, own: true, checked, bytes }]);
    }

    /// Operations from a file are taken in as if a peer had sent them.
    pub(super) fn take(&mut self, operations: &[Vec<u8>]) {
        let mut fresh = Vec::new();
        for bytes in operations {
            match self.log.check(bytes) {
                Ok(checked) => fresh.extend(self.sift(None, checked)),
                Err(why) => {
                    self.out.push_back(Output::Tell(Event::Refused { from: None, why, written: false }));
                }
            }
        }
        self.store(fresh);
    }

    pub(super) fn stored(&mut self, now: Millis, ticket: Ticket) {
        if !self.storing.contains_key(&ticket) {
            return;
        }
        self.stored.insert(ticket);
        let mut admitted = Vec::new();
        // In the order of tickets: a later one may hold children of an earlier one.
        while let Some(first) = self.storing.first_entry()
            && self.stored.remove(first.key())
        {
            for item in first.remove() {
                self.admit(item, &mut admitted);
            }
        }
        if !admitted.is_empty() {
            let ids = admitted.iter().map(|(id, _)| *id).collect();
            self.out.push_back(Output::Tell(Event::Admitted(ids)));
            self.relay(now, &admitted);
            self.adopt();
        }
        self.ask(now);
    }

    fn admit(&mut self, item: Storing<L::Op>, admitted: &mut Vec<(OpId, Option<NodeId>)>) {
        self.storing_bytes = self.storing_bytes.saturating_sub(item.bytes.len());
        self.in_flight.remove(&item.checked.id);
        if !item.checked.parents.iter().all(|p| self.graph.contains(p)) {
            // A parent's write failed: it is asked for again, and this one waits for it.
            self.lacks(item.from, item.checked.id);
            return self.orphans.keep(item);
        }
        if let Some((_, fault)) = self.log.refuses(&item.checked) {
            self.show_children(&item.checked);
            self.blame(fault, item.from);
        }
        let Storing { from, checked, .. } = item;
        let Checked { id, parents, op } = checked;
        match self.log.admit(op) {
            Ok(touched) => {
                let mark = self.log.mark(&id).unwrap_or_default();
                if self.graph.contains(&id) {
                    self.graph.mark(&id, &mark);
                } else {
                    self.graph.add(id, &parents, &mark);
                }
                for other in touched {
                    if let Some(mark) = self.log.mark(&other) {
                        self.graph.mark(&other, &mark);
                    }
                }
                admitted.push((id, from));
            }
            Err(why) => self.out.push_back(Output::Tell(Event::Refused { from, why, written: true })),
        }
    }

    /// Stores the orphans whose parents have come.
    fn adopt(&mut self) {
        let mut ready = Vec::new();
        loop {
            let rooted = |p: &OpId| self.graph.contains(p) || self.in_flight.contains(p);
            let next = self.orphans.kept.values().find(|o| o.checked.parents.iter().all(rooted));
            let Some(id) = next.map(|orphan| orphan.checked.id) else { break };
            let Some(orphan) = self.orphans.take(&id) else { break };
            if self.log.known(&orphan.checked) != Known::Known && !self.in_flight.contains(&id) {
                self.storing_bytes += orphan.bytes.len();
                self.in_flight.insert(id);
                ready.push(orphan);
            }
        }
        self.store(ready);
    }

    pub(super) fn store_failed(&mut self, now: Millis, ticket: Ticket) {
        for item in self.storing.remove(&ticket).unwrap_or_default() {
            self.storing_bytes = self.storing_bytes.saturating_sub(item.bytes.len());
            self.in_flight.remove(&item.checked.id);
            self.lacks(item.from, item.checked.id);
        }
        self.asking = None;
        self.ask_after = now.plus(STORE_AGAIN);
        // Later tickets may have waited for this one.
        let next = self.storing.keys().next().copied().filter(|next| self.stored.contains(next));
        match next {
            Some(next) => self.stored(now, next),
            None => self.ask(now),
        }
    }

    /// Notes that a peer has an operation that is not here.
    fn lacks(&mut self, peer: Option<NodeId>, id: OpId) {
        if let Some(peer) = peer.and_then(|peer| self.peers.get_mut(&peer)) {
            peer.lacking.insert(id);
        }
    }
}
