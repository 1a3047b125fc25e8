//! Looking for direct paths again. iroh tells a peer which addresses to punch at when a connection begins and when
//! they change; a change that falls together with another connection's beginning is told to that one alone
//! (iroh 1.4), and then both stay with the relay however often they punch, at the old addresses. So after a
//! change, and a few times more while somebody is reached by a relay, all are told again: an address more, which
//! is this machine's own with a port at which nobody listens, and then an address less.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use freehold_wire::NodeId;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::debug;

use crate::Path;
use crate::line::Line;
use crate::link::Link;
use crate::shared::Shared;

/// Nobody listens there: "discard" (RFC 863).
const NOBODY: u16 = 9;
/// So long nothing has changed before it is told again.
const SETTLED: Duration = Duration::from_secs(2);
/// So long the address more stands: peers on the other side of the world have heard of it by then.
const STANDS: Duration = Duration::from_secs(1);
/// The first pause; each further one is twice as long.
const PAUSE: Duration = Duration::from_secs(5);
/// After this pause there is no other until something has changed.
const PAUSE_MAX: Duration = Duration::from_mins(6);

/// Whether an address stands there for this alone.
pub(crate) const fn is_nobodys(at: &SocketAddr) -> bool {
    at.port() == NOBODY
}

/// When to tell again.
#[derive(Debug)]
struct Turns {
    due: Option<Instant>,
    pause: Duration,
    relayed: BTreeSet<NodeId>,
}

impl Turns {
    fn new(now: Instant) -> Self {
        Self { due: Some(now + SETTLED), pause: PAUSE, relayed: BTreeSet::new() }
    }

    /// This machine's addresses are others.
    fn changed(&mut self, now: Instant) {
        (self.due, self.pause) = (Some(now + SETTLED), PAUSE);
    }

    /// Time is up, and these are reached by a relay; whether it is to be told now.
    fn due(&mut self, now: Instant, relayed: BTreeSet<NodeId>) -> bool {
        if !relayed.is_subset(&self.relayed) {
            self.pause = PAUSE;
        }
        self.relayed = relayed;
        self.due = Some(now + self.pause);
        if self.pause > PAUSE_MAX {
            return false;
        }
        if !self.relayed.is_empty() {
            self.pause *= 2;
        }
        !self.relayed.is_empty()
    }
}

/// Tells again when it is time, until the mesh ends.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut addresses = shared.addresses.subscribe();
    let mut turns = Turns::new(Instant::now());
    loop {
        let due = turns.due;
        let time = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = shared.cancel.cancelled() => return,
            changed = addresses.changed() => match changed {
                Ok(()) => turns.changed(Instant::now()),
                Err(_) => return,
            },
            () = time => {
                if turns.due(Instant::now(), relayed(&shared)) {
                    tokio::select! {
                        biased;
                        () = shared.cancel.cancelled() => return,
                        () = tell(&shared) => {}
                    }
                }
            }
        }
    }
}

/// Who is reached by a relay alone.
fn relayed(shared: &Shared) -> BTreeSet<NodeId> {
    let by_relay = |path: &Path| matches!(path, Path::Relay(_));
    let links = shared.links.read().map(|links| links.values().cloned().collect::<Vec<Arc<Link>>>());
    let lines = shared.lines.read().map(|lines| lines.clone()).unwrap_or_default();
    let links = links.unwrap_or_default();
    let links = links.iter().filter(|link| link.is_open() && by_relay(&link.path().0)).map(|link| link.node);
    let lines = lines.iter().filter(|line| line.is_open() && by_relay(&line.path().0)).map(Line::node);
    links.chain(lines).collect()
}

async fn tell(shared: &Shared) {
    let own = shared.addresses.borrow().direct().last().copied();
    let Some(own) = own else { return };
    let more = SocketAddr::new(own.ip(), NOBODY);
    debug!("direct paths are looked for again");
    shared.endpoint.add_external_addr(more).await;
    sleep(STANDS).await;
    shared.endpoint.remove_external_addr(&more).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(ids: &[u8]) -> BTreeSet<NodeId> {
        ids.iter().map(|id| NodeId::from_bytes([*id; 32])).collect()
    }

    #[tokio::test]
    async fn it_is_told_again_ever_more_rarely_until_something_changes() {
        let begun = Instant::now();
        let (mut turns, mut now, mut told) = (Turns::new(begun), begun, Vec::new());
        assert_eq!(turns.due, Some(begun + SETTLED));
        for _ in 0..20 {
            now = turns.due.unwrap();
            if turns.due(now, nodes(&[1])) {
                told.push((now - begun).as_secs());
            }
        }
        assert_eq!(told, [2, 7, 17, 37, 77, 157, 317]);
        turns.changed(now);
        now += SETTLED;
        assert_eq!(turns.due, Some(now));
        assert!(turns.due(now, nodes(&[1])), "with other addresses it may go");
        for _ in 0..20 {
            turns.due(now, nodes(&[1]));
        }
        assert!(turns.due(now, nodes(&[1, 2])), "the second one has not been told");
        assert!(!turns.due(now, nodes(&[])), "all are reached directly");
    }
}
