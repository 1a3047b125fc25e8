//! The index in memory, from the entries on disk: at the start, after a key came, and as entries
//! of other nodes arrive.

use std::ops::ControlFlow;
use std::sync::Arc;

use freehold_disk::{EntryRow, StoreError};
use freehold_placement::Entry;
use freehold_wire::{BucketId, Hlc, NodeId};

use super::commit::row_of;
use super::{Inner, Vault, now};
use crate::GetError;
use crate::index::Row;

impl Vault {
    /// Opens the entries of a bucket anew: its key has come.
    ///
    /// # Errors
    /// [`StoreError`] if the entry store cannot be read.
    pub async fn reopen(&self, bucket: &BucketId) -> Result<(), StoreError> {
        self.rebuild(Some(*bucket)).await
    }

    /// Makes entries of other nodes visible. They must be durable in the entry store. What cannot
    /// be opened here, for want of a key, is passed over until [`Self::reopen`].
    pub fn apply_remote<'a>(&self, entries: impl IntoIterator<Item = (&'a Entry, Option<&'a [u8]>)>) {
        let inner = &self.inner;
        for (entry, payload) in entries {
            inner.heard(entry.origin, entry.hlc);
            let opened = payload.map(|payload| inner.open_payload(entry, payload));
            match opened {
                Some(Ok((manifest, _))) => {
                    let row = row_of(&manifest, entry.origin, entry.seq, entry.hlc);
                    inner.index_mut().apply(entry.bucket, manifest.name.as_str().to_owned(), row, now());
                }
                Some(Err(error)) => pass_over(entry, &error),
                None => {}
            }
        }
    }

    pub(super) async fn rebuild(&self, bucket: Option<BucketId>) -> Result<(), StoreError> {
        let inner = Arc::clone(&self.inner);
        let scanned = tokio::task::spawn_blocking(move || inner.scan(bucket.as_ref()));
        match scanned.await {
            Ok(result) => result,
            Err(_) => Err(StoreError::Closed { path: "entries".into() }),
        }
    }
}

impl Inner {
    fn scan(&self, bucket: Option<&BucketId>) -> Result<(), StoreError> {
        let mut ready: Vec<(BucketId, String, Row)> = Vec::new();
        let mut see = |row: EntryRow| {
            if let Some(opened) = self.take(&row) {
                ready.push(opened);
            }
            // The lock is taken once for many, so that readers are not kept waiting.
            if ready.len() >= 1000 {
                self.apply(&mut ready);
            }
            ControlFlow::Continue(())
        };
        match bucket {
            Some(bucket) => self.shared.entries.scan_bucket(bucket, &mut see)?,
            None => self.shared.entries.scan(&mut see)?,
        }
        self.apply(&mut ready);
        Ok(())
    }

    fn take(&self, row: &EntryRow) -> Option<(BucketId, String, Row)> {
        let Ok(entry) = Entry::decode(&row.entry) else {
            tracing::error!(bucket = %row.bucket.short(), seq = row.seq, "an entry on disk does not decode");
            return None;
        };
        self.heard(entry.origin, entry.hlc);
        // Erased, or another bucket's business: the directory is not ours to open.
        let payload = row.payload.as_deref()?;
        self.shared.keys.current(&entry.bucket)?;
        match self.open_payload(&entry, payload) {
            Ok((manifest, _)) => {
                let row = row_of(&manifest, entry.origin, entry.seq, entry.hlc);
                Some((entry.bucket, manifest.name.as_str().to_owned(), row))
            }
            Err(error) => {
                pass_over(&entry, &error);
                None
            }
        }
    }

    fn apply(&self, ready: &mut Vec<(BucketId, String, Row)>) {
        let mut index = self.index_mut();
        for (bucket, key, row) in ready.drain(..) {
            index.restore(bucket, key, row, now());
        }
    }

    fn heard(&self, origin: NodeId, hlc: Hlc) {
        if origin == self.config.node { self.outlast(hlc) } else { self.hear(hlc) }
    }
}

fn pass_over(entry: &Entry, error: &GetError) {
    match error {
        GetError::NoBucketKey => {}
        error => tracing::warn!(
            bucket = %entry.bucket.short(), origin = %entry.origin.short(), seq = entry.seq, %error,
            "an entry is passed over: its payload does not open"
        ),
    }
}
