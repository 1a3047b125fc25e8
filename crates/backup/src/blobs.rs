//! Blobs as whoever reads a backup wants them: each is held against its hash, and looked for at each place that any index
//! names where it is not what it ought to be.

use std::{
    borrow::Borrow,
    collections::BTreeMap,
    sync::{Mutex, OnceLock, PoisonError},
};

use bytes::Bytes;
use rustic_core::{
    BlobId, FileType, Id, OpenStatus, ReadBackend, TreeId,
    repofile::{BlobType, PackId, Tree},
};

use crate::{
    BackupError, Repository, auditing::Places, error::engine, known::Known, sealing::Sealer, view::Alone,
};

/// What a repository has, as its indexes said when this was made.
pub(crate) struct Blobs<R> {
    repository: R,
    known: Known,
    /// What opens blobs: each is used by one thread at a time.
    sealers: Mutex<Vec<Sealer>>,
    level: Option<i32>,
    /// Where blobs lie and how large packs are, once the engine's place of one was wrong.
    places: OnceLock<Option<(Places, BTreeMap<Id, u32>)>>,
}

impl<R: Borrow<Repository>> Blobs<R> {
    pub(crate) fn of(repository: R, open: &rustic_core::Repository<OpenStatus>) -> Result<Self, BackupError> {
        let of: &Repository = repository.borrow();
        let level = open.config().zstd().map_err(engine("looking into the backup", of.place()))?;
        let known = Known::read(of, open)?;
        Ok(Self { repository, known, sealers: Mutex::default(), level, places: OnceLock::new() })
    }

    pub(crate) fn repository(&self) -> &Repository {
        self.repository.borrow()
    }

    /// How long the indexes say that a file's blob is. Nobody has held it against anything.
    pub(crate) fn length(&self, id: Id) -> Option<u64> {
        self.known.length(id)
    }

    /// A blob that is what its id says.
    pub(crate) fn blob(&self, id: Id, kind: BlobType) -> Result<Bytes, String> {
        let why = match self.said(id, kind) {
            Ok(bytes) if id.blob_matches_reader(bytes.len() as u64, &mut &*bytes) => return Ok(bytes.into()),
            Ok(_) => format!("the backup is damaged: another content lies where {id} ought to be"),
            Err(why) => why,
        };
        self.elsewhere(BlobId::from(id), kind).ok_or(why)
    }

    /// What lies where the indexes say that the blob is.
    fn said(&self, id: Id, kind: BlobType) -> Result<Vec<u8>, String> {
        let free = self.sealers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let new = || Sealer::new(self.repository().key(), self.level).map_err(|error| error.to_string());
        let mut sealer = free.map_or_else(new, Ok)?;
        let blob = self.known.blob(id, kind, &**self.repository().store(), &mut sealer);
        self.sealers.lock().unwrap_or_else(PoisonError::into_inner).push(sealer);
        blob
    }

    /// The blob from any pack that is said to have it, wherever in there the pack itself says that it is.
    fn elsewhere(&self, id: BlobId, kind: BlobType) -> Option<Bytes> {
        let read = || {
            let open = self.repository().opened().ok()?;
            let sizes = self.repository().store().list_with_size(FileType::Pack).ok()?;
            Some((Places::read(self.repository(), &open).ok()?, sizes.into_iter().collect()))
        };
        let (places, sizes) = self.places.get_or_init(read).as_ref()?;
        let found = |pack: PackId| {
            let size = sizes.get(&*pack)?;
            Alone::open(self.repository(), pack, *size).ok()?.blob(id, kind)
        };
        places.of(id).find_map(found)
    }

    pub(crate) fn tree(&self, id: TreeId) -> Result<Tree, String> {
        let bytes = self.blob(id.into_inner(), BlobType::Tree)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| format!("the backup is damaged: {id} is no directory: {error}"))
    }
}
