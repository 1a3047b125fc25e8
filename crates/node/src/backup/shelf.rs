//! A repository on a shelf at another machine, as the engine's thread sees it: each call is an errand over the mesh, and
//! the thread waits for it. There is no errand that removes or replaces.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use freehold_backup::{FileId, FileKind, Pacing, Stop, Store};
use freehold_crypt::Entropy as _;
use freehold_disk::OsEntropy;
use freehold_mesh::{Addresses, KnockError, Mesh};
use freehold_passes::storage::Refusal;
use freehold_passes::{BODY_MAX, FILES_MAX, Part, ShelfErrand, ShelfFile, ShelfOutcome, ShelfWhat, Sort};
use freehold_wire::{Digest, GrantId, NodeId};
use tokio::runtime::Handle;

use crate::shared::Shared;

/// What is sent of a file at once.
const PART: usize = 4 << 20;
/// How often an errand is tried on a machine that does not answer, and a file that did not go on where it was.
const TRIES: u32 = 3;
/// How long to wait in between.
const PAUSE: Duration = Duration::from_secs(2);
/// How often it is looked whether it was stopped.
const LOOK: Duration = Duration::from_millis(100);

/// How a keeper is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// A machine of this realm.
    Machine(NodeId),
    /// Under a grant, at one of the lender's machines.
    Room(GrantId, NodeId),
}

/// A shelf at another machine.
pub(crate) struct Shelf {
    shared: Arc<Shared>,
    runtime: Handle,
    way: Way,
    of: NodeId,
    place: String,
    stop: Stop,
    pacing: Option<Pacing>,
    /// Whether it has answered: who never did is away at once.
    reached: AtomicBool,
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf").field("way", &self.way).field("of", &self.of).finish_non_exhaustive()
    }
}

impl Way {
    /// Where the keeper is, as far as is known.
    fn addresses(self, shared: &Shared) -> Option<(NodeId, Addresses)> {
        match self {
            Self::Machine(keeper) => Some((keeper, crate::whereabouts::of_others(shared).remove(&keeper)?)),
            Self::Room(grant, home) => Some((home, crate::net::lending::whereabouts(shared, grant, home)?)),
        }
    }

    const fn grant(self) -> Option<GrantId> {
        match self {
            Self::Machine(_) => None,
            Self::Room(grant, _) => Some(grant),
        }
    }
}

fn away(why: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::HostUnreachable, why.to_string())
}

/// One errand at a keeper.
pub(crate) async fn ask(
    shared: &Shared,
    way: Way,
    (of, what): (NodeId, ShelfWhat),
    body: Bytes,
) -> io::Result<(ShelfOutcome, Bytes)> {
    let mesh: Arc<Mesh> = shared.mesh.get().cloned().ok_or_else(|| away("the mesh is not up yet"))?;
    let (keeper, at) =
        way.addresses(shared).ok_or_else(|| away("nobody has said yet where that machine is"))?;
    let errand = ShelfErrand { grant: way.grant(), of, what };
    let (answer, body) =
        mesh.errand(&at, keeper, errand.to_bytes().into(), body).await.map_err(|error| match error {
            KnockError::Refused => away("it does not let this machine in, or has just stopped"),
            KnockError::TooLarge(_) => io::Error::other(error),
            other => away(other),
        })?;
    let outcome = ShelfOutcome::from_bytes(&answer);
    let outcome =
        outcome.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it answers something else"))?;
    match outcome {
        ShelfOutcome::Refused(refusal) => Err(refused(refusal)),
        outcome => Ok((outcome, body)),
    }
}

fn refused(refusal: Refusal) -> io::Error {
    let kind = match refusal {
        Refusal::Full | Refusal::NoRoom => io::ErrorKind::StorageFull,
        Refusal::Sent => io::ErrorKind::QuotaExceeded,
        Refusal::Mismatch => io::ErrorKind::InvalidData,
        Refusal::Taken => io::ErrorKind::AlreadyExists,
        Refusal::Closed | Refusal::Over | Refusal::Stranger => io::ErrorKind::PermissionDenied,
        Refusal::Broken => io::ErrorKind::Other,
    };
    io::Error::new(kind, refusal.to_string())
}

fn odd() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it answers something else")
}

const fn sort(kind: FileKind) -> Sort {
    match kind {
        FileKind::Config => Sort::Config,
        FileKind::Key => Sort::Key,
        FileKind::Snapshot => Sort::Snapshot,
        FileKind::Index => Sort::Index,
        FileKind::Pack => Sort::Pack,
        FileKind::Letter => Sort::Letter,
    }
}

impl Shelf {
    /// The runtime that this is called from carries the errands.
    pub(crate) fn new(shared: &Arc<Shared>, way: Way, of: NodeId, place: String, stop: &Stop) -> Self {
        Self {
            shared: Arc::clone(shared),
            runtime: Handle::current(),
            way,
            of,
            place,
            stop: stop.clone(),
            pacing: None,
            reached: AtomicBool::new(false),
        }
    }

    /// The same, to which nothing goes faster than that.
    pub(crate) fn paced(self, pacing: Option<Pacing>) -> Self {
        Self { pacing, ..self }
    }

