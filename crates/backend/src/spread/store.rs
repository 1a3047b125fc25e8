//! The interface of a store, over several.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result,
};

use super::shard::Cutter;
use super::upload::Upload;
use super::{Inner, Spread};
use crate::answer::{in_pieces, missing, put_result};

/// Objects asked after at once.
const AT_ONCE: usize = 8;

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Spread({} of {})", self.inner.code.data, self.inner.stores.len())
    }
}

fn resolve(range: Option<GetRange>, len: u64) -> Result<Range<u64>> {
    let range = match range {
        None => 0..len,
        Some(GetRange::Bounded(range)) => range,
        Some(GetRange::Offset(from)) => from..len.max(from),
        Some(GetRange::Suffix(last)) => len.saturating_sub(last)..len,
    };
    if range.start > len || (range.start == len && range.end > len) {
        return Err(Error::Generic { store: "spread", source: "the range lies behind the end".into() });
    }
    Ok(range.start..range.end.min(len))
}

impl Inner {
    /// Says whether enough shards are stored, after asking each for its end.
    pub(super) async fn see(&self, path: &Path, len: u64, stored: Vec<Result<()>>) -> Result<()> {
        let asked = stored.into_iter().enumerate().map(|(shard, stored)| async move {
            stored?;
            match self.end_of(shard, path).await {
                Ok(meta) if meta.size == len => Ok(meta),
                Ok(_) | Err(super::Miss::Lost) => {
                    let source = "a shard that was said to be stored is not there".into();
                    Err(Error::Generic { store: "spread", source })
                }
                Err(super::Miss::Failed(error)) => Err(error),
            }
        });
        let (mut seen, mut failed) = (Vec::new(), None);
        for shard in join_all(asked).await {
            match shard {
                Ok(meta) => seen.push(meta),
                Err(error) => {
                    tracing::warn!(%error, "a shard was not stored; it is made anew when its store answers");
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) if seen.len() < self.code.enough() => Err(error),
            _ => {
                self.remember(path, seen.pop());
                Ok(())
            }
        }
    }

    async fn delete(&self, path: &Path) -> Result<()> {
        self.remember(path, None);
        let asked = join_all(self.stores.iter().map(|store| store.delete(path))).await;
        let mut failed = asked.into_iter().filter(|done| !matches!(done, Err(Error::NotFound { .. })));
        failed.find(Result::is_err).unwrap_or(Ok(()))
    }

    /// What each store lists, with the length of its shard.
    pub(super) async fn listings(&self, prefix: Option<&Path>) -> Vec<Result<BTreeMap<Path, u64>>> {
        let lists = self.stores.iter().map(|store| {
            store.list(prefix).map_ok(|meta| (meta.location, meta.size)).try_collect::<BTreeMap<_, _>>()
        });
        join_all(lists).await
    }

    /// The names that any of the stores lists. As many as may be lost need not answer.
    async fn names(&self, prefix: Option<&Path>) -> Result<BTreeSet<Path>> {
        let (mut all, mut failed) = (BTreeSet::new(), Vec::new());
        for listed in self.listings(prefix).await {
            match listed {
                Ok(listed) => all.extend(listed.into_keys()),
                Err(error) => failed.push(error),
            }
        }
        if failed.len() > usize::from(self.code.parity) {
            return Err(failed.swap_remove(0));
        }
        Ok(all)
    }
}

#[async_trait]
impl ObjectStore for Spread {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if !matches!(options.mode, PutMode::Overwrite) {
            return Err(missing("conditional put", "spread"));
        }
        let inner = &self.inner;
        let mut cutter = Cutter::new(inner.code, &inner.key, location.as_ref());
        for piece in &payload {
            cutter.push(piece);
        }
        let len = cutter.finish();
        inner.remember(location, None);
        let puts = inner.stores.iter().zip(cutter.shards).map(|(store, shard)| async move {
            store.put(location, PutPayload::from_bytes(Bytes::from(shard))).await.map(drop)
        });
        inner.see(location, len, join_all(puts).await).await?;
        Ok(put_result())
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.remember(location, None);
        Ok(Box::new(Upload::begin(Arc::clone(&self.inner), location).await?))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let meta = self.inner.meta(location).await?;
        let len = meta.size;
        let range = if options.head { 0..0 } else { resolve(options.range, len)? };
        let step = self.inner.at_once().saturating_mul(self.inner.code.stripe());
        let (inner, path) = (Arc::clone(&self.inner), location.clone());
        let read = move |range| {
            let (inner, path) = (Arc::clone(&inner), path.clone());
            async move { inner.range(&path, len, range).await }
        };
        in_pieces(meta, range, step, read).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let inner = Arc::clone(&self.inner);
        locations
            .and_then(move |path| {
                let inner = Arc::clone(&inner);
                async move { inner.delete(&path).await.map(|()| path) }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (inner, prefix) = (Arc::clone(&self.inner), prefix.cloned());
        futures::stream::once(async move {
            let names = inner.names(prefix.as_ref()).await?;
            let metas = futures::stream::iter(names).map(move |path| {
                let inner = Arc::clone(&inner);
                async move {
                    match inner.meta(&path).await {
                        Ok(meta) => Ok(Some(meta)),
                        // The rest of one that is gone, or something else's.
                        Err(Error::NotFound { .. }) => Ok(None),
                        Err(error) => Err(error),
                    }
                }
            });
            Ok::<_, Error>(metas.buffer_unordered(AT_ONCE).try_filter_map(async |meta| Ok(meta)))
        })
        .try_flatten()
        .boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(missing("list_with_delimiter", "spread"))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(missing("copy", "spread"))
    }
}
