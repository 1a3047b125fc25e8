//! Whether the realm still counts this node as one of its own. The log here cannot always say so: who
//! is shut out hears nothing more.

use std::sync::Arc;
use std::time::Duration;

use freehold_api::Problem;
use freehold_mesh::Trouble;
use freehold_realm::Standing;
use tokio_util::sync::CancellationToken;

use crate::shared::Shared;

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Looks in a row that must find the same: a node that has not heard of a newcomer yet refuses it, too.
const LOOKS: u32 = 3;

/// What is wrong with this node's membership, and what to type; nothing if it is well or not known.
pub(crate) fn refused(shared: &Shared) -> Option<Problem> {
    const WHAT: &str = "the realm does not count this node as one of its own";
    let view = shared.log.view();
    match view.state().nodes.get(&shared.me()).map(|node| node.standing) {
        Some(Standing::Suspended) => {
            let next = "ask an admin: freehold node lift, with this node's name";
            return Some(Problem::refused(WHAT, "it is suspended", Some(next)));
        }
        Some(Standing::Burned) => {
            let next = "join anew with another home: freehold --home FOLDER join";
            return Some(Problem::refused(WHAT, "its key was used on two machines", Some(next)));
        }
        // Only the node that let it in answers a machine that guardians are bringing back.
        None if view.not_yet(shared.me(), crate::clock::wall()).is_some() => return None,
        None if view.was_removed(&shared.me()) => {
            let next = "what it holds stays on its disk, sealed; to come back, ask an admin for an invitation, \
                        then: freehold --home FOLDER join";
            return Some(Problem::refused(WHAT, "an admin removed it", Some(next)));
        }
        Some(Standing::Active) | None => {}
    }
    let peers = shared.mesh.get().map(|mesh| mesh.peers()).unwrap_or_default();
    let turned_away = peers.iter().any(|peer| peer.trouble == Some(Trouble::Refused));
    if !turned_away || peers.iter().any(|peer| peer.connected) {
        return None;
    }
    Some(Problem::refused(
        WHAT,
        "another machine came by the same invitation, or an admin suspended or removed this one",
        Some("ask an admin for a new invitation, then: freehold --home FOLDER join"),
    ))
}

/// Tells the person who started the node.
pub(crate) async fn watch(shared: Arc<Shared>, cancel: CancellationToken) {
    let mut seen = 0u32;
    let mut every = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            _ = every.tick() => {}
        }
        let Some(problem) = refused(&shared) else {
            seen = 0;
            continue;
        };
        seen = seen.saturating_add(1);
        if seen == LOOKS {
            tracing::error!("{problem}; {}", problem.next.as_deref().unwrap_or_default());
        }
    }
}
