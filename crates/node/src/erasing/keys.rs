//! Ending earlier keys of a bucket on this node.

use std::collections::BTreeMap;

use freehold_api::Problem;
use freehold_realm::Ended;
use freehold_seal::KeyOf;
use freehold_wire::{BucketId, OpId};

use super::has_ended;
use crate::control::sharing;
use crate::log::View;
use crate::problem::put_problem;
use crate::shared::Shared;

/// Destroys keys that are to end, and says which erasures are carried out with that. One that has to wait is
/// passed over: until this node has the key that stays, until what must be kept may go, or until somebody who has
/// the blobs has sealed anew what lives.
pub(super) async fn end(shared: &Shared, view: &View) -> Result<Vec<OpId>, Problem> {
    let mut due: BTreeMap<BucketId, Vec<Ended>> = BTreeMap::new();
    {
        let directory = shared.directory();
        for (bucket, ended) in view.state().ended() {
            if !has_ended(&directory, view, shared.me(), bucket, ended) {
                due.entry(bucket).or_default().push(*ended);
            }
        }
    }
    let mut done = Vec::new();
    for (bucket, all) in due {
        if end_in(shared, bucket, &all).await? {
            done.extend(all.iter().map(|ended| ended.erasure));
        }
    }
    Ok(done)
}

async fn end_in(shared: &Shared, bucket: BucketId, all: &[Ended]) -> Result<bool, Problem> {
    let Some(last) = all.last() else { return Ok(false) };
    let ring = shared.directory().ring(KeyOf::Bucket(bucket)).cloned();
    let Some(mut ring) = ring.filter(|ring| ring.sealing().next().is_some()) else {
        shared.end_keys(bucket, last.kept);
        return Ok(true);
    };
    ring.keep(last.kept);
    if !ring.has_ended() {
        tracing::info!(bucket = %bucket.short(), "keys end once the one is here that stays");
        return Ok(false);
    }
    let outlived = |ended: &Ended| {
        let Some(object) = ended.object else { return false };
        let is_meant = |name: &str| ring.mark(name).is_some_and(|mark| mark.digest == object);
        shared.vault.outlived(&bucket, ended.at, is_meant)
    };
    if all.iter().any(outlived) {
        tracing::warn!(bucket = %bucket.short(), "an object is not erased: it must be kept");
        return Ok(false);
    }
    shared.keyring.set(ring.clone());
    sharing::say_again(shared, &bucket).await;
    let ended = shared.vault.end_keys(&bucket).await;
    let ended = ended.map_err(|error| put_problem(&bucket.short(), "what earlier keys sealed", &error))?;
    tracing::info!(bucket = %bucket.short(), ?ended, "what earlier keys of a bucket sealed");
    if ended.left > 0 {
        return Ok(false);
    }
    shared.end_keys(bucket, last.kept);
    ring.forget_ending();
    shared.keyring.set(ring);
    Ok(true)
}
