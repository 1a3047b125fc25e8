//! Papers of pools go between the machines of realms that lend each other something: whenever they change, and every
//! so often. What comes is taken for pools that are known here, as it would be by hand; no charter is signed by it. What a
//! charter that counts says is lent is offered and accepted then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use freehold_mesh::{Addresses, KnockError, Mesh};
use freehold_pools::{Handing, PAPERS_MAX, Papers};
use freehold_realm::State;
use freehold_wire::{Digest, Millis, NodeId, RealmId};
use futures::StreamExt as _;

use crate::clock;
use crate::shared::Shared;
use crate::supervisor::{Health, Plane};

/// How often all are asked, whether or not something has changed here.
const ROUND: Duration = Duration::from_mins(1);
/// After something has changed, more may.
const SETTLE: Duration = Duration::from_millis(200);
/// Machines that are asked at a time.
const AT_ONCE: usize = 4;
/// What comes back differs, is taken, and is said once more.
const TURNS: usize = 2;
/// So often a machine may ask in so long.
const ASKED_MAX: u32 = 16;
const WINDOW: Millis = Millis(10_000);

const NOTHING: &str = "there are no papers of pools";
/// What an answer says.
const SAME: &[u8] = b"same";
const PAPERS: &[u8] = b"papers";
const NONE: &[u8] = b"none";

/// What is known of the talk with other realms' machines.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    /// How often each has asked since when.
    asked: Mutex<BTreeMap<NodeId, (Millis, u32)>>,
    /// What each is known to have of a pool.
    have: Mutex<BTreeMap<(NodeId, Digest), Digest>>,
    /// Held by whoever offers and accepts what a charter says.
    pub(crate) dealing: tokio::sync::Mutex<()>,
    /// What was in the way of it, by pool, lender and borrower.
    pub(crate) in_the_way: Mutex<BTreeMap<(Digest, RealmId, RealmId), String>>,
}

impl Talk {
    fn may_ask(&self, node: NodeId, now: Millis) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|_, (since, _)| *since <= now && now.since(*since) < WINDOW);
        let (_, count) = asked.entry(node).or_insert((now, 0));
        *count += 1;
        *count <= ASKED_MAX
    }

    fn have(&self) -> MutexGuard<'_, BTreeMap<(NodeId, Digest), Digest>> {
        self.have.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The realms with which there is a grant that holds.
pub(crate) fn in_touch(state: &State, now: Millis) -> BTreeSet<RealmId> {
    let holds = state.grants.values().filter(|grant| super::grants::holds(grant, now));
    holds.map(|grant| grant.other).collect()
}

/// The realm of a machine that is somebody here under a grant.
fn realm_of(shared: &Shared, node: NodeId) -> Option<RealmId> {
    let view = shared.log.view();
    let guest = *shared.strangers.guests(view.state(), clock::wall()).get(&node)?;
    view.state().grants.get(&guest.grant).map(|grant| grant.other)
}

/// Whether a machine of another realm may hand on papers here.
pub(crate) fn has_errands(shared: &Shared, caller: NodeId) -> bool {
    realm_of(shared, caller).is_some()
}

/// Takes what another realm's machine has, and says what is here that it has not. Whoever has no part in a pool is told
/// the same as if there were none.
pub(crate) async fn errand(
    shared: &Arc<Shared>,
    caller: NodeId,
    asked: Handing,
    body: Bytes,
) -> Option<(Bytes, Bytes)> {
    let realm = realm_of(shared, caller)?;
    if !shared.talk.may_ask(caller, clock::wall()) || body.len() > PAPERS_MAX {
        return None;
    }
    let errand = {
        let shared = Arc::clone(shared);
        tokio::task::spawn_blocking(move || taken(&shared, &realm, &asked.pool, &body))
    };
    let (what, body) = match errand.await.ok()? {
        None => (NONE, Bytes::new()),
        Some(here) if here.digest() == asked.has => {
            shared.talk.have().insert((caller, asked.pool), asked.has);
            (SAME, Bytes::new())
        }
        Some(here) => (PAPERS, here.to_bytes().into()),
    };
    Some((Bytes::from_static(what), body))
}

/// What is here of a pool, with what another realm has of it. None if it is not known here, if that realm has no part in
/// it, or if what it has cannot be taken. Waits for the disk.
fn taken(shared: &Shared, from: &RealmId, pool: &Digest, bytes: &[u8]) -> Option<Papers> {
    let _turn = shared.pools.turn();
    let mut here = shared.pools.all().ok()?.into_iter().find(|papers| papers.draft().id() == *pool)?;
    if bytes.is_empty() {
        return here.knows(from).then_some(here);
    }
    let taken = here.take(&Papers::from_bytes(bytes).ok()?);
    let taken = taken.inspect_err(|why| tracing::warn!(?why, "papers of a pool that came cannot be taken"));
    if !here.knows(from) {
        return None;
    }
    if taken.ok()?.news
        && let Err(problem) = shared.pools.keep(&here)
    {
        tracing::warn!(why = %problem.why, "papers of a pool that came were not kept");
        return None;
    }
    Some(here)
}

/// Starts to hand on papers; it ends with the plane.
pub(crate) fn start(plane: &Plane, shared: &Arc<Shared>) {
    plane.report(Health::Idle(NOTHING.to_owned()));
    plane.spawn(run(Arc::clone(shared), plane.clone()));
}

