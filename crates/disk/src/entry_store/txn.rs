//! What may be done inside one write transaction.

use std::path::Path;

use freehold_wire::{BlobName, BucketId, Millis, NodeId};
use redb::{ReadableTable as _, WriteTransaction};

use super::{
    BELIEFS, BeliefRow, COMPLETED, CONFLICTS, CompletedUpload, ENTRIES, EntryRow, HEARD, Key72, META, PARTS,
    PAYLOADS, PartRow, UNREFERENCED, UPLOADS, key64, key72, parts, split72,
};
use crate::StoreError;

/// What came of inserting an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It was not there.
    New,
    /// The same bytes were there; a payload that was missing has been added.
    Known,
    /// Another entry has this number: this one is kept as proof only.
    Conflict,
}

/// An open write transaction. Nothing is kept unless the job returns `Ok` and the commit succeeds.
pub struct EntryTxn<'a> {
    txn: &'a WriteTransaction,
    path: &'a Path,
}

impl std::fmt::Debug for EntryTxn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EntryTxn").field("path", &self.path).finish_non_exhaustive()
    }
}

impl<'a> EntryTxn<'a> {
    pub(super) const fn new(txn: &'a WriteTransaction, path: &'a Path) -> Self {
        Self { txn, path }
    }

    pub(super) fn run<T>(
        &self,
        with: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        with(self.txn).map_err(|error| StoreError::redb("writing", self.path, error))
    }

    /// The highest number of an origin in a bucket, with what this transaction has added; 0 if none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn last_seq(&self, bucket: &BucketId, origin: &NodeId) -> Result<u64, StoreError> {
        let (first, last) = (key72(bucket, origin, 0), key72(bucket, origin, u64::MAX));
        self.run(|txn| {
            let table = txn.open_table(ENTRIES)?;
            let found = table.range::<&Key72>(&first..=&last)?.next_back().transpose()?;
            Ok(found.map_or(0, |(key, _)| split72(key.value()).2))
        })
    }

    /// Keeps an entry.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn insert(&mut self, row: &EntryRow) -> Result<Inserted, StoreError> {
        let key = key72(&row.bucket, &row.origin, row.seq);
        self.run(|txn| {
            let mut entries = txn.open_table(ENTRIES)?;
            let known = entries.get(&key)?.map(|kept| kept.value() == row.entry.as_slice());
            let inserted = match known {
                None => {
                    entries.insert(&key, row.entry.as_slice())?;
                    Inserted::New
                }
                Some(true) => Inserted::Known,
                Some(false) => {
                    txn.open_table(CONFLICTS)?.insert((&key, row.entry.as_slice()), ())?;
                    return Ok(Inserted::Conflict);
                }
            };
            if let Some(payload) = &row.payload {
                let mut payloads = txn.open_table(PAYLOADS)?;
                if payloads.get(&key)?.is_none() {
                    payloads.insert(&key, payload.as_slice())?;
                }
            }
            Ok(inserted)
        })
    }

    /// Erases a payload; the entry stays, so that the sequence has no gap. Says whether it was there.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn erase_payload(
        &mut self,
        bucket: &BucketId,
        origin: &NodeId,
        seq: u64,
    ) -> Result<bool, StoreError> {
        self.run(|txn| Ok(txn.open_table(PAYLOADS)?.remove(&key72(bucket, origin, seq))?.is_some()))
    }

    /// Keeps what a peer was heard to hold.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn set_belief(&mut self, row: &BeliefRow) -> Result<(), StoreError> {
        self.run(|txn| {
            let key = (&key64(&row.bucket, &row.origin), row.node.as_bytes());
            txn.open_table(BELIEFS)?.insert(key, row.bits.as_slice())?;
            Ok(())
        })
    }

    /// Keeps when a peer was last heard.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn set_heard(&mut self, peer: &NodeId, at: Millis) -> Result<(), StoreError> {
        self.run(|txn| {
            txn.open_table(HEARD)?.insert(peer.as_bytes(), at.0)?;
            Ok(())
        })
    }

    /// Keeps the record of an upload in progress.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn put_upload(&mut self, upload: &[u8; 32], record: &[u8]) -> Result<(), StoreError> {
        self.run(|txn| {
            txn.open_table(UPLOADS)?.insert(upload, record)?;
            Ok(())
        })
    }

    /// Whether an upload is in progress.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn has_upload(&self, upload: &[u8; 32]) -> Result<bool, StoreError> {
        self.run(|txn| Ok(txn.open_table(UPLOADS)?.get(upload)?.is_some()))
    }

    /// Keeps a part; returns the record it replaces.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn put_part(&mut self, upload: &[u8; 32], part: &PartRow) -> Result<Option<Vec<u8>>, StoreError> {
        self.run(|txn| {
            let mut table = txn.open_table(PARTS)?;
            let old = table.insert((upload, part.number), part.record.as_slice())?;
            Ok(old.map(|record| record.value().to_vec()))
        })
    }

    /// Forgets an upload and its parts, and returns those.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn end_upload(&mut self, upload: &[u8; 32]) -> Result<Vec<PartRow>, StoreError> {
        self.run(|txn| {
            txn.open_table(UPLOADS)?.remove(upload)?;
            let mut table = txn.open_table(PARTS)?;
            let ended = parts(&table, upload)?;
            for part in &ended {
                table.remove((upload, part.number))?;
            }
            Ok(ended)
        })
    }

    /// Notes what became of an upload, for a client that asks again.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn note_completed(&mut self, upload: &[u8; 32], done: &CompletedUpload) -> Result<(), StoreError> {
        self.run(|txn| {
            let row = (done.bucket.as_bytes(), done.seq, done.at.0);
            txn.open_table(COMPLETED)?.insert(upload, row)?;
            Ok(())
        })
    }

    /// Forgets what became of uploads that ended before `then`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn forget_completed(&mut self, then: Millis) -> Result<(), StoreError> {
        self.run(|txn| {
            txn.open_table(COMPLETED)?.retain(|_, (_, _, at)| at >= then.0)?;
            Ok(())
        })
    }

    /// Marks a blob as unreferenced since `now`, unless it is marked.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn mark_unreferenced(&mut self, blob: &BlobName, now: Millis) -> Result<(), StoreError> {
        self.run(|txn| {
            let mut table = txn.open_table(UNREFERENCED)?;
            if table.get(blob.as_bytes())?.is_none() {
                table.insert(blob.as_bytes(), now.0)?;
            }
            Ok(())
        })
    }

    /// Takes the mark from a blob: it is referred to again, or gone.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn unmark(&mut self, blob: &BlobName) -> Result<(), StoreError> {
        self.run(|txn| {
            txn.open_table(UNREFERENCED)?.remove(blob.as_bytes())?;
            Ok(())
        })
    }

    /// Keeps a small value.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn set_meta(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.run(|txn| {
            txn.open_table(META)?.insert(key, value)?;
            Ok(())
        })
    }
}
