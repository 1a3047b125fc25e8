//! What is wrong with a backup, from what is on record of it: told as data, and put into words elsewhere.

use freehold_wire::Millis;

use crate::Jumps;

/// From when on something is an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// No success for so long.
    pub age: Millis,
    /// No drill that succeeded for so long.
    pub untested: Millis,
    /// No drill of everything that succeeded for so long.
    pub whole: Millis,
    /// So many failures in a row, even if the last success is young.
    pub failures: u32,
    /// The factor, in percent, by which a size may rise or fall: 300 is three times.
    pub jump_percent: u64,
}

impl Bounds {
    /// For a backup that is made this often: three of them missed, and a day at the least, since machines are switched
    /// off at night; two weeks without a drill, and 45 days without one of
    /// everything; three failures; three times the usual size.
    #[must_use]
    pub fn of(every: Millis) -> Self {
        Self {
            age: Millis(every.0.saturating_mul(3)).max(Millis::from_hours(24)),
            untested: Millis::from_hours(14 * 24),
            whole: Millis::from_hours(45 * 24),
            failures: 3,
            jump_percent: 300,
        }
    }
}

/// How one run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// When it began.
    pub at: Millis,
    /// Bytes of the files that it covers.
    pub bytes: u64,
    /// Bytes that were new to the target.
    pub added: u64,
    /// How many files it could not read.
    pub unread: u64,
}

/// How the last drill ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drilled {
    /// When.
    pub at: Millis,
    /// Whether all came back as it was.
    pub good: bool,
}

/// What is on record of one backup to one target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// When the backup was asked for.
    pub added: Millis,
    /// When the first run that succeeded was; `None` where that is the first of `runs`.
    pub first: Option<Millis>,
    /// The last runs that succeeded, the oldest first; more than a few are not looked at.
    pub runs: Vec<Outcome>,
    /// How many have failed since.
    pub failed: u32,
    /// The last drill that succeeded.
    pub tested: Option<Millis>,
    /// The last drill of everything that succeeded.
    pub whole: Option<Millis>,
    /// Sizes that nobody has said are meant.
    pub jumps: Jumps,
    /// The last drill.
    pub drilled: Option<Drilled>,
}

/// What a person has to hear, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    /// A drill brought back something else than what was backed up, or nothing: this backup may be none.
    DrillFailed {
        /// When.
        at: Millis,
    },
    /// There is none, for so long.
    None {
        /// Since it was asked for.
        since: Millis,
    },
    /// The last one is so old.
    Old {
        /// Since it began.
        age: Millis,
    },
    /// So many runs have failed in a row.
    Failing {
        /// How many.
        times: u32,
    },
    /// The files are far fewer than usual: somebody may have deleted them.
    Fell {
        /// What is usual, in bytes.
        usual: u64,
        /// What it was, in bytes.
        now: u64,
    },
    /// Far more was new than usual: somebody may have encrypted the files.
    Rose {
        /// What is usual, in bytes.
        usual: u64,
        /// What it was, in bytes.
        now: u64,
    },
    /// Files that could not be read are in no snapshot.
    Unread {
        /// How many.
        files: u64,
    },
    /// Nobody has tried to restore from it for so long.
    Untested {
        /// Since the last drill that succeeded, or the first run.
        since: Millis,
    },
    /// Nobody has tried to restore everything from it for so long.
    NeverWhole {
        /// Since the last drill of everything that succeeded, or the first run.
        since: Millis,
    },
}

/// The alarms of one backup at one target, the worst first. What is on record of a time to come was noted by a clock that was
/// wrong, and counts as if it had never been.
pub fn alarms(record: &Record, bounds: &Bounds, now: Millis) -> Vec<Alarm> {
    let mut found = Vec::new();
    if let Some(drilled) = record.drilled.filter(|drilled| !drilled.good) {
        found.push(Alarm::DrillFailed { at: drilled.at });
    }
    let last = record.runs.iter().rev().map(|run| run.at).chain([record.added]).find(|at| *at <= now);
    let age = last.map_or(bounds.age, |last| now.since(last));
    if age >= bounds.age {
        found.push(if record.runs.is_empty() { Alarm::None { since: age } } else { Alarm::Old { age } });
    }
    if record.failed >= bounds.failures {
        found.push(Alarm::Failing { times: record.failed });
    }
    let Jumps { fell, rose } = record.jumps;
    found.extend(fell.map(|fell| Alarm::Fell { usual: fell.usual, now: fell.now }));
    found.extend(rose.map(|rose| Alarm::Rose { usual: rose.usual, now: rose.now }));
    if let Some(last) = record.runs.last().filter(|last| last.unread > 0) {
        found.push(Alarm::Unread { files: last.unread });
    }
    if let Some(first) = record.first.or_else(|| Some(record.runs.first()?.at)) {
        let since = |tested: Option<Millis>, bound: Millis| {
            let tested = tested.into_iter().chain([first, record.added]).find(|at| *at <= now);
            Some(tested.map_or(bound, |tested| now.since(tested))).filter(|since| *since >= bound)
        };
        found.extend(since(record.tested, bounds.untested).map(|since| Alarm::Untested { since }));
        found.extend(since(record.whole, bounds.whole).map(|since| Alarm::NeverWhole { since }));
    }
    found.sort_unstable();
    found
}
