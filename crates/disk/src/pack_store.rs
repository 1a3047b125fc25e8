//! Which blob of a backend lies where: in which pack on the foreign store, from which byte on. To
//! this store names are 32 bytes.

use std::path::Path;

use freehold_wire::{BlobName, Millis};
use redb::{ReadableTable as _, Table, TableDefinition, WriteTransaction};

use crate::StoreError;
use crate::store::Store;

const FORMAT: u64 = 1;

type Key32 = [u8; 32];
/// Bytes there, their BLAKE3 (zeros: not known), number, bytes of blobs that count, how many, bytes
/// of all blobs in it.
type Pack = (u64, &'static Key32, u64, u64, u64, u64);
/// Pack, first byte, bytes, when it came.
type Place = (&'static Key32, u64, u64, u64);

const PACKS: TableDefinition<&Key32, Pack> = TableDefinition::new("packs");
const BLOBS: TableDefinition<&Key32, Place> = TableDefinition::new("blobs");
/// (pack, blob): what counts in a pack.
const MEMBERS: TableDefinition<(&Key32, &Key32), ()> = TableDefinition::new("members");
/// Packs that are being written.
const PENDING: TableDefinition<&Key32, ()> = TableDefinition::new("pending");
/// Packs that are needed no longer and may be there still.
const DYING: TableDefinition<&Key32, ()> = TableDefinition::new("dying");
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

/// The name of a pack: random, and its name on the foreign store.
pub type PackName = [u8; 32];

/// A pack on the foreign store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackRow {
    /// Its name.
    pub name: PackName,
    /// Its bytes there.
    pub len: u64,
    /// BLAKE3 of them, if it is known.
    pub hash: Option<[u8; 32]>,
    /// Packs are numbered as they are written; of two that have a blob the later one counts.
    pub seq: u64,
    /// Bytes of blobs in it that count.
    pub live: u64,
    /// How many.
    pub blobs: u64,
    /// Bytes of all blobs in it, also of those that count no longer.
    pub held: u64,
}

/// Where a blob lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobRow {
    /// Its name.
    pub name: BlobName,
    /// The pack.
    pub pack: PackName,
    /// Its first byte in what the pack holds.
    pub offset: u64,
    /// Its bytes.
    pub len: u64,
    /// When it came.
    pub modified: Millis,
}

/// A pack that has been written, with what lies in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPack {
    /// Its name.
    pub name: PackName,
    /// Its bytes there.
    pub len: u64,
    /// BLAKE3 of them, if it is known.
    pub hash: Option<[u8; 32]>,
    /// Its number.
    pub seq: u64,
    /// What lies in it; `pack` is not looked at.
    pub blobs: Vec<BlobRow>,
}

/// A round in which every pack is read, in the order of their names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Round {
    /// Those whose names begin with less, as a number of 8 bytes, have been read.
    pub at: u64,
    /// When it began; `None` before the first.
    pub began: Option<Millis>,
}

/// The map of a backend. Methods that write return once the write is durable; all of them block,
/// so an async caller runs them on a blocking thread.
#[derive(Debug)]
pub struct PackStore {
    store: Store,
}

