//! All buckets that can be read here, and what is needed no longer.

mod carrier;
mod erasure;
mod hiding;

use std::collections::BTreeMap;
use std::sync::Arc;

use freehold_seal::{Aspect, Setting, Target};
use freehold_wire::{BucketId, Hlc, Millis, NodeId};

pub use self::carrier::Carried;
use self::carrier::Carrier;
use self::hiding::Hiding;
use crate::history::{Changed, Written};
use crate::settings::Register;
use crate::words::Words;
use crate::{Fact, Locator, Row, Settings, Stamp, State, Version, Word, is_of_each};

/// One bucket.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct BucketIndex {
    keys: BTreeMap<Box<str>, State>,
    settings: Register,
    words: Words,
    counts: Counts,
}

/// What an entry was overtaken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Of {
    /// The null version of a key.
    Null(Box<str>),
    /// What was said of a version of a key.
    Said(Box<str>, Target, Aspect),
    /// A version of a key that has ended, or something that was said of it; and when it was written.
    Ended(Box<str>, Hlc),
    /// A setting.
    Setting(Setting),
    /// A node's word on one.
    Word(Setting, NodeId),
    /// Who can read the bucket says so; of what, cannot be told here.
    Released,
    /// The entry at this place was sealed anew by another one.
    Resealed(Locator),
}

/// An entry that is needed no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Overtaken {
    of: Of,
    since: Millis,
}

/// An entry that may go, and the one that must be on as many nodes first; none if what it was about
/// has ended.
pub type Due = (Locator, Option<Locator>);

/// All buckets.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Index {
    buckets: BTreeMap<BucketId, BucketIndex>,
    superseded: BTreeMap<Locator, Overtaken>,
    resealed: BTreeMap<Locator, Carrier>,
    hiding: BTreeMap<BucketId, Hiding>,
}

impl Index {
    /// Takes in what an entry says that has just come. What it overtook is noted as superseded.
    pub fn apply(&mut self, bucket: BucketId, stamp: Stamp, fact: Fact, now: Millis) {
        self.take(bucket, stamp, fact, |_| now);
    }

    /// Takes in what an entry says that was here before this start: what it overtook was overtaken
    /// when it was written, or a node that is off at night would never let anything go.
    pub fn restore(&mut self, bucket: BucketId, stamp: Stamp, fact: Fact, now: Millis) {
        self.take(bucket, stamp, fact, |winner| winner.wall.min(now));
    }

    fn take(&mut self, bucket: BucketId, stamp: Stamp, fact: Fact, since: impl Fn(Hlc) -> Millis) {
        if let Some(hiding) = self.hiding.get_mut(&bucket) {
            hiding.note(stamp, &fact);
        }
        let index = self.buckets.entry(bucket).or_default();
        let mut over = |stamp: Stamp, winner: Hlc, of: Of| {
            let overtaken = Overtaken { of, since: since(winner) };
            self.superseded.entry(stamp.locator(bucket)).or_insert(overtaken);
        };
        let mut changed = Changed::default();
        let key = match fact {
            Fact::Setting { setting, document, generation } if is_of_each(setting) => {
                let word = Word { generation, stamp, document };
                if let Some((old, winner)) = index.words.put(setting, word) {
                    over(old, winner.hlc, Of::Word(setting, stamp.origin));
                }
                return;
            }
            Fact::Setting { setting, document, .. } => {
                if let Some((old, winner)) = index.settings.put(setting, stamp, document) {
                    over(old, winner.hlc, Of::Setting(setting));
                }
                return;
            }
            Fact::Version { key, row, locks } => {
                let written = Written { row, locks, dead: false };
                let Some(state) = index.keys.get_mut(&key) else {
                    let state = State::new(written);
                    index.counts.add(&state);
                    index.keys.insert(key, state);
                    return;
                };
                index.counts.change(state, |state| state.put(written, &mut changed));
                key
            }
            Fact::Removal { key, version } => {
                index.change(&key, |state| state.remove(version, stamp, &mut changed));
                key
            }
            Fact::Said { key, target, aspect, says } => {
                index.change(&key, |state| state.say(target, aspect, stamp, says, &mut changed));
                key
            }
        };
        for (entry, winner, what) in changed.over {
            over(entry, winner, what.of(&key, entry.hlc));
        }
        for entry in changed.back {
            self.superseded.remove(&entry.locator(bucket));
        }
    }

    /// Takes in that an entry is not needed any more, where it cannot be told what it said.
    pub fn release(&mut self, at: Locator, since: Millis) {
        self.superseded.entry(at).or_insert(Overtaken { of: Of::Released, since });
    }

    /// Forgets what it was told of a bucket, now that it can be read.
    pub fn forget_releases(&mut self, bucket: &BucketId) {
        self.superseded.retain(|at, overtaken| at.bucket != *bucket || overtaken.of != Of::Released);
    }

    /// Forgets an entry that was erased.
    pub fn erased(&mut self, at: &Locator) {
        let Some(overtaken) = self.superseded.remove(at) else { return self.original_is_gone(at) };
        self.resealed.remove(at);
        let Of::Ended(key, hlc) = overtaken.of else { return };
        let Some(index) = self.buckets.get_mut(&at.bucket) else { return };
        if let Some(state) = index.keys.get_mut(&key) {
            state.erased(&Stamp { hlc, origin: at.origin, seq: at.seq });
        }
    }

    /// Whether an entry is needed no longer.
    pub fn is_superseded(&self, at: &Locator) -> bool {
        self.superseded.contains_key(at)
    }

