//! The versions of one object, and what was said of them.

use std::collections::BTreeMap;

use freehold_seal::{Aspect, Target, VersionId};
use freehold_wire::{Hlc, Millis};

use crate::index::Of;
use crate::version::null_target;
use crate::{Locks, Retention, Row, Says, Stamp, Version};

/// A version with what it was locked with when it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) row: Row,
    pub(crate) locks: Locks,
    /// Removed for good; remembered because a lock that voids the removal may still arrive.
    pub(crate) dead: bool,
}

/// What was said of a version after it was written, or before it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct About {
    /// The latest removal.
    removal: Option<Stamp>,
    /// The latest word on each aspect.
    said: BTreeMap<Aspect, (Stamp, Says)>,
    /// The COMPLIANCE that reaches furthest: it is not taken back, whatever comes later.
    lock: Option<(Millis, Stamp)>,
}

/// An object that has, or had, more than one plain version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    null: Option<Written>,
    kept: BTreeMap<Stamp, Written>,
    ids: BTreeMap<VersionId, Stamp>,
    about: BTreeMap<Target, About>,
    living: u64,
    bytes: u64,
}

/// A version that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Living<'a> {
    /// The version.
    pub row: &'a Row,
    /// Whether it is the object's current one.
    pub current: bool,
}

/// What an entry changed for others.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    /// Not needed any more: the entry, when that was written which overtook it, and what of.
    pub(crate) over: Vec<(Stamp, Hlc, Over)>,
    /// Needed after all.
    pub(crate) back: Vec<Stamp>,
}

/// What an entry was overtaken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// Another null version is there.
    Null,
    /// Something else was said.
    Said(Target, Aspect),
    /// What it was about has ended.
    Ended,
}

impl Over {
    pub(crate) fn of(self, key: &str, written: Hlc) -> Of {
        let key = key.into();
        match self {
            Self::Null => Of::Null(key),
            Self::Said(target, aspect) => Of::Said(key, target, aspect),
            Self::Ended => Of::Ended(key, written),
        }
    }
}

impl History {
    pub(crate) fn new(first: Written) -> Self {
        let mut history = Self::default();
        history.put(first, &mut Changed::default());
        history
    }

    /// Takes a version in.
    pub(crate) fn put(&mut self, written: Written, changed: &mut Changed) {
        if written.row.is_null() { self.put_null(written, changed) } else { self.put_kept(written, changed) }
    }

    fn put_null(&mut self, written: Written, changed: &mut Changed) {
        let stamp = written.row.stamp;
        match &self.null {
            Some(there) if there.row.stamp == stamp => return,
            Some(there) if there.row.stamp > stamp => {
                return changed.over.push((stamp, there.row.stamp.hlc, Over::Null));
            }
            Some(there) => changed.over.push((there.row.stamp, stamp.hlc, Over::Null)),
            None => {}
        }
        if let Some(old) = &self.null {
            self.living -= u64::from(is_there(old));
            self.bytes = self.bytes.saturating_sub(old.row.size);
        }
        self.living += u64::from(is_there(&written));
        self.bytes = self.bytes.saturating_add(written.row.size);
        self.null = Some(written);
        // What was said of earlier null versions has no object any more.
        let holder = null_target(&stamp);
        let rest = self.about.split_off(&Target::Null(Hlc::default(), NO_NODE, 0));
        for (target, about) in rest {
            if target < holder {
                about.each(|entry| changed.over.push((entry, stamp.hlc, Over::Ended)));
            } else {
                self.about.insert(target, about);
            }
        }
    }

    fn put_kept(&mut self, written: Written, changed: &mut Changed) {
        let (stamp, id) = (written.row.stamp, written.row.id);
        if let Some(there) = self.ids.get(&id).copied() {
            // Two entries with one id: the earlier one is it.
            if there < stamp {
                changed.over.push((stamp, there.hlc, Over::Ended));
            }
            if there <= stamp {
                return;
            }
            changed.over.push((there, stamp.hlc, Over::Ended));
            self.forget(there);
        }
        self.living += 1;
        self.bytes = self.bytes.saturating_add(written.row.size);
        self.kept.insert(stamp, written);
        self.ids.insert(id, stamp);
        if self.about.contains_key(&Target::Kept(id)) {
            self.settle(id, changed);
        }
    }