impl PackStore {
    /// Opens or makes the map.
    ///
    /// # Errors
    /// [`StoreError`]; its `remedy` says what to do.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let store = Store::open(path, FORMAT, |txn| {
            txn.open_table(PACKS)?;
            txn.open_table(BLOBS)?;
            txn.open_table(MEMBERS)?;
            txn.open_table(PENDING)?;
            txn.open_table(DYING)?;
            txn.open_table(META)?;
            Ok(())
        })?;
        Ok(Self { store })
    }

    /// Whether it says all that there is: a new map does not, before the foreign store was looked at.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn is_whole(&self) -> Result<bool, StoreError> {
        self.store.read(|txn| Ok(txn.open_table(META)?.get("whole")?.is_some()))
    }

    /// Says that it is whole from now on.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn set_whole(&self) -> Result<(), StoreError> {
        self.write(|txn| {
            txn.open_table(META)?.insert("whole", 1)?;
            Ok(())
        })
    }

    /// When what counts no longer was last written out of all packs.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn purged(&self) -> Result<Millis, StoreError> {
        self.store.read(|txn| Ok(Millis(txn.open_table(META)?.get("purged")?.map_or(0, |row| row.value()))))
    }

    /// Says that it has been written out of all packs.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn set_purged(&self, at: Millis) -> Result<(), StoreError> {
        self.write(move |txn| {
            txn.open_table(META)?.insert("purged", at.0)?;
            Ok(())
        })
    }

    /// How far the round has come in which every pack is read.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn round(&self) -> Result<Round, StoreError> {
        self.store.read(|txn| {
            let meta = txn.open_table(META)?;
            let at = meta.get("round at")?.map_or(0, |row| row.value());
            let began = meta.get("round began")?.map(|row| Millis(row.value()));
            Ok(Round { at, began })
        })
    }

    /// Says how far it has come.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn set_round(&self, round: Round) -> Result<(), StoreError> {
        self.write(move |txn| {
            let mut meta = txn.open_table(META)?;
            meta.insert("round at", round.at)?;
            if let Some(began) = round.began {
                meta.insert("round began", began.0)?;
            }
            Ok(())
        })
    }

    /// Notes that a pack of this name is about to be written, and numbers it.
    ///
    /// # Errors
    /// [`StoreError`]; then it must not be written.
    pub fn begin(&self, name: PackName) -> Result<u64, StoreError> {
        self.write(move |txn| {
            txn.open_table(PENDING)?.insert(&name, ())?;
            let mut meta = txn.open_table(META)?;
            let seq = meta.get("seq")?.map_or(0, |row| row.value()).saturating_add(1);
            meta.insert("seq", seq)?;
            Ok(seq)
        })
    }

    /// Takes in a pack that was written just now: what it has counts.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing has changed.
    pub fn keep(&self, pack: NewPack) -> Result<(), StoreError> {
        self.write(move |txn| Tables::open(txn)?.keep(&pack, &Counts::All))
    }

    /// Takes in a pack that was found. A blob that came later, or lies in a later pack, stays where
    /// it is.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing has changed.
    pub fn found(&self, pack: NewPack) -> Result<(), StoreError> {
        self.write(move |txn| Tables::open(txn)?.keep(&pack, &Counts::Later))
    }

    /// Takes in a pack into which blobs of other packs were written anew. A blob that has left those
    /// meanwhile does not count in it.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing has changed.
    pub fn moved(&self, pack: NewPack, from: Vec<PackName>) -> Result<(), StoreError> {
        self.write(move |txn| Tables::open(txn)?.keep(&pack, &Counts::From(from)))
    }

    /// Gives up a pack that was begun: what is there of it is to be removed.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn give_up(&self, name: PackName) -> Result<(), StoreError> {
        self.write(move |txn| {
            txn.open_table(PENDING)?.remove(&name)?;
            txn.open_table(DYING)?.insert(&name, ())?;
            Ok(())
        })
    }

    /// Gives up every pack that was begun, after a start: nobody is writing them any more.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn give_up_all(&self) -> Result<(), StoreError> {
        self.write(|txn| {
            let mut pending = txn.open_table(PENDING)?;
            let mut dying = txn.open_table(DYING)?;
            while let Some((name, ())) = pending.pop_first()?.map(|(name, _)| (*name.value(), ())) {
                dying.insert(&name, ())?;
            }
            Ok(())
        })
    }

    /// Removes a blob, and says how long it was.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn delete(&self, name: BlobName) -> Result<Option<u64>, StoreError> {
        self.write(move |txn| Tables::open(txn)?.drop_blob(name.as_bytes()))
    }

    /// Forgets a pack that is not there, with all blobs in it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn forget(&self, pack: PackName) -> Result<(), StoreError> {
        let blobs: Vec<_> = self.members(&pack)?.into_iter().map(|row| row.name).collect();
        self.write(move |txn| {
            let mut tables = Tables::open(txn)?;
            for name in &blobs {
                if tables.blobs.get(name.as_bytes())?.is_some_and(|row| *row.value().0 == pack) {
                    tables.drop_blob(name.as_bytes())?;
                }
            }
            Ok(())
        })
    }

    /// Keeps the hash of a pack that was read whole.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn set_hash(&self, pack: PackName, hash: [u8; 32]) -> Result<(), StoreError> {
        self.write(move |txn| {
            let mut packs = txn.open_table(PACKS)?;
            let Some(row) = packs.get(&pack)?.map(|row| own(&pack, row.value())) else { return Ok(()) };
            packs.insert(&pack, (row.len, &hash, row.seq, row.live, row.blobs, row.held))?;
            Ok(())
        })
    }

    /// Says that a pack needed no longer is gone.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn gone(&self, names: Vec<PackName>) -> Result<(), StoreError> {
        self.write(move |txn| {
            let mut dying = txn.open_table(DYING)?;
            for name in &names {
                dying.remove(name)?;
            }
            Ok(())
        })
    }

    /// Where a blob lies.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn blob(&self, name: &BlobName) -> Result<Option<BlobRow>, StoreError> {
        self.store.read(|txn| {
            let row = txn.open_table(BLOBS)?.get(name.as_bytes())?;
            Ok(row.map(|row| blob_row(*name, row.value())))
        })
    }

    /// A pack.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn pack(&self, name: &PackName) -> Result<Option<PackRow>, StoreError> {
        self.store.read(|txn| Ok(txn.open_table(PACKS)?.get(name)?.map(|row| own(name, row.value()))))
    }

    /// The next blobs behind a name, at most `max`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn blobs_after(&self, after: Option<BlobName>, max: usize) -> Result<Vec<BlobRow>, StoreError> {
        self.store.read(|txn| {
            let table = txn.open_table(BLOBS)?;
            let from =
                after.map_or(std::ops::Bound::Unbounded, |name| std::ops::Bound::Excluded(*name.as_bytes()));
            let range = (from.as_ref(), std::ops::Bound::Unbounded::<&Key32>);
            let rows = table.range::<&Key32>(range)?.take(max);
            rows.map(|row| {
                let (name, row) = row?;
                Ok(blob_row(BlobName::from_bytes(*name.value()), row.value()))
            })
            .collect()
        })
    }

    /// What counts in a pack.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn members(&self, pack: &PackName) -> Result<Vec<BlobRow>, StoreError> {
        self.store.read(|txn| {
            let (members, blobs) = (txn.open_table(MEMBERS)?, txn.open_table(BLOBS)?);
            let mut rows = Vec::new();
            for row in members.range((pack, &[0; 32])..=(pack, &[0xff; 32]))? {
                let name = *row?.0.value().1;
                if let Some(row) = blobs.get(&name)? {
                    rows.push(blob_row(BlobName::from_bytes(name), row.value()));
                }
            }
            Ok(rows)
        })
    }

    /// All packs.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn packs(&self) -> Result<Vec<PackRow>, StoreError> {
        self.store.read(|txn| {
            let table = txn.open_table(PACKS)?;
            table
                .iter()?
                .map(|row| row.map(|(name, row)| own(name.value(), row.value())).map_err(Into::into))
                .collect()
        })
    }

    /// Packs that are needed no longer and may be there still.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn dying(&self) -> Result<Vec<PackName>, StoreError> {
        self.names(DYING)
    }

    /// Packs that are being written.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn pending(&self) -> Result<Vec<PackName>, StoreError> {
        self.names(PENDING)
    }

    fn names(&self, table: TableDefinition<'_, &Key32, ()>) -> Result<Vec<PackName>, StoreError> {
        self.store.read(|txn| {
            let table = txn.open_table(table)?;
            table.iter()?.map(|row| row.map(|(name, _)| *name.value()).map_err(Into::into)).collect()
        })
    }

    fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let path = self.store.path().to_owned();
        self.store.writer.wait(move |txn| job(txn).map_err(|error| StoreError::redb("writing", &path, error)))
    }
}

