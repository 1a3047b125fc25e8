//! What a target needs besides runs: snapshots are forgotten as was chosen, and its bytes are read, a part at a time. What
//! came of it is a file of the home, by targets.

use std::collections::BTreeMap;
use std::sync::Arc;

use freehold_backup::{BackupError, Finding, Repository, Rights, Stop};
use freehold_retention::{PARTS, next_part, next_thinning};
use freehold_wire::Millis;
use serde::{Deserialize, Serialize};

use super::kept::{Plan, Records, Target};
use super::passwords;
use crate::clock;
use crate::shared::Shared;

/// So many damaged places are named.
const NAMED_MAX: usize = 10;

/// What came of the upkeep of all targets.
pub(crate) type Upkeeps = BTreeMap<String, Upkeep>;

/// What came of the upkeep of one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Upkeep {
    /// When snapshots were forgotten last, and what nobody needs was removed.
    pub(crate) thinned_ms: Option<u64>,
    /// The last time that it was tried.
    pub(crate) thinned: Option<Thinned>,
    /// When each part was found good last.
    pub(crate) parts_ms: [Option<u64>; PARTS],
    /// The last check.
    pub(crate) checked: Option<Checked>,
}

/// Snapshots were forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Thinned {
    pub(crate) at_ms: u64,
    pub(crate) forgotten: u64,
    pub(crate) why: Option<String>,
}

/// A part was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checked {
    pub(crate) at_ms: u64,
    /// `None` for all of them.
    pub(crate) part: Option<usize>,
    pub(crate) damaged: u64,
    pub(crate) named: Vec<String>,
    pub(crate) why: Option<String>,
}

impl Upkeep {
    /// When each part was found good.
    pub(crate) fn parts(&self) -> [Option<Millis>; PARTS] {
        self.parts_ms.map(|at| at.map(Millis))
    }

    /// A part was read, or all were.
    pub(crate) fn checked(&mut self, at: Millis, part: Option<usize>, found: Result<Vec<Finding>, String>) {
        let (severe, why) = match found {
            Ok(found) => (found.into_iter().filter(|found| found.severe).map(|f| f.what).collect(), None),
            Err(why) => (Vec::new(), Some(why)),
        };
        if severe.is_empty() && why.is_none() {
            let parts = self.parts_ms.iter_mut().enumerate();
            for (_, read) in parts.filter(|(number, _)| part.is_none_or(|part| part == *number)) {
                *read = Some(at.0);
            }
        }
        let damaged = severe.len() as u64;
        let named = severe.into_iter().take(NAMED_MAX).collect();
        // Damage in one part is not over because another one is good.
        let stands = self.damage().is_some() && damaged == 0 && part.is_some() && part != self.last_part();
        match self.checked.as_mut().filter(|_| stands) {
            Some(checked) => checked.at_ms = at.0,
            None => self.checked = Some(Checked { at_ms: at.0, part, damaged, named, why }),
        }
    }

    /// What was found damaged, and not good since.
    pub(crate) fn damage(&self) -> Option<&Checked> {
        self.checked.as_ref().filter(|checked| checked.damaged > 0)
    }

    fn last_part(&self) -> Option<usize> {
        self.checked.as_ref()?.part
    }

    /// Which part is to be read next, and when, if there has been something since then.
    pub(crate) fn next_check(&self, first: Millis, now: Millis) -> (usize, Millis) {
        let last = self.checked.as_ref().map(|checked| Millis(checked.at_ms));
        let next = next_part(first, &self.parts(), last, now);
        match (self.damage(), last) {
            // Damage is looked at again each day: somebody may have mended it.
            (Some(damage), Some(last)) => (damage.part.unwrap_or(next.0), last.plus(Millis::from_hours(24))),
            _ => next,
        }
    }
}

/// Since when there is something at a target whose bytes are to be read; in room where each counts, trials do it alone.
pub(crate) fn first_at(plan: &Plan, records: &Records, target: &str) -> Option<Millis> {
    plan.targets.get(target).filter(|target| !target.place.is_counted())?;
    let here = plan.pairs().filter(|(pair, _)| pair.1 == target);
    here.filter_map(|(pair, _)| records.of(&pair)?.first_ms).min().map(Millis)
}

