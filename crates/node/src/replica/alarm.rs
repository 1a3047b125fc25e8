//! What replication tells people, and what they can do.

use std::collections::BTreeMap;

use freehold_placement::{Dispute, Event, Place, Replica as Machine, View};
use freehold_wire::{Hlc, Millis, NodeId};

/// Clocks that are right differ by less.
const MOMENT: Millis = Millis::from_secs(60);
/// A disk that was rolled back catches up in a moment; people see for this long that it was.
const SHOWN: Millis = Millis::from_secs(3600);

/// What an alarm is of. There is one of each for a node: what it says may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Fork,
    Dispute,
    Forgery,
    Early,
    Behind,
    PeerBehind,
}

/// Something that people should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    pub(super) kind: Kind,
    /// Whose fault it is, as far as that is known.
    pub(super) node: NodeId,
    /// What is wrong.
    pub what: &'static str,
    /// How that is known.
    pub why: String,
    /// What to do.
    pub next: &'static str,
}

impl Alarm {
    /// A node's numbers or its disk are not as they were.
    const fn copies(kind: Kind, node: NodeId, why: String) -> Self {
        let next = "freehold node list, then suspend the machine that was copied";
        Self { kind, node, what: "copies do not agree", why, next }
    }

    /// A number was used twice.
    pub(super) fn fork(place: &Place) -> Self {
        let who = place.origin.short();
        Self::copies(
            Kind::Fork,
            place.origin,
            format!("{who} wrote two entries with one number: it was copied or rolled back"),
        )
    }

    fn dispute(Dispute { kept, by, other }: &Dispute) -> Self {
        Self {
            kind: Kind::Dispute,
            node: other.origin,
            what: "two nodes say different things of one blob",
            why: format!(
                "{} said first what blob {} is, and {} says something else, which is not taken in",
                by.origin.short(),
                kept.name.short(),
                other.origin.short()
            ),
            next: "freehold node list, then suspend the machine that lies",
        }
    }

    /// What claims to be an entry of another node is not.
    pub(super) fn forgery(by: NodeId) -> Self {
        Self {
            kind: Kind::Forgery,
            node: by,
            what: "a node passes off what it wrote as another's",
            why: format!(
                "{} wrote that it had sealed an entry anew which did not say that; what it wrote does not count",
                by.short()
            ),
            next: "freehold node list, then suspend the machine that lies",
        }
    }

    /// Not for what is due in a moment: it was the answer to something that is due by now.
    fn early(place: &Place, date: Millis, wall: Millis) -> Option<Self> {
        if date <= wall.plus(Hlc::DRIFT_MAX).plus(MOMENT) {
            return None;
        }
        let (who, minutes) = (place.origin.short(), date.since(wall).0 / 60_000);
        Some(Self {
            kind: Kind::Early,
            node: place.origin,
            what: "a node writes with a date in the future",
            why: format!("{who} is {minutes} minutes ahead of this machine: what it wrote waits until then"),
            next: "set the clock right that is wrong, or suspend that machine if it lies: freehold node list",
        })
    }

    /// The alarm that an event is, if it is one.
    pub(super) fn of(event: &Event, me: NodeId, wall: Millis) -> Option<Self> {
        match event {
            Event::Conflict(conflict) => Some(Self::fork(&conflict.place)),
            Event::Disputed(dispute) => Some(Self::dispute(dispute)),
            Event::Early { place, wall: date } => Self::early(place, *date, wall),
            Event::Behind { have, told, .. } => Some(Self::copies(
                Kind::Behind,
                me,
                format!("this node's disk was rolled back: others have {told} of its entries, it has {have}"),
            )),
            Event::PeerBehind { node, .. } => Some(Self::copies(
                Kind::PeerBehind,
                *node,
                format!("the disk of {} was rolled back or lost", node.short()),
            )),
            Event::Confirmed { .. } | Event::Protection(_) | Event::CaughtUp(_) | Event::OutOfOrder(_) => {
                None
            }
        }
    }
}

/// Alarms by kind and node, with the time when each was last told.
#[derive(Debug, Default)]
pub(super) struct Alarms(BTreeMap<(Kind, NodeId), (Millis, Alarm)>);

impl Alarms {
    /// Takes one in; the newest words count.
    pub(super) fn raise(&mut self, now: Millis, alarm: Alarm) {
        let key = (alarm.kind, alarm.node);
        if self.0.get(&key).is_none_or(|(_, known)| known.why != alarm.why) {
            tracing::warn!(what = alarm.what, why = alarm.why, "replication");
        }
        self.0.insert(key, (now, alarm));
    }

    /// Drops what is over: what a node does whose rights were taken away, dates that have come or
    /// were set right, disks that have caught up.
    pub(super) fn settle(&mut self, now: Millis, machine: &Machine, view: &View) {
        self.0.retain(|(kind, node), (told, _)| match kind {
            _ if view.nodes.get(node).is_some_and(|node| node.suspended) => false,
            Kind::Fork | Kind::Dispute | Kind::Forgery => true,
            Kind::Early => machine.is_early(node),
            Kind::Behind => machine.is_behind() || now.since(*told) < SHOWN,
            // It says what it has every half minute, and is told of again while it lacks something.
            Kind::PeerBehind => now.since(*told) < SHOWN,
        });
    }

    pub(super) fn list(&self) -> Vec<Alarm> {
        self.0.values().map(|(_, alarm)| alarm.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use freehold_wire::BucketId;

    use super::*;

    #[test]
    fn one_fast_clock_is_one_alarm() {
        let node = NodeId::from_bytes([7; 32]);
        let mut alarms = Alarms::default();
        for minutes in 70..90 {
            let place = Place { bucket: BucketId::from_bytes([1; 32]), origin: node, seq: minutes };
            let wall = Millis(minutes * 60_000);
            let event = Event::Early { place, wall };
            alarms.raise(Millis(minutes), Alarm::of(&event, NodeId::from_bytes([1; 32]), Millis(0)).unwrap());
        }
        let all = alarms.list();
        assert!(all.len() == 1 && all[0].why.contains("89 minutes"), "{all:?}");
    }
}
