//! Keys of buckets: who holds them, next ones, and what is sealed anew with them.

use async_trait::async_trait;
use bytes::Bytes;
use freehold_api::{
    BucketKeys, BucketRules, BucketStatus, Erasure, ErasurePlan, KeyControl, KeyHolder, NewBucket,
    NewPrivateBucket, ObjectErasurePlan, ObjectToErase, Problem, Rewrapped, Rotated, Rotation, Sealed, Share,
};
use freehold_seal::{Holder, KeyOf};
use freehold_wire::{BucketId, NodeId};

use super::{Answers, bucket, erasures, report, sharing};
use crate::control::realm::node_named;
use crate::entitled::{Due, holders, to_rotate};
use crate::erasing::receipt;
use crate::people;
use crate::problem::put_problem;
use crate::shared::Shared;
use crate::steward;

/// Entries sealed anew before whoever asked is answered.
const REWRAP_MOST: u64 = 20_000;

#[async_trait]
impl KeyControl for Answers {
    async fn bucket_keys(&self, name: &str) -> Result<BucketKeys, Problem> {
        status(&self.0, bucket::named(&self.0, name)?)
    }

    async fn rotate(&self, wish: Rotation) -> Result<Rotated, Problem> {
        let of = wish.bucket.map(|typed| bucket::named(&self.0, &typed)).transpose()?;
        self.0.to_the_end(|shared| async move { rotate(&shared, of).await }).await
    }

    async fn rewrap(&self, name: &str) -> Result<Rewrapped, Problem> {
        let id = bucket::named(&self.0, name)?;
        self.0
            .to_the_end(|shared| async move {
                let name = bucket::name_of_bucket(&shared, &id);
                let renewed = shared.vault.renew(&id, REWRAP_MOST).await;
                let renewed = renewed.map_err(|error| put_problem(&name, "its entries", &error))?;
                Ok(Rewrapped { done: renewed.done, left: renewed.left, more: renewed.more })
            })
            .await
    }

    async fn share(&self, name: &str, share: Share) -> Result<BucketKeys, Problem> {
        let name = name.to_owned();
        self.0.to_the_end(|shared| async move { sharing::share(&shared, &name, &share).await }).await
    }

    async fn unshare(&self, name: &str, with: &str) -> Result<BucketKeys, Problem> {
        let (name, with) = (name.to_owned(), with.to_owned());
        self.0.to_the_end(|shared| async move { sharing::unshare(&shared, &name, &with).await }).await
    }

    async fn create_private(&self, wish: NewPrivateBucket) -> Result<BucketStatus, Problem> {
        let id = self.0.to_the_end(|shared| async move { create_private(&shared, wish).await }).await?;
        let made = report::buckets(&self.0).into_iter().find(|bucket| bucket.id == id.to_string());
        made.ok_or_else(|| Problem::bug("the bucket was made but is not listed", id.short(), None::<&str>))
    }

    async fn plan_erasure(&self, bucket: &str) -> Result<ErasurePlan, Problem> {
        erasures::plan(&self.0, bucket).await
    }

    async fn erase(&self, bucket: &str) -> Result<Erasure, Problem> {
        let name = bucket.to_owned();
        self.0.to_the_end(|shared| async move { erasures::erase(&shared, &name).await }).await
    }

    async fn plan_object_erasure(
        &self,
        bucket: &str,
        wish: ObjectToErase,
    ) -> Result<ObjectErasurePlan, Problem> {
        erasures::plan_object(&self.0, bucket, &wish).await
    }

    async fn erase_object(&self, bucket: &str, wish: ObjectToErase) -> Result<Erasure, Problem> {
        let name = bucket.to_owned();
        self.0.to_the_end(|shared| async move { erasures::erase_object(&shared, &name, &wish).await }).await
    }

    async fn erasures(&self) -> Result<Vec<Erasure>, Problem> {
        receipt::all(&self.0).await
    }

    async fn receipt(&self, erasure: &str) -> Result<Bytes, Problem> {
        erasures::receipt_of(&self.0, erasure).await.map(Bytes::from)
    }
}

/// Rotates whatever somebody knows who should not.
pub(super) async fn rotate_due(shared: &Shared) {
    if let Err(problem) = rotate(shared, None).await {
        tracing::warn!(%problem, "keys were not rotated");
    }
}

pub(super) async fn rotate(shared: &Shared, of: Option<BucketId>) -> Result<Rotated, Problem> {
    let rings = match of {
        Some(id) => vec![KeyOf::Bucket(id)],
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
            format!("bucket {}", bucket::name_of_bucket(shared, &bucket))
        }
    }
}

/// Who knows a key and should not, by name.
pub(super) fn knowing(shared: &Shared, due: &Due) -> Vec<String> {
    due.known_to.iter().map(|node| shared.name_of(*node)).collect()
}

pub(super) fn status(shared: &Shared, id: BucketId) -> Result<BucketKeys, Problem> {
    let name = &bucket::name_of_bucket(shared, &id);
    let ring = shared.directory().ring(KeyOf::Bucket(id)).cloned();
    let ring = ring.filter(|ring| ring.current().is_some()).ok_or_else(|| no_key(name))?;
    let current = ring.current().map_or(0, freehold_seal::BucketKey::generation);
    let sealed = shared.vault.generations(&id).into_iter();
    let due = to_rotate(shared).into_iter().find(|due| due.of == KeyOf::Bucket(id));
    let view = shared.log.view();
    let held = holders(shared, &view, &id, ring.is_private());
    // Who has left the realm holds nothing that is made from now on.
    let stays = |who: &Holder| !matches!(who, Holder::Node(node) if view.was_removed(node));
    Ok(BucketKeys {
        bucket: name.clone(),
        current,
        sealed: sealed.map(|(key, versions)| Sealed { key: key.into(), versions }).collect(),
        private: ring.is_private(),
        holders: held
            .holders()
            .filter(|(who, _)| stays(who))
            .map(|(who, only)| holder(shared, *who, only))
            .collect(),
        to_rotate: due.map(|due| knowing(shared, &due)).unwrap_or_default(),
        access: report::access(shared, &id),
    })
}

pub(super) fn holder(shared: &Shared, who: Holder, read_only: bool) -> KeyHolder {
    match who {
        Holder::Node(node) => {
            KeyHolder { id: node.to_string(), name: shared.name_of(node), person: false, read_only }
        }
        Holder::Person(person) => {
            let name = people::name_of(shared, person);
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
