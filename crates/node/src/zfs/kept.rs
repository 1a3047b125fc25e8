//! What is kept of it in the home.

use std::collections::BTreeMap;
use std::path::Path;

use freehold_crypt::hash::digest;
use freehold_disk::read_private;
use freehold_wire::{Digest, Millis, NodeId};
use freehold_zfs::Declaration;
use freehold_zfs_host::{Outcome, Stand};
use serde::{Deserialize, Serialize};

use super::{Chosen, Pair};

const DOMAIN: &str = "freehold 2026 declaration of zfs backups";

/// A declaration as it was applied.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) text: String,
    /// Which machine each name meant then: a name that somebody else has later opens nothing.
    pub(crate) machines: BTreeMap<String, String>,
    pub(crate) since_ms: u64,
}

impl File {
    /// As it is worked with.
    pub(crate) fn read(&self) -> Result<Chosen, String> {
        let declaration = Declaration::read(&self.text).map_err(|error| error.to_string())?;
        let machine = |(name, id): (&String, &String)| {
            let id: NodeId = id.parse().map_err(|_| format!("{id} is no machine"))?;
            Ok((name.clone(), id))
        };
        let machines = self.machines.iter().map(machine).collect::<Result<_, String>>()?;
        let digest = Digest::from_bytes(digest(DOMAIN, self.text.as_bytes()));
        Ok(Chosen { declaration, digest, machines, since: Millis(self.since_ms) })
    }
}

/// What was applied; nothing if nothing ever was.
pub(super) fn chosen(file: &Path) -> Result<Option<Chosen>, String> {
    let unreadable = |why: String| format!("{} cannot be read: {why}", file.display());
    let Some(bytes) = read_private(file).map_err(|error| unreadable(error.to_string()))? else {
        return Ok(None);
    };
    let kept: File = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
    kept.read().map(Some).map_err(unreadable)
}

/// What came of backups, by their names and those of targets.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Records(BTreeMap<String, BTreeMap<String, Record>>);

impl Records {
    pub(crate) fn of(&self, (backup, target): &Pair) -> Option<&Record> {
        self.0.get(backup)?.get(target)
    }

    pub(super) fn of_mut(&mut self, (backup, target): &Pair) -> &mut Record {
        self.0.entry(backup.clone()).or_default().entry(target.clone()).or_default()
    }

    pub(super) fn keep_only(&mut self, stays: impl Fn(&Pair) -> bool) {
        for (backup, targets) in &mut self.0 {
            targets.retain(|target, _| stays(&(backup.clone(), target.clone())));
        }
    }
}

/// What came of one backup at one target.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    /// When the last round ended.
    pub(crate) at_ms: Option<u64>,
    /// When one ended last in which every dataset was done.
    pub(crate) done_ms: Option<u64>,
    pub(crate) datasets: BTreeMap<String, Dataset>,
}

/// One dataset.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Dataset {
    /// When the newest snapshot was made that the target has.
    pub(crate) newest_ms: Option<u64>,
    pub(crate) why: Option<String>,
    /// The target did not answer: a machine that is off.
    pub(crate) away: bool,
    /// What fails may do so by itself next time; what is a trouble stays one.
    pub(crate) trouble: bool,
}

impl Record {
    /// A round ended.
    pub(super) fn note(&mut self, stand: &Stand, at: Millis) {
        let before = std::mem::take(&mut self.datasets);
        for (name, outcome) in stand {
            let newest = before.get(name.as_str()).and_then(|known| known.newest_ms);
            let (away, trouble) = (
                matches!(outcome, Outcome::Away(_)),
                matches!(outcome, Outcome::Trouble(_) | Outcome::Differs),
            );
            let (newest_ms, why) = match outcome {
                Outcome::Done(made) => (Some(made.0), None),
                Outcome::Trouble(why) => (newest, Some(why.to_string())),
                Outcome::Failed(why) | Outcome::Away(why) => (newest, Some(why.clone())),
                Outcome::Differs => (newest, Some("that machine has another declaration".to_owned())),
            };
            self.datasets.insert(name.to_string(), Dataset { newest_ms, why, away, trouble });
        }
        self.at_ms = Some(at.0);
        if self.is_done() {
            self.done_ms = Some(at.0);
        }
    }

    /// Whether the target had everything after the last round.
    pub(crate) fn is_done(&self) -> bool {
        !self.datasets.is_empty() && self.datasets.values().all(|dataset| dataset.why.is_none())
    }
}
