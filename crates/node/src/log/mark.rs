//! How far this node has ever been in the log. It is kept beside the store, not in it: an old copy of
//! the store, put back by mistake or by a thief, shows by what it lacks.

use std::path::Path;

use freehold_wire::{OpId, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

const MARK_MAX: usize = 100;

/// How far a node has been.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Mark {
    /// The highest epoch.
    #[n(0)]
    pub epoch: u64,
    /// The most operations held.
    #[n(1)]
    pub operations: u64,
    /// The checkpoint or recovery in force then.
    #[n(2)]
    pub base: Option<OpId>,
}

impl Mark {
    /// Whether a log that is `now` lacks something that was there. A log only grows, so this is
    /// never so by itself.
    pub fn is_behind(&self, now: &Self, holds: impl Fn(&OpId) -> bool) -> bool {
        now.epoch < self.epoch
            || now.operations < self.operations
            || self.base.is_some_and(|base| !holds(&base))
    }

    /// Reads it; one that is missing or damaged says nothing.
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_default();
        from_canonical(&bytes, MARK_MAX).unwrap_or_default()
    }

    /// Keeps it, durably.
    pub fn write(&self, path: &Path) {
        if let Err(error) = freehold_disk::replace(path, &to_canonical(self), 0o600) {
            tracing::warn!(%error, path = %path.display(), "how far the log is was not kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_lacks_what_was_there_is_behind() {
        let base = OpId::from_bytes([1; 32]);
        let mark = Mark { epoch: 2, operations: 40, base: Some(base) };
        let here = |_: &OpId| true;
        assert!(!mark.is_behind(&mark, here));
        assert!(!mark.is_behind(&Mark { epoch: 3, operations: 41, base: None }, here));
        assert!(mark.is_behind(&Mark { epoch: 1, ..mark }, here));
        assert!(mark.is_behind(&Mark { operations: 39, ..mark }, here));
        assert!(mark.is_behind(&Mark { operations: 90, ..mark }, |id| *id != base));
        assert!(!Mark::default().is_behind(&Mark::default(), |_| false));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mark");
        assert_eq!(Mark::read(&path), Mark::default());
        mark.write(&path);
        assert_eq!(Mark::read(&path), mark);
    }
}
