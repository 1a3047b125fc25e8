//! Backups of ZFS datasets: the declaration that a person applied here, what is sent from this machine and what is kept at
//! it. Each machine has its own copy of the declaration: what stays at a target is said there, and nowhere else.

pub(crate) mod keeping;
mod kept;
mod rounds;
pub(crate) mod told;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use freehold_api::Problem;
use freehold_disk::{make_private_dir, read_private, replace};
use freehold_wire::{Digest, Millis, NodeId};
use freehold_zfs::Declaration;
use freehold_zfs_host::{Keeper, Stand, Tool};
use tokio::sync::Notify;

pub(crate) use self::kept::{File, Record, Records};
pub(crate) use self::rounds::start;
use crate::clock;
use crate::home::Home;
use crate::problem::home_problem;

const DECLARATION: &str = "declaration";
const RECORDS: &str = "records";

/// A backup at a target, by their names.
pub(crate) type Pair = (String, String);

/// What a person applied.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) declaration: Declaration,
    /// The same at each machine that has the same file.
    pub(crate) digest: Digest,
    /// Which machine a name in it meant when it was applied.
    pub(crate) machines: BTreeMap<String, NodeId>,
    pub(crate) since: Millis,
}

impl Chosen {
    /// What the declaration calls a machine.
    pub(crate) fn name_of(&self, node: NodeId) -> Option<&str> {
        self.machines.iter().find(|(_, id)| **id == node).map(|(name, _)| name.as_str())
    }
}

/// Datasets that are sent from here, and that are kept here.
pub(crate) struct Datasets {
    dir: PathBuf,
    pub(crate) tool: Tool,
    pub(crate) keeper: Keeper,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    chosen: Option<Arc<Chosen>>,
    unreadable: Option<String>,
    records: Records,
    /// What runs, and the last question that it answers.
    running: BTreeMap<Pair, u64>,
    /// What a round is to begin for, and the last who asked for it: questions are numbered.
    asked: BTreeMap<Pair, u64>,
    questions: u64,
    /// The last question that a round has answered which began after it.
    answered: BTreeMap<Pair, u64>,
    /// When the next snapshot of a backup is taken, or why that or the thinning out fails.
    next: BTreeMap<String, Result<Millis, String>>,
    /// When something of a backup came here last, and what fails.
    kept: BTreeMap<Pair, (Option<Millis>, Option<String>)>,
}

impl Datasets {
    /// What was kept.
    pub(crate) fn kept(home: &Home) -> Self {
        let (dir, mut state) = (home.zfs(), State::default());
        match kept::chosen(&dir.join(DECLARATION)) {
            Ok(chosen) => state.chosen = chosen.map(Arc::new),
            Err(why) => state.unreadable = Some(why),
        }
        let records = read_private(&dir.join(RECORDS)).ok().flatten();
        state.records = records.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let tool = Tool::default();
        let keeper = Keeper::new(tool.clone(), clock::wall().0);
        Self { dir, tool, keeper, state: Mutex::new(state), wake: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was applied.
    pub(crate) fn chosen(&self) -> Option<Arc<Chosen>> {
        self.state().chosen.clone()
    }

    /// The declaration that was applied, as it was typed.
    pub(crate) fn text(&self) -> Option<String> {
        let bytes = read_private(&self.dir.join(DECLARATION)).ok()??;
        serde_json::from_slice::<File>(&bytes).ok().map(|file| file.text)
    }

    fn write(&self, name: &str, value: &impl serde::Serialize) -> std::io::Result<()> {
        make_private_dir(&self.dir)?;
        replace(&self.dir.join(name), &serde_json::to_vec_pretty(value)?, 0o600)
    }

    fn path(&self) -> &Path {
        &self.dir
    }

    /// Does from now on what a declaration says.
    pub(crate) fn choose(&self, file: &File, chosen: Chosen) -> Result<(), Problem> {
        let mut state = self.state();
        let failed = |error| home_problem(&self.path().join(DECLARATION), &error);
        self.write(DECLARATION, file).map_err(failed)?;
        let stays = |(backup, target): &Pair| chosen.declaration.pair(backup, target).is_some();
        state.records.keep_only(stays);
        state.kept.retain(|pair, _| stays(pair));
        state.next.clear();
        state.unreadable = None;
        let questions = state.questions;
        state.asked = pairs(&chosen).map(|pair| (pair, questions)).collect();
        state.chosen = Some(Arc::new(chosen));
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// Has rounds begin, and says by what it is known that they are over: by their number, since what runs already, or has
    /// taken its snapshot, may be past what has changed since.
    pub(crate) fn ask(&self, pairs: impl Iterator<Item = Pair>) -> Vec<(Pair, u64)> {
        let mut state = self.state();
        state.questions += 1;
        let question = state.questions;
        let asked: Vec<(Pair, u64)> = pairs.map(|pair| (pair, question)).collect();
        state.asked.extend(asked.iter().cloned());
        drop(state);
        self.wake.notify_one();
        asked
    }

    fn ends(&self, pair: &Pair, stand: &Stand) {
        let mut state = self.state();
        let question = state.running.remove(pair).unwrap_or_default();
        let answered = state.answered.entry(pair.clone()).or_default();
        *answered = question.max(*answered);
        let declared =
            state.chosen.as_ref().is_some_and(|chosen| chosen.declaration.pair(&pair.0, &pair.1).is_some());
        if declared {
            state.records.of_mut(pair).note(stand, clock::wall());
            if let Err(error) = self.write(RECORDS, &state.records) {
                tracing::warn!(%error, "how the datasets stand was not kept");
            }
        }
        drop(state);
        self.wake.notify_one();
    }
}

/// Backups of all machines at all targets.
pub(crate) fn pairs(chosen: &Chosen) -> impl Iterator<Item = Pair> {
    chosen.declaration.backups.iter().flat_map(|backup| {
        backup.targets.iter().map(|target| (backup.name.to_string(), target.name.to_string()))
    })
}
