//! The interface of a store, over several.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, Extensions, GetOptions, GetRange, GetResult, GetResultPayload,
    ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};

use super::shard::Cutter;
use super::upload::Upload;
use super::{Inner, Spread};

/// Objects asked after at once.
const AT_ONCE: usize = 8;

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Spread({} of {})", self.inner.code.data, self.inner.stores.len())
    }
}

fn missing(operation: &str) -> Error {
    Error::NotImplemented { operation: operation.into(), implementer: "spread".into() }
}

pub(super) fn put_result() -> PutResult {
    PutResult { e_tag: None, version: None, extensions: Extensions::default() }
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

    /// Everything that any of the stores lists, with the length of the shard in each that has one.
    /// As many as may be lost need not answer.
    pub(super) async fn shards(&self, prefix: Option<&Path>) -> Result<BTreeMap<Path, Vec<Option<u64>>>> {
        let lists = self.stores.iter().map(|store| store.list(prefix).try_collect::<Vec<_>>());
        let (mut all, mut failed) = (BTreeMap::new(), Vec::new());
        for (shard, listed) in join_all(lists).await.into_iter().enumerate() {
            match listed {
                Ok(listed) => {
                    for meta in listed {
                        let row = all.entry(meta.location).or_insert_with(|| vec![None; self.stores.len()]);
                        if let Some(place) = row.get_mut(shard) {
                            *place = Some(meta.size);
                        }
                    }
                }
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
            return Err(missing("conditional put"));
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
        let next = move |at: u64, end: u64| end.min((at / step + 1).saturating_mul(step));
        // The first piece at once, so that what is wrong is an error here.
        let first = next(range.start, range.end);
        let begun = self.inner.range(location, len, range.start..first).await?;
        let (inner, path, end) = (Arc::clone(&self.inner), location.clone(), range.end);
        let rest = futures::stream::try_unfold((inner, path, first), move |(inner, path, at)| async move {
            if at >= end {
                return Ok(None);
            }
            let to = next(at, end);
            let piece = inner.range(&path, len, at..to).await?;
            Ok(Some((piece, (inner, path, to))))
        });
        let stream = futures::stream::once(async move { Ok(begun) }).chain(rest).boxed();
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream),
            meta,
            range,
            attributes: Attributes::default(),
            extensions: Extensions::default(),
        })
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
            let names: Vec<Path> = inner.shards(prefix.as_ref()).await?.into_keys().collect();
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
        Err(missing("list_with_delimiter"))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(missing("copy"))
    }
}
