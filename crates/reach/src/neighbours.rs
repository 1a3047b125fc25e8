//! Which nodes to keep connections with.

use std::collections::BTreeSet;

use freehold_crypt::hash::Hasher;
use freehold_realm::{NodeRoles, Standing, State};
use freehold_wire::NodeId;

/// Up to this many machines, everybody keeps connections with everybody.
pub const CLOSE_MAX: usize = 64;
/// How many are drawn beyond those that one has to talk to.
const DRAWN: usize = 8;

/// The nodes that a node keeps connections with: all of a small realm. In a large one a machine with a role
/// keeps them with all that store, answer or hold secrets, and with some others that are drawn by a hash, so
/// that the whole hangs together; a laptop only with some that have a role. A connection that either side
/// keeps is there for both.
pub fn neighbours(state: &State, me: &NodeId) -> BTreeSet<NodeId> {
    let active = state.nodes.iter().filter(|(id, node)| *id != me && node.standing == Standing::Active);
    let others: Vec<(NodeId, NodeRoles)> = active.map(|(id, node)| (*id, node.roles)).collect();
    if others.len() < CLOSE_MAX {
        return others.into_iter().map(|(id, _)| id).collect();
    }
    let client = state.nodes.get(me).is_none_or(|node| node.roles.is_empty());
    let keeps = |roles: NodeRoles| {
        [NodeRoles::STORAGE, NodeRoles::GATEWAY, NodeRoles::SECRETS].iter().any(|role| roles.contains(*role))
    };
    let (mut kept, rest): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|(_, roles)| !client && keeps(*roles));
    let mut rest: Vec<([u8; 32], NodeId)> = rest
        .iter()
        .filter(|(_, roles)| !client || !roles.is_empty())
        .map(|(id, _)| (lot(me, id), *id))
        .collect();
    rest.sort_unstable();
    kept.extend(rest.into_iter().take(DRAWN).map(|(_, id)| (id, NodeRoles::NONE)));
    kept.into_iter().map(|(id, _)| id).collect()
}

fn lot(me: &NodeId, other: &NodeId) -> [u8; 32] {
    Hasher::new("freehold 2026 network neighbour").update(me.as_bytes()).update(other.as_bytes()).finish()
}
