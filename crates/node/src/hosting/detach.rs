//! The end of a backend.

use std::sync::Arc;
use std::time::Duration;

use freehold_api::{Detach, Problem};
use freehold_realm::body::NodeRemove;
use freehold_seal::DirectoryRow;

use super::{Lodger, store};
use crate::log::By;
use crate::problem::home_problem;
use crate::scribe::Saying;
use crate::shared::Shared;

/// How long its planes may take to stop.
const ENDED_WITHIN: Duration = Duration::from_secs(30);

/// Ends a backend: it leaves the realm, and what lies on its store and in its home is removed.
pub(crate) async fn detach(shared: &Arc<Shared>, typed: &str, how: Detach) -> Result<(), Problem> {
    let _turn = shared.backends.turn.lock().await;
    let lodger = shared.backends.named(shared, typed)?;
    must_decide(shared, &lodger)?;
    if !how.force {
        must_be_needless(shared, &lodger)?;
    }
    if how.dry_run {
        return Ok(());
    }
    let is_member = shared.log.view().state().nodes.contains_key(&lodger.node);
    if is_member {
        // A mere store signs no operation, so none of its own counts.
        shared.log.say(NodeRemove { node: lodger.node, last: 0 }, By::Device).await?;
    }
    lodger.cancel.cancel();
    drop(tokio::time::timeout(ENDED_WITHIN, lodger.ended.cancelled()).await);
    match store::erase(&lodger.settings, &lodger.home).await {
        Ok(objects) => tracing::info!(backend = lodger.folder, objects, "what lay on its store is removed"),
        Err(why) => {
            tracing::warn!(backend = lodger.folder, why, "what lies on its store stays, and opens to nobody");
        }
    }
    let root = lodger.home.root();
    std::fs::remove_dir_all(root).map_err(|error| home_problem(root, &error))?;
    shared.backends.forget(&lodger);
    let said = shared.say(vec![Saying::Row(DirectoryRow::NodeName(lodger.node, None))]).await;
    crate::steward::tidy_up(shared).await;
    said
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
fn must_be_needless(shared: &Shared, lodger: &Lodger) -> Result<(), Problem> {
    if !shared.log.view().state().nodes.contains_key(&lodger.node) {
        return Ok(());
    }
    Err(Problem::refused(
        format!("{} was not detached", lodger.folder),
        "what it holds counts as a copy of it",
        Some(format!(
            "freehold backend detach {} --force    (other nodes make those copies anew)",
            lodger.folder
        )),
    ))
}
