//! What a store can do, found out by asking it for it, before anything is entrusted to it.

use std::time::{Duration, Instant};

use freehold_crypt::Entropy as _;
use freehold_disk::OsEntropy;
use freehold_wire::{Hex, Millis};
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, MultipartUpload as _, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload,
    UpdateVersion,
};

/// One piece of a large object; the least that an S3 takes.
const PIECE: usize = 5 << 20;
/// Ciphertext in packs is at most as long in one request.
const LARGE: usize = (8 << 20) + (2 << 10);
/// A clock that is off by more makes signatures fail soon.
const CLOCK: i64 = 5 * 60 * 1000;

/// What a store does with a condition on a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It holds to it.
    Works,
    /// It says "done" and does not look at it.
    Ignored,
    /// It says that it cannot.
    Refused,
}

/// What a store can do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one answer")]
pub struct Found {
    /// A write only if there is nothing yet.
    pub conditional_create: Answer,
    /// A write only in place of what is known.
    pub conditional_replace: Answer,
    /// What was written is there at once, byte for byte.
    pub read_after_write: bool,
    /// What was overwritten is gone at once.
    pub read_after_replace: bool,
    /// A listing names what is there, goes on where it is told to, and no longer what was deleted.
    pub listing: bool,
    /// A part of an object can be read.
    pub ranges: bool,
    /// 8 MiB in one request.
    pub large: bool,
    /// An object in several pieces.
    pub multipart: bool,
    /// What was deleted is gone.
    pub deletes: bool,
    /// It keeps what was overwritten or deleted, as versions.
    pub versioned: bool,
    /// How far its clock is ahead of ours, in milliseconds.
    pub clock_off: Option<i64>,
    /// How long all of it took.
    pub took: Duration,
}

/// Why a store will not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// See [`Found::read_after_write`].
    #[error("it says that an object is stored, and does not give it back as it was")]
    Forgets,
    /// See [`Found::ranges`].
    #[error("it cannot give a part of an object")]
    NoRanges,
    /// See [`Found::large`] and [`Found::multipart`].
    #[error("it does not take objects of 8 MiB, or not in several pieces")]
    NotLarge,
    /// See [`Found::listing`].
    #[error("its listing leaves out what is there, or names what is not")]
    Listing,
    /// See [`Found::deletes`].
    #[error("it says that an object is deleted, and still gives it out")]
    KeepsDeleted,
}

/// What a person should know of a store that will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Note {
    /// It has no conditional writes.
    #[error(
        "it {} conditional writes; nothing here needs them, because entries, which say what counts, lie on \
         nodes", if *.ignored { "ignores" } else { "has no" }
    )]
    NoConditions {
        /// It says "done" instead of "no".
        ignored: bool,
    },
    /// It keeps versions.
    #[error(
        "it keeps versions of what is deleted: let it remove them by age, or what is freed stays on the bill"
    )]
    Versioned,
    /// It gives out what was overwritten.
    #[error("it may give out what was overwritten; nothing here is overwritten")]
    Stale,
    /// Its clock differs.
    #[error("its clock and this machine's differ by {} minutes", .minutes)]
    Clock {
        /// By so much.
        minutes: i64,
    },
}

impl Found {
    /// Why it will not do, if so.
    pub const fn refusal(&self) -> Option<Refusal> {
        if !self.read_after_write {
            Some(Refusal::Forgets)
        } else if !self.ranges {
            Some(Refusal::NoRanges)
        } else if !self.large || !self.multipart {
            Some(Refusal::NotLarge)
        } else if !self.listing {
            Some(Refusal::Listing)
        } else if !self.deletes {
            Some(Refusal::KeepsDeleted)
        } else {
            None
        }
    }

    /// What a person should know of it.
    pub fn notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        let answers = [self.conditional_create, self.conditional_replace];
        if answers.iter().any(|answer| *answer != Answer::Works) {
            notes.push(Note::NoConditions { ignored: answers.contains(&Answer::Ignored) });
        }
        if self.versioned {
            notes.push(Note::Versioned);
        }
        if !self.read_after_replace {
            notes.push(Note::Stale);
        }
        if let Some(off) = self.clock_off.filter(|off| off.abs() > CLOCK) {
            notes.push(Note::Clock { minutes: off / 60_000 });
        }
        notes
    }
}

