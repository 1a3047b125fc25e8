//! Keys of buckets: who holds them, next ones, and what is sealed anew with them.

use async_trait::async_trait;
use freehold_api::{
    BucketKeys, BucketRules, BucketStatus, KeyControl, KeyHolder, NewBucket, NewPrivateBucket, Problem,
    Rewrapped, Rotated, Rotation, Sealed, Share,
};
use freehold_seal::{Holder, Holders, KeyOf, Setting};
use freehold_wire::{Bounded, BucketId, NodeId, to_canonical};

use super::{Answers, bucket, report};
use crate::access_keys::person_named;
use crate::control::realm::node_named;
use crate::entitled::{Due, holders, is_active, named, to_rotate};
use crate::problem::put_problem;
use crate::shared::Shared;
use crate::sharing::{Unshared, may_name};
use crate::steward;

/// Entries sealed anew before whoever asked is answered.
const REWRAP_MOST: u64 = 20_000;

#[async_trait]
impl KeyControl for Answers {
    async fn bucket_keys(&self, name: &str) -> Result<BucketKeys, Problem> {
        status(&self.0, name)
    }

    async fn rotate(&self, wish: Rotation) -> Result<Rotated, Problem> {
        self.0.to_the_end(|shared| async move { rotate(&shared, wish.bucket.as_deref()).await }).await
    }

    async fn rewrap(&self, name: &str) -> Result<Rewrapped, Problem> {
        let (id, name) = (bucket::named(&self.0, name)?, name.to_owned());
        self.0
            .to_the_end(|shared| async move {
                let renewed = shared.vault.renew(&id, REWRAP_MOST).await;
                let renewed = renewed.map_err(|error| put_problem(&name, "its entries", &error))?;
                Ok(Rewrapped { done: renewed.done, left: renewed.left, more: renewed.more })
            })
            .await
    }

    async fn share(&self, name: &str, share: Share) -> Result<BucketKeys, Problem> {
        let name = name.to_owned();
        self.0.to_the_end(|shared| async move { self::share(&shared, &name, &share).await }).await
    }

    async fn unshare(&self, name: &str, with: &str) -> Result<BucketKeys, Problem> {
        let (name, with) = (name.to_owned(), with.to_owned());
        self.0.to_the_end(|shared| async move { unshare(&shared, &name, &with).await }).await
    }

    async fn create_private(&self, wish: NewPrivateBucket) -> Result<BucketStatus, Problem> {
        let id = self.0.to_the_end(|shared| async move { create_private(&shared, wish).await }).await?;
        let made = report::buckets(&self.0).into_iter().find(|bucket| bucket.id == id.to_string());
        made.ok_or_else(|| Problem::bug("the bucket was made but is not listed", id.short(), None::<&str>))
    }
}

/// Rotates whatever somebody knows who should not.
pub(super) async fn rotate_due(shared: &Shared) {
    if let Err(problem) = rotate(shared, None).await {
        tracing::warn!(%problem, "keys were not rotated");
    }
}

async fn rotate(shared: &Shared, name: Option<&str>) -> Result<Rotated, Problem> {
    let rings = match name {
        Some(name) => vec![KeyOf::Bucket(bucket::named(shared, name)?)],
        None => to_rotate(shared).into_iter().map(|due| due.of).collect(),
    };
    let mut rotated = Vec::with_capacity(rings.len());
    for of in rings {
        steward::rotate(shared, of).await?;
        rotated.push(what(shared, of));
    }
    steward::tidy_up(shared).await;
    Ok(Rotated { rotated })
}

/// A key in words.
pub(super) fn what(shared: &Shared, of: KeyOf) -> String {
    match of {
        KeyOf::Directory => "the directory of names".to_owned(),
        KeyOf::Bucket(bucket) => {
            let info = shared.vault.buckets().remove(&bucket);
            format!("bucket {}", info.map_or_else(|| bucket.short(), |info| info.name))
        }
    }
}

/// Who knows a key and should not, by name.
pub(super) fn knowing(shared: &Shared, due: &Due) -> Vec<String> {
    due.known_to.iter().map(|node| shared.name_of(*node)).collect()
}

fn status(shared: &Shared, name: &str) -> Result<BucketKeys, Problem> {
    let id = bucket::named(shared, name)?;
    let ring = shared.directory().ring(KeyOf::Bucket(id)).cloned();
    let ring = ring.filter(|ring| ring.current().is_some()).ok_or_else(|| no_key(name))?;
    let current = ring.current().map_or(0, freehold_seal::BucketKey::generation);
    let sealed = shared.vault.generations(&id).into_iter();
    let due = to_rotate(shared).into_iter().find(|due| due.of == KeyOf::Bucket(id));
    Ok(BucketKeys {
        bucket: name.to_owned(),
        current,
        sealed: sealed.map(|(key, versions)| Sealed { key: key.into(), versions }).collect(),
        private: ring.is_private(),
        holders: holders(shared, &id).iter().map(|(who, only)| holder(shared, *who, *only)).collect(),
        to_rotate: due.map(|due| knowing(shared, &due)).unwrap_or_default(),
    })
}

