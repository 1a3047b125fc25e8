//! Whether a line is still heard. The peers of iroh leave a path when it has been silent for long, and one
//! connection holds the others to it: what is dialled anew goes to the path that all of them had chosen. So a
//! direct line that falls silent takes the members' connection beside it along, if that does not answer
//! either: then nothing is left of the choice, and all addresses are tried.
//!
//! Beats are counted, not time: whoever had no processor meanwhile has not listened.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use freehold_wire::NodeId;
use iroh::endpoint::{Connection, FrameStats, PathId};
use tokio::time::sleep;
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

/// How much has come on each path that is open, in frames that nobody sends who only tries whether it leads somewhere:
/// iroh tries ways that it does not use every few seconds, in the name of the path that it uses.
pub(crate) type Received = Vec<(PathId, u64)>;

/// What has come on the paths of a connection, or on its direct ones.
pub(crate) fn received(connection: &Connection, directly: bool) -> Received {
    let paths = connection.paths();
    let paths = paths.iter().filter(|path| path.is_ip() || !directly);
    let frames = paths.map(|path| (path.id(), path.stats().frame_rx));
    let lively = |of: &FrameStats| of.acks + of.path_acks + of.ping + of.datagram + of.stream;
    frames.map(|(path, of)| (path, lively(&of))).collect()
}

/// Whether something came on a path that was there before. Another one says nothing: those that were only tried are
/// closed at once.
fn came(before: &[(PathId, u64)], now: &[(PathId, u64)]) -> bool {
    now.iter().any(|(path, count)| before.iter().any(|(known, had)| known == path && count > had))
}

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
    received: Received,
    beats: u32,
}

impl Silence {
    /// One beat later: that much has come, and one there and back takes so long.
    pub(crate) fn beat(&mut self, received: Received, rtt: Duration) -> Heard {
        let heard = self.received.is_empty() || came(&self.received, &received);
        self.received = received;
        self.beats = if heard { 0 } else { self.beats.saturating_add(1) };
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
    received: Received,
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
        if self.link.received_directly().is_none_or(|now| came(&self.received, &now)) {
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

/// Waits, while a line is dialled, until the members' connection has been found to hold the peer to a path that
/// leads nowhere, and has been ended for it: then all addresses may be tried.
pub(crate) async fn let_go(shared: &Shared, node: NodeId) {
    tokio::select! {
        () = astray(shared, node) => {}
        () = unanswered(shared, node) => {}
    }
    // iroh hears of an end a moment later.
    sleep(BEAT / 4).await;
}

/// Twice in a row: one that has only just come may be about to get its path.
async fn astray(shared: &Shared, node: NodeId) {
    let mut before = false;
    loop {
        let link = shared.link(node).filter(|link| link.strays());
        if let Some(link) = link.as_ref().filter(|_| before) {
            debug!(peer = %node.short(), "the members' connection is held to a path that is gone");
            return link.close(Why::Silent);
        }
        before = link.is_some();
        sleep(BEAT / 2).await;
    }
}

/// A dial may need a while, so that it is asked only then, and once.
async fn unanswered(shared: &Shared, node: NodeId) {
    sleep(BEAT * DOUBT).await;
    let Some(link) = shared.link(node) else { return pending().await };
    let mut doubt = Doubt::ask(shared, node, link.path().1.unwrap_or_default());
    while let Some(asked) = doubt {
        sleep(BEAT).await;
        doubt = asked.beat();
    }
    if link.is_open() {
        pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: Duration = Duration::from_millis(1);

    /// So many datagrams on a path that stays.
    fn came(received: u64) -> Received {
        vec![(PathId::ZERO, received)]
    }

    fn beats(silence: &mut Silence, received: u64, rtt: Duration, count: usize) -> Vec<Heard> {
        (0..count).map(|_| silence.beat(came(received), rtt)).collect()
    }

    #[test]
    fn a_line_that_falls_silent_is_doubted_once_and_then_given_up_within_a_second_and_a_half() {
        let mut silence = Silence::default();
        assert_eq!(silence.beat(came(5), NEAR), Heard::Well);
        let told = beats(&mut silence, 5, NEAR, 6);
        assert_eq!(told.iter().filter(|told| **told == Heard::Doubtful).count(), 1);
        assert_eq!(told.iter().position(|told| *told == Heard::Dead), Some(5));
        assert!(BEAT * (DEAD + 1) <= Duration::from_millis(1500));
    }

    #[test]
    fn a_way_that_is_only_tried_is_no_sign_of_life() {
        let mut silence = Silence::default();
        silence.beat(came(5), NEAR);
        let tried = |count| vec![(PathId::ZERO, 5), (PathId::MAX, count)];
        let heard = [came(5), tried(3), came(5), came(5), tried(4), came(5)];
        let told = heard.map(|received| silence.beat(received, NEAR));
        assert_eq!(told.last(), Some(&Heard::Dead), "{told:?}");
    }

    #[test]
    fn a_way_that_stays_is_heard() {
        let mut silence = Silence::default();
        silence.beat(came(5), NEAR);
        let told = [3, 4, 5, 6, 7, 8, 9, 10].map(|count| silence.beat(vec![(PathId::MAX, count)], NEAR));
        assert!(told.iter().all(|told| *told == Heard::Well), "{told:?}");
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
        silence.beat(came(1), far);
        let told = beats(&mut silence, 1, far, 13);
        assert_eq!(told.iter().position(|told| *told == Heard::Dead), Some(12), "{told:?}");
        assert_eq!(patience(u32::MAX, far), u32::MAX);
    }
}
