//! Reading a blob: the chunks that hold it are fetched and opened, and nothing that does not open
//! is given out.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use freehold_disk::{BlobRow, PackName, PackRow};
use freehold_wire::BlobName;
use object_store::{GetOptions, GetRange};

use super::{Inner, place, short};
use crate::PackError;
use crate::error::{Damage, is_missing};
use crate::pack::Opener;

/// Times that a blob is looked for in the map: it may be moved while it is read.
const TRIES: u32 = 3;

impl Inner {
    /// A range of a blob.
    pub(super) async fn read(
        self: &Arc<Self>,
        name: BlobName,
        range: Range<u64>,
    ) -> Result<Bytes, PackError> {
        let gone = || PackError::Bad { pack: "of a blob".into(), damage: Damage::Missing };
        let mut last = gone();
        for _ in 0..TRIES {
            let found = self
                .on_map(move |map| match map.blob(&name)? {
                    Some(row) => Ok(map.pack(&row.pack)?.map(|pack| (row, pack))),
                    None => Ok(None),
                })
                .await?;
            let Some((row, pack)) = found else { return Err(gone()) };
            let read = self.read_in(&pack, within(&row, &range)).await;
            match self.heard(read) {
                Err(error @ PackError::Bad { .. }) => last = error,
                done => return done,
            }
        }
        Err(last)
    }

    /// A range of what a pack holds.
    pub(super) async fn read_in(&self, pack: &PackRow, range: Range<u64>) -> Result<Bytes, PackError> {
        let bad = |damage| PackError::Bad { pack: short(&pack.name), damage };
        let opener = Opener::new(&self.key, &pack.name, pack.len).ok_or_else(|| bad(Damage::Cut))?;
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let sealed = self.fetch(&pack.name, pack.len, opener.sealed(&range)).await?;
        opener.open(&range, sealed).map(Bytes::from).map_err(|_| bad(Damage::Altered))
    }

    /// Sealed bytes of a pack, so many as were asked for.
    pub(super) async fn fetch(
        &self,
        name: &PackName,
        len: u64,
        range: Range<u64>,
    ) -> Result<Vec<u8>, PackError> {
        let bad = |damage| PackError::Bad { pack: short(name), damage };
        let failed = |source| PackError::Store { doing: "reading a pack", source };
        let wanted = range.end - range.start;
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let path = place(name);
        let error = match self.store.get_opts(&path, options).await {
            Ok(found) if found.meta.size != len => return Err(bad(Damage::Cut)),
            Ok(found) => match found.bytes().await {
                Ok(bytes) if bytes.len() as u64 == wanted => return Ok(bytes.into()),
                Ok(_) => return Err(bad(Damage::Cut)),
                Err(error) => error,
            },
            Err(error) if is_missing(&error) => return Err(bad(Damage::Missing)),
            Err(error) => error,
        };
        // A range that a shorter object does not have is an error of its own.
        match object_store::ObjectStoreExt::head(&*self.store, &path).await {
            Ok(meta) if meta.size != len => Err(bad(Damage::Cut)),
            Err(error) if is_missing(&error) => Err(bad(Damage::Missing)),
            _ => Err(failed(error)),
        }
    }
}

/// A range of a blob, counted from the pack's first byte.
pub(super) fn within(row: &BlobRow, range: &Range<u64>) -> Range<u64> {
    let end = row.offset.saturating_add(range.end.min(row.len));
    row.offset.saturating_add(range.start).min(end)..end
}
