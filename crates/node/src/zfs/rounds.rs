//! What is due: snapshots of datasets of this machine, rounds that send them, and looking after what is kept here. Each
//! target by itself, so that one that does not answer holds no other up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use freehold_wire::Millis;
use freehold_zfs_host::{Outcome, Stand, round, take, thin};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use super::keeping::To;
use super::{Chosen, Pair};
use crate::clock;
use crate::shared::Shared;
use crate::supervisor::{Health, Plane};

/// A machine sleeps, and clocks are put right: it is looked this often at the least.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// What did not come to its end is tried again after so long.
const TRY_AGAIN: Millis = Millis::from_secs(300);
const NOTHING: &str = "no datasets are backed up: freehold backup zfs apply FILE";

/// Starts to look what is due; it ends with the plane.
pub(crate) fn start(plane: &Plane, shared: &Arc<Shared>) {
    plane.report(Health::Idle(NOTHING.to_owned()));
    plane.spawn(run(Arc::clone(shared), plane.clone()));
    plane.spawn(keep(Arc::clone(shared), plane.clone()));
}

/// Looks after what is kept here.
async fn keep(shared: Arc<Shared>, plane: Plane) {
    let datasets = &shared.datasets;
    loop {
        let tended = async {
            datasets.keeper.tidy(false).await;
            if let Some(chosen) = datasets.chosen()
                && let Some(me) = chosen.name_of(shared.me())
            {
                let kept = datasets.keeper.tend(&chosen.declaration, me, clock::wall()).await;
                datasets.state().kept = kept;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        tokio::select! {
            biased;
            () = plane.cancel().cancelled() => break,
            () = tended => {}
        }
    }
    datasets.keeper.tidy(true).await;
}

async fn run(shared: Arc<Shared>, plane: Plane) {
    let datasets = &shared.datasets;
    let mut under_way = FuturesUnordered::new();
    let mut again: BTreeMap<Pair, Millis> = BTreeMap::new();
    loop {
        if let Some(chosen) = datasets.chosen() {
            let due = tokio::select! {
                biased;
                () = plane.cancel().cancelled() => break,
                due = due(&shared, &chosen, &mut again) => due,
            };
            for (pair, question) in due {
                datasets.state().running.insert(pair.clone(), question);
                under_way.push(one(Arc::clone(&shared), Arc::clone(&chosen), pair));
            }
        }
        plane.report(health(&shared));
        tokio::select! {
            biased;
            () = plane.cancel().cancelled() => break,
            Some((pair, stand)) = under_way.next(), if !under_way.is_empty() => {
                let done = |outcome: &Outcome| matches!(outcome, Outcome::Done(_));
                let done = stand.values().all(done);
                if done {
                    again.remove(&pair);
                } else {
                    again.insert(pair.clone(), clock::wall().plus(TRY_AGAIN));
                }
                datasets.ends(&pair, &stand);
            }
            () = datasets.wake.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    // Nothing is lost: a stream that ends here is gone on with.
}

async fn one(shared: Arc<Shared>, chosen: Arc<Chosen>, pair: Pair) -> (Pair, Stand) {
    let Some((backup, target)) = chosen.declaration.pair(&pair.0, &pair.1) else {
        return (pair, Stand::new());
    };
    let Some(keeper) = chosen.machines.get(target.machine.as_str()).copied() else {
        let why = format!("nobody knows who {} is", target.machine);
        return (pair, Stand::from([(backup.dataset.clone(), Outcome::Failed(why))]));
    };
    let way = To { shared: Arc::clone(&shared), chosen: Arc::clone(&chosen), keeper };
    let stand = round(&shared.datasets.tool, (backup, target, chosen.digest), &way).await;
    (pair, stand)
}

/// Takes the snapshots that are due, lets old ones go, and says which rounds begin, and which questions they answer.
async fn due(shared: &Shared, chosen: &Chosen, again: &mut BTreeMap<Pair, Millis>) -> Vec<(Pair, u64)> {
    let datasets = &shared.datasets;
    let Some(me) = chosen.name_of(shared.me()) else { return Vec::new() };
    let mut begins = Vec::new();
    for backup in chosen.declaration.of(me) {
        let name = backup.name.to_string();
        let mine = || backup.targets.iter().map(|target| (name.clone(), target.name.to_string()));
        // Of one that runs the question stays: what it has looked at may be past what has changed since.
        let taken_up = |pair: &Pair| {
            let mut state = datasets.state();
            if state.running.contains_key(pair) { None } else { state.asked.remove(pair) }
        };
        let asked: BTreeMap<Pair, u64> =
            mine().filter_map(|pair| Some((pair.clone(), taken_up(&pair)?))).collect();
        let (now, before) = (clock::wall(), datasets.state().next.get(&name).cloned());
        let waits = matches!(before, Some(Ok(next)) if next > now) && asked.is_empty();
        if !waits {
            let taken = take(&datasets.tool, backup, now, !asked.is_empty()).await;
            let was_taken = taken.as_ref().is_ok_and(|(taken, _)| *taken);
            let thinned = thin(&datasets.tool, backup, is_done(shared, &name)).await;
            let next = taken.and_then(|(_, next)| thinned.map(|()| next)).map_err(|error| error.to_string());
            if let Err(why) = &next {
                tracing::warn!(backup = name, why, "snapshots of datasets");
            }
            datasets.state().next.insert(name.clone(), next);
            if was_taken || before.is_none() {
                again.extend(mine().map(|pair| (pair, now)));
            }
        }
        let state = datasets.state();
        for pair in mine() {
            let question = asked.get(&pair).copied();
            let due = again.get(&pair).is_some_and(|at| *at <= now) || question.is_some();
            if due && !state.running.contains_key(&pair) {
                begins.push((pair, question.unwrap_or_default()));
            }
        }
    }
    begins
}

/// Whether every target had everything after its last round.
fn is_done(shared: &Shared, backup: &str) -> bool {
    let state = shared.datasets.state();
    let Some(chosen) = &state.chosen else { return false };
    let mut pairs = super::pairs(chosen).filter(|(name, _)| name == backup);
    pairs.all(|pair| state.records.of(&pair).is_some_and(super::Record::is_done))
}

fn health(shared: &Shared) -> Health {
    let state = shared.datasets.state();
    match (&state.unreadable, &state.chosen) {
        (Some(why), _) => Health::Degraded(why.clone()),
        (None, None) => Health::Idle(NOTHING.to_owned()),
        (None, Some(chosen)) => {
            let me = chosen.name_of(shared.me()).unwrap_or_default();
            let (sent, kept) = (chosen.declaration.of(me).count(), chosen.declaration.at(me).count());
            Health::Up(format!("{sent} sent, {kept} kept"))
        }
    }
}
