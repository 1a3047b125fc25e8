//! A repository in a directory, as restic lays it out: `config`, `keys/`, `snapshots/`, `index/`, and packs under
//! `data/` by the first two digits of their ids. A file appears whole under its name, on the disk, or not at all: it is
//! written beside, flushed and renamed. Nothing is ever written over.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use freehold_wire::Millis;
use rustic_core::{BytesList, Id};
use rustix::fs::{CWD, OFlags, RenameFlags};

use crate::{FileId, FileKind, Pacing, Stop, Store, source::inode};

/// No file of a repository is greater: packs have 32 MiB at first and grow with the root of the whole.
const FILE_MAX: u64 = 512 << 20;
/// How files are named that are not whole yet: nobody else's, so that they may be taken away.
const UNDER_WAY: &str = ".freehold-";
/// What disks and file systems take at once, at most.
const DISK_BLOCK: usize = 4096;
/// For less it is not worth the way past the cache.
const LONG: usize = 256 << 10;
/// So much is written at once where it is to go slowly.
const PACED: usize = 256 << 10;
/// What is not whole after so long, no one is writing any more.
const LEFT_AFTER: Duration = Duration::from_hours(24);

/// What whoever comes may do with what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Read, and add: a machine that backs itself up.
    Append,
    /// Remove as well: whoever forgets and prunes.
    Prune,
}

/// A directory with a repository.
///
/// With [`Rights::Append`] no call of it takes anything away. That protects against whoever comes through it, as the
/// target's machine lets the writer's do; it cannot protect a directory that the writer reaches by itself.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    rights: Rights,
    stop: Stop,
    /// Device and inode of the root, once a repository was found in it.
    found: OnceLock<(u64, u64)>,
    /// Where it is noted when each snapshot was taken in.
    received: Option<PathBuf>,
    pacing: Option<Pacing>,
}

impl Folder {
    /// The directory need not exist yet.
    pub fn new(root: &Path, rights: Rights) -> Self {
        Self {
            root: root.to_owned(),
            rights,
            stop: Stop::default(),
            found: OnceLock::new(),
            received: None,
            pacing: None,
        }
    }

    /// The same, which nothing goes through any more once that is asked for.
    #[must_use]
    pub fn stopped_by(self, stop: &Stop) -> Self {
        Self { stop: stop.clone(), ..self }
    }

    /// The same, where a directory has a file for each snapshot that was taken in from elsewhere: in decimal digits the
    /// milliseconds since 1970, by the clock of this machine.
    #[must_use]
    pub fn noted_in(self, received: &Path) -> Self {
        Self { received: Some(received.to_owned()), ..self }
    }

    /// The same, into which nothing goes faster than that.
    #[must_use]
    pub fn paced(self, pacing: Option<Pacing>) -> Self {
        Self { pacing, ..self }
    }

    fn path(&self, kind: FileKind, id: &FileId) -> PathBuf {
        self.root.join(kind.path(id))
    }

