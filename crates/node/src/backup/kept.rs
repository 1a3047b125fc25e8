//! What is kept of backups in the home: what was chosen, and what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use freehold_api::BackupKeep;
use freehold_backup::{BackupError, Pacing, Password, Repository, Rights, Stop};
use freehold_disk::read_private;
use freehold_retention::{Bounds, Drill, Drilled, Jump, Jumps, Keep, Outcome, Policy, Schedule, Tries};
use freehold_wire::Millis;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Pair, Place};
use crate::shared::Shared;

/// So many runs are kept for comparison.
const RUNS_MAX: usize = 30;

/// What was chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Plan {
    pub(crate) targets: BTreeMap<String, Target>,
    pub(crate) backups: BTreeMap<String, Backup>,
    /// What a person said is meant to be in none.
    #[serde(skip_serializing_if = "Spare::is_nothing")]
    pub(crate) spared: Spare,
}

/// What is meant to be in no backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Spare {
    pub(crate) paths: BTreeSet<PathBuf>,
    pub(crate) buckets: BTreeSet<String>,
    pub(crate) databases: BTreeSet<String>,
}

impl Spare {
    fn is_nothing(&self) -> bool {
        self.paths.is_empty() && self.buckets.is_empty() && self.databases.is_empty()
    }
}

/// Where backups go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    pub(crate) place: Place,
    /// Under which name its password lies in the vault.
    pub(crate) password: String,
    /// Bytes a second that go there at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pace: Option<u64>,
}

impl Target {
    /// Opens its repository.
    pub(crate) fn open(
        &self,
        shared: &Arc<Shared>,
        rights: Rights,
        password: &Password,
        stop: &Stop,
    ) -> Result<Repository, BackupError> {
        self.place.open(shared, (rights, self.pace.map(Pacing::new)), password, stop)
    }
}

/// What is backed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backup {
    /// Stands for it in metrics, and spreads the beginnings of runs.
    pub(crate) id: String,
    pub(crate) paths: Vec<PathBuf>,
    /// What prints the file that the one path names; empty where files of the disk are backed up.
    #[serde(default)]
    pub(crate) command: Vec<String>,
    /// What the realm itself keeps, and these paths stand for.
    #[serde(default, skip_serializing_if = "Lodging::is_nothing")]
    pub(crate) kept: Lodging,
    pub(crate) exclude: Vec<String>,
    pub(crate) git_ignore: bool,
    pub(crate) one_file_system: bool,
    /// Whether it is made over a network that costs by the byte.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) on_metered: bool,
    pub(crate) every_ms: u64,
    pub(crate) to: BTreeSet<String>,
    pub(crate) added_ms: u64,
    /// How many of its snapshots stay.
    #[serde(default)]
    pub(crate) keep: BackupKeep,
}

/// What of what the realm itself keeps is backed up, by names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Lodging {
    pub(crate) buckets: Vec<String>,
    pub(crate) databases: Vec<String>,
    /// Whether it is all that there is at each run, and what this machine was told.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) everything: bool,
}

impl Lodging {
    pub(crate) const fn is_nothing(&self) -> bool {
        self.buckets.is_empty() && self.databases.is_empty() && !self.everything
    }
}

/// What is kept, as it is decided.
pub(crate) fn policy(keep: &BackupKeep) -> Policy {
    let count = |count: u32| if count == 0 { Keep::None } else { Keep::Newest(count) };
    Policy {
        last: count(keep.last),
        hourly: count(keep.hourly),
        daily: count(keep.daily),
        weekly: count(keep.weekly),
        monthly: count(keep.monthly),
        yearly: count(keep.yearly),
    }
}

impl Backup {
    /// When it is due at a target; `leaves` says that it goes there by a network. What was kept was asked whether it is a
    /// schedule.
    pub(crate) fn schedule(&self, leaves: bool) -> Option<Schedule> {
        let mut schedule = Schedule::new(Millis(self.every_ms)).ok()?;
        schedule.metered = self.on_metered || !leaves;
        Some(schedule)
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds::of(Millis(self.every_ms))
    }

