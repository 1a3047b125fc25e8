//! Rounds through the buckets: what is there, what is missing, and bringing it over.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use freehold_moves::{
    Kept, Line, Listing, Page, Seen, Step, field, listing, pairs, settle, steps, unescaped, versions_page,
};
use futures::{StreamExt as _, TryStreamExt as _};
use http::Method;

use crate::client::{Ask, S3, is_passing};
use crate::copying::Way;
use crate::run::Mover;
use crate::{MoveError, Told};

/// Objects that are under way at the same time.
const AT_ONCE: usize = 8;
const TRIES: u32 = 5;
/// A turn is told so often, by objects.
const TOLD_EVERY: u64 = 100;
const NO_BUCKET: &str = "NoSuchBucket";

/// What a round did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Did {
    pub(crate) steps: u64,
    pub(crate) bytes: u64,
}

fn strange(s3: &S3, what: &str) -> impl FnOnce(freehold_moves::AnswerError) -> MoveError {
    let (realm, what) = (s3.realm, what.to_owned());
    move |source| MoveError::Answer { realm, what, source }
}

async fn page(
    s3: &S3,
    bucket: &str,
    prefix: &str,
    after: Option<(String, String)>,
    max: u32,
) -> Result<Page, MoveError> {
    let mut ask = Ask::get(bucket, "").with("versions", "").with("encoding-type", "url");
    ask = ask.with("max-keys", max.to_string());
    if !prefix.is_empty() {
        ask = ask.with("prefix", prefix);
    }
    if let Some((key, version)) = after {
        ask = ask.with("key-marker", key);
        if !version.is_empty() {
            ask = ask.with("version-id-marker", version);
        }
    }
    let (_, xml) = s3.ask(&ask).await?;
    versions_page(&xml).map_err(strange(s3, "the list of versions"))
}

/// Everything in a bucket, or what begins with a prefix.
pub(crate) async fn list(s3: &S3, bucket: &str, prefix: &str) -> Result<Listing, MoveError> {
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let mut page = page(s3, bucket, prefix, after, 1000).await?;
        after = page.next.take();
        pages.push(page);
        if after.is_none() {
            break;
        }
    }
    let mut all = listing(pages);
    // One by one they come in the order that counts.
    for key in std::mem::take(&mut all.unclear) {
        let ordered = one_by_one(s3, bucket, &key).await?;
        all.objects.insert(key, ordered);
    }
    Ok(all)
}

async fn one_by_one(s3: &S3, bucket: &str, key: &str) -> Result<Vec<Seen>, MoveError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let mut page = page(s3, bucket, key, after, 1).await?;
        let of_it = page.lines.iter().all(|(name, _)| name == key);
        found.extend(page.lines.into_iter().filter(|(name, _)| name == key).map(|(_, seen)| seen));
        after = page.next.take();
        if after.is_none() || !of_it {
            found.reverse();
            return Ok(found);
        }
    }
}

