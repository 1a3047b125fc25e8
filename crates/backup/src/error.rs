//! What goes wrong, in words for a person: what failed, why, what to do next.

use std::path::PathBuf;

use rustic_core::RusticError;
use thiserror::Error;

/// Why a backup, or something with one, failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BackupError {
    /// There is no repository.
    #[error("there is no backup at {place}: check the path, and that the disk is plugged in and mounted")]
    NotThere {
        /// Where it was looked for.
        place: String,
    },
    /// There is one already.
    #[error("there is a backup at {place} already: use it, or name an empty directory")]
    Exists {
        /// Where.
        place: String,
    },
    /// The password does not open it.
    #[error(
        "the password does not open the backup at {place}: it belongs to another one, or has a typing error"
    )]
    Password {
        /// Where.
        place: String,
    },
    /// No such snapshot, or several.
    #[error(
        "no snapshot, or more than one, is meant by {wanted:?}: the list of snapshots has their ids, and `latest` works"
    )]
    Snapshot {
        /// What was asked for.
        wanted: String,
    },
    /// Nothing of this path in the snapshot.
    #[error("the snapshot {snapshot} has nothing at {path}: look what it covers, paths in it are absolute")]
    NotInSnapshot {
        /// The snapshot.
        snapshot: String,
        /// What was asked for.
        path: PathBuf,
    },
    /// Indexes say what is not so: pruning by them could take away what is needed.
    #[error(
        "nothing is pruned at {place}: an index that somebody added is false about {count} packs ({named}). Everything \
         can still be restored: see which machine wrote them, take its right to add away, remove those that are no \
         backup's, and have restic's `repair index` read all packs anew"
    )]
    FalseIndex {
        /// Where.
        place: String,
        /// How many packs.
        count: usize,
        /// The first of them.
        named: String,
    },
    /// A path that is to be backed up cannot be.
    #[error("{path} is not backed up: {why}")]
    Source {
        /// The path.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A command whose output is to be backed up has not ended well: there is no snapshot of what it printed.
    #[error("the output of {program} is not backed up: {why}")]
    Output {
        /// The program, without its arguments: there may be secrets among them.
        program: String,
        /// What came of it.
        why: String,
    },
    /// The place that files are to come back to cannot be used.
    #[error("nothing comes back to {path}: {why}")]
    Target {
        /// The place.
        path: PathBuf,
        /// Why not.
        why: std::io::Error,
    },
    /// Nobody answers where it is kept. That says nothing of what is kept there.
    #[error("{place} is away: {why}")]
    Away {
        /// Where.
        place: String,
        /// Why it is thought so.
        why: String,
    },
    /// The repository does not do what was asked, or is damaged.
    #[error("{doing} failed at {place}: {why}")]
    Engine {
        /// What was going on.
        doing: &'static str,
        /// Where.
        place: String,
        /// The engine's words, or the system's.
        why: String,
    },
}

impl BackupError {
    /// Whether the place is not there just now: a disk that is not plugged in, a machine that is off. What lies there is
    /// not touched by that.
    pub const fn is_away(&self) -> bool {
        matches!(self, Self::NotThere { .. } | Self::Away { .. })
    }
}

/// Why nobody answered, if that is what is behind it.
fn unanswered(error: &RusticError) -> Option<String> {
    let mut at: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = at {
        match error.downcast_ref::<std::io::Error>() {
            Some(found) if found.kind() == std::io::ErrorKind::HostUnreachable => {
                return Some(found.to_string());
            }
            _ => at = error.source(),
        }
    }
    None
}

/// Words for what the engine said, on one line.
pub(crate) fn said(error: &RusticError) -> String {
    error.display_log().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Says where and during what the engine failed.
pub(crate) fn engine(doing: &'static str, place: &str) -> impl Fn(Box<RusticError>) -> BackupError + use<> {
    let place = place.to_owned();
    move |error| {
        let place = place.clone();
        match unanswered(&error) {
            Some(why) => BackupError::Away { place, why },
            None => BackupError::Engine { doing, place, why: said(&error) },
        }
    }
}
