//! The entries of all buckets on disk, with their sealed payloads and what belongs to them. To
//! this store they are bytes under (bucket, origin, sequence number).

mod blobs;
mod txn;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use freehold_wire::{BlobName, BucketId, Millis, NodeId};
use redb::{ReadTransaction, ReadableTable as _, ReadableTableMetadata as _, TableDefinition};

pub use self::blobs::SmallBlob;
use self::blobs::{BLOB_BYTES, BLOBS};
pub use self::txn::{EntryTxn, Inserted};
use crate::StoreError;
use crate::store::Store;

const FORMAT: u64 = 1;

type Key72 = [u8; 72];

const ENTRIES: TableDefinition<&Key72, &[u8]> = TableDefinition::new("entries");
const PAYLOADS: TableDefinition<&Key72, &[u8]> = TableDefinition::new("payloads");
/// Entries that say something else under a number already taken: proof of a cloned node.
const CONFLICTS: TableDefinition<(&Key72, &[u8]), ()> = TableDefinition::new("conflicts");
/// What peers were last heard to hold: (bucket and origin, peer) to bits.
const BELIEFS: TableDefinition<(&[u8; 64], &[u8; 32]), &[u8]> = TableDefinition::new("beliefs");
/// When peers were last heard.
const HEARD: TableDefinition<&[u8; 32], u64> = TableDefinition::new("heard");
const UPLOADS: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("uploads");
/// Uploads that became objects: bucket, number of this node's entry, when.
const COMPLETED: TableDefinition<&[u8; 32], (&[u8; 32], u64, u64)> = TableDefinition::new("completed");
const PARTS: TableDefinition<(&[u8; 32], u16), &[u8]> = TableDefinition::new("parts");
/// Blobs that nothing refers to, and when that was first seen.
const UNREFERENCED: TableDefinition<&[u8; 32], u64> = TableDefinition::new("unreferenced");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

/// An entry as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRow {
    /// The bucket (or directory) it belongs to.
    pub bucket: BucketId,
    /// The node that wrote it.
    pub origin: NodeId,
    /// Its number in that node's sequence for the bucket, from 1.
    pub seq: u64,
    /// The encoded entry.
    pub entry: Vec<u8>,
    /// The sealed payload; `None` if it was erased or has not come yet.
    pub payload: Option<Vec<u8>>,
}

/// A part of an upload in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRow {
    /// Its number, as the client gave it.
    pub number: u16,
    /// The sealed record of it.
    pub record: Vec<u8>,
}

/// Two entries with one number: proof that a node was cloned or rolled back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictRow {
    /// The encoded entry that came first, and counts.
    pub kept: Vec<u8>,
    /// The encoded entry that came later.
    pub later: Vec<u8>,
}

/// What a peer was heard to hold of one origin's entries in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeliefRow {
    /// The bucket.
    pub bucket: BucketId,
    /// Whose entries.
    pub origin: NodeId,
    /// The peer.
    pub node: NodeId,
    /// One bit for each number.
    pub bits: Vec<u8>,
}

/// An upload in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadRow {
    /// Its id.
    pub id: [u8; 32],
    /// The sealed record of it.
    pub record: Vec<u8>,
}

/// What became of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletedUpload {
    /// The bucket of the object.
    pub bucket: BucketId,
    /// The number of this node's entry that wrote it.
    pub seq: u64,
    /// When.
    pub at: Millis,
}

/// The store of entries. Reads block shortly; writes go through [`EntryStore::submit`].
#[derive(Debug)]
pub struct EntryStore {
    store: Store,
}

