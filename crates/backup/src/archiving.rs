//! A run: a walk over what is backed up, shared by a few threads. Each takes some entries from the walk, reads, cuts,
//! seals and packs the files among them that are not as they were in the snapshot before, and closes directories that are
//! whole. In memory are a piece of a file for each thread, two packs, and the directories on the way.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
};

use rustic_core::{
    Id, ReadSource, ReadSourceOpen, WriteBackend,
    repofile::{BlobType, ConfigFile, MasterKey, SnapshotSummary},
};

use crate::{
    Meter, Stop,
    cutting::Cutter,
    error::said,
    growing::Dir,
    known::Known,
    packing::{self, Added, PackError, Packer},
    sealing::Sealer,
    walking::{File, How, Step, Walk},
};

/// What a run has made.
pub(crate) struct Archived {
    pub(crate) tree: Id,
    pub(crate) summary: SnapshotSummary,
}

/// Where a run writes, and how.
pub(crate) struct Archive<'a> {
    pub(crate) store: &'a dyn WriteBackend,
    pub(crate) key: &'a MasterKey,
    pub(crate) config: &'a ConfigFile,
    pub(crate) meter: &'a Meter,
    pub(crate) stop: &'a Stop,
    pub(crate) known: Known,
    /// The tree of the snapshot before, and how many bytes that covered.
    pub(crate) before: Option<(Id, Option<u64>)>,
}

/// Why a file is in no snapshot, or nothing is.
enum Failed {
    /// It could not be read; whoever reads has said so.
    Unread,
    /// It could not be kept, and so can nothing.
    Unkept(String),
}

impl From<std::io::Error> for Failed {
    fn from(_: std::io::Error) -> Self {
        Self::Unread
    }
}

impl From<PackError> for Failed {
    fn from(error: PackError) -> Self {
        Self::Unkept(error.to_string())
    }
}

/// What the threads of a run share.
struct Shared<'a, R: ReadSource> {
    walk: Mutex<Walk<'a, R>>,
    data: Packer,
    trees: Packer,
    cutter: Cutter,
    meter: &'a Meter,
    stop: &'a Stop,
    summary: Mutex<SnapshotSummary>,
    root: OnceLock<Id>,
    failed: OnceLock<String>,
}

impl Archive<'_> {
    /// Backs up all of a source. Snapshot and summary's times are whoever calls' to write.
    pub(crate) fn run<R>(self, source: &R) -> Result<Archived, String>
    where
        R: ReadSource,
        R::Open: Send,
        R::Iter: Send,
    {
        let level = self.config.zstd().map_err(|error| said(&error))?;
        let polynom = self.config.poly().map_err(|error| said(&error))?;
        let sealer = || Sealer::new(self.key, level).map_err(|error| error.to_string());
        let sizes = (self.config.chunk_min_size(), self.config.chunk_size(), self.config.chunk_max_size());
        let (out, into) = packing::way();
        let packer = |kind, known| Packer::new(kind, known, out.clone());
        let mut known = self.known;
        let data = packer(BlobType::Data, (known.data_ids(), known.data_bytes));
        let trees = packer(BlobType::Tree, (known.tree_ids(), known.tree_bytes));
        drop(out);
        let (mut writes, mut first) = (sealer()?, sealer()?);
        let expected = self.before.and_then(|(_, bytes)| bytes);
        let before = self.before.map(|(tree, _)| tree);
        let shared = Shared {
            walk: Mutex::new(Walk::<R>::new(source.entries(), &known, self.store, before, &mut first)),
            data,
            trees,
            cutter: Cutter::new(polynom, sizes),
            meter: self.meter,
            stop: self.stop,
            summary: Mutex::new(SnapshotSummary::default()),
            root: OnceLock::new(),
            failed: OnceLock::new(),
        };
        let others = thread::available_parallelism().map_or(1, usize::from).saturating_sub(1);
        let others = (0..others).map(|_| sealer()).collect::<Result<Vec<_>, _>>()?;
        self.meter.begin(expected.unwrap_or_default());
        thread::scope(|scope| {
            if expected.is_none() {
                scope.spawn(|| match source.size() {
                    Ok(size) => self.meter.expect(size.unwrap_or_default()),
                    Err(error) => tracing::debug!(why = said(&error), "how much it will be is not known"),
                });
            }
            let writer = scope.spawn(|| packing::write(self.store, into, &mut writes));
            thread::scope(|scope| {
                let shared = &shared;
                for mut sealer in others {
                    scope.spawn(move || shared.work(&mut sealer));
                }
                shared.work(&mut first);
            });
            let ended = shared.end(&mut first);
            match writer.join() {
                Ok(written) => written?,
                Err(_) => return Err("the thread that writes has ended".to_owned()),
            }
            ended
        })
    }
}

