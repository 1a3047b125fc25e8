//! What SlateDB sees: paths and bytes. Each path is in a *slot*, an object of the bucket; the slot of
//! a path that was deleted is used again, because the vault remembers every key that ever was.

mod slots;
mod upload;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use freehold_vault::{GetError, PutError};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use slatedb::object_store::path::Path;
use slatedb::object_store::{
    Attributes, CopyOptions, Error, Extensions, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};
use tokio_util::sync::CancellationToken;

use self::slots::{Slot, Slots};
use crate::bucket::{Bucket, Kept, path};
use crate::claim::Claim;

const NAME: &str = "vault";
/// How many objects are looked at at once when it is opened.
const LOOKS: usize = 16;

/// Whose store it is.
#[derive(Debug, Clone)]
pub(crate) enum Who {
    /// The writer's, as long as the claim holds.
    Writer(Claim),
    /// A reader's: the writer is another node, whose objects come as they come.
    Reader,
}

/// The store of one database. Clones are handles to the same.
#[derive(Clone)]
pub(crate) struct Store(Arc<Inner>);

struct Inner {
    bucket: Bucket,
    prefix: String,
    who: Who,
    slots: Mutex<Slots>,
    stop: CancellationToken,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({}, {})", self.0.bucket.id().short(), self.0.prefix)
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Why a write was not even tried.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("this node may not write here")]
    NotTheWriter,
    #[error("the database is closing")]
    Closing,
    #[error("it is there already, or not the one that was meant")]
    There,
    #[error("it is not there")]
    Gone,
}

impl Store {
    /// Opens the store of the data under a prefix, and looks at what is there.
    pub(crate) async fn open(
        bucket: Bucket,
        prefix: &str,
        who: Who,
        stop: CancellationToken,
    ) -> Result<Self, GetError> {
        let slots = Mutex::new(Slots::default());
        let store = Inner { bucket, prefix: prefix.to_owned(), who, slots, stop };
        store.look().await?;
        Ok(Self(Arc::new(store)))
    }
}

impl Inner {
    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns which path is in which slot, as far as it is not known.
    async fn look(&self) -> Result<(), GetError> {
        let listed = self.bucket.list(&self.prefix)?;
        let unknown: Vec<String> = {
            let slots = self.slots();
            listed
                .iter()
                .filter(|kept| !slots.knows(&self.prefix, kept))
                .map(|kept| kept.key.clone())
                .collect()
        };
        let looks = futures::stream::iter(unknown).map(|key| async move { self.bucket.path_of(&key).await });
        let looks: Vec<Result<(Kept, String), GetError>> = looks.buffer_unordered(LOOKS).collect().await;
        let mut found = Vec::new();
        for look in looks {
            match look {
                Ok(one) => found.push(one),
                // It went while we looked.
                Err(GetError::NoSuchKey) => {}
                Err(error) => return Err(error),
            }
        }
        self.slots().learn(&self.prefix, &listed, found);
        Ok(())
    }

    /// A reader's objects change under it.
    async fn follow(&self) -> Result<()> {
        match self.who {
            Who::Writer(_) => Ok(()),
            Who::Reader => self.look().await.map_err(|error| of_get(&self.prefix, error)),
        }
    }

    fn may_write(&self) -> std::result::Result<(), Refusal> {
        match &self.who {
            _ if self.stop.is_cancelled() => Err(Refusal::Closing),
            Who::Writer(claim) if !claim.is_over(&self.bucket) => Ok(()),
            _ => Err(Refusal::NotTheWriter),
        }
    }

    async fn write(&self, location: &Path, payload: PutPayload, mode: PutMode) -> Result<PutResult> {
        self.may_write().map_err(refused)?;
        let number = self.slots().reserve(location.as_ref(), &mode).map_err(|refusal| {
            let source = Box::new(refusal);
            match mode {
                PutMode::Create => Error::AlreadyExists { path: location.to_string(), source },
                _ => Error::Precondition { path: location.to_string(), source },
            }
        })?;
        let key = slots::key(&self.prefix, number);
        let pieces: Vec<_> = payload.into_iter().collect();
        let kept = loop {
            let put = self.bucket.put(&key, location.as_ref(), pieces.clone(), false).await;
            match put {
                // It is durable here. Nodes confirm in order, so one more write stands for this one.
                Err(PutError::NotConfirmed { .. }) if self.may_write().is_ok() => {}
                Err(error) => {
                    self.slots().give_up(location.as_ref());
                    return Err(of_put(error));
                }
                Ok(kept) => break kept,
            }
        };
        // What a takeover has not seen must not count.
        if let Err(refusal) = self.may_write() {
            self.slots().give_up(location.as_ref());
            return Err(refused(refusal));
        }
        let e_tag = Some(identity(&kept));
        self.slots().settle(location.as_ref(), number, kept);
        Ok(PutResult { e_tag, version: None, extensions: Extensions::new() })
    }

    fn meta(location: &Path, kept: &Kept) -> ObjectMeta {
        ObjectMeta {
            location: location.clone(),
            last_modified: (UNIX_EPOCH + Duration::from_millis(kept.modified.0)).into(),
            size: kept.size,
            e_tag: Some(identity(kept)),
            version: None,
        }
    }

    fn slot(&self, location: &Path) -> Result<Slot> {
        self.slots().get(location.as_ref()).ok_or_else(|| gone(location))
    }