    /// The same for each run at a target, and another one for each other.
    pub(crate) fn seed(&self, target: &str) -> u64 {
        let bytes = self.id.bytes().chain(target.bytes());
        // FNV-1a, 64 bits.
        bytes
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

impl Plan {
    pub(crate) fn has(&self, (backup, target): &Pair) -> bool {
        self.backups.get(backup).is_some_and(|backup| backup.to.contains(target))
    }

    /// Whether what goes to a target leaves this machine by a network.
    pub(crate) fn leaves(&self, target: &str) -> bool {
        self.targets.get(target).is_some_and(|target| target.place.leaves())
    }

    /// Each backup at each of its targets.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (Pair, &Backup)> {
        self.backups.iter().flat_map(|(name, backup)| {
            backup.to.iter().map(move |target| ((name.clone(), target.clone()), backup))
        })
    }
}

/// What came of backups, by their names and those of targets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Records(BTreeMap<String, BTreeMap<String, Record>>);

impl Records {
    pub(crate) fn of(&self, (backup, target): &Pair) -> Option<&Record> {
        self.0.get(backup)?.get(target)
    }

    pub(super) fn of_mut(&mut self, (backup, target): &Pair) -> &mut Record {
        self.0.entry(backup.clone()).or_default().entry(target.clone()).or_default()
    }

    /// Forgets what is not in the plan: who is added later under an old name has no history.
    pub(super) fn keep_only(&mut self, plan: &Plan) {
        for (backup, targets) in &mut self.0 {
            targets.retain(|target, _| plan.has(&(backup.clone(), target.clone())));
        }
        self.0.retain(|_, targets| !targets.is_empty());
    }
}

/// What came of one backup at one target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    /// When the first run that succeeded began.
    pub(crate) first_ms: Option<u64>,
    /// The last runs that succeeded, the oldest first.
    pub(crate) runs: Vec<Run>,
    /// When the last run ended, whatever came of it.
    pub(crate) ended_ms: Option<u64>,
    /// How many have failed since one succeeded.
    pub(crate) failed: u32,
    /// The target of the last one was not there: a disk in a drawer.
    pub(crate) away: bool,
    /// Why the last one did.
    pub(crate) why: Option<String>,
    /// The first files that the last run could not read, and why.
    pub(crate) unread: Vec<String>,
    /// When a trial to restore succeeded last.
    pub(crate) tested_ms: Option<u64>,
    /// The last trial.
    pub(crate) trial: Option<Trial>,
    /// When a trial to restore everything succeeded last.
    pub(crate) whole_ms: Option<u64>,
    /// The last trial of everything.
    pub(crate) whole: Option<Trial>,
    /// Far less than usual was covered, and nobody has said that it is meant.
    pub(crate) fell: Option<Size>,
    /// Far more than usual was new.
    pub(crate) rose: Option<Size>,
    /// When somebody said so last.
    pub(crate) accepted_ms: Option<u64>,
}

/// A size that nobody expected, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Size {
    usual: u64,
    now: u64,
}

impl From<Jump> for Size {
    fn from(Jump { usual, now }: Jump) -> Self {
        Self { usual, now }
    }
}

impl From<Size> for Jump {
    fn from(Size { usual, now }: Size) -> Self {
        Self { usual, now }
    }
}

impl Run {
    const fn outcome(&self) -> Outcome {
        let Self { at_ms, bytes, added, unread, .. } = *self;
        Outcome { at: Millis(at_ms), bytes, added, unread }
    }
}

/// A run that succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) at_ms: u64,
    pub(crate) snapshot: String,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) added: u64,
    pub(crate) unread: u64,
}

/// Why a run has failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) why: String,
    /// Its target was not there.
    pub(crate) away: bool,
}

impl From<String> for Failed {
    fn from(why: String) -> Self {
        Self { why, away: false }
    }
}

