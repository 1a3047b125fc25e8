use std::path::PathBuf;

use super::super::Place;
use super::super::kept::{Backup, Run, Target, Trial};
use super::*;

const HOUR: u64 = 3_600_000;
const NOW: u64 = 500_000 * HOUR;

fn plan() -> Plan {
    let target = |name: &str| Target {
        place: Place::Folder(PathBuf::from("/mnt").join(name)),
        password: format!("repository-{name}"),
    };
    let backup = Backup {
        id: "0a0b0c0d".to_owned(),
        paths: vec![PathBuf::from("/home/ann")],
        exclude: Vec::new(),
        git_ignore: false,
        one_file_system: false,
        every_ms: HOUR,
        to: BTreeSet::from(["nas".to_owned(), "stick".to_owned()]),
        added_ms: NOW,
    };
    Plan {
        targets: ["nas", "stick"].map(|name| (name.to_owned(), target(name))).into(),
        backups: [("home".to_owned(), backup)].into(),
    }
}

fn at(now: u64) -> Now {
    Now { at: Millis(now), ..Now::default() }
}

fn pair(target: &str) -> Pair {
    ("home".to_owned(), target.to_owned())
}

fn targets(jobs: &[Job]) -> Vec<(&str, bool)> {
    jobs.iter().map(|job| (job.pair().1.as_str(), matches!(job, Job::BackUp(..)))).collect()
}

fn ran(at_ms: u64) -> Record {
    let mut record = Record::default();
    let run = Run { at_ms, snapshot: "5ab".to_owned(), files: 1, bytes: 1, added: 1, unread: 0 };
    record.succeeded(run, Vec::new(), Millis(at_ms + 1000));
    record
}

#[test]
fn a_target_that_is_busy_or_down_holds_no_other_up() {
    let (plan, mut round, mut records) = (plan(), Round::default(), Records::default());
    let nobody = |_: &Pair| false;
    let (jobs, _) = round.due(&plan, &records, &nobody, at(NOW));
    assert_eq!(targets(&jobs), [("nas", true), ("stick", true)], "each at once");
    round.begin(&jobs[0], Millis(NOW));
    let (jobs, _) = round.due(&plan, &records, &nobody, at(NOW));
    assert_eq!(targets(&jobs), [("stick", true)]);
    records.of_mut(&pair("stick")).failed("not plugged in".to_owned().into(), Millis(NOW));
    round.busy.clear();
    let (jobs, next) = round.due(&plan, &records, &nobody, at(NOW + 1000));
    assert_eq!(targets(&jobs), [("nas", true)]);
    assert!(next <= Millis(NOW + 61_000), "it is tried again soon");
    let asked = |asked: &Pair| *asked == pair("stick");
    let (jobs, _) = round.due(&plan, &records, &asked, at(NOW + 1000));
    assert_eq!(targets(&jobs), [("nas", true), ("stick", true)], "whoever asks does not wait");
}

#[test]
fn what_was_backed_up_is_tried_and_tried_again_if_it_does_not_come_back() {
    let (plan, mut round, mut records) = (plan(), Round::default(), Records::default());
    let nobody = |_: &Pair| false;
    for target in ["nas", "stick"] {
        *records.of_mut(&pair(target)) = ran(NOW + 700_000);
    }
    let now = NOW + 710_000;
    let (jobs, _) = round.due(&plan, &records, &nobody, at(now));
    assert_eq!(targets(&jobs), [("nas", false), ("stick", false)], "as soon as there is something");
    let asked = |asked: &Pair| *asked == pair("nas");
    let (jobs, _) = round.due(&plan, &records, &asked, at(now));
    assert_eq!(targets(&jobs), [("nas", true), ("stick", false)], "a run comes first");
    let battery = Now { power: Power::Battery(80), ..at(now) };
    assert!(round.due(&plan, &records, &nobody, battery).0.is_empty());
    let trial = |good| Trial { at_ms: now, good, files: 1, of: 1, bytes: 1, why: Vec::new() };
    for (target, good) in [("nas", true), ("stick", false)] {
        round.begin(&Job::Try(pair(target), "0a0b0c0d".to_owned(), "5ab".to_owned()), Millis(now));
        records.of_mut(&pair(target)).tried(trial(good));
    }
    round.busy.clear();
    assert!(round.due(&plan, &records, &nobody, at(now + 1000)).0.is_empty());
    let later = now + TRY_AGAIN.0;
    for target in ["nas", "stick"] {
        let run = Run { at_ms: later - 1000, ..ran(later).runs.remove(0) };
        records.of_mut(&pair(target)).succeeded(run, Vec::new(), Millis(later));
    }
    let (jobs, _) = round.due(&plan, &records, &nobody, at(later));
    let tries: Vec<_> = jobs.iter().filter(|job| matches!(job, Job::Try(..))).collect();
    assert!(tries.len() == 1 && tries[0].pair().1 == "stick", "{jobs:?}");
}