/// Which blobs of a pack count in it.
enum Counts {
    All,
    /// Those that are later than what is known.
    Later,
    /// Those that lay in one of these until now.
    From(Vec<PackName>),
}

/// The tables that a blob stands in.
struct Tables<'a> {
    packs: Table<'a, &'static Key32, Pack>,
    blobs: Table<'a, &'static Key32, Place>,
    members: Table<'a, (&'static Key32, &'static Key32), ()>,
    pending: Table<'a, &'static Key32, ()>,
    dying: Table<'a, &'static Key32, ()>,
    meta: Table<'a, &'static str, u64>,
}

impl<'a> Tables<'a> {
    fn open(txn: &'a WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            packs: txn.open_table(PACKS)?,
            blobs: txn.open_table(BLOBS)?,
            members: txn.open_table(MEMBERS)?,
            pending: txn.open_table(PENDING)?,
            dying: txn.open_table(DYING)?,
            meta: txn.open_table(META)?,
        })
    }

    fn keep(&mut self, pack: &NewPack, which: &Counts) -> Result<(), redb::Error> {
        if self.packs.get(&pack.name)?.is_some() {
            return Ok(());
        }
        self.pending.remove(&pack.name)?;
        self.dying.remove(&pack.name)?;
        let (mut live, mut blobs) = (0u64, 0u64);
        for blob in &pack.blobs {
            let key = blob.name.as_bytes();
            let old = self.blobs.get(key)?.map(|row| (*row.value().0, row.value().3));
            let counts = match (which, &old) {
                (Counts::All, _) | (Counts::Later, None) => true,
                (Counts::From(from), old) => old.is_some_and(|(old, _)| from.contains(&old)),
                (Counts::Later, Some((old, at))) => {
                    let seq = self.packs.get(old)?.map_or(0, |row| row.value().2);
                    (*at, seq) < (blob.modified.0, pack.seq)
                }
            };
            let old = old.map(|(old, _)| old);
            if !counts || old == Some(pack.name) {
                continue;
            }
            self.drop_blob(key)?;
            self.blobs.insert(key, (&pack.name, blob.offset, blob.len, blob.modified.0))?;
            self.members.insert((&pack.name, key), ())?;
            live = live.saturating_add(blob.len);
            blobs += 1;
        }
        let seq = self.meta.get("seq")?.map_or(0, |row| row.value()).max(pack.seq);
        self.meta.insert("seq", seq)?;
        if blobs == 0 {
            self.dying.insert(&pack.name, ())?;
            return Ok(());
        }
        let held = pack.blobs.iter().fold(0u64, |sum, blob| sum.saturating_add(blob.len));
        let hash = pack.hash.unwrap_or_default();
        self.packs.insert(&pack.name, (pack.len, &hash, pack.seq, live, blobs, held))?;
        Ok(())
    }

    fn drop_blob(&mut self, name: &Key32) -> Result<Option<u64>, redb::Error> {
        let Some((pack, len)) = self.blobs.remove(name)?.map(|row| (*row.value().0, row.value().2)) else {
            return Ok(None);
        };
        self.members.remove((&pack, name))?;
        let Some(row) = self.packs.get(&pack)?.map(|row| own(&pack, row.value())) else {
            return Ok(Some(len));
        };
        if row.blobs <= 1 {
            self.packs.remove(&pack)?;
            self.dying.insert(&pack, ())?;
        } else {
            let hash = row.hash.unwrap_or_default();
            let live = row.live.saturating_sub(len);
            self.packs.insert(&pack, (row.len, &hash, row.seq, live, row.blobs - 1, row.held))?;
        }
        Ok(Some(len))
    }
}

