//! Sharing a bucket's key, and taking it back.

use std::collections::BTreeMap;

use freehold_api::{BucketKeys, KeyHolder, Problem, Share, words};
use freehold_realm::{NodeRoles, Standing};
use freehold_seal::{Holder, Right, Setting};
use freehold_wire::{BucketId, NodeId, to_canonical};

use super::keys::{holder, rotate, status};
use super::{bucket, realm::node_named};
use crate::entitled::{holders, is_active, named, nodes_of};
use crate::people;
use crate::problem::put_problem;
use crate::shared::Shared;
use crate::sharing::{Held, Unshared, may_name};
use crate::steward;

fn holder_named(shared: &Shared, typed: &str) -> Result<Holder, Problem> {
    node_named(shared, typed).map(Holder::Node).or_else(|problem| {
        let person = people::named(shared, typed, "nothing was shared").map(Holder::Person);
        person.map_err(|_| Problem { what: format!("{typed} gets no keys"), ..problem })
    })
}

fn held(shared: &Shared, bucket: &BucketId) -> Held {
    holders(shared, &shared.log.view(), bucket, shared.keyring.is_private(bucket))
}

/// Refuses to promise that somebody only reads who holds every bucket's keys.
fn is_restricted(shared: &Shared, name: &str, id: &BucketId, who: &Holder) -> Result<(), Problem> {
    if shared.keyring.is_private(id) {
        return Ok(());
    }
    let view = shared.log.view();
    let keeps = |node: &NodeId| {
        let node = view.state().nodes.get(node);
        node.is_some_and(|node| node.standing == Standing::Active && node.roles.contains(NodeRoles::SECRETS))
    };
    let Some(keeper) = nodes_of(&view, who, true).into_iter().find(keeps) else { return Ok(()) };
    Err(Problem::refused(
        format!("{name} is shared as before"),
        format!(
            "{} has the role secrets: it holds the keys of every bucket and writes them all, so --read-only \
             would restrict nothing",
            shared.name_of(keeper)
        ),
        Some(
            "let a machine that is to read only join without that role: freehold invite --roles storage,gateway",
        ),
    ))
}

/// How many entries of each node of a holder are here.
async fn heard_of(shared: &Shared, bucket: &BucketId, who: &Holder) -> BTreeMap<NodeId, u64> {
    let Some(replica) = shared.replica.get() else { return BTreeMap::new() };
    let mut heard = BTreeMap::new();
    for node in nodes_of(&shared.log.view(), who, false) {
        if let Some(last) = replica.lengths(node).await.get(bucket) {
            heard.insert(node, *last);
        }
    }
    heard
}

pub(super) async fn share(shared: &Shared, typed: &str, share: &Share) -> Result<BucketKeys, Problem> {
    let (id, who) = (bucket::named(shared, typed)?, holder_named(shared, &share.with)?);
    let name = &bucket::name_of_bucket(shared, &id);
    if share.read_only {
        is_restricted(shared, name, &id, &who)?;
    }
    let _turn = shared.holders_turn.lock().await;
    let before = held(shared, &id);
    let right = if share.read_only { Right::Reads } else { Right::Writes };
    let after = before.with(who, right, &heard_of(shared, &id, &who).await);
    set_holders(shared, name, &id, [&before, &after]).await?;
    status(shared, id)
}

pub(super) async fn unshare(shared: &Shared, typed: &str, with: &str) -> Result<BucketKeys, Problem> {
    let id = bucket::named(shared, typed)?;
    let name = &bucket::name_of_bucket(shared, &id);
    let _turn = shared.holders_turn.lock().await;
    let before = held(shared, &id);
    let is_meant = |who: &Holder| {
        let KeyHolder { id, name, .. } = holder(shared, *who, false);
        name == with || (with.len() >= 4 && id.starts_with(with))
    };
    let mut meant: Vec<Holder> = before.holders().map(|(who, _)| *who).filter(is_meant).collect();
    // Whoever is called as another one's id is not that one.
    if let Some(whole) = meant.iter().copied().find(|who| holder(shared, *who, false).id == with) {
        meant = vec![whole];
    }
    let [who] = meant.as_slice() else {
        return Err(Problem::not_found(
            format!("{name} is shared as before"),
            format!(
                "it is shared with {} that is called {with:?}",
                if meant.is_empty() { "nobody" } else { "more than one" }
            ),
            Some(format!("freehold bucket keys {}", words::typed(name))),
        ));
    };
    let after = before.with(*who, Right::Gone, &heard_of(shared, &id, who).await);
    set_holders(shared, name, &id, [&before, &after]).await?;
    rotate(shared, Some(id)).await?;
    status(shared, id)
}