impl EntryStore {
    /// Opens or makes the store.
    ///
    /// # Errors
    /// [`StoreError`]; its `remedy` says what to do.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let store = Store::open(path, FORMAT, |txn| {
            txn.open_table(ENTRIES)?;
            txn.open_table(PAYLOADS)?;
            txn.open_table(CONFLICTS)?;
            txn.open_table(BELIEFS)?;
            txn.open_table(HEARD)?;
            txn.open_table(UPLOADS)?;
            txn.open_table(PARTS)?;
            txn.open_table(COMPLETED)?;
            txn.open_table(UNREFERENCED)?;
            txn.open_table(META)?;
            txn.open_table(BLOBS)?;
            txn.open_table(BLOB_BYTES)?;
            Ok(())
        })?;
        Ok(Self { store })
    }

    /// Hands in a write and returns at once. `job` runs inside a transaction, in the order of
    /// handing in; `done` is called once it is durable or has failed, from the writing thread, and
    /// must be quick. If the store has closed, `done` is dropped without a call.
    pub fn submit<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut EntryTxn<'_>) -> Result<T, StoreError> + Send + 'static,
        done: impl FnOnce(Result<T, StoreError>) + Send + 'static,
    ) {
        let path = self.store.path().to_owned();
        self.store.writer.submit(move |txn| job(&mut EntryTxn::new(txn, &path)), done);
    }

    /// Hands in a write and waits until it is durable; it blocks.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing of it was kept.
    pub fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut EntryTxn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let path = self.store.path().to_owned();
        self.store.writer.wait(move |txn| job(&mut EntryTxn::new(txn, &path)))
    }

    /// One entry with its payload.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn entry(
        &self,
        bucket: &BucketId,
        origin: &NodeId,
        seq: u64,
    ) -> Result<Option<EntryRow>, StoreError> {
        let key = key72(bucket, origin, seq);
        self.store.read(|txn| {
            let Some(entry) = txn.open_table(ENTRIES)?.get(&key)?.map(|row| row.value().to_vec()) else {
                return Ok(None);
            };
            let payload = txn.open_table(PAYLOADS)?.get(&key)?.map(|row| row.value().to_vec());
            Ok(Some(EntryRow { bucket: *bucket, origin: *origin, seq, entry, payload }))
        })
    }

    /// At most `max` entries of one origin in a bucket from `from` on, in order.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn entries(
        &self,
        bucket: &BucketId,
        origin: &NodeId,
        from: u64,
        max: usize,
    ) -> Result<Vec<EntryRow>, StoreError> {
        let (first, last) = (key72(bucket, origin, from), key72(bucket, origin, u64::MAX));
        let mut rows = Vec::new();
        self.visit(&first, &last, |row| {
            rows.push(row);
            if rows.len() >= max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        rows.truncate(max);
        Ok(rows)
    }

    /// Shows every entry of every bucket to `see`, ordered by bucket, origin and number, until it
    /// breaks off. One row is in memory at a time.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn scan(&self, see: impl FnMut(EntryRow) -> ControlFlow<()>) -> Result<(), StoreError> {
        self.visit(&[0; 72], &[0xff; 72], see)
    }

    /// Shows every entry of one bucket to `see`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn scan_bucket(
        &self,
        bucket: &BucketId,
        see: impl FnMut(EntryRow) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let none = NodeId::from_bytes([0; 32]);
        let all = NodeId::from_bytes([0xff; 32]);
        self.visit(&key72(bucket, &none, 0), &key72(bucket, &all, u64::MAX), see)
    }

    fn visit(
        &self,
        first: &Key72,
        last: &Key72,
        mut see: impl FnMut(EntryRow) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.store.read(|txn| {
            // Both tables are in one order: they are walked side by side.
            let payloads = txn.open_table(PAYLOADS)?;
            let mut payloads = payloads.range::<&Key72>(first..=last)?;
            let mut next = payloads.next().transpose()?;
            for row in txn.open_table(ENTRIES)?.range::<&Key72>(first..=last)? {
                let (key, entry) = row?;
                let (bucket, origin, seq) = split72(key.value());
                while next.as_ref().is_some_and(|(at, _)| at.value() < key.value()) {
                    next = payloads.next().transpose()?;
                }
                let payload = next.as_ref().filter(|(at, _)| at.value() == key.value());
                let payload = payload.map(|(_, payload)| payload.value().to_vec());
                let row = EntryRow { bucket, origin, seq, entry: entry.value().to_vec(), payload };
                if see(row).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// The highest number held of each origin in a bucket.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn vector(&self, bucket: &BucketId) -> Result<BTreeMap<NodeId, u64>, StoreError> {
        self.store.read(|txn| {
            let entries = txn.open_table(ENTRIES)?;
            let mut vector = BTreeMap::new();
            let mut end = key72(bucket, &NodeId::from_bytes([0xff; 32]), u64::MAX);
            let first = key72(bucket, &NodeId::from_bytes([0; 32]), 0);
            // One look-up for each origin: from behind, skipping to before its first number.
            while let Some(row) = entries.range::<&Key72>(&first..=&end)?.next_back() {
                let (_, origin, seq) = split72(row?.0.value());
                vector.insert(origin, seq);
                end = key72(bucket, &origin, 0);
            }
            Ok(vector)
        })
    }

    /// Conflicting entries kept as proof.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn conflicts(&self) -> Result<Vec<ConflictRow>, StoreError> {
        self.store.read(|txn| {
            let entries = txn.open_table(ENTRIES)?;
            let mut found = Vec::new();
            for row in txn.open_table(CONFLICTS)?.iter()? {
                let row = row?;
                let (key, other) = row.0.value();
                let kept = entries.get(key)?.map(|row| row.value().to_vec()).unwrap_or_default();
                found.push(ConflictRow { kept, later: other.to_vec() });
            }
            Ok(found)
        })
    }

    /// What peers were last heard to hold.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn beliefs(&self) -> Result<Vec<BeliefRow>, StoreError> {
        self.store.read(|txn| {
            let mut rows = Vec::new();
            for row in txn.open_table(BELIEFS)?.iter()? {
                let (key, bits) = row?;
                let (stream, node) = key.value();
                let (bucket, origin) = split64(stream);
                rows.push(BeliefRow {
                    bucket,
                    origin,
                    node: NodeId::from_bytes(*node),
                    bits: bits.value().to_vec(),
                });
            }
            Ok(rows)
        })
    }

    /// When each peer was last heard, by this machine's clock.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn heard(&self) -> Result<BTreeMap<NodeId, Millis>, StoreError> {
        self.store.read(|txn| {
            let mut heard = BTreeMap::new();
            for row in txn.open_table(HEARD)?.iter()? {
                let (node, at) = row?;
                heard.insert(NodeId::from_bytes(*node.value()), Millis(at.value()));
            }
            Ok(heard)
        })
    }

    /// Uploads in progress.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn uploads(&self) -> Result<Vec<UploadRow>, StoreError> {
        self.store.read(|txn| {
            txn.open_table(UPLOADS)?
                .iter()?
                .map(|row| {
                    row.map(|(id, record)| UploadRow { id: *id.value(), record: record.value().to_vec() })
                        .map_err(Into::into)
                })
                .collect()
        })
    }

    /// The sealed record of one upload in progress.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn upload(&self, upload: &[u8; 32]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.read(|txn| Ok(txn.open_table(UPLOADS)?.get(upload)?.map(|row| row.value().to_vec())))
    }

    /// What became of an upload that is no longer in progress.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn completed(&self, upload: &[u8; 32]) -> Result<Option<CompletedUpload>, StoreError> {
        self.store.read(|txn| {
            let found = txn.open_table(COMPLETED)?.get(upload)?;
            Ok(found.map(|row| {
                let (bucket, seq, at) = row.value();
                CompletedUpload { bucket: BucketId::from_bytes(*bucket), seq, at: Millis(at) }
            }))
        })
    }

    /// The parts of an upload in the order of their numbers.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn parts(&self, upload: &[u8; 32]) -> Result<Vec<PartRow>, StoreError> {
        self.store.read(|txn| parts(&txn.open_table(PARTS)?, upload))
    }

    /// Blobs marked as unreferenced, and since when.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn unreferenced(&self) -> Result<BTreeMap<BlobName, Millis>, StoreError> {
        self.store.read(|txn| {
            txn.open_table(UNREFERENCED)?
                .iter()?
                .map(|row| {
                    row.map(|(name, at)| (BlobName::from_bytes(*name.value()), Millis(at.value())))
                        .map_err(Into::into)
                })
                .collect()
        })
    }

    /// A small value kept beside the entries.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.read(|txn| Ok(txn.open_table(META)?.get(key)?.map(|row| row.value().to_vec())))
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn count(&self) -> Result<u64, StoreError> {
        self.store.read(|txn: &ReadTransaction| Ok(txn.open_table(ENTRIES)?.len()?))
    }
}

