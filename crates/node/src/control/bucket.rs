//! Buckets are made and ended here, one at a time.

use freehold_api::{NewBucket, Problem, words};
use freehold_disk::OsEntropy;
use freehold_realm::body::{BucketDelete, BucketSet};
use freehold_seal::{DirectoryRow, Holder, HolderRow, Holders, KeyRing, Recipient, Right, Setting};
use freehold_vault::{GetError, ListQuery};
use freehold_wire::{Bounded, BucketId, NodeId, to_canonical};

use super::realm::name_of;
use crate::log::By;
use crate::problem::{get_problem, no_bucket, put_problem, store_problem};
use crate::scribe::Saying;
use crate::shared::Shared;

/// S3's rules for bucket names, which every client knows.
pub(crate) fn is_bucket_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.chars().all(|c| letter(c) || c == '-' || c == '.')
        && name.starts_with(letter)
        && name.ends_with(letter)
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err()
}

fn check_name(name: &str) -> Result<(), Problem> {
    if is_bucket_name(name) {
        return Ok(());
    }
    Err(Problem::invalid(
        format!("{name:?} cannot be the name of a bucket"),
        "a name has 3 to 63 lower-case letters, digits, hyphens and dots, and begins and ends with a letter or digit",
        Some("choose another name, such as my-photos"),
    ))
}

/// Makes a bucket: its key first, then the operation, then its name.
pub(crate) async fn create(shared: &Shared, wish: &NewBucket) -> Result<(), Problem> {
    check_name(&wish.name)?;
    found(shared, wish).await
}

/// The same without a look at the name: what a plane keeps in a bucket is called as no bucket of
/// somebody's can be.
pub(crate) async fn found(shared: &Shared, wish: &NewBucket) -> Result<(), Problem> {
    make(shared, wish, None).await.map(drop)
}

/// Makes a bucket whose key only those get that are named: nobody else learns its name either.
pub(super) async fn found_private(
    shared: &Shared,
    wish: &NewBucket,
    only_for: &[NodeId],
) -> Result<BucketId, Problem> {
    check_name(&wish.name)?;
    let id = make(shared, wish, Some(only_for)).await?;
    let row = |node: &NodeId| HolderRow {
        holder: Holder::Node(*node),
        turn: 1,
        right: Right::Writes,
        last: Bounded::new(),
    };
    let holders: Holders = Bounded::fill(&mut only_for.iter().map(row));
    for (setting, document) in
        [(Setting::Holders, to_canonical(&holders)), (Setting::Name, wish.name.clone().into_bytes())]
    {
        let set = shared.vault.set(&id, setting, Some(document)).await;
        set.map_err(|error| put_problem(&wish.name, "its settings", &error))?;
    }
    crate::steward::tidy_up(shared).await;
    Ok(id)
}

async fn make(shared: &Shared, wish: &NewBucket, only_for: Option<&[NodeId]>) -> Result<BucketId, Problem> {
    let numbers = (u8::try_from(wish.copies), u8::try_from(wish.confirm));
    let (Ok(copies @ 1..), Ok(confirm @ 1..)) = numbers else { return Err(bad_copies(wish)) };
    if confirm > copies {
        return Err(bad_copies(wish));
    }
    let rules = super::places::rules_of(&wish.rules, copies)?;
    super::places::somebody_may_hold(shared.log.view().state(), &rules)?;
    let _turn = shared.buckets_turn.lock().await;
    if shared.vault.bucket_named(&wish.name).is_some() {
        return Err(Problem::conflict(
            format!("there is a bucket {} already", wish.name),
            "bucket names are unique in a realm",
            Some("freehold bucket list"),
        ));
    }
    let (bucket, ring) = match only_for {
        None => KeyRing::found_bucket(shared.realm(), &mut OsEntropy),
        Some(_) => KeyRing::found_private(shared.realm(), &mut OsEntropy),
    };
    let set = BucketSet { bucket, copies, confirm, rules: rules.said() };
    // A bucket that the realm does not take leaves nothing in the directory.
    shared.log.would_take(set.clone(), by(shared)).await?;
    if only_for.is_none() && !shared.is_keeper() {
        return Err(Problem::refused(
            "no bucket was made",
            "this node does not hold the realm's secrets, so nobody would believe its name or get its key",
            Some("make it on a node with the role secrets: freehold node list"),
        ));
    }
    let mut sayings = match only_for {
        None => vec![Saying::Row(DirectoryRow::BucketName(bucket, Some(name_of(&wish.name)?)))],
        Some(_) => Vec::new(),
    };
    // The node's box key must not change between the box and its entry.
    let same_key = shared.tidying.lock().await;
    for key in ring.iter() {
        let to = Recipient::Node(shared.me());
        let mine = ring.envelope(key.version(), to, &shared.box_public(), &mut OsEntropy);
        let mine =
            mine.map_err(|e| Problem::bug("the bucket's key was not kept", e.to_string(), None::<&str>))?;
        sayings.push(Saying::Key(Box::new(mine)));
    }
    // The key is durable before anything can be sealed with it.
    shared.say(sayings).await?;
    drop(same_key);
    if let Err(problem) = shared.log.say(set, by(shared)).await {
        if only_for.is_none() {
            drop(shared.say(vec![Saying::Row(DirectoryRow::BucketName(bucket, None))]).await);
        }
        return Err(problem);
    }
    crate::steward::tidy_up(shared).await;
    Ok(bucket)
}

