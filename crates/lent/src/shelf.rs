//! What one machine has backed up here: the files of a repository in restic's format, as restic lays them out, so that
//! whoever sits here needs nothing of ours to read it. Through here files come, and none goes and none changes; beside each
//! snapshot it is noted when it came. Everything here waits for the disk.

use std::collections::BTreeMap;
use std::fs::{DirEntry, File, OpenOptions};
use std::io::{Error, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use freehold_disk::{make_private_dir, replace, sync_dir};
use freehold_passes::storage::Refusal;
use freehold_passes::{FILE_MAX, FILES_MAX, KEYS_MAX, Part, SMALL_MAX, ShelfFile, Sort};
use freehold_wire::{Digest, Hex, Millis};
use sha2::{Digest as _, Sha256};

use crate::RoomError;
use crate::room::disk;

/// The repository.
const REPOSITORY: &str = "repository";
/// When each snapshot and letter was taken in.
const RECEIVED: &str = "received";
/// What brings the realm back.
const LETTERS: &str = "letters";
/// What is on its way in.
const COMING: &str = "coming";
/// The most files on their way at a time.
const COMING_MAX: usize = 16;
/// What has not gone on for so long makes room for others.
const STALE: Millis = Millis::from_hours(1);
/// The config has no other name.
const CONFIG: Digest = Digest::from_bytes([0; 32]);

/// Who counts what lies there and what is given out.
pub trait Ledger {
    /// Makes room for what is coming.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing is counted.
    fn reserve(&self, len: u64) -> Result<(), RoomError>;
    /// It is not coming.
    fn release(&self, len: u64);
    /// It has come.
    fn keep(&self, len: u64);
    /// Bytes are about to be given out.
    ///
    /// # Errors
    /// [`Refusal`]; then they must not be.
    fn send(&self, len: u64, now: Millis) -> Result<(), RoomError>;
}

/// One machine's shelf.
#[derive(Debug)]
pub struct Shelf {
    dir: PathBuf,
    coming: Mutex<BTreeMap<u64, Coming>>,
}

/// A file on its way in.
#[derive(Debug)]
struct Coming {
    part: Part,
    got: u64,
    hash: Sha256,
    touched: Millis,
}

/// How it stands: bytes and files.
pub type Usage = (u64, u64);

/// Where the repository of a shelf lies.
pub fn repository(shelf: &Path) -> PathBuf {
    shelf.join(REPOSITORY)
}

/// Where it is noted when each snapshot was taken in.
pub fn received(shelf: &Path) -> PathBuf {
    shelf.join(RECEIVED)
}

const fn folder(sort: Sort) -> &'static str {
    match sort {
        Sort::Config => "",
        Sort::Key => "keys",
        Sort::Snapshot => "snapshots",
        Sort::Index => "index",
        Sort::Pack => "data",
        Sort::Letter => LETTERS,
    }
}

fn hex(name: &Digest) -> String {
    Hex(name.as_bytes()).to_string()
}

/// Files in a directory by their names, without what cannot be one; none where there is no directory.
fn files(dir: &Path) -> Result<Vec<(Digest, u64)>, RoomError> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(disk(dir))?,
    };
    let one = |entry: DirEntry| {
        let name = entry.file_name().to_str()?.parse().ok()?;
        // What the keeper prunes meanwhile is none.
        let found = entry.metadata().ok()?;
        found.is_file().then_some((name, found.len()))
    };
    let mut found = Vec::new();
    for entry in entries {
        found.extend(one(entry.map_err(disk(dir))?));
    }
    found.sort_unstable();
    Ok(found)
}