fn own(name: &PackName, (len, hash, seq, live, blobs, held): (u64, &Key32, u64, u64, u64, u64)) -> PackRow {
    let hash = (*hash != [0; 32]).then_some(*hash);
    PackRow { name: *name, len, hash, seq, live, blobs, held }
}

fn blob_row(name: BlobName, (pack, offset, len, modified): (&Key32, u64, u64, u64)) -> BlobRow {
    BlobRow { name, pack: *pack, offset, len, modified: Millis(modified) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(name: u8, len: u64) -> BlobRow {
        BlobRow { name: BlobName::from_bytes([name; 32]), pack: [0; 32], offset: 0, len, modified: Millis(7) }
    }

    fn pack(store: &PackStore, name: u8, blobs: &[BlobRow]) -> NewPack {
        let seq = store.begin([name; 32]).unwrap();
        NewPack { name: [name; 32], len: 1000, hash: Some([9; 32]), seq, blobs: blobs.to_vec() }
    }

    #[test]
    fn a_pack_goes_with_its_last_blob() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("packs.redb");
        let store = PackStore::open(&path).unwrap();
        assert!(!store.is_whole().unwrap());
        store.set_whole().unwrap();
        store.keep(pack(&store, 1, &[blob(1, 10), blob(2, 20)])).unwrap();
        let row = store.pack(&[1; 32]).unwrap().unwrap();
        assert_eq!((row.live, row.held, row.blobs), (30, 30, 2));
        assert_eq!(store.delete(blob(1, 0).name).unwrap(), Some(10));
        assert_eq!(store.delete(blob(1, 0).name).unwrap(), None);
        let row = store.pack(&[1; 32]).unwrap().unwrap();
        assert_eq!((row.live, row.held, row.blobs), (20, 30, 1));
        store.set_purged(Millis(5)).unwrap();
        assert_eq!(store.round().unwrap(), Round::default());
        let round = Round { at: 7, began: Some(Millis(9)) };
        store.set_round(round).unwrap();
        drop(store);
        let store = PackStore::open(&path).unwrap();
        assert!(store.is_whole().unwrap() && store.pending().unwrap().is_empty());
        assert_eq!((store.purged().unwrap(), store.round().unwrap()), (Millis(5), round));
        assert_eq!(store.members(&[1; 32]).unwrap().len(), 1);
        assert_eq!(store.blobs_after(None, 10).unwrap()[0].len, 20);
        assert!(store.blobs_after(Some(blob(2, 0).name), 10).unwrap().is_empty());
        store.delete(blob(2, 0).name).unwrap();
        assert_eq!((store.packs().unwrap(), store.dying().unwrap()), (vec![], vec![[1; 32]]));
        store.gone(vec![[1; 32]]).unwrap();
        assert!(store.dying().unwrap().is_empty());
    }

    #[test]
    fn of_two_packs_with_a_blob_the_later_one_counts() {
        let home = tempfile::tempdir().unwrap();
        let store = PackStore::open(&home.path().join("packs.redb")).unwrap();
        let first = pack(&store, 1, &[blob(1, 10), blob(2, 20)]);
        let second = pack(&store, 2, &[blob(1, 11)]);
        store.found(second).unwrap();
        store.found(first.clone()).unwrap();
        store.found(first).unwrap();
        assert_eq!(store.blob(&blob(1, 0).name).unwrap().unwrap().pack, [2; 32]);
        assert_eq!(store.blob(&blob(2, 0).name).unwrap().unwrap().pack, [1; 32]);
        assert_eq!(store.pack(&[1; 32]).unwrap().unwrap().live, 20);
    }

    #[test]
    fn what_left_while_it_was_moved_does_not_come_back() {
        let home = tempfile::tempdir().unwrap();
        let store = PackStore::open(&home.path().join("packs.redb")).unwrap();
        store.keep(pack(&store, 1, &[blob(1, 10), blob(2, 20), blob(3, 30)])).unwrap();
        let anew = pack(&store, 3, &[blob(1, 10), blob(2, 20), blob(3, 30)]);
        store.delete(blob(1, 0).name).unwrap();
        store.keep(pack(&store, 2, &[blob(2, 21)])).unwrap();
        store.moved(anew, vec![[1; 32]]).unwrap();
        assert_eq!(store.blob(&blob(1, 0).name).unwrap(), None);
        assert_eq!(store.blob(&blob(2, 0).name).unwrap().unwrap().pack, [2; 32]);
        assert_eq!(store.blob(&blob(3, 0).name).unwrap().unwrap().pack, [3; 32]);
        assert_eq!(store.dying().unwrap(), [[1; 32]]);
        store.forget([3; 32]).unwrap();
        assert_eq!(store.blob(&blob(3, 0).name).unwrap(), None);
    }

    #[test]
    fn what_was_begun_before_a_crash_is_to_be_removed() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("packs.redb");
        let store = PackStore::open(&path).unwrap();
        store.begin([1; 32]).unwrap();
        store.begin([2; 32]).unwrap();
        store.give_up([2; 32]).unwrap();
        assert_eq!(store.pending().unwrap(), [[1; 32]]);
        drop(store);
        let store = PackStore::open(&path).unwrap();
        store.give_up_all().unwrap();
        assert_eq!((store.pending().unwrap(), store.dying().unwrap()), (vec![], vec![[1; 32], [2; 32]]));
    }
}
