//! How often a source may try: a leaking bucket for each, in bounded memory.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The most sources remembered; the ones seen longest ago are forgotten first.
const SOURCES: usize = 4096;

/// Buckets that hold `burst` tries and win back one each `refill`.
#[derive(Debug)]
pub struct Tries<S> {
    burst: u32,
    refill: Duration,
    /// For each source the time at which its bucket is full again.
    full_at: Mutex<BTreeMap<S, Instant>>,
}

impl<S: Ord + Clone> Tries<S> {
    /// All buckets full.
    pub const fn new(burst: u32, refill: Duration) -> Self {
        Self { burst, refill, full_at: Mutex::new(BTreeMap::new()) }
    }

    /// Whether the source's bucket holds a try.
    pub fn left(&self, source: &S, now: Instant) -> bool {
        let Ok(full_at) = self.full_at.lock() else { return false };
        full_at.get(source).is_none_or(|full| (*full).max(now) + self.refill <= self.full(now))
    }

    /// Takes one try of the source's bucket; `false` if there is none.
    pub fn take(&self, source: S, now: Instant) -> bool {
        let Ok(mut full_at) = self.full_at.lock() else { return false };
        if full_at.len() >= SOURCES && !full_at.contains_key(&source) {
            full_at.retain(|_, full| *full > now);
            if full_at.len() >= SOURCES
                && let Some(oldest) =
                    full_at.iter().min_by_key(|(_, full)| **full).map(|(source, _)| source.clone())
            {
                full_at.remove(&oldest);
            }
        }
        let full = full_at.entry(source).or_insert(now);
        let next = (*full).max(now) + self.refill;
        if next > self.full(now) {
            return false;
        }
        *full = next;
        true
    }

    /// When a bucket that is empty now is full.
    fn full(&self, now: Instant) -> Instant {
        now + self.refill * self.burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_one_at_a_time() {
        let tries = Tries::new(3, Duration::from_secs(10));
        let now = Instant::now();
        assert_eq!([0; 4].map(|_| tries.take("a", now)), [true, true, true, false]);
        assert!(!tries.left(&"a", now) && tries.left(&"b", now));
        assert!(tries.take("b", now));
        assert!(!tries.take("a", now + Duration::from_secs(9)));
        assert!(tries.left(&"a", now + Duration::from_secs(10)));
        assert!(tries.take("a", now + Duration::from_secs(10)));
        assert!(!tries.take("a", now + Duration::from_secs(10)));
    }

    #[test]
    fn memory_is_bounded() {
        let tries = Tries::new(1, Duration::from_secs(10));
        let now = Instant::now();
        for i in 0..5_000_u32 {
            assert!(tries.take(i, now));
        }
        assert!(tries.full_at.lock().unwrap().len() <= SOURCES);
    }
}
