use freehold_wire::Millis;
use proptest::prelude::*;

use crate::{Alarm, Bounds, Drilled, Jumps, Outcome, Record, alarms};

const HOUR: u64 = 3_600_000;
const BEGIN: u64 = 1_700_000_000_000;
const GIB: u64 = 1 << 30;

fn hours(count: u64) -> Millis {
    Millis(BEGIN + count * HOUR)
}

/// A backup of 10 GiB that has run hourly so often, tested at its end.
fn steady(runs: u64) -> Record {
    let run = |hour| Outcome {
        at: hours(hour),
        bytes: 10 * GIB,
        added: if hour == 0 { 10 * GIB } else { GIB / 100 },
        unread: 0,
    };
    Record {
        added: hours(0),
        runs: (0..runs).map(run).collect(),
        tested: Some(hours(runs)),
        ..Record::default()
    }
}

fn told(record: &Record, now: Millis) -> Vec<Alarm> {
    alarms(record, &Bounds::of(Millis(HOUR)), now)
}

#[test]
fn a_backup_that_runs_is_no_alarm() {
    for runs in 1..20 {
        assert_eq!(told(&steady(runs), hours(runs)), []);
    }
}

#[test]
fn a_machine_switched_off_over_night_is_none_and_one_for_a_day_is() {
    assert_eq!(told(&steady(10), hours(9 + 23)), []);
    assert_eq!(told(&steady(10), hours(9 + 24)), [Alarm::Old { age: Millis(24 * HOUR) }]);
    let weekly = Bounds::of(Millis(7 * 24 * HOUR));
    assert_eq!(alarms(&steady(1), &Bounds { untested: Millis(u64::MAX), ..weekly }, hours(20 * 24)), []);
}

#[test]
fn one_that_never_ran_says_so() {
    let record = Record { added: hours(0), failed: 3, ..Record::default() };
    let since = Millis(30 * HOUR);
    assert_eq!(told(&record, hours(30)), [Alarm::None { since }, Alarm::Failing { times: 3 }]);
}

/// A clock that was years ahead for one run must not silence everything until then.
#[test]
fn what_a_fast_clock_noted_hides_no_alarm() {
    let mut record = steady(10);
    record.runs.push(Outcome { at: hours(100_000), bytes: 10 * GIB, added: 0, unread: 0 });
    record.tested = Some(hours(100_000));
    assert_eq!(told(&record, hours(10)), [], "the runs before count");
    let age = Millis(41 * HOUR);
    assert_eq!(told(&record, hours(50)), [Alarm::Old { age }]);
    let since = Millis(500 * HOUR);
    assert!(told(&record, hours(500)).contains(&Alarm::Untested { since }));
    let added = Record { added: hours(100_000), ..Record::default() };
    assert!(matches!(told(&added, hours(0))[..], [Alarm::None { .. }]));
}

/// Only the last runs are kept on record: that the first is ten days old at most says nothing.
#[test]
fn who_keeps_few_runs_hears_of_an_untested_backup_too() {
    let mut record = steady(400);
    record.tested = None;
    record.first = Some(hours(0));
    record.runs.drain(..390);
    assert_eq!(told(&record, hours(399)), [Alarm::Untested { since: Millis(399 * HOUR) }]);
    record.first = None;
    assert_eq!(told(&record, hours(399)), []);
}

/// What stands when the runs of a steady backup are followed by these, of so many bytes of which so many are new.
fn jumped(accepted: Option<Millis>, later: &[(u64, u64)]) -> Vec<Alarm> {
    let mut record = steady(10);
    for (hour, (bytes, added)) in (10..).zip(later) {
        record.runs.push(Outcome { at: hours(hour), bytes: *bytes, added: *added, unread: 0 });
        if accepted == Some(hours(hour - 1)) {
            record.jumps = Jumps::default();
        }
        let accepted = accepted.filter(|at| *at < hours(hour));
        record.jumps = record.jumps.after(&record.runs, accepted, &Bounds::of(Millis(HOUR)));
    }
    told(&record, hours(10))
}

#[test]
fn files_that_went_and_files_that_all_changed_are_told() {
    let usual = GIB / 100;
    assert_eq!(jumped(None, &[(10 * GIB, usual)]), []);
    assert_eq!(jumped(None, &[(GIB, 0)]), [Alarm::Fell { usual: 10 * GIB, now: GIB }]);
    assert_eq!(jumped(None, &[(10 * GIB, 9 * GIB)]), [Alarm::Rose { usual, now: 9 * GIB }]);
    assert_eq!(jumped(None, &[(12 * GIB, 2 * GIB)]), [], "an album");
    let both = [Alarm::Fell { usual: 10 * GIB, now: GIB }, Alarm::Rose { usual, now: GIB }];
    assert_eq!(jumped(None, &[(GIB, GIB)]), both);
}