    /// Takes a removal in.
    pub(crate) fn remove(&mut self, id: VersionId, stamp: Stamp, changed: &mut Changed) {
        let about = self.about.entry(Target::Kept(id)).or_default();
        match about.removal {
            Some(there) if there == stamp => return,
            Some(there) if there > stamp => changed.over.push((stamp, there.hlc, Over::Ended)),
            there => {
                about.removal = Some(stamp);
                changed.over.extend(there.map(|there| (there, stamp.hlc, Over::Ended)));
            }
        }
        self.settle(id, changed);
    }

    /// Takes in what is said of a version.
    pub(crate) fn say(
        &mut self,
        target: Target,
        aspect: Aspect,
        stamp: Stamp,
        says: Says,
        changed: &mut Changed,
    ) {
        if let (Target::Null(..), Some(holder)) = (&target, &self.null)
            && target < null_target(&holder.row.stamp)
        {
            return changed.over.push((stamp, holder.row.stamp.hlc, Over::Ended));
        }
        let about = self.about.entry(target).or_default();
        let before = about.of(aspect);
        about.hear(aspect, stamp, says);
        let after = about.of(aspect);
        let winner = after.iter().flatten().map(|stamp| stamp.hlc).max().unwrap_or(stamp.hlc);
        for entry in before.into_iter().flatten().chain([stamp]) {
            if !after.contains(&Some(entry)) {
                changed.over.push((entry, winner, Over::Said(target, aspect)));
            }
        }
        if let Target::Kept(id) = target {
            self.settle(id, changed);
        }
    }

    /// Works out anew whether a version lives, and what of it is needed.
    fn settle(&mut self, id: VersionId, changed: &mut Changed) {
        let Some(about) = self.about.get(&Target::Kept(id)) else { return };
        let written = self.ids.get(&id).and_then(|stamp| self.kept.get_mut(stamp));
        let first = written.as_ref().and_then(|written| written.locks.retention?.compliance());
        let locked = first.max(about.lock.map(|(until, _)| until));
        let removal = about.removal;
        let dead = removal.filter(|removal| locked.is_none_or(|until| until <= removal.hlc.wall));
        let mut needed = |entry: Stamp, winner: Option<Stamp>| match winner {
            Some(winner) => changed.over.push((entry, winner.hlc, Over::Ended)),
            None => changed.back.push(entry),
        };
        about.each_said(|entry| needed(entry, dead));
        if let Some(removal) = removal {
            // A void one says nothing.
            needed(removal, if dead.is_some() { None } else { Some(removal) });
        }
        let Some(written) = written else { return };
        needed(written.row.stamp, dead);
        if written.dead != dead.is_some() {
            written.dead = dead.is_some();
            if written.dead {
                self.living = self.living.saturating_sub(1);
                self.bytes = self.bytes.saturating_sub(written.row.size);
            } else {
                self.living += 1;
                self.bytes = self.bytes.saturating_add(written.row.size);
            }
        }
    }

    fn forget(&mut self, stamp: Stamp) {
        if let Some(gone) = self.kept.remove(&stamp).filter(|gone| !gone.dead) {
            self.living = self.living.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(gone.row.size);
        }
    }

    /// Forgets a removed version: its entry was erased.
    pub(crate) fn erased(&mut self, entry: &Stamp) {
        if let Some(id) = self.kept.get(entry).filter(|gone| gone.dead).map(|gone| gone.row.id) {
            self.kept.remove(entry);
            self.ids.remove(&id);
            if let Some(about) = self.about.get_mut(&Target::Kept(id)) {
                about.said.clear();
                about.lock = None;
            }
        }
    }

    /// The only version, if there is nothing else to remember.
    pub(crate) fn plain(&self) -> Option<&Row> {
        let null = self.null.as_ref().filter(|null| null.locks.is_none())?;
        (self.kept.is_empty() && self.about.is_empty()).then_some(&null.row)
    }

    fn all_living(&self) -> impl Iterator<Item = &Row> {
        let mut null = self.null.as_ref().filter(|null| is_there(null)).map(|null| &null.row);
        let kept = self.kept.values().rev().filter(|written| !written.dead).map(|written| &written.row);
        let mut kept = kept.peekable();
        std::iter::from_fn(move || match (&null, kept.peek()) {
            (Some(there), Some(next)) if there.stamp > next.stamp => null.take(),
            (Some(_), None) => null.take(),
            _ => kept.next(),
        })
    }

    /// The latest living version, be it a marker.
    pub fn current(&self) -> Option<&Row> {
        self.all_living().next()
    }

