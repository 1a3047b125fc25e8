//! This machine as one that keeps what other realms store under a grant: errands, judged by the log, done on the disk.

use std::sync::Arc;

use bytes::Bytes;
use freehold_lent::{Room, RoomError};
use freehold_passes::storage::{Phase, Refusal, share};
use freehold_passes::{About, BODY_MAX, Errand, Outcome, What};
use freehold_realm::{Grant, Side, State};
use freehold_wire::{Bounded, GrantId, Millis, NodeId};

use super::{folder, is_room};
use crate::clock;
use crate::problem::chain;
use crate::shared::Shared;

/// The grant under which a machine of another realm may come to what it keeps here.
fn grant_of(state: &State, me: NodeId, id: GrantId) -> Option<&Grant> {
    state.grants.get(&id).filter(|grant| is_room(grant, Side::Lends) && grant.homes.contains(&me))
}

/// Whether a machine of another realm keeps something here now: it has shown a pass.
pub(crate) fn has_errands(shared: &Shared, caller: NodeId) -> bool {
    let (view, now) = (shared.log.view(), clock::wall());
    let here = shared.strangers.visitors(now);
    here.iter().any(|here| {
        let grant = || grant_of(view.state(), shared.me(), here.visitor.grant);
        here.visitor.node == caller && grant().is_some_and(|grant| Phase::of(grant, now).gives())
    })
}

/// What whoever comes may do at shelves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guest {
    /// List and read.
    Reads,
    /// Add to its own as well.
    Writes,
}

/// What a machine of another realm may do at shelves under a grant, and how that stands; nothing if it has shown no pass.
pub(crate) fn guest(shared: &Shared, id: GrantId, caller: NodeId, now: Millis) -> Option<(Guest, Phase)> {
    let is_here = |here: &super::super::grants::Here| (here.visitor.grant, here.visitor.node) == (id, caller);
    let rights = if shared.strangers.visitors(now).iter().any(is_here) {
        Guest::Writes
    } else if shared.rooms.rescues.admits(&shared.home, Some(id), caller, now) {
        Guest::Reads
    } else {
        return None;
    };
    let view = shared.log.view();
    let grant = grant_of(view.state(), shared.me(), id)?;
    Some((rights, if grant.suspended { Phase::Over } else { Phase::of(grant, now) }))
}

/// The room of a grant that this machine lends.
pub(crate) fn room_of(shared: &Shared, id: GrantId) -> Option<Result<Arc<Room>, RoomError>> {
    let view = shared.log.view();
    let grant = grant_of(view.state(), shared.me(), id)?;
    Some(room(shared, id, grant))
}

/// Does an errand for a machine of another realm; whoever has shown no pass gets no answer.
pub(crate) async fn errand(
    shared: &Arc<Shared>,
    caller: NodeId,
    question: &[u8],
    body: Bytes,
) -> Option<(Bytes, Bytes)> {
    let Errand { grant: id, what } = Errand::from_bytes(question).ok()?;
    let now = clock::wall();
    let is_here = |here: &super::super::grants::Here| (here.visitor.grant, here.visitor.node) == (id, caller);
    if !shared.strangers.visitors(now).iter().any(is_here) {
        return None;
    }
    let view = shared.log.view();
    let grant = grant_of(view.state(), shared.me(), id)?.clone();
    let phase = if grant.suspended { Phase::Over } else { Phase::of(&grant, now) };
    let shared = Arc::clone(shared);
    let done = tokio::task::spawn_blocking(move || {
        let refusal = match what {
            _ if !phase.gives() => Some(Refusal::Over),
            What::Put(_) | What::Part(..) | What::Finish(..) if !phase.takes() => Some(Refusal::Closed),
            _ => None,
        };
        if let Some(refusal) = refusal {
            return (Outcome::Refused(refusal), Vec::new());
        }
        let done = room(&shared, id, &grant).and_then(|room| act(&room, what, &body, (phase, now)));
        done.unwrap_or_else(|error| match error {
            RoomError::Refused(refusal) => (Outcome::Refused(refusal), Vec::new()),
            disk @ RoomError::Disk { .. } => {
                tracing::error!(error = %chain(&disk), "what another realm keeps here cannot be read or written");
                (Outcome::Refused(Refusal::Broken), Vec::new())
            }
        })
    });
    let (outcome, body) = done.await.ok()?;
    Some((outcome.to_bytes().into(), body.into()))
}

/// The room of a grant on this machine's disk, opened once. Waits for the disk.
pub(super) fn room(shared: &Shared, id: GrantId, grant: &Grant) -> Result<Arc<Room>, RoomError> {
    let mut open = shared.rooms.open();
    if let Some(room) = open.get(&id) {
        return Ok(Arc::clone(room));
    }
    let ceilings = &grant.terms.ceilings;
    let mine = |ceiling| share(ceiling, &grant.homes, shared.me());
    let share = (mine(ceilings.bytes), mine(ceilings.egress));
    let room = Room::open(&folder(shared, Side::Lends, id), share, grant.terms.from)?;
    let room = Arc::new(room);
    open.insert(id, Arc::clone(&room));
    Ok(room)
}

fn act(
    room: &Room,
    what: What,
    body: &[u8],
    (phase, now): (Phase, Millis),
) -> Result<(Outcome, Vec<u8>), RoomError> {
    let outcome = match what {
        What::About => Outcome::About(about(room, phase, now)),
        What::Put(name) => room.put(name, body).map(|()| Outcome::Done)?,
        What::Part(upload, at) => room.part(upload, at, body, now).map(|()| Outcome::Done)?,
        What::Finish(upload, name, len) => room.finish(upload, name, len).map(|()| Outcome::Done)?,
        What::Abort(upload) => room.abort(upload).map(|()| Outcome::Done)?,
        What::Get(name, from, to) => {
            let to = to.min(from.saturating_add(BODY_MAX as u64));
            return Ok(match room.get(name, (from, to), now)? {
                Some((object, bytes)) => (Outcome::Found(object), bytes),
                None => (Outcome::Missing, Vec::new()),
            });
        }
        What::Remove(name) => room.remove(name).map(|()| Outcome::Done)?,
        What::List(after) => Outcome::Listed(Bounded::fill(&mut room.list(after)?.into_iter())),
    };
    Ok((outcome, Vec::new()))
}

fn about(room: &Room, phase: Phase, now: Millis) -> About {
    room.meter(|meter| {
        let (sent, egress) = meter.sent(now);
        About { phase, kept: meter.kept(), room: meter.room(), objects: meter.objects(), sent, egress }
    })
}

/// How it stands with what another realm keeps on this machine. Waits for the disk.
pub(crate) fn kept_here(shared: &Shared, id: GrantId, grant: &Grant) -> Option<About> {
    let now = clock::wall();
    let phase = Phase::of(grant, now);
    if !grant.homes.contains(&shared.me()) || !phase.gives() {
        return None;
    }
    room(shared, id, grant).ok().map(|room| about(&room, phase, now))
}
