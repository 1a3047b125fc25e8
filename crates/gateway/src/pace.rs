//! How often a client may ask: a token bucket for each, in memory that does not grow. The clock is handed in.

use std::time::Duration;

use crate::service::Rate;

/// Clients that share a row push each other out, whoever has waited longest first.
const WAYS: usize = 4;
const ROWS: usize = 1024;

/// A bucket, as the time at which it is full again (the generic cell rate algorithm).
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    client: u64,
    full_at: u64,
}

/// The buckets of one service.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: Rate,
    rows: Vec<[Bucket; WAYS]>,
}

impl Pace {
    /// All buckets full.
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, rows: vec![[Bucket::default(); WAYS]; ROWS] }
    }

    pub(crate) const fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes one request of a client's bucket at a time since some beginning; else says for how long there
    /// is none. Clients are told apart by a number that nobody outside can choose.
    pub(crate) fn take(&mut self, client: u64, now: Duration) -> Result<(), Duration> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX / 2);
        let each = 1_000_000_000 / u64::from(self.rate.each_second.max(1));
        let depth = each * u64::from(self.rate.burst.max(1) - 1);
        let row = usize::try_from(client % ROWS as u64).unwrap_or_default();
        let Some(row) = self.rows.get_mut(row) else { return Ok(()) };
        let known = row.iter().position(|bucket| bucket.client == client && bucket.full_at > 0);
        let oldest = || row.iter().enumerate().min_by_key(|(_, bucket)| bucket.full_at).map(|(at, _)| at);
        let Some(bucket) = known.or_else(oldest).and_then(|at| row.get_mut(at)) else { return Ok(()) };
        let full_at = if known.is_some() { bucket.full_at.max(now) } else { now };
        let missing = full_at - now;
        if missing > depth {
            return Err(Duration::from_nanos(missing - depth));
        }
        *bucket = Bucket { client, full_at: full_at + each };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { each_second: 10, burst: 3 };

    #[test]
    fn a_burst_then_one_at_a_time_for_each_client() {
        let (mut pace, now) = (Pace::new(RATE), Duration::from_secs(7));
        let mut ask = |client, after: u64| pace.take(client, now + Duration::from_millis(after));
        assert!([0; 3].map(|after| ask(1, after).is_ok()).iter().all(|ok| *ok));
        assert_eq!(ask(1, 0), Err(Duration::from_millis(100)));
        assert_eq!(ask(2, 0), Ok(()), "another client has its own");
        assert_eq!(ask(1, 99), Err(Duration::from_millis(1)));
        assert_eq!(ask(1, 100), Ok(()));
        assert!(ask(1, 100).is_err());
    }

    #[test]
    fn a_crowd_takes_no_memory_and_is_slowed_no_less() {
        let mut pace = Pace::new(RATE);
        for client in 0..100_000 {
            assert_eq!(pace.take(client, Duration::from_secs(1)), Ok(()));
        }
        assert_eq!(pace.rows.len(), ROWS);
    }

    proptest::proptest! {
        #[test]
        fn nobody_gets_more_than_the_rate_and_its_burst(
            waits in proptest::collection::vec(0_u64..300, 1..200),
            each_second in 1_u32..50,
            burst in 1_u32..20,
        ) {
            let mut pace = Pace::new(Rate { each_second, burst });
            let start = Duration::from_secs(1);
            let (mut at, mut taken) = (start, 0_u128);
            for wait in &waits {
                at += Duration::from_millis(*wait);
                if let Err(wait) = pace.take(9, at) {
                    // What it says is true: then there is one.
                    at += wait;
                    proptest::prop_assert!(pace.take(9, at).is_ok());
                }
                taken += 1;
                let elapsed = at.abs_diff(start).as_micros();
                let most = elapsed * u128::from(each_second) / 1_000_000 + u128::from(burst) + 1;
                proptest::prop_assert!(taken <= most, "{} of {}", taken, most);
            }
        }
    }
}
