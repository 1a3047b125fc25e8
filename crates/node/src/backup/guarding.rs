//! What of this machine and of its realm lies in no backup: what there is, looked at from time to time and never deeply, held
//! against what backups take in and what a person said.

mod looking;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use freehold_api::{
    BackupSpare, BackupThing, BackupThingKind, BackupUnprotected, Finding, Level, Problem, words,
};
use freehold_realm::Standing;
use freehold_retention::{Candidate, Cover, Guard, Spared, guard};
use freehold_vault::ListQuery;
use freehold_wire::BucketId;

use self::looking::Machine;
use super::Backups;
use super::kept::{Backup, Plan, Spare};
use crate::shared::Shared;
use crate::supervisor::Plane;

/// How often it is looked what there is.
const LOOK_EVERY: Duration = Duration::from_mins(5);
/// So many are named in an alarm.
const NAMED: usize = 3;
const NOT_CHANGED: &str = "nothing was changed";
const LIST: &str = "freehold backup unprotected";

/// Looks what there is, for as long as something is backed up.
pub(super) async fn run(shared: Arc<Shared>, plane: Plane) {
    let backups = &shared.backups_of_files;
    loop {
        let looked = async {
            if !backups.plan().backups.is_empty()
                && let Err(problem) = look(&shared).await
            {
                tracing::warn!(%problem, "nobody knows what is in no backup");
            }
        };
        tokio::select! {
            biased;
            () = plane.cancel().cancelled() => return,
            () = looked => {}
        }
        tokio::select! {
            biased;
            () = plane.cancel().cancelled() => return,
            () = backups.look.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

async fn look(shared: &Arc<Shared>) -> Result<(), Problem> {
    let looking = Arc::clone(shared);
    let looked = tokio::task::spawn_blocking(move || {
        let mut found = Machine::this(&looking).candidates();
        found.extend(of_the_realm(&looking));
        found.sort();
        found.dedup();
        found
    });
    let found = looked.await.map_err(|error| {
        Problem::bug("nobody knows what is in no backup", error.to_string(), None::<&str>)
    })?;
    shared.backups_of_files.state().candidates = Some(found);
    Ok(())
}

/// Buckets and databases, where it is for this machine to back them up: no machine knows what others back up.
fn of_the_realm(shared: &Shared) -> Vec<Candidate> {
    let has_some = shared.backups_of_files.plan().backups.values().any(|one| !one.kept.is_nothing());
    if !has_some && !is_alone(shared) {
        return Vec::new();
    }
    let query = ListQuery { max: 1, ..ListQuery::default() };
    // The node's own have a slash in their names, as databases do.
    let peoples = shared.vault.buckets().into_iter().filter(|(_, info)| !info.name.contains('/'));
    let holds = |id: &BucketId| shared.vault.list(id, &query).is_ok_and(|page| !page.objects.is_empty());
    let buckets = peoples.filter(|(id, _)| holds(id)).map(|(_, info)| Candidate::Bucket(info.name));
    let databases = shared.kv.get().and_then(|plane| plane.list().ok()).unwrap_or_default();
    buckets.chain(databases.into_iter().map(|one| Candidate::Database(one.name))).collect()
}

/// Whether no other machine of the realm could back anything up.
fn is_alone(shared: &Shared) -> bool {
    let view = shared.log.view();
    let nodes = view.state().nodes.iter();
    nodes.filter(|(id, node)| node.standing == Standing::Active && !shared.backends.has(**id)).count() <= 1
}

impl Backup {
    fn cover(&self) -> Cover {
        // What a command prints, and what the realm keeps, have paths that are no directories of this machine.
        let is_files = self.command.is_empty() && self.kept.is_nothing();
        Cover {
            paths: if is_files { self.paths.iter().cloned().collect() } else { BTreeSet::new() },
            one_file_system: self.one_file_system,
            realm: self.kept.everything,
            buckets: self.kept.buckets.iter().cloned().collect(),
            databases: self.kept.databases.iter().cloned().collect(),
        }
    }
}

/// Those that no backup takes in.
fn bare(plan: &Plan, candidates: &[Candidate]) -> Vec<BackupThing> {
    let covers: Vec<Cover> = plan.backups.values().map(Backup::cover).collect();
    let Spare { paths, buckets, databases } = plan.spared.clone();
    let spared = Spared { paths, buckets, databases };
    let one = |candidate: &Candidate| {
        let (but_for, accepted) = match guard(candidate, &covers, &spared) {
            Guard::Covered => return None,
            Guard::Spared => (BTreeSet::new(), true),
            Guard::Bare(within) => (within, false),
        };
        let (kind, name) = match candidate {
            Candidate::Dir { path, .. } => (BackupThingKind::Directory, path.display().to_string()),
            Candidate::Bucket(name) => (BackupThingKind::Bucket, name.clone()),
            Candidate::Database(name) => (BackupThingKind::Database, name.clone()),
        };
        let but_for = but_for.iter().map(|path| path.display().to_string()).collect();
        Some(BackupThing { kind, name, but_for, accepted })
    };
    candidates.iter().filter_map(one).collect()
}

/// All that lies in no backup, as it is now.
pub(crate) async fn unprotected(shared: &Arc<Shared>) -> Result<BackupUnprotected, Problem> {
    look(shared).await?;
    let state = shared.backups_of_files.state();
    let candidates = state.candidates.as_deref().unwrap_or_default();
    let things = bare(&state.plan, candidates);
    Ok(BackupUnprotected {
        watched: !state.plan.backups.is_empty(),
        protected: (candidates.len() - things.len()) as u64,
        things,
    })
}

/// A person says that something is meant to be in no backup, or not any more.
pub(crate) async fn spare(shared: &Arc<Shared>, wish: BackupSpare) -> Result<BackupUnprotected, Problem> {
    let there = unprotected(shared).await?;
    let backups = &shared.backups_of_files;
    let turn = backups.turn.lock().await;
    let spared = backups.plan().spared;
    if wish.paths.is_empty() && wish.buckets.is_empty() && wish.databases.is_empty() {
        let next = Some("freehold backup unprotected --accept PATH");
        return Err(Problem::invalid(NOT_CHANGED, "it was not said what", next));
    }
    let unknown = if wish.accept { unlisted(&wish, &there.things) } else { unspared(&wish, &spared) };
    if let Some(unknown) = unknown {
        let why = if wish.accept {
            format!("{unknown} is not among what lies in no backup")
        } else {
            format!("nobody has said that {unknown} is meant to be in no backup")
        };
        return Err(Problem::not_found(NOT_CHANGED, why, Some(LIST)));
    }
    backups.choose(NOT_CHANGED, |plan| {
        let BackupSpare { paths, buckets, databases, accept } = wish;
        change(&mut plan.spared.paths, paths.into_iter().map(PathBuf::from), accept);
        change(&mut plan.spared.buckets, buckets, accept);
        change(&mut plan.spared.databases, databases, accept);
    })?;
    drop(turn);
    unprotected(shared).await
}

fn change<T: Ord>(set: &mut BTreeSet<T>, with: impl IntoIterator<Item = T>, add: bool) {
    for one in with {
        if add {
            set.insert(one)
        } else {
            set.remove(&one)
        };
    }
}

/// The first that is not among these; a directory above one is meant with it.
fn unlisted(wish: &BackupSpare, there: &[BackupThing]) -> Option<String> {
    let is = |kind, name: &str| there.iter().any(|thing| thing.kind == kind && thing.name == name);
    let is_above = |path: &str| {
        let dirs = there.iter().filter(|thing| thing.kind == BackupThingKind::Directory);
        dirs.into_iter().any(|thing| Path::new(&thing.name).starts_with(path))
    };
    let paths = wish.paths.iter().filter(|path| !is_above(path)).cloned();
    let buckets = wish.buckets.iter().filter(|name| !is(BackupThingKind::Bucket, name));
    let databases = wish.databases.iter().filter(|name| !is(BackupThingKind::Database, name));
    let named = buckets.map(|name| format!("the bucket {name}"));
    paths.chain(named).chain(databases.map(|name| format!("the database {name}"))).next()
}

fn unspared(wish: &BackupSpare, spared: &Spare) -> Option<String> {
    let paths = wish.paths.iter().filter(|path| !spared.paths.contains(Path::new(path)));
    let buckets = wish.buckets.iter().filter(|name| !spared.buckets.contains(*name));
    let databases = wish.databases.iter().filter(|name| !spared.databases.contains(*name));
    paths.chain(buckets).chain(databases).next().cloned()
}

/// One alarm for all of them; of what was never looked at, and where nobody makes backups, none.
pub(super) fn finding(backups: &Backups) -> Option<Finding> {
    let state = backups.state();
    let candidates = state.candidates.as_deref().filter(|_| !state.plan.backups.is_empty())?;
    let mut things = bare(&state.plan, candidates);
    things.retain(|thing| !thing.accepted);
    let named: Vec<String> = things.iter().take(NAMED).map(told).collect();
    let more = match things.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let count = things.len() as u64;
    (count > 0).then(|| Finding {
        level: Level::Alarm,
        what: "not everything is in a backup".to_owned(),
        why: format!(
            "{} {} in none: {}{more}",
            words::count(count, "thing"),
            words::verb(count, "is", "are"),
            named.join(", ")
        ),
        next: Some(format!("{LIST}    (lists them, and --accept says that it is meant so)")),
    })
}

fn told(thing: &BackupThing) -> String {
    let kind = match thing.kind {
        BackupThingKind::Directory => "",
        BackupThingKind::Bucket => "the bucket ",
        BackupThingKind::Database => "the database ",
    };
    let but = match thing.but_for.as_slice() {
        [] => String::new(),
        parts => format!(" but for {}", parts.join(" and ")),
    };
    format!("{kind}{}{but}", thing.name)
}

/// How many there are, in the text format of Prometheus.
pub(super) fn metrics(backups: &Backups, out: &mut String) {
    let state = backups.state();
    let Some(candidates) = state.candidates.as_deref().filter(|_| !state.plan.backups.is_empty()) else {
        return;
    };
    let kinds = [BackupThingKind::Directory, BackupThingKind::Bucket, BackupThingKind::Database];
    let mut counts: BTreeMap<BackupThingKind, u64> = kinds.into_iter().map(|kind| (kind, 0)).collect();
    for thing in bare(&state.plan, candidates).iter().filter(|thing| !thing.accepted) {
        *counts.entry(thing.kind).or_default() += 1;
    }
    let name = "freehold_backup_unprotected";
    let help = "What is in no backup, without what was accepted.";
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge").unwrap_or_default();
    for (kind, count) in counts {
        writeln!(out, "{name}{{kind=\"{}\"}} {count}", kind.as_str()).unwrap_or_default();
    }
}