#[test]
fn it_stands_until_it_is_back_or_somebody_says_that_it_is_meant() {
    let usual = GIB / 100;
    let less = [(GIB, 0); 30];
    assert_eq!(jumped(None, &less), [Alarm::Fell { usual: 10 * GIB, now: GIB }], "thirty runs later");
    assert_eq!(jumped(None, &[(GIB, 0), (9 * GIB, 0)]), [], "they are back");
    let changed = [(10 * GIB, 9 * GIB), (10 * GIB, 0), (10 * GIB, 0)];
    assert_eq!(
        jumped(None, &changed),
        [Alarm::Rose { usual, now: 9 * GIB }],
        "the next runs have nothing new"
    );
    assert_eq!(jumped(Some(hours(10)), &less), [], "the smaller size is the measure from then on");
    assert_eq!(jumped(Some(hours(10)), &changed), []);
    let again = [(GIB, 0), (GIB, 0), (GIB / 10, 0)];
    assert_eq!(jumped(Some(hours(10)), &again), [Alarm::Fell { usual: GIB, now: GIB / 10 }]);
}

#[test]
fn small_backups_may_change_as_they_like() {
    let mut small = steady(10);
    for run in &mut small.runs {
        (run.bytes, run.added) = (1 << 20, 10);
    }
    let last = small.runs.last_mut().expect("one");
    (last.bytes, last.added) = (10, 1 << 20);
    let bounds = Bounds::of(Millis(HOUR));
    assert!(!Jumps::default().after(&small.runs, None, &bounds).any());
}

#[test]
fn one_that_never_came_back_as_a_whole_is_told() {
    let mut record = steady(46 * 24);
    let since = Millis(45 * 24 * HOUR);
    assert_eq!(told(&record, hours(46 * 24)), [Alarm::NeverWhole { since: Millis(46 * 24 * HOUR) }]);
    record.whole = Some(hours(24));
    assert_eq!(told(&record, hours(46 * 24)), [Alarm::NeverWhole { since }]);
    record.whole = Some(hours(25));
    assert_eq!(told(&record, hours(46 * 24)), []);
}

#[test]
fn a_drill_that_failed_stands_first_until_one_succeeds() {
    let mut record = steady(2);
    record.failed = 5;
    record.drilled = Some(Drilled { at: hours(1), good: false });
    assert_eq!(told(&record, hours(2)), [Alarm::DrillFailed { at: hours(1) }, Alarm::Failing { times: 5 }]);
    record.drilled = Some(Drilled { at: hours(2), good: true });
    assert_eq!(told(&record, hours(2)), [Alarm::Failing { times: 5 }]);
}

#[test]
fn what_nobody_tried_and_what_nobody_could_read_is_told() {
    let mut record = steady(15 * 24);
    record.tested = None;
    assert_eq!(told(&record, hours(15 * 24)), [Alarm::Untested { since: Millis(15 * 24 * HOUR) }]);
    record.tested = Some(hours(15 * 24));
    record.runs.last_mut().expect("one").unread = 2;
    assert_eq!(told(&record, hours(15 * 24)), [Alarm::Unread { files: 2 }]);
}

proptest! {
    #[test]
    fn no_record_is_too_odd(
        runs in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>()), 0..30),
        added: u64, failed: u32, tested: Option<u64>, now: u64, every: u64,
    ) {
        let run = |(at, bytes, added, unread)| Outcome { at: Millis(at), bytes, added, unread };
        let runs = runs.into_iter().map(run).collect();
        let record = Record { added: Millis(added), runs, failed, tested: tested.map(Millis), ..Record::default() };
        let told = alarms(&record, &Bounds::of(Millis(every)), Millis(now));
        prop_assert!(told.is_sorted_by(|a, b| a < b), "each once, the worst first");
        // What is an alarm now is one later, as long as nothing happens.
        let mut record = record;
        record.added = record.added.min(Millis(now));
        record.tested = record.tested.map(|at| at.min(Millis(now)));
        for run in &mut record.runs {
            run.at = run.at.min(Millis(now));
        }
        let told = alarms(&record, &Bounds::of(Millis(every)), Millis(now));
        let later = alarms(&record, &Bounds::of(Millis(every)), Millis(now.saturating_add(HOUR)));
        prop_assert!(told.len() <= later.len());
    }
}
