//! Files come back. A walk over the snapshot's trees makes directories and links; a few workers fill files, each blob held
//! against its hash, so that packs that were swapped are found and not only bits that fell over. What is damaged is told and
//! left out; everything else comes back. In memory are the blobs that are being written, and the engine's index.
//!
//! A file appears under its name when it is whole. A restore that was cut off goes on where it was: what is there with the
//! size and time that it had is taken as it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Component, Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::SystemTime,
};

use bytes::Bytes;
use rustic_core::{
    FileType, Id, OpenStatus, ReadBackend, TreeId,
    repofile::{BlobType, Node, SnapshotFile, Tree},
};

use crate::{BackupError, Meter, Repository, blobs::Blobs, error::engine, placing};

/// Files that are filled at the same time.
const WORKERS: usize = 4;
/// Files that wait for a worker.
const QUEUE: usize = 256;
/// So many failures are named; the others are counted.
const NAMED_MAX: usize = 100;

/// What did not come back, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Where it would have been.
    pub path: PathBuf,
    /// Why it is not.
    pub why: String,
}

/// What came back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// Files that were written.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Files that were there already as they ought to be.
    pub unchanged: u64,
    /// How many files, directories or links did not come back, or not as they were.
    pub failed: u64,
    /// The first of them.
    pub named: Vec<Failed>,
}

type Opened = rustic_core::Repository<OpenStatus>;

impl Repository {
    /// Restores a snapshot into a directory: its id, the beginning of it, or `latest`. Without `only` everything, under its
    /// whole path; with it, what is below that path, or that one file.
    pub fn restore(&self, snapshot: &str, only: Option<&Path>, to: &Path) -> Result<Restored, BackupError> {
        let open = self.opened()?;
        let found = self.found(&open, snapshot)?;
        let nowhere = |why| BackupError::Target { path: to.to_owned(), why };
        fs::create_dir_all(to).map_err(nowhere)?;
        // What is below has to be where it seems to be, even if the way to it leads over links.
        let to = to.canonicalize().map_err(nowhere)?;
        let run = Run::new(self, &open)?;
        self.meter().begin(0);
        let wanted = match only {
            None => Wanted::Below(found.tree),
            Some(path) => run.found(snapshot, found.tree, path)?,
        };
        placing::sweep(&to, SystemTime::now());
        run.everything(wanted, &to);
        // All at once is far cheaper than each file by itself.
        fs::File::open(&to).and_then(|dir| Ok(rustix::fs::syncfs(dir)?)).map_err(nowhere)?;
        Ok(run.told())
    }

    /// The snapshot that is meant.
    pub(crate) fn found(&self, open: &Opened, wanted: &str) -> Result<SnapshotFile, BackupError> {
        open.get_snapshot_from_str(wanted, |_| true).map_err(|error| {
            if self.is_one(open, wanted) {
                engine("looking for the snapshot", self.place())(error)
            } else {
                BackupError::Snapshot { wanted: wanted.to_owned() }
            }
        })
    }

    /// Whether what was asked for is clear, so that it is the backup that fails. Where nothing can be listed, it is.
    fn is_one(&self, open: &Opened, wanted: &str) -> bool {
        let Ok(ids) = self.store().list(FileType::Snapshot) else { return true };
        if wanted == "latest" {
            return !ids.is_empty() && open.get_all_snapshots().is_err();
        }
        ids.iter().filter(|id| id.to_hex().as_str().starts_with(wanted)).count() == 1
    }
}

/// What is to come back, or to be looked at.
pub(crate) enum Wanted {
    /// All that is in a directory.
    Below(TreeId),
    /// One thing.
    One(Box<Node>),
}

/// A file for a worker.
struct Job {
    path: PathBuf,
    node: Node,
}

/// What the walk keeps for the end.
#[derive(Default)]
struct Later {
    /// Directories get their times when nothing is written into them any more, the deepest first.
    dirs: Vec<(PathBuf, Node)>,
    /// Where each file with several names is first met.
    first: BTreeMap<(u64, u64), PathBuf>,
    /// Its other names: where, where the first is, and what it is.
    links: Vec<(PathBuf, PathBuf, Node)>,
}

