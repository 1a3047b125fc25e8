//! What a node does once a bucket is erased: it forgets the bucket's keys, erases what they sealed and
//! the boxes that brought them, destroys the key that opened those boxes, and says so.

pub mod receipt;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use freehold_api::Problem;
use freehold_crypt::BoxPublic;
use freehold_disk::{OsEntropy, StoreError};
use freehold_seal::{DirectoryRow, Envelope, Erased, KeyOf, KeyRing, Recipient};
use freehold_wire::{BucketId, NodeId, OpId};

use crate::clock;
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
    let late = shared.take_unwanted();
    let erased: Vec<(BucketId, OpId)> = view.state().erased().collect();
    let mut due = unconfirmed(shared, &erased);
    due.retain(|(_, erasure)| view.was_here(me, *erasure));
    if due.is_empty() && late.is_empty() {
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
    if !due.is_empty() || late.values().any(|opens| *opens) {
        renew_box(shared).await?;
    }
    let at = clock::wall();
    let word = |(_, erasure): &(BucketId, OpId)| {
        let said = Erased::sign(shared.realm(), me, *erasure, at, &shared.keys.node);
        Saying::Row(DirectoryRow::Erased(said))
    };
    if due.is_empty() { Ok(()) } else { shared.say(due.iter().map(word).collect()).await }
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
    settle(shared, told)?;
    let public = draw_next_box(&shared.home).map_err(|e| identity_problem(&e))?.public();
    let rings: Vec<KeyRing> = shared.directory().rings().cloned().collect();
    let mut sayings = vec![Saying::Row(DirectoryRow::BoxKey(me, public))];
    for ring in &rings {
        for key in ring.iter() {
            let boxed = ring.envelope(key.version(), Recipient::Node(me), &public, &mut OsEntropy);
            let boxed = boxed.map_err(|error| {
                Problem::bug("this node's box key was not renewed", error.to_string(), None::<&str>)
            })?;
            sayings.push(Saying::Key(Box::new(boxed)));
        }
    }
    shared.say(sayings).await?;
    settle(shared, Some(public))
}

fn settle(shared: &Shared, told: Option<BoxPublic>) -> Result<(), Problem> {
    if let Some(secret) = settle_next_box(&shared.home, told).map_err(|e| identity_problem(&e))? {
        shared.set_box_secret(secret);
    }
    Ok(())
}
