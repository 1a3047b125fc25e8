//! Opening a store file: made in one step, checked before use, refused if newer.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{Database, ReadTransaction, ReadableDatabase as _, TableDefinition};

use crate::commit::Committer;
use crate::{StoreError, sync_dir};

/// Pages kept in memory; the default of the engine is 1 GiB.
const CACHE_BYTES: usize = 8 << 20;
/// Up to this size every page's checksum is checked when the store is opened. Above it rows are
/// still checked one by one by those who read them: they are signed and hashed.
const CHECKED_BYTES: u64 = 64 << 20;

const FORMAT: TableDefinition<&str, u64> = TableDefinition::new("freehold");

/// An open store: reads at any time, writes through the committer.
#[derive(Debug)]
pub(crate) struct Store {
    // Before `db`: its thread ends first, so that the last handle is ours.
    pub(crate) writer: Committer,
    db: Slot,
    path: PathBuf,
}

/// The open file; none after a failed write, until somebody needs it again.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    db: Arc<RwLock<Option<Arc<Database>>>>,
    path: Arc<Path>,
}

impl Slot {
    fn new(db: Database, path: &Path) -> Self {
        Self { db: Arc::new(RwLock::new(Some(Arc::new(db)))), path: path.into() }
    }

    /// The file, opened anew if need be.
    pub(crate) fn open(&self) -> Result<Arc<Database>, StoreError> {
        if let Some(db) = &*self.db.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(db));
        }
        let mut slot = self.db.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(db) = &*slot {
            return Ok(Arc::clone(db));
        }
        let db = Arc::new(open_file(&self.path)?);
        tracing::info!(path = %self.path.display(), "the store is open again after a failed write");
        *slot = Some(Arc::clone(&db));
        Ok(db)
    }

    /// Lets go of the file, once the readers that are at it have finished.
    pub(crate) fn close(&self) {
        let mut slot = self.db.write().unwrap_or_else(PoisonError::into_inner);
        let Some(db) = slot.take() else { return };
        // Reads are short. Should one hang, the next opening says that the file is in use.
        for _ in 0..1000 {
            if Arc::strong_count(&db) == 1 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

impl Store {
    /// Opens or makes the store. `format` is the newest format this program knows; `tables` makes
    /// the tables that readers expect.
    pub(crate) fn open(
        path: &Path,
        format: u64,
        tables: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let mark = beside(path, ".damaged");
        if !path.try_exists().map_err(|error| StoreError::io("looking for", path, error))? {
            create(path, format)?;
            // It told of the one that was moved aside.
            match std::fs::remove_file(&mark) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::io("unmarking", path, error));
                }
                _ => {}
            }
        }
        let size = std::fs::metadata(path).map_err(|error| StoreError::io("opening", path, error))?.len();
        let mut db = open_file(path)?;
        if size <= CHECKED_BYTES {
            let sound =
                db.check_integrity().map_err(|error| StoreError::redb("checking", path, error.into()))?;
            if !sound {
                // The engine has put it back already: without a mark the next opening would say nothing.
                crate::replace(&mark, b"", 0o600).map_err(|error| StoreError::io("marking", path, error))?;
            }
        }
        if mark.exists() {
            return Err(StoreError::Damaged {
                path: path.to_owned(),
                detail: format!(
                    "checksums did not match; it was put back to its last sound state, and what came after \
                     that is missing. To go on with that, delete {}",
                    mark.display()
                ),
            });
        }
        let db = Slot::new(db, path);
        let store = Self { writer: Committer::start(path, db.clone())?, db, path: path.to_owned() };
        store.refuse_newer(format)?;
        let at = store.path.clone();
        store
            .writer
            .wait(move |txn| tables(txn).map_err(|error| StoreError::redb("preparing", &at, error)))?;
        Ok(store)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn read<T>(
        &self,
        with: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let db = self.db.open()?;
        db.begin_read()
            .map_err(redb::Error::from)
            .and_then(|txn| with(&txn))
            .map_err(|error| StoreError::redb("reading", &self.path, error))
    }

    fn refuse_newer(&self, known: u64) -> Result<(), StoreError> {
        let found = self.read(|txn| match txn.open_table(FORMAT) {
            Ok(table) => Ok(table.get("format")?.map(|value| value.value())),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        })?;
        match found {
            Some(found) if found <= known => Ok(()),
            Some(found) => Err(StoreError::Newer { path: self.path.clone(), found, known }),
            None => Err(StoreError::NotAStore { path: self.path.clone() }),
        }
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Makes a new store beside its place and moves it there whole, so that a crash in the middle
/// leaves nothing that looks damaged.
fn create(path: &Path, format: u64) -> Result<(), StoreError> {
    let failed = |error| StoreError::io("making", path, error);
    let engine = |error| StoreError::redb("making", path, error);
    let beside = beside(path, ".new");
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let file = options().create_new(true).open(&beside).map_err(failed)?;
    let db = builder().create_file(file).map_err(|error| engine(error.into()))?;
    write_format(&db, format).map_err(engine)?;
    drop(db);
    std::fs::rename(&beside, path).map_err(failed)?;
    sync_dir(path.parent().unwrap_or(Path::new("/"))).map_err(failed)
}

fn write_format(db: &Database, format: u64) -> Result<(), redb::Error> {
    let txn = db.begin_write()?;
    txn.open_table(FORMAT)?.insert("format", format)?;
    txn.commit()?;
    Ok(())
}

fn open_file(path: &Path) -> Result<Database, StoreError> {
    let file: File = options().open(path).map_err(|error| StoreError::io("opening", path, error))?;
    let empty = file.metadata().is_ok_and(|meta| meta.len() == 0);
    if empty {
        return Err(StoreError::NotAStore { path: path.to_owned() });
    }
    builder().create_file(file).map_err(|error| match error {
        // How the engine says that the first bytes are not its own.
        redb::DatabaseError::Storage(redb::StorageError::Io(source))
            if source.kind() == std::io::ErrorKind::InvalidData =>
        {
            StoreError::NotAStore { path: path.to_owned() }
        }
        redb::DatabaseError::UpgradeRequired(_) => StoreError::Damaged {
            path: path.to_owned(),
            detail: "it has a file format that was never used".into(),
        },
        error => StoreError::redb("opening", path, error.into()),
    })
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

fn builder() -> redb::Builder {
    let mut builder = redb::Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}