impl Shelf {
    /// Opens what lies in a folder, which is made when something comes.
    ///
    /// # Errors
    /// [`RoomError::Disk`]
    pub fn open(dir: &Path) -> Result<Self, RoomError> {
        let coming = dir.join(COMING);
        match std::fs::remove_dir_all(&coming) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(disk(&coming)(error)),
            _ => {}
        }
        Ok(Self { dir: dir.to_owned(), coming: Mutex::default() })
    }

    fn coming(&self) -> MutexGuard<'_, BTreeMap<u64, Coming>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory in which a file lies.
    fn dir_of(&self, sort: Sort, name: &Digest) -> PathBuf {
        let repository = repository(&self.dir);
        match sort {
            Sort::Config => repository,
            Sort::Letter => self.dir.join(LETTERS),
            Sort::Pack => repository.join(folder(sort)).join(hex(name).get(..2).unwrap_or_default()),
            _ => repository.join(folder(sort)),
        }
    }

    fn path(&self, sort: Sort, name: &Digest) -> PathBuf {
        match sort {
            Sort::Config => self.dir_of(sort, name).join("config"),
            _ => self.dir_of(sort, name).join(hex(name)),
        }
    }

    fn on_its_way(&self, upload: u64) -> PathBuf {
        self.dir.join(COMING).join(format!("{upload:016x}"))
    }

    /// Bytes and files that lie there.
    ///
    /// # Errors
    /// [`RoomError::Disk`]
    pub fn usage(&self) -> Result<Usage, RoomError> {
        let mut all = self.list(Sort::Config, None)?;
        for sort in [Sort::Key, Sort::Snapshot, Sort::Index, Sort::Pack, Sort::Letter] {
            let mut after = None;
            loop {
                let page = self.list(sort, after)?;
                after = page.last().map(|file| file.name);
                let is_last = page.len() < FILES_MAX;
                all.extend(page);
                if is_last {
                    break;
                }
            }
        }
        Ok((all.iter().fold(0, |sum: u64, file| sum.saturating_add(file.len)), all.len() as u64))
    }

    /// Files of a sort by their names, from behind one on; as many as are told at once.
    ///
    /// # Errors
    /// [`RoomError::Disk`]
    pub fn list(&self, sort: Sort, after: Option<Digest>) -> Result<Vec<ShelfFile>, RoomError> {
        let file = |(name, len)| ShelfFile { name, len, received: self.received(sort, &name) };
        if sort == Sort::Config {
            let there = std::fs::metadata(self.path(sort, &CONFIG)).ok().filter(|_| after.is_none());
            return Ok(there.map(|there| file((CONFIG, there.len()))).into_iter().collect());
        }
        let is_behind = |name: &Digest| after.is_none_or(|after| *name > after);
        let mut found = Vec::new();
        if sort == Sort::Pack {
            let first = after.map_or(0, |after| after.as_bytes().first().copied().unwrap_or_default());
            for byte in first..=u8::MAX {
                let dir = repository(&self.dir).join(folder(sort)).join(Hex(&[byte]).to_string());
                found.extend(files(&dir)?.into_iter().filter(|(name, _)| is_behind(name)));
                if found.len() >= FILES_MAX {
                    break;
                }
            }
        } else {
            let all = files(&self.dir_of(sort, &CONFIG))?;
            found.extend(all.into_iter().filter(|(name, _)| is_behind(name)));
        }
        found.truncate(FILES_MAX);
        Ok(found.into_iter().map(file).collect())
    }

    fn received(&self, sort: Sort, name: &Digest) -> Option<Millis> {
        if !matches!(sort, Sort::Snapshot | Sort::Letter) {
            return None;
        }
        let noted = std::fs::read_to_string(received(&self.dir).join(hex(name))).ok()?;
        noted.trim().parse().ok().map(Millis)
    }

    /// How long a file is and a range of its bytes, as much of it as there is; none if nothing has that name.
    ///
    /// # Errors
    /// [`RoomError`]
    pub fn read(
        &self,
        (sort, name): (Sort, Digest),
        (from, to): (u64, u64),
        now: Millis,
        ledger: &dyn Ledger,
    ) -> Result<Option<(u64, Vec<u8>)>, RoomError> {
        let path = self.path(sort, &name);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(disk(&path)(error)),
        };
        let len = file.metadata().map_err(disk(&path))?.len();
        let wanted = to.min(len).saturating_sub(from);
        let mut bytes = Vec::new();
        if wanted > 0 {
            ledger.send(wanted, now)?;
            let read =
                file.seek(SeekFrom::Start(from)).and_then(|_| file.take(wanted).read_to_end(&mut bytes));
            read.map_err(disk(&path))?;
        }
        Ok(Some((len, bytes)))
    }

    /// A letter, for whoever keeps it to see whose guardians may have it.
    ///
    /// # Errors
    /// [`RoomError::Disk`]
    pub fn letter(&self, name: &Digest) -> Result<Option<Vec<u8>>, RoomError> {
        let path = self.path(Sort::Letter, name);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(disk(&path)(error)),
        }
    }

    /// Adds a part of a file; with the last one it lies there, and outlasts a power cut. What lies there already may come
    /// again, and another one of its name may not.
    ///
    /// # Errors
    /// [`RoomError`]; what had come of this upload is then forgotten.
    pub fn add(&self, part: &Part, body: &[u8], now: Millis, ledger: &dyn Ledger) -> Result<(), RoomError> {
        let end =
            part.at.checked_add(body.len() as u64).filter(|end| *end <= part.len).ok_or(Refusal::Mismatch)?;
        self.may_come(part)?;
        if part.sort != Sort::Config && self.is_there(part)? {
            return Ok(());
        }
        let mut coming = if part.at == 0 {
            self.begin(part, now, ledger)?
        } else {
            // Taken out while it is written: two parts at one place would be one too many.
            self.coming().remove(&part.upload).ok_or(Refusal::Mismatch)?
        };
        let goes_on = coming.got == part.at && Part { at: 0, ..*part } == coming.part;
        let path = self.on_its_way(part.upload);
        let added =
            if goes_on { Self::write(&path, &mut coming, body) } else { Err(Refusal::Mismatch.into()) };
        let done =
            added.and_then(|()| if end == part.len { self.settle(&path, &coming, now) } else { Ok(false) });
        match done {
            Ok(false) if end < part.len => {
                coming.touched = now;
                self.coming().insert(part.upload, coming);
                Ok(())
            }
            Ok(true) => {
                ledger.keep(part.len);
                Ok(())
            }
            // It was there by then.
            Ok(false) => {
                ledger.release(part.len);
                Ok(())
            }
            Err(error) => {
                drop(std::fs::remove_file(&path));
                ledger.release(coming.part.len);
                Err(error)
            }
        }
    }

    /// Whether it can be a file of a repository, as far as is known before it is here.
    fn may_come(&self, part: &Part) -> Result<(), RoomError> {
        let longest = match part.sort {
            Sort::Config | Sort::Key => SMALL_MAX,
            _ => FILE_MAX,
        };
        let is_named = (part.sort == Sort::Config) == (part.name == CONFIG);
        if part.len == 0 || part.len > longest || !is_named {
            return Err(Refusal::Mismatch.into());
        }
        if part.sort == Sort::Key && self.list(Sort::Key, None)?.len() >= KEYS_MAX && !self.is_there(part)? {
            return Err(Refusal::Full.into());
        }
        Ok(())
    }

    /// Whether it lies there; its name is the hash of what is in it.
    fn is_there(&self, part: &Part) -> Result<bool, RoomError> {
        let path = self.path(part.sort, &part.name);
        match std::fs::metadata(&path) {
            Ok(there) if there.len() == part.len => Ok(true),
            Ok(_) => Err(Refusal::Taken.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(disk(&path)(error)),
        }
    }

    fn begin(&self, part: &Part, now: Millis, ledger: &dyn Ledger) -> Result<Coming, RoomError> {
        let dir = self.dir.join(COMING);
        make_private_dir(&dir).map_err(disk(&dir))?;
        let mut all = self.coming();
        let stale = all.iter().filter(|(_, coming)| now.since(coming.touched) >= STALE);
        let mut gone: Vec<u64> = stale.map(|(upload, _)| *upload).collect();
        if gone.is_empty() && all.len() >= COMING_MAX {
            gone.extend(all.iter().min_by_key(|(_, coming)| coming.touched).map(|(upload, _)| *upload));
        }
        // The same attempt from its beginning.
        gone.push(part.upload);
        for upload in gone {
            if let Some(coming) = all.remove(&upload) {
                drop(std::fs::remove_file(self.on_its_way(upload)));
                ledger.release(coming.part.len);
            }
        }
        drop(all);
        ledger.reserve(part.len)?;
        Ok(Coming { part: *part, got: 0, hash: Sha256::new(), touched: now })
    }

    fn write(path: &Path, coming: &mut Coming, body: &[u8]) -> Result<(), RoomError> {
        let at = coming.got;
        let written = || -> Result<(), Error> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(at == 0).mode(0o600).open(path)?;
            file.seek(SeekFrom::Start(at))?;
            file.write_all(body)
        };
        written().map_err(disk(path))?;
        coming.hash.update(body);
        coming.got = at.saturating_add(body.len() as u64);
        Ok(())
    }

    /// Puts what has come in its place, and answers whether it was not there before.
    fn settle(&self, from: &Path, coming: &Coming, now: Millis) -> Result<bool, RoomError> {
        let Part { sort, name, .. } = coming.part;
        let hash: [u8; 32] = coming.hash.clone().finalize().into();
        if sort != Sort::Config && hash != *name.as_bytes() {
            return Err(Refusal::Mismatch.into());
        }
        let file = OpenOptions::new().write(true).open(from);
        file.and_then(|file| file.sync_all()).map_err(disk(from))?;
        let (dir, to) = (self.dir_of(sort, &name), self.path(sort, &name));
        make_all(&self.dir, &dir)?;
        // One at a time, so that nothing comes between the look and the name: nobody else adds here.
        let _alone = self.coming();
        match std::fs::read(&to).map(|there| <[u8; 32]>::from(Sha256::digest(there))) {
            Ok(there) if there == hash => {
                std::fs::remove_file(from).map_err(disk(from))?;
                return Ok(false);
            }
            Ok(_) => return Err(Refusal::Taken.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(disk(&to)(error)),
        }
        // Before it is there: what is there has its time, whenever the power goes.
        if matches!(sort, Sort::Snapshot | Sort::Letter) {
            let notes = received(&self.dir);
            make_all(&self.dir, &notes)?;
            let note = notes.join(hex(&name));
            replace(&note, format!("{}\n", now.0).as_bytes(), 0o600).map_err(disk(&note))?;
        }
        std::fs::rename(from, &to).map_err(disk(&to))?;
        sync_dir(&dir).map_err(disk(&dir))?;
        Ok(true)
    }
}

/// Makes a directory below another one, each durable in the one above.
fn make_all(top: &Path, dir: &Path) -> Result<(), RoomError> {
    if dir.is_dir() {
        return Ok(());
    }
    match dir.parent() {
        Some(above) if dir != top => make_all(top, above)?,
        _ => {}
    }
    make_private_dir(dir).map_err(disk(dir))
}

/// Whose shelves lie in a folder.
///
/// # Errors
/// [`RoomError::Disk`]
pub fn shelves<N: std::str::FromStr>(dir: &Path) -> Result<Vec<N>, RoomError> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(disk(dir))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(disk(dir))?;
        found.extend(entry.file_name().to_str().and_then(|name| name.parse().ok()));
    }
    Ok(found)
}
