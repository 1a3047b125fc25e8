//! What is due, at each target by itself, so that one that does not answer holds no other up: one at a time of what writes,
//! and beside it one of what only reads, so that a trial of everything, which takes hours, holds no backup up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use freehold_backup::Stop;
use freehold_retention::{Drill, DrillPlan, Due, Now, Power, drill_due, due};
use freehold_wire::Millis;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use super::kept::{Backup, Plan, Record, Records};
use super::metered::Network;
use super::running::{self, Job};
use super::upkeep::{Upkeep, Upkeeps, first_at, thinning_at};
use super::{Backups, Pair, passwords};
use crate::clock;
use crate::shared::Shared;
use crate::supervisor::{Health, Plane};

/// A machine sleeps, and clocks are put right: it is looked this often at the least.
const LOOK_EVERY: Millis = Millis::from_secs(60);
/// A trial that did not succeed is made again after so long.
const TRY_AGAIN: Millis = Millis::from_hours(1);
/// One of everything, and upkeep.
const TEND_AGAIN: Millis = Millis::from_hours(24);
const NOTHING: &str = "nothing is backed up: freehold backup target add NAME PATH";

/// Starts to look what is due; it ends with the plane.
pub(crate) fn start(plane: &Plane, shared: &Arc<Shared>) {
    plane.report(Health::Idle(NOTHING.to_owned()));
    plane.spawn(run(Arc::clone(shared), plane.clone()));
    plane.spawn(spread(Arc::clone(shared), plane.clone()));
    plane.spawn(super::guarding::run(Arc::clone(shared), plane.clone()));
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
    let (backups, mut network) = (&shared.backups_of_files, Network::default());
    loop {
        let plan = backups.plan();
        let leaves = plan.pairs().any(|((_, target), _)| plan.leaves(&target));
        let metered = tokio::select! {
            biased;
            () = plane.cancel().cancelled() => break,
            metered = network.is_metered(leaves) => metered,
        };
        backups.says_metered(metered);
        let (power, now) = (super::power::now(), clock::wall());
        let asked = |pair: &Pair| backups.is_asked(pair);
        let kept = Kept { plan: &plan, records: &backups.records(), upkeeps: &backups.upkeeps() };
        let (jobs, next) = round.due(&kept, &asked, Now { at: now, power, metered });
        for job in jobs {
            let Some(target) = plan.targets.get(job.target()) else { continue };
            let begins = match &job {
                Job::BackUp(pair, _) => backups.begins(pair),
                Job::Try(..) => true,
                Job::Thin(target) => backups.prunes(target),
                Job::Check(target, _) => backups.checks(target),
            };
            if begins {
                round.begin(&job, now);
                let job = running::run(Arc::clone(&shared), job, target.clone(), stop.clone());
                under_way.push(job);
            }
        }
        plane.report(health(backups, &plan));
        backups.mounts.close_idle();
        tokio::select! {
            biased;
            () = plane.cancel().cancelled() => break,
            Some(job) = under_way.next(), if !under_way.is_empty() => round.end(&job),
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

/// What is kept in the home.
#[derive(Debug, Clone, Copy)]
struct Kept<'a> {
    plan: &'a Plan,
    records: &'a Records,
    upkeeps: &'a Upkeeps,
}

/// Of what runs at a target there is one that writes, and one that reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    Write,
    Read,
}

/// What is not to be tried again yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Tried {
    Sample(Pair),
    Everything(Pair),
    Thin(String),
    Check(String),
}

impl Job {
    /// What is forgotten waits for whoever reads.
    const fn lanes(&self) -> &'static [Lane] {
        match self {
            Self::BackUp(..) => &[Lane::Write],
            Self::Try(..) | Self::Check(..) => &[Lane::Read],
            Self::Thin(_) => &[Lane::Write, Lane::Read],
        }
    }
}

/// What is under way, and what is not to be tried again yet.
#[derive(Debug, Default)]
struct Round {
    busy: BTreeSet<(String, Lane)>,
    /// When something may be tried again.
    again: BTreeMap<Tried, Millis>,
}

impl Round {
    fn begin(&mut self, job: &Job, now: Millis) {
        self.busy.extend(job.lanes().iter().map(|lane| (job.target().to_owned(), *lane)));
        let (tried, after) = match job.clone() {
            Job::BackUp(..) => return,
            Job::Try(pair, .., Drill::Sample) => (Tried::Sample(pair), TRY_AGAIN),
            Job::Try(pair, .., Drill::Everything) => (Tried::Everything(pair), TEND_AGAIN),
            Job::Thin(target) => (Tried::Thin(target), TEND_AGAIN),
            Job::Check(target, _) => (Tried::Check(target), TRY_AGAIN),
        };
        self.again.insert(tried, now.plus(after));
    }

