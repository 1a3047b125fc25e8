//! Who gets which key, and which keys somebody knows who should not any more. Derived anew each time,
//! from the log, the directory, and what a bucket itself says of its holders.

use std::collections::{BTreeMap, BTreeSet};

use freehold_crypt::BoxPublic;
use freehold_realm::{NodeRoles, Standing, State};
use freehold_seal::{BucketKey, Holder, KeyOf, KeyRing, Recipient, Setting};
use freehold_vault::Writers;
use freehold_wire::{BucketId, NodeId};

use crate::clock;
use crate::log::View;
use crate::shared::Shared;
use crate::sharing::{Held, Named, Root};

/// Those that are to have the keys of a ring.
#[derive(Debug, Default)]
pub(crate) struct Entitled {
    nodes: BTreeMap<NodeId, BoxPublic>,
    /// Those among them that are named, and not of those that have all keys.
    named: BTreeSet<NodeId>,
    /// Those that may write into a private bucket.
    writers: BTreeSet<NodeId>,
    /// The generation of the latest key under which was said who is named.
    said: u16,
    recovery: Option<BoxPublic>,
}

impl Entitled {
    /// The directory's key goes to every node, a bucket's to those that hold secrets and those it is
    /// shared with; both to the guardians. A private bucket's goes to those alone that it names, and to
    /// nobody before it was read whom it names.
    pub(crate) fn to(shared: &Shared, view: &View, ring: &KeyRing) -> Self {
        let state = view.state();
        let active = state.nodes.iter().filter(|(_, node)| node.standing == Standing::Active);
        let all: BTreeMap<NodeId, &freehold_realm::Node> = active.map(|(id, node)| (*id, node)).collect();
        let is_private = ring.is_private();
        let held = match ring.of() {
            KeyOf::Directory => Held::default(),
            KeyOf::Bucket(bucket) => holders(shared, view, &bucket, is_private),
        };
        let named = named(view, &held);
        let of_role = |id: &NodeId| {
            all.get(id).is_some_and(|node| !is_private && node.roles.contains(NodeRoles::SECRETS))
        };
        let me = shared.me();
        let may = |(id, node): &(&NodeId, &&freehold_realm::Node)| match ring.of() {
            KeyOf::Directory => true,
            KeyOf::Bucket(_) if named.contains_key(*id) => true,
            KeyOf::Bucket(_) if is_private => named.is_empty() && **id == me,
            KeyOf::Bucket(_) => node.roles.contains(NodeRoles::SECRETS),
        };
        let writers = named.iter().filter(|(id, only)| is_private && !**only && all.contains_key(id));
        let directory = shared.directory();
        let public = |id, node: &freehold_realm::Node| directory.box_key(id).unwrap_or(node.box_key);
        Self {
            writers: writers.map(|(id, _)| *id).collect(),
            named: named.keys().filter(|id| !of_role(id)).copied().collect(),
            said: held.generation,
            nodes: all.iter().filter(may).map(|(id, node)| (*id, public(*id, node))).collect(),
            recovery: (!is_private).then_some(state.guardians.recovery),
        }
    }

    /// Whether a node is among them.
    pub(crate) fn has(&self, node: &NodeId) -> bool {
        self.nodes.contains_key(node)
    }

    /// Whether a node may make the keys of a private bucket, and give them on.
    pub(crate) fn writes(&self, node: &NodeId) -> bool {
        self.writers.contains(node)
    }

    /// Those nodes.
    pub(crate) const fn writers(&self) -> &BTreeSet<NodeId> {
        &self.writers
    }

    /// Whether anybody who counts said who is named.
    pub(crate) const fn is_said(&self) -> bool {
        self.said > 0
    }

    /// Whether a key of this generation is to be boxed by others than who made it. Who made it knew
    /// whom it is for. Who only hears of it waits for word of who is named since: this node may
    /// not have heard yet who is not.
    pub(crate) fn is_for(&self, to: &Recipient, generation: u32) -> bool {
        match to {
            Recipient::Node(node) => {
                generation <= 1 || !self.named.contains(node) || generation <= u32::from(self.said)
            }
            Recipient::Recovery => true,
        }
    }

