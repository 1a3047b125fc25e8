//! How many questions wait for others, and from whom: a client that asks what nobody answers takes no
//! more than its share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use freehold_ports::Source;

/// All together.
const TOTAL: usize = 4096;
/// From one source.
const EACH: usize = 512;

/// The questions that wait.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiting(Arc<Mutex<Counted>>);

#[derive(Debug, Default)]
struct Counted {
    total: usize,
    each: BTreeMap<Source, usize>,
}

impl Waiting {
    /// A place for one more, until it is dropped.
    pub(crate) fn enter(&self, source: Source) -> Option<Place> {
        let mut counted = self.lock();
        let own = counted.each.get(&source).copied().unwrap_or(0);
        if counted.total >= TOTAL || own >= EACH {
            return None;
        }
        counted.total += 1;
        counted.each.insert(source, own + 1);
        Some(Place { waiting: self.clone(), source })
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question that waits.
#[derive(Debug)]
pub(crate) struct Place {
    waiting: Waiting,
    source: Source,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counted = self.waiting.lock();
        counted.total = counted.total.saturating_sub(1);
        if let Some(own) = counted.each.get_mut(&self.source) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                counted.each.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_takes_its_share_and_leaves_the_rest() {
        let waiting = Waiting::default();
        let mut held: Vec<Place> =
            (0..EACH).map(|_| waiting.enter(Source::V4([10, 0, 0, 1])).unwrap()).collect();
        assert!(waiting.enter(Source::V4([10, 0, 0, 1])).is_none());
        assert!(waiting.enter(Source::V4([10, 0, 0, 2])).is_some());
        held.pop();
        assert!(waiting.enter(Source::V4([10, 0, 0, 1])).is_some());
        drop(held);
        assert!(waiting.lock().each.is_empty() && waiting.lock().total == 0);
    }
}