    /// Puts the whole content under its name, and on the disk.
    fn put(&self, kind: FileKind, id: &FileId, content: &[Bytes]) -> io::Result<()> {
        self.stop.check()?;
        let path = self.path(kind, id);
        let dir = path.parent().unwrap_or(&self.root);
        acceptable(kind, id, content)?;
        self.still_there()?;
        make_dirs(dir)?;
        // Others write here too, and those on other machines may have this process's number.
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let under_way = dir.join(format!("{UNDER_WAY}{}.tmp", hex::encode(random)));
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&under_way)?;
        let written = content
            .iter()
            .try_for_each(|part| self.write(&mut file, part))
            .and_then(|()| file.sync_all())
            .and_then(|()| rename_new(&under_way, &path));
        if let Err(error) = written {
            // The name is taken: by the same content, if it has the same length, since the id is its hash.
            let same = error.kind() == io::ErrorKind::AlreadyExists
                && kind != FileKind::Config
                && fs::metadata(&path).is_ok_and(|there| there.len() == length_of(content));
            fs::remove_file(&under_way)?;
            return if same { Ok(()) } else { Err(error) };
        }
        File::open(dir)?.sync_all()
    }

    fn write(&self, file: &mut File, part: &[u8]) -> io::Result<()> {
        let Some(pacing) = &self.pacing else { return past_the_cache(file, part) };
        for piece in part.chunks(PACED) {
            pacing.wait(piece.len(), &self.stop)?;
            past_the_cache(file, piece)?;
        }
        Ok(())
    }

    fn still_there(&self) -> io::Result<()> {
        if self.found.get().is_none_or(|found| Store::itself(self) == Some(*found)) {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the backup is not there any more: was its disk unmounted?",
        ))
    }

    /// The directories in which files of this kind lie.
    fn dirs(&self, kind: FileKind) -> io::Result<Vec<PathBuf>> {
        let top = self.root.join(kind.dirname());
        if kind != FileKind::Pack {
            return Ok(vec![top]);
        }
        let mut dirs = Vec::new();
        for dir in entries(&top)? {
            if dir.file_type()?.is_dir() {
                dirs.push(dir.path());
            }
        }
        Ok(dirs)
    }

    fn names(&self, kind: FileKind) -> io::Result<Vec<(FileId, u64)>> {
        self.stop.check()?;
        if kind == FileKind::Config {
            return match fs::metadata(self.path(kind, &[0; 32])) {
                Ok(there) => Ok(vec![([0; 32], there.len())]),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
                Err(error) => Err(error),
            };
        }
        let mut found = Vec::new();
        for dir in self.dirs(kind)? {
            collect(&dir, &mut found)?;
        }
        Ok(found)
    }
}

/// Whether it is a file that was never finished, and nobody is at it any more.
fn is_left(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    let drawn = name.to_str().and_then(|name| name.strip_prefix(UNDER_WAY)?.strip_suffix(".tmp"));
    let written = entry.metadata().and_then(|there| there.modified());
    let age = written.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
    drawn.is_some() && age.is_some_and(|age| age >= LEFT_AFTER)
}

fn length_of(content: &[Bytes]) -> u64 {
    content.iter().map(|part| part.len() as u64).sum()
}

/// Refuses what can be no file of a repository, whoever sends it: each but the config is named by its hash, for which nobody
/// needs a key.
fn acceptable(kind: FileKind, id: &FileId, content: &[Bytes]) -> io::Result<()> {
    let refuse = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidData, why.to_owned()));
    let length = length_of(content);
    if length > FILE_MAX {
        return refuse("no file of a backup is that large");
    }
    let mut parts = BytesList::default();
    for part in content {
        parts.add(part.clone());
    }
    let named: Option<Id> = hex::encode(id).parse().ok();
    let is_its_hash = named.is_some_and(|named| named.blob_matches_reader(length, &mut parts.reader()));
    if kind != FileKind::Config && !is_its_hash {
        return refuse("its name is not the hash of what is in it");
    }
    Ok(())
}

