use freehold_wire::Millis;
use proptest::prelude::*;

use crate::{
    Drill, DrillPlan, Due, EVERY_MAX, EVERY_MIN, Now, Power, Sample, Schedule, Tries, Waiting, drill_due, due,
};

const HOUR: u64 = 3_600_000;
const BEGIN: u64 = 1_700_000_000_000;

fn schedule() -> impl Strategy<Value = Schedule> {
    (EVERY_MIN.0..EVERY_MAX.0 / 100).prop_map(|every| Schedule::new(Millis(every)).expect("in bounds"))
}

fn mains(at: u64) -> Now {
    Now { at: Millis(at), ..Now::default() }
}

proptest! {
    #[test]
    fn one_run_in_each_slot_however_often_it_is_asked(
        schedule in schedule(), seed: u64, steps in prop::collection::vec(1_000_u64..4 * HOUR, 1..200),
    ) {
        let (mut at, mut tries, mut begun) = (BEGIN, Tries::default(), Vec::new());
        for step in steps {
            match due(&schedule, &tries, &mains(at), seed) {
                Due::Now => {
                    begun.push(at);
                    tries = Tries { succeeded: Some(Millis(at)), ended: Some(Millis(at)), failed: 0 };
                }
                Due::At(then) => prop_assert!(then.0 > at && then.0 <= at + schedule.every().0),
                Due::Waits { .. } => prop_assert!(false, "nothing to wait for"),
            }
            at += step;
        }
        prop_assert_eq!(begun.first(), Some(&BEGIN), "the first at once");
        // Two runs may be near each other, one late in its slot and one early in the next; three never.
        prop_assert!(begun.windows(3).all(|three| three[2] - three[0] >= schedule.every().0));
    }

    #[test]
    fn it_runs_when_it_said_it_would(schedule in schedule(), seed: u64, begun in 0..HOUR * 10_000) {
        let begun = BEGIN + begun;
        let tries = Tries { succeeded: Some(Millis(begun)), ended: Some(Millis(begun)), failed: 0 };
        let Due::At(then) = due(&schedule, &tries, &mains(begun), seed) else { panic!("it ran just now") };
        prop_assert!(matches!(due(&schedule, &tries, &mains(then.0 - 1), seed), Due::At(_)));
        prop_assert_eq!(due(&schedule, &tries, &mains(then.0), seed), Due::Now);
    }

    #[test]
    fn what_failed_is_tried_again_within_an_hour_and_a_slot(schedule in schedule(), seed: u64, failed in 1_u32.., ago in 0..3 * HOUR) {
        let tries = Tries { succeeded: None, ended: Some(Millis(BEGIN - ago)), failed };
        match due(&schedule, &tries, &mains(BEGIN), seed) {
            Due::Now => prop_assert!(ago >= 60_000),
            Due::At(then) => prop_assert!(then.0 > BEGIN && then.0 <= BEGIN - ago + HOUR.min(schedule.every().0)),
            Due::Waits { .. } => prop_assert!(false, "nothing to wait for"),
        }
    }

    #[test]
    fn a_sample_keeps_its_bounds_and_always_tries_something(
        sizes in prop::collection::vec(0_u64..1 << 20, 0..300), files in 1_usize..50, bytes in 0_u64..1 << 22, seed: u64,
    ) {
        let mut sample = Sample::new(&DrillPlan { files, bytes, ..DrillPlan::default() }, seed);
        for size in &sizes {
            sample.offer(*size);
        }
        let chosen = sample.chosen();
        prop_assert_eq!(chosen.is_empty(), sizes.is_empty());
        prop_assert!(chosen.len() <= files && chosen.is_sorted_by(|a, b| a < b));
        let size = |place: &u64| sizes[usize::try_from(*place).expect("small")];
        prop_assert!(chosen.len() <= 1 || chosen.iter().map(size).sum::<u64>() <= bytes);
    }
}

