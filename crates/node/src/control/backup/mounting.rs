//! A repository that is open for somebody who walks through it as through a folder: the node has the password and the way
//! to the target, whoever asks has the folder.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use freehold_api::{
    BackupBytes, BackupEvent, BackupEvents, BackupLook, BackupMount, BackupMounted, BackupNode,
    BackupNodeKind, BackupProgress, BackupRead, BackupRoot, BackupTree, Problem,
};
use freehold_backup::{BackupError, Browsing, Leaf, LeafKind, Repository, Rights, Snapshot, Stop};
use futures::StreamExt as _;

use super::{Meant, NOT_LOOKED, backup_named, fault, named, snapshot};
use crate::backup::{self, Mounted, StopsWhenDropped, Target};
use crate::shared::Shared;

const NOT_MOUNTED: &str = "nothing was mounted";
const NOT_READ: &str = "a part of the backup was not read";
/// Says to whoever walks that the node is there, and to the node that they are.
const BEAT_EVERY: Duration = Duration::from_secs(10);

/// Which snapshots are wanted.
struct Wanted {
    /// Those of a backup.
    of: Option<Meant>,
    one: Option<Meant>,
}

impl Wanted {
    fn among(&self, repository: &Repository) -> Result<Vec<Snapshot>, Problem> {
        let mut all = repository.snapshots().map_err(|error| backup::problem(NOT_MOUNTED, &error))?;
        if let Some((host, paths)) = self.of.as_ref().and_then(|of| of.backup.as_ref()) {
            let is_of = |one: &Snapshot| {
                one.host == *host && one.paths.iter().cloned().collect::<BTreeSet<_>>() == *paths
            };
            all.retain(is_of);
        }
        if let Some(one) = &self.one {
            let id = one.among(repository, NOT_MOUNTED)?;
            all.retain(|one| one.id == id);
        }
        if all.is_empty() {
            let next = Some("freehold backup now NAME    (freehold backup snapshots lists what is there)");
            return Err(Problem::not_found(NOT_MOUNTED, "there is no such snapshot", next));
        }
        Ok(all)
    }
}

/// The target that is meant: what was said, or the only one that the backup goes to.
fn target_of(shared: &Shared, wish: &BackupMount) -> Result<Option<String>, Problem> {
    let Some(name) = &wish.backup else { return Ok(wish.target.clone()) };
    let to = backup_named(shared, name, NOT_MOUNTED)?.to;
    if wish.target.is_some() {
        return Ok(wish.target.clone());
    }
    let mut targets = to.iter();
    match (targets.next(), targets.next()) {
        (Some(_), Some(_)) => {
            let why = format!(
                "{name} goes to several targets: {}",
                to.iter().cloned().collect::<Vec<_>>().join(", ")
            );
            Err(Problem::invalid(NOT_MOUNTED, why, Some("say which: --from TARGET")))
        }
        (only, _) => Ok(only.cloned()),
    }
}

/// Opens the repository of a target, to be read for as long as nobody asks it to stop.
async fn open(
    shared: &Arc<Shared>,
    target: Target,
    wanted: Wanted,
    stop: &Stop,
) -> Result<(Vec<Snapshot>, Browsing), Problem> {
    let password = backup::password_of(shared, &target).await?;
    let (to_reach, stopped) = (Arc::clone(shared), stop.clone());
    let opening = tokio::task::spawn_blocking(move || {
        let problem = |error: BackupError| backup::problem(NOT_MOUNTED, &error);
        let repository = target.open(&to_reach, Rights::Append, &password, &stopped).map_err(problem)?;
        // Before the indexes are read: what a snapshot needs is in one before the snapshot is there.
        let all = wanted.among(&repository)?;
        Ok((all, repository.browse().map_err(problem)?))
    });
    opening.await.unwrap_or_else(|error| Err(fault(NOT_MOUNTED, &error)))
}

fn mounted(id: String, target: &str, all: &[Snapshot]) -> BackupMounted {
    let root = |one: &Snapshot| BackupRoot { snapshot: snapshot(one, target), tree: one.root.clone() };
    BackupMounted { id, target: target.to_owned(), snapshots: all.iter().map(root).collect() }
}

pub(super) async fn look(shared: &Arc<Shared>, wish: BackupLook) -> Result<BackupMounted, Problem> {
    let (name, target) = named(shared, wish.target.as_deref(), NOT_LOOKED)?;
    let mounts = &shared.backups_of_files.mounts;
    let ended = shared.backups_of_files.ended_at(&name);
    if let Some((id, all)) = mounts.looked(&name, ended, wish.newest) {
        return Ok(mounted(id, &name, &all));
    }
    let stop = StopsWhenDropped(Stop::default());
    let (all, browsing) = open(shared, target, Wanted { of: None, one: None }, &stop.0).await?;
    let all = Arc::new(all);
    let id = mounts.look(name.clone(), ended, Arc::clone(&all), browsing, stop);
    Ok(mounted(id, &name, &all))
}

