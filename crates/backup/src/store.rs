//! Where a repository's files lie, as the rest of this crate sees it: a file is there whole under its name, or not at
//! all. Whatever does that is a [`Store`]; the engine's own traits are made of one here, once.

use std::{
    fmt::Debug,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use bytes::Bytes;
use freehold_wire::Millis;
use rustic_core::{BytesList, ErrorKind, FileType, Id, ReadBackend, RusticError, RusticResult, WriteBackend};

/// What a file of a repository is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// The one file that says what the repository is; its id is all zeros.
    Config,
    /// What the password opens.
    Key,
    /// What there was at a time.
    Snapshot,
    /// What lies in which pack.
    Index,
    /// Content.
    Pack,
    /// Beside the repository, and nothing to restic: whoever writes here may leave something for those who come when all
    /// else is gone.
    Letter,
}

impl FileKind {
    /// The directory that files of this kind lie in, as restic calls it; the config's own name.
    pub const fn dirname(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Key => "keys",
            Self::Snapshot => "snapshots",
            Self::Index => "index",
            Self::Pack => "data",
            Self::Letter => "letters",
        }
    }

    /// Where a file lies, from the repository's root on: as restic lays it out, packs by the first two digits of their ids.
    pub fn path(self, id: &FileId) -> String {
        let (dir, hex) = (self.dirname(), hex::encode(id));
        match self {
            Self::Config => dir.to_owned(),
            Self::Pack => format!("{dir}/{}/{hex}", hex.get(..2).unwrap_or_default()),
            _ => format!("{dir}/{hex}"),
        }
    }
}

/// Its name: the SHA-256 of what is in it.
pub type FileId = [u8; 32];

/// What keeps the files of a repository. Calls block, and come from several threads at once. [`io::ErrorKind::PermissionDenied`]
/// says that whoever asks has no right to it, [`io::ErrorKind::HostUnreachable`] that nobody answers just now.
pub trait Store: Debug + Send + Sync + 'static {
    /// Where it is, in words for a person.
    fn place(&self) -> String;
    /// The files of a kind with their lengths; what another call is writing is none.
    ///
    /// # Errors
    /// What kept it from being known; nothing there is no error.
    fn list(&self, kind: FileKind) -> io::Result<Vec<(FileId, u64)>>;
    /// A file; with `part` as many bytes from an offset on, and an error if there are fewer.
    ///
    /// # Errors
    /// Why not.
    fn read(&self, kind: FileKind, id: &FileId, part: Option<(u32, u32)>) -> io::Result<Bytes>;
    /// Adds a file, whole and durable. The same once more is no error; another one under its name is.
    ///
    /// # Errors
    /// Why not; then nothing is there under the name that was not before.
    fn add(&self, kind: FileKind, id: &FileId, content: &[Bytes]) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// Why not.
    fn remove(&self, kind: FileKind, id: &FileId) -> io::Result<()>;
    /// Makes what files will lie in.
    ///
    /// # Errors
    /// Why not.
    fn create(&self) -> io::Result<()>;
    /// From now on nothing is written if another place has come to be here.
    fn stays(&self);
    /// What ends all that goes through it.
    fn stop(&self) -> &Stop;
    /// Device and inode of the directory that it is on this machine, which no backup takes in.
    fn itself(&self) -> Option<(u64, u64)> {
        None
    }
    /// When a file came to lie here, by the clock of whatever keeps it.
    fn written(&self, _kind: FileKind, _id: &FileId) -> Option<SystemTime> {
        None
    }
    /// When a snapshot was taken in, as whoever keeps it has noted for good.
    fn received(&self, _snapshot: &FileId) -> Option<Millis> {
        None
    }
    /// Takes away what runs that were killed long ago have left half written. What stays is no harm.
    fn sweep(&self) {}
}

/// Ends from another thread what is under way: after it is asked for, nothing is read or written any more, so that
/// each call ends with an error, and no snapshot is made of half of the files. Clones ask together.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks for it; there is no way back.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked for.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Refuses to go on once it was.
    ///
    /// # Errors
    /// That it was.
    pub fn check(&self) -> io::Result<()> {
        if self.is_asked() { Err(io::Error::other("it was stopped")) } else { Ok(()) }
    }
}

/// A store, as the engine takes it.
#[derive(Debug)]
pub(crate) struct Stored(Box<dyn Store>);

