//! Making the map anew from what lies on the store: every pack says at its end what is in it.

use std::ops::Range;
use std::sync::Arc;

use freehold_disk::{BlobRow, NewPack, PackName};
use freehold_wire::Millis;
use futures::{StreamExt as _, TryStreamExt as _};

use super::{Inner, MapError};
use crate::PackError;
use crate::pack::{Index, Opener};

/// Packs looked at at once.
const AT_ONCE: usize = 8;

impl Inner {
    /// Makes the map anew.
    pub(super) async fn rebuild(self: &Arc<Self>) -> Result<(), MapError> {
        let listed = self.listed().await.map_err(MapError::Unreachable)?;
        let all = listed.len() as u64;
        let looks =
            listed.into_iter().map(|(name, len)| async move { (name, len, self.index(name, len).await) });
        let mut looks = futures::stream::iter(looks).buffer_unordered(AT_ONCE);
        let (mut strange, mut ours, mut packs) = (0u64, false, Vec::new());
        while let Some((name, len, index)) = looks.next().await {
            match index {
                Ok(pack) => packs.push(pack),
                // Of one that came and went, or was damaged: the blobs in it are missing here.
                Err(error @ PackError::Bad { .. }) => {
                    tracing::warn!(pack = %super::short(&name), %error, "a pack does not open");
                    if self.was_cut(name, len).await.map_err(MapError::Unreachable)? {
                        ours = true;
                    } else {
                        strange += 1;
                    }
                }
                Err(error) => return Err(MapError::Unreachable(error)),
            }
        }
        drop(looks);
        let opened = packs.len();
        if opened == 0 && !ours && strange > 0 {
            return Err(MapError::NotOurs(strange));
        }
        let kept = self.on_map(move |map| {
            for pack in packs {
                map.found(pack)?;
            }
            map.set_whole()
        });
        kept.await.map_err(MapError::Unreachable)?;
        if all > 0 {
            tracing::info!(packs = opened, of = all, "the map of a backend was made anew from its packs");
        }
        Ok(())
    }

    /// Whether a pack that does not open is the beginning of one of ours, or of nobody's: half of it was
    /// stored.
    async fn was_cut(&self, name: PackName, len: u64) -> Result<bool, PackError> {
        let Some(opener) = Opener::new(&self.key, &name, len) else { return Ok(true) };
        if !opener.is_whole() {
            return Ok(true);
        }
        match self.fetch(&name, len, opener.sealed(&(0..1))).await {
            Ok(first) => Ok(opener.begins(first)),
            Err(PackError::Bad { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Everything on the store that has the name of a pack, with its length.
    pub(super) async fn listed(&self) -> Result<Vec<(PackName, u64)>, PackError> {
        let failed = |source| PackError::Store { doing: "listing the packs", source };
        let listed = self.store.list(None).try_filter_map(async |meta| {
            // What lies further below is not this backend's: another one has that as its prefix.
            let name = meta.location.as_ref().parse().ok();
            Ok(name.map(|name: freehold_wire::BlobName| (*name.as_bytes(), meta.size)))
        });
        listed.try_collect().await.map_err(failed)
    }

    /// What lies in a pack, by its own word.
    pub(super) async fn index(&self, name: PackName, len: u64) -> Result<NewPack, PackError> {
        let bad = |damage| PackError::Bad { pack: super::short(&name), damage };
        let altered = || bad(crate::error::Damage::Altered);
        let opener = Opener::new(&self.key, &name, len).ok_or_else(|| bad(crate::error::Damage::Cut))?;
        let open = async |range: Range<u64>| {
            let sealed = self.fetch(&name, len, opener.sealed(&range)).await?;
            opener.open(&range, sealed).map_err(|_| altered())
        };
        let tail = opener.tail();
        let last = open(tail.clone()).await?;
        let range = opener.index_range(&last).ok_or_else(altered)?;
        let index = if range.start >= tail.start {
            let cut = |at: u64| usize::try_from(at - tail.start).unwrap_or(usize::MAX);
            last.get(cut(range.start)..cut(range.end)).ok_or_else(altered)?.to_vec()
        } else {
            open(range.clone()).await?
        };
        let index = Index::decode(&index, range.start).ok_or_else(altered)?;
        let mut offset = 0u64;
        let blobs = index.blobs.iter().map(|row| {
            let at = offset;
            offset = offset.saturating_add(row.len);
            BlobRow { name: row.name, pack: name, offset: at, len: row.len, modified: Millis(row.at) }
        });
        Ok(NewPack { name, len, hash: None, seq: index.seq, blobs: blobs.collect() })
    }
}
