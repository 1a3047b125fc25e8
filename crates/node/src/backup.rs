//! Backups of this machine's files: what is backed up and where to, which runs are due, and how it stands. What was
//! chosen and what came of it lie in files of the home; passwords lie sealed in the vault, with the realm's other
//! secrets.

mod kept;
mod passwords;
mod place;
mod power;
mod rounds;
mod running;
pub(crate) mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use freehold_api::{BackupAsked, Problem};
use freehold_backup::{BackupError, Meter};
use freehold_disk::{make_private_dir, replace};
use tokio::sync::Notify;

pub(crate) use self::kept::{Backup, Plan, Record, Records, Target};
pub(crate) use self::passwords::{BUCKET, known, of as password_of, put as keep_password, short_id};
pub(crate) use self::place::{Place, There};
pub(crate) use self::rounds::start;
use crate::home::Home;
use crate::problem::home_problem;

/// A backup at a target, by their names.
pub(crate) type Pair = (String, String);

const PLAN: &str = "plan";
const RECORDS: &str = "records";

/// The backups of this machine.
pub(crate) struct Backups {
    dir: PathBuf,
    state: Mutex<State>,
    /// Says that something is to be looked at.
    wake: Notify,
    /// Held by whoever changes the plan.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    plan: Plan,
    records: Records,
    /// Why the plan could not be read: it is then not written over.
    unreadable: Option<String>,
    running: BTreeMap<Pair, Meter>,
    asked: BTreeSet<Pair>,
    ended: BTreeMap<Pair, u64>,
}

impl Backups {
    /// What was kept. A plan that cannot be read is one that somebody has to hear of; records begin anew.
    pub(crate) fn kept(home: &Home) -> Self {
        let dir = home.backup();
        let mut state = State::default();
        match kept::read(&dir.join(PLAN)) {
            Ok(plan) => state.plan = plan.unwrap_or_default(),
            Err(why) => state.unreadable = Some(why),
        }
        state.records = kept::read(&dir.join(RECORDS)).ok().flatten().unwrap_or_default();
        // Those of a backup that was removed just before the end are nobody's any more.
        state.records.keep_only(&state.plan);
        Self { dir, state: Mutex::new(state), wake: Notify::new(), turn: tokio::sync::Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was chosen.
    pub(crate) fn plan(&self) -> Plan {
        self.state().plan.clone()
    }

    fn records(&self) -> Records {
        self.state().records.clone()
    }

    /// Why what was chosen cannot be read.
    fn unreadable(&self) -> Option<String> {
        self.state().unreadable.clone()
    }

    /// Folder for what is tried, and no longer than that.
    fn scratch(&self) -> PathBuf {
        self.dir.join("trial")
    }

    /// Changes what was chosen, durably; whoever does holds the turn.
    pub(crate) fn choose(&self, not: &str, change: impl FnOnce(&mut Plan)) -> Result<(), Problem> {
        let mut state = self.state();
        if let Some(why) = &state.unreadable {
            let next = format!("move {} aside, and start the node anew", self.dir.join(PLAN).display());
            return Err(Problem::corrupt(not, why.clone(), Some(next)));
        }
        let mut plan = state.plan.clone();
        change(&mut plan);
        self.write(PLAN, &plan).map_err(|error| home_problem(&self.dir.join(PLAN), &error))?;
        state.records.keep_only(&plan);
        state.asked.retain(|pair| plan.has(pair));
        state.plan = plan;
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    fn write(&self, name: &str, value: &impl serde::Serialize) -> std::io::Result<()> {
        make_private_dir(&self.dir)?;
        replace(&self.dir.join(name), &serde_json::to_vec_pretty(value)?, 0o600)
    }

    /// Notes how something stands. If the disk fails now, the next run says so.
    fn note(&self, pair: &Pair, change: impl FnOnce(&mut Record)) {
        let mut state = self.state();
        if !state.plan.has(pair) {
            return;
        }
        change(state.records.of_mut(pair));
        if let Err(error) = self.write(RECORDS, &state.records) {
            tracing::warn!(%error, "how the backup stands was not kept");
        }
    }

    /// Has runs begin, and says by what it is known that they are over.
    pub(crate) fn ask(&self, backup: &str, targets: &BTreeSet<String>) -> Vec<BackupAsked> {
        let mut state = self.state();
        let one = |target: &String| {
            let pair = (backup.to_owned(), target.clone());
            // One that runs already may have been past what has changed since.
            let more = 1 + u64::from(state.running.contains_key(&pair));
            let ended = state.ended.get(&pair).copied().unwrap_or_default() + more;
            state.asked.insert(pair);
            BackupAsked { target: target.clone(), ended }
        };
        let asked = targets.iter().map(one).collect();
        drop(state);
        self.wake.notify_one();
        asked
    }

    fn is_asked(&self, pair: &Pair) -> bool {
        self.state().asked.contains(pair)
    }

    fn begins(&self, pair: &Pair) {
        let mut state = self.state();
        state.asked.remove(pair);
        state.running.insert(pair.clone(), Meter::default());
    }

    fn shows(&self, pair: &Pair, meter: &Meter) {
        self.state().running.insert(pair.clone(), meter.clone());
    }

    fn ends(&self, pair: &Pair) {
        let mut state = self.state();
        state.running.remove(pair);
        *state.ended.entry(pair.clone()).or_default() += 1;
    }
}

/// What went wrong with a backup, as a person is told it: the error names the remedy itself.
pub(crate) fn problem(what: impl Into<String>, error: &BackupError) -> Problem {
    let (what, why) = (what.into(), error.to_string());
    match error {
        BackupError::NotThere { .. } => Problem::unreachable(what, why, Some("freehold backup list")),
        BackupError::Exists { .. } => Problem::conflict(what, why, None::<&str>),
        BackupError::Password { .. } => {
            Problem::refused(what, why, Some("freehold backup target add NAME PATH --password-file FILE"))
        }
        BackupError::Snapshot { .. } => Problem::not_found(what, why, Some("freehold backup snapshots")),
        BackupError::NotInSnapshot { .. } => Problem::not_found(what, why, Some("freehold backup ls")),
        BackupError::FalseIndex { .. } => Problem::corrupt(what, why, None::<&str>),
        _ => Problem::refused(what, why, Some("set right what it says, then try again")),
    }
}

/// Whether a path is absolute and says where it leads.
pub(crate) fn is_plain(path: &Path) -> bool {
    path.is_absolute() && !path.components().any(|part| matches!(part, std::path::Component::ParentDir))
}

#[cfg(test)]
mod tests;
