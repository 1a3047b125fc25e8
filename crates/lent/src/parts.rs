//! Objects on their way in, in parts: what has come of each, and when it last went on.

use std::collections::BTreeMap;

use freehold_wire::{BlobName, Millis};

/// The most objects on their way at a time.
const PARTS_MAX: usize = 16;
/// What has not gone on for so long makes room for others.
const STALE: Millis = Millis::from_hours(1);

/// One object on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coming {
    pub(crate) len: u64,
    pub(crate) touched: Millis,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Parts(BTreeMap<BlobName, Coming>);

impl Parts {
    pub(crate) fn get(&self, name: &BlobName) -> Option<Coming> {
        self.0.get(name).copied()
    }

    pub(crate) fn grown(&mut self, name: BlobName, len: u64, now: Millis) {
        self.0.insert(name, Coming { len, touched: now });
    }

    pub(crate) fn end(&mut self, name: &BlobName) -> Option<Coming> {
        self.0.remove(name)
    }

    /// Those that have to go before another one may come.
    pub(crate) fn in_the_way(&self, now: Millis) -> Vec<BlobName> {
        let stale = self.0.iter().filter(|(_, coming)| now.since(coming.touched) >= STALE);
        let mut all: Vec<BlobName> = stale.map(|(name, _)| *name).collect();
        if all.is_empty() && self.0.len() >= PARTS_MAX {
            all.extend(self.0.iter().min_by_key(|(_, coming)| coming.touched).map(|(name, _)| *name));
        }
        all
    }
}
