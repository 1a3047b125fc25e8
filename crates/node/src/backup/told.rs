//! How backups stand, in the API's words; what is wrong with them, for whoever asks for the status; and in numbers.

use std::fmt::Write as _;

use freehold_api::words::{self, bytes, count, span};
use freehold_api::{
    BackupChecked, BackupKept, BackupProgress, BackupRun, BackupStanding, BackupStatus, BackupTarget,
    BackupThinned, BackupTrial, BackupUpkeep, Backups, Finding, Level,
};
use freehold_retention::{Alarm, DrillPlan, Due, Now, PARTS, Waiting, alarms, due, unread};
use freehold_wire::Millis;

use super::kept::{Backup, Record, Trial};
use super::upkeep::{Upkeep, first_at, thinning_at};
use super::{Pair, State};
use crate::clock;
use crate::shared::Shared;

/// All of it.
pub(crate) fn status(shared: &Shared) -> Backups {
    let kept = kept(shared);
    let (state, now) = (shared.backups_of_files.state(), clock::wall());
    let target = |(name, target): (&String, &super::Target)| BackupTarget {
        name: name.clone(),
        place: target.place.told(shared),
        pace: target.pace,
        found: false,
        upkeep: upkeep(&state, name, now),
    };
    Backups {
        targets: state.plan.targets.iter().map(target).collect(),
        backups: state.plan.backups.iter().map(|(name, backup)| one(&state, name, backup, now)).collect(),
        kept,
    }
}

/// What other machines back up to this one. Waits for the disk.
fn kept(shared: &Shared) -> Vec<BackupKept> {
    let (shelves, now) = (&shared.backups_of_files.shelves, clock::wall());
    let one = |of| {
        let dir = shelves.dir_of(of);
        let snapshots = std::fs::read_dir(freehold_lent::repository(&dir).join("snapshots"));
        let snapshots: Vec<_> = snapshots.into_iter().flatten().flatten().collect();
        let came = snapshots.iter().filter_map(|entry| {
            let noted =
                std::fs::read_to_string(freehold_lent::received(&dir).join(entry.file_name())).ok()?;
            noted.trim().parse().ok().map(Millis)
        });
        let ago_ms = came.max().map(|at| now.since(at).0);
        BackupKept { machine: shared.name_of(of), snapshots: snapshots.len() as u64, ago_ms }
    };
    shelves.whose().into_iter().map(one).collect()
}

/// One of them.
pub(crate) fn of(shared: &Shared, name: &str) -> Option<BackupStatus> {
    let state = shared.backups_of_files.state();
    Some(one(&state, name, state.plan.backups.get(name)?, clock::wall()))
}

fn one(state: &State, name: &str, backup: &Backup, now: Millis) -> BackupStatus {
    BackupStatus {
        id: backup.id.clone(),
        name: name.to_owned(),
        paths: backup.paths.iter().map(|path| path.display().to_string()).collect(),
        command: backup.command.clone(),
        exclude: backup.exclude.clone(),
        every_ms: backup.every_ms,
        on_metered: backup.on_metered,
        keep: backup.keep,
        to: backup.to.iter().map(|target| standing(state, name, target, backup, now)).collect(),
    }
}

