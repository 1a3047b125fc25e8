//! The moment a write becomes true: its sealed, signed entry is durable.

use std::sync::Arc;

use freehold_disk::{EntryRow, EntryTxn, OsEntropy, StoreError};
use freehold_placement::{BLOBS_MAX, BlobRef, Entry, payload_hash};
use freehold_seal::{BucketKey, Manifest, Stored, VersionId};
use freehold_wire::{Bounded, BucketId, EntryId, Hlc, Millis, NodeId, Text};
use tokio::sync::oneshot;

use super::Inner;
use crate::index::Row;
use crate::{BucketInfo, Conditions, Etag, PutError};

/// An entry about to be written.
pub(crate) struct Draft {
    pub(crate) bucket: BucketId,
    pub(crate) name: Text<1024>,
    pub(crate) version: VersionId,
    /// What is stored and its blobs; nothing for a deletion.
    pub(crate) stored: Option<(Box<Stored>, Bounded<BlobRef, BLOBS_MAX>)>,
    pub(crate) sealing: BucketKey,
}

/// An entry that is durable and visible.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Committed {
    pub(crate) id: EntryId,
    pub(crate) modified: Millis,
}

/// An entry inside the transaction.
struct Written {
    bucket: BucketId,
    key: String,
    row: Row,
    entry: Entry,
    payload: Vec<u8>,
}

impl Inner {
    /// Writes entries in one transaction, with whatever else `also` writes unless it refuses. When
    /// it returns they are durable, visible here, and handed to replication.
    pub(crate) async fn commit(
        self: &Arc<Self>,
        drafts: Vec<Draft>,
        also: impl FnOnce(&mut EntryTxn<'_>) -> Result<Result<(), PutError>, StoreError> + Send + 'static,
    ) -> Result<Vec<Committed>, PutError> {
        // Again, for a body that took long: what was heard meanwhile counts.
        for draft in &drafts {
            self.may_write_now(&draft.bucket).await?;
        }
        let (tell, told) = oneshot::channel();
        let (inner, after) = (Arc::clone(self), Arc::clone(self));
        let job = move |txn: &mut EntryTxn<'_>| {
            let mut written = Vec::with_capacity(drafts.len());
            for draft in drafts {
                match inner.write(txn, draft, &written)? {
                    Ok(one) => written.push(one),
                    // Nothing has been written to the transaction yet.
                    Err(error) => return Ok(Err(error)),
                }
            }
            if let Err(refused) = also(txn)? {
                return Ok(Err(refused));
            }
            for one in &written {
                txn.insert(&one.as_row())?;
            }
            Ok(Ok(written))
        };
        // Called in the order of commits, so the index and replication see each sequence in order.
        let done = move |result: Result<Result<Vec<Written>, PutError>, StoreError>| {
            let result = match result {
                Ok(Ok(written)) => Ok(after.committed(written)),
                Ok(Err(error)) => Err(error),
                Err(error) => Err(PutError::of_store(error)),
            };
            // The waiter may be the last owner: it, and not this thread, closes the store.
            drop(after);
            // Nobody waits any more if the client has gone; the write stands.
            drop(tell.send(result));
        };
        self.shared.entries.submit(job, done);
        told.await.unwrap_or(Err(PutError::Closing))
    }

    fn write(
        &self,
        txn: &EntryTxn<'_>,
        draft: Draft,
        before: &[Written],
    ) -> Result<Result<Written, PutError>, StoreError> {
        let Draft { bucket, name, version, stored, sealing } = draft;
        let node = self.config.node;
        let same = before.iter().rev().find(|written| written.bucket == bucket);
        let seq = match same {
            Some(written) => written.row.seq,
            None => txn.last_seq(&bucket, &node)?,
        };
        let seq = seq.saturating_add(1);
        let read = self.tick();
        // A node whose clock was ahead may have written this key: what follows it must win.
        let hlc = match self.index().newest(&bucket, name.as_str()) {
            Some(last) if last >= read => last.tick(last.wall),
            _ => read,
        };
        let (stored, blobs) = match stored {
            Some((stored, blobs)) => (Some(stored), blobs),
            None => (None, Bounded::new()),
        };
        let manifest = Manifest { name, version, modified: read.wall, stored };
        let place = self.place(bucket, node, seq);
        let Ok(payload) = manifest.seal(&sealing, &place, &mut OsEntropy) else {
            return Ok(Err(PutError::MetaTooLarge));
        };
        let entry = self.sign(bucket, seq, hlc, blobs, &payload);
        let row = row_of(&manifest, node, seq, hlc);
        Ok(Ok(Written { bucket, key: manifest.name.as_str().to_owned(), row, entry, payload }))
    }

    pub(super) fn sign(
        &self,
        bucket: BucketId,
        seq: u64,
        hlc: Hlc,
        blobs: Bounded<BlobRef, BLOBS_MAX>,
        payload: &[u8],
    ) -> Entry {
        let draft = freehold_placement::Draft {
            realm: self.config.realm,
            bucket,
            origin: self.config.node,
            seq,
            hlc,
            blobs,
            payload_hash: payload_hash(payload),
        };
        draft.sign(&self.config.signing)
    }

    fn committed(&self, written: Vec<Written>) -> Vec<Committed> {
        let mut done = Vec::with_capacity(written.len());
        for Written { bucket, key, row, entry, payload } in written {
            done.push(Committed { id: entry.id(), modified: row.modified });
            self.index_mut().apply(bucket, key, row, super::now());
            // Without the lock: whoever hears of it may want to read the index before going on.
            self.shared.replication.committed(&entry, &payload);
        }
        done
    }

    /// Waits for the confirmations that the bucket asks for.
    pub(crate) async fn confirm(&self, info: &BucketInfo, committed: Committed) -> Result<(), PutError> {
        if info.confirm <= 1 {
            return Ok(());
        }
        self.shared
            .replication
            .confirmed(committed.id, info.confirm, self.config.confirm_timeout)
            .await
            .map_err(|short| PutError::NotConfirmed { have: short.have, want: info.confirm })
    }
}

impl Written {
    fn as_row(&self) -> EntryRow {
        EntryRow {
            bucket: self.bucket,
            origin: self.row.origin,
            seq: self.row.seq,
            entry: self.entry.to_bytes(),
            payload: Some(self.payload.clone()),
        }
    }
}

/// What the index remembers of an entry with this manifest.
pub(crate) fn row_of(manifest: &Manifest, origin: NodeId, seq: u64, hlc: Hlc) -> Row {
    let stored = manifest.stored.as_deref();
    Row {
        origin,
        seq,
        hlc,
        version: manifest.version,
        size: stored.map_or(0, |stored| stored.size),
        etag: stored
            .and_then(|stored| stored.etag.as_str().parse().ok())
            .unwrap_or_else(|| Etag::single([0; 16])),
        modified: manifest.modified,
        deleted: stored.is_none(),
    }
}

/// Checks conditions against what is there.
pub(crate) fn check(conditions: &Conditions, there: Option<&Row>) -> Result<(), PutError> {
    if !conditions.if_match.is_empty() && there.is_none() {
        return Err(PutError::NoSuchKey);
    }
    let matches = |wanted: &String| {
        let wanted = wanted.trim_matches('"');
        there.is_some_and(|row| wanted == "*" || row.etag.to_string() == wanted)
    };
    let may = (conditions.if_match.is_empty() || conditions.if_match.iter().any(matches))
        && !conditions.if_none_match.iter().any(matches);
    if may { Ok(()) } else { Err(PutError::Precondition) }
}
