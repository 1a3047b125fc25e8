//! The realm log on disk: operations as bytes in the order in which they came, when each was
//! first seen, and the highest epoch, which is never lowered.

use std::path::Path;

use freehold_wire::{Millis, OpId};
use redb::{ReadableTable as _, TableDefinition, WriteTransaction};

use crate::StoreError;
use crate::store::Store;

const FORMAT: u64 = 1;
/// Arrival number and first-seen time of an operation.
const OPERATIONS: TableDefinition<&[u8; 32], (u64, u64)> = TableDefinition::new("operations");
/// Arrival number to id and bytes.
const ARRIVED: TableDefinition<u64, (&[u8; 32], &[u8])> = TableDefinition::new("arrived");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const EPOCH: TableDefinition<&str, u64> = TableDefinition::new("epoch");

/// An operation as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Its id.
    pub id: OpId,
    /// When this node first had it.
    pub first_seen: Millis,
    /// Its bytes, with all signatures known.
    pub bytes: Vec<u8>,
}

/// The store of one realm's log. Methods that write return once the write is durable; they block,
/// so an async caller runs them on a blocking thread.
#[derive(Debug)]
pub struct LogStore {
    store: Store,
}

impl LogStore {
    /// Opens or makes the store.
    ///
    /// # Errors
    /// [`StoreError`]; its `remedy` says what to do.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let store = Store::open(path, FORMAT, |txn| {
            txn.open_table(OPERATIONS)?;
            txn.open_table(ARRIVED)?;
            txn.open_table(META)?;
            txn.open_table(EPOCH)?;
            Ok(())
        })?;
        Ok(Self { store })
    }

    /// Keeps operations, durably. One that is known keeps its place and first-seen time, and gets
    /// these bytes: the same operation with more signatures.
    ///
    /// # Errors
    /// [`StoreError`]; then none of them is kept.
    pub fn append(&self, operations: Vec<(OpId, Vec<u8>)>, now: Millis) -> Result<(), StoreError> {
        self.write(move |txn| {
            let mut known = txn.open_table(OPERATIONS)?;
            let mut arrived = txn.open_table(ARRIVED)?;
            let mut next = arrived.last()?.map_or(0, |(number, _)| number.value().saturating_add(1));
            for (id, bytes) in &operations {
                let id = id.as_bytes();
                let place = known.get(id)?.map(|row| row.value().0);
                let number = if let Some(number) = place {
                    number
                } else {
                    let number = next;
                    next = next.saturating_add(1);
                    known.insert(id, (number, now.0))?;
                    number
                };
                arrived.insert(number, (id, bytes.as_slice()))?;
            }
            Ok(())
        })
    }

    /// Forgets operations that turned out not to belong to the log.
    ///
    /// # Errors
    /// [`StoreError`]; then all of them are kept.
    pub fn erase(&self, ids: Vec<OpId>) -> Result<(), StoreError> {
        self.write(move |txn| {
            let mut known = txn.open_table(OPERATIONS)?;
            let mut arrived = txn.open_table(ARRIVED)?;
            for id in &ids {
                let place = known.remove(id.as_bytes())?.map(|row| row.value().0);
                if let Some(number) = place {
                    arrived.remove(number)?;
                }
            }
            Ok(())
        })
    }

    /// All operations in the order in which they came.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn operations(&self) -> Result<Vec<LogRow>, StoreError> {
        self.store.read(|txn| {
            let known = txn.open_table(OPERATIONS)?;
            let arrived = txn.open_table(ARRIVED)?;
            let mut rows = Vec::new();
            for row in arrived.iter()? {
                let (_, row) = row?;
                let (id, bytes) = row.value();
                let first_seen = known.get(id)?.map_or(0, |row| row.value().1);
                rows.push(LogRow {
                    id: OpId::from_bytes(*id),
                    first_seen: Millis(first_seen),
                    bytes: bytes.to_vec(),
                });
            }
            Ok(rows)
        })
    }

    /// The bytes of one operation.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn operation(&self, id: &OpId) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.read(|txn| {
            let Some(number) = txn.open_table(OPERATIONS)?.get(id.as_bytes())?.map(|row| row.value().0)
            else {
                return Ok(None);
            };
            Ok(txn.open_table(ARRIVED)?.get(number)?.map(|row| row.value().1.to_vec()))
        })
    }

    /// The highest epoch ever remembered; 0 at first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn epoch(&self) -> Result<u64, StoreError> {
        self.store.read(|txn| Ok(txn.open_table(EPOCH)?.get("highest")?.map_or(0, |row| row.value())))
    }

    /// Remembers an epoch, unless a higher one is remembered. Returns the highest.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn remember_epoch(&self, epoch: u64) -> Result<u64, StoreError> {
        self.write(move |txn| {
            let mut table = txn.open_table(EPOCH)?;
            let highest = table.get("highest")?.map_or(0, |row| row.value()).max(epoch);
            table.insert("highest", highest)?;
            Ok(highest)
        })
    }

    /// A small value kept beside the log.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.read(|txn| Ok(txn.open_table(META)?.get(key)?.map(|row| row.value().to_vec())))
    }

    /// Keeps a small value, durably.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn set_meta(&self, key: &str, value: Vec<u8>) -> Result<(), StoreError> {
        let key = key.to_owned();
        self.write(move |txn| {
            txn.open_table(META)?.insert(key.as_str(), value.as_slice())?;
            Ok(())
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
