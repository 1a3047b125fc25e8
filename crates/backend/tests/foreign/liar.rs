//! A store in memory that does what it is asked, until it is told to lie.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result,
};

/// What it does instead of what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Nothing else.
    None,
    /// Says "stored" and stores nothing.
    StoresNothing,
    /// Stores the first half.
    StoresHalf,
    /// Stores with a flipped bit near the end.
    StoresOther,
    /// Gives another object's bytes.
    GivesAnother,
    /// Gives bytes with a flipped bit.
    GivesFlipped,
    /// Gives fewer bytes than asked for, and says that was all.
    GivesLess,
    /// Overwrites whatever the conditions say.
    IgnoresConditions,
    /// Gives what an object was before it was overwritten.
    GivesOld,
    /// Does not list what came last.
    ListsStale,
    /// Lists what was deleted, and says "deleted" for what it keeps.
    KeepsDeleted,
    /// Ignores ranges.
    IgnoresRanges,
    /// Answers nothing.
    Down,
    /// Takes nothing more.
    Full,
    /// Never answers at all.
    Silent,
    /// Has no such bucket.
    NoBucket,
    /// Lists nothing.
    ListsNothing,
}

/// The store.
#[derive(Debug)]
pub(crate) struct Liar {
    pub(crate) inner: InMemory,
    lie: Mutex<Lie>,
    first: InMemory,
    last: Mutex<Option<Path>>,
}

impl Liar {
    pub(crate) fn new() -> Arc<Self> {
        let lie = Mutex::new(Lie::None);
        Arc::new(Self { inner: InMemory::new(), lie, first: InMemory::new(), last: Mutex::new(None) })
    }

    pub(crate) fn tell(&self, lie: Lie) {
        *self.lie.lock().unwrap() = lie;
    }

    fn lie(&self) -> Lie {
        *self.lie.lock().unwrap()
    }

    async fn up(&self) -> Result<()> {
        match self.lie() {
            Lie::Down => Err(failed("connection refused")),
            Lie::Silent => std::future::pending().await,
            Lie::NoBucket => {
                let source = "<Code>NoSuchBucket</Code>".into();
                Err(object_store::Error::NotFound { path: "attic".into(), source })
            }
            _ => Ok(()),
        }
    }

    /// Names of everything that lies there.
    pub(crate) async fn names(&self) -> Vec<Path> {
        self.inner.list(None).map(|meta| meta.unwrap().location).collect().await
    }

    /// All that somebody who can look at it sees.
    pub(crate) async fn everything(&self) -> Vec<(Path, Bytes)> {
        let mut all = Vec::new();
        for path in self.names().await {
            let bytes = self.inner.get(&path).await.unwrap().bytes().await.unwrap();
            all.push((path, bytes));
        }
        all
    }

    async fn remember(&self, path: &Path) {
        *self.last.lock().unwrap() = Some(path.clone());
        if self.first.head(path).await.is_err()
            && let Ok(found) = self.inner.get(path).await
        {
            let bytes = found.bytes().await.unwrap();
            self.first.put(path, bytes.into()).await.unwrap();
        }
    }
}

pub(crate) fn failed(what: &str) -> object_store::Error {
    object_store::Error::Generic { store: "liar", source: what.to_owned().into() }
}

impl std::fmt::Display for Liar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Liar")
    }
}

fn put_result() -> PutResult {
    PutResult { e_tag: Some("0".into()), version: None, extensions: object_store::Extensions::default() }
}

#[async_trait]
impl ObjectStore for Liar {
    async fn put_opts(&self, path: &Path, payload: PutPayload, mut opts: PutOptions) -> Result<PutResult> {
        self.up().await?;
        let mut bytes = Vec::from(Bytes::from(payload));
        match self.lie() {
            Lie::Full => return Err(failed("507 Insufficient Storage")),
            Lie::StoresNothing => return Ok(put_result()),
            Lie::StoresHalf => bytes.truncate(bytes.len() / 2),
            Lie::StoresOther => {
                let at = bytes.len() - 3;
                bytes[at] ^= 4;
            }
            Lie::IgnoresConditions => opts.mode = PutMode::Overwrite,
            _ => {}
        }
        self.remember(path).await;
        self.inner.put_opts(path, bytes.into(), opts).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.up().await?;
        match self.lie() {
            Lie::Full => Err(failed("507 Insufficient Storage")),
            Lie::StoresNothing => InMemory::new().put_multipart_opts(path, opts).await,
            _ => self.inner.put_multipart_opts(path, opts).await,
        }
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.up().await?;
        let lie = self.lie();
        let mut at = path.clone();
        if lie == Lie::GivesAnother
            && let Some(other) = self.names().await.into_iter().find(|other| other != path)
        {
            at = other;
        }
        if options.head {
            return self.inner.get_opts(&at, options).await;
        }
        let from = if lie == Lie::GivesOld && self.first.head(&at).await.is_ok() {
            &self.first
        } else {
            &self.inner
        };
        let found = from.get(&at).await?;
        let meta = found.meta.clone();
        let mut bytes = Vec::from(found.bytes().await?);
        let len = bytes.len() as u64;
        let range: Range<u64> = match options.range {
            _ if lie == Lie::IgnoresRanges => 0..len,
            None => 0..len,
            Some(GetRange::Bounded(range)) if range.start >= len => return Err(failed("416")),
            Some(GetRange::Bounded(range)) => range.start..range.end.min(len),
            Some(GetRange::Offset(from)) => from.min(len)..len,
            Some(GetRange::Suffix(last)) => len.saturating_sub(last)..len,
        };
        bytes = bytes[range.start as usize..range.end as usize].to_vec();
        match lie {
            Lie::GivesLess => bytes.truncate(bytes.len() / 2),
            Lie::GivesFlipped => {
                if let Some(byte) = bytes.last_mut() {
                    *byte ^= 1;
                }
            }
            _ => {}
        }
        let stream = futures::stream::once(async move { Ok(Bytes::from(bytes)) }).boxed();
        let payload = GetResultPayload::Stream(stream);
        let (attributes, extensions) = (found_attributes(), object_store::Extensions::default());
        Ok(GetResult { payload, meta, range, attributes, extensions })
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.lie() {
            Lie::Down => futures::stream::once(async { Err(failed("connection refused")) }).boxed(),
            Lie::KeepsDeleted => paths,
            Lie::Silent => futures::stream::pending().boxed(),
            _ => self.inner.delete_stream(paths),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.lie() {
            Lie::Down => futures::stream::once(async { Err(failed("connection refused")) }).boxed(),
            Lie::Silent => futures::stream::pending().boxed(),
            Lie::ListsNothing => futures::stream::empty().boxed(),
            Lie::ListsStale => {
                let last = self.last.lock().unwrap().clone();
                let keep = move |meta: &Result<ObjectMeta>| {
                    let stale = meta.as_ref().is_ok_and(|meta| Some(&meta.location) == last.as_ref());
                    std::future::ready(!stale)
                };
                self.inner.list(prefix).filter(keep).boxed()
            }
            _ => self.inner.list(prefix),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

fn found_attributes() -> object_store::Attributes {
    object_store::Attributes::default()
}
