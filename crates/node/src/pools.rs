//! Papers of pools, as they lie in the home of this node: a file for each pool, which is the text
//! that people hand to each other.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use freehold_api::Problem;
use freehold_disk::{make_private_dir, read_private, replace};
use freehold_pools::{PAPERS_MAX, Papers};
use freehold_wire::{Digest, Hex};
use tokio::sync::watch;

use crate::invitation::{TextError, from_long_text, to_text};
use crate::problem::{home_problem, own_problem};

/// The most pools of which there are papers.
const POOLS_MAX: usize = 16;
const POOL: &str = "FREEHOLD-POOL:";
/// The longest text: five bits to a character.
const TEXT_MAX: usize = PAPERS_MAX * 8 / 5 + 64;

/// Papers as a text that people hand to each other.
pub(crate) fn papers_text(papers: &Papers) -> String {
    to_text(POOL, &papers.to_bytes())
}

/// Reads such a text. What it holds is worth nothing before it is taken into other papers.
pub(crate) fn papers_of(text: &str) -> Result<Papers, TextError> {
    Papers::from_bytes(&from_long_text(POOL, text, TEXT_MAX)?).map_err(|_| TextError::Damaged)
}

/// The folder with the papers.
#[derive(Debug)]
pub(crate) struct Shelf {
    folder: PathBuf,
    turn: Mutex<()>,
    changes: watch::Sender<u64>,
}

impl Shelf {
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self { folder, turn: Mutex::default(), changes: watch::channel(0).0 }
    }

    /// Tells when papers have changed.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Held by whoever reads and then writes. It waits for the disk: never on a thread that must not.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, pool: &Digest) -> PathBuf {
        self.folder.join(Hex(pool.as_bytes()).to_string())
    }

    /// All of them. One that cannot be read is told of, so that nobody signs twice for want of it.
    pub(crate) fn all(&self) -> Result<Vec<Papers>, Problem> {
        let listed = match std::fs::read_dir(&self.folder) {
            Ok(listed) => listed,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(home_problem(&self.folder, &error)),
        };
        let mut names: Vec<PathBuf> = Vec::new();
        for entry in listed {
            let path = entry.map_err(|error| home_problem(&self.folder, &error))?.path();
            // What a crash left beside its place is nothing yet.
            if path.extension().is_none() {
                names.push(path);
            }
        }
        names.sort();
        names.iter().take(POOLS_MAX).map(|path| read(path)).collect()
    }

    /// Keeps the papers of a pool, durably.
    pub(crate) fn keep(&self, papers: &Papers) -> Result<(), Problem> {
        let file = self.file(&papers.draft().id());
        if !file.exists() && self.all()?.len() >= POOLS_MAX {
            return Err(Problem::refused(
                "nothing was kept",
                format!("there are papers of {POOLS_MAX} pools already"),
                Some("freehold pool leave POOL    (forgets one that this realm is not bound by)"),
            ));
        }
        let written = make_private_dir(&self.folder)
            .and_then(|()| replace(&file, papers_text(papers).as_bytes(), 0o600));
        written.map_err(|error| home_problem(&file, &error))?;
        self.changes.send_modify(|number| *number += 1);
        Ok(())
    }

    /// Keeps them no longer.
    pub(crate) fn forget(&self, pool: &Digest) -> Result<(), Problem> {
        let file = self.file(pool);
        let gone = std::fs::remove_file(&file).and_then(|()| freehold_disk::sync_dir(&self.folder));
        gone.map_err(|error| home_problem(&file, &error))
    }
}

fn read(path: &Path) -> Result<Papers, Problem> {
    let damaged = |why: &str| {
        Problem::corrupt(
            format!("the papers of a pool in {} cannot be used", path.display()),
            why,
            Some(
                "move the file away, and import what another member exports: freehold pool papers import FILE",
            ),
        )
    };
    let bytes = read_private(path).map_err(|error| own_problem(&error))?;
    let bytes = bytes.ok_or_else(|| damaged("it is not there any more"))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| damaged(&error.to_string()))?;
    papers_of(text).map_err(|error| damaged(&error.to_string()))
}