pub(super) fn by(shared: &Shared) -> By {
    if shared.keys.device.is_some() { By::Device } else { By::Node }
}

fn bad_copies(wish: &NewBucket) -> Problem {
    Problem::invalid(
        "no bucket was made",
        format!(
            "{} with {} confirmed before a write counts: that makes no sense",
            words::count(wish.copies.into(), "copy"),
            wish.confirm
        ),
        Some("freehold bucket create NAME --copies 2 --confirm 1"),
    )
}

/// The bucket of that name.
pub(super) fn named(shared: &Shared, name: &str) -> Result<BucketId, Problem> {
    // One with a slash is another plane's.
    let named = shared.vault.bucket_named(name).filter(|_| !name.contains('/'));
    named.map(|(id, _)| id).ok_or_else(|| no_bucket(name))
}

/// Ends a bucket, which must be empty: nothing brings back what is in it.
pub(crate) async fn end(shared: &Shared, id: BucketId) -> Result<(), Problem> {
    let _turn = shared.buckets_turn.lock().await;
    // From here on nobody is told that something was written which then goes.
    let _closed = shared.replica.get().map(|replica| replica.close(id));
    commits_are_through(shared).await?;
    must_be_empty(shared, id).await?;
    shared.log.say(BucketDelete { bucket: id }, by(shared)).await?;
    // The rest can be made good later, and a name of nothing does no harm.
    let said = shared.say(vec![Saying::Row(DirectoryRow::BucketName(id, None))]).await;
    crate::steward::tidy_up(shared).await;
    said
}

/// Waits until every write that was under way is visible.
pub(super) async fn commits_are_through(shared: &Shared) -> Result<(), Problem> {
    let (tell, told) = tokio::sync::oneshot::channel();
    shared.entries.submit(|_| Ok(()), move |through| drop(tell.send(through)));
    let stopping =
        || Problem::unreachable("the bucket was not deleted", "the node is stopping", Some("freehold up"));
    told.await.map_err(|_| stopping())?.map_err(|error| store_problem(&error))
}

/// Whether a bucket holds nothing, as far as anybody who can be asked knows.
pub(super) async fn must_be_empty(shared: &Shared, id: BucketId) -> Result<(), Problem> {
    let name = shared.vault.buckets().remove(&id).map_or_else(|| id.short(), |info| info.name);
    let what = || format!("the bucket {name} was not deleted");
    let unreadable = |error| match error {
        GetError::NoBucketKey => Problem::refused(
            what(),
            "this node has not been given the bucket's key, so it cannot see whether something is in it",
            Some("delete it on a node with the role secrets: freehold node list"),
        ),
        error => get_problem(&name, "the list", &error),
    };
    shared.vault.list(&id, &ListQuery { max: 1, ..ListQuery::default() }).map_err(unreadable)?;
    let held = shared.vault.stats().get(&id).copied().unwrap_or_default();
    if held.versions > 0 {
        let held = match held.objects {
            0 => format!("{} of deleted objects", words::count(held.versions, "version")),
            objects => words::count(objects, "object"),
        };
        return Err(Problem::conflict(
            what(),
            format!("it holds {held}"),
            Some("delete what is in it first"),
        ));
    }
    if let Some(replica) = shared.replica.get() {
        replica.listened(&id).await;
    }
    if let Some(replica) = shared.replica.get()
        && !replica.in_step(id).await
    {
        return Err(Problem::unreachable(
            what(),
            "this node has not heard from the others yet what they wrote into it",
            Some("bring another node online, and wait until this one has caught up: freehold status"),
        ));
    }
    Ok(())
}
