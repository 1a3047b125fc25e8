//! The declaration: one file, the same on each machine that it names. It says which datasets go where, how often, and how many
//! snapshots stay at either end.

use std::collections::BTreeSet;

use freehold_retention::{Keep, Policy, Schedule};
use freehold_wire::Millis;
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use crate::names::{Dataset, Label};

/// The longest declaration, in bytes.
pub const DECLARATION_MAX: usize = 256 << 10;
const HOUR: Millis = Millis::from_hours(1);

/// What one file says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    /// Each with a name of its own.
    #[serde(rename = "backup", default)]
    pub backups: Vec<Backup>,
}

/// A dataset of a machine, with all below it if that is said, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// How it is called, at each target too.
    pub name: Label,
    /// Whose dataset it is.
    pub machine: Label,
    /// Which.
    pub dataset: Dataset,
    /// Whether the datasets below it are meant.
    #[serde(default)]
    pub children: bool,
    /// Those below it that are not, with all below them.
    #[serde(default)]
    pub except: BTreeSet<Dataset>,
    /// How often a snapshot is taken.
    #[serde(default = "hourly", deserialize_with = "span")]
    pub every: Millis,
    /// How many stay here.
    #[serde(default, deserialize_with = "keep")]
    pub keep: Policy,
    /// Where to.
    #[serde(rename = "target")]
    pub targets: Vec<Target>,
}

/// Where a backup goes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// How it is called.
    pub name: Label,
    /// Whose pool it is.
    pub machine: Label,
    /// The dataset there below which it lies.
    pub root: Dataset,
    /// How many stay there.
    #[serde(default, deserialize_with = "keep")]
    pub keep: Policy,
    /// How much room all of this machine's may take there, in bytes.
    #[serde(default, deserialize_with = "size")]
    pub limit: Option<u64>,
}

/// What is no declaration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadDeclaration {
    /// It is too long.
    #[error("it has more than {DECLARATION_MAX} bytes")]
    TooLong,
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// It names nothing.
    #[error("it has no [[backup]]")]
    Empty,
    /// Two have one name.
    #[error("there are two called {0}")]
    Twice(String),
    /// A backup goes nowhere.
    #[error("{0} has no [[backup.target]]")]
    Nowhere(Label),
    /// A target lies in what it is to keep, or the other way round.
    #[error("{0} would be kept in itself: {1} and {2} lie in each other")]
    Itself(Label, Dataset, Dataset),
    /// What is left out is not in it.
    #[error("{0} leaves out {1}, which is not below {2}")]
    Outside(Label, Dataset, Dataset),
    /// One dataset would be sent by two.
    #[error("{0} and {1} have the same datasets")]
    Shared(Label, Label),
    /// Never, or all the time.
    #[error("{0}: {1}")]
    Often(Label, String),
    /// One room has two sizes.
    #[error("what {0} may take below {1} is said in two ways")]
    Limits(Label, Dataset),
}

impl Declaration {
    /// Reads a file.
    pub fn read(text: &str) -> Result<Self, BadDeclaration> {
        if text.len() > DECLARATION_MAX {
            return Err(BadDeclaration::TooLong);
        }
        let read: Self =
            toml::from_str(text).map_err(|error| BadDeclaration::Unreadable(error.to_string()))?;
        read.check()?;
        Ok(read)
    }

    /// What a machine sends.
    pub fn of<'a>(&'a self, machine: &'a str) -> impl Iterator<Item = &'a Backup> {
        self.backups.iter().filter(move |backup| backup.machine.as_str() == machine)
    }

    /// What a machine keeps, and for which targets.
    pub fn at<'a>(&'a self, machine: &'a str) -> impl Iterator<Item = (&'a Backup, &'a Target)> {
        let targets = |backup: &'a Backup| backup.targets.iter().map(move |target| (backup, target));
        self.backups.iter().flat_map(targets).filter(move |(_, target)| target.machine.as_str() == machine)
    }

    /// A backup and one of its targets, by their names.
    pub fn pair(&self, backup: &str, target: &str) -> Option<(&Backup, &Target)> {
        let backup = self.backups.iter().find(|known| known.name.as_str() == backup)?;
        Some((backup, backup.targets.iter().find(|known| known.name.as_str() == target)?))
    }

    fn check(&self) -> Result<(), BadDeclaration> {
        if self.backups.is_empty() {
            return Err(BadDeclaration::Empty);
        }
        let mut names = BTreeSet::new();
        for (place, backup) in self.backups.iter().enumerate() {
            if !names.insert(&backup.name) {
                return Err(BadDeclaration::Twice(format!("backup {}", backup.name)));
            }
            backup.check()?;
            for other in self.backups.iter().take(place) {
                let one = &backup.dataset;
                if other.machine == backup.machine && (other.covers(one) || backup.covers(&other.dataset)) {
                    return Err(BadDeclaration::Shared(other.name.clone(), backup.name.clone()));
                }
            }
        }
        let all = || self.backups.iter().flat_map(|backup| backup.targets.iter().map(move |to| (backup, to)));
        for (backup, to) in all() {
            let same = all().filter(|(other, also)| {
                other.machine == backup.machine && also.machine == to.machine && also.root == to.root
            });
            if same.into_iter().any(|(_, also)| also.limit != to.limit) {
                return Err(BadDeclaration::Limits(backup.machine.clone(), to.root.clone()));
            }
            // What comes here is no snapshot of ours, nor are ours of what came.
            for of_target in self.of(to.machine.as_str()) {
                if of_target.dataset.below(&to.root).is_some() || of_target.covers(&to.root) {
                    let (kept, root) = (of_target.dataset.clone(), to.root.clone());
                    return Err(BadDeclaration::Itself(of_target.name.clone(), kept, root));
                }
            }
        }
        Ok(())
    }
}

