//! The interface that a depot writes to and reads from.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use freehold_disk::BlobRow;
use freehold_wire::{BlobName, Millis};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetRange, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::large::LargeUpload;
use super::write::{ALONE, Blob};
use super::{Packed, now};
use crate::PackError;
use crate::answer::{in_pieces, missing, put_result};
use crate::error::Damage;

/// Read at once.
const SLICE: u64 = 4 << 20;
/// Rows of the map at once.
const PAGE: usize = 1000;

impl std::fmt::Display for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packed({})", self.inner.store)
    }
}

fn blob_name(path: &Path) -> Result<BlobName> {
    let name = path.filename().and_then(|name| name.parse().ok());
    name.ok_or_else(|| Arc::new(PackError::Name(path.to_string())).tell(path))
}

fn meta(location: Path, row: &BlobRow) -> ObjectMeta {
    let Millis(modified) = row.modified;
    let modified = UNIX_EPOCH + Duration::from_millis(modified.min(i64::MAX as u64 / 1_000_000));
    ObjectMeta { location, last_modified: modified.into(), size: row.len, e_tag: None, version: None }
}

/// As a depot names it.
pub(super) fn location(name: BlobName) -> Path {
    let hex = name.to_string();
    Path::from_iter([hex.get(..2).unwrap_or_default(), hex.as_str()])
}

fn resolve(range: Option<&GetRange>, len: u64) -> Range<u64> {
    let range = match range {
        None => 0..len,
        Some(GetRange::Bounded(range)) => range.clone(),
        Some(GetRange::Offset(from)) => *from..len,
        Some(GetRange::Suffix(last)) => len.saturating_sub(*last)..len,
    };
    range.start.min(len)..range.end.min(len)
}

#[async_trait]
impl ObjectStore for Packed {
    async fn put_opts(&self, location: &Path, payload: PutPayload, _: PutOptions) -> Result<PutResult> {
        let name = blob_name(location)?;
        let bytes = Bytes::from(payload);
        let told = if bytes.len() > ALONE {
            let inner = Arc::clone(&self.inner);
            // On its own, so that a caller who goes away leaves no half of it.
            let written = self.inner.tasks.spawn(async move {
                let Ok(_flight) = inner.flights.acquire().await else { return Err(PackError::Closing) };
                let blob = Blob { name, bytes, at: now() };
                inner.heard(inner.write_pack(vec![blob], None).await)
            });
            written.await.unwrap_or(Err(PackError::Closing)).map_err(Arc::new)
        } else {
            self.inner.put_small(name, bytes).await
        };
        told.map_err(|error| error.tell(location))?;
        Ok(put_result())
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let name = blob_name(location)?;
        let upload = LargeUpload::begin(Arc::clone(&self.inner), name, location).await;
        let upload = self.inner.heard(upload).map_err(|error| Arc::new(error).tell(location))?;
        Ok(Box::new(upload))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let name = blob_name(location)?;
        let row = self.inner.on_map(move |map| map.blob(&name)).await;
        let row = row.map_err(|error| Arc::new(error).tell(location))?;
        let Some(row) = row else {
            let gone = PackError::Bad { pack: "of a blob".into(), damage: Damage::Missing };
            return Err(Arc::new(gone).tell(location));
        };
        let range = if options.head { 0..0 } else { resolve(options.range.as_ref(), row.len) };
        let (inner, path) = (Arc::clone(&self.inner), location.clone());
        let read = move |range| {
            let (inner, path) = (Arc::clone(&inner), path.clone());
            async move { inner.read(name, range).await.map_err(|error| Arc::new(error).tell(&path)) }
        };
        in_pieces(meta(location.clone(), &row), range, SLICE, read).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let inner = Arc::clone(&self.inner);
        locations
            .and_then(move |path| {
                let inner = Arc::clone(&inner);
                async move {
                    let name = blob_name(&path)?;
                    let deleted = inner.on_map(move |map| map.delete(name)).await;
                    deleted.map_err(|error| Arc::new(error).tell(&path))?;
                    inner.tend.notify_one();
                    Ok(path)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (inner, prefix, parts) = (Arc::clone(&self.inner), prefix.cloned(), self.inner.parts);
        let pages = futures::stream::try_unfold((inner, None), |(inner, after)| async move {
            let rows = inner.on_map(move |map| map.blobs_after(after, PAGE)).await;
            let rows = rows.map_err(|error| Arc::new(error).tell(&Path::default()))?;
            let Some(last) = rows.last().map(|row| row.name) else {
                return Ok::<_, object_store::Error>(None);
            };
            Ok(Some((futures::stream::iter(rows.into_iter().map(Ok)), (inner, Some(last)))))
        });
        pages
            .try_flatten()
            // The journal's are not the depot's.
            .try_filter(move |row: &BlobRow| std::future::ready(parts.number(&row.name).is_none()))
            .map_ok(|row: BlobRow| meta(location(row.name), &row))
            .try_filter(move |meta| {
                std::future::ready(prefix.as_ref().is_none_or(|prefix| meta.location.prefix_matches(prefix)))
            })
            .boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(missing("list_with_delimiter", "backend"))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(missing("copy", "backend"))
    }
}
