//! What each end does by itself, without asking the other: the source takes snapshots and lets old ones go, the target notes
//! when each came and lets old ones go. Nothing that a source says has a part in what a target forgets.

use std::collections::BTreeSet;

use freehold_retention::{Due, Moment, Now, Policy, Schedule, Tries, choose, due};
use freehold_wire::Millis;

use crate::names::{is_own, tag};
use crate::shown::{Seen, Snapshot};

/// What a target does with a dataset that it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tend {
    /// Sees to it that nobody writes to it.
    ReadOnly,
    /// Notes when a snapshot came.
    Note(String, Millis),
    /// Holds a snapshot: the one that the next stream begins from.
    Hold(String),
    /// Lets one go.
    Release(String),
    /// Removes a snapshot.
    Prune(String),
}

/// The tag under which a target holds what the next stream begins from.
fn newest_tag() -> String {
    tag("newest")
}

/// What a target does next with a dataset that it keeps; nothing if it is as it should be.
pub fn tend(policy: &Policy, kept: &Seen, now: Millis) -> Option<Tend> {
    // What somebody took there by hand is theirs to remove.
    let newest = kept.snapshots.iter().rev().find(|snapshot| is_own(&snapshot.name))?;
    if !kept.readonly {
        return Some(Tend::ReadOnly);
    }
    let came = kept.snapshots.iter().find(|snapshot| is_own(&snapshot.name) && snapshot.received.is_none());
    if let Some(came) = came {
        return Some(Tend::Note(came.name.clone(), now));
    }
    let tag = newest_tag();
    if !newest.holds.contains(&tag) {
        return Some(Tend::Hold(newest.name.clone()));
    }
    let held = kept.snapshots.iter().find(|old| old.guid != newest.guid && old.holds.contains(&tag));
    if let Some(old) = held {
        return Some(Tend::Release(old.name.clone()));
    }
    prunable(policy, kept).into_iter().next().map(Tend::Prune)
}

/// Which snapshots may go, the newest first: none that is held, that is not ours, or that is the newest of all. At a target
/// the time counts at which it came, so that dates which a source makes up push nothing out.
pub fn prunable(policy: &Policy, seen: &Seen) -> Vec<String> {
    let moment = |at| Moment { at, offset: 0 };
    let ours = seen.snapshots.iter().filter(|snapshot| is_own(&snapshot.name));
    let counted = ours.map(|snapshot| freehold_retention::Snapshot {
        id: (snapshot.txg, snapshot.name.clone()),
        group: (),
        claimed: moment(snapshot.made),
        received: snapshot.received.map(moment),
        pinned: false,
    });
    let counted: Vec<_> = counted.collect();
    let newest = seen.newest().map(|newest| newest.guid);
    let kept: BTreeSet<&str> = seen
        .snapshots
        .iter()
        .filter(|snapshot| !snapshot.holds.is_empty() || Some(snapshot.guid) == newest)
        .map(|snapshot| snapshot.name.as_str())
        .collect();
    let forget = choose(policy, &counted).forget.into_iter().map(|(_, name)| name);
    forget.filter(|name| !kept.contains(name.as_str())).collect()
}

/// When the next snapshot of all datasets of a backup is taken. One that has none yet has it taken now.
pub fn taken_at<'a>(
    schedule: &Schedule,
    datasets: impl IntoIterator<Item = &'a Seen>,
    now: Millis,
    seed: u64,
) -> Millis {
    let newest = |seen: &&Seen| {
        let ours = seen.snapshots.iter().rev().find(|snapshot| is_own(&snapshot.name));
        ours.map(|snapshot: &Snapshot| snapshot.made)
    };
    let oldest = datasets.into_iter().map(|seen| newest(&seen)).min().flatten();
    taken_after(schedule, oldest, now, seed)
}

/// When the next one is taken, by when the last one was.
pub fn taken_after(schedule: &Schedule, last: Option<Millis>, now: Millis, seed: u64) -> Millis {
    // Snapshots cost nothing, whatever the machine is fed from.
    let mut schedule = *schedule;
    (schedule.battery_percent, schedule.metered) = (0, true);
    let tries = Tries { succeeded: last, ended: last, failed: 0 };
    match due(&schedule, &tries, &Now { at: now, ..Now::default() }, seed) {
        Due::Now => now,
        Due::At(at) | Due::Waits { look_again: at, .. } => at,
    }
}
