//! Whether bytes come fast enough. A peer that sends one now and then is never silent, and yet holds
//! up whoever waits for all of them.

use std::time::Duration;

/// Looks at how much comes in each stretch of waiting for it. The time in which nobody waits, since
/// we are slow ourselves, does not count.
#[derive(Debug, Clone)]
pub struct Pace {
    least: u64,
    window: Duration,
    waited: Duration,
    got: u64,
}

impl Pace {
    /// At least so many bytes are to come while they are waited for as long as that.
    pub const fn new(least: u64, window: Duration) -> Self {
        Self { least, window, waited: Duration::ZERO, got: 0 }
    }

    /// So many bytes came after a wait; whether it has been too slow.
    pub fn is_too_slow(&mut self, waited: Duration, bytes: u64) -> bool {
        self.waited = self.waited.saturating_add(waited);
        self.got = self.got.saturating_add(bytes);
        if self.waited < self.window {
            return false;
        }
        let is_slow = self.got < self.least;
        (self.waited, self.got) = (Duration::ZERO, 0);
        is_slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_drip_is_too_slow_and_a_slow_line_is_not() {
        let mut drip = Pace::new(1000, SECOND * 20);
        assert_eq!((1..100).find(|_| drip.is_too_slow(SECOND, 10)), Some(20));
        let mut line = Pace::new(1000, SECOND * 20);
        assert!(!(1..100).any(|_| line.is_too_slow(SECOND, 50)));
        let mut late = Pace::new(1000, SECOND * 20);
        assert!(!(0..100).any(|_| late.is_too_slow(SECOND, 50)));
        assert_eq!((1..100).find(|_| late.is_too_slow(SECOND, 0)), Some(20), "what came before is past");
    }

    #[test]
    fn who_is_slow_to_take_it_is_not_held_against_the_sender() {
        let mut pace = Pace::new(1000, SECOND * 20);
        assert!(!(0..10_000).any(|_| pace.is_too_slow(Duration::ZERO, 1)));
    }
}
