//! The KV plane as this node runs it: what it asks of the realm, and its place among the planes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use freehold_api::{BucketRules, NewBucket};
use freehold_kv::{Kv, Realm, RealmError};
use freehold_realm::{NodeRoles, Standing};
use freehold_wire::{BucketId, Millis, NodeId};

use crate::clock;
use crate::control::{end_bucket, found_bucket};
use crate::shared::Shared;
use crate::supervisor::{Health, Plane};

/// How often what databases have overwritten is freed.
const TIDY_EVERY: Duration = Duration::from_mins(2);

/// The realm as the plane sees it.
#[derive(Debug)]
struct ForKv(Weak<Shared>);

impl ForKv {
    fn shared(&self) -> Result<Arc<Shared>, RealmError> {
        self.0.upgrade().ok_or_else(|| RealmError("the node is stopping".to_owned()))
    }
}

#[async_trait]
impl Realm for ForKv {
    async fn create(&self, name: &str, copies: u16, confirm: u16) -> Result<(), RealmError> {
        let wish = NewBucket { name: name.to_owned(), copies, confirm, rules: BucketRules::default() };
        let made = found_bucket(&*self.shared()?, &wish).await;
        made.map(drop).map_err(|problem| RealmError(problem.to_string()))
    }

    async fn end(&self, bucket: &BucketId) -> Result<(), RealmError> {
        end_bucket(&*self.shared()?, *bucket).await.map_err(|problem| RealmError(problem.to_string()))
    }

    fn counts(&self, node: &NodeId) -> bool {
        let Some(shared) = self.0.upgrade() else { return true };
        let view = shared.log.view();
        let found = view.state().nodes.get(node);
        found.is_some_and(|node| node.standing == Standing::Active && node.roles.contains(NodeRoles::GATEWAY))
    }

    fn heard(&self, node: &NodeId) -> Option<Millis> {
        let shared = self.0.upgrade()?;
        let peers = shared.mesh.get()?.peers();
        let heard = peers.into_iter().find(|peer| peer.id == *node)?.last_heard?;
        Some(Millis(u64::try_from(heard.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Brings the plane up; a database is opened when it is first asked for.
pub(crate) fn start(plane: &Plane, shared: &Arc<Shared>) {
    let realm = Arc::new(ForKv(Arc::downgrade(shared)));
    let kv = Kv::new(shared.vault.clone(), shared.me(), realm);
    drop(shared.kv.set(kv.clone()));
    plane.report(Health::Up("databases are opened when they are asked for".to_owned()));
    let cancel = plane.cancel().clone();
    let tidy = kv.clone();
    plane.spawn(async move {
        cancel.cancelled().await;
        kv.close().await;
    });
    let cancel = plane.cancel().clone();
    plane.spawn(async move {
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(TIDY_EVERY) => {}
            }
            if let Err(error) = tidy.tidy(clock::wall()).await {
                tracing::warn!(%error, "what databases have overwritten stays for now");
            }
        }
    });
}