pub(crate) struct Run<'a> {
    repository: &'a Repository,
    blobs: Blobs<&'a Repository>,
    meter: &'a Meter,
    restored: Mutex<Restored>,
    /// Those files with several names that are there as they ought to be.
    good: Mutex<BTreeSet<PathBuf>>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(repository: &'a Repository, open: &Opened) -> Result<Self, BackupError> {
        Ok(Self {
            repository,
            blobs: Blobs::of(repository, open)?,
            meter: repository.meter(),
            restored: Mutex::default(),
            good: Mutex::default(),
        })
    }

    /// What came back by now, and what did not.
    pub(crate) fn told(self) -> Restored {
        self.restored.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, path: &Path, why: String) {
        let mut restored = self.restored.lock().unwrap_or_else(PoisonError::into_inner);
        restored.failed += 1;
        if restored.named.len() < NAMED_MAX {
            restored.named.push(Failed { path: path.to_owned(), why });
        }
    }

    fn blob(&self, id: Id, kind: BlobType) -> Result<Bytes, String> {
        self.blobs.blob(id, kind)
    }

    pub(crate) fn tree(&self, id: TreeId) -> Result<Tree, String> {
        self.blobs.tree(id)
    }

    /// Follows a path down from the root of a snapshot.
    pub(crate) fn found(&self, snapshot: &str, root: TreeId, path: &Path) -> Result<Wanted, BackupError> {
        self.find(root, path).map_err(|why| match why {
            None => BackupError::NotInSnapshot { snapshot: snapshot.to_owned(), path: path.to_owned() },
            Some(why) => {
                let place = self.repository.place().to_owned();
                BackupError::Engine { doing: "looking into the backup", place, why }
            }
        })
    }

    /// Follows a path down from the root. `Err(None)` where it leads nowhere.
    fn find(&self, root: TreeId, path: &Path) -> Result<Wanted, Option<String>> {
        let mut at = Wanted::Below(root);
        for component in path.components() {
            let name = match component {
                Component::RootDir | Component::CurDir => continue,
                Component::Normal(name) => name,
                Component::ParentDir | Component::Prefix(_) => return Err(None),
            };
            let Wanted::Below(id) = at else { return Err(None) };
            let node = self.tree(id).map_err(Some)?.nodes.into_iter().find(|node| node.name() == name);
            let node = node.ok_or(None)?;
            at = match node.subtree.filter(|_| node.is_dir()) {
                Some(id) => Wanted::Below(id),
                None => Wanted::One(Box::new(node)),
            };
        }
        Ok(at)
    }

    fn everything(&self, wanted: Wanted, to: &Path) {
        let mut later = Later::default();
        let (jobs, queue) = sync_channel(QUEUE);
        let queue = Mutex::new(queue);
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| self.work(&queue));
            }
            match wanted {
                Wanted::Below(id) => self.walk(id, to, &jobs, &mut later),
                Wanted::One(node) => {
                    if let Some(path) = self.within(to, &node) {
                        self.place(path, *node, &jobs, &mut later);
                    }
                }
            }
            drop(jobs);
        });
        for (path, first, node) in later.links {
            // What cannot be had from the first is not taken away from the second.
            if !self.is_good(&first) {
                self.one(&path, &node);
            } else if let Err(error) = placing::link(&first, &path) {
                self.note(&path, error.to_string());
            }
        }
        for (path, node) in later.dirs.into_iter().rev() {
            self.dress(&path, &node);
        }
    }

    /// Where a node belongs, if its name is one: a snapshot is whatever its writer put together, and a name like
    /// `../../etc` leads nowhere.
    pub(crate) fn within(&self, dir: &Path, node: &Node) -> Option<PathBuf> {
        let name = node.name();
        let mut components = Path::new(&*name).components();
        match (components.next(), components.next()) {
            (Some(Component::Normal(one)), None) if one == &*name => Some(dir.join(one)),
            _ => {
                self.note(dir, format!("{:?} is no name of a file", name.to_string_lossy()));
                None
            }
        }
    }

    fn walk(&self, root: TreeId, to: &Path, jobs: &SyncSender<Job>, later: &mut Later) {
        let mut open = vec![(root, to.to_owned())];
        while let Some((id, dir)) = open.pop() {
            let tree = match self.tree(id) {
                Ok(tree) => tree,
                Err(why) => {
                    self.note(&dir, why);
                    continue;
                }
            };
            let mut below = Vec::new();
            for node in tree.nodes {
                let Some(path) = self.within(&dir, &node) else { continue };
                match (node.is_dir(), node.subtree) {
                    (true, Some(id)) => match placing::dir(&path) {
                        Ok(()) => {
                            below.push((id, path.clone()));
                            later.dirs.push((path, node));
                        }
                        Err(error) => self.note(&path, error.to_string()),
                    },
                    (true, None) => {
                        self.note(&path, "the backup is damaged: a directory without content".to_owned());
                    }
                    (false, _) => self.place(path, node, jobs, later),
                }
            }
            // Read in the order in which they were written, which is the order of the packs.
            open.extend(below.into_iter().rev());
        }
    }

    /// Anything but a directory.
    fn place(&self, path: PathBuf, node: Node, jobs: &SyncSender<Job>, later: &mut Later) {
        if !node.is_file() {
            match placing::special(&path, &node.node_type) {
                Ok(()) => self.dress(&path, &node),
                Err(error) => self.note(&path, error.to_string()),
            }
            return;
        }
        if node.meta.links > 1 && node.meta.inode != 0 {
            let key = (node.meta.device_id, node.meta.inode);
            if let Some(first) = later.first.get(&key) {
                later.links.push((path, first.clone(), node));
                return;
            }
            later.first.insert(key, path.clone());
        }
        self.meter.more(node.meta.size);
        // Workers end only after this sender does.
        if let Err(error) = jobs.send(Job { path, node }) {
            self.note(&error.0.path, "nobody is left to write it".to_owned());
        }
    }

    fn work(&self, queue: &Mutex<Receiver<Job>>) {
        loop {
            let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(Job { path, node }) = job else { return };
            if self.one(&path, &node) && node.meta.links > 1 {
                self.good.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
            }
        }
    }

    fn is_good(&self, path: &Path) -> bool {
        self.good.lock().unwrap_or_else(PoisonError::into_inner).contains(path)
    }

    /// Brings one file back, and answers whether it is there.
    fn one(&self, path: &Path, node: &Node) -> bool {
        if placing::is_there(path, node) {
            self.meter.count(node.meta.size);
            // Its content is; its owner and mode may have been changed by mistake.
            self.dress(path, node);
            self.restored.lock().unwrap_or_else(PoisonError::into_inner).unchanged += 1;
            return true;
        }
        self.put(path, path, node)
    }

    /// Writes one file, and answers whether it is there; if it is not, that is told of where it was.
    pub(crate) fn put(&self, to: &Path, was: &Path, node: &Node) -> bool {
        match self.fill(to, node) {
            Ok(bytes) => {
                let mut restored = self.restored.lock().unwrap_or_else(PoisonError::into_inner);
                restored.files += 1;
                restored.bytes += bytes;
                true
            }
            Err(why) => {
                self.note(was, why);
                false
            }
        }
    }

    /// Writes a file beside its name, and gives it the name when it is whole. Answers its bytes.
    fn fill(&self, path: &Path, node: &Node) -> Result<u64, String> {
        let words = |error: io::Error| error.to_string();
        if node.content.is_none() && node.meta.size > 0 {
            return Err("the backup is damaged: a file without content".to_owned());
        }
        let mut file = placing::Beside::new(path).map_err(words)?;
        let mut length = 0;
        for id in node.content.iter().flatten() {
            let bytes = self.blob(id.into_inner(), BlobType::Data)?;
            file.write(&bytes).map_err(words)?;
            self.meter.count(bytes.len() as u64);
            length += bytes.len() as u64;
        }
        for error in placing::dress(file.path(), node) {
            self.note(path, error);
        }
        file.name().map_err(words)?;
        // One that grew while it was read has more than was said at first.
        if length < node.meta.size {
            let size = node.meta.size;
            self.note(path, format!("it is there, but has {length} bytes where the backup says {size}"));
        }
        Ok(length)
    }

    fn dress(&self, path: &Path, node: &Node) {
        for error in placing::dress(path, node) {
            self.note(path, error);
        }
    }
}