fn standing(state: &State, name: &str, target: &str, backup: &Backup, now: Millis) -> BackupStanding {
    let pair: Pair = (name.to_owned(), target.to_owned());
    let record = state.records.of(&pair).cloned().unwrap_or_default();
    let running = state.running.get(&pair);
    let now_here = Now { at: now, power: super::power::now(), metered: state.metered };
    let schedule = backup.schedule(state.plan.leaves(target));
    let due = schedule.map(|schedule| due(&schedule, &record.tries(), &now_here, backup.seed(target)));
    let (next, waits_for) = match due {
        Some(Due::Now) => (Some(0), None),
        Some(Due::At(at)) => (Some(at.since(now).0), None),
        Some(Due::Waits { waiting, .. }) => (None, Some(waiting_for(waiting))),
        None => (None, None),
    };
    let trial = |trial: &Trial| BackupTrial {
        ago_ms: now.since(Millis(trial.at_ms)).0,
        good: trial.good,
        files: trial.files,
        of: trial.of,
        bytes: trial.bytes,
        why: trial.why.clone(),
    };
    let whole_at = record
        .first_ms
        .map(|first| Millis(record.whole_ms.unwrap_or(first)).plus(DrillPlan::default().everything_every));
    BackupStanding {
        target: target.to_owned(),
        running: running.map(|meter| BackupProgress { done: meter.done(), total: meter.total() }),
        last: record.runs.last().map(|run| BackupRun {
            ago_ms: now.since(Millis(run.at_ms)).0,
            snapshot: run.snapshot.clone(),
            files: run.files,
            bytes: run.bytes,
            added: run.added,
            unread: run.unread,
            named: record.unread.clone(),
        }),
        failed: record.failed,
        why: record.why.clone(),
        next_in_ms: next.filter(|_| running.is_none()),
        tried: record.trial.as_ref().map(trial),
        tried_whole: record.whole.as_ref().map(trial),
        next_whole_in_ms: whole_at.map(|at| at.since(now).0),
        waits_for: waits_for.map(str::to_owned),
        held: record.jumps().any(),
        ended: state.ended.get(&pair).copied().unwrap_or_default(),
        alarms: wrong(backup, &record, now).into_iter().map(|alarm| alarm_told(alarm, &record).0).collect(),
    }
}

const fn waiting_for(waiting: Waiting) -> &'static str {
    match waiting {
        Waiting::Power => "the mains, or a fuller battery",
        Waiting::Network => "a network that costs nothing by the byte",
    }
}

fn upkeep(state: &State, name: &str, now: Millis) -> BackupUpkeep {
    let none = Upkeep::default();
    let upkeep = state.upkeeps.get(name).unwrap_or(&none);
    let first = first_at(&state.plan, &state.records, name);
    let all = upkeep.parts_ms.iter().copied().min().flatten();
    let part = |part: Option<usize>| part.map_or(0, |part| u32::try_from(part).unwrap_or_default() + 1);
    BackupUpkeep {
        thinned: upkeep.thinned.as_ref().map(|thinned| BackupThinned {
            ago_ms: now.since(Millis(thinned.at_ms)).0,
            forgotten: thinned.forgotten,
            why: thinned.why.clone(),
        }),
        next_thinning_in_ms: thinning_at(&state.plan, &state.records, upkeep, name, now)
            .map(|at| at.since(now).0),
        checked: upkeep.checked.as_ref().map(|checked| BackupChecked {
            ago_ms: now.since(Millis(checked.at_ms)).0,
            part: part(checked.part),
            of: u32::try_from(PARTS).unwrap_or_default(),
            damaged: checked.damaged,
            named: checked.named.clone(),
            why: checked.why.clone(),
        }),
        all_checked_ms: all.map(|at| now.since(Millis(at)).0),
        next_check_in_ms: first.map(|first| upkeep.next_check(first, now).1.since(now).0),
    }
}

fn wrong(backup: &Backup, record: &Record, now: Millis) -> Vec<Alarm> {
    alarms(&record.judged(Millis(backup.added_ms)), &backup.bounds(), now)
}

