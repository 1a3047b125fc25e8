//! How many requests of each client are under way, so that one does not take all places of a service.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Of one service: clients that have something under way, and no others.
#[derive(Debug, Default)]
pub(crate) struct Crowd(Mutex<BTreeMap<u64, usize>>);

impl Crowd {
    fn all(&self) -> MutexGuard<'_, BTreeMap<u64, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A share for one request more of a client, if it has not so many already. Clients are told apart by a number that
    /// nobody outside can choose.
    pub(crate) fn enter(self: &Arc<Self>, client: u64, most: usize) -> Option<Share> {
        let mut all = self.all();
        let count = all.entry(client).or_default();
        if *count >= most.max(1) {
            return None;
        }
        *count += 1;
        Some(Share { crowd: Arc::clone(self), client })
    }
}

/// A request under way; dropped, it is over.
#[derive(Debug)]
pub(crate) struct Share {
    crowd: Arc<Crowd>,
    client: u64,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut all = self.crowd.all();
        if let Some(count) = all.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_the_share_of_others_and_nothing_is_kept_of_who_has_gone() {
        let crowd = Arc::new(Crowd::default());
        let mut held: Vec<Share> = (0..3).map(|_| crowd.enter(1, 3).unwrap()).collect();
        assert!(crowd.enter(1, 3).is_none());
        assert!(crowd.enter(2, 3).is_some(), "another has its own");
        held.pop();
        held.push(crowd.enter(1, 3).unwrap());
        drop(held);
        assert!(crowd.all().is_empty());
    }
}
