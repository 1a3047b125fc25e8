//! When a certificate is to be had anew. Decisions only: the time and what is drawn are handed in.

use freehold_wire::Millis;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// When to renew what is good from one time until another. Where the authority suggests a window it is within
/// that, somewhere (RFC 9773, 4.2); else between two thirds and three quarters of its life, so that those
/// that were made together do not come together.
pub fn renewal(from: Millis, until: Millis, window: Option<(Millis, Millis)>, draw: u64) -> Millis {
    if let Some((begin, end)) = window.filter(|(begin, end)| begin < end) {
        return Millis(begin.0 + draw % (end.0 - begin.0));
    }
    let life = until.0.saturating_sub(from.0);
    let spread = (life / 12).max(1);
    Millis(from.0.saturating_add(life / 3 * 2).saturating_add(draw % spread))
}

/// How long to wait after so many failures in a row: a minute, then twice as long each time, up to twelve hours,
/// or one where what is there ends within a day; between half of it and all of it.
pub fn again(failures: u32, left: Option<Millis>, draw: u64) -> Millis {
    let urgent = left.is_none_or(|left| left.0 < 24 * HOUR);
    let most = if urgent { HOUR } else { 12 * HOUR };
    let wait =
        MINUTE.saturating_mul(1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX)).min(most);
    Millis(wait / 2 + draw % (wait / 2))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: u64 = 24 * HOUR;

    #[test]
    fn ninety_days_are_renewed_after_sixty() {
        let (from, until) = (Millis(1_800_000_000_000), Millis(1_800_000_000_000 + 90 * DAY));
        assert_eq!(renewal(from, until, None, 0), Millis(from.0 + 60 * DAY));
        let window = Some((Millis(5), Millis(15)));
        assert_eq!(renewal(from, until, window, 13), Millis(8), "a window that is over means now");
        assert_eq!(renewal(from, until, Some((Millis(5), Millis(5))), 0), Millis(from.0 + 60 * DAY));
    }

    #[test]
    fn who_fails_waits_longer_each_time() {
        let month = Some(Millis(30 * DAY));
        let waits = [1, 2, 5, 11, 40].map(|failures| again(failures, month, 0).0 * 2 / MINUTE);
        assert_eq!(waits, [1, 2, 16, 720, 720]);
        assert_eq!(again(40, Some(Millis(DAY / 2)), 0), Millis(HOUR / 2));
        assert_eq!(again(40, None, 0), Millis(HOUR / 2));
    }

    proptest! {
        #[test]
        fn there_is_always_time_to_fail(from in 0..u64::MAX / 4, life in 1..u64::MAX / 4, draw: u64) {
            let until = from + life;
            let at = renewal(Millis(from), Millis(until), None, draw);
            prop_assert!(at.0 >= from && at.0 <= until);
            prop_assert!(life < 100 || until - at.0 >= life / 5, "a fifth is left");
        }

        #[test]
        fn a_window_is_kept(begin in 0..u64::MAX / 2, length in 1..u64::MAX / 4, draw: u64) {
            let at = renewal(Millis(0), Millis(1), Some((Millis(begin), Millis(begin + length))), draw).0;
            prop_assert!((begin..begin + length).contains(&at));
        }

        #[test]
        fn nobody_is_asked_in_a_hurry(failures in 1..u32::MAX, left: Option<u64>, draw: u64) {
            let wait = again(failures, left.map(Millis), draw).0;
            prop_assert!((MINUTE / 2..=12 * HOUR).contains(&wait));
        }
    }
}
