//! What a repository has: which blobs, and where they lie, as its indexes say. Read once before a run or a restore. It is
//! believed as far as what lies there opens; whoever restores holds that against its hash.

use std::collections::{HashMap, HashSet};

use rustic_core::{
    FileType, Id, OpenStatus, ReadBackend,
    repofile::{BlobType, IndexFile, IndexPack, PackId, Tree},
};

use crate::{
    BackupError, Repository,
    ahead::Ahead,
    error::{engine, said},
    sealing::Sealer,
};

/// Bytes that sealing adds to a blob: the number used once, and the tag.
const SEAL: u32 = 32;

/// Where a blob lies: its pack, from where, how long, and how long it was.
#[derive(Debug, Clone, Copy)]
struct Place {
    pack: u32,
    offset: u32,
    length: u32,
    uncompressed: Option<u32>,
}

/// What the indexes say.
#[derive(Debug, Default)]
pub(crate) struct Known {
    data: HashMap<Id, Place>,
    trees: HashMap<Id, Place>,
    pub(crate) packs: HashSet<PackId>,
    /// Packs by their numbers in places, and where the blobs of each end.
    numbered: Vec<(PackId, u32)>,
    ahead: Ahead,
    /// Bytes of the blobs of either kind, as they lie.
    pub(crate) data_bytes: u64,
    pub(crate) tree_bytes: u64,
}

impl Known {
    pub(crate) fn read(
        repository: &Repository,
        open: &rustic_core::Repository<OpenStatus>,
    ) -> Result<Self, BackupError> {
        let failed = engine("reading the indexes", repository.place());
        let mut known = Self::default();
        for index in open.stream_files::<IndexFile>().map_err(&failed)? {
            let (_, index) = index.map_err(&failed)?;
            // What is to be removed may be gone before this run ends.
            known.packs.extend(index.packs_to_delete.iter().map(|pack| pack.id));
            for pack in index.packs {
                if known.packs.insert(pack.id) {
                    known.take(&pack);
                }
            }
        }
        Ok(known)
    }

    fn take(&mut self, pack: &IndexPack) {
        let number = u32::try_from(self.numbered.len()).unwrap_or(u32::MAX);
        let ends = pack.blobs.iter().map(|blob| blob.location.offset.saturating_add(blob.location.length));
        self.numbered.push((pack.id, ends.max().unwrap_or_default()));
        for blob in &pack.blobs {
            let at = blob.location;
            let uncompressed = at.uncompressed_length.map(u32::from);
            let place = Place { pack: number, offset: at.offset, length: at.length, uncompressed };
            let (blobs, bytes) = match blob.tpe {
                BlobType::Data => (&mut self.data, &mut self.data_bytes),
                BlobType::Tree => (&mut self.trees, &mut self.tree_bytes),
            };
            blobs.insert(blob.id.into_inner(), place);
            *bytes += u64::from(at.length);
        }
    }

    /// The data that is there; from here on it is not known where.
    pub(crate) fn data_ids(&mut self) -> HashSet<Id> {
        std::mem::take(&mut self.data).into_keys().collect()
    }

    /// The trees that are there.
    pub(crate) fn tree_ids(&self) -> HashSet<Id> {
        self.trees.keys().copied().collect()
    }

    /// How long a file's blob is said to be.
    pub(crate) fn length(&self, id: Id) -> Option<u64> {
        let place = self.data.get(&id)?;
        let sealed = place.length.saturating_sub(SEAL);
        Some(u64::from(place.uncompressed.unwrap_or(sealed)))
    }

    /// What lies where a blob is said to be.
    ///
    /// # Errors
    /// In words, why there is nothing.
    pub(crate) fn blob(
        &self,
        id: Id,
        kind: BlobType,
        store: &dyn ReadBackend,
        sealer: &mut Sealer,
    ) -> Result<Vec<u8>, String> {
        let blobs = if kind == BlobType::Data { &self.data } else { &self.trees };
        let found = blobs
            .get(&id)
            .and_then(|place| Some((place, self.numbered.get(usize::try_from(place.pack).ok()?)?)));
        let found = found.ok_or_else(|| format!("the backup is damaged: no index names {id}"))?;
        let (place, (pack, end)) = found;
        let read = |from, length| store.read_partial(FileType::Pack, pack, false, from, length);
        let sealed = self.ahead.read((place.pack, *end), (place.offset, place.length), read);
        let sealed = sealed.map_err(|error| said(&error))?;
        let opened = sealer.open(&sealed, place.uncompressed);
        opened.ok_or_else(|| format!("the backup is damaged: what lies in the pack {pack} was changed"))
    }

    /// A tree that is there, if it can be read: it is only compared with.
    pub(crate) fn tree(&self, id: Id, store: &dyn ReadBackend, sealer: &mut Sealer) -> Option<Tree> {
        serde_json::from_slice(&self.blob(id, BlobType::Tree, store, sealer).ok()?).ok()
    }
}
