//! How backups stand, in the API's words; what is wrong with them, for whoever asks for the status; and in numbers.

use std::fmt::Write as _;

use freehold_api::words::{self, bytes, count, span};
use freehold_api::{
    BackupProgress, BackupRun, BackupStanding, BackupStatus, BackupTarget, BackupTrial, Backups, Finding,
    Level,
};
use freehold_retention::{Alarm, Due, Now, alarms, due};
use freehold_wire::Millis;

use super::kept::{Backup, Record};
use super::{Pair, State};
use crate::clock;
use crate::shared::Shared;

/// All of it.
pub(crate) fn status(shared: &Shared) -> Backups {
    let (state, now) = (shared.backups_of_files.state(), clock::wall());
    let target = |(name, target): (&String, &super::Target)| BackupTarget {
        name: name.clone(),
        place: target.place.told(),
        found: false,
    };
    Backups {
        targets: state.plan.targets.iter().map(target).collect(),
        backups: state.plan.backups.iter().map(|(name, backup)| one(&state, name, backup, now)).collect(),
    }
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
        exclude: backup.exclude.clone(),
        every_ms: backup.every_ms,
        to: backup.to.iter().map(|target| standing(state, name, target, backup, now)).collect(),
    }
}

fn standing(state: &State, name: &str, target: &str, backup: &Backup, now: Millis) -> BackupStanding {
    let pair: Pair = (name.to_owned(), target.to_owned());
    let record = state.records.of(&pair).cloned().unwrap_or_default();
    let running = state.running.get(&pair);
    let next = backup.schedule().map(|schedule| {
        let now = Now { at: now, power: super::power::now(), metered: false };
        match due(&schedule, &record.tries(), &now, backup.seed(target)) {
            Due::Now => 0,
            Due::At(at) | Due::Waits { look_again: at, .. } => at.since(now.at).0,
        }
    });
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
        tried: record.trial.as_ref().map(|trial| BackupTrial {
            ago_ms: now.since(Millis(trial.at_ms)).0,
            good: trial.good,
            files: trial.files,
            of: trial.of,
            bytes: trial.bytes,
            why: trial.why.clone(),
        }),
        ended: state.ended.get(&pair).copied().unwrap_or_default(),
        alarms: wrong(backup, &record, now).into_iter().map(|alarm| alarm_told(alarm, &record).0).collect(),
    }
}

fn wrong(backup: &Backup, record: &Record, now: Millis) -> Vec<Alarm> {
    alarms(&record.judged(Millis(backup.added_ms)), &backup.bounds(), now)
}

/// What it is, and why.
fn alarm_told(alarm: Alarm, record: &Record) -> (String, String) {
    let because = record.why.as_ref().map(|why| format!("; the last run failed: {why}")).unwrap_or_default();
    let first = |all: &[String]| all.first().map(|first| format!(": {first}")).unwrap_or_default();
    match alarm {
        Alarm::DrillFailed { at } => (
            "does not come back as it was".to_owned(),
            format!(
                "a trial to restore files {} ago failed{}",
                span(clock::wall().since(at).0),
                first(record.trial.as_ref().map_or(&[], |trial| &trial.why)),
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
    }
}

/// What a person has to hear of.
pub(crate) fn findings(shared: &Shared) -> Vec<Finding> {
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
                    Alarm::DrillFailed { .. } => {
                        format!("freehold backup check {} --read", words::typed(target))
                    }
                    _ => format!("set right what it says, then: freehold backup now {}", words::typed(name)),
                }),
            });
        }
    }
    found
}

/// In the text format of Prometheus, by the ids of backups: their names are nobody's business who reads metrics.
pub(crate) fn metrics(shared: &Shared) -> String {
    let (state, now) = (shared.backups_of_files.state(), clock::wall());
    let mut out = String::new();
    let mut gauge = |name: &str, help: &str, value: &dyn Fn(&Record, &Backup) -> Option<u64>| {
        writeln!(out, "# HELP freehold_backup_{name} {help}\n# TYPE freehold_backup_{name} gauge")
            .unwrap_or_default();
        for (pair, backup) in state.plan.pairs() {
            let place = state.plan.targets.get(&pair.1);
            let place = place.map(|target| target.password.trim_start_matches("repository-"));
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
    out
}
