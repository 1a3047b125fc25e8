//! How fast a backup goes at most: a line is there for others as well.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::Stop;

/// Never longer in one go, so that whoever stops it need not wait.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// So many bytes a second, for all that shares it.
#[derive(Debug, Clone)]
pub struct Pacing {
    per_second: u64,
    /// When all that was let through will have gone at this pace.
    free: Arc<Mutex<Instant>>,
}

impl Pacing {
    /// `per_second` bytes; none is one.
    pub fn new(per_second: u64) -> Self {
        Self { per_second: per_second.max(1), free: Arc::new(Mutex::new(Instant::now())) }
    }

    /// How many bytes are best sent in one go, not more than a limit: what goes in a quarter of a second.
    pub fn part(&self, most: usize) -> usize {
        usize::try_from(self.per_second / 4).unwrap_or(most).clamp(16 << 10, most.max(16 << 10))
    }

    /// How long so many bytes take.
    pub fn takes(&self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.per_second);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How long whoever is to send so many bytes now has to wait first. They then count as sent.
    pub fn take(&self, bytes: usize, now: Instant) -> Duration {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = free.saturating_duration_since(now);
        let takes = self.takes(bytes as u64);
        let begins = now.checked_add(wait).unwrap_or(now);
        *free = begins.checked_add(takes).unwrap_or(begins);
        wait
    }

    /// Waits until so many bytes may be sent.
    ///
    /// # Errors
    /// That it was stopped meanwhile.
    pub fn wait(&self, bytes: usize, stop: &Stop) -> io::Result<()> {
        let mut left = self.take(bytes, Instant::now());
        while !left.is_zero() {
            stop.check()?;
            let some = left.min(LOOK_EVERY);
            thread::sleep(some);
            left = left.saturating_sub(some);
        }
        stop.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_stays_below_the_pace_and_idle_time_is_not_saved_up() {
        let pacing = Pacing::new(1000);
        let begin = Instant::now() + Duration::from_secs(1);
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        assert_eq!(pacing.take(2000, begin), Duration::ZERO);
        assert_eq!(pacing.take(1000, begin), Duration::from_secs(2));
        assert_eq!(pacing.take(1000, at(1)), Duration::from_secs(2));
        // An hour of nothing is no right to an hour's bytes at once.
        assert_eq!(pacing.take(5000, at(3600)), Duration::ZERO);
        assert_eq!(pacing.take(1, at(3601)), Duration::from_secs(4));
    }

    #[test]
    fn parts_are_small_where_the_pace_is() {
        assert_eq!(Pacing::new(0).part(4 << 20), 16 << 10);
        assert_eq!(Pacing::new(1 << 20).part(4 << 20), 256 << 10);
        assert_eq!(Pacing::new(1 << 40).part(4 << 20), 4 << 20);
    }

    #[test]
    fn whoever_waits_is_stopped() {
        let (pacing, stop) = (Pacing::new(1), Stop::default());
        pacing.wait(1_000_000, &stop).unwrap();
        thread::scope(|scope| {
            let waits = scope.spawn(|| pacing.wait(1, &stop));
            stop.ask();
            assert!(waits.join().unwrap().is_err());
        });
    }
}
