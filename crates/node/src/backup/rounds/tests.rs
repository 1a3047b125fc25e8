use std::path::PathBuf;

use super::super::Place;
use super::super::kept::{Backup, Lodging, Run, Target, Trial};
use super::*;
use freehold_wire::NodeId;

const HOUR: u64 = 3_600_000;
const NOW: u64 = 500_000 * HOUR;

fn plan() -> Plan {
    let target = |name: &str| Target {
        place: Place::Folder(PathBuf::from("/mnt").join(name)),
        password: format!("repository-{name}"),
        pace: None,
    };
    let backup = Backup {
        id: "0a0b0c0d".to_owned(),
        paths: vec![PathBuf::from("/home/ann")],
        exclude: Vec::new(),
        kept: Lodging::default(),
        command: Vec::new(),
        git_ignore: false,
        one_file_system: false,
        on_metered: false,
        every_ms: HOUR,
        to: BTreeSet::from(["nas".to_owned(), "stick".to_owned()]),
        added_ms: NOW,
        keep: freehold_api::BackupKeep::default(),
    };
    Plan {
        targets: ["nas", "stick"].map(|name| (name.to_owned(), target(name))).into(),
        backups: [("home".to_owned(), backup)].into(),
        ..Plan::default()
    }
}

fn at(now: u64) -> Now {
    Now { at: Millis(now), ..Now::default() }
}

fn pair(target: &str) -> Pair {
    ("home".to_owned(), target.to_owned())
}

fn targets(jobs: &[Job]) -> Vec<(&str, bool)> {
    jobs.iter().map(|job| (job.target(), matches!(job, Job::BackUp(..)))).collect()
}

/// What is due, where there was no upkeep yet.
fn due(
    round: &Round,
    plan: &Plan,
    records: &Records,
    asked: &dyn Fn(&Pair) -> bool,
    now: Now,
) -> (Vec<Job>, Millis) {
    round.due(&Kept { plan, records, upkeeps: &Upkeeps::default() }, asked, now)
}

fn ran(at_ms: u64) -> Record {
    let mut record = Record::default();
    let run = Run { at_ms, snapshot: "5ab".to_owned(), files: 1, bytes: 1, added: 1, unread: 0 };
    record.succeeded(run, Vec::new(), Millis(at_ms + 1000), &plan().backups["home"].bounds());
    record
}

fn tried(target: &str, drill: Drill) -> Job {
    Job::Try(pair(target), "0a0b0c0d".to_owned(), "5ab".to_owned(), drill)
}

fn trial(at_ms: u64, good: bool) -> Trial {
    Trial { at_ms, good, files: 1, of: 1, bytes: 1, ..Trial::default() }
}

#[test]
fn a_target_that_is_busy_or_down_holds_no_other_up() {
    let (plan, mut round, mut records) = (plan(), Round::default(), Records::default());
    let nobody = |_: &Pair| false;
    let (jobs, _) = due(&round, &plan, &records, &nobody, at(NOW));
    assert_eq!(targets(&jobs), [("nas", true), ("stick", true)], "each at once");
    round.begin(&jobs[0], Millis(NOW));
    let (jobs, _) = due(&round, &plan, &records, &nobody, at(NOW));
    assert_eq!(targets(&jobs), [("stick", true)]);
    records.of_mut(&pair("stick")).failed("not plugged in".to_owned().into(), Millis(NOW));
    round.busy.clear();
    let (jobs, next) = due(&round, &plan, &records, &nobody, at(NOW + 1000));
    assert_eq!(targets(&jobs), [("nas", true)]);
    assert!(next <= Millis(NOW + 61_000), "it is tried again soon");
    let asked = |asked: &Pair| *asked == pair("stick");
    let (jobs, _) = due(&round, &plan, &records, &asked, at(NOW + 1000));
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
    let (jobs, _) = due(&round, &plan, &records, &nobody, at(now));
    assert_eq!(targets(&jobs), [("nas", false), ("stick", false)], "as soon as there is something");
    let asked = |asked: &Pair| *asked == pair("nas");
    let (jobs, _) = due(&round, &plan, &records, &asked, at(now));
    assert_eq!(targets(&jobs), [("nas", true), ("nas", false), ("stick", false)], "beside a run");
    let battery = Now { power: Power::Battery(80), ..at(now) };
    assert!(due(&round, &plan, &records, &nobody, battery).0.is_empty());
    for (target, good) in [("nas", true), ("stick", false)] {
        round.begin(&tried(target, Drill::Sample), Millis(now));
        records.of_mut(&pair(target)).tried(Drill::Sample, trial(now, good));
    }
    round.busy.clear();
    assert!(due(&round, &plan, &records, &nobody, at(now + 1000)).0.is_empty());
    let later = now + TRY_AGAIN.0;
    for target in ["nas", "stick"] {
        let run = Run { at_ms: later - 1000, ..ran(later).runs.remove(0) };
        let bounds = plan.backups["home"].bounds();
        records.of_mut(&pair(target)).succeeded(run, Vec::new(), Millis(later), &bounds);
    }
    let (jobs, _) = due(&round, &plan, &records, &nobody, at(later));
    let tries: Vec<_> = jobs.iter().filter(|job| matches!(job, Job::Try(..))).collect();
    assert!(tries.len() == 1 && tries[0].target() == "stick", "{jobs:?}");
}

