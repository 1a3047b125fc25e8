//! Erasing a person.

use std::collections::BTreeSet;

use freehold_access::{Account, Principal};
use freehold_api::{BucketOfPerson, Erasure, PersonErasurePlan, PersonToErase, Problem, words};
use freehold_realm::body::{Cuts, MemberRemove, PERSON_BUCKETS_MAX, PersonErase, PhoneEnd};
use freehold_realm::{MemberRoles, Standing};
use freehold_seal::{DirectoryRow, Holder};
use freehold_wire::{Bounded, BucketId, PersonId, PhoneId};

use super::{nodes_of, others, owner};
use crate::clock;
use crate::control::{bucket, erasures, sharing};
use crate::entitled::holders;
use crate::log::{By, View};
use crate::naming;
use crate::people;
use crate::scribe::Saying;
use crate::shared::Shared;
use crate::{erasing, steward};

/// What goes, and what is said of it.
struct Found {
    person: PersonId,
    plan: PersonErasurePlan,
    buckets: BTreeSet<BucketId>,
    /// Buckets of others whose keys they share, with their names.
    shares: Vec<(BucketId, String)>,
    phones: Vec<PhoneId>,
    rows: Vec<DirectoryRow>,
}

pub(super) async fn plan(
    shared: &Shared,
    typed: &str,
    wish: &PersonToErase,
) -> Result<PersonErasurePlan, Problem> {
    find(shared, typed, wish).await.map(|found| found.plan)
}

pub(super) async fn erase(shared: &Shared, typed: &str, wish: &PersonToErase) -> Result<Erasure, Problem> {
    let turn = shared.buckets_turn.lock().await;
    let Found { person, buckets, .. } = meant_still(find(shared, typed, wish).await?)?;
    // From here on nobody is told that something was written which then goes.
    let closed: Vec<_> = buckets.iter().filter_map(|id| Some(shared.replica.get()?.close(*id))).collect();
    bucket::commits_are_through(shared).await?;
    let id = person.to_string();
    let found = meant_still(find(shared, &id, wish).await?)?;
    let names = Bounded::from_vec(found.buckets.iter().copied().collect());
    let names: Bounded<BucketId, PERSON_BUCKETS_MAX> = names.map_err(|_| too_many(&found.plan.name))?;
    if found.plan.member {
        // With an empty list counts what this machine has heard of.
        shared.log.say(MemberRemove { person, last: Cuts::new() }, By::Device).await?;
    }
    for phone in found.phones {
        shared.log.say(PhoneEnd { phone }, By::Device).await?;
    }
    let erasure = shared.log.say(PersonErase { person, buckets: names }, By::Device).await?;
    // What others have locked meanwhile they keep.
    erasing::begin(shared, vec![erasure]).await?;
    // The rest can be made good later: typing it again does it.
    let rows: Vec<Saying> = found.rows.into_iter().map(Saying::Row).collect();
    if !rows.is_empty()
        && let Err(problem) = shared.say(rows).await
    {
        tracing::warn!(%problem, "names that an erased person chose were not taken back");
    }
    for (bucket, name) in &found.shares {
        if let Err(problem) = sharing::unshare(shared, &bucket.to_string(), &id).await {
            tracing::warn!(%problem, bucket = name, "a bucket is still shared with an erased person");
        }
    }
    steward::tidy_up(shared).await;
    drop((closed, turn));
    erasures::one(shared, &erasure.to_string()).await
}

fn meant_still(found: Found) -> Result<Found, Problem> {
    if found.plan.refused.is_empty() {
        return Ok(found);
    }
    Err(Problem::refused(
        format!("{} was not erased", found.plan.name),
        found.plan.refused.join("; "),
        Some(format!(
            "freehold person erase {} --dry-run    (all that would go)",
            words::typed(&found.plan.name)
        )),
    ))
}

fn too_many(name: &str) -> Problem {
    Problem::refused(
        format!("{name} was not erased"),
        format!("more than {PERSON_BUCKETS_MAX} buckets are theirs"),
        Some("erase some of them first: freehold bucket erase BUCKET"),
    )
}

