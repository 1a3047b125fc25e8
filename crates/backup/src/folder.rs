//! A repository in a directory, as restic lays it out: `config`, `keys/`, `snapshots/`, `index/`, and packs under
//! `data/` by the first two digits of their ids. A file appears whole under its name, on the disk, or not at all: it is
//! written beside, flushed and renamed. Nothing is ever written over.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use rustic_core::{BytesList, ErrorKind, FileType, Id, ReadBackend, RusticError, RusticResult, WriteBackend};
use rustix::fs::{CWD, RenameFlags};

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
    /// Makes names of files that are under way unlike each other within this process.
    next: AtomicU64,
}

impl Folder {
    /// The directory need not exist yet.
    pub fn new(root: &Path, rights: Rights) -> Self {
        Self { root: root.to_owned(), rights, next: AtomicU64::new(0) }
    }

    fn dir(&self, kind: FileType, id: &Id) -> PathBuf {
        match kind {
            FileType::Config => self.root.clone(),
            FileType::Pack => {
                let hex = hex_of(id);
                self.root.join(kind.dirname()).join(hex.get(..2).unwrap_or_default())
            }
            _ => self.root.join(kind.dirname()),
        }
    }

    fn path(&self, kind: FileType, id: &Id) -> PathBuf {
        match kind {
            FileType::Config => self.root.join("config"),
            _ => self.dir(kind, id).join(hex_of(id)),
        }
    }

    /// Puts the whole content under its name, and on the disk.
    fn put(&self, kind: FileType, id: &Id, content: &[Bytes]) -> io::Result<()> {
        let (dir, path) = (self.dir(kind, id), self.path(kind, id));
        make_dirs(&dir)?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let under_way = dir.join(format!(".{}-{number}.tmp", std::process::id()));
        match fs::remove_file(&under_way) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&under_way)?;
        let written = content
            .iter()
            .try_for_each(|part| file.write_all(part))
            .and_then(|()| file.sync_all())
            .and_then(|()| rename_new(&under_way, &path));
        if let Err(error) = written {
            // The name is taken: by the same content, if it has the same length, since the id is its hash.
            let length: u64 = content.iter().map(|part| part.len() as u64).sum();
            let same = error.kind() == io::ErrorKind::AlreadyExists
                && kind != FileType::Config
                && fs::metadata(&path).is_ok_and(|there| there.len() == length);
            fs::remove_file(&under_way)?;
            return if same { Ok(()) } else { Err(error) };
        }
        File::open(&dir)?.sync_all()
    }

    fn names(&self, kind: FileType) -> io::Result<Vec<(Id, u32)>> {
        if kind == FileType::Config {
            return match fs::metadata(self.path(kind, &Id::default())) {
                Ok(there) => Ok(vec![(Id::default(), length_of(&there)?)]),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
                Err(error) => Err(error),
            };
        }
        let mut found = Vec::new();
        let top = self.root.join(kind.dirname());
        if kind == FileType::Pack {
            for dir in entries(&top)? {
                if dir.file_type()?.is_dir() {
                    collect(&dir.path(), &mut found)?;
                }
            }
        } else {
            collect(&top, &mut found)?;
        }
        Ok(found)
    }
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
fn collect(dir: &Path, found: &mut Vec<(Id, u32)>) -> io::Result<()> {
    for entry in entries(dir)? {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<Id>().ok()) else { continue };
        match entry.metadata() {
            Ok(there) if there.is_file() => found.push((id, length_of(&there)?)),
            // Removed since it was listed.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn length_of(there: &fs::Metadata) -> io::Result<u32> {
    u32::try_from(there.len())
        .map_err(|_| io::Error::new(io::ErrorKind::FileTooLarge, "no file of a repository has 4 GiB"))
}

fn hex_of(id: &Id) -> String {
    id.to_hex().as_str().to_owned()
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

/// Renames unless the name is taken.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // File systems of sticks and of other houses (exFAT, NFS) know no such flag.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            if to.symlink_metadata().is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(from, to)
        }
        other => other.map_err(io::Error::from),
    }
}

/// What the system said, as the engine passes it on.
fn failed(doing: &str, path: &Path, error: io::Error) -> Box<RusticError> {
    let words = format!("{doing} {} failed: {error}", path.display());
    RusticError::with_source(ErrorKind::Backend, words, error)
}

impl ReadBackend for Folder {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn list_with_size(&self, kind: FileType) -> RusticResult<Vec<(Id, u32)>> {
        self.names(kind).map_err(|error| failed("listing", &self.root.join(kind.dirname()), error))
    }

    fn read_full(&self, kind: FileType, id: &Id) -> RusticResult<Bytes> {
        let path = self.path(kind, id);
        fs::read(&path).map(Bytes::from).map_err(|error| failed("reading", &path, error))
    }

    fn read_partial(
        &self,
        kind: FileType,
        id: &Id,
        _: bool,
        offset: u32,
        length: u32,
    ) -> RusticResult<Bytes> {
        let path = self.path(kind, id);
        let read = || -> io::Result<Bytes> {
            let file = File::open(&path)?;
            // Not more than there is is set aside, whatever an index says.
            let rest = file.metadata()?.len().saturating_sub(offset.into());
            if rest < length.into() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut part = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
            file.read_exact_at(&mut part, offset.into())?;
            Ok(part.into())
        };
        read().map_err(|error| failed("reading", &path, error))
    }

    fn warmup_path(&self, kind: FileType, id: &Id) -> String {
        self.path(kind, id).display().to_string()
    }
}

impl WriteBackend for Folder {
    fn create(&self) -> RusticResult<()> {
        for kind in [FileType::Key, FileType::Snapshot, FileType::Index, FileType::Pack] {
            let dir = self.root.join(kind.dirname());
            make_dirs(&dir).map_err(|error| failed("making", &dir, error))?;
        }
        Ok(())
    }

    fn write_bytes(&self, kind: FileType, id: &Id, _cacheable: bool, content: BytesList) -> RusticResult<()> {
        self.put(kind, id, content.slice()).map_err(|error| failed("writing", &self.path(kind, id), error))
    }

    fn remove(&self, kind: FileType, id: &Id, _cacheable: bool) -> RusticResult<()> {
        let path = self.path(kind, id);
        if self.rights == Rights::Append {
            let words = format!("{} stays: whoever writes here may only add", path.display());
            return Err(RusticError::new(ErrorKind::AppendOnly, words));
        }
        fs::remove_file(&path).map_err(|error| failed("removing", &path, error))
    }
}

/// The first bytes of a file, fewer if it is shorter; `None` where it cannot be read.
pub(crate) fn head(path: &Path, length: usize) -> Option<Vec<u8>> {
    let mut start = Vec::with_capacity(length);
    File::open(path).ok()?.take(length as u64).read_to_end(&mut start).ok()?;
    Some(start)
}
