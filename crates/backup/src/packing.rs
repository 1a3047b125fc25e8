//! Packs fill up with sealed blobs, get a list of what is in them, and are written by a thread of their own, so that nobody
//! who reads waits for the disk; an index says in which pack each blob lies. The layout is restic's
//! (<https://restic.readthedocs.io/en/stable/100_references.html#pack-format>). An index is written after its packs, and
//! nothing is written over: whoever is cut off leaves whole packs.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use rustic_core::{FileType, Id, WriteBackend, repofile::BlobType};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    error::said,
    sealing::{SealError, Sealed, Sealer},
};

/// A pack is whole at this many bytes in a small repository; it grows with the root of the whole, so that a large one
/// has not too many files.
const PACK: u64 = 16 << 20;
const PACK_MAX: u64 = 128 << 20;
const TREE_PACK: u64 = 4 << 20;
/// By how much a pack goes over: its last piece, and its list. What is not used of it does not become memory.
const SPARE: usize = 9 << 20;
/// The longest list of a pack, and of an index.
const BLOBS_MAX: usize = 10_000;
const INDEXED_MAX: usize = 15_000;
/// Packs that are not in an index are read again after a crash: not too many.
const INDEX_AFTER: Duration = Duration::from_mins(5);

/// Why something was not added.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackError {
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Why the thread that writes has ended.
    #[error("{0}")]
    Written(String),
}

#[derive(Debug, Serialize)]
struct Blob {
    id: Id,
    #[serde(skip)]
    raw: [u8; 32],
    #[serde(rename = "type")]
    kind: BlobType,
    offset: u32,
    length: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    uncompressed_length: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Indexed {
    id: Id,
    blobs: Vec<Blob>,
}

/// restic's index file.
#[derive(Debug, Default, Serialize)]
struct Index {
    packs: Vec<Indexed>,
}

/// A pack that is whole.
pub(crate) struct Whole {
    bytes: Vec<u8>,
    blobs: Vec<Blob>,
}

/// How much came in.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Added {
    pub(crate) blobs: u64,
    /// Bytes as they were, and as they lie in packs.
    pub(crate) plain: u64,
    pub(crate) packed: u64,
}

#[derive(Default)]
struct Filling {
    bytes: Vec<u8>,
    blobs: Vec<Blob>,
    added: Added,
}

/// What takes in blobs of one kind.
pub(crate) struct Packer {
    kind: BlobType,
    /// Bytes at which a pack is whole.
    whole: usize,
    known: Mutex<HashSet<Id>>,
    filling: Mutex<Filling>,
    out: Out,
}

/// Where whole packs go.
#[derive(Clone)]
pub(crate) struct Out {
    packs: SyncSender<Whole>,
    shared: Arc<Back>,
}

/// What comes back from the thread that writes.
#[derive(Default)]
struct Back {
    /// Memory of a pack that is written: to get new memory costs as much as to copy a pack.
    spare: Mutex<Option<Vec<u8>>>,
    /// Why it has ended.
    why: OnceLock<String>,
}

/// The end of [`Out`] that the thread that writes has.
pub(crate) struct In {
    packs: Receiver<Whole>,
    shared: Arc<Back>,
}

/// A way for packs from whoever fills them to the thread that writes them: one waits at a time.
pub(crate) fn way() -> (Out, In) {
    let (packs, into) = sync_channel(0);
    let shared = Arc::<Back>::default();
    (Out { packs, shared: Arc::clone(&shared) }, In { packs: into, shared })
}

/// The least that a pack of one kind has, in a repository that has `there` bytes of them.
fn pack_size(kind: BlobType, there: u64) -> usize {
    let base = if kind == BlobType::Tree { TREE_PACK } else { PACK };
    usize::try_from((base + 32 * there.isqrt()).min(PACK_MAX)).unwrap_or(usize::MAX)
}

impl Packer {
    /// `known` are the blobs that are there, and `there` the bytes of their packs.
    pub(crate) fn new(kind: BlobType, (known, there): (HashSet<Id>, u64), out: Out) -> Self {
        let (known, whole) = (Mutex::new(known), pack_size(kind, there));
        let filling = Filling { bytes: Vec::with_capacity(whole + SPARE), ..Filling::default() };
        Self { kind, whole, known, filling: Mutex::new(filling), out }
    }

    /// What the next pack is put into: grown piece by piece it would lie in memory twice.
    fn room(&self) -> Vec<u8> {
        let mut spare = self.out.shared.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = spare.as_ref().is_some_and(|spare| spare.capacity() >= self.whole);
        spare.take_if(|_| fits).unwrap_or_else(|| Vec::with_capacity(self.whole + SPARE))
    }

    /// Whether a blob is there.
    pub(crate) fn has(&self, id: &Id) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    /// Takes in a blob that is not there yet, and answers its id.
    pub(crate) fn add(&self, blob: &[u8], sealer: &mut Sealer) -> Result<Id, PackError> {
        let raw = Sha256::digest(blob).into();
        let id = Id::new(raw);
        if !self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(id) {
            return Ok(id);
        }
        let sealed = sealer.blob(blob)?;
        let mut filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        filling.take(self.kind, raw, &sealed);
        filling.added.plain += blob.len() as u64;
        if filling.bytes.len() >= self.whole || filling.blobs.len() >= BLOBS_MAX {
            // Whoever else comes waits too: there is one pack that is filled, and one that is written.
            let whole = filling.out(Vec::new());
            self.write(whole, sealer)?;
            filling.bytes = self.room();
        }
        Ok(id)
    }

