//! Which recoveries have waited long enough here. The 72 hours are for others to object in, so they
//! count only where an objection would have been heard: a laptop that slept through them, or a board
//! whose clock leapt, must not accept what everybody else has stopped.

use std::collections::{BTreeMap, BTreeSet};

use freehold_realm::{Folded, Pending, RECOVERY_DELAY, matured};
use freehold_wire::{Millis, OpId};

use crate::clock::EARLIEST;

/// The wall clock and the machine's own differ by more than this after sleep, or when one is set.
const LEAP: Millis = Millis::from_secs(300);
/// What was watched is written down this often.
const KEEP_EVERY: Millis = Millis::from_secs(600);

/// What this node knows of its own waiting.
#[derive(Debug, Default)]
pub(super) struct Ripening {
    /// Whether a node of the realm had what is here, and nothing else, since the start or a leap.
    in_step: bool,
    /// Wall and monotonic time of the last look.
    looked: Option<(Millis, Millis)>,
    /// How long this node ran while each recovery waited here.
    watched: BTreeMap<OpId, Millis>,
    kept: Millis,
}

impl Ripening {
    /// Takes back what [`Self::to_bytes`] gave.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let rows = bytes.as_chunks::<40>().0.iter();
        let row = |row: &[u8; 40]| {
            let (id, time) = (row.first_chunk::<32>()?, row.last_chunk::<8>()?);
            Some((OpId::from_bytes(*id), Millis(u64::from_be_bytes(*time))))
        };
        Self { watched: rows.filter_map(row).collect(), ..Self::default() }
    }

    /// What must outlive a restart.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.watched
            .iter()
            .flat_map(|(id, time)| [&id.as_bytes()[..], &time.0.to_be_bytes()].concat())
            .collect()
    }

    /// Counts the time since the last look. Returns whether it is to be written down.
    pub(super) fn look(&mut self, folded: &Folded, wall: Millis, monotonic: Millis) -> bool {
        let waits = |id: &OpId| matches!(folded.pending.get(id), Some(Pending::Recovery { .. }));
        self.watched.retain(|id, _| waits(id));
        let (wall_before, before) = self.looked.replace((wall, monotonic)).unwrap_or((wall, monotonic));
        let ran = monotonic.since(before);
        if wall.0.abs_diff(wall_before.plus(ran).0) > LEAP.0 {
            self.in_step = false;
        }
        for id in folded.pending.keys().filter(|id| waits(id)) {
            let watched = self.watched.entry(*id).or_default();
            *watched = watched.plus(ran);
        }
        let keep = !self.watched.is_empty() && monotonic.since(self.kept) >= KEEP_EVERY;
        if keep {
            self.kept = monotonic;
        }
        keep
    }

    /// A node of the realm has exactly what is here. Returns whether that is news.
    pub(super) const fn is_in_step(&mut self) -> bool {
        !std::mem::replace(&mut self.in_step, true)
    }

    /// The recoveries that may take effect.
    pub(super) fn ripe(
        &self,
        first_seen: &BTreeMap<OpId, Millis>,
        folded: &Folded,
        wall: Millis,
    ) -> BTreeSet<OpId> {
        if wall < EARLIEST {
            return BTreeSet::new();
        }
        let watched = self.watched.iter().filter(|(_, time)| **time >= RECOVERY_DELAY).map(|(id, _)| *id);
        let objected = |id: &OpId| folded.pending.get(id) != Some(&Pending::Recovery { vetoed: false });
        let mut ripe: BTreeSet<OpId> = watched.filter(|id| !objected(id)).collect();
        if self.in_step {
            let heard = matured(first_seen, folded, wall);
            ripe.extend(heard.into_iter().filter(|id| first_seen.get(id).is_some_and(|at| *at >= EARLIEST)));
        }
        ripe
    }
}

#[cfg(test)]
mod tests {
    use freehold_realm::{Clock, OpSet, fold};
    use freehold_wire::RealmId;

    use super::*;

    const DAY: u64 = 24 * 3_600_000;
    const NOW: Millis = Millis(EARLIEST.0 + 100 * DAY);

    fn id() -> OpId {
        OpId::from_bytes([7; 32])
    }

    fn waiting(vetoed: bool) -> Folded {
        let mut folded = fold(&OpSet::new(RealmId::from_bytes([1; 32])), &Clock::default());
        folded.pending.insert(id(), Pending::Recovery { vetoed });
        folded
    }

    fn days(n: u64) -> Millis {
        Millis(n * DAY)
    }

    #[test]
    fn what_ripened_while_this_machine_slept_waits_for_another_node() {
        let (folded, seen) = (waiting(false), BTreeMap::from([(id(), NOW)]));
        let mut ripening = Ripening::default();
        let start = Millis(1000);
        ripening.look(&folded, NOW, start);
        assert!(ripening.is_in_step());
        // Asleep for four days: its own clock stood.
        let (later, woken) = (NOW.plus(days(4)), start.plus(Millis(60_000)));
        ripening.look(&folded, later, woken);
        assert!(ripening.ripe(&seen, &folded, later).is_empty(), "nobody could tell it of a veto");
        assert!(ripening.is_in_step(), "it is news after sleep");
        assert_eq!(ripening.ripe(&seen, &folded, later), [id()].into());
        assert!(ripening.ripe(&seen, &waiting(true), later).is_empty());
        assert!(ripening.ripe(&seen, &folded, NOW.plus(days(2))).is_empty());
        // The same after a start.
        assert!(Ripening::default().ripe(&seen, &folded, later).is_empty());
    }

    #[test]
    fn a_wrong_clock_ripens_nothing() {
        let folded = waiting(false);
        let mut ripening = Ripening::default();
        ripening.is_in_step();
        let seen = BTreeMap::from([(id(), Millis(5000))]);
        assert!(ripening.ripe(&seen, &folded, NOW).is_empty(), "it came in 1970");
        assert!(ripening.ripe(&seen, &folded, days(4)).is_empty(), "it is 1970");
    }

    #[test]
    fn a_node_alone_runs_for_three_days_with_or_without_restarts() {
        let (folded, seen) = (waiting(false), BTreeMap::from([(id(), Millis(0))]));
        let mut ripening = Ripening::default();
        for start in 0..2 {
            ripening.look(&folded, NOW.plus(days(start * 9)), Millis(0));
            ripening.look(&folded, NOW.plus(days(start * 9 + 1)), days(1));
            let keep = ripening.look(&folded, NOW.plus(days(start * 9 + 1)), days(1).plus(Millis(1)));
            assert!(!keep, "written a moment ago");
            ripening = Ripening::from_bytes(&ripening.to_bytes());
        }
        let now = NOW.plus(days(20));
        ripening.look(&folded, now, Millis(0));
        assert!(ripening.ripe(&seen, &folded, now).is_empty(), "two days");
        ripening.look(&folded, now.plus(days(1)), days(1));
        assert_eq!(ripening.ripe(&seen, &folded, now.plus(days(1))), [id()].into());
        assert!(ripening.ripe(&seen, &waiting(true), now.plus(days(1))).is_empty());
    }
}
