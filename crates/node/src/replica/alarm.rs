//! What replication tells people, and what they can do.

use freehold_placement::{Dispute, Event, Place};
use freehold_wire::{Hlc, Millis};

/// Clocks that are right differ by less.
const MOMENT: Millis = Millis::from_secs(60);

/// Something that people should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// What is wrong.
    pub what: &'static str,
    /// How that is known.
    pub why: String,
    /// What to do.
    pub next: &'static str,
}

impl Alarm {
    /// A node's numbers or its disk are not as they were.
    const fn copies(why: String) -> Self {
        let next = "freehold node list, then suspend the machine that was copied";
        Self { what: "copies do not agree", why, next }
    }

    /// A number was used twice.
    pub(super) fn fork(place: &Place) -> Self {
        let who = place.origin.short();
        Self::copies(format!("{who} wrote two entries with one number: it was copied or rolled back"))
    }

    fn dispute(Dispute { kept, by, other }: &Dispute) -> Self {
        Self {
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

    /// Not for what is due in a moment: it was the answer to something that is due by now.
    fn early(place: &Place, date: Millis, wall: Millis) -> Option<Self> {
        if date <= wall.plus(Hlc::DRIFT_MAX).plus(MOMENT) {
            return None;
        }
        let (who, minutes) = (place.origin.short(), date.since(wall).0 / 60_000);
        Some(Self {
            what: "a node writes with a date in the future",
            why: format!("{who} is {minutes} minutes ahead of this machine: what it wrote waits until then"),
            next: "set the clock right that is wrong, or suspend that machine if it lies: freehold node list",
        })
    }

    /// The alarm that an event is, if it is one.
    pub(super) fn of(event: &Event, wall: Millis) -> Option<Self> {
        match event {
            Event::Conflict(conflict) => Some(Self::fork(&conflict.place)),
            Event::Disputed(dispute) => Some(Self::dispute(dispute)),
            Event::Early { place, wall: date } => Self::early(place, *date, wall),
            Event::Behind { have, told, .. } => Some(Self::copies(format!(
                "this node's disk was rolled back: others have {told} of its entries, it has {have}"
            ))),
            Event::PeerBehind { node, .. } => {
                Some(Self::copies(format!("the disk of {} was rolled back or lost", node.short())))
            }
            Event::Confirmed { .. } | Event::Protection(_) | Event::CaughtUp(_) | Event::OutOfOrder(_) => {
                None
            }
        }
    }
}
