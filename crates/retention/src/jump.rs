//! Sizes that nobody expects. What was told stays told: the next run has nothing new again, and by then the person who has
//! to hear of it may be asleep.

use freehold_wire::Millis;

use crate::{Bounds, Outcome};

/// How many runs back the usual size is looked for.
const USUAL_OF: usize = 10;
/// Below so many bytes of difference no size is worth an alarm.
const JUMP_MIN: u64 = 64 << 20;

/// A size that is far from the usual one, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jump {
    /// What is usual.
    pub usual: u64,
    /// What it was.
    pub now: u64,
}

/// What stands until a person has said that it is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Jumps {
    /// Far less is covered; over, too, when as much as usual is there again.
    pub fell: Option<Jump>,
    /// Far more was new.
    pub rose: Option<Jump>,
}

impl Jumps {
    /// Whether something stands, so that nothing may be forgotten: what is old may be all that is left.
    pub const fn any(&self) -> bool {
        self.fell.is_some() || self.rose.is_some()
    }

    /// What stands after one more run, the last of these. A person who has said at `accepted` that all is as it is meant
    /// makes the run before it the measure. The first runs have nothing to be compared with; what is new is compared from
    /// the third on, since in the first all is.
    #[must_use]
    pub fn after(self, runs: &[Outcome], accepted: Option<Millis>, bounds: &Bounds) -> Self {
        let Some((last, before)) = runs.split_last() else { return self };
        let from = accepted.and_then(|accepted| before.iter().rposition(|run| run.at <= accepted));
        let before = before.get(from.unwrap_or_default()..).unwrap_or_default();
        let fell = match self.fell {
            Some(jump) => Some(Jump { now: last.bytes, ..jump }),
            None => usual(before, |run| run.bytes).map(|usual| Jump { usual, now: last.bytes }),
        };
        let later = before.get(1..).unwrap_or_default();
        let rose = usual(later, |run| run.added).map(|usual| Jump { usual, now: last.added });
        Self {
            fell: fell.filter(|jump| jump.is_less(bounds)),
            rose: self.rose.or_else(|| rose.filter(|jump| jump.is_more(last.bytes, bounds))),
        }
    }
}

impl Jump {
    const fn is_less(&self, bounds: &Bounds) -> bool {
        let far = self.now.saturating_mul(bounds.jump_percent) / 100 <= self.usual;
        far && self.usual.saturating_sub(self.now) >= JUMP_MIN
    }

    /// What is new differs from day to day far more than what there is: half of all is a jump, a photo album is not.
    const fn is_more(&self, all: u64, bounds: &Bounds) -> bool {
        let far = self.now >= self.usual.saturating_mul(bounds.jump_percent) / 100 && self.now >= all / 2;
        far && self.now.saturating_sub(self.usual) >= JUMP_MIN
    }
}

/// The median of the last of them.
fn usual(runs: &[Outcome], size: impl Fn(&Outcome) -> u64) -> Option<u64> {
    let recent = runs.get(runs.len().saturating_sub(USUAL_OF)..).unwrap_or_default();
    let mut sizes: Vec<u64> = recent.iter().map(size).collect();
    sizes.sort_unstable();
    sizes.get(sizes.len() / 2).copied()
}