    /// Each with the key that it opens boxes with.
    pub(crate) fn recipients(&self) -> impl Iterator<Item = (Recipient, BoxPublic)> {
        let nodes = self.nodes.iter().map(|(id, public)| (Recipient::Node(*id), *public));
        nodes.chain(self.recovery.map(|public| (Recipient::Recovery, public)))
    }
}

/// Who holds a bucket's key, by what is said in it.
pub(crate) fn holders(shared: &Shared, view: &View, bucket: &BucketId, is_private: bool) -> Held {
    let words = shared.vault.words(bucket, Setting::Holders);
    let founders = if is_private { founders(view, bucket) } else { BTreeSet::new() };
    let root = if is_private { Root::Founders(&founders) } else { Root::Keepers(&view.keepers) };
    Held::of(&words, root, |holder| nodes_of(view, holder, false))
}

/// What this node may do with a bucket whose key it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Read and write it.
    Writes,
    /// Read it.
    Reads,
    /// Read what it could read before it was taken away.
    Lost,
}

/// Whose entries count in a bucket, and what this node may do there; nothing while that cannot be told.
pub(crate) fn access(shared: &Shared, view: &View, ring: &KeyRing) -> Option<(BucketId, Writers, Access)> {
    let KeyOf::Bucket(bucket) = ring.of() else { return None };
    let newest = ring.current()?.version();
    let held = holders(shared, view, &bucket, ring.is_private());
    // Who made it says so at once.
    if ring.is_private() && !held.is_said() {
        return None;
    }
    let of_role = if ring.is_private() { &BTreeSet::new() } else { &view.keepers };
    let every = |holder: &Holder| nodes_of(view, holder, false);
    let writers = held.writers(of_role, every);
    let (me, named) = (shared.me(), named(view, &held));
    let keeps = view.state().nodes.get(&me).is_some_and(|node| node.roles.contains(NodeRoles::SECRETS));
    if keeps && !ring.is_private() {
        return Some((bucket, writers, Access::Writes));
    }
    let counts = |by: &NodeId| {
        if ring.is_private() { named.get(by) == Some(&false) } else { view.keepers.contains(by) }
    };
    let lost = shared.directory().is_left_out(ring.of(), newest, counts);
    let access = match named.get(&me) {
        _ if lost => Access::Lost,
        Some(false) => Access::Writes,
        None if held.has_lost(&me, every) => Access::Lost,
        // If it has a key and nobody has told it yet what for, it waits.
        Some(true) | None => Access::Reads,
    };
    Some((bucket, writers, access))
}

/// The nodes on the machine that made a bucket: one, or none if the log does not tell any more.
fn founders(view: &View, bucket: &BucketId) -> BTreeSet<NodeId> {
    let Some(made_by) = view.state().buckets.get(bucket).map(|bucket| bucket.created_by) else {
        return BTreeSet::new();
    };
    let nodes = view.state().nodes.iter();
    let made = nodes.filter(|(id, node)| node.key.id() == made_by || view.devices.get(id) == Some(&made_by));
    made.map(|(id, _)| *id).collect()
}

/// The nodes that a holder comes to, those that have left among them; if `standing`, those alone whose
/// person and device have rights.
pub(crate) fn nodes_of(view: &View, holder: &Holder, standing: bool) -> Vec<NodeId> {
    let person = match holder {
        Holder::Node(node) => return vec![*node],
        Holder::Person(person) => person,
    };
    if !standing {
        let theirs = view.owners.iter().filter(|(_, owner)| *owner == person);
        return theirs.map(|(node, _)| *node).collect();
    }
    let state = view.state();
    let stands = state.persons.get(person).is_some_and(|p| p.standing == Standing::Active);
    let theirs = view.devices.iter().filter(|(_, key)| {
        let device = state.device(key).filter(|(of, _)| of == person);
        stands && device.is_some_and(|(_, device)| device.standing == Standing::Active)
    });
    theirs.map(|(node, _)| *node).collect()
}

/// The person whose device is on the same machine as a node.
pub(crate) fn person_of(view: &View, node: &NodeId) -> Option<freehold_wire::PersonId> {
    view.state().device(view.devices.get(node)?).map(|(person, _)| person)
}

