use freehold_wire::Millis;
use proptest::prelude::*;

use crate::{PARTS, next_part, next_thinning, unread};

const DAY: u64 = 24 * 3_600_000;
const BEGIN: u64 = 1_700_000_000_000;

const fn day(count: u64) -> Millis {
    Millis(BEGIN + count * DAY)
}

#[test]
fn nothing_is_forgotten_without_a_success_or_twice_a_day() {
    assert_eq!(next_thinning(None, None, day(5)), None);
    assert_eq!(next_thinning(None, Some(day(4)), day(5)), Some(day(4)), "at once");
    assert_eq!(next_thinning(Some(day(4)), Some(day(3)), day(9)), None, "nothing has come since");
    let noon = Millis(day(4).0 + DAY / 2);
    assert_eq!(next_thinning(Some(day(4)), Some(noon), noon), Some(day(5)));
    assert_eq!(next_thinning(Some(day(40)), Some(day(4)), day(5)), Some(day(4)), "by a clock put back");
    assert_eq!(next_thinning(None, Some(day(40)), day(5)), None);
}

/// Days from the first run on, on those of which the machine is on; answers on which each part was read.
fn read(days: impl Iterator<Item = u64>) -> Vec<(u64, usize)> {
    let (mut parts, mut last, mut read) = ([None; PARTS], None, Vec::new());
    for now in days {
        let (part, at) = next_part(day(0), &parts, last, day(now));
        if at <= day(now) {
            (parts[part], last) = (Some(day(now)), Some(day(now)));
            read.push((now, part));
        }
    }
    read
}

#[test]
fn each_part_is_read_within_four_weeks() {
    let expected = [(1, 0), (8, 1), (15, 2), (22, 3), (29, 0), (36, 1)];
    assert_eq!(read(0..40), expected);
    let off_for_two_months = read((0..10).chain(70..80));
    assert_eq!(off_for_two_months, [(1, 0), (8, 1), (70, 2), (71, 3), (72, 0), (73, 1)], "one a day");
}

#[test]
fn damage_is_looked_at_again_and_again_and_is_no_reading() {
    let parts = [Some(day(22)), None, Some(day(8)), Some(day(15))];
    assert_eq!(next_part(day(0), &parts, Some(day(29)), day(29)), (1, day(30)));
    assert_eq!(unread(day(0), &parts, day(44)), None);
    assert_eq!(unread(day(0), &parts, day(45)), Some(Millis(45 * DAY)));
    assert_eq!(unread(day(0), &[Some(day(40)); PARTS], day(45)), None);
}

proptest! {
    #[test]
    fn no_record_is_too_odd(
        first: u64, parts in prop::array::uniform4(any::<Option<u64>>()), last: Option<u64>, now: u64,
    ) {
        let parts = parts.map(|at| at.map(Millis));
        let (part, _) = next_part(Millis(first), &parts, last.map(Millis), Millis(now));
        prop_assert!(part < PARTS);
        let since = unread(Millis(first), &parts, Millis(now));
        prop_assert!(since.is_none_or(|since| since.0 <= now));
    }
}
