//! Who gets which key, and which keys somebody knows who should not any more. Derived anew each time,
//! from the log, the directory, and what a bucket itself says of its holders.

use std::collections::{BTreeMap, BTreeSet};

use freehold_crypt::BoxPublic;
use freehold_realm::{NodeRoles, Standing, State};
use freehold_seal::{BucketKey, Holder, Holders, KeyOf, KeyRing, Recipient, Setting};
use freehold_wire::{BucketId, NodeId, from_canonical};

use crate::clock;
use crate::log::View;
use crate::shared::Shared;

/// The longest document that names holders.
const HOLDERS_BYTES: usize = 64 << 10;

/// Those that are to have the keys of a ring.
#[derive(Debug, Default)]
pub(crate) struct Entitled {
    nodes: BTreeMap<NodeId, BoxPublic>,
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
        let named = match ring.of() {
            KeyOf::Directory => BTreeMap::new(),
            KeyOf::Bucket(bucket) => named(view, &holders(shared, &bucket)),
        };
        let me = shared.me();
        let may = |(id, node): &(&NodeId, &&freehold_realm::Node)| match ring.of() {
            KeyOf::Directory => true,
            KeyOf::Bucket(_) if named.contains_key(*id) => true,
            KeyOf::Bucket(_) if is_private => named.is_empty() && **id == me,
            KeyOf::Bucket(_) => node.roles.contains(NodeRoles::SECRETS),
        };
        Self {
            nodes: all.iter().filter(may).map(|(id, node)| (*id, node.box_key)).collect(),
            recovery: (!is_private).then_some(state.guardians.recovery),
        }
    }

    /// Whether a node is among them.
    pub(crate) fn has(&self, node: &NodeId) -> bool {
        self.nodes.contains_key(node)
    }

    /// Each with the key that it opens boxes with.
    pub(crate) fn recipients(&self) -> impl Iterator<Item = (Recipient, BoxPublic)> {
        let nodes = self.nodes.iter().map(|(id, public)| (Recipient::Node(*id), *public));
        nodes.chain(self.recovery.map(|public| (Recipient::Recovery, public)))
    }

    /// Those among them that a person would expect to act first: the least id does.
    fn first(&self) -> Option<NodeId> {
        self.nodes.keys().next().copied()
    }
}

/// What a bucket says of its holders.
pub(crate) fn holders(shared: &Shared, bucket: &BucketId) -> Holders {
    let settings = shared.vault.settings(bucket);
    let document = settings.document(Setting::Holders);
    document.and_then(|bytes| from_canonical(bytes, HOLDERS_BYTES).ok()).unwrap_or_default()
}

/// The nodes that holders come to, and whether each only reads.
pub(crate) fn named(view: &View, holders: &Holders) -> BTreeMap<NodeId, bool> {
    let state = view.state();
    let mut all = BTreeMap::new();
    for (holder, read_only) in holders {
        let nodes: Vec<NodeId> = match holder {
            Holder::Node(node) => vec![*node],
            Holder::Person(person) => {
                let theirs = view.devices.iter().filter(|(_, key)| {
                    let stands = state.persons.get(person).is_some_and(|p| p.standing == Standing::Active);
                    let device = state.device(key);
                    let good = device
                        .is_some_and(|(of, device)| of == *person && device.standing == Standing::Active);
                    stands && good
                });
                theirs.map(|(node, _)| *node).collect()
            }
        };
        for node in nodes {
            // Whoever is named twice may do what either says.
            all.entry(node).and_modify(|only| *only &= *read_only).or_insert(*read_only);
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
        let entitled = Entitled::to(shared, &view, &ring);
        // Of a private bucket it is not known yet whom it names.
        if ring.is_private() && !is_told(shared, &ring) {
            continue;
        }
        // Anybody can box noise: that of those who never could box the key must not have it rotated for
        // ever. A machine that guardians bring back boxes what it knows for itself, and is not let in yet.
        let counts = |by: &NodeId, to: &NodeId| {
            if ring.is_private() {
                entitled.has(by) || !is_active(view.state(), by)
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
        let first = if ring.is_private() { entitled.first() } else { keepers };
        due.push(Due { of: ring.of(), known_to, is_ours: first == Some(shared.me()) });
    }
    due
}

fn is_told(shared: &Shared, ring: &KeyRing) -> bool {
    match ring.of() {
        KeyOf::Bucket(bucket) => !holders(shared, &bucket).is_empty(),
        KeyOf::Directory => true,
    }
}

/// Whether this node's boxes for others are believed.
pub(crate) fn may_box(shared: &Shared, view: &View, ring: &KeyRing, entitled: &Entitled) -> bool {
    let me = shared.me();
    if ring.is_private() {
        entitled.has(&me) && is_active(view.state(), &me)
    } else {
        is_active(view.state(), &me) && view.keepers.contains(&me)
    }
}
