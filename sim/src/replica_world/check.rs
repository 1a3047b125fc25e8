//! What must hold of replication, seen from outside.

use std::collections::{BTreeMap, BTreeSet};

use freehold_placement::{BlobRef, Entry, Place, place};
use freehold_wire::BlobName;

use super::machine::{Health, Machine};
use crate::Name;

/// Writes that were acknowledged to a client, and who vouched for them.
#[derive(Debug, Default)]
pub(super) struct Acknowledged {
    /// Who has confirmed a write so far, the writer included.
    vouched: BTreeMap<Place, (Entry, BTreeSet<Name>)>,
    done: BTreeSet<Place>,
    /// Blobs of which a disk has lied: its node believes in them.
    excused: BTreeSet<(Name, BlobName)>,
    /// Whether a disk has lied or a node was destroyed.
    damaged: bool,
}

impl Acknowledged {
    pub(super) fn wrote(&mut self, at: Place, entry: &Entry, by: Name, enough: bool) {
        self.vouched.insert(at, (entry.clone(), BTreeSet::from([by])));
        if enough {
            self.done.insert(at);
        }
    }

    pub(super) fn confirmed(&mut self, at: Place, by: Name, enough: bool) {
        if let Some((entry, vouched)) = self.vouched.get_mut(&at) {
            if !entry.blobs.iter().any(|blob| self.excused.contains(&(by, blob.name))) {
                vouched.insert(by);
            }
            if enough {
                self.done.insert(at);
            }
        }
    }

    /// A node cannot be held to what it said of a blob: its disk has lied.
    pub(super) fn excuse(&mut self, node: Name, blob: &BlobName) {
        self.damaged = true;
        self.excused.insert((node, *blob));
        for (entry, vouched) in self.vouched.values_mut() {
            if entry.blobs.iter().any(|other| other.name == *blob) {
                vouched.remove(&node);
            }
        }
    }

    /// A node has a good copy again.
    pub(super) fn repaired(&mut self, node: Name, blob: BlobName) {
        self.excused.remove(&(node, blob));
    }

    /// A node was destroyed.
    pub(super) fn destroyed(&mut self, node: Name) {
        self.damaged = true;
        for (_, vouched) in self.vouched.values_mut() {
            vouched.remove(&node);
        }
    }

    /// Nobody wants it any more.
    pub(super) fn erased(&mut self, at: &Place) {
        self.vouched.remove(at);
        self.done.remove(at);
    }

    /// A node gives its copy up because those to whom it belongs have it: they vouch now.
    pub(super) fn swept(
        &mut self,
        nodes: &BTreeMap<Name, Machine>,
        node: Name,
        blob: &BlobName,
    ) -> Option<String> {
        for (at, (entry, vouched)) in &mut self.vouched {
            if !entry.blobs.iter().any(|other| other.name == *blob) {
                continue;
            }
            vouched.remove(&node);
            vouched.extend(
                nodes.iter().filter(|(name, other)| **name != node && other.holds(at)).map(|(name, _)| *name),
            );
            if vouched.is_empty() && self.done.contains(at) && !self.damaged {
                return Some(format!("{node} has swept the last copy of {}", describe(at)));
            }
        }
        None
    }

    /// Who vouched for an acknowledged write must have it.
    pub(super) fn lost(&self, nodes: &BTreeMap<Name, Machine>) -> Option<String> {
        self.done.iter().find_map(|at| {
            let (_, vouched) = self.vouched.get(at)?;
            let lacks = |name: &&Name| !nodes.get(name).is_some_and(|node| node.holds(at));
            let name = vouched.iter().find(lacks)?;
            Some(format!("{name} has confirmed {} and does not have it", describe(at)))
        })
    }

    /// After healing: every acknowledged write is where it belongs.
    pub(super) fn missing(&self, nodes: &BTreeMap<Name, Machine>) -> Option<String> {
        self.done.iter().find_map(|at| {
            let (entry, vouched) = self.vouched.get(at)?;
            if vouched.is_empty() && is_hopeless(nodes, entry) {
                return None;
            }
            let belongs = |node: &Machine| place(&node.view, &at.bucket, &entry.id()).contains(&node.id);
            let lacks = |node: &Machine| belongs(node) && !node.holds(at);
            let (name, _) = nodes.iter().find(|(_, node)| lacks(node))?;
            Some(format!("{} was acknowledged and is not on {name}", describe(at)))
        })
    }
}

/// Whether no good copy of some blob is left anywhere.
pub(super) fn is_hopeless(nodes: &BTreeMap<Name, Machine>, entry: &Entry) -> bool {
    let gone =
        |blob: &BlobRef| nodes.values().all(|node| node.disk.blobs.get(&blob.name) != Some(&Health::Good));
    let known = nodes.values().any(|node| node.disk.rows.contains_key(&super::machine::place_of(entry)));
    !known || entry.blobs.iter().any(gone)
}

pub(super) fn describe(at: &Place) -> String {
    format!("{}/{}/{}", at.bucket.short(), at.origin.short(), at.seq)
}
