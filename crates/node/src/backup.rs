//! Backups of this machine's files: what is backed up and where to, which runs are due, and how it stands. What was
//! chosen and what came of it lie in files of the home; passwords lie sealed in the vault, with the realm's other
//! secrets.

pub(crate) mod guarding;
pub(crate) mod keeping;
mod kept;
pub(crate) mod letters;
pub(crate) mod lodged;
mod metered;
mod mounts;
mod passwords;
mod place;
mod power;
mod rounds;
mod running;
pub(crate) mod shelf;
pub(crate) mod told;
mod trying;
mod upkeep;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use freehold_api::{BackupAsked, Problem};
use freehold_backup::{BackupError, Meter, Stop};
use freehold_disk::{make_private_dir, replace};
use tokio::sync::Notify;

pub(crate) use self::kept::{Backup, Lodging, Plan, Record, Records, Target, policy};
pub(crate) use self::mounts::Mounted;
pub(crate) use self::passwords::{
    BUCKET, Rescued, known, of_target as password_of, password_in, put as keep_password, short_id,
};
pub(crate) use self::place::{Place, Remover, There, key_folder};
pub(crate) use self::rounds::start;
use self::upkeep::{Upkeep, Upkeeps};
use crate::clock;
use crate::home::Home;
use crate::problem::home_problem;

/// Stops what is under way when nobody waits for it any more.
pub(crate) struct StopsWhenDropped(pub(crate) Stop);

impl Drop for StopsWhenDropped {
    fn drop(&mut self) {
        self.0.ask();
    }
}

/// A backup at a target, by their names.
pub(crate) type Pair = (String, String);

pub(crate) const PLAN: &str = "plan";
const RECORDS: &str = "records";
const UPKEEP: &str = "upkeep";
const TRIAL: &str = "trial";
const SHELVES: &str = "shelves";

