//! Erasing a bucket, and telling how far that is.

use freehold_api::{Erasure, ErasurePlan, Problem, words};
use freehold_realm::Standing;
use freehold_realm::body::BucketErase;
use freehold_seal::DirectoryRow;
use freehold_wire::{BucketId, OpId};

use super::bucket;
use crate::clock;
use crate::erasing::receipt;
use crate::log::By;
use crate::scribe::Saying;
use crate::shared::Shared;

/// What erasing a bucket would come to.
pub(super) async fn plan(shared: &Shared, name: &str) -> Result<ErasurePlan, Problem> {
    let id = bucket::named(shared, name)?;
    check(shared, name, id).await?;
    let held = shared.vault.stats().get(&id).copied().unwrap_or_default();
    let view = shared.log.view();
    let active = view.state().nodes.iter().filter(|(_, node)| node.standing == Standing::Active);
    Ok(ErasurePlan {
        bucket: name.to_owned(),
        objects: held.objects,
        versions: held.versions,
        bytes: held.bytes,
        nodes: active.map(|(node, _)| shared.name_of(*node)).collect(),
    })
}

/// Whether a bucket may be erased by this machine's person.
async fn check(shared: &Shared, name: &str, id: BucketId) -> Result<(), Problem> {
    let what = || format!("the bucket {name} was not erased");
    if shared.keyring.current(&id).is_none() {
        return Err(Problem::refused(
            what(),
            "this node has not been given the bucket's key, so it cannot see whether something in it must be kept",
            Some("type it on a node that holds it: freehold node list"),
        ));
    }
    if let Some(replica) = shared.replica.get() {
        replica.listened(&id).await;
    }
    let kept = shared.vault.must_stay(&id, clock::wall());
    if kept > 0 {
        return Err(Problem::refused(
            what(),
            format!(
                "{} in it must be kept: under COMPLIANCE, or a legal hold",
                words::count(kept, "version")
            ),
            Some("wait until that time is over, or end the hold"),
        ));
    }
    shared.log.would_take(BucketErase { bucket: id }, By::Device).await
}

/// Erases a bucket with all that is in it.
pub(super) async fn erase(shared: &Shared, name: &str) -> Result<Erasure, Problem> {
    let id = bucket::named(shared, name)?;
    let turn = shared.buckets_turn.lock().await;
    // From here on nobody is told that something was written which then goes.
    let closed = shared.replica.get().map(|replica| replica.close(id));
    bucket::commits_are_through(shared).await?;
    check(shared, name, id).await?;
    let erasure = shared.log.say(BucketErase { bucket: id }, By::Device).await?;
    // The rest can be made good later, and a name of nothing does no harm.
    if let Err(problem) = shared.say(vec![Saying::Row(DirectoryRow::BucketName(id, None))]).await {
        tracing::warn!(%problem, "the name of an erased bucket was not taken back");
    }
    crate::steward::tidy_up(shared).await;
    drop((closed, turn));
    one(shared, &erasure.to_string()).await
}

/// The erasure whose id begins so.
pub(super) async fn one(shared: &Shared, typed: &str) -> Result<Erasure, Problem> {
    let all = receipt::all(shared).await?;
    let mut meant = all.into_iter().filter(|erasure| erasure.id.starts_with(typed));
    match (meant.next(), meant.next()) {
        (Some(one), None) => Ok(one),
        (found, _) => Err(Problem::not_found(
            "no receipt was made",
            format!(
                "{} an id that begins with {typed:?}",
                if found.is_some() { "several erasures have" } else { "no erasure has" }
            ),
            Some("freehold receipt list"),
        )),
    }
}

/// The receipt of the erasure whose id begins so.
pub(super) async fn receipt_of(shared: &Shared, typed: &str) -> Result<Vec<u8>, Problem> {
    let erasure = one(shared, typed).await?;
    let id: Result<OpId, _> = erasure.id.parse();
    let id = id.map_err(|_| Problem::bug("no receipt was made", "an id is odd", None::<&str>))?;
    receipt::make(shared, id).await
}
