//! What is done at a target: a run of a backup, a trial to restore from there, or upkeep. Each notes what came of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use freehold_backup::{BackupError, Made, Origin, Output, Repository, Rights, Source, Stop};
use freehold_retention::Drill;

use super::kept::{Backup, Failed, Run, Target};
use super::lodged::Lodged;
use super::{Pair, passwords, trying, upkeep};
use crate::clock;
use crate::shared::Shared;

/// So many files that could not be read are named.
const NAMED_MAX: usize = 10;
/// A dump of a database of many TB takes hours; what hangs is to be told within a day.
const PRINTS_WITHIN: Duration = Duration::from_hours(12);

/// What is to be done at a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Job {
    /// A run of a backup.
    BackUp(Pair, Backup),
    /// A trial to restore from a snapshot, of the backup with this id.
    Try(Pair, String, String, Drill),
    /// Snapshots are forgotten.
    Thin(String),
    /// A part of the bytes is read.
    Check(String, usize),
}

impl Job {
    pub(super) fn target(&self) -> &str {
        match self {
            Self::BackUp(pair, _) | Self::Try(pair, ..) => &pair.1,
            Self::Thin(target) | Self::Check(target, _) => target,
        }
    }
}

/// Does it; what is stopped is noted as if it had never begun.
pub(super) async fn run(shared: Arc<Shared>, job: Job, target: Target, stop: Stop) -> Job {
    match &job {
        Job::BackUp(pair, backup) => back_up(&shared, pair, backup, target, stop).await,
        Job::Try(pair, id, snapshot, drill) => {
            trying::try_out(&shared, (pair, id, *drill), snapshot.clone(), target, stop).await;
        }
        Job::Thin(name) => upkeep::thin(&shared, name, target, &stop).await,
        Job::Check(name, part) => upkeep::check(&shared, name, *part, target, &stop).await,
    }
    job
}

async fn back_up(shared: &Arc<Shared>, pair: &Pair, backup: &Backup, target: Target, stop: Stop) {
    let (backups, began) = (&shared.backups_of_files, clock::wall());
    let place = target.place.clone();
    let made = made(shared, pair, backup, target, stop.clone()).await;
    if made.is_ok() {
        super::letters::keep(shared, &place).await;
    }
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
                record.succeeded(run, unread, ended, &backup.bounds());
            }
            Err(failed) => record.failed(failed, ended),
        });
    }
    backups.ends(pair);
}

pub(super) fn said(path: Option<&Path>, why: &str) -> String {
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
    let what = What::of(shared, backup).await;
    let machine = shared.name_of(shared.me());
    let (shared, pair) = (Arc::clone(shared), pair.clone());
    let work = move || {
        let repository = target.open(&shared, Rights::Append, &password, &stop)?;
        shared.backups_of_files.shows(&pair, repository.meter());
        what.back_up(&repository, &machine)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(made) => made.map_err(|error| Failed { away: error.is_away(), why: error.to_string() }),
        Err(fault) => Err(format!("a fault in the program: {fault}").into()),
    }
}

/// What a run reads.
enum What {
    Files(Source),
    Printed(Output),
    Given(Arc<dyn Origin>),
}

impl What {
    async fn of(shared: &Arc<Shared>, backup: &Backup) -> Self {
        match backup.paths.as_slice() {
            _ if !backup.kept.is_nothing() => Self::Given(Arc::new(Lodged::of(shared, &backup.kept).await)),
            [file] if !backup.command.is_empty() => Self::Printed(Output {
                command: backup.command.clone(),
                file: file.clone(),
                within: PRINTS_WITHIN,
            }),
            paths => Self::Files(Source {
                paths: paths.to_vec(),
                excludes: backup.exclude.clone(),
                never: shared.backups_of_files.never(&shared.home),
                git_ignore: backup.git_ignore,
                one_file_system: backup.one_file_system,
            }),
        }
    }

    fn back_up(&self, repository: &Repository, machine: &str) -> Result<Made, BackupError> {
        match self {
            Self::Files(source) => repository.backup(source, machine),
            Self::Printed(output) => repository.backup_output(output, machine),
            Self::Given(origin) => repository.backup_given(Arc::clone(origin), machine),
        }
    }
}