/// When something is to be forgotten at a target, if anything is. Where this machine can only add, it forgets nothing.
pub(crate) fn thinning_at(
    plan: &Plan,
    records: &Records,
    upkeep: &Upkeep,
    target: &str,
    now: Millis,
) -> Option<Millis> {
    plan.targets.get(target).filter(|target| target.place.can_remove())?;
    let thinned = upkeep.thinned_ms.map(Millis);
    let those = plan.pairs().filter(|(pair, backup)| pair.1 == target && !backup.keep.is_everything());
    let next = |record: &super::Record| {
        let free = !record.jumps().any() && !record.came_back_otherwise();
        free.then(|| next_thinning(thinned, record.runs.last().map(|run| Millis(run.at_ms)), now)).flatten()
    };
    those.filter_map(|(pair, _)| records.of(&pair).and_then(next)).min()
}

/// Forgets what was chosen to be forgotten, of each backup that goes to the target and whose newest snapshots are nothing
/// to be alarmed about, and removes what nobody needs.
pub(super) async fn thin(shared: &Arc<Shared>, name: &str, target: Target, stop: &Stop) {
    let (backups, at) = (&shared.backups_of_files, clock::wall());
    let (plan, records) = (backups.plan(), backups.records());
    let mut those = Vec::new();
    for (pair, backup) in plan.pairs().filter(|(pair, _)| pair.1 == name) {
        let held =
            records.of(&pair).is_none_or(|record| record.jumps().any() || record.came_back_otherwise());
        if !held && !backup.keep.is_everything() {
            those.push((super::policy(&backup.keep), backup.paths.clone()));
        }
    }
    let machine = shared.name_of(shared.me());
    let work = move |repository: &Repository| {
        let mut forgotten = 0;
        for (policy, paths) in those {
            forgotten += repository.thin(&policy, &machine, &paths)?;
        }
        repository.prune().map(|()| forgotten)
    };
    let done = with(shared, target, Rights::Prune, stop, work).await;
    backups.is_pruned(name);
    let Some(done) = done.filter(|_| !stop.is_asked()) else { return };
    if let Err(why) = &done {
        tracing::warn!(target = name, why, "old snapshots were not forgotten");
    }
    backups.tend(name, |upkeep| {
        if done.is_ok() {
            upkeep.thinned_ms = Some(at.0);
        }
        let forgotten = done.as_ref().map_or(0, |forgotten| *forgotten as u64);
        upkeep.thinned = Some(Thinned { at_ms: at.0, forgotten, why: done.err() });
    });
}

/// Reads every byte of a part.
pub(super) async fn check(shared: &Arc<Shared>, name: &str, part: usize, target: Target, stop: &Stop) {
    let (backups, at) = (&shared.backups_of_files, clock::wall());
    let [number, of] = [part, PARTS].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    let work = move |repository: &Repository| repository.check_part(number, of);
    let found = with(shared, target, Rights::Append, stop, work).await;
    backups.is_checked(name);
    if let Some(found) = found.filter(|_| !stop.is_asked()) {
        backups.tend(name, |upkeep| upkeep.checked(at, Some(part), found));
    }
}

/// Does something with a repository; `None` where it is not there, as a disk in a drawer.
async fn with<T: Send + 'static>(
    shared: &Arc<Shared>,
    target: Target,
    rights: Rights,
    stop: &Stop,
    work: impl FnOnce(&Repository) -> Result<T, BackupError> + Send + 'static,
) -> Option<Result<T, String>> {
    let password = match passwords::of(shared, &target.password).await {
        Ok(password) => password,
        Err(problem) => return Some(Err(problem.to_string())),
    };
    let (stop, shared) = (stop.clone(), Arc::clone(shared));
    let work = move || work(&target.open(&shared, rights, &password, &stop)?);
    match tokio::task::spawn_blocking(work).await {
        Ok(Err(error)) if error.is_away() => None,
        Ok(done) => Some(done.map_err(|error| error.to_string())),
        Err(fault) => Some(Err(format!("a fault in the program: {fault}"))),
    }
}

#[cfg(test)]
mod tests;
