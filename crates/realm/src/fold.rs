//! From the set of operations to the realm's state.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use freehold_wire::{Millis, OpId};

use crate::reason::Reason;
use crate::set::{At, OpSet};
use crate::state::State;

mod base;
mod judge;
mod net;
mod people;
mod present;
mod run;
mod things;

use base::Frame;
use present::present;
use run::{Learned, Run, Stop};

/// How long guardians wait, visibly, before a recovery without an admin's signature takes effect.
pub const RECOVERY_DELAY: Millis = Millis::from_hours(72);

/// What a replica knows beyond the set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Clock {
    /// Wall time.
    pub now: Millis,
    /// Recoveries that this replica has held for [`RECOVERY_DELAY`] without a veto: see [`matured`].
    pub matured: BTreeSet<OpId>,
}

/// What a fold gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// The realm's state.
    pub state: State,
    /// Operations without effect, and why.
    pub refused: BTreeMap<OpId, Reason>,
    /// Operations that may still take effect.
    pub pending: BTreeMap<OpId, Pending>,
    /// Power operations since the newest checkpoint that stand: what the next checkpoint lists.
    pub standing: Vec<OpId>,
}

/// What an operation waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pending {
    /// Signatures of more admins.
    Signatures {
        /// Signatures that count.
        have: u32,
        /// Signatures needed.
        need: u32,
    },
    /// A recovery: 72 hours, or an admin's signature.
    Recovery {
        /// Whether a majority of admins objected.
        vetoed: bool,
    },
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signatures { have, need } => write!(f, "{have} of the {need} signatures it needs"),
            Self::Recovery { vetoed: false } => {
                f.write_str("waits 72 hours, or for the signature of an admin")
            }
            Self::Recovery { vetoed: true } => f.write_str("vetoed by the admins"),
        }
    }
}

/// The recoveries that may take effect here: those in `first_seen` for long enough that no majority
/// of admins objected to. What has matured once stays so: keep the result.
pub fn matured(first_seen: &BTreeMap<OpId, Millis>, folded: &Folded, now: Millis) -> BTreeSet<OpId> {
    first_seen
        .iter()
        .filter(|(id, seen)| {
            now.since(**seen) >= RECOVERY_DELAY
                && matches!(folded.pending.get(id), Some(Pending::Recovery { vetoed: false }))
        })
        .map(|(id, _)| *id)
        .collect()
}

/// The realm's state: a pure function of the set, and of which recoveries have waited long enough.
pub fn fold(set: &OpSet, clock: &Clock) -> Folded {
    let frame = Frame::new(set, clock);
    let first = settle(&frame, &BTreeSet::new());
    let immediate = first.countersigned_recoveries();
    let run = if immediate.is_empty() { first } else { settle(&frame, &immediate) };
    present(&run)
}

/// Runs along the best chain of checkpoints and recoveries, dropping those that turn out invalid.
fn settle<'a>(frame: &'a Frame<'a>, immediate: &BTreeSet<At>) -> Run<'a> {
    let mut invalid = BTreeMap::new();
    loop {
        let chain = frame.candidates.best(&invalid);
        let mut learned = Learned::default();
        let stop = loop {
            let mut run = Run::new(frame, &invalid, immediate, &chain);
            match run.run(&mut learned) {
                Ok(()) => return run,
                Err(Stop::Again) => {}
                Err(Stop::Invalid(at, why)) => break (at, why),
            }
        };
        invalid.insert(stop.0, stop.1);
    }
}
