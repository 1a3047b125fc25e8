//! What operations say of themselves.

use std::collections::{BTreeMap, BTreeSet};

use freehold_wire::OpId;

use super::{About, Owner};

impl Owner {
    /// Of those that are here.
    pub(super) fn about(&self, ops: BTreeSet<OpId>) -> BTreeMap<OpId, About> {
        let told = |id: OpId| {
            let op = self.sync.log().get(&id)?;
            let (author, at) = (op.head().author.id(), op.head().hlc.wall);
            Some((id, About { kind: op.body().name(), author, at }))
        };
        ops.into_iter().filter_map(told).collect()
    }
}
