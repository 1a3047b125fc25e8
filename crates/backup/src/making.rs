//! A backup is made: what is new is added, and a snapshot says what there was.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustic_core::{
    BackupOptions, Excludes, FileType, LocalSource, LocalSourceFilterOptions, LocalSourceSaveOptions,
    ReadBackend, RepairIndexOptions, SnapshotOptions, repofile::IndexFile,
};

use crate::{
    BackupError, Repository,
    error::engine,
    source::{Tally, Watched, inode},
    view::View,
};

/// What is backed up.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// Absolute paths of directories and files, as [`Source::in_order`] has them.
    pub paths: Vec<PathBuf>,
    /// Patterns as in a `.gitignore` of what is left out.
    pub excludes: Vec<String>,
    /// Whether what a `.gitignore` within says is left out, inside and outside of Git's repositories.
    pub git_ignore: bool,
    /// Absolute paths of directories that are left out whatever else is said, by whichever name the walk comes to them.
    pub never: Vec<PathBuf>,
    /// Whether the walk stays on the file systems on which the paths lie.
    pub one_file_system: bool,
}

/// A file or directory that is in no snapshot, because it could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Which; `None` where the reason says it.
    pub path: Option<PathBuf>,
    /// Why.
    pub why: String,
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// The snapshot's id, in hexadecimal.
    pub snapshot: String,
    /// Files that it covers.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that the repository grew by.
    pub added: u64,
    /// How many files could not be read.
    pub unread: u64,
    /// The first of them.
    pub named: Vec<Unread>,
}

impl Source {
    /// Sorted, and without those that lie within others: the engine makes a directory twice, and finds half of it, of
    /// what comes in another order.
    pub fn in_order(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
        paths.sort();
        paths.dedup_by(|later, kept| later.starts_with(&*kept));
        paths
    }

    /// Whether it can be read as it is described.
    ///
    /// # Errors
    /// What cannot be meant: a path that is not there, or a pattern that is none.
    pub fn check(&self) -> Result<(), BackupError> {
        self.checked()?;
        self.walk().map(drop).map_err(engine("what is to be backed up", "patterns"))
    }

    /// Refuses what cannot be meant: a path that is not there would make a snapshot without it.
    fn checked(&self) -> Result<(), BackupError> {
        let refuse = |path: &Path, why: String| Err(BackupError::Source { path: path.to_owned(), why });
        if self.paths.is_empty() {
            return refuse(Path::new("nothing"), "no path is given".to_owned());
        }
        for path in &self.paths {
            if !path.is_absolute() {
                return refuse(path, "the path has to begin with /".to_owned());
            }
            if let Err(error) = path.symlink_metadata() {
                return refuse(path, error.to_string());
            }
        }
        Ok(())
    }

    fn walk(&self) -> Result<LocalSource, Box<rustic_core::RusticError>> {
        // The engine's patterns say what is taken; with `!` what is left out.
        let globs: Vec<String> = self.excludes.iter().map(|pattern| format!("!{pattern}")).collect();
        let filter = LocalSourceFilterOptions::default()
            .git_ignore(self.git_ignore)
            .no_require_git(self.git_ignore)
            .one_file_system(self.one_file_system);
        LocalSource::new(
            LocalSourceSaveOptions::default(),
            &Excludes::default().globs(globs),
            &filter,
            &self.paths,
        )
    }
}

impl Repository {
    /// Backs up. `host` is the machine's name in the snapshot; the snapshot before, of the same machine and paths, is what
    /// it is compared with. A run that was cut off has left packs which no index names: they are taken up first, so that
    /// nothing of them is written again.
    pub fn backup(&self, source: &Source, host: &str) -> Result<Made, BackupError> {
        source.checked()?;
        let source = &Source { paths: Source::in_order(source.paths.clone()), ..source.clone() };
        let failed = engine("the backup", self.place());
        self.take_up()?;
        let tally = Arc::new(Tally::default());
        let inner = source.walk().map_err(&failed)?;
        let named = source.never.iter().filter_map(|path| inode(&path.canonicalize().ok()?));
        let never = self.folder().itself().into_iter().chain(named).collect();
        let stop = self.folder().stop().clone();
        let roots = source.paths.clone();
        let watched = Watched { inner, roots, never, tally: Arc::clone(&tally), stop };
        let snapshot = SnapshotOptions::default().host(host.to_owned()).to_snapshot().map_err(&failed)?;
        let open = self.opened()?.to_indexed_ids().map_err(&failed)?;
        let made =
            open.archive(&BackupOptions::default(), &watched, snapshot, &source.paths).map_err(&failed)?;
        let (unread, named) = tally.told();
        let summary = made.summary.clone().unwrap_or_default();
        Ok(Made {
            snapshot: made.id.to_hex().as_str().to_owned(),
            files: summary.total_files_processed,
            bytes: summary.total_bytes_processed,
            added: summary.data_added_packed,
            unread,
            named,
        })
    }

    /// Has an index for each pack: those that a run left behind that was cut off are whole, since a pack appears under its
    /// name only when it is, and carry their own list of what is in them. So are those of another machine that is writing
    /// now: they are then in two indexes, which say the same. No index that is there is touched.
    fn take_up(&self) -> Result<(), BackupError> {
        let failed = engine("taking up what an earlier run left", self.place());
        self.folder().sweep();
        let packs = self.folder().list_with_size(FileType::Pack).map_err(&failed)?;
        if packs.is_empty() {
            return Ok(());
        }
        let open = self.opened()?;
        let mut left: BTreeMap<_, _> = packs.into_iter().collect();
        for index in open.stream_files::<IndexFile>().map_err(&failed)? {
            let (_, index) = index.map_err(&failed)?;
            for pack in index.packs.iter().chain(&index.packs_to_delete) {
                left.remove(&*pack.id);
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        tracing::info!(packs = left.len(), place = self.place(), "taking up packs of a run that was cut off");
        let view = View::unindexed(Arc::clone(self.folder()), left.into_iter().collect());
        let open = self.opened_through(Arc::new(view))?;
        open.repair_index(&RepairIndexOptions::default(), false).map_err(&failed)
    }
}