impl Backup {
    /// When snapshots are taken.
    pub fn schedule(&self) -> Option<Schedule> {
        Schedule::new(self.every).ok()
    }

    /// Whether a dataset of its machine is meant.
    pub fn covers(&self, dataset: &Dataset) -> bool {
        let inside = dataset.below(&self.dataset);
        let meant = inside.is_some_and(|rest| rest.is_empty() || self.children);
        meant && !self.except.iter().any(|out| dataset.below(out).is_some())
    }

    /// Where the machine's datasets lie at a target.
    pub fn room(&self, target: &Target) -> Option<Dataset> {
        target.root.join(self.machine.as_str()).ok()
    }

    /// Where a dataset lies at a target.
    pub fn place(&self, target: &Target, dataset: &Dataset) -> Option<Dataset> {
        let rest = dataset.below(&self.dataset)?;
        self.room(target)?.join(&format!("{}{rest}", self.name)).ok()
    }

    /// Which dataset lies there.
    pub fn placed(&self, target: &Target, place: &Dataset) -> Option<Dataset> {
        let rest = place.below(&self.place(target, &self.dataset)?)?;
        Dataset::new(&format!("{}{rest}", self.dataset)).ok()
    }

    fn check(&self) -> Result<(), BadDeclaration> {
        if self.targets.is_empty() {
            return Err(BadDeclaration::Nowhere(self.name.clone()));
        }
        Schedule::new(self.every).map_err(|why| BadDeclaration::Often(self.name.clone(), why.to_string()))?;
        let mut names = BTreeSet::new();
        if let Some(twice) = self.targets.iter().find(|target| !names.insert(&target.name)) {
            return Err(BadDeclaration::Twice(format!("target {} of {}", twice.name, self.name)));
        }
        let outside = |out: &&Dataset| out.below(&self.dataset).is_none_or(str::is_empty);
        if let Some(out) = self.except.iter().find(outside) {
            return Err(BadDeclaration::Outside(self.name.clone(), out.clone(), self.dataset.clone()));
        }
        Ok(())
    }
}

const fn hourly() -> Millis {
    HOUR
}

/// How many of each period stay, as in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Counts {
    last: u32,
    hourly: u32,
    daily: u32,
    weekly: u32,
    monthly: u32,
    yearly: u32,
}

fn keep<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Policy, D::Error> {
    let counts = Counts::deserialize(deserializer)?;
    let keep = |count| if count == 0 { Keep::None } else { Keep::Newest(count) };
    Ok(Policy {
        last: keep(counts.last),
        hourly: keep(counts.hourly),
        daily: keep(counts.daily),
        weekly: keep(counts.weekly),
        monthly: keep(counts.monthly),
        yearly: keep(counts.yearly),
    })
}

/// A number with a unit behind it.
fn measured(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim();
    let (_, size) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*size)
}

fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Millis, D::Error> {
    let text = String::deserialize(deserializer)?;
    let (minute, hour) = (60_000, 3_600_000);
    let units = [("min", minute), ("h", hour), ("d", 24 * hour), ("", 0)];
    let words = [("hour", 1), ("day", 24), ("week", 168)];
    let word = words.iter().find(|(word, _)| *word == text.trim()).map(|(_, hours)| hours * hour);
    let span = word.or_else(|| measured(&text, units.get(..3).unwrap_or_default()));
    span.map(Millis).ok_or_else(|| serde::de::Error::custom("say it as 15min, 6h, 2d, hour, day or week"))
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let units = [("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
    let size = measured(&text, &units).filter(|size| *size > 0);
    size.map(Some).ok_or_else(|| serde::de::Error::custom("say it as 500GiB, in MiB, GiB or TiB"))
}