/// What it is, and why.
fn alarm_told(alarm: Alarm, record: &Record) -> (String, String) {
    let because = record.why.as_ref().map(|why| format!("; the last run failed: {why}")).unwrap_or_default();
    match alarm {
        Alarm::DrillFailed { at } => (
            "does not come back as it was".to_owned(),
            format!(
                "a trial to restore files {} ago failed{}",
                span(clock::wall().since(at).0),
                first(record.bad_trial().map_or(&[], |trial| &trial.why)),
            ),
        ),
        Alarm::None { since } => {
            ("was never made".to_owned(), format!("none has succeeded in {}{because}", span(since.0)))
        }
        Alarm::Old { age } => {
            ("is old".to_owned(), format!("the last one began {} ago{because}", span(age.0)))
        }
        Alarm::Failing { times } => {
            ("fails".to_owned(), format!("{} in a row failed{because}", count(times.into(), "run")))
        }
        Alarm::Fell { usual, now } => (
            "covers far less than usual".to_owned(),
            format!("{} instead of {}: somebody may have deleted files", bytes(now), bytes(usual)),
        ),
        Alarm::Rose { usual, now } => (
            "has far more that is new than usual".to_owned(),
            format!("{} instead of {}: somebody may have encrypted files", bytes(now), bytes(usual)),
        ),
        Alarm::Unread { files } => (
            "is not whole".to_owned(),
            format!("{} could not be read{}", count(files, "file"), first(&record.unread)),
        ),
        Alarm::Untested { since } => (
            "is not tested".to_owned(),
            format!("nothing was restored from it on trial for {}", span(since.0)),
        ),
        Alarm::NeverWhole { since } => (
            "is not tested as a whole".to_owned(),
            format!(
                "not all of it was restored on trial for {}{}",
                span(since.0),
                first(record.whole.as_ref().map_or(&[], |trial| &trial.why)),
            ),
        ),
    }
}

/// What a person has to hear of.
pub(crate) fn findings(shared: &Shared) -> Vec<Finding> {
    let mut found = of_backups(shared);
    found.extend(super::guarding::finding(&shared.backups_of_files));
    found
}

fn of_backups(shared: &Shared) -> Vec<Finding> {
    let (state, now) = (shared.backups_of_files.state(), clock::wall());
    let mut found = Vec::new();
    for (pair, backup) in state.plan.pairs() {
        let record = state.records.of(&pair).cloned().unwrap_or_default();
        for alarm in wrong(backup, &record, now) {
            let (what, why) = alarm_told(alarm, &record);
            let (name, target) = &pair;
            found.push(Finding {
                level: Level::Alarm,
                what: format!("the backup {name} on {target} {what}"),
                why,
                next: Some(match alarm {
                    Alarm::Fell { .. } | Alarm::Rose { .. } => {
                        format!("if it is meant so: freehold backup accept {}", words::typed(name))
                    }
                    Alarm::DrillFailed { .. } => {
                        format!("freehold backup check {} --read", words::typed(target))
                    }
                    _ => format!("set right what it says, then: freehold backup now {}", words::typed(name)),
                }),
            });
        }
    }
    for (target, upkeep) in &state.upkeeps {
        found.extend(upkeep.damage().map(|damage| Finding {
            level: Level::Alarm,
            what: format!("the backups on {target} are damaged"),
            why: format!(
                "{} found {} ago{}",
                count(damage.damaged, "damaged place"),
                span(now.since(Millis(damage.at_ms)).0),
                first(&damage.named)
            ),
            next: Some(format!("freehold backup check {} --read", words::typed(target))),
        }));
    }
    for target in state.plan.targets.keys() {
        let Some(at) = first_at(&state.plan, &state.records, target) else { continue };
        let none = Upkeep::default();
        let upkeep = state.upkeeps.get(target).unwrap_or(&none);
        found.extend(unread(at, &upkeep.parts(), now).map(|since| Finding {
            level: Level::Alarm,
            what: format!("the backups on {target} were not checked"),
            why: format!(
                    "some of their bytes were not read for {}{}",
                    span(since.0),
                    first(
                        upkeep
                            .checked
                            .iter()
                            .filter_map(|checked| checked.why.clone())
                            .collect::<Vec<_>>()
                            .as_slice()
                    ),
                ),
            next: Some(format!("freehold backup check {} --read", words::typed(target))),
        }));
    }
    found
}

/// The first of several reasons, to be said behind something.
fn first(all: &[String]) -> String {
    all.first().map(|first| format!(": {first}")).unwrap_or_default()
}

