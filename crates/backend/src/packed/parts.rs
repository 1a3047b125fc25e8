//! The parts of the node's journal lie among the blobs, in packs like them; a depot does not see them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use freehold_crypt::Entropy as _;
use freehold_disk::OsEntropy;
use freehold_wire::BlobName;
use object_store::ObjectStoreExt as _;

use super::{Packed, store};
use crate::PackError;

/// Rows of the map at once.
const PAGE: usize = 1000;

/// A part of the journal on the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartAt {
    /// Its number.
    pub number: u64,
    /// Its name.
    pub name: BlobName,
    /// Its bytes.
    pub len: u64,
}

impl Packed {
    /// Keeps a part of the journal; it is durable on the store afterwards.
    ///
    /// # Errors
    /// The store's own.
    pub async fn put_part(&self, number: u64, bytes: Bytes) -> object_store::Result<PartAt> {
        let lot = OsEntropy.bytes32().first_chunk().copied().unwrap_or_default();
        let name = self.inner.parts.name(number, lot);
        let part = PartAt { number, name, len: bytes.len() as u64 };
        self.put(&store::location(name), bytes.into()).await?;
        Ok(part)
    }

    /// All parts, by their numbers.
    ///
    /// # Errors
    /// [`PackError`] of the map.
    pub async fn parts(&self) -> Result<Vec<PartAt>, PackError> {
        let names = self.inner.parts;
        let list = move |map: &freehold_disk::PackStore| {
            let (mut parts, mut after) = (Vec::new(), names.name(0, [0; 8]));
            loop {
                let rows = map.blobs_after(Some(after), PAGE)?;
                for row in &rows {
                    let Some(number) = names.number(&row.name) else { return Ok(parts) };
                    parts.push(PartAt { number, name: row.name, len: row.len });
                }
                let Some(last) = rows.last() else { return Ok(parts) };
                after = last.name;
            }
        };
        self.inner.on_map(list).await
    }

    /// Reads a part.
    ///
    /// # Errors
    /// [`PackError`] if it is damaged, or the store does not answer.
    pub async fn part(&self, part: &PartAt) -> Result<Vec<u8>, PackError> {
        self.inner.read(part.name, 0..part.len).await.map(Into::into)
    }

    /// Removes parts that others have taken the place of.
    ///
    /// # Errors
    /// [`PackError`] of the map.
    pub async fn remove_parts(&self, parts: Vec<PartAt>) -> Result<(), PackError> {
        self.inner
            .on_map(move |map| parts.iter().try_for_each(|part| map.delete(part.name).map(drop)))
            .await?;
        self.inner.tend.notify_one();
        Ok(())
    }

    /// The names of all that lies on the store like a pack.
    ///
    /// # Errors
    /// [`PackError`] if it does not answer.
    pub async fn names(&self) -> Result<std::collections::BTreeSet<freehold_disk::PackName>, PackError> {
        Ok(self.inner.listed().await?.into_iter().map(|(name, _)| name).collect())
    }

    /// Whether the store was found to have lost parts since this was last asked.
    pub fn has_lost_parts(&self) -> bool {
        self.inner.parts_lost.swap(false, Ordering::Relaxed)
    }

    /// Which of these blobs are the depot's; that parts are among them is remembered.
    pub(super) fn of_the_depot(
        &self,
        mut blobs: std::collections::BTreeSet<BlobName>,
    ) -> std::collections::BTreeSet<BlobName> {
        let inner = Arc::clone(&self.inner);
        let all = blobs.len();
        blobs.retain(|name| inner.parts.number(name).is_none());
        if blobs.len() < all {
            inner.parts_lost.store(true, Ordering::Relaxed);
        }
        blobs
    }
}