fn parts(
    table: &impl redb::ReadableTable<(&'static [u8; 32], u16), &'static [u8]>,
    upload: &[u8; 32],
) -> Result<Vec<PartRow>, redb::Error> {
    let mut parts = Vec::new();
    for row in table.range((upload, 0)..=(upload, u16::MAX))? {
        let (key, record) = row?;
        parts.push(PartRow { number: key.value().1, record: record.value().to_vec() });
    }
    Ok(parts)
}

fn key64(bucket: &BucketId, origin: &NodeId) -> [u8; 64] {
    let mut key = [0; 64];
    let (b, o) = key.split_at_mut(32);
    b.copy_from_slice(bucket.as_bytes());
    o.copy_from_slice(origin.as_bytes());
    key
}

fn key72(bucket: &BucketId, origin: &NodeId, seq: u64) -> Key72 {
    let mut key = [0; 72];
    let (stream, number) = key.split_at_mut(64);
    stream.copy_from_slice(&key64(bucket, origin));
    number.copy_from_slice(&seq.to_be_bytes());
    key
}

fn split64(key: &[u8; 64]) -> (BucketId, NodeId) {
    let (mut bucket, mut origin) = ([0; 32], [0; 32]);
    let (b, o) = key.split_at(32);
    bucket.copy_from_slice(b);
    origin.copy_from_slice(o);
    (BucketId::from_bytes(bucket), NodeId::from_bytes(origin))
}

fn split72(key: &Key72) -> (BucketId, NodeId, u64) {
    let (mut stream, mut number) = ([0; 64], [0; 8]);
    let (s, n) = key.split_at(64);
    stream.copy_from_slice(s);
    number.copy_from_slice(n);
    let (bucket, origin) = split64(&stream);
    (bucket, origin, u64::from_be_bytes(number))
}

#[cfg(test)]
mod tests;
