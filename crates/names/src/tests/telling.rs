//! What is counted, and what is not.

use freehold_wire::Millis;
use proptest::prelude::*;

use super::domain;
use crate::tally::{Outcome, Tally};

fn add(tally: &mut Tally, hour: u64, group: usize, outcome: Outcome, name: &str) {
    tally.add(Millis::from_hours(hour), group, outcome, domain(name).as_wire());
}

#[test]
fn no_name_is_kept_unless_told_and_then_for_a_day() {
    let mut tally = Tally::default();
    add(&mut tally, 100, 0, Outcome::Asked, "a.example");
    assert_eq!(tally.frequent(Millis::from_hours(100), false, 9), []);
    tally.log_names(true);
    for hour in [100, 101, 101] {
        add(&mut tally, hour, 0, Outcome::Asked, "a.example");
        add(&mut tally, hour, 0, Outcome::Blocked, "ads.example");
    }
    add(&mut tally, 101, 0, Outcome::Cached, "b.example");
    let frequent = |tally: &Tally, hour, blocked| tally.frequent(Millis::from_hours(hour), blocked, 9);
    assert_eq!(frequent(&tally, 101, false), [(domain("a.example"), 3), (domain("b.example"), 1)]);
    assert_eq!(frequent(&tally, 101, true), [(domain("ads.example"), 3)]);
    assert_eq!(frequent(&tally, 124, true), [(domain("ads.example"), 2)], "the first hour is a day ago");
    assert_eq!(frequent(&tally, 125, true), []);
    tally.log_names(false);
    assert_eq!(frequent(&tally, 101, true), []);
    assert!(!format!("{tally:?}").contains("example"));
}

#[test]
fn a_frequent_name_is_found_among_many() {
    let mut tally = Tally::default();
    tally.log_names(true);
    for n in 0..3000 {
        add(&mut tally, 1, 0, Outcome::Asked, &format!("n{n}.example"));
        if n % 5 == 0 {
            add(&mut tally, 1, 0, Outcome::Asked, "often.example");
        }
    }
    let (name, count) = tally.frequent(Millis::from_hours(1), false, 1).remove(0);
    assert_eq!(name, domain("often.example"));
    assert!(count >= 600);
    assert!(tally.frequent(Millis::from_hours(1), false, 9999).len() <= 256);
}

proptest! {
    /// Whatever the clock does, nothing of the last day is lost or counted twice, and no more is kept.
    #[test]
    fn questions_of_a_day_are_counted_once(
        steps in prop::collection::vec((0u64..9, 0usize..3, any::<bool>()), 0..80),
    ) {
        let mut tally = Tally::default();
        let mut hour = 1000;
        let mut added = Vec::new();
        for (forward, group, blocked) in steps {
            hour += forward;
            added.push((hour, group, blocked));
            add(&mut tally, hour, group, if blocked { Outcome::Blocked } else { Outcome::Cached }, "a.example");
        }
        let recent: Vec<_> = added.iter().filter(|(at, ..)| hour - at < 24).collect();
        let all = tally.hours(Millis::from_hours(hour), None);
        prop_assert!(all.len() <= 24);
        prop_assert_eq!(all.iter().map(|(_, counts)| counts.total()).sum::<u64>(), recent.len() as u64);
        for wanted in 0..3 {
            let blocked: u64 = tally.hours(Millis::from_hours(hour), Some(wanted)).iter().map(|(_, counts)| counts.blocked).sum();
            prop_assert_eq!(blocked, recent.iter().filter(|(_, group, blocked)| *group == wanted && *blocked).count() as u64);
        }
    }
}
