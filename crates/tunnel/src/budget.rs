//! How many errors are told: enough for programs, too few to be of use to an attacker.

use std::time::{Duration, Instant};

/// At once.
const MOST: u32 = 64;
/// Then one in this time.
const EACH: Duration = Duration::from_millis(10);

/// Errors that may still be told.
#[derive(Debug)]
pub(crate) struct Budget {
    left: u32,
    since: Instant,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: MOST, since: Instant::now() }
    }
}

impl Budget {
    /// Whether one more may be told now.
    pub(crate) fn take(&mut self) -> bool {
        self.take_at(Instant::now())
    }

    fn take_at(&mut self, now: Instant) -> bool {
        let more = now.saturating_duration_since(self.since).as_millis() / EACH.as_millis();
        if more > 0 {
            self.left = self.left.saturating_add(u32::try_from(more).unwrap_or(MOST)).min(MOST);
            self.since = now;
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_a_hundred_a_second() {
        let mut budget = Budget::default();
        let begun = budget.since;
        let told = (0..1000).filter(|_| budget.take_at(begun)).count();
        assert_eq!(told, 64);
        let told = (0..1000).filter(|at| budget.take_at(begun + Duration::from_millis(*at))).count();
        assert!((95..=100).contains(&told), "{told}");
    }
}
