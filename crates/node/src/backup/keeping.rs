//! This machine as one that keeps backups of others: what they list, read and add. The word to remove something does not
//! exist on the wire; whoever sits here forgets and prunes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use freehold_disk::{free_bytes, make_private_dir};
use freehold_lent::{Ledger, RoomError, Shelf, shelves};
use freehold_passes::storage::{Phase, Refusal};
use freehold_passes::{BODY_MAX, ShelfAbout, ShelfErrand, ShelfOutcome, ShelfWhat};
use freehold_realm::{NodeRoles, Standing};
use freehold_wire::{Bounded, Millis, NodeId};

use crate::clock;
use crate::net::lending::keeping::{Guest, guest};
use crate::problem::chain;
use crate::shared::Shared;

/// So many bytes stay free on the disk, whatever comes.
const SPARE: u64 = 1 << 30;

/// The shelves that machines of the realm have here.
#[derive(Debug)]
pub(crate) struct Shelves {
    dir: PathBuf,
    open: Mutex<BTreeMap<NodeId, Arc<Shelf>>>,
    /// Bytes that are on their way in.
    coming: AtomicU64,
}

impl Shelves {
    pub(super) fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), open: Mutex::default(), coming: AtomicU64::new(0) }
    }

    /// Where a machine's shelf is.
    pub(crate) fn dir_of(&self, of: NodeId) -> PathBuf {
        self.dir.join(of.to_string())
    }

    fn shelf(&self, of: NodeId) -> Result<Arc<Shelf>, RoomError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shelf) = open.get(&of) {
            return Ok(Arc::clone(shelf));
        }
        let shelf = Arc::new(Shelf::open(&self.dir_of(of))?);
        open.insert(of, Arc::clone(&shelf));
        Ok(shelf)
    }

    /// Whose there are. Waits for the disk.
    pub(crate) fn whose(&self) -> Vec<NodeId> {
        shelves(&self.dir).unwrap_or_else(|error| {
            tracing::warn!(error = %chain(&error), "it cannot be listed what is kept for other machines");
            Vec::new()
        })
    }

    fn free(&self) -> u64 {
        drop(make_private_dir(&self.dir));
        let free = free_bytes(&self.dir).unwrap_or(0);
        free.saturating_sub(SPARE).saturating_sub(self.coming.load(Ordering::Relaxed))
    }
}

impl Ledger for Shelves {
    fn reserve(&self, len: u64) -> Result<(), RoomError> {
        if len > self.free() {
            return Err(Refusal::NoRoom.into());
        }
        self.coming.fetch_add(len, Ordering::Relaxed);
        Ok(())
    }

    fn release(&self, len: u64) {
        self.coming.fetch_sub(len, Ordering::Relaxed);
    }

    fn keep(&self, len: u64) {
        self.release(len);
    }

    fn send(&self, _: u64, _: Millis) -> Result<(), RoomError> {
        Ok(())
    }
}

/// What a machine of the realm may do at shelves here.
fn of_the_realm(shared: &Shared, caller: NodeId) -> Option<Guest> {
    let view = shared.log.view();
    let keeps = |node: &freehold_realm::Node| node.roles.contains(NodeRoles::STORAGE);
    if !view.state().nodes.get(&shared.me()).is_some_and(keeps) {
        return None;
    }
    match view.state().nodes.get(&caller) {
        Some(known) if known.standing == Standing::Active => Some(Guest::Writes),
        Some(_) => None,
        // One that guardians are bringing back reads at once, and writes when it is a member.
        None => shared.visitors.admits(caller, &view).then_some(Guest::Reads),
    }
}

/// Whether a machine of the realm may have errands done here now.
pub(crate) fn has_errands(shared: &Shared, caller: NodeId) -> bool {
    of_the_realm(shared, caller).is_some()
}

/// Does an errand; whoever has no business here gets no answer.
pub(crate) async fn errand(
    shared: &Arc<Shared>,
    caller: NodeId,
    errand: ShelfErrand,
    body: Bytes,
) -> Option<(Bytes, Bytes)> {
    let now = clock::wall();
    let (rights, phase) = match errand.grant {
        None => (of_the_realm(shared, caller)?, Phase::Open),
        Some(grant) => guest(shared, grant, caller, now)?,
    };
    let adds = matches!(errand.what, ShelfWhat::Add(_));
    let refusal = match rights {
        _ if !phase.gives() => Some(Refusal::Over),
        _ if adds && !phase.takes() => Some(Refusal::Closed),
        Guest::Reads if adds => Some(Refusal::Stranger),
        Guest::Writes if adds && errand.of != caller => Some(Refusal::Stranger),
        _ => None,
    };
    let shared = Arc::clone(shared);
    let done = tokio::task::spawn_blocking(move || {
        match refusal {
        Some(refusal) => (ShelfOutcome::Refused(refusal), Vec::new()),
        None => act(&shared, &errand, &body, (phase, now)).unwrap_or_else(|error| match error {
            RoomError::Refused(refusal) => (ShelfOutcome::Refused(refusal), Vec::new()),
            disk @ RoomError::Disk { .. } => {
                tracing::error!(error = %chain(&disk), "a backup that is kept here cannot be read or written");
                (ShelfOutcome::Refused(Refusal::Broken), Vec::new())
            }
        }),
    }
    });
    let (outcome, body) = done.await.ok()?;
    Some((outcome.to_bytes().into(), body.into()))
}

fn act(
    shared: &Shared,
    errand: &ShelfErrand,
    body: &[u8],
    (phase, now): (Phase, Millis),
) -> Result<(ShelfOutcome, Vec<u8>), RoomError> {
    let mine = &shared.backups_of_files.shelves;
    let room =
        errand.grant.and_then(|grant| crate::net::lending::keeping::room_of(shared, grant)).transpose()?;
    let (shelf, ledger): (_, &dyn Ledger) = match (&room, errand.grant) {
        (Some(room), _) => (room.shelf(errand.of)?, &**room),
        (None, Some(_)) => return Err(Refusal::Over.into()),
        (None, None) => (mine.shelf(errand.of)?, mine),
    };
    let outcome = match errand.what {
        ShelfWhat::About => {
            let (bytes, files) = shelf.usage()?;
            let room =
                room.map_or_else(|| mine.free(), |room| room.meter(freehold_passes::storage::Meter::free));
            ShelfOutcome::About(ShelfAbout { phase, bytes, files, room })
        }
        ShelfWhat::List(sort, after) => {
            ShelfOutcome::Listed(Bounded::fill(&mut shelf.list(sort, after)?.into_iter()))
        }
        ShelfWhat::Read(sort, name, from, to) => {
            let to = to.min(from.saturating_add(BODY_MAX as u64));
            return Ok(match shelf.read((sort, name), (from, to), now, ledger)? {
                Some((len, bytes)) => (ShelfOutcome::Found(len), bytes),
                None => (ShelfOutcome::Missing, Vec::new()),
            });
        }
        ShelfWhat::Add(part) => shelf.add(&part, body, now, ledger).map(|()| ShelfOutcome::Done)?,
        ShelfWhat::Shelves => {
            let whose = match &room {
                Some(room) => room.shelves()?,
                None => mine.whose(),
            };
            ShelfOutcome::Shelves(Bounded::fill(&mut whose.into_iter()))
        }
    };
    Ok((outcome, Vec::new()))
}
