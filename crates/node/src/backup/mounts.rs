//! Repositories that are open for somebody who walks through them. Each stays as long as whoever asked for it does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use freehold_backup::Browsing;

use crate::shared::Shared;

/// So many are open at the same time: each has its indexes in memory.
const OPEN_MAX: usize = 16;

#[derive(Debug, Default)]
struct Open {
    last: u64,
    by: BTreeMap<u64, Arc<Browsing>>,
}

/// What is open.
#[derive(Debug, Default)]
pub(crate) struct Mounts(Mutex<Open>);

impl Mounts {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one of this name.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<Browsing>> {
        self.open().by.get(&id.parse().ok()?).cloned()
    }
}

/// One that is open until this is dropped.
pub(crate) struct Mounted(Arc<Shared>, u64);

impl Mounted {
    /// Nothing where too many are open.
    pub(crate) fn new(shared: &Arc<Shared>, browsing: Browsing) -> Option<Self> {
        let mut open = shared.backups_of_files.mounts.open();
        if open.by.len() >= OPEN_MAX {
            return None;
        }
        open.last += 1;
        let id = open.last;
        open.by.insert(id, Arc::new(browsing));
        Some(Self(Arc::clone(shared), id))
    }

    pub(crate) fn id(&self) -> String {
        self.1.to_string()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.0.backups_of_files.mounts.open().by.remove(&self.1);
    }
}