/// The nodes that holders come to, and whether each only reads.
pub(crate) fn named(view: &View, held: &Held) -> Named {
    let mut all = BTreeMap::new();
    for (holder, read_only) in held.holders() {
        for node in nodes_of(view, holder, true) {
            // Whoever is named twice may do what either says.
            all.entry(node).and_modify(|only| *only &= read_only).or_insert(read_only);
        }
    }
    all
}

/// Whether a node's rights hold.
pub(crate) fn is_active(state: &State, node: &NodeId) -> bool {
    state.nodes.get(node).is_some_and(|node| node.standing == Standing::Active)
}

/// A ring whose newest key somebody has who should not.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) of: KeyOf,
    pub(crate) known_to: BTreeSet<NodeId>,
    /// Whether this node is the one that rotates it if no person does.
    pub(crate) is_ours: bool,
}

/// Every ring that is to be rotated, as far as this node can do it.
pub(crate) fn to_rotate(shared: &Shared) -> Vec<Due> {
    let view = shared.log.view();
    let rings: Vec<KeyRing> = shared.directory().rings().cloned().collect();
    let recovering = view.waiting_recoveries(clock::wall()).any(|(_, left)| left.is_some());
    let mut due = Vec::new();
    for ring in rings {
        let Some(newest) = ring.current().map(BucketKey::version) else { continue };
        if is_erased(&view, &ring) {
            continue;
        }
        let entitled = Entitled::to(shared, &view, &ring);
        // Of a private bucket it is not known yet whom it names.
        if ring.is_private() && !entitled.is_said() {
            continue;
        }
        // Anybody can box noise: that of those who never could box the key must not have it rotated for
        // ever. A machine that guardians bring back boxes what it knows for itself, and is not let in yet.
        let counts = |by: &NodeId, to: &NodeId| {
            if ring.is_private() {
                entitled.writes(by) || !is_active(view.state(), by)
            } else {
                view.keepers.contains(by) || (by == to && !view.let_in.contains_key(by))
            }
        };
        let boxed = shared.directory().boxed_to(ring.of(), newest, counts);
        // A machine that guardians are bringing back reads meanwhile: it is let in, or stopped.
        let is_guest = |node: &NodeId| recovering && !view.let_in.contains_key(node);
        let known_to = boxed.into_iter().filter(|node| !entitled.has(node) && !is_guest(node));
        let known_to: BTreeSet<NodeId> = known_to.collect();
        if known_to.is_empty() || !may_box(shared, &view, &ring, &entitled) {
            continue;
        }
        let keepers = entitled.nodes.keys().find(|node| view.keepers.contains(node)).copied();
        let first = if ring.is_private() { entitled.writers.first().copied() } else { keepers };
        due.push(Due { of: ring.of(), known_to, is_ours: first == Some(shared.me()) });
    }
    due
}

/// Whether the log says that a ring's bucket is erased, though this node keeps its keys still.
pub(crate) fn is_erased(view: &View, ring: &KeyRing) -> bool {
    let KeyOf::Bucket(bucket) = ring.of() else { return false };
    view.state().buckets.get(&bucket).is_some_and(|bucket| bucket.erased.is_some())
}

/// Whether this node's boxes for others are believed.
pub(crate) fn may_box(shared: &Shared, view: &View, ring: &KeyRing, entitled: &Entitled) -> bool {
    let me = shared.me();
    if ring.is_private() {
        entitled.writes(&me)
    } else {
        is_active(view.state(), &me) && view.keepers.contains(&me)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_key_waits_for_word_of_who_is_named_since() {
        let [named, keeper] = [1, 2].map(|n| NodeId::from_bytes([n; 32]));
        let entitled = |said| Entitled { named: [named].into(), said, ..Entitled::default() };
        // Who makes it says so under it. Another keeper may not have heard yet that this one is out.
        assert!(!entitled(1).is_for(&Recipient::Node(named), 2));
        assert!(entitled(2).is_for(&Recipient::Node(named), 2));
        for said in [0, 1] {
            assert!(entitled(said).is_for(&Recipient::Node(named), 1));
            assert!(entitled(said).is_for(&Recipient::Node(keeper), 9));
            assert!(entitled(said).is_for(&Recipient::Recovery, 9));
        }
    }
}