impl<S: Store> From<S> for Stored {
    fn from(store: S) -> Self {
        Self(Box::new(store))
    }
}

impl Stored {
    pub(crate) fn stays(&self) {
        self.0.stays();
    }

    pub(crate) fn stop(&self) -> &Stop {
        self.0.stop()
    }

    pub(crate) fn itself(&self) -> Option<(u64, u64)> {
        self.0.itself()
    }

    pub(crate) fn written(&self, kind: FileType, id: &Id) -> Option<SystemTime> {
        self.0.written(kind_of(kind), &bytes_of(id))
    }

    pub(crate) fn received(&self, snapshot: &Id) -> Option<Millis> {
        self.0.received(&bytes_of(snapshot))
    }

    pub(crate) fn sweep(&self) {
        self.0.sweep();
    }

    fn failed(&self, doing: &str, (kind, id): (FileType, Option<&Id>), error: io::Error) -> Box<RusticError> {
        let file = match (kind, id) {
            (FileType::Config, _) => "/config".to_owned(),
            (_, None) => format!("/{}", kind.dirname()),
            (_, Some(id)) => format!("/{}/{}", kind.dirname(), id.to_hex().as_str()),
        };
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied if doing == "removing" => ErrorKind::AppendOnly,
            _ => ErrorKind::Backend,
        };
        let words = format!("{doing} {}{file} failed: {error}", self.0.place());
        RusticError::with_source(kind, words, error)
    }
}

const fn kind_of(kind: FileType) -> FileKind {
    match kind {
        FileType::Config => FileKind::Config,
        FileType::Key => FileKind::Key,
        FileType::Snapshot => FileKind::Snapshot,
        FileType::Index => FileKind::Index,
        FileType::Pack => FileKind::Pack,
    }
}

fn bytes_of(id: &Id) -> FileId {
    let mut bytes = [0; 32];
    // It is as long; hexadecimal digits are what the engine shows of it.
    hex::decode_to_slice(id.to_hex().as_str(), &mut bytes).unwrap_or_default();
    bytes
}

fn id_of(bytes: &FileId) -> Option<Id> {
    hex::encode(bytes).parse().ok()
}

impl ReadBackend for Stored {
    fn location(&self) -> String {
        self.0.place()
    }

    fn list_with_size(&self, kind: FileType) -> RusticResult<Vec<(Id, u32)>> {
        let listed =
            self.0.list(kind_of(kind)).map_err(|error| self.failed("listing", (kind, None), error))?;
        let mut found = Vec::with_capacity(listed.len());
        for (id, length) in listed {
            if let (Some(id), Ok(length)) = (id_of(&id), u32::try_from(length)) {
                found.push((id, length));
            } else {
                tracing::warn!(id = hex::encode(id), "too large for a backup: left out");
            }
        }
        Ok(found)
    }

    fn read_full(&self, kind: FileType, id: &Id) -> RusticResult<Bytes> {
        let read = self.0.read(kind_of(kind), &bytes_of(id), None);
        read.map_err(|error| self.failed("reading", (kind, Some(id)), error))
    }

    fn read_partial(
        &self,
        kind: FileType,
        id: &Id,
        _: bool,
        offset: u32,
        length: u32,
    ) -> RusticResult<Bytes> {
        let read = self.0.read(kind_of(kind), &bytes_of(id), Some((offset, length)));
        read.map_err(|error| self.failed("reading", (kind, Some(id)), error))
    }

    fn warmup_path(&self, kind: FileType, id: &Id) -> String {
        format!("{}/{}/{}", self.0.place(), kind.dirname(), id.to_hex().as_str())
    }
}

impl WriteBackend for Stored {
    fn create(&self) -> RusticResult<()> {
        self.0.create().map_err(|error| self.failed("making", (FileType::Config, None), error))
    }

    fn write_bytes(&self, kind: FileType, id: &Id, _cacheable: bool, content: BytesList) -> RusticResult<()> {
        let added = self.0.add(kind_of(kind), &bytes_of(id), content.slice());
        added.map_err(|error| self.failed("writing", (kind, Some(id)), error))
    }

    fn remove(&self, kind: FileType, id: &Id, _cacheable: bool) -> RusticResult<()> {
        let removed = self.0.remove(kind_of(kind), &bytes_of(id));
        removed.map_err(|error| self.failed("removing", (kind, Some(id)), error))
    }
}