pub(super) async fn mount(shared: &Arc<Shared>, wish: BackupMount) -> Result<BackupEvents, Problem> {
    let (name, target) = named(shared, target_of(shared, &wish)?.as_deref(), NOT_MOUNTED)?;
    let meant = |wanted: Option<String>| wanted.map(|wanted| Meant::of(shared, Some(wanted)));
    let wanted = Wanted { of: meant(wish.backup), one: meant(wish.snapshot) };
    let stop = StopsWhenDropped(Stop::default());
    let (all, browsing) = open(shared, target, wanted, &stop.0).await?;
    let kept = Mounted::new(shared, browsing).ok_or_else(|| {
        let why = "so many backups are mounted already that the node keeps no more of them open";
        Problem::refused(NOT_MOUNTED, why, Some("unmount one: umount FOLDER"))
    })?;
    let first = mounted(kept.id(), &name, &all);
    let ends = shared.stop.clone();
    let state = (Some(first), kept, stop, ends);
    Ok(futures::stream::unfold(state, move |(first, mounted, stop, ends)| async move {
        if let Some(first) = first {
            return Some((BackupEvent::Mounted(first), (None, mounted, stop, ends)));
        }
        tokio::select! {
            () = ends.cancelled() => None,
            () = tokio::time::sleep(BEAT_EVERY) => {
                let beat = BackupEvent::Progress(BackupProgress { done: 0, total: 0 });
                Some((beat, (None, mounted, stop, ends)))
            }
        }
    })
    .boxed())
}

pub(super) async fn nodes(
    shared: &Shared,
    mount: &str,
    wish: BackupTree,
) -> Result<Vec<BackupNode>, Problem> {
    let BackupTree { tree, only } = wish;
    // A name that makes no sense is nobody's.
    let only = only.map(|only| only.bytes().unwrap_or_default());
    let mut leaves = read(shared, mount, move |browsing| browsing.entries(&tree)).await?;
    leaves.retain(|leaf| only.as_ref().is_none_or(|only| leaf.name == *only));
    Ok(leaves.into_iter().map(node).collect())
}

pub(super) async fn bytes(shared: &Shared, mount: &str, wish: BackupRead) -> Result<Bytes, Problem> {
    let at = usize::try_from(wish.at).unwrap_or(usize::MAX);
    read(shared, mount, move |browsing| browsing.read(&wish.tree, at, wish.offset, wish.length)).await
}

async fn read<T: Send + 'static>(
    shared: &Shared,
    mount: &str,
    work: impl FnOnce(&Browsing) -> Result<T, BackupError> + Send + 'static,
) -> Result<T, Problem> {
    let browsing = shared.backups_of_files.mounts.get(mount).ok_or_else(|| {
        let next = Some("freehold backup mount FOLDER");
        Problem::not_found(NOT_READ, "it is mounted no longer, as far as the node knows", next)
    })?;
    let reading = tokio::task::spawn_blocking(move || {
        work(&browsing).map_err(|error| {
            let why = error.to_string();
            match error {
                error if error.is_away() => backup::problem(NOT_READ, &error),
                _ => Problem::corrupt(NOT_READ, why, Some("freehold backup check --read")),
            }
        })
    });
    reading.await.unwrap_or_else(|error| Err(fault(NOT_READ, &error)))
}

fn node(leaf: Leaf) -> BackupNode {
    BackupNode {
        at: leaf.at as u64,
        name: leaf.name.into(),
        kind: match leaf.kind {
            LeafKind::File => BackupNodeKind::File,
            LeafKind::Dir(tree) => BackupNodeKind::Dir(tree),
            LeafKind::Link(to) => BackupNodeKind::Link(BackupBytes::from(to)),
            LeafKind::Pipe => BackupNodeKind::Pipe,
            LeafKind::Socket => BackupNodeKind::Socket,
            LeafKind::Block(number) => BackupNodeKind::Block(number),
            LeafKind::Char(number) => BackupNodeKind::Char(number),
        },
        mode: leaf.mode,
        user: leaf.user,
        group: leaf.group,
        size: leaf.size,
        links: leaf.links,
        times: leaf.times.iter().map(|time| (time.seconds, time.nanos)).collect(),
    }
}
