//! What the realm, its members, services and buckets may keep, and what they do keep: sealed bytes, counted
//! once for each copy that a bucket asks for, until they are erased. Each gateway goes by what it has heard:
//! of several that do not hear each other each may fill what was left.

mod ledger;
pub(crate) mod told;
mod whose;

use std::collections::BTreeMap;
use std::sync::Arc;

use freehold_api::{Problem, QuotaSetting, QuotaWhose, UsageStatus, words};
use freehold_realm::body::{QuotaOf, QuotaSet};
use freehold_wire::BucketId;

pub(crate) use self::ledger::{Ledger, Taken};
use self::whose::{Owners, meant};
use crate::control::name_of_bucket as bucket_name;
use crate::log::By;
use crate::replica::Report;
use crate::shared::Shared;

/// Buckets of databases are called so.
const DATABASE: &str = "kv/";
/// A database writes more than it is given.
const SPARE: u64 = 1 << 20;

/// Sealed bytes of a bucket, all copies together, with what is on its way.
fn kept(report: &Report, ledger: &Ledger, bucket: &BucketId) -> u64 {
    let copies = report.view.as_ref().and_then(|view| view.buckets.get(bucket)).map_or(0, |b| b.copies);
    let sealed = report.protection.get(bucket).map_or(0, |protection| protection.sealed);
    let counted = report.counted.get(bucket).copied().unwrap_or_default();
    sealed.saturating_add(ledger.coming(bucket, counted)).saturating_mul(copies.into())
}

fn used(owners: &Owners, report: &Report, ledger: &Ledger, of: QuotaOf) -> u64 {
    let buckets = report.view.iter().flat_map(|view| view.buckets.keys());
    let counts = buckets.filter(|bucket| owners.counts(bucket, of));
    counts.fold(0, |sum, bucket| sum.saturating_add(kept(report, ledger, bucket)))
}

/// Takes room for so many more sealed bytes in a bucket.
///
/// # Errors
/// Why there is none, in words.
pub(crate) fn room(shared: &Shared, bucket: &BucketId, bytes: u64) -> Result<Option<Taken>, String> {
    let view = shared.log.view();
    let quotas = &view.state().quotas;
    let (false, Some(replica)) = (quotas.is_empty(), shared.replica.get()) else { return Ok(None) };
    let owners = Owners::of(shared);
    let ledger = &replica.ledger;
    let _turn = ledger.turn();
    let report = replica.report();
    let copies = view.state().buckets.get(bucket).map_or(1, |bucket| u64::from(bucket.copies));
    let more = bytes.saturating_mul(copies);
    for (of, most) in quotas.iter().filter(|(of, _)| owners.counts(bucket, **of)) {
        let used = used(&owners, &report, ledger, *of);
        if used.saturating_add(more) > *most {
            return Err(format!(
                "the quota of {} is {}, and {} of it are used; what was deleted counts until it is erased, a day \
                 later",
                owners.said(shared, *of),
                words::bytes(*most),
                words::bytes(used)
            ));
        }
    }
    Ok(Some(ledger.take(*bucket, bytes)))
}

/// The same for an object. A database asks before it takes a write in, and what it has taken in must have
/// room.
///
/// # Errors
/// As [`room`].
pub(crate) fn room_for_object(
    shared: &Shared,
    bucket: &BucketId,
    bytes: u64,
) -> Result<Option<Taken>, String> {
    if shared.log.view().state().quotas.is_empty() || bucket_name(shared, bucket).starts_with(DATABASE) {
        return Ok(None);
    }
    room(shared, bucket, bytes)
}

/// Refuses what would not fit into a database, before anything is done.
///
/// # Errors
/// A [`Problem`] that says which quota is used up.
pub(crate) fn room_in_database(shared: &Shared, name: &str, bytes: u64) -> Result<(), Problem> {
    if bytes == 0 {
        return Ok(());
    }
    // The engine would wait for room, and nobody would be told why.
    if let Ok(Some(free)) = shared.depot.free()
        && free <= bytes.saturating_add(SPARE)
    {
        let what = format!("nothing was written to the database {name}");
        let why = format!("no space: beyond what the node keeps in reserve {} are free", words::bytes(free));
        return Err(Problem::refused(
            what,
            why,
            Some("free some space: freehold doctor    (shows the room left)"),
        ));
    }
    if shared.log.view().state().quotas.is_empty() {
        return Ok(());
    }
    let Some((bucket, _)) = shared.vault.bucket_named(&format!("{DATABASE}{name}")) else { return Ok(()) };
    let full = |why| {
        let what = format!("nothing was written to the database {name}");
        Problem::refused(what, why, Some("freehold usage    (deleting is possible still)"))
    };
    room(shared, &bucket, bytes).map(drop).map_err(full)
}

/// What a database keeps, all copies together.
pub(crate) fn kept_in_database(shared: &Shared, name: &str) -> u64 {
    let found = shared.vault.bucket_named(&format!("{DATABASE}{name}"));
    let report = shared.replica.get().map(crate::replica::Replica::report);
    let sealed = found.zip(report).and_then(|((bucket, _), report)| report.protection.get(&bucket).copied());
    sealed.map_or(0, |protection| protection.sealed)
}

/// What the realm keeps, its members and services that have a bucket or a quota, and each bucket.
pub(crate) fn usage(shared: &Shared) -> Vec<UsageStatus> {
    let view = shared.log.view();
    let Some(replica) = shared.replica.get() else { return Vec::new() };
    let (report, owners) = (replica.report(), Owners::of(shared));
    let mut all: BTreeMap<QuotaOf, Option<u64>> = BTreeMap::from([(QuotaOf::Realm, None)]);
    let live: Vec<BucketId> = view.state().live_buckets().map(|(id, _)| *id).collect();
    all.extend(live.iter().filter_map(|id| owners.person_of(id)).map(|id| (QuotaOf::Person(id), None)));
    all.extend(owners.services().map(|id| (QuotaOf::Service(id), None)));
    let records: Vec<BucketId> = crate::people::records(shared).into_iter().map(|(_, id)| id).collect();
    all.extend(live.iter().filter(|id| !records.contains(id)).map(|id| (QuotaOf::Bucket(*id), None)));
    let ended = |of: &QuotaOf| matches!(of, QuotaOf::Bucket(id) if !live.contains(id));
    let bounds = view.state().quotas.iter().filter(|(of, _)| !ended(of));
    all.extend(bounds.map(|(of, bytes)| (*of, Some(*bytes))));
    let row = |(of, limit): (QuotaOf, Option<u64>)| UsageStatus {
        of: owners.whose(shared, of),
        name: owners.name_of(shared, of),
        id: whose::id_of(of),
        limit,
        used: used(&owners, &report, &replica.ledger, of),
    };
    all.into_iter().map(row).chain(owners.unbounded(shared, &report, &replica.ledger)).collect()
}

/// Sets or lifts a quota.
pub(crate) async fn set(shared: &Arc<Shared>, wish: QuotaSetting) -> Result<(), Problem> {
    let set = |of| QuotaSet { of, bytes: wish.bytes };
    if let QuotaWhose::Service(_) = wish.of {
        // Whoever may not say it leaves no name of a service behind.
        shared.log.would_take(set(QuotaOf::Realm), By::Device).await?;
    }
    let of = meant(shared, &wish.of).await?;
    shared.log.say(set(of), By::Device).await.map(drop)
}
