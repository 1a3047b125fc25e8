//! A store at another realm, under a grant: the machines there that keep what is stored, as one. What is written goes to
//! the first that has room; what is read is asked of each. They see sealed bytes under names that say nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use freehold_crypt::Entropy as _;
use freehold_crypt::hash::digest;
use freehold_disk::OsEntropy;
use freehold_passes::storage::Refusal;
use freehold_passes::{BODY_MAX, Errand, LISTED_MAX, Object, Outcome, What};
use freehold_wire::{BlobName, GrantId, Hex, NodeId};
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, Extensions, GetOptions, GetRange, GetResult, GetResultPayload,
    ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result, UploadPart,
};
use tokio::sync::Mutex;

use crate::answer::{in_pieces, missing, put_result};

const STORE: &str = "grant";
/// What is read at once: more than a depot reads, so that nothing is read twice.
const PIECE: u64 = 8 << 20;

/// Why an errand led nowhere; as people are told it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Failed(pub String);

/// How the machines of a realm that lends are asked.
#[async_trait]
pub trait Errands: std::fmt::Debug + Send + Sync {
    /// Those that keep what is stored under a grant, as far as they are known now, always in one order.
    fn homes(&self, grant: GrantId) -> Vec<NodeId>;
    /// Asks one of them.
    async fn ask(&self, home: NodeId, errand: Errand, body: Bytes) -> Result<(Outcome, Bytes), Failed>;
}

/// The store.
#[derive(Debug, Clone)]
pub struct Lent {
    grant: GrantId,
    errands: Arc<dyn Errands>,
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Generic { store: STORE, source: Box::new(error) }
}

fn strange() -> Error {
    failed(Failed("the machine that lends says something else than it was asked".to_owned()))
}

/// What a refusal is to whoever writes or reads: a full store is a full disk.
fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Full => failed(std::io::Error::new(std::io::ErrorKind::StorageFull, refusal)),
        Refusal::Over => Error::PermissionDenied { path: String::new(), source: Box::new(refusal) },
        other => failed(other),
    }
}

fn not_found(path: &Path) -> Error {
    Error::NotFound {
        path: path.to_string(),
        source: Box::new(Failed("nothing lies there by that name".to_owned())),
    }
}

/// What an object is called there: packs as they are, all others by what their names hash to.
fn name(path: &Path) -> BlobName {
    path.as_ref().parse().unwrap_or_else(|_| {
        BlobName::from_bytes(digest("freehold 2026 backend name lent", path.as_ref().as_bytes()))
    })
}

fn date(object: &Object) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(object.modified.0)).unwrap_or(UNIX_EPOCH)
}

fn meta(path: &Path, object: &Object) -> ObjectMeta {
    ObjectMeta {
        location: path.clone(),
        last_modified: date(object).into(),
        size: object.len,
        e_tag: None,
        version: None,
    }
}

impl Lent {
    /// What lies at another realm under a grant; nobody is asked anything yet.
    pub fn new(grant: GrantId, errands: Arc<dyn Errands>) -> Self {
        Self { grant, errands }
    }

    fn homes(&self) -> Result<Vec<NodeId>> {
        let homes = self.errands.homes(self.grant);
        if homes.is_empty() {
            return Err(failed(Failed(
                "no machine of the realm that lends is known yet, or none lets this one in".to_owned(),
            )));
        }
        Ok(homes)
    }

    async fn ask(&self, home: NodeId, what: What, body: Bytes) -> Result<(Outcome, Bytes)> {
        match self.errands.ask(home, Errand { grant: self.grant, what }, body).await.map_err(failed)? {
            (Outcome::Refused(refusal), _) => Err(refused(refusal)),
            told => Ok(told),
        }
    }

