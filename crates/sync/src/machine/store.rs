//! From checked bytes to the log: parents first, durable before anybody hears of them.

use std::collections::{BTreeMap, BTreeSet};

use freehold_wire::{KeyId, Millis, NodeId, OpId};

use super::{Event, LogSync, Output, STORE_AGAIN, STORING_MAX, Storing, Ticket};
use crate::{Checked, Fault, Known, Log};

/// The most operations kept while their parents are missing, and their bytes.
const ORPHANS_MAX: usize = 1024;
const ORPHAN_BYTES_MAX: usize = 4 << 20;

/// Operations that came before their parents. If there are too many, whoever made most of them gives
/// way; what is dropped is asked for again.
#[derive(Debug, Clone)]
pub(super) struct Orphans<T> {
    kept: BTreeMap<OpId, (KeyId, Storing<T>)>,
    /// Parent -> those that name it.
    naming: BTreeMap<OpId, BTreeSet<OpId>>,
    of_author: BTreeMap<KeyId, BTreeSet<OpId>>,
    bytes: usize,
}

impl<T> Default for Orphans<T> {
    fn default() -> Self {
        Self { kept: BTreeMap::new(), naming: BTreeMap::new(), of_author: BTreeMap::new(), bytes: 0 }
    }
}

impl<T> Orphans<T> {
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Returns what gives way.
    fn keep(&mut self, author: KeyId, orphan: Storing<T>) -> Vec<Storing<T>> {
        let id = orphan.checked.id;
        if self.kept.contains_key(&id) {
            return Vec::new();
        }
        self.bytes += orphan.bytes.len();
        for parent in &orphan.checked.parents {
            self.naming.entry(*parent).or_default().insert(id);
        }
        self.of_author.entry(author).or_default().insert(id);
        self.kept.insert(id, (author, orphan));
        let mut gone = Vec::new();
        while self.kept.len() > ORPHANS_MAX || self.bytes > ORPHAN_BYTES_MAX {
            let most = self.of_author.values().max_by_key(|ids| ids.len());
            let Some(orphan) = most.and_then(|ids| ids.last().copied()).and_then(|id| self.take(&id)) else {
                break;
            };
            gone.push(orphan);
        }
        gone
    }

    fn take(&mut self, id: &OpId) -> Option<Storing<T>> {
        let (author, orphan) = self.kept.remove(id)?;
        self.bytes -= orphan.bytes.len();
        for parent in &orphan.checked.parents {
            forget(&mut self.naming, parent, id);
        }
        forget(&mut self.of_author, &author, id);
        Some(orphan)
    }

    /// Those that build on an operation, whatever lies between.
    fn after(&self, id: &OpId) -> BTreeSet<OpId> {
        let (mut found, mut open) = (BTreeSet::new(), vec![*id]);
        while let Some(id) = open.pop() {
            let children = self.naming.get(&id).into_iter().flatten().copied();
            open.extend(children.filter(|child| found.insert(*child)));
        }
        found
    }

    /// Drops what a peer sent that has gone: room for the others.
    pub(super) fn forget(&mut self, peer: &NodeId) {
        let of_peer = self.kept.iter().filter(|(_, (_, orphan))| orphan.from == Some(*peer));
        let gone: Vec<OpId> = of_peer.map(|(id, _)| *id).collect();
        for id in gone {
            self.take(&id);
        }
    }
}

fn forget<K: Ord>(map: &mut BTreeMap<K, BTreeSet<OpId>>, key: &K, id: &OpId) {
    if let Some(ids) = map.get_mut(key) {
        ids.remove(id);
        if ids.is_empty() {
            map.remove(key);
        }
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
            self.await_parents(item);
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
        self.drop_after(&checked.id);
        true
    }

    fn blame(&mut self, fault: Fault, from: Option<NodeId>) {
        self.blamed.extend(from.filter(|from| fault == Fault::Author(*from)));
    }

    /// Shows the log what waits and builds on an operation.
    fn show_children(&mut self, checked: &Checked<L::Op>) {
        for id in self.orphans.after(&checked.id) {
            if let Some((_, child)) = self.orphans.kept.get(&id) {
                self.log.awaited(checked, &child.checked);
            }
        }
    }

    /// Lets an operation wait for its parents, if its author is anybody.
    fn await_parents(&mut self, item: Storing<L::Op>) {
        // Its sender has the parents: ask for them.
        self.lacks(item.from, item.checked.id);
        let Some(author) = self.log.author(&item.checked) else { return };
        for gone in self.orphans.keep(author, item) {
            self.lacks(gone.from, gone.checked.id);
        }
    }

    /// Drops what waits for an operation that is not taken in.
    fn drop_after(&mut self, id: &OpId) {
        for id in self.orphans.after(id) {
            self.orphans.take(&id);
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
            return self.await_parents(item);
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
            Err(why) => {
                self.out.push_back(Output::Tell(Event::Refused { from, why, written: true }));
                self.drop_after(&id);
            }
        }
    }

    /// Stores the orphans whose parents have come.
    fn adopt(&mut self) {
        let mut ready = Vec::new();
        loop {
            let rooted = |p: &OpId| self.graph.contains(p) || self.in_flight.contains(p);
            let next = self.orphans.kept.values().find(|(_, o)| o.checked.parents.iter().all(rooted));
            let Some(id) = next.map(|(_, orphan)| orphan.checked.id) else { break };
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