impl<R> Shared<'_, R>
where
    R: ReadSource,
    R::Open: Send,
    R::Iter: Send,
{
    fn work(&self, sealer: &mut Sealer) {
        let (mut buffer, mut steps) = (Vec::new(), Vec::new());
        while self.failed.get().is_none() && !self.stop.is_asked() {
            let has = |id: &Id| self.data.has(id);
            {
                let mut walk = self.walk.lock().unwrap_or_else(PoisonError::into_inner);
                walk.steps(&mut steps, sealer, has);
            }
            if steps.is_empty() {
                return;
            }
            for step in steps.drain(..) {
                if let Err(why) = self.step(step, sealer, &mut buffer) {
                    self.failed.get_or_init(|| why);
                }
            }
        }
    }

    fn step(&self, step: Step<R::Open>, sealer: &mut Sealer, buffer: &mut Vec<u8>) -> Result<(), String> {
        match step {
            Step::Left(dir) => self.done(dir, sealer),
            Step::Kept(size, how) => {
                self.count(size, how);
                self.meter.count(size);
                Ok(())
            }
            Step::Read(file) => self.read(*file, sealer, buffer),
        }
    }

    fn count(&self, bytes: u64, how: How) {
        let mut summary = self.summary.lock().unwrap_or_else(PoisonError::into_inner);
        summary.total_files_processed += 1;
        summary.total_bytes_processed += bytes;
        *match how {
            How::New => &mut summary.files_new,
            How::Changed => &mut summary.files_changed,
            How::Same => &mut summary.files_unmodified,
        } += 1;
    }

    fn read(&self, file: File<R::Open>, sealer: &mut Sealer, buffer: &mut Vec<u8>) -> Result<(), String> {
        let File { dir, mut node, open, how } = file;
        let (mut content, mut bytes) = (Vec::new(), 0);
        let read = open.open().map_err(|_| Failed::Unread).and_then(|reader| {
            self.cutter.pieces(reader, buffer, |piece| -> Result<(), Failed> {
                content.push(self.data.add(piece, sealer)?.into());
                bytes += piece.len() as u64;
                self.meter.count(piece.len() as u64);
                Ok(())
            })
        });
        match read {
            Ok(()) => {
                node.content = Some(content);
                // What is in the snapshot, also of what grew meanwhile or said nothing of its size.
                node.meta.size = bytes;
                dir.take(node);
                self.count(bytes, how);
            }
            Err(Failed::Unread) => {}
            Err(Failed::Unkept(why)) => return Err(why),
        }
        self.done(dir, sealer)
    }

    /// Something in a directory is done.
    fn done(&self, dir: Arc<Dir>, sealer: &mut Sealer) -> Result<(), String> {
        let root = Dir::done(dir, |dir, tree| {
            let mut bytes = serde_json::to_vec(tree).map_err(|error| error.to_string())?;
            // As restic does.
            bytes.push(b'\n');
            let id = self.trees.add(&bytes, sealer).map_err(|error| error.to_string())?;
            let mut summary = self.summary.lock().unwrap_or_else(PoisonError::into_inner);
            summary.total_dirs_processed += 1;
            summary.total_dirsize_processed += bytes.len() as u64;
            match dir.was {
                None => summary.dirs_new += 1,
                Some(was) if was == id => summary.dirs_unmodified += 1,
                Some(_) => summary.dirs_changed += 1,
            }
            Ok::<_, String>(id)
        })?;
        if let Some(root) = root {
            self.root.get_or_init(|| root);
        }
        Ok(())
    }

    fn end(self, sealer: &mut Sealer) -> Result<Archived, String> {
        let Self { data, trees, summary, root, failed, stop, .. } = self;
        if let Some(why) = failed.into_inner() {
            return Err(why);
        }
        if stop.is_asked() {
            return Err("it was stopped".to_owned());
        }
        let data = data.end(sealer).map_err(|error| error.to_string())?;
        let trees = trees.end(sealer).map_err(|error| error.to_string())?;
        let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
        summed(&mut summary, data, trees);
        let tree = root.into_inner().ok_or("nothing was found to back up")?;
        Ok(Archived { tree, summary })
    }
}

fn summed(summary: &mut SnapshotSummary, data: Added, trees: Added) {
    summary.data_blobs = data.blobs;
    summary.tree_blobs = trees.blobs;
    summary.data_added = data.plain + trees.plain;
    summary.data_added_packed = data.packed + trees.packed;
    summary.data_added_files = data.plain;
    summary.data_added_files_packed = data.packed;
    summary.data_added_trees = trees.plain;
    summary.data_added_trees_packed = trees.packed;
}