impl Mover<'_> {
    pub(crate) fn way<'a>(&'a self, bucket: &'a str, now: &'a str, key: &'a str) -> Way<'a> {
        let keeps = self.folder.see(|model| model.buckets.get(bucket).is_some_and(|bucket| bucket.keeps));
        Way { from: &self.from, to: &self.to, bucket, now, key, keeps }
    }

    fn there(&self, bucket: &str, key: &str) -> Vec<Kept> {
        let found = |model: &freehold_moves::Model| model.buckets.get(bucket)?.objects.get(key).cloned();
        self.folder.see(found).unwrap_or_default()
    }

    /// Makes the bucket in the new realm, if that was not done.
    pub(crate) async fn make(&self, bucket: &str, now: &str) -> Result<(), MoveError> {
        if self.folder.see(|model| model.buckets.get(bucket).is_some_and(|bucket| bucket.made)) {
            return Ok(());
        }
        let none = ["ObjectLockConfigurationNotFoundError", "NotImplemented", NO_BUCKET];
        let lock = self.from.ask_if_there(&Ask::get(bucket, "").with("object-lock", ""), &none).await?;
        let mut ask = Ask::put(now, "");
        if lock.is_some() {
            ask = ask.header("x-amz-bucket-object-lock-enabled", "true");
        }
        let mut tries = 0;
        loop {
            match self.to.ask(&ask).await {
                // An earlier run was killed in the midst of it, and the realm has not said yet whose it is.
                Err(error) if error.is(&["BucketAlreadyExists"]) && tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(50 << tries)).await;
                }
                Err(error) if !error.is(&["BucketAlreadyOwnedByYou"]) => return Err(error),
                _ => break,
            }
        }
        // One's own is given again. It must be empty: what is nobody's in it is taken away later on.
        if !list(&self.to, now, "").await?.objects.is_empty() {
            return Err(MoveError::Taken(now.to_owned()));
        }
        if lock.is_some() {
            self.folder.note(Line::Keeps(bucket.to_owned()))?;
        }
        self.folder.note(Line::Made(bucket.to_owned()))
    }

    async fn keep_versions(&self, bucket: &str, now: &str) -> Result<(), MoveError> {
        if self.folder.see(|model| model.buckets.get(bucket).is_some_and(|bucket| bucket.keeps)) {
            return Ok(());
        }
        let (_, xml) = self.from.ask(&Ask::get(bucket, "").with("versioning", "")).await?;
        if field(&xml, "Status").map_err(strange(&self.from, "how versions are kept"))?.is_none() {
            return Ok(());
        }
        let body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        self.to.ask(&Ask::put(now, "").with("versioning", "").body(body)).await?;
        self.folder.note(Line::Keeps(bucket.to_owned()))
    }

    /// Compares a bucket with the old realm, and brings over what is missing.
    pub(crate) async fn round(&self, bucket: &str, now: &str) -> Result<Did, MoveError> {
        self.make(bucket, now).await?;
        self.keep_versions(bucket, now).await?;
        let keeps = self.way(bucket, now, "").keeps;
        let listed = list(&self.from, bucket, "").await?;
        let todo: Vec<(String, Vec<Seen>)> = self.folder.see(|model| {
            let none = std::collections::BTreeMap::new();
            let there = model.buckets.get(bucket).map_or(&none, |bucket| &bucket.objects);
            let keys: BTreeSet<&String> = listed.objects.keys().chain(there.keys()).collect();
            let sources = keys.into_iter().map(|key| {
                (
                    key,
                    listed.objects.get(key).map_or(&[][..], Vec::as_slice),
                    there.get(key).map_or(&[][..], Vec::as_slice),
                )
            });
            let missing = sources.filter(|(_, source, there)| !steps(source, there, keeps).is_empty());
            missing.map(|(key, source, _)| (key.clone(), source.to_vec())).collect()
        });
        let (done, total) = (AtomicU64::new(0), todo.len() as u64);
        let bring = |(key, source): (String, Vec<Seen>)| {
            let done = &done;
            async move {
                let did = self.bring(&self.way(bucket, now, &key), &source).await?;
                let now = done.fetch_add(1, Ordering::Relaxed) + 1;
                if now.is_multiple_of(TOLD_EVERY) || now == total {
                    (self.told)(Told::Objects { bucket: bucket.to_owned(), done: now, of: total });
                }
                Ok::<Did, MoveError>(did)
            }
        };
        let sum = |sum: Did, one: Did| async move {
            Ok(Did { steps: sum.steps + one.steps, bytes: sum.bytes + one.bytes })
        };
        futures::stream::iter(todo.into_iter().map(bring))
            .buffer_unordered(AT_ONCE)
            .try_fold(Did::default(), sum)
            .await
    }

    /// Brings an object over. What fails in passing is tried again, once the new realm has said what it has.
    async fn bring(&self, way: &Way<'_>, source: &[Seen]) -> Result<Did, MoveError> {
        let mut tries = 0;
        loop {
            match self.bring_once(way, source).await {
                Err(error) if is_passing(&error) && tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(200 << tries)).await;
                    let found = list(&self.to, way.now, way.key).await?.objects.remove(way.key);
                    self.settle_key(way, &found.unwrap_or_default()).await?;
                }
                other => return other,
            }
        }
    }

    async fn bring_once(&self, way: &Way<'_>, source: &[Seen]) -> Result<Did, MoveError> {
        let mut did = Did::default();
        let there = self.there(way.bucket, way.key);
        for step in steps(source, &there, way.keeps) {
            let made = match &step {
                Step::Remove(version) => {
                    way.remove(version).await?;
                    self.note_removed(way, version)?;
                    None
                }
                Step::Mark(seen) => Some(way.mark(seen).await?),
                Step::Copy(seen) => match way.copy(seen).await {
                    // It was taken away, or another was written in its place: the next round finds what is there then.
                    Err(error) if error.is_gone() => {
                        did.steps += 1;
                        return Ok(did);
                    }
                    made => Some(made?),
                },
            };
            if let Some(kept) = made {
                did.bytes += kept.from.size;
                self.folder.note(Line::Kept(way.bucket.to_owned(), way.key.to_owned(), kept))?;
            }
            did.steps += 1;
        }
        Ok(did)
    }

    fn note_removed(&self, way: &Way<'_>, version: &str) -> Result<(), MoveError> {
        self.folder.note(Line::Removed(way.bucket.to_owned(), way.key.to_owned(), version.to_owned()))
    }

    /// Takes away what is nobody's, and forgets what is not there. Says whether there was something.
    async fn settle_key(&self, way: &Way<'_>, found: &[Seen]) -> Result<bool, MoveError> {
        let before = self.there(way.bucket, way.key);
        let mut after = before.clone();
        let strays = settle(&mut after, found);
        let gone = before.iter().filter(|kept| !after.contains(kept));
        for kept in gone.clone() {
            self.note_removed(way, &kept.to)?;
        }
        for version in &strays {
            way.remove(version).await?;
        }
        Ok(!strays.is_empty() || gone.count() > 0)
    }

    /// Compares the new realm's list with what was written down. Says whether there was something to mend.
    pub(crate) async fn compare(&self, bucket: &str, now: &str) -> Result<bool, MoveError> {
        if !self.folder.see(|model| model.buckets.get(bucket).is_some_and(|bucket| bucket.made)) {
            return Ok(false);
        }
        self.end_uploads(now).await?;
        let mut found = list(&self.to, now, "").await?.objects;
        let noted = self.folder.see(|model| {
            let objects =
                model.buckets.get(bucket).map(|bucket| bucket.objects.keys().cloned().collect::<Vec<_>>());
            objects.unwrap_or_default()
        });
        for key in noted {
            found.entry(key).or_default();
        }
        let mut mended = false;
        for (key, versions) in found {
            mended |= self.settle_key(&self.way(bucket, now, &key), &versions).await?;
        }
        Ok(mended)
    }

    /// Uploads that a kill broke off are nobody's.
    async fn end_uploads(&self, now: &str) -> Result<(), MoveError> {
        let ask = Ask::get(now, "").with("uploads", "").with("encoding-type", "url");
        let (_, xml) = self.to.ask(&ask).await?;
        let what = || strange(&self.to, "the list of uploads");
        for (key, id) in pairs(&xml, "Upload", ["Key", "UploadId"]).map_err(what())? {
            let key = unescaped(&key).map_err(what())?;
            let end = Ask::new(Method::DELETE, now, &key).with("uploadId", id);
            self.to.ask_if_there(&end, &["NoSuchUpload"]).await?;
        }
        Ok(())
    }

    /// Reads back what was not read back yet.
    pub(crate) async fn check(&self, bucket: &str, now: &str) -> Result<(), MoveError> {
        let todo: Vec<(String, Kept)> = self.folder.see(|model| {
            let objects = model.buckets.get(bucket).into_iter().flat_map(|bucket| &bucket.objects);
            let all = objects.flat_map(|(key, versions)| versions.iter().map(move |kept| (key, kept)));
            let open = all.filter(|(_, kept)| !kept.checked && !kept.from.marker);
            open.map(|(key, kept)| (key.clone(), kept.clone())).collect()
        });
        let (done, total) = (AtomicU64::new(0), todo.len() as u64);
        let check = |(key, kept): (String, Kept)| {
            let done = &done;
            async move {
                self.way(bucket, now, &key).check(&kept).await?;
                let count = done.fetch_add(1, Ordering::Relaxed) + 1;
                if count.is_multiple_of(TOLD_EVERY) || count == total {
                    (self.told)(Told::ReadBack { bucket: bucket.to_owned(), done: count, of: total });
                }
                self.folder.note(Line::Checked(bucket.to_owned(), key, kept.to))
            }
        };
        let all = futures::stream::iter(todo.into_iter().map(check)).buffer_unordered(AT_ONCE);
        all.try_for_each(|()| async { Ok(()) }).await
    }
}
