//! A backup is made: what is new is added, and a snapshot says what there was.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustic_core::{
    Excludes, FileType, Id, LocalSource, LocalSourceFilterOptions, LocalSourceSaveOptions, ReadBackend,
    ReadSource, RepairIndexOptions, SnapshotOptions,
    jiff::Zoned,
    repofile::{PackId, SnapshotFile, SnapshotSummary},
};

use crate::{
    BackupError, Repository,
    archiving::{Archive, Archived},
    error::engine,
    given::{Given, Origin},
    known::Known,
    output::{Output, Printed},
    packing,
    sealing::Sealer,
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

impl Made {
    fn of(snapshot: &Id, summary: &SnapshotSummary) -> Self {
        Self {
            snapshot: snapshot.to_hex().as_str().to_owned(),
            files: summary.total_files_processed,
            bytes: summary.total_bytes_processed,
            added: summary.data_added_packed,
            unread: 0,
            named: Vec::new(),
        }
    }
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

    pub(crate) fn walk(&self) -> Result<LocalSource, Box<rustic_core::RusticError>> {
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
        let known = self.take_up()?;
        let tally = Arc::new(Tally::default());
        let inner = source.walk().map_err(&failed)?;
        let named = source.never.iter().filter_map(|path| inode(&path.canonicalize().ok()?));
        let never = self.store().itself().into_iter().chain(named).collect();
        let stop = self.store().stop().clone();
        let roots = source.paths.clone();
        let watched = Watched { inner, roots, never, tally: Arc::clone(&tally), stop };
        let mut snapshot = SnapshotOptions::default().host(host.to_owned()).to_snapshot().map_err(&failed)?;
        for path in &source.paths {
            snapshot.paths.add(path.to_string_lossy().into_owned());
        }
        let (id, summary) = self.archived(&watched, snapshot, known, || Ok(()))?;
        let (unread, named) = tally.told();
        Ok(Made { unread, named, ..Made::of(&id, &summary) })
    }

    /// Backs up what a command prints, as one file. There is a snapshot of it only if the command ends well and has printed
    /// something.
    pub fn backup_output(&self, output: &Output, host: &str) -> Result<Made, BackupError> {
        let failed = engine("the backup", self.place());
        let known = self.take_up()?;
        let printed = Printed::new(output.clone(), self.store().stop().clone());
        let mut snapshot = SnapshotOptions::default().host(host.to_owned()).to_snapshot().map_err(&failed)?;
        snapshot.paths.add(output.file.to_string_lossy().into_owned());
        let program = output.command.first().cloned().unwrap_or_default();
        let judged = || {
            let program = program.clone();
            printed.verdict().map_err(|why| BackupError::Output { program, why })
        };
        let (id, summary) = self.archived(&printed, snapshot, known, judged)?;
        Ok(Made::of(&id, &summary))
    }

    /// Backs up what somebody has. There is a snapshot only if all of it could be listed.
    pub fn backup_given(&self, origin: Arc<dyn Origin>, host: &str) -> Result<Made, BackupError> {
        let failed = engine("the backup", self.place());
        let known = self.take_up()?;
        let mut snapshot = SnapshotOptions::default().host(host.to_owned()).to_snapshot().map_err(&failed)?;
        let roots = origin.roots();
        for path in &roots {
            snapshot.paths.add(path.to_string_lossy().into_owned());
        }
        let given = Given::new(origin, self.store().stop().clone());
        let path = roots.into_iter().next().unwrap_or_default();
        let judged = || given.verdict().map_err(|why| BackupError::Source { path: path.clone(), why });
        let (id, summary) = self.archived(&given, snapshot, known, judged)?;
        let (unread, named) = given.tally().told();
        Ok(Made { unread, named, ..Made::of(&id, &summary) })
    }

    /// Backs up a source, compared with the newest snapshot of the same machine and paths, if it is judged good once it was
    /// read. Answers the snapshot's id.
    fn archived<R>(
        &self,
        source: &R,
        mut snapshot: SnapshotFile,
        known: Known,
        judged: impl FnOnce() -> Result<(), BackupError>,
    ) -> Result<(Id, SnapshotSummary), BackupError>
    where
        R: ReadSource,
        R::Open: Send,
        R::Iter: Send,
    {
        let failed = engine("the backup", self.place());
        let open = self.opened()?;
        let all = open.get_all_snapshots().map_err(&failed)?;
        let same = |one: &&SnapshotFile| one.hostname == snapshot.hostname && one.paths == snapshot.paths;
        let before = all.iter().filter(same).max_by_key(|one| one.time.timestamp());
        snapshot.parent = before.map(|one| one.id);
        let bytes = |one: &SnapshotFile| Some(one.summary.as_ref()?.total_bytes_processed);
        let archive = Archive {
            store: &**self.store(),
            key: self.key(),
            config: open.config(),
            meter: self.meter(),
            stop: self.store().stop(),
            known,
            before: before.map(|one| (one.tree.into_inner(), bytes(one))),
        };
        let unkept = |why| BackupError::Engine { doing: "the backup", place: self.place().to_owned(), why };
        let Archived { tree, mut summary } = archive.run(source).map_err(&unkept)?;
        judged()?;
        let now = Zoned::now();
        summary.backup_start = snapshot.time.clone();
        summary.backup_duration = now.duration_since(&snapshot.time).as_secs_f64();
        summary.total_duration = summary.backup_duration;
        summary.backup_end = now;
        snapshot.tree = tree.into();
        snapshot.program_version = concat!("freehold ", env!("CARGO_PKG_VERSION")).into();
        snapshot.summary = Some(summary.clone());
        let level = open.config().zstd().map_err(&failed)?;
        let mut sealer = Sealer::new(self.key(), level).map_err(|error| unkept(error.to_string()))?;
        let id = packing::file(&**self.store(), FileType::Snapshot, &snapshot, &mut sealer);
        Ok((id.map_err(unkept)?, summary))
    }

    /// Has an index for each pack: those that a run left behind that was cut off are whole, since a pack appears under its
    /// name only when it is, and carry their own list of what is in them. So are those of another machine that is writing
    /// now: they are then in two indexes, which say the same. No index that is there is touched.
    fn take_up(&self) -> Result<Known, BackupError> {
        let failed = engine("taking up what an earlier run left", self.place());
        self.store().sweep();
        let open = self.opened()?;
        let known = Known::read(self, &open)?;
        let mut left = self.store().list_with_size(FileType::Pack).map_err(&failed)?;
        left.retain(|(id, _)| !known.packs.contains(&PackId::from(*id)));
        if left.is_empty() {
            return Ok(known);
        }
        tracing::info!(packs = left.len(), place = self.place(), "taking up packs of a run that was cut off");
        let view = View::unindexed(Arc::clone(self.store()), left);
        let unindexed = self.opened_through(Arc::new(view))?;
        unindexed.repair_index(&RepairIndexOptions::default(), false).map_err(&failed)?;
        Known::read(self, &open)
    }
}
