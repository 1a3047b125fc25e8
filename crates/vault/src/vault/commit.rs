//! The moment a write becomes true: its sealed, signed entry is durable.

use std::sync::Arc;

use freehold_disk::{EntryRow, EntryTxn, OsEntropy, StoreError};
use freehold_index::{Fact, Row, Stamp};
use freehold_placement::{BLOBS_MAX, BlobRef, Entry, payload_hash};
use freehold_seal::{Blinding, BucketKey, Content};
use freehold_wire::{Bounded, BucketId, Digest, EntryId, Hlc, Millis};
use tokio::sync::oneshot;

use super::{Inner, KeyLocks, after};
use crate::depot::PendingBlob;
use crate::{BucketInfo, Conditions, PolicyMark, PutError, Room, Version};

/// An entry about to be written.
pub(crate) struct Draft {
    pub(crate) bucket: BucketId,
    /// A manifest's time of writing is set when it is written.
    pub(crate) content: Content,
    /// The blobs of what a manifest stores.
    pub(crate) blobs: Bounded<BlobRef, BLOBS_MAX>,
    pub(crate) sealing: BucketKey,
    /// A blob that is written with it.
    pub(crate) small: Option<PendingBlob>,
    /// Whether there was room for its blobs when they came.
    pub(crate) has_room: bool,
    /// The policy by which it was allowed, if it must still be that one.
    pub(crate) allowed_by: Option<PolicyMark>,
}

/// An entry that is durable and visible.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Committed {
    pub(crate) id: EntryId,
    pub(crate) modified: Millis,
    /// The version that it made, or was about.
    pub(crate) version: Version,
}

/// An entry inside the transaction.
struct Written {
    bucket: BucketId,
    stamp: Stamp,
    fact: Fact,
    entry: Entry,
    payload: Vec<u8>,
    small: Option<PendingBlob>,
}