    /// The living versions, latest first.
    pub fn living(&self) -> impl Iterator<Item = Living<'_>> {
        self.all_living().enumerate().map(|(at, row)| Living { row, current: at == 0 })
    }

    /// A living version.
    pub fn find(&self, version: Version) -> Option<&Row> {
        let written = match version {
            Version::Null => self.null.as_ref().filter(|null| is_there(null)),
            Version::Id(id) => self.kept.get(self.ids.get(&id)?).filter(|written| !written.dead),
        };
        written.map(|written| &written.row)
    }

    /// Whether anything was ever heard of a kept version.
    pub(crate) fn knows(&self, id: VersionId) -> bool {
        self.ids.contains_key(&id) || self.about.contains_key(&Target::Kept(id))
    }

    /// The holder of the null version's place, be it its removal.
    pub(crate) fn null(&self) -> Option<&Row> {
        self.null.as_ref().map(|null| &null.row)
    }

    /// The amendment that holds for an aspect of a version, and whether it has a document.
    pub(crate) fn amended(&self, target: Target, aspect: Aspect) -> Option<(Stamp, bool)> {
        let (stamp, says) = self.about.get(&target)?.said.get(&aspect)?;
        Some((*stamp, says.some))
    }

    /// The entry that must be on as many nodes as one that said something of an aspect before.
    /// None if the version has ended.
    pub(crate) fn holder(&self, target: Target, aspect: Aspect) -> Option<Stamp> {
        if let Target::Kept(id) = target {
            self.find(Version::Id(id))?;
        }
        self.about.get(&target)?.of(aspect).into_iter().flatten().max()
    }

    /// What locks a version now.
    pub(crate) fn locks(&self, row: &Row, now: Millis) -> Locks {
        let written = if row.is_null() { self.null.as_ref() } else { self.kept.get(&row.stamp) };
        let first = written.map(|written| written.locks).unwrap_or_default();
        let Some(about) = self.about.get(&row.target()) else { return first };
        let said = |aspect| about.said.get(&aspect).map(|(_, says)| *says);
        let latest = said(Aspect::Retention).map_or(first.retention, |says| says.retention);
        let lock = first.retention.and_then(Retention::compliance).max(about.lock.map(|(until, _)| until));
        let lock = lock.filter(|until| *until > now);
        let strict = lock.map(|until| Retention { mode: crate::Mode::Compliance, until });
        Locks { retention: strict.or(latest), hold: said(Aspect::Hold).map_or(first.hold, |says| says.hold) }
    }

    /// The latest reading of a clock in anything that is known of the object.
    pub(crate) fn newest(&self) -> Option<Hlc> {
        self.entries().map(|stamp| stamp.hlc).max()
    }

    /// Living versions, and their bytes.
    pub(crate) const fn count(&self) -> (u64, u64) {
        (self.living, self.bytes)
    }

    /// All entries that anything here comes from.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Stamp> {
        let mut all: Vec<Stamp> = self.kept.keys().copied().collect();
        all.extend(self.null.as_ref().map(|null| null.row.stamp));
        self.about.values().for_each(|about| about.each(|entry| all.push(entry)));
        all.into_iter()
    }
}

/// The least node, for the least target of its sort.
const NO_NODE: freehold_wire::NodeId = freehold_wire::NodeId::from_bytes([0; 32]);

const fn is_there(null: &Written) -> bool {
    null.row.is_write() || null.row.is_marker()
}

impl About {
    fn hear(&mut self, aspect: Aspect, stamp: Stamp, says: Says) {
        let later = self.said.get(&aspect).is_none_or(|(there, _)| *there < stamp);
        if later {
            self.said.insert(aspect, (stamp, says));
        }
        let reach = says.retention.and_then(Retention::compliance).map(|until| (until, stamp));
        self.lock = self.lock.max(reach);
    }

    /// The entries that count for an aspect.
    fn of(&self, aspect: Aspect) -> [Option<Stamp>; 2] {
        let lock = self.lock.filter(|_| aspect == Aspect::Retention).map(|(_, stamp)| stamp);
        [self.said.get(&aspect).map(|(stamp, _)| *stamp), lock]
    }

    fn each_said(&self, mut see: impl FnMut(Stamp)) {
        let lock = self.lock.map(|(_, stamp)| stamp);
        let said = self.said.values().map(|(stamp, _)| *stamp);
        said.clone().for_each(&mut see);
        if let Some(lock) = lock
            && !said.into_iter().any(|stamp| stamp == lock)
        {
            see(lock);
        }
    }

    fn each(&self, mut see: impl FnMut(Stamp)) {
        self.each_said(&mut see);
        self.removal.into_iter().for_each(see);
    }
}
