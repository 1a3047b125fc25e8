//! Erasing a bucket, and telling how far that is.

use freehold_api::{Erasure, ErasurePlan, ObjectErasurePlan, ObjectToErase, Problem, words};
use freehold_realm::Standing;
use freehold_realm::body::{BucketErase, KeysErase};
use freehold_seal::{BucketKey, DirectoryRow, KeyOf, KeyRing};
use freehold_vault::PutError;
use freehold_wire::{BucketId, OpId};

use super::bucket;
use crate::clock;
use crate::erasing::{self, receipt};
use crate::log::By;
use crate::problem::put_problem;
use crate::scribe::Saying;
use crate::shared::Shared;

/// What erasing a bucket would come to.
pub(super) async fn plan(shared: &Shared, typed: &str) -> Result<ErasurePlan, Problem> {
    let id = bucket::named(shared, typed)?;
    let name = &bucket::name_of_bucket(shared, &id);
    check(shared, name, id).await?;
    let held = shared.vault.stats().get(&id).copied().unwrap_or_default();
    let view = shared.log.view();
    let active = view.state().nodes.iter().filter(|(_, node)| node.standing == Standing::Active);
    Ok(ErasurePlan {
        bucket: name.clone(),
        id: id.to_string(),
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
pub(super) async fn erase(shared: &Shared, typed: &str) -> Result<Erasure, Problem> {
    let id = bucket::named(shared, typed)?;
    let name = &bucket::name_of_bucket(shared, &id);
    let turn = shared.buckets_turn.lock().await;
    // From here on nobody is told that something was written which then goes.
    let closed = shared.replica.get().map(|replica| replica.close(id));
    bucket::commits_are_through(shared).await?;
    check(shared, name, id).await?;
    let erasure = shared.log.say(BucketErase { bucket: id }, By::Device).await?;
    // What others have locked meanwhile they keep.
    erasing::begin(shared, vec![erasure]).await?;
    // The rest can be made good later, and a name of nothing does no harm.
    if let Err(problem) = shared.say(vec![Saying::Row(DirectoryRow::BucketName(id, None))]).await {
        tracing::warn!(%problem, "the name of an erased bucket was not taken back");
    }
    crate::steward::tidy_up(shared).await;
    drop((closed, turn));
    one(shared, &erasure.to_string()).await
}

/// What erasing an object would come to.
pub(super) async fn plan_object(
    shared: &Shared,
    typed: &str,
    wish: &ObjectToErase,
) -> Result<ObjectErasurePlan, Problem> {
    let id = bucket::named(shared, typed)?;
    let name = &bucket::name_of_bucket(shared, &id);
    let ring = check_object(shared, name, id, wish).await?;
    let (versions, bytes) = to_delete(shared, name, id, wish)?;
    let mark = ring.mark(&wish.key).ok_or_else(|| lacks_key(&wish.key))?;
    let view = shared.log.view();
    let active = view.state().nodes.iter().filter(|(_, node)| node.standing == Standing::Active);
    Ok(ObjectErasurePlan {
        bucket: name.clone(),
        bucket_id: id.to_string(),
        key: wish.key.clone(),
        versions,
        bytes,
        renewed: shared.vault.stats().get(&id).copied().unwrap_or_default().versions.saturating_sub(versions),
        digest: mark.digest.to_string(),
        salt: mark.salt.to_string(),
        nodes: active.map(|(node, _)| shared.name_of(*node)).collect(),
    })
}

fn to_delete(shared: &Shared, name: &str, id: BucketId, wish: &ObjectToErase) -> Result<(u64, u64), Problem> {
    let ObjectToErase { key, bypass_governance } = wish;
    if !shared.vault.knows(&id, key) {
        return Err(Problem::not_found(
            format!("{key} was not erased"),
            format!("no object of that name is or was in {name}, as far as this node knows"),
            None::<&str>,
        ));
    }
    shared.vault.to_delete(&id, key, *bypass_governance).map_err(|error| match error {
        PutError::Locked(locked) => {
            Problem::refused(format!("{key} was not erased"), locked.to_string(), None::<&str>)
        }
        error => put_problem(name, key, &error),
    })
}

fn lacks_key(key: &str) -> Problem {
    Problem::refused(
        format!("{key} was not erased"),
        "this node has not been given the bucket's key",
        Some("type it on a node that holds it: freehold node list"),
    )
}

/// Whether this machine's person may have an object of a bucket erased.
async fn check_object(
    shared: &Shared,
    name: &str,
    id: BucketId,
    wish: &ObjectToErase,
) -> Result<KeyRing, Problem> {
    let what = || format!("{} was not erased", wish.key);
    let ring = shared.directory().ring(KeyOf::Bucket(id)).cloned();
    let ring = ring.filter(|ring| ring.current().is_some()).ok_or_else(|| lacks_key(&wish.key))?;
    if ring.is_private() {
        return Err(Problem::refused(
            what(),
            format!(
                "{name} is private: who holds its keys is said in it alone, sealed with those that would end"
            ),
            Some(format!("freehold bucket erase {}    (the whole of it)", words::typed(name))),
        ));
    }
    if let Some(replica) = shared.replica.get() {
        replica.listened(&id).await;
    }
    let next = ring.current().map_or(0, BucketKey::generation).saturating_add(1) << 16;
    shared
        .log
        .would_take(KeysErase { bucket: id, kept: next, object: None, deleted: None }, By::Device)
        .await?;
    Ok(ring)
}

/// Erases an object: deletes all its versions, and ends every key that opens them.
pub(super) async fn erase_object(
    shared: &Shared,
    typed: &str,
    wish: &ObjectToErase,
) -> Result<Erasure, Problem> {
    let id = bucket::named(shared, typed)?;
    let name = &bucket::name_of_bucket(shared, &id);
    let turn = shared.buckets_turn.lock().await;
    check_object(shared, name, id, wish).await?;
    to_delete(shared, name, id, wish)?;
    let deleted = shared.vault.delete_all(&id, &wish.key, wish.bypass_governance).await;
    deleted.map_err(|error| put_problem(name, &wish.key, &error))?;
    let deleted = Some(shared.vault.clock());
    // Deleted it is; if the rest fails, typing it again does it.
    crate::steward::rotate(shared, KeyOf::Bucket(id)).await?;
    let ring = shared.directory().ring(KeyOf::Bucket(id)).cloned();
    let stays = ring.as_ref().and_then(|ring| Some((ring.current()?.version(), ring.mark(&wish.key)?)));
    let (kept, mark) = stays.ok_or_else(|| lacks_key(&wish.key))?;
    let ends = KeysErase { bucket: id, kept, object: Some(mark.digest), deleted };
    let erasure = shared.log.say(ends, By::Device).await?;
    crate::steward::tidy_up(shared).await;
    drop(turn);
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
