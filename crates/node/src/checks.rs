//! Everything that lies on this node is read from time to time and mended, one bucket after the other.

use std::sync::Arc;

use freehold_placement::Looked;
use freehold_wire::{BucketId, Millis, NodeId};

use crate::clock;
use crate::shared::Shared;
use crate::supervisor::Plane;

/// How many days a bucket is left alone between two looks.
const DAYS: u64 = 7;
/// The same where each byte that is read crosses a network, and may be paid for.
const DAYS_REMOTE: u64 = 28;
/// A copy that nobody has read for so many days is an alarm.
const DAYS_MAX: u64 = 45;
/// A machine that has only just come gets to it in this time.
pub(crate) const FIRST_WITHIN: Millis = Millis::from_hours(7 * 24);

fn days(days: u64) -> Millis {
    Millis(clock::day().0.saturating_mul(days))
}

/// Whether a bucket is to be read here: nothing was for long, or what lies here is old and never was.
fn is_due(looked: &Looked, me: &NodeId, now: Millis, every: Millis) -> bool {
    let last = looked.at.get(me).or_else(|| looked.never.get(me));
    last.is_some_and(|last| now.since(*last) >= every)
}

/// How long the copy has gone unread that was read longest ago, if that is too long. Who `is_new`
/// may not have come to it yet.
pub(crate) fn too_old(looked: &Looked, now: Millis, is_new: impl Fn(&NodeId) -> bool) -> Option<Millis> {
    let never = looked.never.iter().filter(|(node, _)| !is_new(node)).map(|(_, at)| at);
    let oldest = looked.at.values().chain(never).min()?;
    let age = now.since(*oldest);
    (age >= days(DAYS_MAX)).then_some(age)
}

/// Reads what was not read for long, until it is told to stop.
pub(crate) async fn run(shared: Arc<Shared>, plane: Plane) {
    let hour = std::time::Duration::from_millis(clock::day().0 / 24);
    let mut every = tokio::time::interval_at(tokio::time::Instant::now() + hour, hour);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = plane.cancel().cancelled() => return,
            _ = every.tick() => {}
        }
        tokio::select! {
            biased;
            () = plane.cancel().cancelled() => return,
            () = look(&shared) => {}
        }
    }
}

async fn look(shared: &Arc<Shared>) {
    let Some(replica) = shared.replica.get() else { return };
    let every = days(if shared.depot.is_remote() { DAYS_REMOTE } else { DAYS });
    let due = replica.report().looked.clone().into_iter();
    let due: Vec<BucketId> = due
        .filter(|(_, looked)| is_due(looked, &shared.me(), clock::wall(), every))
        .map(|(bucket, _)| bucket)
        .collect();
    for bucket in due {
        let began = clock::wall();
        match shared.vault.scrub(&bucket).await {
            Ok(report) => {
                shared.note_damage(bucket, &report);
                replica.looked(bucket, began).await;
            }
            Err(error) => tracing::warn!(%error, bucket = %bucket.short(), "a bucket could not be checked"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: NodeId = NodeId::from_bytes([1; 32]);
    const OTHER: NodeId = NodeId::from_bytes([2; 32]);

    fn looked(at: &[(NodeId, u64)], never: &[(NodeId, u64)]) -> Looked {
        let days = |rows: &[(NodeId, u64)]| rows.iter().map(|(node, day)| (*node, days(*day))).collect();
        Looked { at: days(at), never: days(never) }
    }

    #[test]
    fn a_bucket_is_read_a_week_after_it_was_read_or_written() {
        let due = |looked: &Looked, day| is_due(looked, &ME, days(day), days(DAYS));
        assert!(!due(&looked(&[(OTHER, 1)], &[]), 50), "nothing of it lies here");
        assert!(!due(&looked(&[(ME, 10)], &[]), 16));
        assert!(due(&looked(&[(ME, 10)], &[(OTHER, 16)]), 17));
        assert!(!due(&looked(&[], &[(ME, 10)]), 16));
        assert!(due(&looked(&[], &[(ME, 10)]), 17));
    }

    #[test]
    fn the_copy_that_was_read_longest_ago_is_the_alarm() {
        let age = |looked: &Looked, day| too_old(looked, days(day), |node| *node == OTHER);
        assert_eq!(age(&looked(&[(ME, 10), (OTHER, 20)], &[]), 54), None);
        assert_eq!(age(&looked(&[(ME, 10), (OTHER, 20)], &[]), 55), Some(days(45)));
        assert_eq!(age(&looked(&[(ME, 40)], &[(OTHER, 1)]), 60), None, "it has only just come");
        assert_eq!(age(&looked(&[(OTHER, 40)], &[(ME, 1)]), 60), Some(days(59)));
        assert_eq!(age(&looked(&[], &[]), 60), None);
    }
}
