//! Small blobs, kept beside the entries: one of a few KiB as a file of its own costs two fsyncs and
//! its directory, here it shares the commit of the entry that names it.
//!
//! Bytes are under numbers that grow, names point to them: what is written together lies together,
//! and who wants names alone does not read bytes.

use freehold_wire::{BlobName, Millis};
use redb::{ReadableTable as _, TableDefinition};

use super::{EntryStore, EntryTxn};
use crate::StoreError;

/// Name to number, length and time of writing.
pub(super) const BLOBS: TableDefinition<&[u8; 32], (u64, u64, u64)> = TableDefinition::new("blobs");
pub(super) const BLOB_BYTES: TableDefinition<u64, &[u8]> = TableDefinition::new("blob bytes");

/// A small blob, without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmallBlob {
    /// Its name.
    pub name: BlobName,
    /// Its bytes.
    pub len: u64,
    /// When it was written.
    pub modified: Millis,
}

impl EntryTxn<'_> {
    /// Keeps a small blob in place of one that may be there. Says how long that was.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn put_blob(&mut self, name: &BlobName, bytes: &[u8], now: Millis) -> Result<u64, StoreError> {
        let old = self.remove_blob(name)?;
        self.run(|txn| {
            let mut kept = txn.open_table(BLOB_BYTES)?;
            let number = kept.last()?.map_or(0, |(last, _)| last.value().saturating_add(1));
            kept.insert(number, bytes)?;
            txn.open_table(BLOBS)?.insert(name.as_bytes(), (number, bytes.len() as u64, now.0))?;
            Ok(old.unwrap_or(0))
        })
    }

    /// Removes a small blob. Says how long it was, if it was there.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn remove_blob(&mut self, name: &BlobName) -> Result<Option<u64>, StoreError> {
        self.run(|txn| {
            let Some((number, len, _)) =
                txn.open_table(BLOBS)?.remove(name.as_bytes())?.map(|row| row.value())
            else {
                return Ok(None);
            };
            txn.open_table(BLOB_BYTES)?.remove(number)?;
            Ok(Some(len))
        })
    }
}

impl EntryStore {
    /// The bytes of a small blob.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn blob(&self, name: &BlobName) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.read(|txn| {
            let found = txn.open_table(BLOBS)?.get(name.as_bytes())?.map(|row| row.value());
            let Some((number, ..)) = found else { return Ok(None) };
            Ok(txn.open_table(BLOB_BYTES)?.get(number)?.map(|row| row.value().to_vec()))
        })
    }

    /// What is known of a small blob.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn find_blob(&self, name: &BlobName) -> Result<Option<SmallBlob>, StoreError> {
        self.store.read(|txn| {
            let found = txn.open_table(BLOBS)?.get(name.as_bytes())?;
            Ok(found.map(|row| small(*name, row.value())))
        })
    }

    /// At most `max` small blobs with names after `after`, in the order of names.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn blobs(&self, after: Option<&BlobName>, max: usize) -> Result<Vec<SmallBlob>, StoreError> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, |name| Excluded(name.as_bytes()));
        self.store.read(|txn| {
            let table = txn.open_table(BLOBS)?;
            let rows = table.range::<&[u8; 32]>((from, Unbounded))?.take(max);
            rows.map(|row| {
                let (name, of) = row?;
                Ok(small(BlobName::from_bytes(*name.value()), of.value()))
            })
            .collect()
        })
    }
}

const fn small(name: BlobName, (_, len, modified): (u64, u64, u64)) -> SmallBlob {
    SmallBlob { name, len, modified: Millis(modified) }
}
