use proptest::prelude::*;

use super::*;
use crate::{from_canonical, to_canonical};

#[test]
fn spans_do_not_wrap() {
    assert_eq!(Millis::from_hours(72), Millis(259_200_000));
    assert_eq!(Millis::from_secs(u64::MAX), Millis(u64::MAX));
    assert_eq!(Millis(5).since(Millis(7)), Millis(0));
    assert_eq!(Millis(u64::MAX).plus(Millis(1)), Millis(u64::MAX));
    assert_eq!(Millis(5).to_string(), "5 ms");
}

#[test]
fn a_clock_that_stands_or_runs_back_still_counts_on() {
    let at = |wall, count| Hlc { wall: Millis(wall), count };
    assert_eq!(at(10, 0).tick(Millis(11)), at(11, 0));
    assert_eq!(at(10, 3).tick(Millis(10)), at(10, 4));
    assert_eq!(at(10, 3).tick(Millis(2)), at(10, 4));
    assert_eq!(at(10, u32::MAX).tick(Millis(2)), at(11, 0));
}

#[test]
fn a_clock_far_ahead_is_not_followed() {
    let now = Millis::from_hours(1000);
    let mine = Hlc { wall: now, count: 0 };
    let near = Hlc { wall: now.plus(Hlc::DRIFT_MAX), count: 0 };
    let far = Hlc { wall: near.wall.plus(Millis(1)), count: 0 };
    assert_eq!(mine.hear(near, now), near);
    assert_eq!(mine.hear(far, now), mine);
    assert_eq!(near.hear(mine, now), near);
}

proptest! {
    #[test]
    fn a_reading_is_always_later_than_the_one_before_and_what_was_heard(
        wall in 0u64..1 << 50, count: u32, remote in 0u64..1 << 50, other: u32, now in 0u64..1 << 50
    ) {
        let mine = Hlc { wall: Millis(wall), count };
        let remote = Hlc { wall: Millis(remote), count: other };
        prop_assert!(mine.tick(Millis(now)) > mine);
        let heard = mine.hear(remote, Millis(now));
        prop_assert!(heard >= mine && (heard == mine || heard == remote));
        prop_assert_eq!(from_canonical(&to_canonical(&mine), 32), Ok(mine));
    }
}