/// The backups of this machine.
pub(crate) struct Backups {
    dir: PathBuf,
    /// Those of other machines of the realm that are kept here.
    pub(crate) shelves: keeping::Shelves,
    /// Those that somebody walks through.
    pub(crate) mounts: mounts::Mounts,
    state: Mutex<State>,
    /// Says that something is to be looked at.
    wake: Notify,
    /// Says that it is to be looked what lies in no backup.
    look: Notify,
    /// Held by whoever changes the plan.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    plan: Plan,
    records: Records,
    upkeeps: Upkeeps,
    /// Why the plan could not be read: it is then not written over.
    unreadable: Option<String>,
    running: BTreeMap<Pair, Meter>,
    asked: BTreeSet<Pair>,
    /// Targets from which something is removed.
    pruned: BTreeSet<String>,
    /// Targets whose bytes are read: what is removed meanwhile would seem to be damaged.
    checked: BTreeSet<String>,
    ended: BTreeMap<Pair, u64>,
    /// Whether the way out of this machine costs by the byte.
    metered: bool,
    /// What may be worth a backup, once somebody has looked.
    candidates: Option<Vec<freehold_retention::Candidate>>,
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
        state.records = noted(&dir.join(RECORDS));
        state.upkeeps = noted(&dir.join(UPKEEP));
        // Those of a backup that was removed just before the end are nobody's any more.
        state.records.keep_only(&state.plan);
        // What a trial has brought back before the machine went off is nobody's to find.
        match std::fs::remove_dir_all(dir.join(TRIAL)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, "what a trial to restore has brought back stays");
            }
            _ => {}
        }
        let shelves = keeping::Shelves::at(&dir.join(SHELVES));
        let (wake, look, turn) = (Notify::new(), Notify::new(), tokio::sync::Mutex::default());
        let mounts = mounts::Mounts::default();
        Self { dir, shelves, mounts, state: Mutex::new(state), wake, look, turn }
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

    fn upkeeps(&self) -> Upkeeps {
        self.state().upkeeps.clone()
    }

    /// How many runs have ended at a target since the node was started.
    pub(crate) fn ended_at(&self, target: &str) -> u64 {
        self.state().ended.iter().filter(|((_, at), _)| at == target).map(|(_, ended)| ended).sum()
    }

    /// Why what was chosen cannot be read.
    pub(crate) fn unreadable(&self) -> Option<String> {
        self.state().unreadable.clone()
    }

    /// What is in no backup: the node's home, whose stores change while they are read and of whose content the realm
    /// keeps copies; and all targets, which would take each other in.
    pub(crate) fn never(&self, home: &Home) -> Vec<PathBuf> {
        let plan = self.plan();
        let targets = plan.targets.values().filter_map(|target| target.place.folder());
        targets.map(Path::to_owned).chain([home.root().to_owned()]).collect()
    }

    /// Folder for what is tried, and no longer than that.
    fn scratch(&self) -> PathBuf {
        self.dir.join(TRIAL)
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
        state.upkeeps.retain(|target, _| plan.targets.contains_key(target));
        state.asked.retain(|pair| plan.has(pair));
        state.plan = plan;
        drop(state);
        self.wake.notify_one();
        self.look.notify_one();
        Ok(())
    }

    fn write(&self, name: &str, value: &impl serde::Serialize) -> std::io::Result<()> {
        make_private_dir(&self.dir)?;
        replace(&self.dir.join(name), &serde_json::to_vec_pretty(value)?, 0o600)
    }

    /// Notes how a backup stands that is known by its id: one that was removed meanwhile leaves nothing to another one of
    /// its name. If the disk fails now, the next run says so.
    fn note(&self, pair: &Pair, id: &str, change: impl FnOnce(&mut Record)) {
        let mut state = self.state();
        if !state.plan.has(pair) || state.plan.backups.get(&pair.0).is_none_or(|backup| backup.id != id) {
            return;
        }
        change(state.records.of_mut(pair));
        if let Err(error) = self.write(RECORDS, &state.records) {
            tracing::warn!(%error, "how the backup stands was not kept");
        }
    }

    /// Notes what came of the upkeep of a target.
    fn tend(&self, target: &str, change: impl FnOnce(&mut Upkeep)) {
        let mut state = self.state();
        if !state.plan.targets.contains_key(target) {
            return;
        }
        change(state.upkeeps.entry(target.to_owned()).or_default());
        if let Err(error) = self.write(UPKEEP, &state.upkeeps) {
            tracing::warn!(%error, "what came of a target's upkeep was not kept");
        }
    }

    /// Notes that a person had every byte of a target read.
    pub(crate) fn found(&self, target: &str, found: &[freehold_backup::Finding]) {
        self.tend(target, |upkeep| upkeep.checked(clock::wall(), None, Ok(found.to_vec())));
    }

    /// A person says that what a backup covers is as it is meant to be.
    pub(crate) fn accept(&self, name: &str, backup: &Backup) {
        for target in &backup.to {
            self.note(&(name.to_owned(), target.clone()), &backup.id, |record| {
                record.accepted(clock::wall());
            });
        }
        self.wake.notify_one();
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

    fn says_metered(&self, metered: bool) {
        self.state().metered = metered;
    }

    fn is_asked(&self, pair: &Pair) -> bool {
        self.state().asked.contains(pair)
    }

    /// Says that a run begins, unless something is being removed from its target: what it has just found there might
    /// be gone.
    fn begins(&self, pair: &Pair) -> bool {
        let mut state = self.state();
        if state.pruned.contains(&pair.1) {
            return false;
        }
        state.asked.remove(pair);
        state.running.insert(pair.clone(), Meter::default());
        true
    }

    /// Whether something may be removed from a target: no run is under way there, nor somebody else who removes. If so,
    /// no run begins until [`Backups::is_pruned`].
    pub(crate) fn prunes(&self, target: &str) -> bool {
        let mut state = self.state();
        let busy = state.running.keys().any(|(_, at)| at == target) || state.checked.contains(target);
        !busy && state.pruned.insert(target.to_owned())
    }

    /// Whether a target's bytes may be read: nobody removes something there. If so, nobody does until
    /// [`Backups::is_checked`].
    fn checks(&self, target: &str) -> bool {
        let mut state = self.state();
        !state.pruned.contains(target) && state.checked.insert(target.to_owned())
    }

    fn is_checked(&self, target: &str) {
        self.state().checked.remove(target);
    }

    /// What was to be removed is.
    pub(crate) fn is_pruned(&self, target: &str) {
        self.state().pruned.remove(target);
        self.wake.notify_one();
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

/// What came of something earlier. What cannot be read begins anew.
fn noted<T: serde::de::DeserializeOwned + Default>(file: &Path) -> T {
    let noted = kept::read(file).unwrap_or_else(|why| {
        tracing::warn!(why, "what came of earlier backups is forgotten");
        None
    });
    noted.unwrap_or_default()
}

/// What went wrong with a backup, as a person is told it: the error names the remedy itself.
pub(crate) fn problem(what: impl Into<String>, error: &BackupError) -> Problem {
    let (what, why) = (what.into(), error.to_string());
    match error {
        BackupError::NotThere { .. } | BackupError::Away { .. } => {
            Problem::unreachable(what, why, Some("freehold backup list"))
        }
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
