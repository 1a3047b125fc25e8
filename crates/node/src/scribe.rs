//! Writing directory entries: seals a row or boxes a key, numbers it, signs it, keeps it durably.

use std::sync::Arc;

use freehold_crypt::SigningKey;
use freehold_disk::{EntryRow, EntryStore, OsEntropy, StoreError};
use freehold_placement::{Draft, Entry, payload_hash};
use freehold_seal::{BucketKey, DirectoryRow, Envelope, PayloadError, PayloadPlace};
use freehold_wire::{Bounded, BucketId, Hlc, NodeId, RealmId};

use crate::directory::directory_bucket;

/// What a directory entry says.
#[derive(Debug, Clone)]
pub enum Saying {
    /// A row, sealed with the directory's key.
    Row(DirectoryRow),
    /// A key in its box.
    Key(Box<Envelope>),
}

/// A directory entry was not written.
#[derive(Debug, thiserror::Error)]
pub enum ScribeError {
    /// The store failed.
    #[error("keeping a directory entry: {0}")]
    Store(#[source] StoreError),
    /// A name or address is too long.
    #[error("sealing a directory row: {0}")]
    Seal(#[source] PayloadError),
}

/// An entry with its payload, durable on this node.
#[derive(Debug, Clone)]
pub struct Written {
    /// The entry.
    pub entry: Entry,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// Writes directory entries of one node. Blocks on the disk: call it from a blocking thread.
#[derive(Clone)]
pub struct Scribe {
    /// The realm.
    pub realm: RealmId,
    /// The node that writes.
    pub node: NodeId,
    /// Its key.
    pub key: Arc<SigningKey>,
    /// Where entries are kept.
    pub entries: Arc<EntryStore>,
}

impl Scribe {
    /// Writes sayings as entries, in order, and waits until they are durable.
    ///
    /// # Errors
    /// [`ScribeError`]; then none of them was kept.
    pub fn write(
        &self,
        sayings: Vec<Saying>,
        directory_key: Option<BucketKey>,
        hlc: Hlc,
    ) -> Result<Vec<Written>, ScribeError> {
        let (reply, written) = std::sync::mpsc::sync_channel(1);
        self.submit(sayings, directory_key, hlc, move |outcome| drop(reply.send(outcome)));
        written.recv().unwrap_or(Ok(Vec::new()))
    }

    /// Hands sayings in to be written as entries, in order, at clock reading `hlc` and the ones
    /// after it. `done` is called from the writing thread, once they are durable or have failed.
    pub fn submit(
        &self,
        sayings: Vec<Saying>,
        directory_key: Option<BucketKey>,
        hlc: Hlc,
        done: impl FnOnce(Result<Vec<Written>, ScribeError>) + Send + 'static,
    ) {
        let scribe = self.clone();
        let bucket = directory_bucket(self.realm);
        // A seal that fails is carried out of the transaction as a value: nothing was inserted yet.
        let job = move |txn: &mut freehold_disk::EntryTxn<'_>| {
            let last = txn.last_seq(&bucket, &scribe.node)?;
            let written = scribe.put_together(&sayings, directory_key.as_ref(), bucket, last, hlc);
            let Ok(written) = written else { return Ok(written) };
            for one in &written {
                txn.insert(&EntryRow {
                    bucket,
                    origin: scribe.node,
                    seq: one.entry.seq,
                    entry: one.entry.to_bytes(),
                    payload: Some(one.payload.clone()),
                })?;
            }
            Ok(Ok(written))
        };
        self.entries.submit(job, move |outcome| {
            done(outcome.map_err(ScribeError::Store).and_then(|sealed| sealed.map_err(ScribeError::Seal)));
        });
    }

    fn put_together(
        &self,
        sayings: &[Saying],
        directory_key: Option<&BucketKey>,
        bucket: BucketId,
        last: u64,
        mut hlc: Hlc,
    ) -> Result<Vec<Written>, PayloadError> {
        let mut written = Vec::with_capacity(sayings.len());
        for (seq, saying) in (last.saturating_add(1)..).zip(sayings) {
            hlc = hlc.tick(hlc.wall);
            let place = PayloadPlace { realm: self.realm, bucket, origin: self.node, seq };
            let payload = match (saying, directory_key) {
                (Saying::Key(envelope), _) => envelope.to_bytes(),
                (Saying::Row(row), Some(key)) => row.seal(key, &place, &mut OsEntropy)?,
                // Without the directory's key a row cannot be said; the caller looks before.
                (Saying::Row(_), None) => return Err(PayloadError::NotAPayload),
            };
            let draft = Draft {
                realm: self.realm,
                bucket,
                origin: self.node,
                seq,
                hlc,
                blobs: Bounded::new(),
                payload_hash: payload_hash(&payload),
                says: None,
            };
            written.push(Written { entry: draft.sign(&self.key), payload });
        }
        Ok(written)
    }
}

impl std::fmt::Debug for Scribe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scribe({})", self.node.short())
    }
}
