//! How far a run is, for whoever shows it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use rustic_core::{HiddenProgress, Progress, ProgressBars, ProgressType, RusticProgress};

/// Counts bytes while something runs; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    done: AtomicU64,
    total: AtomicU64,
}

impl Meter {
    /// Bytes that are through.
    pub fn done(&self) -> u64 {
        self.0.done.load(Ordering::Relaxed)
    }

    /// Bytes that there are, as far as is known; 0 while it is not.
    pub fn total(&self) -> u64 {
        match self.0.total.load(Ordering::Relaxed) {
            0 => 0,
            // There may have come more to it since.
            total => total.max(self.done()),
        }
    }

    pub(crate) fn begin(&self, total: u64) {
        self.0.done.store(0, Ordering::Relaxed);
        self.expect(total);
    }

    pub(crate) fn expect(&self, total: u64) {
        self.0.total.store(total, Ordering::Relaxed);
    }

    pub(crate) fn more(&self, total: u64) {
        self.0.total.fetch_add(total, Ordering::Relaxed);
    }

    pub(crate) fn count(&self, bytes: u64) {
        self.0.done.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl RusticProgress for Meter {
    fn is_hidden(&self) -> bool {
        false
    }

    fn set_length(&self, len: u64) {
        self.expect(len);
    }

    fn set_title(&self, _title: &str) {}

    fn inc(&self, inc: u64) {
        self.count(inc);
    }

    fn finish(&self) {}
}

impl ProgressBars for Meter {
    fn progress(&self, kind: ProgressType, _prefix: &str) -> Progress {
        match kind {
            ProgressType::Bytes => {
                self.begin(0);
                Progress::new(self.clone())
            }
            ProgressType::Spinner | ProgressType::Counter => Progress::new(HiddenProgress),
        }
    }
}
