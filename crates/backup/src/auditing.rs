//! Who may only add can add an index that lies: that a blob lies in a pack where it does not, or that a pack is to be
//! removed which somebody is writing. The engine's prune believes each index. So nothing is pruned before what the indexes say
//! twice was held against the packs themselves; and a restore looks at all places of a blob that one index leads it wrong to.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use rustic_core::{
    BlobId, FileType, OpenStatus, ReadBackend,
    repofile::{BlobType, IndexBlob, IndexFile, PackId},
};

use crate::{BackupError, Repository, error::engine, view::Alone};

/// The engine removes what has been marked for so long.
const MARKED_FOR: Duration = Duration::from_hours(23);
/// So many packs are named.
const NAMED_MAX: usize = 10;

type Open = rustic_core::Repository<OpenStatus>;

/// Where each blob lies, as the indexes say.
pub(crate) struct Places {
    packs: Vec<PackId>,
    blobs: Vec<(BlobId, u32)>,
}

impl Places {
    pub(crate) fn read(repository: &Repository, open: &Open) -> Result<Self, BackupError> {
        let failed = engine("reading the indexes", repository.place());
        let (mut numbers, mut blobs) = (BTreeMap::new(), Vec::new());
        for index in open.stream_files::<IndexFile>().map_err(&failed)? {
            let (_, index) = index.map_err(&failed)?;
            for pack in index.packs {
                let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                let number = *numbers.entry(pack.id).or_insert(next);
                blobs.extend(pack.blobs.iter().map(|blob| (blob.id, number)));
            }
        }
        blobs.sort_unstable();
        blobs.dedup();
        let mut packs: Vec<_> = numbers.into_iter().map(|(pack, number)| (number, pack)).collect();
        packs.sort_unstable();
        Ok(Self { packs: packs.into_iter().map(|(_, pack)| pack).collect(), blobs })
    }

    /// The packs that are said to have a blob.
    pub(crate) fn of(&self, id: BlobId) -> impl Iterator<Item = PackId> {
        let first = self.blobs.partition_point(|(blob, _)| *blob < id);
        let those = self.blobs.iter().skip(first).take_while(move |(blob, _)| *blob == id);
        those.filter_map(move |(_, number)| self.packs.get(usize::try_from(*number).ok()?).copied())
    }

    /// The blobs that are said to be in several packs, by pack.
    fn several(&self) -> BTreeMap<PackId, BTreeSet<BlobId>> {
        let mut several: BTreeMap<PackId, BTreeSet<BlobId>> = BTreeMap::new();
        for same in self.blobs.chunk_by(|one, other| one.0 == other.0).filter(|same| same.len() > 1) {
            for (blob, number) in same {
                if let Some(pack) = usize::try_from(*number).ok().and_then(|number| self.packs.get(number)) {
                    several.entry(*pack).or_default().insert(*blob);
                }
            }
        }
        several
    }
}

/// In the order in which they lie.
fn sorted(mut blobs: Vec<IndexBlob>) -> Vec<IndexBlob> {
    blobs.sort_by_key(|blob| (blob.location.offset, blob.location.length, blob.id));
    blobs
}

impl Repository {
    /// Refuses a prune that could take away what is needed, because an index is false. `open` shows the indexes that the
    /// prune will go by, and no other.
    pub(crate) fn audited(&self, open: &Open) -> Result<(), BackupError> {
        let several = Places::read(self, open)?.several();
        let failed = engine("reading the indexes", self.place());
        let mut said: BTreeMap<PackId, Vec<IndexBlob>> = BTreeMap::new();
        let mut mentions: BTreeMap<PackId, u32> = BTreeMap::new();
        let mut false_packs = BTreeSet::new();
        let mut early = BTreeSet::new();
        for index in open.stream_files::<IndexFile>().map_err(&failed)? {
            let (_, index) = index.map_err(&failed)?;
            for pack in index.packs {
                *mentions.entry(pack.id).or_default() += 1;
            }
            for pack in index.packs_to_delete {
                // Marked before it was there: somebody foresaw it.
                let marked = pack.time.map(SystemTime::from);
                if self.is_new(pack.id, marked) {
                    early.insert(pack.id);
                }
            }
        }
        let looked_at =
            |pack: &PackId| several.contains_key(pack) || mentions.get(pack).is_some_and(|n| *n > 1);
        for index in open.stream_files::<IndexFile>().map_err(&failed)? {
            let (_, index) = index.map_err(&failed)?;
            for pack in index.packs.into_iter().filter(|pack| looked_at(&pack.id)) {
                let blobs = sorted(pack.blobs);
                if said.insert(pack.id, blobs.clone()).is_some_and(|before| before != blobs) {
                    false_packs.insert(pack.id);
                }
            }
        }
        early.retain(|pack| !mentions.contains_key(pack));
        let sizes: BTreeMap<_, _> =
            self.store().list_with_size(FileType::Pack).map_err(&failed)?.into_iter().collect();
        for (pack, blobs) in said {
            let there = sizes.get(&*pack).and_then(|size| Alone::open(self, pack, *size).ok());
            let wanted = several.get(&pack);
            if !there.is_some_and(|there| there.holds(&blobs, wanted)) {
                false_packs.insert(pack);
            }
        }
        let packs: BTreeSet<_> = false_packs.union(&early).collect();
        if packs.is_empty() {
            return Ok(());
        }
        let named: Vec<_> =
            packs.iter().take(NAMED_MAX).map(|pack| pack.to_hex().as_str().to_owned()).collect();
        Err(BackupError::FalseIndex {
            place: self.place().to_owned(),
            count: packs.len(),
            named: named.join(", "),
        })
    }

    /// Whether a pack is so young that somebody may still be writing what needs it, and is younger than the mark that says
    /// it goes.
    fn is_new(&self, pack: PackId, marked: Option<SystemTime>) -> bool {
        let Some(written) = self.store().written(FileType::Pack, &pack) else { return false };
        let young = SystemTime::now().duration_since(written).map_or(true, |age| age < MARKED_FOR);
        // Clocks of two machines, and of a disk, differ a little.
        young && marked.is_none_or(|marked| marked + Duration::from_mins(10) < written)
    }
}

impl Alone {
    /// Whether the pack has what an index says, and these of its blobs are what their ids say.
    fn holds(&self, said: &[IndexBlob], wanted: Option<&BTreeSet<BlobId>>) -> bool {
        let Some(own) = self.list() else { return false };
        let kinds: BTreeMap<BlobId, BlobType> = own.iter().map(|blob| (blob.id, blob.tpe)).collect();
        let good = |id: &BlobId| kinds.get(id).is_some_and(|kind| self.blob(*id, *kind).is_some());
        sorted(own) == said && wanted.into_iter().flatten().all(good)
    }
}
