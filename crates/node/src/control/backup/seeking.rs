//! Looking for something in the snapshots of a target, by its name.

use std::sync::Arc;

use freehold_api::{BackupFound, BackupHit, BackupSought, Problem};
use freehold_backup::{Hits, Snapshot, Sought};

use super::{Meant, NOT_LOOKED, entry, looked_at, named, snapshot};
use crate::backup;
use crate::shared::Shared;

/// So many finds are told: more are a pattern that says too little.
const FOUND_MAX: usize = 500;
const UNREAD_MAX: usize = 20;

pub(super) async fn seek(shared: &Arc<Shared>, wish: BackupSought) -> Result<BackupFound, Problem> {
    let sought = Sought::new(&wish.pattern).map_err(|why| {
        let next = Some("freehold backup find letter    (a part of the name; or with * ? and [])");
        Problem::invalid(NOT_LOOKED, format!("{:?} is no pattern: {why}", wish.pattern), next)
    })?;
    let (name, target) = named(shared, wish.target.as_deref(), NOT_LOOKED)?;
    let meant = wish.snapshot.is_some().then(|| Meant::of(shared, wish.snapshot));
    let (all, hits) = looked_at(shared, target, NOT_LOOKED, move |repository| {
        let problem = |error| backup::problem(NOT_LOOKED, &error);
        let only = meant.map(|meant| meant.among(repository, NOT_LOOKED)).transpose()?;
        let mut all = repository.snapshots().map_err(problem)?;
        all.retain(|one| only.as_ref().is_none_or(|only| one.id == *only));
        all.reverse();
        let hits = repository.seek(&sought, &all, FOUND_MAX).map_err(problem)?;
        Ok((all, hits))
    })
    .await?;
    Ok(told(&all, &hits, &name))
}

fn told(all: &[Snapshot], hits: &Hits, target: &str) -> BackupFound {
    let hit = |hit: &freehold_backup::Hit| {
        let snapshot = snapshot(all.get(hit.newest)?, target);
        Some(BackupHit { entry: entry(&hit.entry), snapshot, snapshots: hit.snapshots })
    };
    let unread = hits.unread.iter().take(UNREAD_MAX).map(|(dir, why)| format!("{}: {why}", dir.display()));
    BackupFound {
        found: hits.found.iter().filter_map(hit).collect(),
        more: hits.more,
        unread: unread.collect(),
    }
}