async fn run(shared: Arc<Shared>, plane: Plane) {
    let (mut papers, mut strangers) = (shared.pools.watch(), shared.strangers.watch());
    loop {
        let round = async {
            tokio::time::sleep(SETTLE).await;
            lend(&shared).await;
            plane.report(go_around(&shared).await);
            tokio::select! {
                changed = papers.changed() => changed.is_ok(),
                changed = strangers.changed() => changed.is_ok(),
                () = tokio::time::sleep(ROUND) => true,
            }
        };
        tokio::select! {
            biased;
            () = plane.cancel().cancelled() => return,
            goes_on = round => if !goes_on { return },
        }
    }
}

/// The machines of other realms that may be asked, and where they are.
fn reached(shared: &Shared) -> BTreeMap<NodeId, (RealmId, Addresses)> {
    let (view, now) = (shared.log.view(), clock::wall());
    let guests = shared.strangers.guests(view.state(), now);
    let here = shared.strangers.visitors(now).into_iter().map(|here| (here.visitor.node, here.addresses));
    let told = shared.strangers.told();
    let there = told.values().flat_map(|there| &there.machines);
    let there = there.map(|(node, machine)| (*node, machine.addresses.clone()));
    let all = here.chain(there).filter_map(|(node, at)| {
        let grant = view.state().grants.get(&guests.get(&node)?.grant)?;
        Some((node, (grant.other, at)))
    });
    all.collect()
}

/// Offers and accepts what charters say: to its end, whenever the round is broken off.
async fn lend(shared: &Arc<Shared>) {
    let deal = |shared: Arc<Shared>| async move {
        crate::control::deal(&shared).await;
        Ok(())
    };
    drop(shared.to_the_end(deal).await);
}

async fn go_around(shared: &Arc<Shared>) -> Health {
    let reading = Arc::clone(shared);
    let read = tokio::task::spawn_blocking(move || {
        let _turn = reading.pools.turn();
        reading.pools.all()
    });
    let all = match read.await {
        Ok(Ok(all)) => all,
        Ok(Err(problem)) => return Health::Degraded(format!("{}: {}", problem.what, problem.why)),
        Err(error) => return Health::Degraded(error.to_string()),
    };
    let reached = reached(shared);
    shared.talk.have().retain(|(node, _), _| reached.contains_key(node));
    let Some(mesh) = shared.mesh.get().filter(|_| !all.is_empty()) else {
        return Health::Idle(NOTHING.to_owned());
    };
    let mut calls = Vec::new();
    for papers in &all {
        for (node, (realm, at)) in &reached {
            if papers.knows(realm) {
                calls.push(exchange(shared, mesh, (*node, *realm, at), papers.clone()));
            }
        }
    }
    let failed: Vec<String> = futures::stream::iter(calls)
        .buffer_unordered(AT_ONCE)
        .filter_map(|failed| async { failed })
        .collect()
        .await;
    match failed.first() {
        // Who is away is nothing that somebody here can mend.
        Some(why) => Health::Up(format!("not every member is heard: {why}")),
        None => Health::Up("papers of pools are handed on".to_owned()),
    }
}

/// Until both have the same. Gives back why not.
async fn exchange(
    shared: &Arc<Shared>,
    mesh: &Mesh,
    (node, realm, at): (NodeId, RealmId, &Addresses),
    mut papers: Papers,
) -> Option<String> {
    for _ in 0..TURNS {
        let asked = Handing::of(&papers);
        let has = shared.talk.have().get(&(node, asked.pool)) == Some(&asked.has);
        let body = if has { Bytes::new() } else { papers.to_bytes().into() };
        let said = match mesh.errand(at, node, asked.to_bytes().into(), body).await {
            // It lets nobody in yet, or is asked too often.
            Err(KnockError::Refused) => return None,
            Err(error) => return Some(error.to_string()),
            Ok(said) => said,
        };
        match said {
            (what, _) if what == SAME => {
                shared.talk.have().insert((node, asked.pool), asked.has);
                return None;
            }
            // They have never been handed any, or this realm has no part in it.
            (what, _) if what == NONE => return None,
            (what, body) if what == PAPERS && !body.is_empty() && body.len() <= PAPERS_MAX => {
                shared.talk.have().remove(&(node, asked.pool));
                let (taking, pool) = (Arc::clone(shared), asked.pool);
                let taken = tokio::task::spawn_blocking(move || taken(&taking, &realm, &pool, &body));
                papers = taken.await.ok()??;
            }
            _ => return Some("a machine of another realm answers something else".to_owned()),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_too_often_is_not_heard_for_a_while() {
        let (talk, one, other) = (Talk::default(), NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
        let at = |ms: u64| Millis(1_000_000 + ms);
        assert!((0..u64::from(ASKED_MAX)).all(|ms| talk.may_ask(one, at(ms))));
        assert!(!talk.may_ask(one, at(17)) && !talk.may_ask(one, at(WINDOW.0 - 1)));
        assert!(talk.may_ask(other, at(18)), "others are heard");
        assert!(talk.may_ask(one, at(WINDOW.0)));
        // A clock that was set back keeps nobody out.
        assert!(talk.may_ask(one, Millis(1)));
    }
}
