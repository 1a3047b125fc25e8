//! How much was asked, counted by each processor apart and added up when somebody wants to know.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use freehold_names::Domain;
pub use freehold_names::tally::Counts;
use freehold_names::tally::{Outcome, Tally};
use freehold_wire::Millis;

use crate::config::Statistics;

/// Names and about how often each was asked for, the most frequent first.
pub type Frequent = Vec<(Domain, u64)>;

/// What one processor counts, and whether it does not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counter(Arc<Mutex<Tally>>, Arc<AtomicBool>);

impl Counter {
    pub(crate) fn add(&self, now: Millis, group: usize, outcome: Outcome, name: &[u8]) {
        if !self.1.load(Ordering::Relaxed) {
            self.lock().add(now, group, outcome, name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all count.
#[derive(Debug)]
pub(crate) struct Counters(Vec<Counter>);

impl Counters {
    pub(crate) fn new(count: usize) -> Self {
        Self((0..count.max(1)).map(|_| Counter::default()).collect())
    }

    /// One of them, the same for the same number.
    pub(crate) fn nth(&self, number: usize) -> Counter {
        self.0.get(number % self.0.len().max(1)).cloned().unwrap_or_default()
    }

    /// What is counted from now on; what is not any more is forgotten at once.
    pub(crate) fn keep(&self, what: Statistics) {
        for counter in &self.0 {
            let (is_off, mut tally) = (what == Statistics::Off, counter.lock());
            counter.1.store(is_off, Ordering::Relaxed);
            if is_off {
                *tally = Tally::default();
            }
            tally.log_names(what == Statistics::Names);
        }
    }

    pub(crate) fn hours(&self, now: Millis, group: Option<usize>) -> Vec<(u64, Counts)> {
        let mut sums: BTreeMap<u64, Counts> = BTreeMap::new();
        for counter in &self.0 {
            for (ago, more) in counter.lock().hours(now, group) {
                let sum = sums.entry(ago).or_default();
                sum.local += more.local;
                sum.blocked += more.blocked;
                sum.rewritten += more.rewritten;
                sum.cached += more.cached;
                sum.asked += more.asked;
                sum.failed += more.failed;
            }
        }
        sums.into_iter().rev().collect()
    }

    pub(crate) fn frequent(&self, now: Millis, blocked: bool, most: usize) -> Frequent {
        let mut sums: BTreeMap<Domain, u64> = BTreeMap::new();
        for counter in &self.0 {
            // Of each as many as it has: what is frequent together need not be so in one.
            for (name, count) in counter.lock().frequent(now, blocked, usize::MAX) {
                *sums.entry(name).or_default() += count;
            }
        }
        let mut all: Frequent = sums.into_iter().collect();
        all.sort_by(|(one, first), (other, second)| second.cmp(first).then(one.cmp(other)));
        all.truncate(most);
        all
    }
}
