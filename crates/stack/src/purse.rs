//! The memory of all connections: one of a few gets plenty, one of many little, and then there is no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What one connection gets, in bytes of both directions.
const MOST: usize = 2 * 1024 * 1024;
const LEAST: usize = 32 * 1024;
/// Of what is left, one takes no more than this part.
const PART: usize = 16;

/// What is left, in bytes.
#[derive(Debug, Clone)]
pub(crate) struct Purse(Arc<AtomicUsize>);

/// What one connection has, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    purse: Purse,
    pub(crate) bytes: usize,
}

impl Purse {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// A share, if as much as the least is left.
    pub(crate) fn take(&self) -> Option<Share> {
        let share = |left: usize| (left / PART).clamp(LEAST, MOST);
        let took = |left: usize| left.checked_sub(share(left));
        let before = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, took).ok()?;
        Some(Share { purse: self.clone(), bytes: share(before) })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.purse.0.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_get_plenty_and_many_little_and_all_of_it_comes_back() {
        let whole = 16 * MOST;
        let purse = Purse::new(whole);
        let first = purse.take().unwrap();
        assert_eq!(first.bytes, MOST);
        let mut all = vec![first];
        all.extend(std::iter::from_fn(|| purse.take()));
        assert!(all.windows(2).all(|pair| pair[0].bytes >= pair[1].bytes));
        assert!(all.last().unwrap().bytes == LEAST && all.len() > 64, "{}", all.len());
        assert!(all.iter().map(|share| share.bytes).sum::<usize>() <= whole);
        drop(all);
        assert_eq!(purse.0.load(Ordering::Relaxed), whole);
    }
}
