//! What shards show of themselves to somebody without the key: their lengths, and whether they fit together.

use std::collections::BTreeMap;
use std::sync::Arc;

use freehold_crypt::hash::Hasher;
use futures::future::join_all;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, Result};

use super::shard::{CHUNK, Code, END, TAG};
use crate::error::is_missing;

/// Bytes of each shard that are read at once.
const AT_ONCE: u64 = 1 << 20;

/// How the objects of several stores are cut into shards.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shards(Code);

impl Shards {
    /// Nothing if there is only one store, or they do not make a spread.
    pub(crate) fn over(stores: &[Arc<dyn ObjectStore>], parity: u8) -> Option<Self> {
        let data = u8::try_from(stores.len().checked_sub(parity.into())?).ok()?;
        (stores.len() > 1 && data > 0 && parity > 0).then_some(Self(Code { data, parity }))
    }

    /// How many shards give an object back.
    pub(crate) fn needed(self) -> usize {
        self.0.data.into()
    }

    pub(crate) fn shard_len(self, len: u64) -> u64 {
        self.0.shard_len(len)
    }

    /// How long most of its shards say that an object is; without the key nobody knows who is right.
    pub(crate) async fn told_len(self, stores: &[Arc<dyn ObjectStore>], path: &Path) -> Result<Option<u64>> {
        let asked = stores.iter().map(|store| async move {
            let options = GetOptions { range: Some(GetRange::Suffix(END)), ..GetOptions::default() };
            match store.get_opts(path, options).await {
                Ok(found) => found.bytes().await.map(Some),
                Err(error) if is_missing(&error) => Ok(None),
                Err(error) => Err(error),
            }
        });
        let mut votes: BTreeMap<u64, usize> = BTreeMap::new();
        for end in join_all(asked).await {
            let Some(end) = end? else { continue };
            let told = end
                .split_first_chunk::<8>()
                .filter(|(_, rest)| rest.get(..2) == Some([self.0.data, self.0.parity].as_slice()));
            if let Some((len, _)) = told {
                *votes.entry(u64::from_be_bytes(*len)).or_default() += 1;
            }
        }
        Ok(votes.into_iter().max_by_key(|(_, count)| *count).map(|(len, _)| len))
    }

    /// Reads the shards that are there and says whether they fit together; the object's bytes go through the
    /// hash.
    pub(crate) async fn compare(
        self,
        stores: &[Arc<dyn ObjectStore>],
        path: &Path,
        len: u64,
        present: &[bool],
        hash: &mut Hasher,
    ) -> Result<bool> {
        let code = self.0;
        let (mut at, all, mut fits) = (0, code.stripes(len), true);
        while at < all {
            let next = all.min(at.saturating_add(AT_ONCE / CHUNK));
            let span = Code::offset(at)..code.end(len, next.saturating_sub(1));
            let asked = stores.iter().zip(present).enumerate().filter(|(_, (_, present))| **present);
            let asked = asked.map(|(shard, (store, _))| {
                let range = Some(GetRange::Bounded(span.clone()));
                async move {
                    let found = store.get_opts(path, GetOptions { range, ..GetOptions::default() }).await?;
                    Ok::<_, object_store::Error>((shard, found.bytes().await?))
                }
            });
            let mut have = BTreeMap::new();
            for read in join_all(asked).await {
                let (shard, bytes) = read?;
                have.insert(shard, bytes);
            }
            for stripe in at..next {
                let from = usize::try_from(Code::offset(stripe) - span.start).unwrap_or(usize::MAX);
                let to = usize::try_from(code.end(len, stripe) - span.start).unwrap_or(usize::MAX);
                let chunks = have
                    .iter()
                    .filter_map(|(shard, bytes)| Some((*shard, bytes.get(from..to.checked_sub(TAG)?)?)));
                let chunks: BTreeMap<usize, &[u8]> = chunks.collect();
                let whole = len.saturating_sub(stripe.saturating_mul(code.stripe())).min(code.stripe());
                fits &= chunks.len() == have.len() && code.fits(&chunks, whole, hash);
            }
            at = next;
        }
        Ok(fits)
    }
}