/// A member, or somebody who was one: of whom something is left, or what came to light later goes as well.
fn named(shared: &Shared, view: &View, typed: &str) -> Result<PersonId, Problem> {
    let erased = view.state().erased_persons.values().copied();
    if let Some(again) = typed.parse().ok().and_then(|id| erased.clone().find(|erased| *erased == id)) {
        return Ok(again);
    }
    let left = people::records(shared).into_iter().map(|(person, _)| person);
    let all: BTreeSet<PersonId> = view.state().persons.keys().copied().chain(left).collect();
    people::meant(shared, all, typed, "nobody was erased")
}

async fn find(shared: &Shared, typed: &str, wish: &PersonToErase) -> Result<Found, Problem> {
    let view = shared.log.view();
    let person = named(shared, &view, typed)?;
    let id = person.to_string();
    let owned = owned(shared, &view, person).await;
    let (mut refused, mut erased, mut stays) = (Vec::new(), Vec::new(), Vec::new());
    let mut buckets: BTreeSet<BucketId> =
        people::records(shared).into_iter().filter(|(of, _)| *of == person).map(|(_, id)| id).collect();
    let mut rows: Vec<DirectoryRow> = buckets.iter().map(|id| DirectoryRow::BucketName(*id, None)).collect();
    let also = also_shared(&owned, &wish.also_shared, &mut refused);
    for (bucket, name) in owned {
        let said = look(shared, &view, person, bucket, name).await;
        if !said.shared_by.is_empty() && !also.contains(&bucket) {
            stays.push(said);
            continue;
        }
        if said.kept > 0 {
            refused.push(format!(
                "{} in {} must be kept: under COMPLIANCE, or a legal hold",
                words::count(said.kept, "version"),
                said.name
            ));
        }
        rows.push(DirectoryRow::BucketName(bucket, None));
        buckets.insert(bucket);
        erased.push(said);
    }
    let mut names: Vec<String> = erased.iter().map(|bucket| bucket.name.clone()).collect();
    for (row, name) in others(shared, &view, person) {
        rows.push(row);
        names.push(name);
    }
    let nodes = nodes_of(shared, &view, person);
    refused.extend(why_not(shared, &view, person, &nodes).await);
    let shares = shares(shared, &view, person, &buckets);
    let phones =
        view.state().phones.iter().filter(|(_, phone)| phone.person == person && phone.ended.is_none());
    let phones: Vec<PhoneId> = phones.map(|(id, _)| *id).collect();
    let active = view.state().nodes.iter().filter(|(_, node)| node.standing == Standing::Active);
    let theirs = |who: &Principal| who.account() == Some(Account::Person(person));
    let plan = PersonErasurePlan {
        name: people::name_of(shared, person),
        member: view.state().persons.contains_key(&person),
        id,
        erased,
        stays,
        keys: shared.access_keys.ids_of(theirs),
        shares: shares.iter().map(|(_, name)| name.clone()).collect(),
        phones: phones.iter().map(ToString::to_string).collect(),
        names,
        nodes,
        carried_out_by: active.map(|(node, _)| shared.name_of(*node)).collect(),
        refused,
    };
    Ok(Found { person, plan, buckets, shares, phones, rows })
}

/// Those of their buckets that were named, though others may use them.
fn also_shared(
    owned: &[(BucketId, String)],
    typed: &[String],
    refused: &mut Vec<String>,
) -> BTreeSet<BucketId> {
    let meant = |typed: &String| naming::meant(owned.iter().map(|(id, name)| (id, name.as_str())), typed);
    let mut also = BTreeSet::new();
    for typed in typed {
        match meant(typed) {
            Ok(id) => drop(also.insert(id)),
            Err(several) if several.is_empty() => {
                refused.push(format!("{typed} is no bucket of theirs that this node can read"));
            }
            Err(several) => {
                let ids: Vec<String> = several.iter().map(|id| naming::start_of(id, &several)).collect();
                refused.push(format!(
                    "several buckets are called {typed}, name one by its id: {}",
                    ids.join(", ")
                ));
            }
        }
    }
    also
}

