//! A trial to restore: of a few files at random, or of everything, into a folder that is nothing but for that.

use std::path::Path;
use std::sync::Arc;

use freehold_api::words;
use freehold_backup::{BackupError, Repository, Rights, Stop, Tried, Whole};
use freehold_crypt::Entropy as _;
use freehold_disk::{OsEntropy, free_bytes, make_private_dir};
use freehold_retention::{Drill, DrillPlan};

use super::Pair;
use super::kept::{Target, Trial};
use super::passwords;
use super::running::said;
use crate::clock;
use crate::shared::Shared;

/// So many files that did not come back are named.
const NAMED_MAX: usize = 10;
/// So much is left free on the disk of the home, whatever is tried.
const LEFT_FREE: u64 = 1 << 30;

/// Tries it, and notes what came of it.
pub(super) async fn try_out(
    shared: &Arc<Shared>,
    (pair, id, drill): (&Pair, &str, Drill),
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
            let (stop, shared) = (stop.clone(), Arc::clone(shared));
            let work = move || {
                let repository = target.open(&shared, Rights::Append, &password, &stop);
                let tried = repository.and_then(|repository| {
                    make_empty(&scratch)?;
                    tried(&repository, drill, &snapshot, &scratch)
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
                Ok(Err(error)) if error.is_away() => None,
                Ok(tried) => Some(tried.map_err(|error| error.to_string())),
                Err(fault) => Some(Err(format!("a fault in the program: {fault}"))),
            }
        }
    };
    if let Some(tried) = tried.filter(|_| !stop.is_asked()) {
        let trial = trial(at_ms, tried);
        backups.note(pair, id, |record| record.tried(drill, trial));
    }
}

fn tried(
    repository: &Repository,
    drill: Drill,
    snapshot: &str,
    scratch: &Path,
) -> Result<Whole, BackupError> {
    match drill {
        Drill::Sample => {
            let seed = OsEntropy.bytes32().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            let tried = repository.drill(snapshot, &DrillPlan::default(), seed, scratch)?;
            Ok(Whole { tried, no_room: None })
        }
        Drill::Everything => {
            let nowhere = |why| BackupError::Target { path: scratch.to_owned(), why };
            let room = free_bytes(scratch).map_err(nowhere)?.saturating_sub(LEFT_FREE);
            repository.drill_whole(snapshot, room, scratch)
        }
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

fn trial(at_ms: u64, tried: Result<Whole, String>) -> Trial {
    let none = Trial { at_ms, ..Trial::default() };
    let Whole { tried: Tried { of, restored }, no_room } = match tried {
        Ok(tried) => tried,
        Err(why) => return Trial { why: vec![why], ..none },
    };
    let mut why: Vec<String> =
        restored.named.iter().take(NAMED_MAX).map(|failed| said(Some(&failed.path), &failed.why)).collect();
    why.extend(no_room.map(|size| format!("there is no room to try a file of {}", words::bytes(size))));
    Trial {
        good: restored.failed == 0 && no_room.is_none(),
        no_room: restored.failed == 0 && no_room.is_some(),
        files: restored.files,
        of,
        bytes: restored.bytes,
        why,
        ..none
    }
}