    /// Writes where there is room, and removes what another machine has by that name.
    async fn store(&self, name: BlobName, body: Bytes) -> Result<()> {
        let homes = self.homes()?;
        let mut last = None;
        for home in &homes {
            match self.ask(*home, What::Put(name), body.clone()).await {
                Ok((Outcome::Done, _)) => return self.only_at(*home, &homes, name).await,
                Ok(_) => last = Some(strange()),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(strange))
    }

    /// A name lies at one machine alone: an older one elsewhere would count as well.
    async fn only_at(&self, home: NodeId, homes: &[NodeId], name: BlobName) -> Result<()> {
        for other in homes.iter().filter(|other| **other != home) {
            self.ask(*other, What::Remove(name), Bytes::new()).await?;
        }
        Ok(())
    }

    /// A range of an object, from whoever has it.
    async fn read(&self, path: &Path, (from, to): (u64, u64)) -> Result<(Object, Bytes)> {
        let name = name(path);
        let mut silent = None;
        for home in self.homes()? {
            match self.ask(home, What::Get(name, from, to), Bytes::new()).await {
                Ok((Outcome::Found(object), bytes)) if object.name == name => return Ok((object, bytes)),
                Ok((Outcome::Missing, _)) => {}
                Ok(_) => silent = Some(strange()),
                Err(error) => silent = Some(error),
            }
        }
        // Who does not answer may have it.
        Err(silent.unwrap_or_else(|| not_found(path)))
    }

    async fn listed(&self) -> Result<Vec<ObjectMeta>> {
        let mut all = BTreeMap::new();
        for home in self.homes()? {
            let mut after = BlobName::from_bytes([0; 32]);
            loop {
                let (Outcome::Listed(some), _) = self.ask(home, What::List(after), Bytes::new()).await?
                else {
                    return Err(strange());
                };
                // Names ascend: who tells them in another order is not asked without end.
                let Some(last) = some.last().filter(|last| last.name > after) else { break };
                after = last.name;
                let is_all = some.len() < LISTED_MAX;
                for object in &some {
                    let path = Path::from(Hex(object.name.as_bytes()).to_string());
                    all.insert(object.name, meta(&path, object));
                }
                if is_all {
                    break;
                }
            }
        }
        Ok(all.into_values().collect())
    }

    async fn remove(&self, path: &Path) -> Result<()> {
        for home in self.homes()? {
            self.ask(home, What::Remove(name(path)), Bytes::new()).await?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Lent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lent({})", self.grant.short())
    }
}

/// The range that is asked for, once the length is known.
fn resolve(range: Option<&GetRange>, len: u64) -> std::ops::Range<u64> {
    let (from, to) = match range {
        None => (0, len),
        Some(GetRange::Bounded(range)) => (range.start, range.end.min(len)),
        Some(GetRange::Offset(from)) => (*from, len),
        Some(GetRange::Suffix(last)) => (len.saturating_sub(*last), len),
    };
    from.min(to)..to
}

#[async_trait]
impl ObjectStore for Lent {
    async fn put_opts(&self, location: &Path, payload: PutPayload, _: PutOptions) -> Result<PutResult> {
        let body = Bytes::from(payload);
        if body.len() > BODY_MAX {
            let mut upload = self.put_multipart_opts(location, PutMultipartOptions::default()).await?;
            upload.put_part(body.into()).await?;
            return upload.complete().await;
        }
        self.store(name(location), body).await?;
        Ok(put_result())
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let coming = BlobName::from_bytes(*OsEntropy.secret().expose());
        let sending = Sending { at: 0, home: None };
        Ok(Box::new(Upload {
            lent: self.clone(),
            name: name(location),
            coming,
            sending: Arc::new(Mutex::new(sending)),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        // How long it is comes with the first bytes, if it is known from where.
        let first = match &options.range {
            _ if options.head => (0, 0),
            None => (0, PIECE),
            Some(GetRange::Bounded(range)) => (range.start, range.end.min(range.start.saturating_add(PIECE))),
            Some(GetRange::Offset(from)) => (*from, from.saturating_add(PIECE)),
            Some(GetRange::Suffix(_)) => (0, 0),
        };
        let (object, begun) = self.read(location, first).await?;
        let meta = meta(location, &object);
        if options.head {
            let payload = GetResultPayload::Stream(futures::stream::empty().boxed());
            let (attributes, extensions) = (Attributes::default(), Extensions::default());
            return Ok(GetResult { payload, meta, range: 0..object.len, attributes, extensions });
        }
        let range = resolve(options.range.as_ref(), object.len);
        if range.is_empty() && object.len > 0 {
            return Err(failed(Failed("the object is shorter than that".to_owned())));
        }
        let (lent, path, begun_at) = (self.clone(), location.clone(), first.0);
        let read = move |piece: std::ops::Range<u64>| {
            let (lent, path, begun) = (lent.clone(), path.clone(), begun.clone());
            async move {
                let wanted = usize::try_from(piece.end.saturating_sub(piece.start)).unwrap_or(usize::MAX);
                let skip = usize::try_from(piece.start.saturating_sub(begun_at)).unwrap_or(usize::MAX);
                if piece.start >= begun_at && skip.saturating_add(wanted) <= begun.len() {
                    return Ok(begun.slice(skip..skip + wanted));
                }
                let (_, bytes) = lent.read(&path, (piece.start, piece.end)).await?;
                // A range is whole or it is none.
                if bytes.len() == wanted { Ok(bytes) } else { Err(strange()) }
            }
        };
        in_pieces(meta, range, PIECE, read).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let lent = self.clone();
        let removed = move |path: Result<Path>| {
            let lent = lent.clone();
            async move {
                let path = path?;
                lent.remove(&path).await.map(|()| path)
            }
        };
        locations.map(removed).buffered(4).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let lent = self.clone();
        let listed = async move {
            match lent.listed().await {
                Ok(all) => all.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            }
        };
        listed.map(futures::stream::iter).flatten_stream().boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        let (common_prefixes, extensions) = (Vec::new(), Extensions::default());
        Ok(ListResult { common_prefixes, objects: self.listed().await?, extensions })
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(missing("copy", STORE))
    }
}

/// How far an object is on its way, and where to.
#[derive(Debug)]
struct Sending {
    at: u64,
    home: Option<NodeId>,
}

/// An object on its way, in parts. Parts go one after another, to one machine.
#[derive(Debug)]
struct Upload {
    lent: Lent,
    name: BlobName,
    coming: BlobName,
    sending: Arc<Mutex<Sending>>,
}

impl Sending {
    async fn send(&mut self, lent: &Lent, upload: BlobName, body: Bytes) -> Result<()> {
        let mut rest = body;
        while !rest.is_empty() {
            let part = rest.split_to(rest.len().min(8 << 20));
            let homes = self.home.map_or_else(|| lent.homes(), |home| Ok(vec![home]))?;
            let (mut done, mut last) = (None, None);
            for home in homes {
                match lent.ask(home, What::Part(upload, self.at), part.clone()).await {
                    Ok((Outcome::Done, _)) => {
                        done = Some(home);
                        break;
                    }
                    Ok(_) => last = Some(strange()),
                    Err(error) => last = Some(error),
                }
            }
            self.home = Some(done.ok_or_else(|| last.unwrap_or_else(strange))?);
            self.at = self.at.saturating_add(part.len() as u64);
        }
        Ok(())
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (lent, upload) = (self.lent.clone(), self.coming);
        // Its place in the row is taken now: parts may be polled in any order.
        let place = Arc::clone(&self.sending).try_lock_owned();
        let sending = Arc::clone(&self.sending);
        async move {
            let mut sending = match place {
                Ok(sending) => sending,
                Err(_) => sending.lock_owned().await,
            };
            sending.send(&lent, upload, Bytes::from(data)).await
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let sending = self.sending.lock().await;
        let Some(home) = sending.home else {
            self.lent.store(self.name, Bytes::new()).await?;
            return Ok(put_result());
        };
        let what = What::Finish(self.coming, self.name, sending.at);
        match self.lent.ask(home, what, Bytes::new()).await? {
            (Outcome::Done, _) => self.lent.only_at(home, &self.lent.homes()?, self.name).await?,
            _ => return Err(strange()),
        }
        Ok(put_result())
    }

    async fn abort(&mut self) -> Result<()> {
        let sending = self.sending.lock().await;
        if let Some(home) = sending.home {
            self.lent.ask(home, What::Abort(self.coming), Bytes::new()).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