/// The buckets that they own, as far as this node can read it; those that were deleted as well: their keys are
/// still there.
async fn owned(shared: &Shared, view: &View, person: PersonId) -> Vec<(BucketId, String)> {
    let live = shared.vault.buckets();
    let theirs = view.state().buckets.iter().filter(|(_, bucket)| bucket.erased.is_none());
    let theirs = theirs.map(|(id, _)| *id).filter(|id| owner(shared, id) == Some(person));
    let mut all = Vec::new();
    for id in theirs {
        let name = match (live.get(&id), shared.replica.get()) {
            (Some(info), Some(replica)) => {
                replica.listened(&id).await;
                info.name.clone()
            }
            (Some(info), None) => info.name.clone(),
            (None, _) => format!("{} (deleted)", id.short()),
        };
        all.push((id, name));
    }
    all
}

async fn look(shared: &Shared, view: &View, person: PersonId, id: BucketId, name: String) -> BucketOfPerson {
    let held = shared.vault.stats().get(&id).copied().unwrap_or_default();
    BucketOfPerson {
        name,
        id: id.to_string(),
        objects: held.objects,
        bytes: held.bytes,
        kept: shared.vault.must_stay(&id, clock::wall()),
        shared_by: others::ways(shared, view, person, id).await,
    }
}

/// Rows of the directory that tell of services and machines of theirs, each with the name in it.
fn others(shared: &Shared, view: &View, person: PersonId) -> Vec<(DirectoryRow, String)> {
    let directory = shared.directory();
    let mut rows = Vec::new();
    for (id, name) in directory.services() {
        if name.parse::<Principal>().is_ok_and(|who| who.account() == Some(Account::Person(person))) {
            rows.push((DirectoryRow::ServiceName(id, None), name.to_owned()));
        }
    }
    let left = view
        .owners
        .iter()
        .filter(|(node, owner)| **owner == person && !view.state().nodes.contains_key(*node));
    for (node, _) in left {
        if let Some(name) = directory.node_name(*node) {
            rows.push((DirectoryRow::NodeName(*node, None), name.to_owned()));
        }
    }
    rows
}

/// Buckets that stay whose keys they share.
fn shares(
    shared: &Shared,
    view: &View,
    person: PersonId,
    gone: &BTreeSet<BucketId>,
) -> Vec<(BucketId, String)> {
    let all = shared.vault.buckets().into_iter().filter(|(id, _)| !gone.contains(id));
    let shared_with = all.filter(|(id, _)| {
        let held = holders(shared, view, id, shared.keyring.is_private(id));
        held.holders().any(|(who, _)| *who == Holder::Person(person))
    });
    shared_with.map(|(id, info)| (id, info.name)).collect()
}

async fn why_not(shared: &Shared, view: &View, person: PersonId, nodes: &[String]) -> Vec<String> {
    let mut why = Vec::new();
    let state = view.state();
    let is_admin = state.persons.get(&person).is_some_and(|who| who.roles.contains(MemberRoles::ADMIN));
    if is_admin && state.admins().count() < 2 {
        why.push("they are the realm's last admin".to_owned());
    } else if is_admin {
        why.push("they are an admin, whom only a majority of the admins removes".to_owned());
    } else if state.persons.contains_key(&person) {
        let remove = MemberRemove { person, last: Cuts::new() };
        why.extend(shared.log.would_take(remove, By::Device).await.err().map(|problem| problem.why));
    }
    if !shared.is_keeper() {
        why.push("this node does not hold the realm's secrets, so it cannot take names back".to_owned());
    }
    if !nodes.is_empty() {
        why.push(format!(
            "machines of theirs are in the realm, which have to leave first (freehold node remove): {}",
            nodes.join(", ")
        ));
    }
    if why.is_empty() {
        let erase = PersonErase { person, buckets: Bounded::new() };
        why.extend(shared.log.would_take(erase, By::Device).await.err().map(|problem| problem.why));
    }
    why
}
