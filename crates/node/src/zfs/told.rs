//! How backups of datasets stand, in the API's words, and what somebody has to hear of.

use freehold_api::words::span;
use freehold_api::{Finding, Level, ZfsBackup, ZfsDataset, ZfsKept, ZfsStatus, ZfsTarget};
use freehold_wire::Millis;
use freehold_zfs::{Backup, Target};

use super::{Chosen, State};
use crate::clock;
use crate::shared::Shared;

/// A machine that is off for less is no alarm, however often snapshots are taken.
const PATIENCE: Millis = Millis::from_hours(24);
const MARK_LEN: usize = 12;

/// How they stand.
pub(crate) fn status(shared: &Shared) -> ZfsStatus {
    let state = shared.datasets.state();
    let Some(chosen) = &state.chosen else {
        let why = state.unreadable.clone();
        return ZfsStatus { declaration: None, backups: Vec::new(), kept: Vec::new(), why };
    };
    told(shared, &state, chosen)
}

/// How they would stand under another declaration.
pub(crate) fn would(shared: &Shared, chosen: &Chosen) -> ZfsStatus {
    told(shared, &State::default(), chosen)
}

fn told(shared: &Shared, state: &State, chosen: &Chosen) -> ZfsStatus {
    let (me, now) = (chosen.name_of(shared.me()).unwrap_or_default(), clock::wall());
    ZfsStatus {
        declaration: Some(chosen.digest.to_string().chars().take(MARK_LEN).collect()),
        backups: chosen.declaration.of(me).map(|backup| sent(state, backup, now)).collect(),
        kept: chosen.declaration.at(me).map(|(backup, target)| kept(state, backup, target, now)).collect(),
        why: state.unreadable.clone(),
    }
}

fn sent(state: &State, backup: &Backup, now: Millis) -> ZfsBackup {
    let next = state.next.get(backup.name.as_str());
    ZfsBackup {
        name: backup.name.to_string(),
        dataset: backup.dataset.to_string(),
        children: backup.children,
        except: backup.except.iter().map(ToString::to_string).collect(),
        every_ms: backup.every.0,
        next_in_ms: next.and_then(|next| next.as_ref().ok()).map(|next| next.since(now).0),
        why: next.and_then(|next| next.as_ref().err()).cloned(),
        targets: backup.targets.iter().map(|target| at(state, backup, target, now)).collect(),
    }
}

fn at(state: &State, backup: &Backup, target: &Target, now: Millis) -> ZfsTarget {
    let pair = (backup.name.to_string(), target.name.to_string());
    let record = state.records.of(&pair).cloned().unwrap_or_default();
    let dataset = |(name, known): (String, super::kept::Dataset)| ZfsDataset {
        name,
        newest_ago_ms: known.newest_ms.map(|at| now.since(Millis(at)).0),
        why: known.why,
    };
    ZfsTarget {
        name: target.name.to_string(),
        machine: target.machine.to_string(),
        place: place(backup, target),
        running: state.running.contains_key(&pair),
        answered: state.answered.get(&pair).copied().unwrap_or_default(),
        ago_ms: record.at_ms.map(|at| now.since(Millis(at)).0),
        datasets: record.datasets.into_iter().map(dataset).collect(),
    }
}

fn place(backup: &Backup, target: &Target) -> String {
    backup.place(target, &backup.dataset).map(|place| place.to_string()).unwrap_or_default()
}

fn kept(state: &State, backup: &Backup, target: &Target, now: Millis) -> ZfsKept {
    let known = state.kept.get(&(backup.name.to_string(), target.name.to_string()));
    ZfsKept {
        backup: backup.name.to_string(),
        machine: backup.machine.to_string(),
        place: place(backup, target),
        came_ago_ms: known.and_then(|(came, _)| *came).map(|at| now.since(at).0),
        why: known.and_then(|(_, why)| why.clone()),
    }
}

fn alarm(what: String, why: String, next: &str) -> Finding {
    Finding { level: Level::Alarm, what, why, next: Some(next.to_owned()) }
}

/// How long nothing may come before somebody has to hear of it.
fn patience(backup: &Backup) -> Millis {
    Millis(backup.every.0.saturating_mul(3)).max(PATIENCE)
}

/// What a person has to hear of.
pub(crate) fn findings(shared: &Shared) -> Vec<Finding> {
    let (state, now) = (shared.datasets.state(), clock::wall());
    let mut found = Vec::new();
    if let Some(why) = &state.unreadable {
        let what = "nobody knows which datasets are backed up".to_owned();
        found.push(alarm(what, why.clone(), "freehold backup zfs apply FILE"));
    }
    let Some(chosen) = &state.chosen else { return found };
    let me = chosen.name_of(shared.me()).unwrap_or_default();
    for backup in chosen.declaration.of(me) {
        if let Some(Err(why)) = state.next.get(backup.name.as_str()) {
            let what = format!("no snapshots of {} are taken, or old ones stay", backup.dataset);
            found.push(alarm(what, why.clone(), "freehold backup zfs now"));
        }
        for target in &backup.targets {
            found.extend(of_target(&state, chosen, backup, target, now));
        }
    }
    for (backup, target) in chosen.declaration.at(me).filter(|(backup, _)| backup.machine.as_str() != me) {
        found.extend(of_kept(&state, chosen, backup, target, now));
    }
    found
}

fn of_target(state: &State, chosen: &Chosen, backup: &Backup, target: &Target, now: Millis) -> Vec<Finding> {
    let pair = (backup.name.to_string(), target.name.to_string());
    let record = state.records.of(&pair).cloned().unwrap_or_default();
    let mut found = Vec::new();
    for (name, dataset) in record.datasets.iter().filter(|(_, dataset)| !dataset.away) {
        if let Some(why) = &dataset.why {
            let what = format!("{name} is not backed up to {}", target.name);
            found.push(alarm(what, why.clone(), "set right what it says, then: freehold backup zfs now"));
        }
    }
    let last = record.done_ms.map_or(chosen.since, Millis);
    let age = now.since(last);
    if found.is_empty() && age > patience(backup) {
        let why = record.datasets.values().find_map(|dataset| dataset.why.clone());
        let because = why.map(|why| format!(": {why}")).unwrap_or_default();
        let what = format!("the datasets of {} at {} are old", backup.name, target.name);
        let why = format!("{} has not had the newest for {}{because}", target.machine, span(age.0));
        found.push(alarm(what, why, "see that both machines run, then: freehold backup zfs now"));
    }
    found
}

fn of_kept(state: &State, chosen: &Chosen, backup: &Backup, target: &Target, now: Millis) -> Option<Finding> {
    let (came, why) = state.kept.get(&(backup.name.to_string(), target.name.to_string()))?;
    let (name, machine) = (&backup.name, &backup.machine);
    if let Some(why) = why {
        let what = format!("what is kept of {machine}'s datasets ({name}) is not looked after");
        return Some(alarm(what, why.clone(), "set right what it says"));
    }
    let age = now.since(came.unwrap_or(chosen.since));
    (age > patience(backup)).then(|| {
        let what = format!("nothing of {machine}'s datasets ({name}) comes here");
        let next = format!("look on {machine}: freehold backup zfs status");
        alarm(what, format!("nothing has come for {}", span(age.0)), &next)
    })
}
