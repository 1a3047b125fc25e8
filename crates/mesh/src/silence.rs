//! Whether a line is still heard. The peers of iroh leave a path when it has been silent for long, and one
//! connection holds the others to it: what is dialled anew goes to the path that all of them had chosen. So a
//! direct line that falls silent takes the members' connection beside it along, if that does not answer
//! either: then nothing is left of the choice, and all addresses are tried.
//!
//! Beats are counted, not time: whoever had no processor meanwhile has not listened.

use std::sync::Arc;
use std::time::Duration;

use freehold_wire::NodeId;
use tracing::debug;

use crate::Why;
use crate::link::Link;
use crate::shared::Shared;

/// How often it is listened whether something came. A line sends at least every other beat, and is answered.
pub(crate) const BEAT: Duration = Duration::from_millis(200);
/// After so many beats without a sound the connection beside it is asked for an answer.
const DOUBT: u32 = 3;
/// After so many the line is given up, and round-trip times more.
const DEAD: u32 = 6;
/// Round-trip times that are waited for besides.
const TRIPS: u32 = 2;

/// What a beat says of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It lives, or nobody knows yet.
    Well,
    /// It should have been heard.
    Doubtful,
    /// It is as good as cut.
    Dead,
}

/// How long a line has not been heard.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    received: u64,
    beats: u32,
}

impl Silence {
    /// One beat later: so many datagrams have come in all, and one there and back takes so long.
    pub(crate) fn beat(&mut self, received: u64, rtt: Duration) -> Heard {
        if received != self.received {
            *self = Self { received, beats: 0 };
            return Heard::Well;
        }
        self.beats = self.beats.saturating_add(1);
        match self.beats {
            beats if beats >= patience(DEAD, rtt) => Heard::Dead,
            DOUBT => Heard::Doubtful,
            _ => Heard::Well,
        }
    }
}

/// So many beats, and some for the way.
fn patience(beats: u32, rtt: Duration) -> u32 {
    let way = (rtt * TRIPS).as_millis() / BEAT.as_millis();
    beats.saturating_add(u32::try_from(way).unwrap_or(u32::MAX))
}

/// The members' connection to the same peer, which has been asked for an answer on its direct path.
pub(crate) struct Doubt {
    link: Arc<Link>,
    received: u64,
    beats: u32,
}

impl Doubt {
    /// Asks. None if there is no such connection, or it is not on a direct path.
    pub(crate) fn ask(shared: &Shared, node: NodeId, rtt: Duration) -> Option<Self> {
        let link = shared.link(node)?;
        let received = link.received_directly()?;
        link.nudge();
        Some(Self { link, received, beats: patience(DEAD - DOUBT, rtt) })
    }

    /// One beat later: itself, as long as neither an answer came nor time is up. If it is, the connection ends.
    pub(crate) fn beat(mut self) -> Option<Self> {
        if self.link.received_directly() != Some(self.received) {
            return None;
        }
        self.beats = self.beats.saturating_sub(1);
        if self.beats > 0 {
            return Some(self);
        }
        debug!(peer = %self.link.node.short(), "the members' connection is silent, too");
        self.link.close(Why::Silent);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: Duration = Duration::from_millis(1);

    fn beats(silence: &mut Silence, received: u64, rtt: Duration, count: usize) -> Vec<Heard> {
        (0..count).map(|_| silence.beat(received, rtt)).collect()
    }

    #[test]
    fn a_line_that_falls_silent_is_doubted_once_and_then_given_up_within_a_second_and_a_half() {
        let mut silence = Silence::default();
        assert_eq!(silence.beat(5, NEAR), Heard::Well);
        let told = beats(&mut silence, 5, NEAR, 6);
        assert_eq!(told.iter().filter(|told| **told == Heard::Doubtful).count(), 1);
        assert_eq!(told.iter().position(|told| *told == Heard::Dead), Some(5));
        assert!(BEAT * (DEAD + 1) <= Duration::from_millis(1500));
    }

    #[test]
    fn whatever_comes_begins_anew() {
        let mut silence = Silence::default();
        for received in 1..50 {
            let told = beats(&mut silence, received, NEAR, 5);
            assert!(!told.contains(&Heard::Dead), "{received}: {told:?}");
        }
    }

    #[test]
    fn a_long_way_is_waited_for() {
        let mut silence = Silence::default();
        let far = Duration::from_millis(700);
        silence.beat(1, far);
        let told = beats(&mut silence, 1, far, 13);
        assert_eq!(told.iter().position(|told| *told == Heard::Dead), Some(12), "{told:?}");
        assert_eq!(patience(u32::MAX, far), u32::MAX);
    }
}
