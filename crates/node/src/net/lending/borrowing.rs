//! This machine as one that keeps something at another realm: errands to the machines there that let it in.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use freehold_backend::{Errands, Failed};
use freehold_passes::{Errand, Outcome};
use freehold_wire::{GrantId, NodeId};

use crate::shared::Shared;

/// How rooms are reached that other realms lend.
#[derive(Debug)]
struct Friends(Weak<Shared>);

/// How rooms are reached that other realms lend; the node need not be up yet.
pub(crate) fn friends(shared: &Arc<Shared>) -> Arc<dyn Errands> {
    Arc::new(Friends(Arc::downgrade(shared)))
}

#[async_trait]
impl Errands for Friends {
    fn homes(&self, grant: GrantId) -> Vec<NodeId> {
        let told = self.0.upgrade().map(|shared| shared.strangers.told()).unwrap_or_default();
        let machines = told.get(&grant).map(|there| there.machines.iter()).into_iter().flatten();
        machines.filter(|(_, machine)| machine.is_gateway).map(|(node, _)| *node).collect()
    }

    async fn ask(&self, home: NodeId, errand: Errand, body: Bytes) -> Result<(Outcome, Bytes), Failed> {
        let failed = |why: &str| Failed(why.to_owned());
        let shared = self.0.upgrade().ok_or_else(|| failed("the node is stopping"))?;
        let mesh = shared.mesh.get().cloned().ok_or_else(|| failed("the mesh is not up yet"))?;
        let told = shared.strangers.told();
        let machine = told.get(&errand.grant).and_then(|there| there.machines.get(&home));
        let at = machine.map(|machine| machine.addresses.clone());
        let at = at.ok_or_else(|| failed("that machine of the other realm is not known any more"))?;
        let done = mesh.errand(&at, home, errand.to_bytes().into(), body).await;
        let (answer, body) = done.map_err(|error| match error {
            freehold_mesh::KnockError::Refused => failed("the other realm does not let this machine in"),
            other => Failed(format!("a machine of the other realm: {other}")),
        })?;
        let outcome = Outcome::from_bytes(&answer);
        Ok((outcome.map_err(|_| failed("a machine of the other realm answers something else"))?, body))
    }
}