fn holder(shared: &Shared, who: Holder, read_only: bool) -> KeyHolder {
    match who {
        Holder::Node(node) => {
            KeyHolder { id: node.to_string(), name: shared.name_of(node), person: false, read_only }
        }
        Holder::Person(person) => {
            let name = shared.directory().person_name(person).map(str::to_owned);
            let name = name.unwrap_or_else(|| person.short());
            KeyHolder { id: person.to_string(), name, person: true, read_only }
        }
    }
}

fn no_key(name: &str) -> Problem {
    Problem::refused(
        format!("the keys of {name} cannot be told"),
        "this node has not been given them",
        Some("type it on a node that holds them: freehold node list"),
    )
}

fn holder_named(shared: &Shared, typed: &str) -> Result<Holder, Problem> {
    node_named(shared, typed).map(Holder::Node).or_else(|problem| {
        let person = person_named(shared, typed).map(Holder::Person);
        person.map_err(|_| Problem { what: format!("{typed} gets no keys"), ..problem })
    })
}

async fn share(shared: &Shared, name: &str, share: &Share) -> Result<BucketKeys, Problem> {
    let (id, who) = (bucket::named(shared, name)?, holder_named(shared, &share.with)?);
    let _turn = shared.holders_turn.lock().await;
    let before = holders(shared, &id);
    let mut all = before.clone().into_vec();
    all.retain(|(holder, _)| *holder != who);
    all.push((who, share.read_only));
    set_holders(shared, name, id, (before, all)).await
}

async fn unshare(shared: &Shared, name: &str, with: &str) -> Result<BucketKeys, Problem> {
    let id = bucket::named(shared, name)?;
    let _turn = shared.holders_turn.lock().await;
    let before = holders(shared, &id);
    let is_meant = |who: Holder| {
        let KeyHolder { id, name, .. } = holder(shared, who, false);
        name == with || (with.len() >= 4 && id.starts_with(with))
    };
    let (meant, rest): (Vec<_>, Vec<_>) =
        before.clone().into_vec().into_iter().partition(|(who, _)| is_meant(*who));
    if meant.len() != 1 {
        return Err(Problem::not_found(
            format!("{name} is shared as before"),
            format!(
                "it is shared with {} that is called {with:?}",
                if meant.is_empty() { "nobody" } else { "more than one" }
            ),
            Some(format!("freehold bucket keys {name}")),
        ));
    }
    set_holders(shared, name, id, (before, rest)).await?;
    rotate(shared, Some(name)).await?;
    status(shared, name)
}

async fn set_holders(
    shared: &Shared,
    name: &str,
    id: BucketId,
    (before, after): (Holders, Vec<(Holder, bool)>),
) -> Result<BucketKeys, Problem> {
    let after: Holders = Bounded::from_vec(after).map_err(|_| {
        Problem::invalid(
            format!("{name} is shared as before"),
            "there are too many holders of its key",
            Some(format!("freehold bucket keys {name}    (shows them; unshare takes one back)")),
        )
    })?;
    may_become(shared, name, &id, [&before, &after])?;
    let set = shared.vault.set(&id, Setting::Holders, Some(to_canonical(&after))).await;
    set.map_err(|error| put_problem(name, "who holds its keys", &error))?;
    steward::tidy_up(shared).await;
    status(shared, name)
}

fn may_become(shared: &Shared, name: &str, id: &BucketId, holders: [&Holders; 2]) -> Result<(), Problem> {
    let view = shared.log.view();
    let [mut before, after] = holders.map(|holders| {
        let mut nodes = named(&view, holders);
        nodes.retain(|node, _| is_active(view.state(), node));
        nodes
    });
    let (me, is_private) = (shared.me(), shared.keyring.is_private(id));
    if is_private && before.is_empty() {
        // Whoever makes a private bucket names itself first.
        before.insert(me, false);
    }
    let is_keeper = is_active(view.state(), &me) && view.keepers.contains(&me);
    let stays = may_name(&me, (is_private, is_keeper), &before, &after);
    stays.map_err(|why| {
        let next = match why {
            Unshared::NotKept => "type it on a node with the role secrets: freehold node list".to_owned(),
            Unshared::NotNamed | Unshared::LeavesItself => {
                format!("type it on another node that holds its keys: freehold bucket keys {name}")
            }
        };
        Problem::refused(format!("{name} is shared as before"), why.to_string(), Some(next))
    })
}

async fn create_private(shared: &Shared, wish: NewPrivateBucket) -> Result<BucketId, Problem> {
    let NewPrivateBucket { name, copies, confirm, only_for } = wish;
    let only_for: Vec<NodeId> =
        only_for.iter().map(|node| node_named(shared, node)).collect::<Result<_, _>>()?;
    if !only_for.contains(&shared.me()) {
        return Err(Problem::refused(
            "no bucket was made",
            "this node would make its key, and is not among those that are to have it",
            Some("type it on one of those nodes"),
        ));
    }
    bucket::found_private(
        shared,
        &NewBucket { name, copies, confirm, rules: BucketRules::default() },
        &only_for,
    )
    .await
}