/// The store could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nobody answers.
    #[error("the store does not answer")]
    Unreachable(#[source] object_store::Error),
    /// It does not let us in.
    #[error("the store does not let us in")]
    NotLetIn(#[source] object_store::Error),
    /// There is no such bucket.
    #[error("the store has no such bucket")]
    NoBucket(#[source] object_store::Error),
    /// It has no room.
    #[error("the store has no room")]
    Full(#[source] object_store::Error),
    /// Something else.
    #[error("the store did not do what it was asked ({doing})")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// What it said.
        source: object_store::Error,
    },
}

impl ProbeError {
    /// What to do about it, in a sentence.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "Look at the endpoint: scheme, host and port; is the store running?",
            Self::NotLetIn(_) => {
                "Look at the key and its secret: it needs to read, write, list and delete in this bucket; \
                 look at the region and at this machine's clock too."
            }
            Self::NoBucket(_) => "Make the bucket first, with the vendor's own tools, or look at its name.",
            Self::Full(_) => "Free some room there, or ask the vendor for more.",
            Self::Failed { .. } => "Look at what the store said; another endpoint or region may do.",
        }
    }

    fn of(doing: &'static str, source: object_store::Error) -> Self {
        let text = crate::packed::chain(&source);
        let says = |what: &[&str]| what.iter().any(|what| text.contains(what));
        match &source {
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                Self::NotLetIn(source)
            }
            object_store::Error::NotFound { .. } => Self::NoBucket(source),
            _ if says(&["NoSuchBucket", "404"]) => Self::NoBucket(source),
            _ if crate::packed::says_full(&text) => Self::Full(source),
            _ if says(&["error sending request", "HTTP error", "onnection", "dns error", "timed out"]) => {
                Self::Unreachable(source)
            }
            _ => Self::Failed { doing, source },
        }
    }
}

/// Asks a store for everything that a backend needs of it, with about 25 MiB of random bytes under
/// names of their own, which are removed again.
///
/// # Errors
/// [`ProbeError`] if it cannot be asked; what it cannot do is no error.
pub async fn probe(store: &dyn ObjectStore, now: Millis) -> Result<Found, ProbeError> {
    let begun = Instant::now();
    let asked =
        Asked { store, under: format!("probe-{}", Hex(OsEntropy.bytes32().get(..8).unwrap_or_default())) };
    let found = asked.everything(now).await;
    asked.clean_up().await;
    found.map(|found| Found { took: begun.elapsed(), ..found })
}

struct Asked<'a> {
    store: &'a dyn ObjectStore,
    under: String,
}

