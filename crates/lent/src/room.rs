//! One grant's room on this machine's disk. Everything here waits for the disk: call it where that is allowed.

use std::collections::BTreeMap;
use std::fs::{DirEntry, File, OpenOptions};
use std::io::{Error, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use freehold_disk::{make_private_dir, replace, sync_dir};
use freehold_passes::storage::{Meter, Refusal, Sent};
use freehold_passes::{LISTED_MAX, Object};
use freehold_wire::{BlobName, Hex, Millis, NodeId, from_canonical, to_canonical};

use crate::parts::Parts;
use crate::shelf::{Ledger, Shelf, shelves};

/// What lies there.
const OBJECTS: &str = "objects";
/// Backups, by the machine that makes them.
const SHELVES: &str = "shelves";
/// What is on its way in.
const COMING: &str = "coming";
/// What was sent this month.
const SENT: &str = "sent";
/// No object is called so.
const NONE: BlobName = BlobName::from_bytes([0; 32]);
/// The longest note of what was sent.
const SENT_MAX: usize = 64;

/// Something was not done.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// The grant does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk failed.
    #[error("{path}")]
    Disk {
        /// What was read or written.
        path: PathBuf,
        /// What the system said.
        source: Error,
    },
}

/// What was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One grant's room.
#[derive(Debug)]
pub struct Room {
    dir: PathBuf,
    inside: Mutex<Inside>,
    /// Objects that came whole: each has a file of its own on its way, even if another of its name comes at once.
    came: AtomicU64,
    shelves: Mutex<BTreeMap<NodeId, Arc<Shelf>>>,
}

#[derive(Debug)]
struct Inside {
    meter: Meter,
    parts: Parts,
}

pub(crate) fn disk(path: &Path) -> impl Fn(Error) -> RoomError + '_ {
    |source| RoomError::Disk { path: path.to_owned(), source }
}

/// An object by the name of its file; anything else that lies there is passed over.
fn object(entry: &DirEntry) -> Option<(BlobName, u64)> {
    let name = entry.file_name().to_str()?.parse().ok()?;
    let found = entry.metadata().ok()?;
    found.is_file().then_some((name, found.len()))
}

/// Lists go on behind a name: what is called by zeros would be in none.
fn named(name: BlobName) -> Result<(), Refusal> {
    if name == NONE { Err(Refusal::Mismatch) } else { Ok(()) }
}