    /// Closes a pack with its list, and hands it on.
    fn write(&self, mut whole: Whole, sealer: &mut Sealer) -> Result<(), PackError> {
        let list = sealer.file(&listed(&whole.blobs), true)?;
        let length = u32::try_from(list.len()).unwrap_or(u32::MAX);
        whole.bytes.extend_from_slice(list);
        whole.bytes.extend_from_slice(&length.to_le_bytes());
        let why = || self.out.shared.why.get().cloned().unwrap_or_default();
        self.out.packs.send(whole).map_err(|_| PackError::Written(why()))
    }

    /// Hands on what is left, and answers what came in.
    pub(crate) fn end(self, sealer: &mut Sealer) -> Result<Added, PackError> {
        let (rest, added) = {
            let mut filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
            (filling.out(Vec::new()), filling.added)
        };
        if !rest.blobs.is_empty() {
            self.write(rest, sealer)?;
        }
        Ok(added)
    }
}

impl Filling {
    fn take(&mut self, kind: BlobType, raw: [u8; 32], sealed: &Sealed<'_>) {
        let place = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let (offset, length) = (place(self.bytes.len()), place(sealed.bytes.len()));
        self.bytes.extend_from_slice(sealed.bytes);
        let uncompressed_length = sealed.uncompressed;
        self.blobs.push(Blob { id: Id::new(raw), raw, kind, offset, length, uncompressed_length });
        self.added.blobs += 1;
        self.added.packed += sealed.bytes.len() as u64;
    }

    fn out(&mut self, next: Vec<u8>) -> Whole {
        Whole { bytes: std::mem::replace(&mut self.bytes, next), blobs: std::mem::take(&mut self.blobs) }
    }
}

/// The list that a pack ends with, before it is sealed.
fn listed(blobs: &[Blob]) -> Vec<u8> {
    let mut list = Vec::with_capacity(blobs.len() * 41);
    for blob in blobs {
        let tree = u8::from(blob.kind == BlobType::Tree);
        list.push(tree + if blob.uncompressed_length.is_some() { 2 } else { 0 });
        list.extend_from_slice(&blob.length.to_le_bytes());
        if let Some(length) = blob.uncompressed_length {
            list.extend_from_slice(&length.to_le_bytes());
        }
        list.extend_from_slice(&blob.raw);
    }
    list
}

/// Writes packs as they come, and indexes of them, until nobody sends any more. Where one cannot be written it ends, and
/// `why` says so to whoever sends.
pub(crate) fn write(store: &dyn WriteBackend, into: In, sealer: &mut Sealer) -> Result<(), String> {
    let written = written(store, &into, sealer);
    if let Err(words) = &written {
        into.shared.why.get_or_init(|| words.clone());
    }
    // Whoever sends finds nobody from here on.
    drop(into);
    written
}

fn written(store: &dyn WriteBackend, into: &In, sealer: &mut Sealer) -> Result<(), String> {
    let (mut index, mut listed, mut since) = (Index::default(), 0, Instant::now());
    for Whole { bytes, blobs } in &into.packs {
        let id = Id::new(Sha256::digest(&bytes).into());
        let bytes = Bytes::from(bytes);
        store.write_bytes(FileType::Pack, &id, false, bytes.clone().into()).map_err(|error| said(&error))?;
        let mut spare = Vec::from(bytes);
        spare.clear();
        let mut kept = into.shared.spare.lock().unwrap_or_else(PoisonError::into_inner);
        // Trees have small packs, in which content has no room.
        if kept.as_ref().is_none_or(|kept| kept.capacity() < spare.capacity()) {
            *kept = Some(spare);
        }
        drop(kept);
        listed += blobs.len();
        index.packs.push(Indexed { id, blobs });
        if listed >= INDEXED_MAX || since.elapsed() >= INDEX_AFTER {
            file(store, FileType::Index, &std::mem::take(&mut index), sealer)?;
            (listed, since) = (0, Instant::now());
        }
    }
    if index.packs.is_empty() { Ok(()) } else { file(store, FileType::Index, &index, sealer).map(drop) }
}

/// Seals and writes a file that lies beside the packs, and answers its id.
pub(crate) fn file(
    store: &dyn WriteBackend,
    kind: FileType,
    what: &impl Serialize,
    sealer: &mut Sealer,
) -> Result<Id, String> {
    let plain = serde_json::to_vec(what).map_err(|error| error.to_string())?;
    let sealed = sealer.file(&plain, false).map_err(|error| error.to_string())?;
    let id = Id::new(Sha256::digest(sealed).into());
    store.write_bytes(kind, &id, false, sealed.to_vec().into()).map_err(|error| said(&error))?;
    Ok(id)
}
