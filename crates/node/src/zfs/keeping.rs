//! This machine as one that keeps datasets of others, and as one that asks another to.

use std::sync::Arc;

use bytes::Bytes;
use freehold_realm::Standing;
use freehold_wire::{DecodeError, NodeId};
use freehold_zfs_host::{Answer, Ask, Way};

use super::Chosen;
use crate::clock;
use crate::shared::Shared;

/// What such questions begin with: errands of other kinds begin otherwise.
const MARK: &[u8] = b"zfs\0";
/// How often a machine that does not answer is asked.
const TRIES: u32 = 3;
const PAUSE: std::time::Duration = std::time::Duration::from_secs(2);

/// What is asked, if it is of this kind at all.
pub(crate) fn asked(question: &[u8]) -> Option<Result<Ask, DecodeError>> {
    question.strip_prefix(MARK).map(Ask::from_bytes)
}

/// What the declaration that was applied here calls a machine that is to be let in.
fn caller_of(shared: &Shared, chosen: &Chosen, caller: NodeId) -> Option<String> {
    let name = chosen.name_of(caller)?;
    let stands = |node: &freehold_realm::Node| node.standing == Standing::Active;
    shared.log.view().state().nodes.get(&caller).is_some_and(stands).then(|| name.to_owned())
}

/// Whether a machine may have such errands done here.
pub(crate) fn has_errands(shared: &Shared, caller: NodeId) -> bool {
    shared.datasets.chosen().is_some_and(|chosen| caller_of(shared, &chosen, caller).is_some())
}

/// Does one. Whoever the declaration does not name gets no answer.
pub(crate) async fn errand(
    shared: &Arc<Shared>,
    caller: NodeId,
    ask: Ask,
    body: Bytes,
) -> Option<(Bytes, Bytes)> {
    let datasets = &shared.datasets;
    let (answer, body) = match datasets.chosen() {
        None => (Answer::Differs, Bytes::new()),
        Some(chosen) => {
            let name = caller_of(shared, &chosen, caller)?;
            let me = chosen.name_of(shared.me())?;
            let declared = (&chosen.declaration, chosen.digest);
            datasets.keeper.answer(declared, (me, &name), (ask, body), clock::wall()).await
        }
    };
    Some((answer.to_bytes().into(), body))
}

/// The way to a target: at this machine, or over the mesh.
pub(super) struct To {
    pub(super) shared: Arc<Shared>,
    pub(super) chosen: Arc<Chosen>,
    pub(super) keeper: NodeId,
}

impl To {
    async fn over_the_mesh(&self, question: Bytes, body: Bytes) -> Result<(Answer, Bytes), String> {
        let mesh = self.shared.mesh.get().cloned().ok_or("the mesh is not up yet")?;
        let at = crate::whereabouts::of_others(&self.shared).remove(&self.keeper);
        let at = at.ok_or("nobody has said yet where that machine is")?;
        let answered = mesh.errand(&at, self.keeper, question, body).await;
        let (answer, body) = answered.map_err(|error| match error {
            freehold_mesh::KnockError::Refused => {
                "it does not let this machine in: apply the declaration there, too".to_owned()
            }
            other => other.to_string(),
        })?;
        let answer = Answer::from_bytes(&answer).map_err(|_| "it answers something else".to_owned())?;
        Ok((answer, body))
    }
}

impl Way for To {
    async fn ask(&self, ask: Ask, body: Bytes) -> Result<(Answer, Bytes), String> {
        if self.keeper == self.shared.me() {
            let me = self.chosen.name_of(self.keeper).ok_or("the declaration does not name this machine")?;
            let declared = (&self.chosen.declaration, self.chosen.digest);
            let asked = (ask, body);
            return Ok(self.shared.datasets.keeper.answer(declared, (me, me), asked, clock::wall()).await);
        }
        let question: Bytes = [MARK, &ask.to_bytes()].concat().into();
        // A question may be asked again. A part of a stream may not: it might have come.
        let tries = if matches!(ask, Ask::Look(_)) { TRIES } else { 1 };
        let mut answered = self.over_the_mesh(question.clone(), body.clone()).await;
        for _ in 1..tries {
            if answered.is_ok() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            answered = self.over_the_mesh(question.clone(), body.clone()).await;
        }
        answered
    }
}
