//! Snapshots are forgotten, and what nobody needs any more is removed.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use freehold_retention::{Moment, Policy, Reason, choose};
use rustic_core::PruneOptions;

use crate::{BackupError, Repository, Snapshot, error::engine, view::View};

/// What becomes, or would become, of each snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct Forgotten {
    /// What stays and why, the newest of each machine's paths first.
    pub keep: Vec<(Snapshot, Vec<Reason>)>,
    /// What is gone, or would be.
    pub forget: Vec<Snapshot>,
}

impl Repository {
    /// Forgets by the policy, each machine's each set of paths by itself; `dry_run` only says what would be forgotten. The
    /// bytes stay until [`Repository::prune`].
    pub fn forget(&self, policy: &Policy, dry_run: bool) -> Result<Forgotten, BackupError> {
        self.forgotten(&self.snapshots()?, policy, dry_run)
    }

    /// Forgets by the policy, of one machine's one set of paths alone. Answers how many are gone.
    pub fn thin(&self, policy: &Policy, host: &str, paths: &[PathBuf]) -> Result<usize, BackupError> {
        let paths: BTreeSet<_> = paths.iter().collect();
        let mut those = self.snapshots()?;
        those.retain(|one| one.host == host && one.paths.iter().collect::<BTreeSet<_>>() == paths);
        Ok(self.forgotten(&those, policy, false)?.forget.len())
    }

    fn forgotten(
        &self,
        snapshots: &[Snapshot],
        policy: &Policy,
        dry_run: bool,
    ) -> Result<Forgotten, BackupError> {
        let as_counted = |snapshot: &Snapshot| freehold_retention::Snapshot {
            id: snapshot.id.clone(),
            group: (snapshot.host.clone(), snapshot.paths.clone()),
            claimed: snapshot.made,
            // By no zone that the writer chose.
            received: snapshot.received.map(|at| Moment { at, offset: 0 }),
            pinned: snapshot.pinned,
        };
        let choice = choose(policy, &snapshots.iter().map(as_counted).collect::<Vec<_>>());
        let found = |id: &String| snapshots.iter().find(|snapshot| snapshot.id == *id).cloned();
        let forgotten = Forgotten {
            keep: choice.keep.iter().filter_map(|(id, why)| Some((found(id)?, why.clone()))).collect(),
            forget: choice.forget.iter().filter_map(found).collect(),
        };
        if !dry_run && !choice.forget.is_empty() {
            let failed = engine("forgetting", self.place());
            let ids =
                choice.forget.iter().map(|id| id.parse().map_err(&failed)).collect::<Result<Vec<_>, _>>()?;
            self.opened()?.delete_snapshots(&ids).map_err(&failed)?;
        }
        Ok(forgotten)
    }

    /// Removes what no snapshot needs. In two steps, so that a backup that is running meanwhile loses nothing: a pack is
    /// marked first, and removed by a run at least 23 hours later. Refused where an index is false by which something that is
    /// needed could go.
    pub fn prune(&self) -> Result<(), BackupError> {
        let failed = engine("pruning", self.place());
        let view = View::of_now(Arc::clone(self.store())).map_err(&failed)?;
        let (open, options) = (self.opened_through(Arc::new(view))?, PruneOptions::default());
        self.audited(&open)?;
        let plan = open.prune_plan(&options).map_err(&failed)?;
        open.prune(&options, plan).map_err(&failed)
    }
}