/// A trial to restore.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trial {
    pub(crate) at_ms: u64,
    pub(crate) good: bool,
    /// What was tried came back, and there was not room for all.
    #[serde(default)]
    pub(crate) no_room: bool,
    pub(crate) files: u64,
    pub(crate) of: u64,
    pub(crate) bytes: u64,
    pub(crate) why: Vec<String>,
}

impl Record {
    /// A run succeeded.
    pub(super) fn succeeded(&mut self, run: Run, unread: Vec<String>, ended: Millis, bounds: &Bounds) {
        self.first_ms.get_or_insert(run.at_ms);
        self.runs.push(run);
        let runs: Vec<Outcome> = self.runs.iter().map(Run::outcome).collect();
        let jumps = self.jumps().after(&runs, self.accepted_ms.map(Millis), bounds);
        (self.fell, self.rose) = (jumps.fell.map(Size::from), jumps.rose.map(Size::from));
        let more = self.runs.len().saturating_sub(RUNS_MAX);
        self.runs.drain(..more);
        (self.failed, self.away, self.why, self.unread, self.ended_ms) =
            (0, false, None, unread, Some(ended.0));
    }

    /// A run did not.
    pub(super) fn failed(&mut self, Failed { why, away }: Failed, ended: Millis) {
        self.failed = self.failed.saturating_add(1);
        self.away = away;
        (self.why, self.ended_ms) = (Some(why), Some(ended.0));
    }

    /// It was tried to restore. What was tried of everything counts as a sample, too.
    pub(super) fn tried(&mut self, drill: Drill, trial: Trial) {
        if trial.good {
            self.tested_ms = Some(trial.at_ms);
        }
        match drill {
            Drill::Sample => self.trial = Some(trial),
            Drill::Everything => {
                if trial.good {
                    (self.whole_ms, self.trial) = (Some(trial.at_ms), Some(trial.clone()));
                }
                self.whole = Some(trial);
            }
        }
    }

    /// A person says that what it covers is as it is meant to be.
    pub(super) const fn accepted(&mut self, at: Millis) {
        (self.fell, self.rose, self.accepted_ms) = (None, None, Some(at.0));
    }

    /// What nobody has said is meant.
    pub(crate) fn jumps(&self) -> Jumps {
        Jumps { fell: self.fell.map(Jump::from), rose: self.rose.map(Jump::from) }
    }

    /// The last trial that something else came back in, or nothing: a good sample does not make up for what is known to be
    /// lost.
    pub(crate) fn bad_trial(&self) -> Option<&Trial> {
        let bad = |trial: &&Trial| !trial.good && !trial.no_room;
        self.whole.as_ref().filter(bad).or_else(|| self.trial.as_ref().filter(bad))
    }

    /// Whether there is one.
    pub(crate) fn came_back_otherwise(&self) -> bool {
        self.bad_trial().is_some()
    }

    pub(crate) fn tries(&self) -> Tries {
        let succeeded = self.runs.last().map(|run| Millis(run.at_ms));
        Tries { succeeded, ended: self.ended_ms.map(Millis), failed: self.failed }
    }

    /// As it is judged.
    pub(crate) fn judged(&self, added: Millis) -> freehold_retention::Record {
        freehold_retention::Record {
            added,
            first: self.first_ms.map(Millis),
            runs: self.runs.iter().map(Run::outcome).collect(),
            // That it is old is said in time; two disks take turns in many a house.
            failed: if self.away { 0 } else { self.failed },
            tested: self.tested_ms.map(Millis),
            whole: self.whole_ms.map(Millis),
            jumps: self.jumps(),
            drilled: self.bad_trial().map(|trial| Drilled { at: Millis(trial.at_ms), good: false }),
        }
    }
}

/// Reads one of the files; `None` if it was never written.
pub(super) fn read<T: DeserializeOwned>(file: &Path) -> Result<Option<T>, String> {
    let unreadable = |why: String| format!("{} cannot be read: {why}", file.display());
    let Some(bytes) = read_private(file).map_err(|error| unreadable(error.to_string()))? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| unreadable(error.to_string()))
}
