//! A store of which the engine sees a part. What the index says is said by whoever may add to it, and need not be so:
//! what matters is read through a view in which only the packs' own lists count.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use rustic_core::{
    BlobId, BytesList, ErrorKind, FileType, Id, IndexedFullStatus, ReadBackend, RepairIndexOptions,
    RusticError, RusticResult, WriteBackend,
    repofile::{BlobType, IndexBlob, IndexFile, PackId},
};

use crate::{BackupError, Repository, error::engine, error::said, store::Stored};

/// A part of what is there.
#[derive(Debug)]
pub(crate) struct View {
    store: Arc<Stored>,
    packs: Option<Vec<(Id, u32)>>,
    snapshots: Option<Vec<(Id, u32)>>,
    index: Option<Vec<(Id, u32)>>,
    /// Indexes that are written go here, and are seen, instead of onto the disk.
    own: Option<Mutex<BTreeMap<Id, Bytes>>>,
    removes: bool,
}

impl View {
    /// These packs and no index: what the engine makes of them is added.
    pub(crate) const fn unindexed(store: Arc<Stored>, packs: Vec<(Id, u32)>) -> Self {
        Self {
            store,
            packs: Some(packs),
            snapshots: None,
            index: Some(Vec::new()),
            own: None,
            removes: false,
        }
    }

    /// One pack, as it says itself what is in it. Nothing is written.
    fn alone(store: Arc<Stored>, pack: (Id, u32)) -> Self {
        let own = Some(Mutex::default());
        Self { store, packs: Some(vec![pack]), snapshots: None, index: None, own, removes: false }
    }

    /// Everything, but for the snapshots and indexes that came after it was made. What is needed by a snapshot is in an
    /// index before the snapshot is there: snapshots are listed first.
    pub(crate) fn of_now(store: Arc<Stored>) -> RusticResult<Self> {
        let snapshots = Some(store.list_with_size(FileType::Snapshot)?);
        let index = Some(store.list_with_size(FileType::Index)?);
        Ok(Self { store, packs: None, snapshots, index, own: None, removes: true })
    }

    fn own(&self, kind: FileType) -> Option<std::sync::MutexGuard<'_, BTreeMap<Id, Bytes>>> {
        let own = self.own.as_ref().filter(|_| kind == FileType::Index)?;
        Some(own.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn refused(doing: &str) -> Box<RusticError> {
    RusticError::new(ErrorKind::AppendOnly, format!("{doing} is not for who only looks"))
}

impl ReadBackend for View {
    fn location(&self) -> String {
        self.store.location()
    }

    fn list_with_size(&self, kind: FileType) -> RusticResult<Vec<(Id, u32)>> {
        if let Some(own) = self.own(kind) {
            let length = |bytes: &Bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            return Ok(own.iter().map(|(id, bytes)| (*id, length(bytes))).collect());
        }
        let fixed = match kind {
            FileType::Pack => &self.packs,
            FileType::Snapshot => &self.snapshots,
            FileType::Index => &self.index,
            FileType::Config | FileType::Key => &None,
        };
        fixed.as_ref().map_or_else(|| self.store.list_with_size(kind), |fixed| Ok(fixed.clone()))
    }

    fn read_full(&self, kind: FileType, id: &Id) -> RusticResult<Bytes> {
        let held = self.own(kind).and_then(|own| own.get(id).cloned());
        held.map_or_else(|| self.store.read_full(kind, id), Ok)
    }

    fn read_partial(
        &self,
        kind: FileType,
        id: &Id,
        cacheable: bool,
        offset: u32,
        length: u32,
    ) -> RusticResult<Bytes> {
        self.store.read_partial(kind, id, cacheable, offset, length)
    }

    fn warmup_path(&self, kind: FileType, id: &Id) -> String {
        self.store.warmup_path(kind, id)
    }
}

impl WriteBackend for View {
    fn create(&self) -> RusticResult<()> {
        self.store.create()
    }

    fn write_bytes(&self, kind: FileType, id: &Id, cacheable: bool, content: BytesList) -> RusticResult<()> {
        if let Some(mut own) = self.own(kind) {
            own.insert(*id, content.slice().concat().into());
            return Ok(());
        }
        if self.own.is_some() {
            return Err(refused("writing"));
        }
        self.store.write_bytes(kind, id, cacheable, content)
    }

    fn remove(&self, kind: FileType, id: &Id, cacheable: bool) -> RusticResult<()> {
        if self.removes { self.store.remove(kind, id, cacheable) } else { Err(refused("removing")) }
    }
}

/// A pack that is read by its own list.
pub(crate) struct Alone(rustic_core::Repository<IndexedFullStatus>);

impl Alone {
    pub(crate) fn open(repository: &Repository, pack: PackId, size: u32) -> Result<Self, BackupError> {
        let failed = engine("reading a pack", repository.place());
        let view = View::alone(Arc::clone(repository.store()), (pack.into_inner(), size));
        let open = repository.opened_through(Arc::new(view))?;
        open.repair_index(&RepairIndexOptions::default(), false).map_err(&failed)?;
        Ok(Self(open.to_indexed().map_err(&failed)?))
    }

    /// What the pack says is in it.
    pub(crate) fn list(&self) -> Option<Vec<IndexBlob>> {
        let mut blobs = Vec::new();
        for index in self.0.stream_files::<IndexFile>().ok()? {
            blobs.extend(index.ok()?.1.packs.into_iter().flat_map(|pack| pack.blobs));
        }
        Some(blobs)
    }

    /// The blob, if it is in there as its id says.
    pub(crate) fn blob(&self, id: BlobId, kind: BlobType) -> Option<Bytes> {
        match self.0.get_blob_cached(&id, kind) {
            Ok(bytes) => id.blob_matches_reader(bytes.len() as u64, &mut &*bytes).then_some(bytes),
            Err(error) => {
                tracing::debug!(%id, why = said(&error), "not in this pack");
                None
            }
        }
    }
}
