//! Which connected nodes have exactly this node's log, and since when others have not. Heads are told every half
//! minute; so whoever stays apart for minutes takes something that the other refuses.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use freehold_wire::{Millis, NodeId};
use tokio::sync::Notify;
use tokio::time::timeout;

/// A long log, over a slow line, is in step by then.
const APART_MAX: Millis = Millis::from_secs(5 * 60);
/// So long after a node came it is waited for what its log says; whoever refuses something of it waits no longer.
const PATIENCE: Millis = Millis::from_secs(60);

/// What is known of a connected node.
#[derive(Debug, Clone, Copy)]
struct Step {
    came: Millis,
    /// When it was last known to have the same log; at first, when it came.
    alike: Millis,
    met: Met,
}

/// Whether it has had the same log since it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Met {
    NotYet,
    /// It has; what the log says by that may not show yet.
    Unseen,
    Seen,
}

#[derive(Debug, Default)]
struct Inner {
    nodes: Mutex<BTreeMap<NodeId, Step>>,
    /// Something waits until a node was met.
    waits: AtomicBool,
    seen: Notify,
}

/// For each connected node, how its log compares with this one's.
#[derive(Debug, Clone, Default)]
pub(super) struct Steps(Arc<Inner>);

impl Steps {
    /// A node is connected.
    pub(super) fn came(&self, node: NodeId, now: Millis) {
        self.nodes().insert(node, Step { came: now, alike: now, met: Met::NotYet });
    }

    /// A node has what is here.
    pub(super) fn together(&self, node: NodeId, now: Millis) {
        if let Some(step) = self.nodes().get_mut(&node) {
            step.alike = now;
            if step.met == Met::NotYet {
                step.met = Met::Unseen;
            }
        }
    }

    /// All that is in the log shows in its view.
    pub(super) fn seen(&self) {
        let mut news = false;
        for step in self.nodes().values_mut().filter(|step| step.met == Met::Unseen) {
            step.met = Met::Seen;
            news = true;
        }
        if news {
            self.0.seen.notify_one();
        }
    }

    /// A node has gone.
    pub(super) fn gone(&self, node: NodeId) {
        self.nodes().remove(&node);
    }

    /// Those that stay apart, and for how long.
    pub(super) fn apart(&self, now: Millis) -> Vec<(NodeId, Millis)> {
        let nodes = self.nodes();
        let apart = nodes.iter().map(|(node, step)| (*node, now.since(step.alike)));
        apart.filter(|(_, apart)| *apart >= APART_MAX).collect()
    }

    /// Whether a node has come just now and its log may say what the view here does not.
    pub(super) fn may_know_more(&self, node: &NodeId, now: Millis) -> bool {
        let may = self
            .nodes()
            .get(node)
            .is_some_and(|step| step.met != Met::Seen && now.since(step.came) < PATIENCE);
        if may {
            self.0.waits.store(true, Ordering::Relaxed);
        }
        may
    }

    /// Waits until another node was met; if somebody was told that one may know more, no longer than that holds.
    pub(super) async fn met(&self) {
        let seen = self.0.seen.notified();
        if self.0.waits.swap(false, Ordering::Relaxed) {
            timeout(Duration::from_millis(PATIENCE.0), seen).await.ok();
        } else {
            seen.await;
        }
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<NodeId, Step>> {
        self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connected_node_that_stays_apart_shows() {
        let (steps, node) = (Steps::default(), NodeId::from_bytes([1; 32]));
        let at = Millis::from_secs;
        steps.came(node, at(10));
        assert!(steps.apart(at(300)).is_empty(), "it has time to catch up");
        assert_eq!(steps.apart(at(310)), [(node, APART_MAX)]);
        steps.together(node, at(320));
        assert!(steps.apart(at(600)).is_empty());
        steps.gone(node);
        assert!(steps.apart(at(9999)).is_empty(), "that it is away is told elsewhere");
    }

    #[test]
    fn whoever_came_may_know_more_until_its_log_shows_here() {
        let (steps, node) = (Steps::default(), NodeId::from_bytes([1; 32]));
        let at = Millis::from_secs;
        assert!(!steps.may_know_more(&node, at(9)), "who is away is not waited for");
        steps.came(node, at(10));
        assert!(steps.may_know_more(&node, at(11)));
        steps.seen();
        assert!(steps.may_know_more(&node, at(12)), "nothing of its log was here");
        steps.together(node, at(13));
        assert!(steps.may_know_more(&node, at(13)), "the view is older");
        steps.seen();
        assert!(!steps.may_know_more(&node, at(14)));
        steps.together(node, at(44));
        assert!(!steps.may_know_more(&node, at(44)), "from then on it tells what is new");
        steps.came(node, at(50));
        assert!(steps.may_know_more(&node, at(50)), "it was away");
        assert!(!steps.may_know_more(&node, at(110)), "one log refuses what the other has");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_woken_once_it_shows_or_when_time_is_up() {
        let (steps, node) = (Steps::default(), NodeId::from_bytes([1; 32]));
        steps.came(node, Millis(0));
        assert!(steps.may_know_more(&node, Millis(1)));
        steps.together(node, Millis(2));
        steps.seen();
        let begun = tokio::time::Instant::now();
        steps.met().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        steps.came(node, Millis(3));
        assert!(steps.may_know_more(&node, Millis(3)));
        steps.met().await;
        assert_eq!(begun.elapsed(), Duration::from_mins(1));
    }
}
