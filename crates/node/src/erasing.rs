//! What a node does once a bucket is erased: it forgets the bucket's keys, erases what they sealed and
//! the boxes that brought them, destroys the key that opened those boxes, and says so.

pub mod receipt;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use freehold_api::Problem;
use freehold_crypt::BoxPublic;
use freehold_disk::{OsEntropy, StoreError};
use freehold_seal::{DirectoryRow, Envelope, Erased, KeyOf, KeyRing, Recipient};
use freehold_wire::{BucketId, NodeId, OpId};
use tokio::time::Instant;

use crate::clock;
use crate::directory::Unwanted;
use crate::identity::{draw_next_box, settle_next_box};
use crate::problem::{get_problem, identity_problem, store_problem};
use crate::scribe::Saying;
use crate::shared::Shared;

/// Carries out what the realm log says is erased and this node has not confirmed. Whoever calls it brings
/// the node in line, so that no key changes meanwhile.
///
/// # Errors
/// A [`Problem`]; what was done stays done, and the rest is done the next time.
pub(crate) async fn carry_out(shared: &Shared) -> Result<(), Problem> {
    let (view, me) = (shared.log.view(), shared.me());
    // Without the directory's key there is nothing yet that opens, and nothing can be said.
    if shared.directory().ring(KeyOf::Directory).is_none_or(|ring| ring.current().is_none()) {
        return Ok(());
    }
    let late = shared.directory().unwanted();
    let erased: Vec<(BucketId, OpId)> = view.state().erased().collect();
    let mut due = unconfirmed(shared, &erased);
    due.retain(|(_, erasure)| view.was_here(me, *erasure));
    let renews = !due.is_empty() || (late.opened > 0 && shared.renewals.may_again());
    if !renews && late.boxes == 0 {
        return Ok(());
    }
    for (bucket, _) in &due {
        shared.keyring.remove(bucket);
        let gone = shared.vault.erase_bucket(*bucket).await;
        let entries = gone.map_err(|error| get_problem(&bucket.short(), "what is to be erased", &error))?;
        tracing::info!(bucket = %bucket.short(), entries, "a bucket was erased");
    }
    erase_boxes(shared, erased.iter().map(|(bucket, _)| *bucket).collect()).await?;
    // The boxes live on in copies of this disk: they go with what opens them.
    if renews {
        renew_box(shared).await?;
        shared.renewals.note();
    }
    let at = clock::wall();
    let word = |(_, erasure): &(BucketId, OpId)| {
        let said = Erased::sign(shared.realm(), me, *erasure, at, &shared.keys.node);
        Saying::Row(DirectoryRow::Erased(said))
    };
    if !due.is_empty() {
        shared.say(due.iter().map(word).collect()).await?;
    }
    shared.settle_unwanted(Unwanted { opened: if renews { late.opened } else { 0 }, ..late });
    Ok(())
}

/// When this node's box key was renewed last, since it was started.
#[derive(Debug, Default)]
pub(crate) struct Renewals(Mutex<Option<Instant>>);

/// Boxes that come later have the key renewed so often at most: whoever can bring such must not keep every
/// node at it.
const RENEWAL_EVERY: Duration = Duration::from_hours(1);

impl Renewals {
    fn may_again(&self) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_none_or(|last| last.elapsed() >= RENEWAL_EVERY)
    }

    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

fn unconfirmed(shared: &Shared, erased: &[(BucketId, OpId)]) -> Vec<(BucketId, OpId)> {
    let (me, directory) = (shared.me(), shared.directory());
    let is_confirmed = |erasure| directory.erased_by(erasure).any(|said| said.node == me);
    erased.iter().filter(|(_, erasure)| !is_confirmed(*erasure)).copied().collect()
}

/// Erases the boxes with keys of these buckets.
async fn erase_boxes(shared: &Shared, erased: BTreeSet<BucketId>) -> Result<(), Problem> {
    let (entries, of) = (Arc::clone(&shared.entries), shared.directory_bucket());
    let work = move || -> Result<Vec<(NodeId, u64)>, StoreError> {
        let mut boxes = Vec::new();
        entries.scan_bucket(&of, |row| {
            let envelope = row.payload.as_deref().and_then(|payload| Envelope::decode(payload).ok());
            if envelope.is_some_and(|e| matches!(e.key_of, KeyOf::Bucket(of) if erased.contains(&of))) {
                boxes.push((row.origin, row.seq));
            }
            ControlFlow::Continue(())
        })?;
        let each = boxes.clone();
        entries.write(move |txn| {
            each.iter().try_for_each(|(origin, seq)| txn.erase_payload(&of, origin, *seq).map(drop))
        })?;
        Ok(boxes)
    };
    let stopping =
        |_| Problem::unreachable("nothing was erased yet", "the node is stopping", Some("freehold up"));
    let boxes = tokio::task::spawn_blocking(work).await.map_err(stopping)?.map_err(|e| store_problem(&e))?;
    if let Some(replica) = shared.replica.get() {
        for (origin, seq) in boxes {
            replica.erased(of, origin, seq);
        }
    }
    Ok(())
}

/// Gives this node another box key, with a box of every key that it holds; the one before is destroyed.
async fn renew_box(shared: &Shared) -> Result<(), Problem> {
    let me = shared.me();
    // One that was interrupted comes first.
    let told = shared.directory().box_key(me);
    while !settle(shared, &all_keys(shared), told)?.is_empty() {}
    let public = draw_next_box(&shared.home).map_err(|e| identity_problem(&e))?.public();
    let mut boxed = BTreeSet::new();
    let mut lacking: Vec<KeyRing> = shared.directory().rings().cloned().collect();
    // Last: from then on the key is in force, also after a crash.
    let mut row = Some(Saying::Row(DirectoryRow::BoxKey(me, public)));
    loop {
        let mut sayings = Vec::new();
        for ring in &lacking {
            for key in ring.iter().filter(|key| boxed.insert((ring.of(), key.version()))) {
                let one = ring.envelope(key.version(), Recipient::Node(me), &public, &mut OsEntropy);
                let one = one.map_err(|error| {
                    Problem::bug("this node's box key was not renewed", error.to_string(), None::<&str>)
                })?;
                sayings.push(Saying::Key(Box::new(one)));
            }
        }
        sayings.extend(row.take());
        shared.say(sayings).await?;
        // Keys may have come meanwhile, in boxes to the key that goes.
        lacking = settle(shared, &boxed, Some(public))?;
        if lacking.is_empty() {
            return Ok(());
        }
    }
}

fn all_keys(shared: &Shared) -> BTreeSet<(KeyOf, u32)> {
    let directory = shared.directory();
    directory.rings().flat_map(|ring| ring.iter().map(|key| (ring.of(), key.version()))).collect()
}

fn settle(
    shared: &Shared,
    boxed: &BTreeSet<(KeyOf, u32)>,
    told: Option<BoxPublic>,
) -> Result<Vec<KeyRing>, Problem> {
    let settle = || settle_next_box(&shared.home, told).map_err(|error| identity_problem(&error));
    shared.settle_box_secret(boxed, settle)
}
