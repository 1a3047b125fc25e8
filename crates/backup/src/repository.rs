//! A repository that is open: what is in it, and whether it is sound.

use std::{path::PathBuf, sync::Arc};

use freehold_retention::Moment;
use freehold_wire::Millis;
use rustic_core::{
    CheckOptions, CheckResults, ConfigOptions, Credentials, FileType, KeyOptions, OpenStatus, ReadBackend,
    ReadSubsetOption, RepositoryBackends, RepositoryOptions, WriteBackend,
    jiff::Zoned,
    repofile::{MasterKey, SnapshotFile},
};

use crate::{
    BackupError, Meter, Password, Store,
    error::{engine, said},
    keys,
    store::Stored,
};

/// An open repository. Each call reads anew what is there, so that several machines may write; one of them prunes.
pub struct Repository {
    store: Arc<Stored>,
    place: String,
    /// The key that the password opened: to derive it from the password takes a second, by design.
    key: MasterKey,
    meter: Meter,
}

/// Where it is, and nothing of the key: the engine's types show theirs.
impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository").field("place", &self.place).finish_non_exhaustive()
    }
}

/// A snapshot, as lists show it.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Its id, 64 hexadecimal digits.
    pub id: String,
    /// The tree of what is in it, 64 hexadecimal digits.
    pub root: String,
    /// When it was made, as its writer says.
    pub made: Moment,
    /// The machine's name.
    pub host: String,
    /// What it covers.
    pub paths: Vec<PathBuf>,
    /// How many files, where the program that made it says so.
    pub files: Option<u64>,
    /// How many bytes, likewise.
    pub bytes: Option<u64>,
    /// Whether it is never forgotten.
    pub pinned: bool,
    /// When whoever keeps it took it in, where that was noted.
    pub received: Option<Millis>,
}

/// Something that a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether files are lost or damaged by it; otherwise it is only odd.
    pub severe: bool,
    /// What it is.
    pub what: String,
}

type Open = rustic_core::Repository<OpenStatus>;

impl Repository {
    /// Makes one in a place that has none.
    pub fn create(store: impl Store, password: &Password) -> Result<Self, BackupError> {
        let store = Arc::new(Stored::from(store));
        let place = store.location();
        let failed = engine("making a backup", &place);
        if !store.list(FileType::Config).map_err(&failed)?.is_empty() {
            return Err(BackupError::Exists { place });
        }
        store.create().map_err(&failed)?;
        let meter = Meter::default();
        let key = MasterKey::new();
        // The key first: what has a configuration and no key opens to nobody.
        keys::write(&*store, &key, password).map_err(|why| unmade(&place, why))?;
        let credentials = Credentials::Masterkey(key.clone());
        let made = raw(Arc::<Stored>::clone(&store), &meter)
            .and_then(|raw| raw.init(&credentials, &KeyOptions::default(), &ConfigOptions::default()));
        made.map_err(&failed)?;
        store.stays();
        Ok(Self { store, place, key, meter })
    }

    /// Opens one, whichever program made it.
    pub fn open(store: impl Store, password: &Password) -> Result<Self, BackupError> {
        let store = Arc::new(Stored::from(store));
        let place = store.location();
        let failed = engine("opening the backup", &place);
        if store.list(FileType::Config).map_err(&failed)?.is_empty() {
            return Err(BackupError::NotThere { place });
        }
        store.stays();
        let meter = Meter::default();
        let open = raw(Arc::<Stored>::clone(&store), &meter).and_then(|raw| raw.open(&credentials(password)));
        let key = match open {
            Ok(open) => open.key(),
            Err(error) if error.is_incorrect_password() => return Err(BackupError::Password { place }),
            Err(error) => return Err(failed(error)),
        };
        Ok(Self { store, place, key, meter })
    }

    /// How far what is running is.
    pub const fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Where it lies.
    pub fn place(&self) -> &str {
        &self.place
    }

    pub(crate) const fn key(&self) -> &MasterKey {
        &self.key
    }

