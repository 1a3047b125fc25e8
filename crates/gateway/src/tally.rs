//! What is counted of a service: how often and how it was asked, never by whom or for what.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the classes of time to the head of an answer; the last class is open.
pub const BOUNDS: [Duration; 13] = [
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// Why a request was not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turned {
    /// The gatekeeper said no.
    Away,
    /// It came too often.
    Often,
    /// Its body was too large.
    Large,
    /// Too many are under way.
    Busy,
    /// No upstream answered as it should.
    Failed,
}

/// The counters of one service.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    classes: [AtomicU64; 5],
    took: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
    turned: [AtomicU64; 5],
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) under_way: AtomicU64,
    pub(crate) tunnels: AtomicU64,
}

/// What was counted of a service since the door opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// Answers by class: 1xx to 5xx, the door's own among them.
    pub classes: [u64; 5],
    /// Answers by the time until their head, see [`BOUNDS`].
    pub took: [u64; BOUNDS.len() + 1],
    /// All these times together, in microseconds.
    pub micros: u64,
    /// Bytes of bodies, WebSockets and connections passed on, from clients.
    pub received: u64,
    /// The same to clients.
    pub sent: u64,
    /// Requests under way.
    pub under_way: u64,
    /// WebSockets and connections passed on, now.
    pub tunnels: u64,
    /// Requests that the gatekeeper let not in.
    pub turned_away: u64,
    /// Requests that came too often.
    pub too_often: u64,
    /// Requests that were too large.
    pub too_large: u64,
    /// Requests for which there was no place.
    pub busy: u64,
    /// Requests that no upstream answered.
    pub failed: u64,
}

impl Tally {
    pub(crate) fn answered(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        if let Some(count) = self.classes.get(class) {
            count.fetch_add(1, Relaxed);
        }
        let slot = BOUNDS.partition_point(|bound| *bound < took);
        if let Some(count) = self.took.get(slot) {
            count.fetch_add(1, Relaxed);
        }
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn turn(&self, why: Turned) {
        if let Some(count) = self.turned.get(why as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn shown(&self) -> Shown {
        let load = |count: &AtomicU64| count.load(Relaxed);
        let [turned_away, too_often, too_large, busy, failed] = self.turned.each_ref().map(load);
        Shown {
            classes: self.classes.each_ref().map(load),
            took: self.took.each_ref().map(load),
            micros: load(&self.micros),
            received: load(&self.received),
            sent: load(&self.sent),
            under_way: load(&self.under_way),
            tunnels: load(&self.tunnels),
            turned_away,
            too_often,
            too_large,
            busy,
            failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_is_in_one_class_of_each_kind() {
        let tally = Tally::default();
        let took = [0, 1000, 1001, 10_000_000, 10_000_001].map(Duration::from_micros);
        for (status, took) in [101, 200, 304, 404, 599].into_iter().zip(took) {
            tally.answered(status, took);
        }
        tally.turn(Turned::Busy);
        let shown = tally.shown();
        assert_eq!(shown.classes, [1; 5]);
        assert_eq!((shown.took[0], shown.took[1], shown.took[12], shown.took[13]), (2, 1, 1, 1));
        assert_eq!((shown.busy, shown.failed), (1, 0));
    }
}
