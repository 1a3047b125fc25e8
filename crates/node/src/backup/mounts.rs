//! Repositories that are open for somebody who walks through them. Each stays as long as whoever asked for it does, or, where
//! they only look now and then, until nobody has asked it for a while.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use freehold_backup::{Browsing, Snapshot};

use super::StopsWhenDropped;
use crate::shared::Shared;

/// So many are open at the same time: each has its indexes in memory.
const OPEN_MAX: usize = 16;
/// So many of them for those who look now and then.
const LOOKS_MAX: usize = 4;
/// How long one stays open that nobody asks.
const IDLE: Duration = Duration::from_mins(10);
/// How long one has all that is newest, as others may write there too.
const NEWEST: Duration = Duration::from_secs(30);

struct Held {
    browsing: Arc<Browsing>,
    look: Option<Look>,
}

/// Who looks now and then has no connection that ends.
struct Look {
    target: String,
    snapshots: Arc<Vec<Snapshot>>,
    opened: Instant,
    used: Instant,
    /// How many runs had ended there before it was opened.
    ended: u64,
    _stop: StopsWhenDropped,
}

#[derive(Default)]
struct Open {
    last: u64,
    by: BTreeMap<u64, Held>,
}

impl Open {
    fn add(&mut self, browsing: Browsing, look: Option<Look>) -> u64 {
        self.last += 1;
        self.by.insert(self.last, Held { browsing: Arc::new(browsing), look });
        self.last
    }
}

/// What is open.
#[derive(Default)]
pub(crate) struct Mounts(Mutex<Open>);

impl Mounts {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one of this name.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<Browsing>> {
        let mut open = self.open();
        let held = open.by.get_mut(&id.parse().ok()?)?;
        if let Some(look) = &mut held.look {
            look.used = Instant::now();
        }
        Some(Arc::clone(&held.browsing))
    }

    /// The last one that was opened to look into a target, and what is in it; where the newest is wanted, only if nothing can
    /// have come since that this machine knows of.
    pub(crate) fn looked(
        &self,
        target: &str,
        ended: u64,
        newest: bool,
    ) -> Option<(String, Arc<Vec<Snapshot>>)> {
        let mut open = self.open();
        let now = Instant::now();
        let mut all = open.by.iter_mut().rev().filter_map(|(id, held)| Some((id, held.look.as_mut()?)));
        let (id, look) = all.find(|(_, look)| look.target == target)?;
        let is_new = look.ended == ended && now.duration_since(look.opened) < NEWEST;
        if newest && !is_new {
            return None;
        }
        look.used = now;
        Some((id.to_string(), Arc::clone(&look.snapshots)))
    }

    /// Keeps one open to look into it. Where there are too many, the one goes that nobody has asked for the longest.
    pub(crate) fn look(
        &self,
        target: String,
        ended: u64,
        snapshots: Arc<Vec<Snapshot>>,
        browsing: Browsing,
        stop: StopsWhenDropped,
    ) -> String {
        let (mut open, now) = (self.open(), Instant::now());
        let looks = open.by.iter().filter_map(|(id, held)| Some((held.look.as_ref()?.used, *id)));
        let looks: Vec<(Instant, u64)> = looks.collect();
        if looks.len() >= LOOKS_MAX {
            looks.into_iter().min().and_then(|(_, id)| open.by.remove(&id));
        }
        open.add(browsing, Some(Look { target, snapshots, opened: now, used: now, ended, _stop: stop }))
            .to_string()
    }

    /// Closes what nobody has asked for a while.
    pub(crate) fn close_idle(&self) {
        let is_idle = |held: &Held| held.look.as_ref().is_some_and(|look| look.used.elapsed() > IDLE);
        self.open().by.retain(|_, held| !is_idle(held));
    }
}

/// One that is open until this is dropped.
pub(crate) struct Mounted(Arc<Shared>, u64);

impl Mounted {
    /// Nothing where too many are open.
    pub(crate) fn new(shared: &Arc<Shared>, browsing: Browsing) -> Option<Self> {
        let mut open = shared.backups_of_files.mounts.open();
        if open.by.values().filter(|held| held.look.is_none()).count() >= OPEN_MAX {
            return None;
        }
        let id = open.add(browsing, None);
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