impl Inner {
    /// Writes entries in one transaction, with whatever else `also` writes unless it refuses. When
    /// it returns they are durable, visible here, and handed to replication.
    pub(crate) async fn commit(
        self: &Arc<Self>,
        held: KeyLocks,
        drafts: Vec<Draft>,
        also: impl FnOnce(&mut EntryTxn<'_>) -> Result<Result<(), PutError>, StoreError> + Send + 'static,
    ) -> Result<Vec<Committed>, PutError> {
        // Again, for a body that took long: what was heard meanwhile counts.
        let mut rooms = Vec::new();
        for draft in &drafts {
            self.may_write_now(&draft.bucket).await?;
            let bytes = draft.blobs.iter().map(|blob| blob.len).sum();
            rooms.push(self.room(&draft.bucket, if draft.has_room { 0 } else { bytes })?);
        }
        let (tell, told) = oneshot::channel();
        let (inner, after) = (Arc::clone(self), Arc::clone(self));
        let job = move |txn: &mut EntryTxn<'_>| {
            let mut written = Vec::with_capacity(drafts.len());
            for draft in drafts {
                // In its turn: whoever closes a bucket and then waits for a turn of their own has seen
                // the last write to it.
                if let Err(closed) = inner.may_write(&draft.bucket) {
                    return Ok(Err(closed));
                }
                if draft.allowed_by.is_some_and(|mark| mark != inner.policy_mark(&draft.bucket)) {
                    return Ok(Err(PutError::PolicyChanged));
                }
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
                if let Some(small) = &one.small {
                    small.put(txn)?;
                }
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
            drop(held);
            drop(rooms);
            // The waiter may be the last owner: it, and not this thread, closes the store.
            drop(after);
            // Nobody waits any more if the client has gone; the write stands.
            drop(tell.send(result));
        };
        self.shared.entries.submit(job, done);
        told.await.unwrap_or(Err(PutError::Closing))
    }

    /// Room for so much more: what takes none always may.
    pub(crate) fn room(&self, bucket: &BucketId, bytes: u64) -> Result<Room, PutError> {
        if bytes == 0 {
            return Ok(Room::default());
        }
        self.shared.replication.room(bucket, bytes).map_err(|full| PutError::Quota(full.0))
    }

    fn write(
        &self,
        txn: &EntryTxn<'_>,
        draft: Draft,
        before: &[Written],
    ) -> Result<Result<Written, PutError>, StoreError> {
        let Draft { bucket, mut content, blobs, mut sealing, small, has_room: _, allowed_by: _ } = draft;
        if let Some(next) = self.in_place_of(&bucket, &sealing) {
            if self.wrap_anew(&bucket, &mut content, [&sealing, &next]).is_err() {
                return Ok(Err(PutError::NoBucketKey));
            }
            sealing = next;
        }
        let node = self.config.node;
        let same = before.iter().rev().find(|written| written.bucket == bucket);
        let seq = match same {
            Some(written) => written.stamp.seq,
            None => txn.last_seq(&bucket, &node)?,
        };
        let seq = seq.saturating_add(1);
        let read = self.tick();
        // A node whose clock was ahead may have written this key: what follows it must win. From one that was
        // too far ahead nobody would take it in.
        let newest = self.newest(&bucket, &content);
        let latest = super::now().plus(Hlc::DRIFT_MAX);
        if newest.is_some_and(|newest| newest >= read && newest.wall > latest) {
            return Ok(Err(PutError::Ahead));
        }
        let hlc = after(read, newest);
        if let Content::Manifest(manifest) = &mut content {
            manifest.modified = read.wall;
        }
        let place = self.place(bucket, node, seq);
        let Ok(payload) = content.seal(&sealing, &place, &mut OsEntropy) else {
            return Ok(Err(PutError::MetaTooLarge));
        };
        let Some(says) = content.says(&sealing, &place, &Blinding::of(&sealing, &place)) else {
            return Ok(Err(PutError::NoBucketKey));
        };
        let entry = self.sign(bucket, seq, hlc, blobs, &payload, Some(says));
        let stamp = Stamp { hlc, origin: node, seq };
        let Some(fact) = Fact::of(&content, stamp) else {
            return Ok(Err(PutError::Format("it contradicts itself")));
        };
        let fact = fact.sealed_with(u16::try_from(sealing.generation()).unwrap_or(u16::MAX));
        Ok(Ok(Written { bucket, stamp, fact, entry, payload, small }))
    }

    fn newest(&self, bucket: &BucketId, content: &Content) -> Option<Hlc> {
        match content {
            Content::Manifest(manifest) => self.index().newest(bucket, manifest.name.as_str()),
            Content::Amendment(amendment) => self.index().newest(bucket, amendment.name.as_str()),
            Content::Setting(row) => self.index().newest_setting(bucket, row.setting),
            Content::Row(_) | Content::Resealed(_) => None,
        }
    }

    pub(super) fn sign(
        &self,
        bucket: BucketId,
        seq: u64,
        hlc: Hlc,
        blobs: Bounded<BlobRef, BLOBS_MAX>,
        payload: &[u8],
        says: Option<Digest>,
    ) -> Entry {
        let draft = freehold_placement::Draft {
            realm: self.config.realm,
            bucket,
            origin: self.config.node,
            seq,
            hlc,
            blobs,
            payload_hash: payload_hash(payload),
            says,
        };
        draft.sign(&self.config.signing)
    }

    fn committed(&self, written: Vec<Written>) -> Vec<Committed> {
        let mut done = Vec::with_capacity(written.len());
        for Written { bucket, stamp, fact, entry, payload, small } in written {
            if let Some(small) = small {
                small.kept();
            }
            let (version, modified) = match &fact {
                Fact::Version { row, .. } => (row.version(), row.modified),
                Fact::Removal { version, .. } => (Version::Id(*version), stamp.hlc.wall),
                Fact::Said { .. } | Fact::Setting { .. } => (Version::Null, stamp.hlc.wall),
            };
            done.push(Committed { id: entry.id(), modified, version });
            let is_word = fact.is_of_each();
            self.index_mut().apply(bucket, stamp, fact, super::now());
            if is_word {
                self.note_word();
            }
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
            origin: self.stamp.origin,
            seq: self.stamp.seq,
            entry: self.entry.to_bytes(),
            payload: Some(self.payload.clone()),
        }
    }
}

/// Checks the conditions of a deletion against what is there, be it a marker.
pub(crate) fn check_deletion(conditions: &Conditions, there: &Row) -> Result<(), PutError> {
    let Conditions { if_match, if_modified, if_size, .. } = conditions;
    let is_it = |wanted: &String| {
        let wanted = wanted.trim_matches('"');
        wanted == "*" || (there.is_write() && there.etag.to_string() == wanted)
    };
    let may = (if_match.is_empty() || if_match.iter().any(is_it))
        && if_modified.is_none_or(|at| there.modified.0 / 1000 == at.0 / 1000)
        && if_size.is_none_or(|size| there.is_write() && there.size == size);
    if may { Ok(()) } else { Err(PutError::Precondition) }
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
