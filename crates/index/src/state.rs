//! One object: in nearly all cases one plain version, and then nothing more is remembered.

use freehold_seal::{Aspect, Target, VersionId};
use freehold_wire::{Hlc, Millis};

use crate::history::{Changed, Over, Written};
use crate::list::Listed;
use crate::{History, Living, Locks, Row, Says, Stamp, Version, Versioning};

/// What there is of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The null version, or that it is gone.
    One(Row),
    /// Anything else.
    Many(Box<History>),
}

/// What deleting comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Nothing is there.
    Nothing,
    /// A marker is put before the versions; or, if none are kept, in the null version's place.
    Mark {
        /// With an id of its own.
        kept: bool,
    },
    /// A version goes for good.
    Remove(Version),
}

/// What deleting an object, or one version of it, comes to in a bucket that is set so.
pub fn plan_delete(versioning: Option<Versioning>, state: Option<&State>, version: Option<Version>) -> Plan {
    match (version, versioning) {
        (Some(version), _) => match state.and_then(|state| state.find(version)) {
            Some(_) => Plan::Remove(version),
            None => Plan::Nothing,
        },
        (None, Some(Versioning::Enabled)) => Plan::Mark { kept: true },
        (None, Some(Versioning::Suspended)) => Plan::Mark { kept: false },
        (None, None) => match state.and_then(State::visible) {
            Some(row) => Plan::Remove(row.version()),
            None => Plan::Nothing,
        },
    }
}

impl State {
    /// An object of which something is heard before any version.
    pub(crate) fn empty() -> Self {
        Self::Many(Box::default())
    }

    pub(crate) fn new(written: Written) -> Self {
        if written.row.is_null() && written.locks.is_none() {
            Self::One(written.row)
        } else {
            Self::Many(Box::new(History::new(written)))
        }
    }

    pub(crate) fn put(&mut self, written: Written, changed: &mut Changed) {
        match self {
            Self::One(row) if written.row.is_null() && written.locks.is_none() => {
                let (old, new) = (row.stamp, written.row.stamp);
                if old > new {
                    changed.over.push((new, old.hlc, Over::Null));
                } else if old < new {
                    changed.over.push((old, new.hlc, Over::Null));
                    *row = written.row;
                }
            }
            _ => {
                self.history().put(written, changed);
                self.simplify();
            }
        }
    }

    pub(crate) fn remove(&mut self, id: VersionId, stamp: Stamp, changed: &mut Changed) {
        self.history().remove(id, stamp, changed);
    }

    pub(crate) fn say(
        &mut self,
        target: Target,
        aspect: Aspect,
        stamp: Stamp,
        says: Says,
        changed: &mut Changed,
    ) {
        self.history().say(target, aspect, stamp, says, changed);
        self.simplify();
    }

    pub(crate) fn erased(&mut self, entry: &Stamp) {
        if let Self::Many(history) = self {
            history.erased(entry);
        }
    }

    fn history(&mut self) -> &mut History {
        loop {
            match self {
                Self::Many(history) => return history,
                Self::One(row) => {
                    let written = Written { row: row.clone(), locks: Locks::default(), dead: false };
                    *self = Self::Many(Box::new(History::new(written)));
                }
            }
        }
    }

    fn simplify(&mut self) {
        if let Self::Many(history) = self
            && let Some(row) = history.plain()
        {
            *self = Self::One(row.clone());
        }
    }

    /// The latest living version, be it a marker.
    pub fn current(&self) -> Option<&Row> {
        match self {
            Self::One(row) => Some(row).filter(|row| row.is_write() || row.is_marker()),
            Self::Many(history) => history.current(),
        }
    }

    /// The current version, if the object is there.
    pub fn visible(&self) -> Option<&Row> {
        self.current().filter(|row| row.is_write())
    }

    /// A living version.
    pub fn find(&self, version: Version) -> Option<&Row> {
        match self {
            Self::One(_) => self.current().filter(|row| row.version() == version),
            Self::Many(history) => history.find(version),
        }
    }

    /// The living versions, latest first.
    pub fn living(&self) -> impl Iterator<Item = Living<'_>> {
        let (one, many) = match self {
            Self::One(_) => (self.current().map(|row| Living { row, current: true }), None),
            Self::Many(history) => (None, Some(history.living())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// What locks a version now.
    pub fn locks(&self, row: &Row, now: Millis) -> Locks {
        match self {
            Self::One(_) => Locks::default(),
            Self::Many(history) => history.locks(row, now),
        }
    }

    /// The amendment that holds for an aspect of a version, and whether it has a document; without
    /// one, what the manifest says holds.
    pub fn amended(&self, target: Target, aspect: Aspect) -> Option<(Stamp, bool)> {
        match self {
            Self::One(_) => None,
            Self::Many(history) => history.amended(target, aspect),
        }
    }

    /// Whether anything was ever heard of a kept version, be it gone.
    pub fn knows(&self, id: VersionId) -> bool {
        match self {
            Self::One(_) => false,
            Self::Many(history) => history.knows(id),
        }
    }

    pub(crate) fn null(&self) -> Option<&Row> {
        match self {
            Self::One(row) => Some(row),
            Self::Many(history) => history.null(),
        }
    }

    pub(crate) fn holder(&self, target: Target, aspect: Aspect) -> Option<Stamp> {
        match self {
            Self::One(_) => None,
            Self::Many(history) => history.holder(target, aspect),
        }
    }

    pub(crate) fn newest(&self) -> Option<Hlc> {
        match self {
            Self::One(row) => Some(row.stamp.hlc),
            Self::Many(history) => history.newest(),
        }
    }

    /// Objects, living versions and their bytes.
    pub(crate) fn count(&self) -> (u64, u64, u64) {
        let (versions, bytes) = match self {
            Self::One(row) => (u64::from(row.is_write() || row.is_marker()), row.size),
            Self::Many(history) => history.count(),
        };
        (u64::from(self.visible().is_some()), versions, bytes)
    }

    /// The entries that it comes from.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Stamp> {
        let (one, many) = match self {
            Self::One(row) => (Some(row.stamp), None),
            Self::Many(history) => (None, Some(history.entries())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    pub(crate) fn any_entry(&self, mut is: impl FnMut(&Stamp) -> bool) -> bool {
        match self {
            Self::One(row) => is(&row.stamp),
            Self::Many(history) => history.entries().any(|stamp| is(&stamp)),
        }
    }
}

impl Listed for State {
    fn shown(&self) -> bool {
        self.visible().is_some()
    }
}

/// There may be millions of objects, and nearly all of them have one plain version.
const _: () = assert!(size_of::<State>() <= 112, "what is remembered of a plain object has grown");
