//! What is due: runs and trials, one at a time at each target, and each target by itself, so that one that does not
//! answer holds no other up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use freehold_backup::Stop;
use freehold_retention::{DrillPlan, Due, Now, Power, drill_due, due};
use freehold_wire::Millis;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use super::kept::{Plan, Record, Records};
use super::running::{self, Job};
use super::{Backups, Pair, passwords};
use crate::clock;
use crate::shared::Shared;
use crate::supervisor::{Health, Plane};

/// A machine sleeps, and clocks are put right: it is looked this often at the least.
const LOOK_EVERY: Millis = Millis::from_secs(60);
/// A trial that did not succeed is made again after so long.
const TRY_AGAIN: Millis = Millis::from_hours(1);
const NOTHING: &str = "nothing is backed up: freehold backup target add NAME PATH";

/// Starts to look what is due; it ends with the plane.
pub(crate) fn start(plane: &Plane, shared: &Arc<Shared>) {
    plane.report(Health::Idle(NOTHING.to_owned()));
    plane.spawn(run(Arc::clone(shared), plane.clone()));
    plane.spawn(spread(Arc::clone(shared), plane.clone()));
}

/// Has passwords lie on a second machine once there is one.
async fn spread(shared: Arc<Shared>, plane: Plane) {
    loop {
        tokio::select! {
            biased;
            () = plane.cancel().cancelled() => return,
            () = passwords::spread(&shared) => {}
        }
        tokio::select! {
            biased;
            () = plane.cancel().cancelled() => return,
            () = tokio::time::sleep(Duration::from_millis(LOOK_EVERY.0)) => {}
        }
    }
}

async fn run(shared: Arc<Shared>, plane: Plane) {
    let (stop, mut under_way, mut round) = (Stop::default(), FuturesUnordered::new(), Round::default());
    let backups = &shared.backups_of_files;
    loop {
        let plan = backups.plan();
        let (power, now) = (super::power::now(), clock::wall());
        let asked = |pair: &Pair| backups.is_asked(pair);
        let (jobs, next) =
            round.due(&plan, &backups.records(), &asked, Now { at: now, power, metered: false });
        for job in jobs {
            let Some(target) = plan.targets.get(&job.pair().1) else { continue };
            if matches!(job, Job::Try(..)) || backups.begins(job.pair()) {
                round.begin(&job, now);
                let job = running::run(Arc::clone(&shared), job, target.clone(), stop.clone());
                under_way.push(job);
            }
        }
        plane.report(health(backups, &plan));
        tokio::select! {
            biased;
            () = plane.cancel().cancelled() => break,
            Some(pair) = under_way.next(), if !under_way.is_empty() => {
                round.busy.remove(&pair.1);
            }
            () = backups.wake.notified() => {}
            () = tokio::time::sleep(Duration::from_millis(next.since(now).0)) => {}
        }
    }
    // Nothing is lost: whole packs stay, and the next run takes them up.
    stop.ask();
    while under_way.next().await.is_some() {}
}

fn health(backups: &Backups, plan: &Plan) -> Health {
    match (backups.unreadable(), plan.backups.len()) {
        (Some(why), _) => Health::Degraded(why),
        (None, 0) => Health::Idle(NOTHING.to_owned()),
        (None, made) => {
            use freehold_api::words::count;
            let (made, targets) = (count(made as u64, "backup"), count(plan.targets.len() as u64, "target"));
            Health::Up(format!("{made} to {targets}"))
        }
    }
}

/// What is under way, and what is not to be tried again yet.
#[derive(Debug, Default)]
struct Round {
    /// Targets at which something runs.
    busy: BTreeSet<String>,
    /// When a trial may be made again.
    again: BTreeMap<Pair, Millis>,
}

impl Round {
    fn begin(&mut self, job: &Job, now: Millis) {
        self.busy.insert(job.pair().1.clone());
        if let Job::Try(pair, ..) = job {
            self.again.insert(pair.clone(), now.plus(TRY_AGAIN));
        }
    }

    /// What begins now, and when to look again at the latest. What was asked for comes first, then what is due, then
    /// trials.
    fn due(
        &self,
        plan: &Plan,
        records: &Records,
        asked: &dyn Fn(&Pair) -> bool,
        now: Now,
    ) -> (Vec<Job>, Millis) {
        let mut next = now.at.plus(LOOK_EVERY);
        let mut jobs: BTreeMap<String, ((u8, u64), Job)> = BTreeMap::new();
        let nothing = Record::default();
        for (pair, backup) in plan.pairs().filter(|(pair, _)| !self.busy.contains(&pair.1)) {
            let record = records.of(&pair).unwrap_or(&nothing);
            let Some(schedule) = backup.schedule() else { continue };
            let due = due(&schedule, &record.tries(), &now, backup.seed(&pair.1));
            let job = match due {
                _ if asked(&pair) => Some((0, Job::BackUp(pair.clone(), backup.clone()))),
                Due::Now => Some((1, Job::BackUp(pair.clone(), backup.clone()))),
                Due::At(at) | Due::Waits { look_again: at, .. } => {
                    next = next.min(at);
                    let id = backup.id.clone();
                    self.trial(&pair, record, now).map(|snapshot| (2, Job::Try(pair.clone(), id, snapshot)))
                }
            };
            // Among equals whoever has waited longest.
            let job = job.map(|(first, job)| ((first, record.ended_ms.unwrap_or_default()), job));
            if let Some(job) = job {
                let best = jobs.entry(pair.1).or_insert_with(|| job.clone());
                if job.0 < best.0 {
                    *best = job;
                }
            }
        }
        (jobs.into_values().map(|(_, job)| job).collect(), next)
    }

    /// The snapshot from which it is to be tried to restore. Not on a battery: nobody waits for it.
    fn trial(&self, pair: &Pair, record: &Record, now: Now) -> Option<String> {
        let (first, last) = (record.first_ms?, record.runs.last()?);
        if self.again.get(pair).is_some_and(|again| *again > now.at) || matches!(now.power, Power::Battery(_))
        {
            return None;
        }
        // Everything into a place of its own would need as much room as there is.
        let everything = Some(Millis(first));
        let plan = DrillPlan { everything_every: Millis(u64::MAX), ..DrillPlan::default() };
        let tested = record.tested_ms.map(Millis);
        let due = tested.is_none() || drill_due(&plan, Millis(first), tested, everything, now.at).is_some();
        due.then(|| last.snapshot.clone())
    }
}

#[cfg(test)]
mod tests;
