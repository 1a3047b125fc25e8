//! A large object on its way: each store gets its shard in pieces.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::join_all;
use object_store::path::Path;
use object_store::{Error, MultipartUpload, ObjectStoreExt as _, PutPayload, PutResult, Result, UploadPart};

use super::Inner;
use super::shard::Cutter;
use crate::answer::put_result;

/// Length of a shard's pieces; some stores want all but the last to be the same, and none shorter.
const PIECE: usize = 5 << 20;

/// Shards that failed are left out from then on.
type Failures = Arc<Mutex<Vec<Option<String>>>>;

pub(super) struct Upload {
    inner: Arc<Inner>,
    location: Path,
    cutter: Cutter,
    uploads: Vec<Option<Box<dyn MultipartUpload>>>,
    failures: Failures,
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Upload({})", self.location)
    }
}

impl Upload {
    pub(super) async fn begin(inner: Arc<Inner>, location: &Path) -> Result<Self> {
        let begun = join_all(inner.stores.iter().map(|store| store.put_multipart(location))).await;
        let (mut uploads, mut failures) = (Vec::new(), Vec::new());
        for upload in begun {
            let (upload, failure) = match upload {
                Ok(upload) => (Some(upload), None),
                Err(error) => (None, Some(crate::packed::chain(&error))),
            };
            uploads.push(upload);
            failures.push(failure);
        }
        let cutter = Cutter::new(inner.code, &inner.key, location.as_ref());
        let failures = Arc::new(Mutex::new(failures));
        let mut upload = Self { inner, location: location.clone(), cutter, uploads, failures };
        if let Err(error) = still_enough(&upload.failures, upload.inner.code.enough()) {
            drop(upload.abort().await);
            return Err(error);
        }
        Ok(upload)
    }

    /// Sends what there is of each shard in whole pieces, and all of it at the end.
    fn send(&mut self, last: bool) -> Vec<impl Future<Output = ()> + Send + use<>> {
        let mut sent = Vec::new();
        loop {
            let ready = self.cutter.shards.first().map_or(0, Vec::len);
            if ready < PIECE && !(last && ready > 0) {
                return sent;
            }
            let shards = self.cutter.shards.iter_mut().zip(&mut self.uploads).enumerate();
            for (shard, (out, upload)) in shards {
                let rest = out.split_off(PIECE.min(out.len()));
                let piece = Bytes::from(std::mem::replace(out, rest));
                let failed = has_failed(&self.failures, shard);
                let Some(upload) = upload.as_mut().filter(|_| !failed) else { continue };
                let (part, failures) =
                    (upload.put_part(PutPayload::from_bytes(piece)), Arc::clone(&self.failures));
                sent.push(async move {
                    if let Err(error) = part.await {
                        fail(&failures, shard, &error);
                    }
                });
            }
        }
    }
}

fn has_failed(failures: &Failures, shard: usize) -> bool {
    let failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
    failures.get(shard).is_some_and(Option::is_some)
}

fn fail(failures: &Failures, shard: usize, error: &Error) {
    tracing::warn!(%error, "a shard is not being stored; it is made anew when its store answers");
    let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(failure) = failures.get_mut(shard) {
        failure.get_or_insert_with(|| crate::packed::chain(error));
    }
}

/// Whether enough shards have not failed.
fn still_enough(failures: &Failures, enough: usize) -> Result<()> {
    let failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
    let good = failures.iter().filter(|failure| failure.is_none()).count();
    match failures.iter().flatten().next() {
        Some(why) if good < enough => Err(Error::Generic { store: "spread", source: why.clone().into() }),
        _ => Ok(()),
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        for piece in &data {
            self.cutter.push(piece);
        }
        let (sent, failures) = (self.send(false), Arc::clone(&self.failures));
        let enough = self.inner.code.enough();
        async move {
            join_all(sent).await;
            still_enough(&failures, enough)
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let len = self.cutter.finish();
        join_all(self.send(true)).await;
        let failures = &self.failures;
        let completed = self.uploads.iter_mut().enumerate().map(|(shard, upload)| async move {
            if let Some(upload) = upload.as_mut().filter(|_| !has_failed(failures, shard))
                && let Err(error) = upload.complete().await
            {
                fail(failures, shard, &error);
            }
        });
        join_all(completed).await;
        still_enough(failures, self.inner.code.enough())?;
        let stored = {
            let failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
            let failed = |why: &String| Error::Generic { store: "spread", source: why.clone().into() };
            failures.iter().map(|failure| failure.as_ref().map_or(Ok(()), |why| Err(failed(why)))).collect()
        };
        self.inner.see(&self.location, len, stored).await?;
        Ok(put_result())
    }

    async fn abort(&mut self) -> Result<()> {
        let aborted = self.uploads.iter_mut().flatten().map(|upload| MultipartUpload::abort(upload.as_mut()));
        join_all(aborted).await.into_iter().find(Result::is_err).unwrap_or(Ok(()))
    }
}