    async fn read(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if self.slot(location).is_err() {
            self.follow().await?;
        }
        let slot = self.slot(location)?;
        let meta = Self::meta(location, &slot.kept);
        options.check_preconditions(&meta)?;
        let range: Range<u64> = match &options.range {
            None => 0..meta.size,
            Some(range) => range
                .as_range(meta.size)
                .map_err(|source| Error::Generic { store: NAME, source: Box::new(source) })?,
        };
        let result = |payload, range| GetResult {
            payload,
            meta: meta.clone(),
            range,
            attributes: Attributes::new(),
            extensions: Extensions::new(),
        };
        if options.head || range.is_empty() {
            return Ok(result(GetResultPayload::Stream(futures::stream::empty().boxed()), range));
        }
        let got = self.bucket.get(&slots::key(&self.prefix, slot.number), Some(range.clone())).await;
        let got = got.map_err(|error| of_get(location.as_ref(), error))?;
        // A reader may come when the slot holds something else by now.
        if path(&got.meta) != location.as_ref() {
            self.follow().await?;
            return Err(gone(location));
        }
        let at = location.to_string();
        let body = got.body.map_err(move |error| of_get(&at, error)).boxed();
        Ok(result(GetResultPayload::Stream(body), range))
    }

    fn listed(&self, prefix: Option<&Path>) -> Vec<ObjectMeta> {
        let slots = self.slots();
        let all = slots.all().filter_map(|(path, kept)| Some((Path::parse(path).ok()?, kept)));
        let within = all.filter(|(path, _)| {
            prefix
                .is_none_or(|prefix| path.prefix_match(prefix).is_some_and(|mut rest| rest.next().is_some()))
        });
        within.map(|(path, kept)| Self::meta(&path, kept)).collect()
    }

    async fn remove(&self, locations: Vec<Path>) -> Vec<Result<Path>> {
        if let Err(refusal) = self.may_write() {
            let why = refusal.to_string();
            return locations.iter().map(|location| Err(refused_for(location, &why))).collect();
        }
        let slots: Vec<Slot> = locations.iter().filter_map(|location| self.slot(location).ok()).collect();
        let keys: Vec<String> = slots.iter().map(|slot| slots::key(&self.prefix, slot.number)).collect();
        if let Err(error) = self.bucket.delete(&keys).await {
            let why = error.to_string();
            return locations.iter().map(|location| Err(refused_for(location, &why))).collect();
        }
        let mut held = self.slots();
        for location in &locations {
            held.free(location.as_ref());
        }
        drop(held);
        locations.into_iter().map(Ok).collect()
    }
}

/// Tells one content of a slot from another.
fn identity(kept: &Kept) -> String {
    format!("{}-{}-{}", kept.etag, kept.size, kept.modified.0)
}

fn gone(location: &Path) -> Error {
    Error::NotFound { path: location.to_string(), source: Box::new(Refusal::Gone) }
}

/// Not as if the number were taken: SlateDB would look for the next free one, without end.
fn refused(why: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::NotSupported { source: Box::new(why) }
}

fn refused_for(location: &Path, why: &str) -> Error {
    Error::NotSupported { source: format!("{location}: {why}").into() }
}

fn of_put(error: PutError) -> Error {
    match error {
        PutError::Depot(_) | PutError::Store(_) | PutError::CatchingUp => {
            Error::Generic { store: NAME, source: Box::new(error) }
        }
        // Trying again does not help.
        error => refused(error),
    }
}

fn of_get(location: &str, error: GetError) -> Error {
    match error {
        GetError::NoSuchKey => Error::NotFound { path: location.to_owned(), source: Box::new(error) },
        GetError::Missing | GetError::Depot(_) | GetError::Store(_) => {
            Error::Generic { store: NAME, source: Box::new(error) }
        }
        error => Error::NotSupported { source: Box::new(error) },
    }
}

#[async_trait]
impl ObjectStore for Store {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.0.write(location, payload, options.mode).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(upload::Upload::new(self.clone(), location.clone())))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.read(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let many = locations.ready_chunks(1000).then(move |chunk| {
            let store = store.clone();
            async move {
                let (paths, mut failed): (Vec<_>, Vec<_>) = chunk.into_iter().partition(Result::is_ok);
                let paths = paths.into_iter().filter_map(Result::ok).collect();
                let mut all = store.0.remove(paths).await;
                all.append(&mut failed);
                futures::stream::iter(all)
            }
        });
        many.flatten().boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned());
        let listed = async move {
            store.0.follow().await?;
            Ok::<_, Error>(futures::stream::iter(store.0.listed(prefix.as_ref()).into_iter().map(Ok)))
        };
        futures::stream::once(listed).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.follow().await?;
        let mut result =
            ListResult { common_prefixes: Vec::new(), objects: Vec::new(), extensions: Extensions::new() };
        for meta in self.0.listed(prefix) {
            let root = Path::default();
            let base = prefix.unwrap_or(&root);
            let rest: Vec<_> = meta.location.prefix_match(base).into_iter().flatten().collect();
            match rest.as_slice() {
                [] | [_] => result.objects.push(meta),
                [folder, ..] => {
                    let folder = base.clone().join(folder.clone());
                    if !result.common_prefixes.contains(&folder) {
                        result.common_prefixes.push(folder);
                    }
                }
            }
        }
        Ok(result)
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(Error::NotImplemented { operation: "copy".to_owned(), implementer: NAME.to_owned() })
    }
}