#[test]
fn a_trial_that_takes_hours_holds_no_backup_up_and_upkeep_waits_for_both() {
    let (mut plan, mut round, mut records) = (plan(), Round::default(), Records::default());
    plan.backups.get_mut("home").unwrap().to = BTreeSet::from(["nas".to_owned()]);
    plan.backups.get_mut("home").unwrap().keep.daily = 7;
    plan.targets.remove("stick");
    let month = NOW + 31 * 24 * HOUR;
    let record = records.of_mut(&pair("nas"));
    *record = ran(NOW);
    record.tried(Drill::Sample, trial(month - HOUR, true));
    let bounds = plan.backups["home"].bounds();
    let run = Run { at_ms: month, ..record.runs[0].clone() };
    record.succeeded(run, Vec::new(), Millis(month + 1000), &bounds);
    let nobody = |_: &Pair| false;
    let now = at(month + 2000);
    let kinds = |jobs: &[Job]| {
        jobs.iter().map(|job| format!("{job:?}")).map(|job| job[..3].to_owned()).collect::<Vec<_>>()
    };
    let (jobs, _) = due(&round, &plan, &records, &nobody, now);
    assert_eq!(kinds(&jobs), ["Thi"], "what is old is forgotten after a success");
    round.begin(&jobs[0], now.at);
    let asked = |_: &Pair| true;
    assert!(due(&round, &plan, &records, &asked, now).0.is_empty(), "nothing else meanwhile");
    round.end(&jobs[0]);
    let (jobs, _) = due(&round, &plan, &records, &nobody, now);
    assert_eq!(jobs, [tried("nas", Drill::Everything)], "it is not tried again at once");
    round.begin(&jobs[0], now.at);
    assert_eq!(kinds(&due(&round, &plan, &records, &asked, now).0), ["Bac"]);
    round.end(&jobs[0]);
    records.of_mut(&pair("nas")).tried(Drill::Everything, trial(month + 3000, false));
    let (jobs, _) = due(&round, &plan, &records, &nobody, at(month + 4000));
    assert_eq!(kinds(&jobs), ["Che"], "a part is read");
    round.begin(&jobs[0], Millis(month + 4000));
    let later = at(month + 4000 + TEND_AGAIN.0);
    round.busy.clear();
    let run = Run { at_ms: later.at.0 - 1000, ..ran(0).runs.remove(0) };
    records.of_mut(&pair("nas")).succeeded(run, Vec::new(), later.at, &bounds);
    let jobs = kinds(&due(&round, &plan, &records, &nobody, later).0);
    assert!(!jobs.contains(&"Thi".to_owned()), "nothing is forgotten while it does not come back: {jobs:?}");
    let record = records.of_mut(&pair("nas"));
    record.tried(Drill::Sample, trial(later.at.0, true));
    assert!(record.came_back_otherwise(), "a good sample is no answer to that");
    record.tried(Drill::Everything, trial(later.at.0, true));
    assert!(!record.came_back_otherwise());
    assert_eq!(kinds(&due(&round, &plan, &records, &nobody, later).0), ["Thi"]);
}

#[test]
fn nothing_is_forgotten_while_nobody_has_said_that_it_is_meant() {
    let (mut plan, round, mut records) = (plan(), Round::default(), Records::default());
    plan.backups.get_mut("home").unwrap().keep.last = 1;
    let bounds = plan.backups["home"].bounds();
    let record = records.of_mut(&pair("nas"));
    for (number, bytes) in (0..).zip([10_u64 << 30, 10 << 30, 1 << 20, 1 << 20]) {
        let run = Run {
            at_ms: NOW + number * HOUR,
            snapshot: "5ab".to_owned(),
            files: 1,
            bytes,
            added: 0,
            unread: 0,
        };
        record.succeeded(run, Vec::new(), Millis(NOW), &bounds);
    }
    record.tried(Drill::Sample, trial(NOW + 3 * HOUR, true));
    let nobody = |_: &Pair| false;
    let now = at(NOW + 3 * HOUR + 1);
    let thins = |records: &Records| {
        due(&round, &plan, records, &nobody, now).0.contains(&Job::Thin("nas".to_owned()))
    };
    assert!(!thins(&records));
    records.of_mut(&pair("nas")).accepted(now.at);
    assert!(thins(&records));
}

#[test]
fn what_leaves_the_machine_waits_while_that_costs_by_the_byte() {
    let (mut plan, records, round) = (plan(), Records::default(), Round::default());
    let place = Place::Machine { keeper: NodeId::from_bytes([1; 32]), of: NodeId::from_bytes([2; 32]) };
    plan.targets.get_mut("nas").unwrap().place = place;
    let metered = Now { metered: true, ..at(NOW) };
    let begins = |plan: &Plan, asked: &dyn Fn(&Pair) -> bool| {
        let (jobs, _) = due(&round, plan, &records, asked, metered);
        targets(&jobs).into_iter().map(|(target, _)| target.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(begins(&plan, &|_| false), ["stick"], "the disk is here");
    assert_eq!(begins(&plan, &|_| true), ["nas", "stick"], "whoever asks for it has it");
    plan.backups.get_mut("home").unwrap().on_metered = true;
    assert_eq!(begins(&plan, &|_| false), ["nas", "stick"]);
}

#[test]
fn nothing_is_tried_over_what_costs_by_the_byte() {
    let (mut plan, mut records, round) = (plan(), Records::default(), Round::default());
    plan.targets.get_mut("nas").unwrap().place =
        Place::Machine { keeper: NodeId::from_bytes([1; 32]), of: NodeId::from_bytes([2; 32]) };
    for target in ["nas", "stick"] {
        *records.of_mut(&pair(target)) = ran(NOW - 1000);
    }
    let now = Now { metered: true, ..at(NOW) };
    let (jobs, _) = due(&round, &plan, &records, &|_| false, now);
    assert!(!jobs.is_empty() && jobs.iter().all(|job| job.target() == "stick"), "{jobs:?}");
}