/// In the text format of Prometheus, by the ids of backups: their names are nobody's business who reads metrics.
pub(crate) fn metrics(shared: &Shared) -> String {
    let (state, now) = (shared.backups_of_files.state(), clock::wall());
    let mut out = String::new();
    let mut gauge = |name: &str, help: &str, value: &dyn Fn(&Record, &Backup) -> Option<u64>| {
        writeln!(out, "# HELP freehold_backup_{name} {help}\n# TYPE freehold_backup_{name} gauge")
            .unwrap_or_default();
        for (pair, backup) in state.plan.pairs() {
            let place = state.plan.targets.get(&pair.1).map(place_of);
            let record = state.records.of(&pair).cloned().unwrap_or_default();
            if let (Some(value), Some(place)) = (value(&record, backup), place) {
                let id = &backup.id;
                writeln!(out, "freehold_backup_{name}{{backup=\"{id}\",target=\"{place}\"}} {value}")
                    .unwrap_or_default();
            }
        }
    };
    let ago = |at: u64| now.since(Millis(at)).0 / 1000;
    let age = "Time since the last backup that succeeded began; since it was set up, if none has.";
    gauge("age_seconds", age, &|record, backup| {
        Some(ago(record.runs.last().map_or(backup.added_ms, |run| run.at_ms)))
    });
    gauge("failed", "Runs that have failed since one succeeded.", &|record, _| Some(record.failed.into()));
    gauge("bytes", "Bytes of the files in the last backup.", &|record, _| Some(record.runs.last()?.bytes));
    gauge("added_bytes", "Bytes that were new in it.", &|record, _| Some(record.runs.last()?.added));
    gauge("unread", "Files that it could not read.", &|record, _| Some(record.runs.last()?.unread));
    gauge("tested_age_seconds", "Time since files were last restored on trial.", &|record, _| {
        record.tested_ms.map(ago)
    });
    gauge("tested_good", "Whether the last trial brought all back.", &|record, _| {
        record.trial.as_ref().map(|trial| trial.good.into())
    });
    gauge("tested_whole_age_seconds", "Time since everything was last restored on trial.", &|record, _| {
        record.whole_ms.map(ago)
    });
    gauge("held", "Whether an alarm about its size stands until somebody accepts it.", &|record, _| {
        Some(record.jumps().any().into())
    });
    of_targets(&state, now, &mut out);
    drop(state);
    super::guarding::metrics(&shared.backups_of_files, &mut out);
    out
}

fn of_targets(state: &State, now: Millis, out: &mut String) {
    let ago = |at: u64| now.since(Millis(at)).0 / 1000;
    let mut gauge = |name: &str, help: &str, value: &dyn Fn(&Upkeep) -> Option<u64>| {
        writeln!(
            out,
            "# HELP freehold_backup_target_{name} {help}\n# TYPE freehold_backup_target_{name} gauge"
        )
        .unwrap_or_default();
        for (target, upkeep) in &state.upkeeps {
            let place = state.plan.targets.get(target).map(place_of);
            if let (Some(place), Some(value)) = (place, value(upkeep)) {
                writeln!(out, "freehold_backup_target_{name}{{target=\"{place}\"}} {value}")
                    .unwrap_or_default();
            }
        }
    };
    gauge("thinned_age_seconds", "Time since old snapshots were forgotten by themselves.", &|upkeep| {
        upkeep.thinned_ms.map(ago)
    });
    gauge("checked_age_seconds", "Time within which every byte was read and found good.", &|upkeep| {
        upkeep.parts_ms.iter().copied().min().flatten().map(ago)
    });
    gauge("damaged", "Places that the last check found damaged.", &|upkeep| {
        upkeep.checked.as_ref().map(|checked| checked.damaged)
    });
}

/// What stands for a target: its name is nobody's business who reads metrics.
fn place_of(target: &super::Target) -> &str {
    target.password.trim_start_matches("repository-")
}