async fn set_holders(
    shared: &Shared,
    name: &str,
    id: &BucketId,
    [before, after]: [&Held; 2],
) -> Result<(), Problem> {
    may_become(shared, name, id, [before, after])?;
    let document = after.document().map_err(|_| {
        Problem::invalid(
            format!("{name} is shared as before"),
            "too many have its key, or once had it",
            Some(format!(
                "freehold bucket keys {}    (share it with persons rather than machines)",
                words::typed(name)
            )),
        )
    })?;
    let set = shared.vault.set(id, Setting::Holders, Some(to_canonical(&document))).await;
    set.map_err(|error| put_problem(name, "who holds its keys", &error))?;
    steward::tidy_up(shared).await;
    Ok(())
}

fn may_become(
    shared: &Shared,
    name: &str,
    id: &BucketId,
    [before, after]: [&Held; 2],
) -> Result<(), Problem> {
    let what = || format!("{name} is shared as before");
    if let Some(node) = before.unreadable.first() {
        return Err(Problem::refused(
            what(),
            format!("what {} said of who holds its keys cannot be read here", shared.name_of(*node)),
            Some("bring this machine to the same version of Freehold as that one: freehold node list"),
        ));
    }
    let view = shared.log.view();
    let [before, after] = [before, after].map(|held| {
        let mut nodes = named(&view, held);
        nodes.retain(|node, _| is_active(view.state(), node));
        nodes
    });
    let (me, is_private) = (shared.me(), shared.keyring.is_private(id));
    let is_keeper = is_active(view.state(), &me) && view.keepers.contains(&me);
    may_name(&me, (is_private, is_keeper), &before, &after).map_err(|why| {
        let next = match why {
            Unshared::NotKept => "type it on a node with the role secrets: freehold node list".to_owned(),
            Unshared::NotNamed | Unshared::LeavesItself => {
                format!(
                    "type it on another node that holds its keys: freehold bucket keys {}",
                    words::typed(name)
                )
            }
        };
        Problem::refused(what(), why.to_string(), Some(next))
    })
}

/// Whether this node's own word on who holds a bucket's key says all that it knows.
pub(crate) fn has_said_all(shared: &Shared, bucket: &BucketId) -> bool {
    let held = held(shared, bucket);
    let words = shared.vault.words(bucket, Setting::Holders);
    let mine = words.iter().find(|word| word.stamp.origin == shared.me());
    let mine = mine.and_then(|word| word.document.as_deref());
    !held.is_said() || held.document().is_ok_and(|all| mine == Some(to_canonical(&all).as_slice()))
}

/// Says under the bucket's newest key whom this node knows to hold it, and its name if it gave it.
///
/// # Errors
/// A [`Problem`]; then others may need the words that it has not said again.
pub(crate) async fn say_again(shared: &Shared, bucket: &BucketId) -> Result<(), Problem> {
    let held = held(shared, bucket);
    if !held.is_said() {
        return Ok(());
    }
    let document = held.document().map_err(|_| {
        Problem::refused(
            "who holds a bucket's keys was not said again",
            "too many machines and people hold them, or held them once",
            None::<&str>,
        )
    })?;
    let names = shared.vault.words(bucket, Setting::Name).into_iter();
    let name = names.filter(|word| word.stamp.origin == shared.me()).find_map(|word| word.document);
    let name = name.map(|name| (Setting::Name, name.to_vec()));
    for (setting, document) in [(Setting::Holders, to_canonical(&document))].into_iter().chain(name) {
        let said = shared.vault.set(bucket, setting, Some(document)).await;
        said.map_err(|error| put_problem(&bucket.short(), "who holds its keys", &error))?;
    }
    Ok(())
}