#[test]
fn slots_too_short_and_too_long_are_refused_with_what_is_possible() {
    for every in [Millis(0), Millis(EVERY_MIN.0 - 1), Millis(EVERY_MAX.0 + 1), Millis(u64::MAX)] {
        let refused = Schedule::new(every).expect_err("no schedule").to_string();
        assert!(refused.contains("5 minutes"), "{refused}");
    }
}

#[test]
fn machines_of_a_house_do_not_begin_together() {
    let schedule = Schedule::new(Millis(HOUR)).expect("an hour");
    let tries = Tries { succeeded: Some(Millis(BEGIN)), ..Tries::default() };
    let begins = (0..20_u64).map(|machine| due(&schedule, &tries, &mains(BEGIN), machine * 104_729_017));
    let begins: std::collections::BTreeSet<u64> =
        begins.filter_map(|due| if let Due::At(then) = due { Some(then.0) } else { None }).collect();
    assert!(begins.len() > 15, "{begins:?}");
}

#[test]
fn it_waits_for_power_and_for_a_network_as_told() {
    let mut schedule = Schedule::new(Millis(HOUR)).expect("an hour");
    let ask = |schedule: &Schedule, power, metered| {
        due(schedule, &Tries::default(), &Now { at: Millis(BEGIN), power, metered }, 7)
    };
    let waits = |waiting| Due::Waits { waiting, look_again: Millis(BEGIN + 60_000) };
    assert_eq!(ask(&schedule, Power::Battery(49), false), waits(Waiting::Power));
    assert_eq!(ask(&schedule, Power::Battery(50), false), Due::Now);
    assert_eq!(ask(&schedule, Power::Battery(50), true), waits(Waiting::Network));
    schedule.metered = true;
    schedule.battery_percent = 101;
    assert_eq!(ask(&schedule, Power::Mains, true), Due::Now);
    assert_eq!(ask(&schedule, Power::Battery(100), true), waits(Waiting::Power));
}

#[test]
fn a_clock_put_back_makes_one_run_too_many_and_no_silence() {
    let schedule = Schedule::new(Millis(HOUR)).expect("an hour");
    let tomorrow = Millis(BEGIN + 24 * HOUR);
    let tries = Tries { succeeded: Some(tomorrow), ended: Some(tomorrow), failed: 4 };
    assert_eq!(due(&schedule, &tries, &mains(BEGIN), 7), Due::Now);
    let never =
        drill_due(&DrillPlan::default(), Millis(BEGIN), Some(tomorrow), Some(tomorrow), Millis(BEGIN));
    assert_eq!(never, Some(Drill::Sample));
}

#[test]
fn drills_come_daily_and_of_everything_monthly() {
    let (plan, day) = (DrillPlan::default(), 24 * HOUR);
    let (mut sample, mut everything, mut drills) = (None, None, Vec::new());
    for hour in 0..90 * 24 {
        let now = Millis(BEGIN + hour * HOUR);
        match drill_due(&plan, Millis(BEGIN), sample, everything, now) {
            Some(Drill::Sample) => sample = Some(now),
            Some(Drill::Everything) => {
                everything = Some(now);
                drills.push(hour * HOUR / day);
            }
            None => {}
        }
        let last = sample.max(everything).expect("the first at once");
        assert!(now.since(last).0 < day);
    }
    assert_eq!(drills, [30, 60]);
}

#[test]
fn each_file_has_the_same_chance() {
    let mut times = [0_u32; 40];
    for seed in 0..4000 {
        let mut sample = Sample::new(&DrillPlan { files: 4, ..DrillPlan::default() }, seed);
        (0..40).for_each(|size| sample.offer(size));
        for place in sample.chosen() {
            times[usize::try_from(place).expect("small")] += 1;
        }
    }
    assert!(times.iter().all(|times| (320..480).contains(times)), "400 expected of each: {times:?}");
}