    fn ask(&self, what: ShelfWhat, body: &Bytes) -> io::Result<(ShelfOutcome, Bytes)> {
        self.runtime.block_on(async {
            let mut tries = 0;
            let asking = async {
                loop {
                    tries += 1;
                    let done = ask(&self.shared, self.way, (self.of, what), body.clone()).await;
                    let is_away =
                        done.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::HostUnreachable);
                    if !is_away {
                        self.reached.store(true, Ordering::Relaxed);
                    }
                    if !is_away || tries >= TRIES || !self.reached.load(Ordering::Relaxed) {
                        return done;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            };
            let stopped = async {
                while !self.stop.is_asked() {
                    tokio::time::sleep(LOOK).await;
                }
            };
            tokio::select! {
                biased;
                done = asking => done,
                () = stopped => { self.stop.check()?; Err(odd()) }
            }
        })
    }

    /// All files of a sort.
    pub(crate) fn files(&self, sort: Sort) -> io::Result<Vec<ShelfFile>> {
        let mut found: Vec<ShelfFile> = Vec::new();
        loop {
            self.stop.check()?;
            let after = found.last().map(|file| file.name);
            let (ShelfOutcome::Listed(page), _) = self.ask(ShelfWhat::List(sort, after), &Bytes::new())?
            else {
                return Err(odd());
            };
            // A keeper that goes in circles would be listened to for ever.
            if page.iter().any(|file| after.is_some_and(|after| file.name <= after)) {
                return Err(odd());
            }
            found.extend(page.iter().copied());
            if page.len() < FILES_MAX || sort == Sort::Config {
                return Ok(found);
            }
        }
    }

    /// Bytes of a file from one to another, or to its end.
    pub(crate) fn bytes(&self, sort: Sort, name: Digest, (from, to): (u64, u64)) -> io::Result<Bytes> {
        let (mut at, mut all) = (from, Vec::new());
        loop {
            self.stop.check()?;
            let until = to.min(at.saturating_add(BODY_MAX as u64));
            let (len, body) = match self.ask(ShelfWhat::Read(sort, name, at, until), &Bytes::new())? {
                (ShelfOutcome::Found(len), body) => (len, body),
                (ShelfOutcome::Missing, _) => return Err(io::ErrorKind::NotFound.into()),
                _ => return Err(odd()),
            };
            let is_right = body.len() as u64 == until.min(len).saturating_sub(at);
            let end = to.min(len);
            if !is_right || len > freehold_passes::FILE_MAX {
                return Err(odd());
            }
            at = at.saturating_add(body.len() as u64);
            if all.is_empty() && at >= end {
                return Ok(body);
            }
            all.extend_from_slice(&body);
            if at >= end {
                return Ok(all.into());
            }
        }
    }

    /// Adds a file.
    pub(crate) fn put(&self, sort: Sort, name: Digest, content: &Bytes) -> io::Result<()> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_to_put(sort, name, content) {
                // The keeper has started anew, or made room for others: from the beginning.
                Err(error) if error.kind() == io::ErrorKind::InvalidData && tries < TRIES => {
                    self.stop.check()?;
                }
                done => return done,
            }
        }
    }

    fn try_to_put(&self, sort: Sort, name: Digest, content: &Bytes) -> io::Result<()> {
        let upload = OsEntropy.bytes32().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let len = content.len() as u64;
        let mut at = 0;
        while at < content.len() {
            self.stop.check()?;
            let part = self.pacing.as_ref().map_or(PART, |pacing| pacing.part(PART));
            let end = content.len().min(at.saturating_add(part));
            if let Some(pacing) = &self.pacing {
                pacing.wait(end - at, &self.stop)?;
            }
            let part = Part { sort, name, upload, at: at as u64, len };
            match self.ask(ShelfWhat::Add(part), &content.slice(at..end))? {
                (ShelfOutcome::Done, _) => at = end,
                _ => return Err(odd()),
            }
        }
        Ok(())
    }
}

impl Store for Shelf {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn list(&self, kind: FileKind) -> io::Result<Vec<(FileId, u64)>> {
        Ok(self.files(sort(kind))?.iter().map(|file| (*file.name.as_bytes(), file.len)).collect())
    }

    fn read(&self, kind: FileKind, id: &FileId, part: Option<(u32, u32)>) -> io::Result<Bytes> {
        let range = part.map_or((0, u64::MAX), |(offset, length)| {
            (offset.into(), u64::from(offset).saturating_add(length.into()))
        });
        let bytes = self.bytes(sort(kind), name_of(kind, id), range)?;
        match part {
            Some((_, length)) if bytes.len() as u64 != u64::from(length) => {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            _ => Ok(bytes),
        }
    }

    fn add(&self, kind: FileKind, id: &FileId, content: &[Bytes]) -> io::Result<()> {
        let whole = match content {
            [one] => one.clone(),
            parts => Bytes::from(parts.concat()),
        };
        self.put(sort(kind), name_of(kind, id), &whole)
    }

    fn remove(&self, _: FileKind, _: &FileId) -> io::Result<()> {
        let words = "what lies there can be added to from here, and not removed";
        Err(io::Error::new(io::ErrorKind::PermissionDenied, words))
    }

    /// The keeper makes what it needs.
    fn create(&self) -> io::Result<()> {
        Ok(())
    }

    /// A keeper's home is its home.
    fn stays(&self) {}

    fn stop(&self) -> &Stop {
        &self.stop
    }
}

/// The engine has some name for the config; here it has one.
const fn name_of(kind: FileKind, id: &FileId) -> Digest {
    match kind {
        FileKind::Config => Digest::from_bytes([0; 32]),
        _ => Digest::from_bytes(*id),
    }
}