/// The entries of a directory; none where it is not there.
fn entries(dir: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Adds each file whose name is an id. What another call is writing has another kind of name.
fn collect(dir: &Path, found: &mut Vec<(FileId, u64)>) -> io::Result<()> {
    for entry in entries(dir)? {
        let mut id = [0; 32];
        if entry.file_name().to_str().is_none_or(|name| hex::decode_to_slice(name, &mut id).is_err()) {
            continue;
        }
        match entry.metadata() {
            Ok(there) if there.is_file() => found.push((id, there.len())),
            // Removed since it was listed.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Makes the directory and what it lies in, for this user alone, each durable in the one above.
fn make_dirs(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(above) = dir.parent() {
        make_dirs(above)?;
        match fs::DirBuilder::new().mode(0o700).create(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        return File::open(above)?.sync_all();
    }
    Ok(())
}

/// Writes what is long, and lies in memory as disks like it, without the kernel's copy, which would only push out of memory
/// what others want to have there; everything else, or where the file system has no such way, as usual.
fn past_the_cache(file: &mut File, part: &[u8]) -> io::Result<()> {
    let (blocks, rest) = part.split_at(part.len() - part.len() % DISK_BLOCK);
    if blocks.len() < LONG || !part.as_ptr().addr().is_multiple_of(DISK_BLOCK) {
        return file.write_all(part);
    }
    let flags = rustix::fs::fcntl_getfl(&*file)?;
    if rustix::fs::fcntl_setfl(&*file, flags | OFlags::DIRECT).is_err() {
        return file.write_all(part);
    }
    let written = file.write(blocks);
    rustix::fs::fcntl_setfl(&*file, flags)?;
    let done = match written {
        Err(error) if !matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Interrupted) => {
            return Err(error);
        }
        written => written.unwrap_or_default(),
    };
    file.write_all(blocks.get(done..).unwrap_or_default())?;
    file.write_all(rest)
}

/// Renames unless the name is taken.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // File systems of other houses (NFS) know no such flag; those of sticks (exFAT) no second names either, and are
        // in one machine at a time.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => match fs::hard_link(from, to) {
            Ok(()) => fs::remove_file(from),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            Err(_) if to.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => fs::rename(from, to),
        },
        other => other.map_err(io::Error::from),
    }
}

impl Store for Folder {
    fn place(&self) -> String {
        self.root.display().to_string()
    }

    fn list(&self, kind: FileKind) -> io::Result<Vec<(FileId, u64)>> {
        self.names(kind)
    }

    fn read(&self, kind: FileKind, id: &FileId, part: Option<(u32, u32)>) -> io::Result<Bytes> {
        let path = self.path(kind, id);
        self.stop.check()?;
        let Some((offset, length)) = part else { return fs::read(&path).map(Bytes::from) };
        let file = File::open(&path)?;
        // Not more than there is is set aside, whatever an index says.
        let rest = file.metadata()?.len().saturating_sub(offset.into());
        if rest < length.into() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut part = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut part, offset.into())?;
        Ok(part.into())
    }

    fn add(&self, kind: FileKind, id: &FileId, content: &[Bytes]) -> io::Result<()> {
        self.put(kind, id, content)
    }

    fn remove(&self, kind: FileKind, id: &FileId) -> io::Result<()> {
        if self.rights == Rights::Append {
            let words = "it stays: whoever writes here may only add";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, words));
        }
        fs::remove_file(self.path(kind, id))
    }

    fn create(&self) -> io::Result<()> {
        let kinds = [FileKind::Key, FileKind::Snapshot, FileKind::Index, FileKind::Pack];
        kinds.into_iter().try_for_each(|kind| make_dirs(&self.root.join(kind.dirname())))
    }

    /// A disk that is unmounted leaves an empty directory.
    fn stays(&self) {
        if let Some(found) = self.itself() {
            self.found.get_or_init(|| found);
        }
    }

    fn stop(&self) -> &Stop {
        &self.stop
    }

    fn itself(&self) -> Option<(u64, u64)> {
        inode(&self.root.canonicalize().ok()?)
    }

    fn written(&self, kind: FileKind, id: &FileId) -> Option<SystemTime> {
        fs::metadata(self.path(kind, id)).and_then(|there| there.modified()).ok()
    }

    fn received(&self, snapshot: &FileId) -> Option<Millis> {
        let noted = fs::read_to_string(self.received.as_ref()?.join(hex::encode(snapshot))).ok()?;
        noted.trim().parse().ok().map(Millis)
    }

    /// What is not whole after a day nobody is writing any more.
    fn sweep(&self) {
        for kind in [FileKind::Key, FileKind::Snapshot, FileKind::Index, FileKind::Pack] {
            for dir in self.dirs(kind).unwrap_or_default() {
                for entry in entries(&dir).unwrap_or_default().into_iter().filter(is_left) {
                    if let Err(error) = fs::remove_file(entry.path()) {
                        let path = entry.path().display().to_string();
                        tracing::warn!(path, %error, "what a run that was killed has left stays");
                    }
                }
            }
        }
    }
}

/// The first bytes of a file, fewer if it is shorter; `None` where it cannot be read.
pub(crate) fn head(path: &Path, length: usize) -> Option<Vec<u8>> {
    let mut start = Vec::with_capacity(length);
    File::open(path).ok()?.take(length as u64).read_to_end(&mut start).ok()?;
    Some(start)
}
