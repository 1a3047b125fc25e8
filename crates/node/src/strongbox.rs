//! Buckets in which a plane keeps secrets of the realm: sealed to the machines that hold its secrets, copied as all
//! buckets are, and brought back by whatever brings the realm back.

use bytes::Bytes;
use freehold_api::{BucketChange, BucketRules, NewBucket, Problem};
use freehold_realm::{NodeRoles, Standing};
use freehold_vault::{Conditions, GetError, ListQuery, PutError, PutRequest};
use freehold_wire::BucketId;
use futures::{StreamExt as _, TryStreamExt as _};
use zeroize::Zeroizing;

use crate::control::{found_bucket, set_bucket};
use crate::shared::Shared;

/// More than any plane keeps.
const LISTED_MAX: usize = 1000;

/// One of them, by its name, which has a slash in it: no bucket of somebody's can be called so.
pub(crate) struct Strongbox(pub(crate) &'static str);

impl Strongbox {
    /// The bucket, if it is there and this machine can read it.
    pub(crate) fn bucket(&self, shared: &Shared) -> Option<BucketId> {
        let (id, _) = shared.vault.bucket_named(self.0)?;
        shared.keyring.has(&id).then_some(id)
    }

    /// Reads what is in it under a name.
    pub(crate) async fn read(
        &self,
        shared: &Shared,
        name: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, GetError> {
        let Some(bucket) = self.bucket(shared) else { return Ok(None) };
        let found = match shared.vault.get(&bucket, name, None, None).await {
            Err(GetError::NoSuchKey) => return Ok(None),
            found => found?,
        };
        let mut bytes = Zeroizing::new(Vec::new());
        let mut body = found.body;
        while let Some(piece) = body.try_next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(Some(bytes))
    }

    /// What there is.
    pub(crate) fn names(&self, shared: &Shared) -> Result<Vec<String>, GetError> {
        let Some(bucket) = self.bucket(shared) else { return Ok(Vec::new()) };
        let query = ListQuery { max: LISTED_MAX, ..ListQuery::default() };
        let page = shared.vault.list(&bucket, &query)?;
        Ok(page.objects.into_iter().map(|object| object.key).collect())
    }

    /// Writes it; with `only_new` not over what another machine has written.
    pub(crate) async fn write(
        shared: &Shared,
        bucket: BucketId,
        name: &str,
        bytes: &[u8],
        only_new: bool,
    ) -> Result<(), PutError> {
        let if_none_match = if only_new { vec!["*".to_owned()] } else { Vec::new() };
        let request = PutRequest {
            conditions: Conditions { if_none_match, ..Conditions::default() },
            ..PutRequest::default()
        };
        let body = futures::stream::iter([Ok(Bytes::copy_from_slice(bytes))]).boxed();
        shared.vault.put(&bucket, name, request, body).await.map(drop)
    }

    /// The bucket, which is made if it is not there; `not` says what cannot be kept without it.
    pub(crate) async fn make(&self, shared: &Shared, not: &str) -> Result<BucketId, Problem> {
        if shared.vault.bucket_named(self.0).is_none() {
            let copies = copies(shared);
            let wish =
                NewBucket { name: self.0.to_owned(), copies, confirm: 1, rules: BucketRules::default() };
            found_bucket(shared, &wish).await?;
        }
        self.bucket(shared).ok_or_else(|| {
            Problem::refused(
                not,
                "this node does not hold the realm's secrets, or has not been given this one yet",
                Some("type it on a node with the role secrets: freehold node list"),
            )
        })
    }

    /// Asks for a second copy once there is a machine for it: a bucket that was made on a realm's first machine has one.
    pub(crate) async fn spread(&self, shared: &Shared) -> Result<(), Problem> {
        let Some((id, info)) = shared.vault.bucket_named(self.0) else { return Ok(()) };
        let copies = copies(shared);
        if info.copies >= copies || !shared.is_keeper() {
            return Ok(());
        }
        set_bucket(shared, id, BucketChange { copies: Some(copies), ..BucketChange::default() }).await
    }
}

/// Two, where there are two machines that store.
fn copies(shared: &Shared) -> u16 {
    let view = shared.log.view();
    let keeps = |roles: NodeRoles| roles.contains(NodeRoles::STORAGE);
    let nodes = view.state().nodes.values();
    let stores = nodes.filter(|node| node.standing == Standing::Active && keeps(node.roles)).count();
    u16::from(stores > 1) + 1
}
