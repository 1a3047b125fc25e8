//! The end of a backend.

use std::sync::Arc;
use std::time::Duration;

use freehold_api::{Detach, Detached, Problem, words};
use freehold_realm::Standing;
use freehold_realm::body::NodeRemove;
use freehold_seal::DirectoryRow;

use super::{Lodger, store};
use crate::control::is_free;
use crate::log::By;
use crate::problem::home_problem;
use crate::scribe::Saying;
use crate::shared::Shared;

/// How long its planes may take to stop.
const ENDED_WITHIN: Duration = Duration::from_secs(30);

/// Ends a backend: it leaves the realm, and what lies on its store and in its home is removed.
pub(crate) async fn detach(shared: &Arc<Shared>, typed: &str, how: Detach) -> Result<Detached, Problem> {
    let _turn = shared.backends.turn.lock().await;
    let lodger = shared.backends.named(shared, typed)?;
    must_decide(shared, &lodger)?;
    if !how.force {
        must_be_needless(shared, &lodger).await?;
    }
    if how.dry_run {
        return Ok(Detached::default());
    }
    let is_member = shared.log.view().state().nodes.contains_key(&lodger.node);
    if is_member {
        // A mere store signs no operation, so none of its own counts.
        shared.log.say(NodeRemove { node: lodger.node, last: 0 }, By::Device).await?;
    }
    lodger.cancel.cancel();
    if tokio::time::timeout(ENDED_WITHIN, lodger.ended.cancelled()).await.is_err() {
        return Err(Problem::unreachable(
            format!("{} is not detached yet", lodger.folder),
            "it is no node of the realm any more, and still finishes what it had begun",
            Some(format!("in a minute: freehold backend detach {}", words::typed(&lodger.folder))),
        ));
    }
    let done = empty(&lodger).await;
    let root = lodger.home.root();
    std::fs::remove_dir_all(root).map_err(|error| home_problem(root, &error))?;
    shared.backends.forget(&lodger);
    let said = shared.say(vec![Saying::Row(DirectoryRow::NodeName(lodger.node, None))]).await;
    crate::steward::tidy_up(shared).await;
    rotate(shared, &lodger).await;
    said.map(|()| done)
}

/// Removes what lies on its stores; what stays opens to nobody.
async fn empty(lodger: &Lodger) -> Detached {
    let erased = match lodger.reread() {
        Ok(settings) => store::erase(&settings, &lodger.home, &lodger.friends).await,
        Err(why) => Err(why),
    };
    let done = erased.unwrap_or_else(|why| Detached { left: vec![why], ..Detached::default() });
    let Detached { removed, left, .. } = &done;
    tracing::info!(backend = lodger.folder, removed, ?left, "what lay on its store is removed");
    done
}

/// Makes new keys of what its node knew. Its own copy of them is gone, but nobody has to believe that.
async fn rotate(shared: &Shared, lodger: &Lodger) {
    for due in crate::entitled::to_rotate(shared) {
        if due.known_to.contains(&lodger.node)
            && let Err(problem) = crate::steward::rotate(shared, due.of).await
        {
            // It stays in status.
            tracing::warn!(%problem, "a key was not rotated");
        }
    }
}

fn must_decide(shared: &Shared, lodger: &Lodger) -> Result<(), Problem> {
    if shared.keys.device.is_some() {
        return Ok(());
    }
    Err(Problem::refused(
        format!("{} was not detached", lodger.folder),
        "this machine is no device of an admin",
        Some("have an admin suspend it: freehold node suspend"),
    ))
}

/// Nothing may depend on it.
async fn must_be_needless(shared: &Shared, lodger: &Lodger) -> Result<(), Problem> {
    let view = shared.log.view();
    let Some(known) = view.state().nodes.get(&lodger.node) else { return Ok(()) };
    if known.standing == Standing::Active && !known.site.draining {
        return Err(Problem::refused(
            format!("{} was not detached", lodger.folder),
            "what it holds counts as a copy of it",
            Some(format!(
                "freehold backend drain {0} --wait    (other nodes take over); if its store is lost: freehold \
                 backend detach {0} --force",
                words::typed(&lodger.folder)
            )),
        ));
    }
    is_free(shared, &lodger.folder, lodger.node, known).await
}