impl Room {
    /// Opens what lies in a folder, which is made if it is not there. `share` is how many bytes this machine may keep, and
    /// may give out in a month; months are counted from `begins`.
    ///
    /// # Errors
    /// [`RoomError::Disk`]
    pub fn open(dir: &Path, share: (u64, u64), begins: Millis) -> Result<Self, RoomError> {
        let objects = dir.join(OBJECTS);
        make_private_dir(&objects).map_err(disk(&objects))?;
        let coming = dir.join(COMING);
        match std::fs::remove_dir_all(&coming) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(disk(&coming)(error)),
            _ => {}
        }
        make_private_dir(&coming).map_err(disk(&coming))?;
        let mut held = BTreeMap::new();
        for entry in std::fs::read_dir(&objects).map_err(disk(&objects))? {
            held.extend(object(&entry.map_err(disk(&objects))?));
        }
        let path = dir.join(SENT);
        let noted = match std::fs::read(&path) {
            Ok(bytes) => from_canonical(&bytes, SENT_MAX)
                .map_err(|error| disk(&path)(Error::new(ErrorKind::InvalidData, error.to_string())))?,
            Err(error) if error.kind() == ErrorKind::NotFound => Sent::default(),
            Err(error) => return Err(disk(&path)(error)),
        };
        let mut meter = Meter::new(share, begins, held, noted);
        let mut open = BTreeMap::new();
        for of in shelves::<NodeId>(&dir.join(SHELVES))? {
            let shelf = Shelf::open(&dir.join(SHELVES).join(of.to_string()))?;
            let (bytes, files) = shelf.usage()?;
            meter.shelve(bytes, files);
            open.insert(of, Arc::new(shelf));
        }
        let inside = Mutex::new(Inside { meter, parts: Parts::default() });
        Ok(Self { dir: dir.to_owned(), inside, came: AtomicU64::new(0), shelves: Mutex::new(open) })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, name: &BlobName) -> PathBuf {
        self.dir.join(OBJECTS).join(Hex(name.as_bytes()).to_string())
    }

    fn coming(&self, name: &BlobName) -> PathBuf {
        self.dir.join(COMING).join(Hex(name.as_bytes()).to_string())
    }

    /// Stores an object whole, in the place of what has its name.
    ///
    /// # Errors
    /// [`RoomError`]; then nothing of it lies there.
    pub fn put(&self, name: BlobName, bytes: &[u8]) -> Result<(), RoomError> {
        let len = bytes.len() as u64;
        named(name)?;
        self.inside().meter.reserve(len)?;
        let came = self.came.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(COMING).join(format!("whole-{came}"));
        let written = || -> Result<(), Error> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        if let Err(error) = written() {
            drop(std::fs::remove_file(&path));
            self.inside().meter.release(len);
            return Err(disk(&path)(error));
        }
        self.settle(&path, name, len)
    }

    /// Puts what has come in its place.
    fn settle(&self, from: &Path, name: BlobName, len: u64) -> Result<(), RoomError> {
        let place = self.place(&name);
        // One at a time: of two with one name the meter has to know which lies there.
        let mut inside = self.inside();
        if let Err(error) = std::fs::rename(from, &place) {
            drop(std::fs::remove_file(from));
            inside.meter.release(len);
            return Err(disk(&place)(error));
        }
        inside.meter.keep(name, len);
        drop(inside);
        let objects = self.dir.join(OBJECTS);
        sync_dir(&objects).map_err(disk(&objects))
    }

    /// Adds to what is being sent under a name of its own. What has come already may come again.
    ///
    /// # Errors
    /// [`RoomError`]; [`Refusal::Mismatch`] if it does not go on where it was.
    pub fn part(&self, upload: BlobName, at: u64, bytes: &[u8], now: Millis) -> Result<(), RoomError> {
        let len = bytes.len() as u64;
        let end = at.checked_add(len).ok_or(Refusal::Mismatch)?;
        // Not in the match: what is locked there stays locked to its end.
        let known = self.inside().parts.get(&upload);
        let in_the_way = match known {
            Some(coming) if coming.len == end && len > 0 => return Ok(()),
            Some(coming) if coming.len == at => Vec::new(),
            None if at == 0 => self.inside().parts.in_the_way(now),
            _ => return Err(Refusal::Mismatch.into()),
        };
        for upload in in_the_way {
            self.abort(upload)?;
        }
        let path = self.coming(&upload);
        // Held while it is written: two parts at one place would be one too many.
        let mut inside = self.inside();
        if inside.parts.get(&upload).map_or(0, |coming| coming.len) != at {
            return Err(Refusal::Mismatch.into());
        }
        inside.meter.reserve(len)?;
        let written = || -> Result<(), Error> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(at == 0).mode(0o600).open(&path)?;
            file.seek(SeekFrom::Start(at))?;
            file.write_all(bytes)
        };
        if let Err(error) = written() {
            inside.meter.release(len);
            return Err(disk(&path)(error));
        }
        inside.parts.grown(upload, end, now);
        Ok(())
    }

    /// What was sent in parts is whole: it lies there from now on under its name.
    ///
    /// # Errors
    /// [`RoomError`]; [`Refusal::Mismatch`] if it is not as long as that.
    pub fn finish(&self, upload: BlobName, name: BlobName, len: u64) -> Result<(), RoomError> {
        named(name)?;
        let path = self.coming(&upload);
        let mut inside = self.inside();
        match inside.parts.get(&upload) {
            Some(coming) if coming.len == len => drop(inside.parts.end(&upload)),
            // It was finished, and whoever asked did not hear of it.
            None if inside.meter.len_of(&name) == Some(len) => return Ok(()),
            _ => return Err(Refusal::Mismatch.into()),
        }
        drop(inside);
        // A part that failed half-way may have left more.
        let whole = OpenOptions::new().write(true).open(&path).and_then(|file| {
            file.set_len(len)?;
            file.sync_all()
        });
        if let Err(error) = whole {
            drop(std::fs::remove_file(&path));
            self.inside().meter.release(len);
            return Err(disk(&path)(error));
        }
        self.settle(&path, name, len)
    }

    /// What was sent in parts is not wanted.
    ///
    /// # Errors
    /// [`RoomError::Disk`]
    pub fn abort(&self, upload: BlobName) -> Result<(), RoomError> {
        let mut inside = self.inside();
        let Some(coming) = inside.parts.end(&upload) else { return Ok(()) };
        inside.meter.release(coming.len);
        let path = self.coming(&upload);
        std::fs::remove_file(&path).map_err(disk(&path))
    }

    /// An object with a range of its bytes, as much of it as there is; none if nothing has that name.
    ///
    /// # Errors
    /// [`RoomError`]
    pub fn get(
        &self,
        name: BlobName,
        (from, to): (u64, u64),
        now: Millis,
    ) -> Result<Option<(Object, Vec<u8>)>, RoomError> {
        let path = self.place(&name);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(disk(&path)(error)),
        };
        let found = file.metadata().map_err(disk(&path))?;
        let modified = found.modified().map_or(Millis(0), millis);
        let object = Object { name, len: found.len(), modified };
        let wanted = to.min(object.len).saturating_sub(from);
        if wanted == 0 {
            return Ok(Some((object, Vec::new())));
        }
        let mut inside = self.inside();
        self.count(&mut inside, wanted, now)?;
        drop(inside);
        // What there is, and not one byte more is asked for: it need not grow on the way.
        let mut bytes = Vec::with_capacity(usize::try_from(wanted).unwrap_or_default());
        let read = file.seek(SeekFrom::Start(from)).and_then(|_| file.take(wanted).read_to_end(&mut bytes));
        read.map_err(disk(&path))?;
        Ok(Some((object, bytes)))
    }

    /// Notes what is about to be given out.
    fn count(&self, inside: &mut Inside, len: u64, now: Millis) -> Result<(), RoomError> {
        if let Some(noted) = inside.meter.send(now, len)? {
            let path = self.dir.join(SENT);
            replace(&path, &to_canonical(&noted), 0o600).map_err(disk(&path))?;
        }
        Ok(())
    }

    /// The shelf of a machine, in this room.
    ///
    /// # Errors
    /// [`RoomError::Disk`]
    pub fn shelf(&self, of: NodeId) -> Result<Arc<Shelf>, RoomError> {
        let mut open = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shelf) = open.get(&of) {
            return Ok(Arc::clone(shelf));
        }
        let shelf = Arc::new(Shelf::open(&self.dir.join(SHELVES).join(of.to_string()))?);
        open.insert(of, Arc::clone(&shelf));
        Ok(shelf)
    }

    /// Whose shelves there are.
    ///
    /// # Errors
    /// [`RoomError::Disk`]
    pub fn shelves(&self) -> Result<Vec<NodeId>, RoomError> {
        shelves(&self.dir.join(SHELVES))
    }

    /// Removes an object; one that is not there is removed already.
    ///
    /// # Errors
    /// [`RoomError::Disk`]
    pub fn remove(&self, name: BlobName) -> Result<(), RoomError> {
        let path = self.place(&name);
        let mut inside = self.inside();
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(disk(&path)(error)),
            _ => inside.meter.remove(&name),
        }
        drop(inside);
        let objects = self.dir.join(OBJECTS);
        sync_dir(&objects).map_err(disk(&objects))
    }

    /// What lies there, from behind a name on; as many as are told at once.
    ///
    /// # Errors
    /// [`RoomError::Disk`]
    pub fn list(&self, after: BlobName) -> Result<Vec<Object>, RoomError> {
        let all: Vec<(BlobName, u64)> = self.inside().meter.after(after).take(LISTED_MAX).collect();
        let dated = all.into_iter().map(|(name, len)| {
            let found = std::fs::metadata(self.place(&name)).and_then(|found| found.modified());
            Object { name, len, modified: found.map_or(Millis(0), millis) }
        });
        Ok(dated.collect())
    }

    /// Asks the meter.
    pub fn meter<T>(&self, ask: impl FnOnce(&Meter) -> T) -> T {
        ask(&self.inside().meter)
    }

    /// Deletes all that lies there, and the room with it.
    ///
    /// # Errors
    /// [`RoomError::Disk`]; then it may be asked again.
    pub fn delete(&self) -> Result<Deleted, RoomError> {
        let mut inside = self.inside();
        let mut deleted = Deleted { objects: 0, bytes: 0 };
        let objects = self.dir.join(OBJECTS);
        let all: Vec<(BlobName, u64)> = inside.meter.after(NONE).collect();
        for (name, len) in all {
            let path = self.place(&name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(disk(&path)(error)),
                _ => inside.meter.remove(&name),
            }
            deleted.objects += 1;
            deleted.bytes += len;
        }
        for of in shelves::<NodeId>(&self.dir.join(SHELVES))? {
            let (bytes, files) = Shelf::open(&self.dir.join(SHELVES).join(of.to_string()))?.usage()?;
            deleted.objects += files;
            deleted.bytes += bytes;
        }
        for dir in [objects, self.dir.join(COMING), self.dir.join(SHELVES)] {
            match std::fs::remove_dir_all(&dir) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(disk(&dir)(error)),
                _ => {}
            }
        }
        inside.meter.clear_shelves();
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner).clear();
        sync_dir(&self.dir).map_err(disk(&self.dir))?;
        Ok(deleted)
    }
}

impl Ledger for Room {
    fn reserve(&self, len: u64) -> Result<(), RoomError> {
        Ok(self.inside().meter.reserve(len)?)
    }

    fn release(&self, len: u64) {
        self.inside().meter.release(len);
    }

    fn keep(&self, len: u64) {
        self.inside().meter.shelve(len, 1);
    }

    fn send(&self, len: u64, now: Millis) -> Result<(), RoomError> {
        let mut inside = self.inside();
        self.count(&mut inside, len, now)
    }
}

fn millis(at: SystemTime) -> Millis {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