    /// What may go. What was sealed anew goes with the entry that it stands for. Of a bucket of which something
    /// is to be hidden nothing may: it may be what overtook it.
    pub fn due(&self, now: Millis, grace: Millis) -> Vec<Due> {
        let due = self.superseded.iter().filter(|(_, overtaken)| now.since(overtaken.since) >= grace);
        let due = due.flat_map(|(at, overtaken)| {
            let winner = self.winner(&at.bucket, &overtaken.of).map(|at| self.place_of(at));
            [Some(*at), self.carrier_of(at)].into_iter().flatten().map(move |at| (at, winner))
        });
        let due = due.chain(self.originals_due(now, grace));
        due.filter(|(at, _)| !self.hiding.contains_key(&at.bucket)).collect()
    }

    fn winner(&self, bucket: &BucketId, of: &Of) -> Option<Locator> {
        let index = self.buckets.get(bucket)?;
        let winner = match of {
            Of::Null(key) => index.state(key)?.null().filter(|row| row.is_write())?.stamp,
            Of::Said(key, target, aspect) => index.state(key)?.holder(*target, *aspect)?,
            Of::Setting(setting) => index.settings.entry(*setting)?,
            Of::Word(setting, node) => index.words.of(*setting, *node)?.stamp,
            Of::Resealed(original) => return Some(*original),
            Of::Ended(..) | Of::Released => return None,
        };
        Some(winner.locator(*bucket))
    }

    /// A bucket, if anything was heard of it that can be read here.
    pub fn bucket(&self, bucket: &BucketId) -> Option<&BucketIndex> {
        self.buckets.get(bucket)
    }

    /// All buckets.
    pub fn buckets(&self) -> impl Iterator<Item = (&BucketId, &BucketIndex)> {
        self.buckets.iter()
    }

    /// What there is of an object.
    pub fn state(&self, bucket: &BucketId, key: &str) -> Option<&State> {
        self.buckets.get(bucket)?.state(key)
    }

    /// The current version of an object, if it is there.
    pub fn visible(&self, bucket: &BucketId, key: &str) -> Option<&Row> {
        self.state(bucket, key)?.visible()
    }

    /// A living version of an object.
    pub fn find(&self, bucket: &BucketId, key: &str, version: Version) -> Option<&Row> {
        self.state(bucket, key)?.find(version)
    }

    /// How a bucket is set.
    pub fn settings(&self, bucket: &BucketId) -> Arc<Settings> {
        self.buckets.get(bucket).map(|index| Arc::clone(&index.settings.holds)).unwrap_or_default()
    }

    /// The latest reading of a clock in anything known of an object: what is written now must be
    /// later, though the clock of whoever wrote it was ahead.
    pub fn newest(&self, bucket: &BucketId, key: &str) -> Option<Hlc> {
        self.state(bucket, key)?.newest()
    }

    /// The same of a setting.
    pub fn newest_setting(&self, bucket: &BucketId, setting: Setting) -> Option<Hlc> {
        let index = self.buckets.get(bucket)?;
        let said = index.words.on(setting).map(|word| word.stamp.hlc);
        said.chain(index.settings.entry(setting).map(|stamp| stamp.hlc)).max()
    }

    /// Whose word on a setting is in force.
    pub fn setter(&self, bucket: &BucketId, setting: Setting) -> Option<NodeId> {
        self.buckets.get(bucket)?.settings.entry(setting).map(|stamp| stamp.origin)
    }

    /// Every node's last word on a setting.
    pub fn words(&self, bucket: &BucketId, setting: Setting) -> Vec<Word> {
        let words = self.buckets.get(bucket).into_iter().flat_map(|index| index.words.on(setting));
        words.cloned().collect()
    }

    /// Whether an entry is some node's last word on a setting.
    pub fn is_word(&self, at: &Locator) -> bool {
        self.buckets.get(&at.bucket).is_some_and(|index| index.words.has(at.origin, at.seq))
    }

    /// One node's.
    pub fn word(&self, bucket: &BucketId, setting: Setting, node: NodeId) -> Option<&Word> {
        self.buckets.get(bucket)?.words.of(setting, node)
    }
}

impl BucketIndex {
    /// Its objects, those that are gone among them.
    pub const fn keys(&self) -> &BTreeMap<Box<str>, State> {
        &self.keys
    }

    /// What there is of an object.
    pub fn state(&self, key: &str) -> Option<&State> {
        self.keys.get(key)
    }

    /// How it is set.
    pub fn settings(&self) -> &Settings {
        &self.settings.holds
    }

    /// Objects that are there.
    pub const fn objects(&self) -> u64 {
        self.counts.objects
    }

    /// Versions of all objects, and markers.
    pub const fn versions(&self) -> u64 {
        self.counts.versions
    }

    /// Bytes of all versions.
    pub const fn bytes(&self) -> u64 {
        self.counts.bytes
    }

    fn change(&mut self, key: &str, change: impl FnOnce(&mut State)) {
        if !self.keys.contains_key(key) {
            self.keys.insert(key.into(), State::empty());
        }
        if let Some(state) = self.keys.get_mut(key) {
            self.counts.change(state, change);
        }
    }
}

/// What a bucket holds, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    objects: u64,
    versions: u64,
    bytes: u64,
}

impl Counts {
    fn change(&mut self, state: &mut State, change: impl FnOnce(&mut State)) {
        self.take(state);
        change(state);
        self.add(state);
    }

    fn add(&mut self, state: &State) {
        let (objects, versions, bytes) = state.count();
        self.objects = self.objects.saturating_add(objects);
        self.versions = self.versions.saturating_add(versions);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn take(&mut self, state: &State) {
        let (objects, versions, bytes) = state.count();
        self.objects = self.objects.saturating_sub(objects);
        self.versions = self.versions.saturating_sub(versions);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests;
