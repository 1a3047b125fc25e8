//! How often codes are guessed. A right code always opens, whatever others have typed before; so nobody
//! is locked out, and guesses are made slow instead.
//!
//! A code has 40 bits, at most [`CODES_MAX`](super::CODES_MAX) = 4 are open, each for an hour, or for a
//! day the one that `up` prints. At once are looked at 10 wrong tries a minute of each source and 600 of
//! all together; whatever is tried beyond goes through one narrow passage, 50 a second. That makes
//! 3,600 guesses a minute at the very most, 216,000 an hour: the chance that one hits is 216,000 * 4 /
//! 2^40, less than one in a million for an hour, one in 50,000 for a day of nothing else.

use std::collections::BTreeMap;
use std::sync::{Mutex as Lock, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use freehold_ports::{Source, Tries};
use tokio::sync::Mutex;

/// Wrong tries of a source at once, and how soon each is forgotten.
const OF_ONE: (u32, Duration) = (10, Duration::from_secs(6));
/// Of all sources together, so that owning many addresses does not help.
const OF_ALL: (u32, Duration) = (600, Duration::from_millis(100));
/// One at a time waits this long.
const NARROW: Duration = Duration::from_millis(20);
/// Tries of one source that wait; so others soon have their turn.
const WAITING: usize = 8;

/// Who has typed wrong codes.
#[derive(Debug)]
pub(super) struct Guesses {
    of_one: Tries<Source>,
    of_all: Tries<()>,
    narrow: Mutex<()>,
    waiting: Lock<BTreeMap<Source, usize>>,
}

impl Guesses {
    pub(super) const fn new() -> Self {
        Self {
            of_one: Tries::new(OF_ONE.0, OF_ONE.1),
            of_all: Tries::new(OF_ALL.0, OF_ALL.1),
            narrow: Mutex::const_new(()),
            waiting: Lock::new(BTreeMap::new()),
        }
    }

    /// Ends when it is this source's turn; false if too many of its tries wait already.
    pub(super) async fn turn(&self, source: Source) -> bool {
        let now = Instant::now();
        if self.of_one.left(&source, now) && self.of_all.left(&(), now) {
            return true;
        }
        let Some(_waiting) = Waiting::begin(&self.waiting, source) else { return false };
        let _passage = self.narrow.lock().await;
        tokio::time::sleep(NARROW).await;
        true
    }

    /// A wrong code was typed.
    pub(super) fn wrong(&self, source: Source) {
        let now = Instant::now();
        self.of_one.take(source, now);
        self.of_all.take((), now);
    }
}

struct Waiting<'a> {
    all: &'a Lock<BTreeMap<Source, usize>>,
    source: Source,
}

impl<'a> Waiting<'a> {
    fn begin(all: &'a Lock<BTreeMap<Source, usize>>, source: Source) -> Option<Self> {
        let mut counts = lock(all);
        let count = counts.entry(source).or_default();
        if *count >= WAITING {
            return None;
        }
        *count += 1;
        Some(Self { all, source })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut counts = lock(self.all);
        if let Some(count) = counts.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.source);
            }
        }
    }
}

fn lock(all: &Lock<BTreeMap<Source, usize>>) -> MutexGuard<'_, BTreeMap<Source, usize>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}
