//! Buckets are made and ended here, one at a time.

use freehold_api::{NewBucket, Problem, words};
use freehold_disk::OsEntropy;
use freehold_realm::body::{BucketDelete, BucketSet};
use freehold_seal::{DirectoryRow, Holder, HolderRow, Holders, KeyRing, Recipient, Right, Setting};
use freehold_vault::{GetError, ListQuery};
use freehold_wire::{Bounded, BucketId, KeyId, NodeId, to_canonical};

use super::realm::name_of;
use crate::log::{By, View};
use crate::naming;
use crate::people;
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
pub(crate) async fn create(shared: &Shared, wish: &NewBucket) -> Result<BucketId, Problem> {
    check_name(&wish.name)?;
    found(shared, wish).await
}

/// The same without a look at the name: what a plane keeps in a bucket is called as no bucket of
/// somebody's can be.
pub(crate) async fn found(shared: &Shared, wish: &NewBucket) -> Result<BucketId, Problem> {
    make(shared, wish, None).await
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

/// The bucket that somebody typed: a name that only one has, an id, or the start of an id.
pub(crate) fn named(shared: &Shared, typed: &str) -> Result<BucketId, Problem> {
    // One with a slash is another plane's.
    one_of(shared, typed, |name| !name.contains('/'))
}

/// The same, those of other planes too.
pub(crate) fn named_anywhere(shared: &Shared, typed: &str) -> Result<BucketId, Problem> {
    one_of(shared, typed, |_| true)
}

fn one_of(shared: &Shared, typed: &str, counts: impl Fn(&str) -> bool) -> Result<BucketId, Problem> {
    let all = shared.vault.buckets();
    let of = all.iter().map(|(id, info)| (id, info.name.as_str())).filter(|(_, name)| counts(name));
    naming::meant(of, typed).map_err(|several| match several.as_slice() {
        [] => no_bucket(typed),
        several => ambiguous(shared, typed, several),
    })
}

/// What a bucket is called here.
pub(crate) fn name_of_bucket(shared: &Shared, id: &BucketId) -> String {
    shared.vault.buckets().remove(id).map_or_else(|| id.short(), |info| info.name)
}

/// Nobody is to guess which of several buckets was meant: what tells them apart is shown.
fn ambiguous(shared: &Shared, typed: &str, several: &[BucketId]) -> Problem {
    let (view, all, stats) = (shared.log.view(), shared.vault.buckets(), shared.vault.stats());
    let line = |id: &BucketId| {
        let made =
            all.get(id).map_or_else(String::new, |info| format!(", made {}", words::date(info.created.0)));
        let by = view.state().buckets.get(id).map_or_else(String::new, |bucket| {
            format!(" by {}", who_signed(shared, &view, &bucket.created_by))
        });
        let objects = stats.get(id).map_or(0, |stats| stats.objects);
        format!("{}{made}{by}, with {}", naming::start_of(id, several), words::count(objects, "object"))
    };
    Problem::conflict(
        format!("several buckets may be meant by {typed}"),
        several.iter().map(line).collect::<Vec<_>>().join("; "),
        Some("type the id of the one that you mean instead of its name"),
    )
}

/// Whose key it is, in words: a person's, or a machine's.
pub(super) fn who_signed(shared: &Shared, view: &View, key: &KeyId) -> String {
    let on = view.devices.iter().find(|(_, device)| *device == key).map(|(node, _)| *node);
    let itself = view.state().nodes.iter().find(|(_, node)| node.key.id() == *key).map(|(id, _)| *id);
    let machine = on.or(itself).map(|node| shared.name_of(node));
    let person = view.state().device(key).map(|(person, _)| person);
    match (person.map(|person| people::name_of(shared, person)), machine) {
        (Some(person), Some(machine)) => format!("{person} on {machine}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => format!("somebody who has left ({})", key.short()),
    }
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
    let name = name_of_bucket(shared, &id);
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