impl Asked<'_> {
    fn path(&self, name: &str) -> Path {
        Path::from_iter([self.under.as_str(), name])
    }

    async fn everything(&self, now: Millis) -> Result<Found, ProbeError> {
        let first = self.path("a");
        let bytes = random(10_000);
        let put = self.store.put(&first, bytes.clone().into()).await;
        let put = put.map_err(|error| ProbeError::of("writing", error))?;
        let read_after_write = self.reads(&first, &bytes).await;
        let ranges = self.reads_ranges(&first, &bytes).await;
        let clock_off = self.clock(&first, now).await;
        let conditional_create = self.create(&first).await?;
        let conditional_replace = self.replace(&first).await?;
        let again = random(10_001);
        let replaced = self.store.put(&first, again.clone().into()).await;
        let replaced = replaced.map_err(|error| ProbeError::of("writing again", error))?;
        let versioned = put.version.is_some() && replaced.version.is_some();
        let read_after_replace = self.reads(&first, &again).await;
        let large = self.large().await;
        let multipart = self.multipart().await;
        let (listing, deletes) = self.listing().await?;
        Ok(Found {
            conditional_create,
            conditional_replace,
            read_after_write,
            read_after_replace,
            listing,
            ranges,
            large,
            multipart,
            deletes,
            versioned,
            clock_off,
            took: Duration::ZERO,
        })
    }

    async fn bytes(&self, path: &Path) -> object_store::Result<Vec<u8>> {
        Ok(self.store.get(path).await?.bytes().await?.into())
    }

    async fn reads(&self, path: &Path, bytes: &[u8]) -> bool {
        let size = self.store.head(path).await.map(|meta| meta.size);
        self.bytes(path).await.is_ok_and(|read| read == bytes)
            && size.is_ok_and(|size| size == bytes.len() as u64)
    }

    async fn reads_ranges(&self, path: &Path, bytes: &[u8]) -> bool {
        for range in [0..1, 4_000..6_000, 9_990..10_000] {
            let want = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
            let want = want.and_then(|(start, end)| bytes.get(start..end)).unwrap_or_default();
            let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
            let Ok(found) = self.store.get_opts(path, options).await else { return false };
            if found.meta.size != bytes.len() as u64 || found.bytes().await.is_ok_and(|read| read != want) {
                return false;
            }
        }
        true
    }

    async fn clock(&self, path: &Path, Millis(now): Millis) -> Option<i64> {
        let modified = self.store.head(path).await.ok()?.last_modified.timestamp_millis();
        Some(modified - i64::try_from(now).ok()?)
    }

    /// Writes over an object on the condition that it is not there.
    async fn create(&self, path: &Path) -> Result<Answer, ProbeError> {
        let bytes = random(10_002);
        self.conditional(path, bytes, PutMode::Create).await
    }

    /// Writes over an object on the condition that it is another than it is.
    async fn replace(&self, path: &Path) -> Result<Answer, ProbeError> {
        let bytes = random(10_003);
        let version =
            UpdateVersion { e_tag: Some("\"00000000000000000000000000000000\"".into()), version: None };
        self.conditional(path, bytes, PutMode::Update(version)).await
    }

    async fn conditional(&self, path: &Path, bytes: Vec<u8>, mode: PutMode) -> Result<Answer, ProbeError> {
        match self.store.put_opts(path, PutPayload::from(bytes), mode.into()).await {
            Ok(_) => Ok(Answer::Ignored),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. }
                | object_store::Error::NotModified { .. },
            ) => Ok(Answer::Works),
            Err(error) => match ProbeError::of("writing on a condition", error) {
                ProbeError::Failed { .. } => Ok(Answer::Refused),
                error => Err(error),
            },
        }
    }

    async fn large(&self) -> bool {
        let (path, bytes) = (self.path("large"), random(LARGE));
        self.store.put(&path, bytes.clone().into()).await.is_ok() && self.reads(&path, &bytes).await
    }

    async fn multipart(&self) -> bool {
        let (path, bytes) = (self.path("pieces"), random(PIECE + 1000));
        let Ok(mut upload) = self.store.put_multipart(&path).await else { return false };
        for piece in bytes.chunks(PIECE) {
            if upload.put_part(piece.to_vec().into()).await.is_err() {
                return false;
            }
        }
        upload.complete().await.is_ok() && self.reads(&path, &bytes).await
    }

    /// Whether listings and removals are as they should be.
    async fn listing(&self) -> Result<(bool, bool), ProbeError> {
        let names = ["la", "lb", "lc"].map(|name| self.path(name));
        for path in &names {
            let put = self.store.put(path, random(100).into()).await;
            put.map_err(|error| ProbeError::of("writing", error))?;
        }
        let [first, second, third] = &names;
        let listed = self.listed().await?;
        let mut right = names.iter().all(|name| listed.contains(name));
        let behind = self.store.list_with_offset(Some(&Path::from(self.under.as_str())), first);
        let behind: Vec<Path> = behind
            .map_ok(|meta| meta.location)
            .try_collect()
            .await
            .map_err(|e| ProbeError::of("listing", e))?;
        right &= !behind.contains(first) && behind.contains(second) && behind.contains(third);
        let removed = self.store.delete(second).await;
        removed.map_err(|error| ProbeError::of("removing", error))?;
        let gone = matches!(self.store.get(second).await, Err(object_store::Error::NotFound { .. }));
        right &= !gone || !self.listed().await?.contains(second);
        Ok((right, gone))
    }

    async fn listed(&self) -> Result<Vec<Path>, ProbeError> {
        let under = Path::from(self.under.as_str());
        let listed = self.store.list(Some(&under)).map_ok(|meta| meta.location).try_collect().await;
        listed.map_err(|error| ProbeError::of("listing", error))
    }

    /// Whatever is left is small and says nothing.
    async fn clean_up(&self) {
        for name in ["a", "large", "pieces", "la", "lb", "lc"] {
            match self.store.delete(&self.path(name)).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => {
                    tracing::warn!(%error, under = %self.under, "what a probe wrote could not be removed");
                    return;
                }
            }
        }
    }
}

/// Random bytes, which no store can keep by knowing them already.
fn random(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    freehold_crypt::Entropy::fill(&mut OsEntropy, &mut bytes);
    bytes
}
