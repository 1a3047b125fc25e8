//! What is due for rooms that are lent and borrowed: what is over is deleted, what was accepted becomes a place for
//! copies, how it stands there is asked for, and copies go elsewhere while a room winds down.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use freehold_passes::storage::Phase;
use freehold_passes::{Errand, Outcome, What};
use freehold_realm::body::NodeSet;
use freehold_realm::{Grant, Side};
use freehold_wire::GrantId;

use super::{Standings, folder, friends, is_gone_to, is_room, receipts};
use crate::clock;
use crate::hosting;
use crate::log::By;
use crate::shared::Shared;
use crate::supervisor::{Health, Plane};

/// How often it is looked whether something is due.
const ROUND: Duration = Duration::from_secs(5);
/// Each so many rounds it is asked how rooms stand that others lend.
const ASKED: u32 = 3;

const NOTHING: &str = "no room is lent or borrowed: freehold grant offer --storage";

/// Starts the rounds; they end with the plane.
pub(crate) fn start(plane: &Plane, shared: &Arc<Shared>) {
    plane.report(Health::Idle(NOTHING.to_owned()));
    plane.spawn(run(Arc::clone(shared), plane.clone()));
}

async fn run(shared: Arc<Shared>, plane: Plane) {
    let mut log = shared.log.watch();
    let mut round = 0u32;
    loop {
        let failed = go_around(&shared, round.is_multiple_of(ASKED)).await;
        plane.report(match (failed.is_empty(), is_any(&shared)) {
            (false, _) => Health::Degraded(failed.join("; ")),
            (true, false) => Health::Idle(NOTHING.to_owned()),
            (true, true) => Health::Up("room is lent or borrowed".to_owned()),
        });
        round = round.wrapping_add(1);
        tokio::select! {
            biased;
            () = plane.cancel().cancelled() => return,
            changed = log.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(ROUND) => {}
        }
    }
}

fn is_any(shared: &Shared) -> bool {
    let view = shared.log.view();
    let me = shared.me();
    let is_here = |grant: &Grant| grant.homes.contains(&me) || is_room(grant, Side::Borrows);
    view.state().grants.values().any(is_here)
}

async fn go_around(shared: &Arc<Shared>, ask: bool) -> Vec<String> {
    let deleting = Arc::clone(shared);
    let deleted = tokio::task::spawn_blocking(move || receipts::delete_what_is_over(&deleting)).await;
    let mut failed = deleted.unwrap_or_default();
    let view = shared.log.view();
    let borrowed = view.state().grants.iter().filter(|(_, grant)| is_room(grant, Side::Borrows));
    let borrowed: Vec<(GrantId, Grant)> = borrowed.map(|(id, grant)| (*id, grant.clone())).collect();
    drop(view);
    for (id, grant) in borrowed {
        if !is_gone_to(&grant, clock::wall()) {
            shared.rooms.learn(id, Standings::new());
            continue;
        }
        if let Err(why) = settle(shared, id).await {
            failed.push(why);
        }
        if ask {
            let standings = standings(shared, id).await;
            shared.rooms.learn(id, standings);
        }
        if is_winding_down(shared, id, &grant) {
            failed.extend(move_out(shared, id).await.err());
        }
    }
    failed
}

async fn standings(shared: &Arc<Shared>, grant: GrantId) -> Standings {
    let (friends, mut all) = (friends(shared), Standings::new());
    for home in friends.homes(grant) {
        let said = match friends.ask(home, Errand { grant, what: What::About }, Bytes::new()).await {
            Ok((Outcome::About(about), _)) => Ok(about),
            Ok((Outcome::Refused(refusal), _)) => Err(refusal.to_string()),
            Ok(_) => Err("it answers something else".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        all.insert(home, said);
    }
    all
}

/// How a room stands that another realm lends: by its own terms, or as the other realm says.
pub(crate) fn phase(shared: &Shared, id: GrantId, grant: &Grant) -> Phase {
    if !receipts::all(shared, grant.side, id).is_empty() {
        return Phase::Over;
    }
    let own = Phase::of(grant, clock::wall());
    let said = shared.rooms.standings(id).into_values().filter_map(Result::ok).map(|about| about.phase);
    said.fold(own, Phase::max)
}

fn is_winding_down(shared: &Shared, id: GrantId, grant: &Grant) -> bool {
    matches!(phase(shared, id, grant), Phase::WindingDown(_))
}

/// The note that a room is to become a place for copies by this machine: what it is to be called.
fn wish(shared: &Shared, grant: GrantId) -> PathBuf {
    folder(shared, Side::Borrows, grant).join("to-attach")
}

/// Notes that this machine is to use a room for copies.
///
/// # Errors
/// The disk's.
pub(crate) fn wish_for(shared: &Shared, grant: GrantId, name: &str) -> std::io::Result<()> {
    freehold_disk::make_private_dir(&folder(shared, Side::Borrows, grant))?;
    freehold_disk::replace(&wish(shared, grant), name.as_bytes(), 0o600)
}

/// Makes a room that was accepted here a place for copies. It is tried until the other realm answers.
async fn settle(shared: &Arc<Shared>, id: GrantId) -> Result<(), String> {
    let Ok(name) = std::fs::read_to_string(wish(shared, id)) else { return Ok(()) };
    if friends(shared).homes(id).is_empty() {
        return Err(format!(
            "room for copies called {name}: no machine of the other realm lets this one in yet"
        ));
    }
    let done = hosting::attach_lent(shared, &name, id).await;
    done.map_err(|problem| format!("room for copies called {name}: {}", problem.why))?;
    std::fs::remove_file(wish(shared, id)).map_err(|error| error.to_string())
}

/// Has copies made elsewhere of what lies in a room that winds down; it gives out what it has meanwhile.
async fn move_out(shared: &Shared, id: GrantId) -> Result<(), String> {
    let Some(node) = shared.backends.under(id) else { return Ok(()) };
    let stays = |node: &freehold_realm::Node| !node.site.draining;
    if !shared.log.view().state().nodes.get(&node).is_some_and(stays) {
        return Ok(());
    }
    let set = NodeSet { node, zone: None, region: None, draining: Some(true), pace: None };
    let said = shared.log.say(set, By::Device).await;
    said.map(drop)
        .map_err(|problem| format!("what lies there is not made anew elsewhere yet: {}", problem.why))
}