    pub(crate) const fn store(&self) -> &Arc<Stored> {
        &self.store
    }

    pub(crate) fn opened(&self) -> Result<Open, BackupError> {
        self.opened_through(Arc::<Stored>::clone(&self.store))
    }

    /// Opens it once more, seen as `store` shows it.
    pub(crate) fn opened_through(&self, store: Arc<dyn WriteBackend>) -> Result<Open, BackupError> {
        let failed = engine("opening the backup", &self.place);
        raw(store, &self.meter)
            .and_then(|raw| raw.open(&Credentials::Masterkey(self.key.clone())))
            .map_err(failed)
    }

    /// The snapshots that there are, the oldest first.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>, BackupError> {
        let files = self.opened()?.get_all_snapshots().map_err(engine("listing snapshots", &self.place))?;
        let now = Zoned::now();
        let one = |file: &SnapshotFile| Snapshot {
            received: self.store.received(&file.id),
            ..snapshot(file, &now)
        };
        let mut snapshots: Vec<Snapshot> = files.iter().map(one).collect();
        snapshots.sort_by(|a, b| (a.made, &a.id).cmp(&(b.made, &b.id)));
        Ok(snapshots)
    }

    /// Holds all that the index and the trees say against what is there; with `read` every byte of the packs, too. Nothing
    /// found means that everything can be restored, as far as was looked.
    pub fn check(&self, read: bool) -> Result<Vec<Finding>, BackupError> {
        self.checked(CheckOptions::default().read_data(read))
    }

    /// The same, with every byte of one of so many parts of the packs: a pack is always in the same one.
    pub fn check_part(&self, part: u32, of: u32) -> Result<Vec<Finding>, BackupError> {
        let subset = ReadSubsetOption::IdSubSet((part, of));
        self.checked(CheckOptions::default().read_data(true).read_data_subset(subset))
    }

    fn checked(&self, options: CheckOptions) -> Result<Vec<Finding>, BackupError> {
        let results = match self.opened()?.check(options) {
            Ok(results) => results,
            Err(error) => return Ok(vec![Finding { severe: true, what: said(&error) }]),
        };
        let finding = |found| {
            let one = CheckResults(vec![found]);
            let what = one.0.iter().map(|(_, error)| error.to_string()).collect::<String>();
            Finding {
                severe: one.is_ok().is_err(),
                what: what.split_whitespace().collect::<Vec<_>>().join(" "),
            }
        };
        Ok(results.0.into_iter().map(finding).collect())
    }
}

fn unmade(place: &str, why: String) -> BackupError {
    BackupError::Engine { doing: "making a backup", place: place.to_owned(), why }
}

fn credentials(password: &Password) -> Credentials {
    Credentials::password(password.reveal())
}

fn raw(
    store: Arc<dyn WriteBackend>,
    meter: &Meter,
) -> Result<rustic_core::Repository<()>, Box<rustic_core::RusticError>> {
    // No copies of indexes elsewhere: they would be one more thing that can be wrong, and the directory is near.
    let options = RepositoryOptions::default().no_cache(true);
    rustic_core::Repository::new_with_progress(&options, &RepositoryBackends::new(store, None), meter.clone())
}

fn snapshot(file: &SnapshotFile, now: &Zoned) -> Snapshot {
    let at = u64::try_from(file.time.timestamp().as_millisecond()).unwrap_or_default();
    Snapshot {
        id: file.id.to_hex().as_str().to_owned(),
        root: file.tree.to_hex().as_str().to_owned(),
        made: Moment { at: Millis(at), offset: file.time.offset().seconds() },
        host: file.hostname.clone(),
        paths: file.paths.iter().map(PathBuf::from).collect(),
        files: file.summary.as_ref().map(|summary| summary.total_files_processed),
        bytes: file.summary.as_ref().map(|summary| summary.total_bytes_processed),
        pinned: file.must_keep(now),
        received: None,
    }
}
