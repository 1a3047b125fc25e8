//! One run of a backup to a target, and one trial to restore from there. Each notes what came of it.

use std::path::Path;
use std::sync::Arc;

use freehold_backup::{BackupError, Made, Rights, Source, Stop, Tried};
use freehold_crypt::Entropy as _;
use freehold_disk::{OsEntropy, make_private_dir};
use freehold_retention::DrillPlan;

use super::kept::{Backup, Failed, Run, Target, Trial};
use super::{Pair, passwords};
use crate::clock;
use crate::shared::Shared;

/// So many files that could not be read, or did not come back, are named.
const NAMED_MAX: usize = 10;

/// What is to be done at a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Job {
    /// A run of a backup.
    BackUp(Pair, Backup),
    /// A trial to restore from a snapshot, of the backup with this id.
    Try(Pair, String, String),
}

impl Job {
    pub(super) const fn pair(&self) -> &Pair {
        match self {
            Self::BackUp(pair, _) | Self::Try(pair, ..) => pair,
        }
    }
}

/// Does it; what is stopped is noted as if it had never begun.
pub(super) async fn run(shared: Arc<Shared>, job: Job, target: Target, stop: Stop) -> Pair {
    let pair = job.pair().clone();
    match job {
        Job::BackUp(_, backup) => back_up(&shared, &pair, &backup, target, stop).await,
        Job::Try(_, id, snapshot) => try_out(&shared, (&pair, &id), snapshot, target, stop).await,
    }
    pair
}

async fn back_up(shared: &Arc<Shared>, pair: &Pair, backup: &Backup, target: Target, stop: Stop) {
    let (backups, began) = (&shared.backups_of_files, clock::wall());
    let made = made(shared, pair, backup, target, stop.clone()).await;
    if !stop.is_asked() {
        let ended = clock::wall();
        match &made {
            Ok(made) => tracing::info!(backup = pair.0, target = pair.1, added = made.added, "backed up"),
            Err(failed) => {
                tracing::warn!(backup = pair.0, target = pair.1, why = failed.why, "a backup failed");
            }
        }
        backups.note(pair, &backup.id, |record| match made {
            Ok(made) => {
                let named = made.named.iter().take(NAMED_MAX);
                let unread = named.map(|unread| said(unread.path.as_deref(), &unread.why)).collect();
                let run = Run {
                    at_ms: began.0,
                    snapshot: made.snapshot,
                    files: made.files,
                    bytes: made.bytes,
                    added: made.added,
                    unread: made.unread,
                };
                record.succeeded(run, unread, ended);
            }
            Err(failed) => record.failed(failed, ended),
        });
    }
    backups.ends(pair);
}

pub(crate) fn said(path: Option<&Path>, why: &str) -> String {
    path.map_or_else(|| why.to_owned(), |path| format!("{}: {why}", path.display()))
}

async fn made(
    shared: &Arc<Shared>,
    pair: &Pair,
    backup: &Backup,
    target: Target,
    stop: Stop,
) -> Result<Made, Failed> {
    let password = passwords::of(shared, &target.password).await.map_err(|problem| problem.to_string())?;
    let source = Source {
        paths: backup.paths.clone(),
        excludes: backup.exclude.clone(),
        never: shared.backups_of_files.never(&shared.home),
        git_ignore: backup.git_ignore,
        one_file_system: backup.one_file_system,
    };
    let machine = shared.name_of(shared.me());
    let (shared, pair) = (Arc::clone(shared), pair.clone());
    let work = move || {
        let repository = target.place.open(Rights::Append, &password, &stop)?;
        shared.backups_of_files.shows(&pair, repository.meter());
        repository.backup(&source, &machine)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(made) => made.map_err(|error| Failed {
            away: matches!(error, BackupError::NotThere { .. }),
            why: error.to_string(),
        }),
        Err(fault) => Err(format!("a fault in the program: {fault}").into()),
    }
}

async fn try_out(
    shared: &Arc<Shared>,
    (pair, id): (&Pair, &str),
    snapshot: String,
    target: Target,
    stop: Stop,
) {
    let backups = &shared.backups_of_files;
    let at_ms = clock::wall().0;
    let tried = match passwords::of(shared, &target.password).await {
        Err(problem) => Some(Err(problem.to_string())),
        Ok(password) => {
            let scratch = backups.scratch().join(&pair.1);
            let stop = stop.clone();
            let work = move || {
                let tried = target.place.open(Rights::Append, &password, &stop).and_then(|repository| {
                    let seed =
                        OsEntropy.bytes32().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
                    make_empty(&scratch)?;
                    repository.drill(&snapshot, &DrillPlan::default(), seed, &scratch)
                });
                if let Err(error) = std::fs::remove_dir_all(&scratch)
                    && error.kind() != std::io::ErrorKind::NotFound
                {
                    tracing::warn!(%error, "what a trial to restore has brought back stays");
                }
                tried
            };
            match tokio::task::spawn_blocking(work).await {
                // A disk that is not plugged in says nothing of what is on it; that it is missed, runs tell.
                Ok(Err(BackupError::NotThere { .. })) => None,
                Ok(tried) => Some(tried.map_err(|error| error.to_string())),
                Err(fault) => Some(Err(format!("a fault in the program: {fault}"))),
            }
        }
    };
    if let Some(tried) = tried.filter(|_| !stop.is_asked()) {
        backups.note(pair, id, |record| record.tried(trial(at_ms, tried)));
    }
}

fn make_empty(scratch: &Path) -> Result<(), BackupError> {
    let failed = |why| BackupError::Target { path: scratch.to_owned(), why };
    match std::fs::remove_dir_all(scratch) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    make_private_dir(scratch).map_err(failed)
}

fn trial(at_ms: u64, tried: Result<Tried, String>) -> Trial {
    match tried {
        Ok(Tried { of, restored }) => Trial {
            at_ms,
            good: restored.failed == 0,
            files: restored.files,
            of,
            bytes: restored.bytes,
            why: restored.named.iter().take(NAMED_MAX).map(|f| said(Some(&f.path), &f.why)).collect(),
        },
        Err(why) => Trial { at_ms, good: false, files: 0, of: 0, bytes: 0, why: vec![why] },
    }
}
