//! When a backup is due. Runs fall into slots of equal length, counted from the epoch, each begun a little later than the
//! slot so that a house's machines do not all begin at once. A machine that slept through ten slots makes up for them
//! with one run. What failed is tried again soon, then less often, never less often than the slots come.

use freehold_wire::Millis;
use thiserror::Error;

/// The shortest slot: below it a run of a large home would follow on the last one's heels.
pub const EVERY_MIN: Millis = Millis::from_secs(300);
/// The longest slot: a backup once in a leap year.
pub const EVERY_MAX: Millis = Millis::from_hours(366 * 24);
/// After the first failure, then doubled each time.
const RETRY_FIRST: Millis = Millis::from_secs(60);
/// The longest wait after failures.
const RETRY_MAX: Millis = Millis::from_hours(1);
/// How soon what waits for mains or for another network is looked at again.
const LOOK_AGAIN: Millis = Millis::from_secs(60);

/// How often, and under which circumstances not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    every: Millis,
    /// On battery only with at least so many percent left; more than 100: never on battery.
    pub battery_percent: u8,
    /// Whether a network that costs by the byte is used.
    pub metered: bool,
}

impl Schedule {
    /// Backs up once in each slot of this length, on battery while half of it is left, never over a metered network.
    pub fn new(every: Millis) -> Result<Self, BadSchedule> {
        if every < EVERY_MIN || every > EVERY_MAX {
            return Err(BadSchedule { every });
        }
        Ok(Self { every, battery_percent: 50, metered: false })
    }

    /// The length of a slot.
    pub const fn every(&self) -> Millis {
        self.every
    }

    /// Where in its slot a run begins: within the first tenth, and the first ten minutes.
    const fn phase(&self, seed: u64) -> Millis {
        let tenth = self.every.0 / 10;
        let most = if tenth < 600_000 { tenth } else { 600_000 };
        Millis(seed % (most + 1))
    }

    /// The begin of the latest run that ought to have begun by `now`, and of the one after it.
    const fn around(&self, seed: u64, now: Millis) -> (Millis, Millis) {
        let phase = self.phase(seed);
        let latest = (now.since(phase).0 / self.every.0 * self.every.0).saturating_add(phase.0);
        (Millis(latest), Millis(latest.saturating_add(self.every.0)))
    }
}

/// A schedule that is no schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a backup every {} seconds is not possible: say something between 5 minutes and 366 days", .every.0 / 1000)]
pub struct BadSchedule {
    /// What was said.
    pub every: Millis,
}

/// What one target has seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tries {
    /// When the last run that succeeded began.
    pub succeeded: Option<Millis>,
    /// When the last run ended, whatever came of it.
    pub ended: Option<Millis>,
    /// How many runs have failed since one succeeded.
    pub failed: u32,
}

/// Where the machine has its power from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Power {
    /// The mains, or a machine that knows no other.
    #[default]
    Mains,
    /// A battery with so many percent left.
    Battery(u8),
}

/// How things are at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// The machine's clock.
    pub at: Millis,
    /// Where power comes from.
    pub power: Power,
    /// Whether the way to the target costs by the byte.
    pub metered: bool,
}

/// Whether to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Begin.
    Now,
    /// Not before then.
    At(Millis),
    /// It would be due; look again then.
    Waits {
        /// What for.
        waiting: Waiting,
        /// When to ask again at the latest.
        look_again: Millis,
    },
}

/// What a run that would be due waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// The mains, or a fuller battery.
    Power,
    /// A network that does not cost by the byte.
    Network,
}

/// Whether the backup of this schedule to one target begins now. `seed` is the same for each question about one target
/// and unlike others', and spreads the beginnings. A clock that was put back makes a run, at most, too many.
pub fn due(schedule: &Schedule, tries: &Tries, now: &Now, seed: u64) -> Due {
    let (latest, next) = schedule.around(seed, now.at);
    if tries.succeeded.is_some_and(|begun| begun >= latest && begun <= now.at) {
        return Due::At(next);
    }
    if let Some(ended) = tries.ended.filter(|ended| tries.failed > 0 && *ended <= now.at) {
        let again = ended.plus(pause(schedule, tries.failed));
        if again > now.at {
            return Due::At(again);
        }
    }
    let waits = |waiting| Due::Waits { waiting, look_again: now.at.plus(LOOK_AGAIN) };
    match now.power {
        Power::Battery(percent) if percent < schedule.battery_percent => waits(Waiting::Power),
        _ if now.metered && !schedule.metered => waits(Waiting::Network),
        _ => Due::Now,
    }
}

/// How long to leave a target alone that has failed so often in a row.
fn pause(schedule: &Schedule, failed: u32) -> Millis {
    let doubled = RETRY_FIRST.0.saturating_mul(1 << failed.saturating_sub(1).min(20));
    Millis(doubled).min(RETRY_MAX).min(schedule.every)
}
