//! Settings that say who holds a bucket's key, and what a private bucket is called. Anybody who writes
//! into the bucket can write them, and not everybody is believed. So nobody's word takes another's
//! place here: what each node said last is kept, and whoever knows whom to believe adds it up.

use std::collections::BTreeMap;
use std::sync::Arc;

use freehold_seal::Setting;
use freehold_wire::NodeId;

use crate::Stamp;

/// What one node said last of one setting. A word that is sealed with a later key of the bucket comes
/// after one that is not, whatever its date says: that is set by whoever writes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word {
    /// The generation of the key that it is sealed with, from 1.
    pub generation: u16,
    /// The entry.
    pub stamp: Stamp,
    /// What it says; nothing to take back what was said.
    pub document: Option<Arc<[u8]>>,
}

/// Whether each node's last word on a setting is kept.
pub const fn is_of_each(setting: Setting) -> bool {
    matches!(setting, Setting::Holders | Setting::Name)
}

/// The last words of each node on a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Words(BTreeMap<(Setting, NodeId), Word>);

impl Words {
    /// Takes a word in. Returns the entry that it overtook, or that overtook it, and the winner.
    pub(crate) fn put(&mut self, setting: Setting, word: Word) -> Option<(Stamp, Stamp)> {
        let at = (setting, word.stamp.origin);
        let Some(there) = self.0.get(&at) else {
            self.0.insert(at, word);
            return None;
        };
        let (said, known) = (word.stamp, there.stamp);
        if said == known {
            return None;
        }
        if (there.generation, known) > (word.generation, said) {
            return Some((said, known));
        }
        self.0.insert(at, word);
        Some((known, said))
    }

    /// Every node's last word on a setting.
    pub(crate) fn on(&self, setting: Setting) -> impl Iterator<Item = &Word> {
        self.0.iter().filter(move |((of, _), _)| *of == setting).map(|(_, word)| word)
    }

    /// One node's.
    pub(crate) fn of(&self, setting: Setting, node: NodeId) -> Option<&Word> {
        self.0.get(&(setting, node))
    }

    /// The entries that all words come from.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Stamp> {
        self.0.values().map(|word| word.stamp)
    }

    /// Whether an entry is somebody's last word.
    pub(crate) fn has(&self, origin: NodeId, seq: u64) -> bool {
        self.0.values().any(|word| (word.stamp.origin, word.stamp.seq) == (origin, seq))
    }

    /// Forgets words that do not count. What they had overtaken must be put in again.
    pub(crate) fn hide(&mut self, is_cut: impl Fn(&Stamp) -> bool) -> Vec<(Setting, NodeId)> {
        let gone: Vec<_> = self.0.iter().filter(|(_, word)| is_cut(&word.stamp)).map(|(at, _)| *at).collect();
        for at in &gone {
            self.0.remove(at);
        }
        gone
    }
}
