//! What a blob on a foreign store costs in requests and in bytes, over a store that takes 30 ms to
//! answer. `cargo run --release -p freehold-backend --example overhead`
#![expect(clippy::print_stdout, reason = "its output is a table for a page")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use bytes::Bytes;
use freehold_backend::{Pace, Packed};
use freehold_crypt::{Entropy as _, Secret};
use freehold_disk::OsEntropy;
use freehold_vault::{Depot, DepotLimits};
use freehold_wire::BlobName;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};

const ANSWERS_AFTER: Duration = Duration::from_millis(30);
const MIB: f64 = 1024.0 * 1024.0;

#[tokio::main]
async fn main() -> Result<()> {
    // How many, how long, at once.
    for (count, len, at_once) in
        [(1000, 4 << 10, 1), (1000, 4 << 10, 16), (100, 1 << 20, 16), (4, 64 << 20, 2)]
    {
        row(count, len, at_once).await?;
    }
    Ok(())
}

async fn row(count: u64, len: usize, at_once: usize) -> Result<()> {
    let home = tempfile::tempdir()?;
    let store = Arc::new(Counting::default());
    let pace = Pace { tend: Duration::from_hours(1), ..Pace::default() };
    let counted = Arc::<Counting>::clone(&store);
    let packed = Arc::new(Packed::on(counted, home.path(), Secret::from_bytes([1; 32]), None, pace).await?);
    let limits = DepotLimits { reserve_bytes: 0, quota_bytes: None };
    let on = Arc::<Packed>::clone(&packed);
    let depot = Depot::on(on, None, limits).await?;
    store.asked.store(0, Ordering::Relaxed);
    let names: Vec<BlobName> = (0..count).map(|_| BlobName::from_bytes(OsEntropy.bytes32())).collect();
    let content = Bytes::from(vec![7; len]);
    let puts = futures::stream::iter(&names).map(|name| {
        let (depot, content) = (depot.clone(), content.clone());
        async move {
            let mut writer = depot.begin(*name, None)?;
            let mut rest = content;
            while !rest.is_empty() {
                writer.write(rest.split_to(rest.len().min(1 << 20))).await?;
            }
            writer.finish().await
        }
    });
    puts.buffer_unordered(at_once).try_collect::<Vec<()>>().await?;
    let wrote = store.take();
    let at_first = packed.state().await?.bytes;
    packed.repack().await?;
    let tended = store.take();
    let later = packed.state().await?.bytes;
    let gets = futures::stream::iter(&names).map(|name| {
        let depot = depot.clone();
        async move {
            let reader = depot.open(*name).await?;
            let len = reader.len();
            reader.stream(0..len).try_for_each(async |_| Ok(())).await
        }
    });
    gets.buffer_unordered(at_once).try_collect::<Vec<()>>().await?;
    let read = store.take();
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    let (each, share) = (
        |requests: u64| requests as f64 / count as f64,
        |bytes: u64| (bytes as f64 / (count as f64 * len as f64) - 1.0) * 100.0,
    );
    #[expect(clippy::cast_precision_loss, reason = "a length")]
    let size = if len < 1 << 20 { format!("{} KiB", len >> 10) } else { format!("{} MiB", len as f64 / MIB) };
    println!(
        "| {count} blobs of {size} on a foreign S3, {at_once} at a time | requests each: PUT {:.2}, GET {:.2}, \
         writing anew {:.2}; bytes added: {:.1} % at first, {:.1} % later |",
        each(wrote),
        each(read),
        each(tended),
        share(at_first),
        share(later),
    );
    Ok(())
}

/// Counts requests, and takes its time.
#[derive(Debug, Default)]
struct Counting {
    inner: InMemory,
    asked: Arc<AtomicU64>,
}

impl Counting {
    fn take(&self) -> u64 {
        self.asked.swap(0, Ordering::Relaxed)
    }

    async fn ask(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(ANSWERS_AFTER).await;
    }
}

impl std::fmt::Display for Counting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counting")
    }
}

#[async_trait]
impl ObjectStore for Counting {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.ask().await;
        self.inner.put_opts(path, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        opts: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.ask().await;
        let inner = self.inner.put_multipart_opts(path, opts).await?;
        Ok(Box::new(CountingUpload { inner, asked: Arc::clone(&self.asked) }))
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.ask().await;
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        let asked = Arc::clone(&self.asked);
        let counted = paths.inspect(move |_| {
            asked.fetch_add(1, Ordering::Relaxed);
        });
        self.inner.delete_stream(counted.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct CountingUpload {
    inner: Box<dyn MultipartUpload>,
    asked: Arc<AtomicU64>,
}

#[async_trait]
impl MultipartUpload for CountingUpload {
    fn put_part(&mut self, data: PutPayload) -> object_store::UploadPart {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.inner.complete().await
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        self.inner.abort().await
    }
}