    fn end(&mut self, job: &Job) {
        for lane in job.lanes() {
            self.busy.remove(&(job.target().to_owned(), *lane));
        }
    }

    fn is_busy(&self, target: &str, lane: Lane) -> bool {
        self.busy.contains(&(target.to_owned(), lane))
    }

    fn may_try(&self, tried: &Tried, now: Millis) -> bool {
        self.again.get(tried).is_none_or(|again| *again <= now)
    }

    /// What begins now, and when to look again at the latest. What was asked for comes first, then what is due; what
    /// nobody waits for comes not on a battery, nor over what costs by the byte.
    fn due(&self, kept: &Kept<'_>, asked: &dyn Fn(&Pair) -> bool, now: Now) -> (Vec<Job>, Millis) {
        let mut next = now.at.plus(LOOK_EVERY);
        let mut runs: BTreeMap<&str, ((u8, u64), Job)> = BTreeMap::new();
        let nothing = Record::default();
        let pairs: Vec<(Pair, &Backup)> = kept.plan.pairs().collect();
        for (pair, backup) in &pairs {
            let record = kept.records.of(pair).unwrap_or(&nothing);
            let Some(schedule) = backup.schedule(kept.plan.leaves(&pair.1)) else { continue };
            let first = match due(&schedule, &record.tries(), &now, backup.seed(&pair.1)) {
                _ if asked(pair) => 0,
                Due::Now => 1,
                Due::At(at) | Due::Waits { look_again: at, .. } => {
                    next = next.min(at);
                    continue;
                }
            };
            // Among equals whoever has waited longest.
            let first = (first, record.ended_ms.unwrap_or_default());
            let job = || (first, Job::BackUp(pair.clone(), (*backup).clone()));
            let best = runs.entry(&pair.1).or_insert_with(job);
            if first < best.0 {
                *best = job();
            }
        }
        let mut jobs = Vec::new();
        for target in kept.plan.targets.keys() {
            let run = runs.remove(target.as_str());
            let waits = run.is_some();
            jobs.extend(run.map(|(_, job)| job).filter(|_| !self.is_busy(target, Lane::Write)));
            let costs = now.metered && kept.plan.leaves(target);
            if costs || matches!(now.power, Power::Battery(_)) || self.is_busy(target, Lane::Read) {
                continue;
            }
            let here = pairs.iter().filter(|(pair, _)| pair.1 == *target);
            let thin = if waits { None } else { self.thinning(kept, target, now.at) };
            let trial = || here.into_iter().find_map(|(pair, backup)| self.trial(kept, pair, backup, now.at));
            jobs.extend(thin.or_else(trial).or_else(|| self.check(kept, target, now.at)));
        }
        (jobs, next)
    }

    fn thinning(&self, kept: &Kept<'_>, target: &str, now: Millis) -> Option<Job> {
        let upkeep = kept.upkeeps.get(target);
        let none = Upkeep::default();
        let at = thinning_at(kept.plan, kept.records, upkeep.unwrap_or(&none), target, now)?;
        let may = !self.is_busy(target, Lane::Write) && self.may_try(&Tried::Thin(target.to_owned()), now);
        (may && at <= now).then(|| Job::Thin(target.to_owned()))
    }

    fn check(&self, kept: &Kept<'_>, target: &str, now: Millis) -> Option<Job> {
        let first = first_at(kept.plan, kept.records, target)?;
        let none = Upkeep::default();
        let (part, at) = kept.upkeeps.get(target).unwrap_or(&none).next_check(first, now);
        let may = at <= now && self.may_try(&Tried::Check(target.to_owned()), now);
        may.then(|| Job::Check(target.to_owned(), part))
    }

    /// What is to be tried to restore from a backup.
    fn trial(&self, kept: &Kept<'_>, pair: &Pair, backup: &Backup, now: Millis) -> Option<Job> {
        let record = kept.records.of(pair)?;
        let (first, last) = (record.first_ms?, record.runs.last()?);
        let [sample, everything] = [record.tested_ms, record.whole_ms].map(|at| at.map(Millis));
        let try_out = |drill| Job::Try(pair.clone(), backup.id.clone(), last.snapshot.clone(), drill);
        let plan = DrillPlan::default();
        let may = |tried: Tried| self.may_try(&tried, now);
        if may(Tried::Everything(pair.clone()))
            && drill_due(&plan, Millis(first), sample, everything, now) == Some(Drill::Everything)
        {
            return Some(try_out(Drill::Everything));
        }
        let plan = DrillPlan { everything_every: Millis(u64::MAX), ..plan };
        let due = sample.is_none() || drill_due(&plan, Millis(first), sample, everything, now).is_some();
        (due && may(Tried::Sample(pair.clone()))).then(|| try_out(Drill::Sample))
    }
}

#[cfg(test)]
mod tests;
