//! What is read: the engine's walk over directories, watched. The engine leaves out what it cannot read and writes that to
//! its log; here it is counted and named, since a backup without a file is one that somebody has to hear of. Directories
//! that say of themselves that they are caches (CACHEDIR.TAG, with its signature) are left out but for the tag.

use std::{
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustic_core::{LocalSource, ReadSource, ReadSourceEntry, ReadSourceOpen, RusticResult};

use crate::{Stop, error::said, folder::head, making::Unread};

/// So many unread files are named; the others are counted.
const NAMED_MAX: usize = 100;
/// How the system's own words for a path that is not there end: the engine hands its errors on as text.
const NOT_FOUND: &str = "(os error 2)";
/// <https://bford.info/cachedir/>
const CACHE_TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// What could not be read so far.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<(u64, Vec<Unread>)>);

impl Tally {
    pub(crate) fn note(&self, path: Option<&Path>, why: String) {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tally.0 += 1;
        if tally.1.len() < NAMED_MAX {
            tally.1.push(Unread { path: path.map(Path::to_owned), why });
        }
    }

    /// How many, and the first of them.
    pub(crate) fn told(&self) -> (u64, Vec<Unread>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A walk over directories, watched.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) inner: LocalSource,
    /// What was named.
    pub(crate) roots: Vec<PathBuf>,
    /// Left out whatever else is said, by whichever name: the backup itself, if it lies within what is backed up, and
    /// what the source names. Devices and inodes.
    pub(crate) never: Vec<(u64, u64)>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) stop: Stop,
}

type Inner = <LocalSource as ReadSource>::Open;

impl ReadSource for Watched {
    type Open = Opening;
    type Iter = Entries;

    fn size(&self) -> RusticResult<Option<u64>> {
        self.inner.size()
    }

    fn entries(&self) -> Entries {
        let (never, tally) = (self.never.clone(), Arc::clone(&self.tally));
        let stop = self.stop.clone();
        let roots = self.roots.clone();
        Entries { inner: self.inner.entries(), roots, never, tally, stop, within: None, cache: None }
    }
}

pub(crate) struct Entries {
    inner: <LocalSource as ReadSource>::Iter,
    roots: Vec<PathBuf>,
    never: Vec<(u64, u64)>,
    tally: Arc<Tally>,
    stop: Stop,
    /// That of them which the walk is in.
    within: Option<PathBuf>,
    /// The cache that the walk is in.
    cache: Option<PathBuf>,
}

impl Entries {
    /// Whether it only was removed between being listed and looked at: what nobody has any more is missing to nobody. Where
    /// what was named itself is gone, it was not somebody who removed a file, but a disk that was unmounted.
    fn is_gone(&self, said: &str) -> bool {
        said.contains(NOT_FOUND) && self.roots.iter().all(|root| root.symlink_metadata().is_ok())
    }

    /// Whether this one is left out. The walk comes to a directory before it comes to what is in it.
    fn left_out(&mut self, entry: &ReadSourceEntry<Inner>) -> bool {
        if self.within.as_ref().is_some_and(|within| entry.path.starts_with(within)) {
            return true;
        }
        // The walk goes through a link that was named, and would have both in the snapshot by one name.
        if entry.node.is_symlink() && self.roots.contains(&entry.path) && entry.path.is_dir() {
            return true;
        }
        if entry.node.is_dir() && inode(&entry.path).is_some_and(|found| self.never.contains(&found)) {
            self.within = Some(entry.path.clone());
            return true;
        }
        if let Some(cache) = self.cache.as_ref().filter(|cache| entry.path.starts_with(cache)) {
            return entry.path != cache.join("CACHEDIR.TAG");
        }
        self.cache = None;
        if entry.node.is_dir() && is_cache(&entry.path) {
            self.cache = Some(entry.path.clone());
        }
        false
    }
}

/// The device and inode of what lies there, by which it is known under any name.
pub(crate) fn inode(path: &Path) -> Option<(u64, u64)> {
    path.symlink_metadata().ok().map(|there| (there.dev(), there.ino()))
}

/// Whether a directory says of itself that it is a cache.
pub fn is_cache(dir: &Path) -> bool {
    let tag = dir.join("CACHEDIR.TAG");
    // Nothing but a plain file is opened: a pipe of that name would hold the backup up for good.
    tag.symlink_metadata().is_ok_and(|tag| tag.is_file())
        && head(&tag, CACHE_TAG.len()).is_some_and(|start| start == CACHE_TAG)
}

impl Iterator for Entries {
    type Item = RusticResult<ReadSourceEntry<Opening>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // What is begun comes to its end without what is left, and cannot be written: nothing is made of it.
            if self.stop.is_asked() {
                return None;
            }
            let entry = match self.inner.next()? {
                Ok(entry) => entry,
                Err(error) => {
                    let said = said(&error);
                    if !self.is_gone(&said) {
                        self.tally.note(None, said);
                    }
                    return Some(Err(error));
                }
            };
            if !self.left_out(&entry) {
                let ReadSourceEntry { path, node, open } = entry;
                let (tally, stop) = (Arc::clone(&self.tally), self.stop.clone());
                let opening = |inner| Opening { inner, path: path.clone(), tally, stop };
                let open = open.map(opening);
                return Some(Ok(ReadSourceEntry { path, node, open }));
            }
        }
    }
}

/// A file that is about to be opened.
pub(crate) struct Opening {
    inner: Inner,
    path: PathBuf,
    tally: Arc<Tally>,
    stop: Stop,
}

impl ReadSourceOpen for Opening {
    type Reader = Reading<<Inner as ReadSourceOpen>::Reader>;

    fn open(self) -> RusticResult<Self::Reader> {
        let Self { inner, path, tally, stop } = self;
        match inner.open() {
            Ok(inner) => Ok(Reading::new(inner, path, tally, stop)),
            Err(error) => {
                // One that was removed since the walk came by is missing to nobody.
                if path.symlink_metadata().is_ok() {
                    tally.note(Some(&path), said(&error));
                }
                Err(error)
            }
        }
    }
}

/// A file that is being read, wherever it comes from: what cannot be is told.
pub(crate) struct Reading<R> {
    inner: R,
    path: PathBuf,
    tally: Arc<Tally>,
    stop: Stop,
}

impl<R> Reading<R> {
    pub(crate) const fn new(inner: R, path: PathBuf, tally: Arc<Tally>, stop: Stop) -> Self {
        Self { inner, path, tally, stop }
    }
}

impl<R: Read> Read for Reading<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stop.check()?;
        let read = self.inner.read(buffer);
        if let Err(error) = read.as_ref()
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.tally.note(Some(&self.path), error.to_string());
        }
        read
    }
}
