//! Backups, from the API to the plan, and to repositories.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use freehold_api::{
    BackupAsked, BackupCheck, BackupControl, BackupEntry, BackupEntryKind, BackupEvent, BackupEvents,
    BackupFinding, BackupForget, BackupForgotten, BackupFound, BackupKeep, BackupLook, BackupMetered,
    BackupMount, BackupMounted, BackupNode, BackupPace, BackupPassword, BackupPlace, BackupProgress,
    BackupRead, BackupRestore, BackupRestored, BackupSnapshot, BackupSought, BackupSpare, BackupStatus,
    BackupTarget, BackupTree, BackupUnprotected, Backups, NewBackup, NewBackupTarget, Problem,
};
use freehold_backup::{BackupError, Kind, Meter, Repository, Rights, Snapshot, Stop};
use futures::StreamExt as _;

use self::meant::Meant;
use super::Answers;
use crate::backup::{self, Backup, Remover, StopsWhenDropped, Target};
use crate::shared::Shared;

mod adding;
mod bucket;
mod comparing;
mod kept;
mod meant;
mod mounting;
mod printing;
mod seeking;

/// How often it is told how far something is.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// What somebody asks for waits so long for what is under way.
const ALONE_WITHIN: Duration = Duration::from_secs(20);
const NOT_LOOKED: &str = "nothing was looked up";
const NOT_RESTORED: &str = "nothing was restored";

#[async_trait]
impl BackupControl for Answers {
    async fn backups(&self) -> Result<Backups, Problem> {
        if let Some(why) = self.0.backups_of_files.unreadable() {
            let next = "move that file aside, then: freehold stop && freehold up";
            return Err(Problem::corrupt("nobody knows what is backed up", why, Some(next)));
        }
        Ok(backup::told::status(&self.0))
    }

    async fn add_backup_target(&self, wish: NewBackupTarget) -> Result<BackupTarget, Problem> {
        self.0.to_the_end(|shared| async move { adding::target(&shared, wish).await }).await
    }

    async fn pace_backup_target(&self, name: &str, pace: BackupPace) -> Result<BackupTarget, Problem> {
        let name = name.to_owned();
        self.0.to_the_end(|shared| async move { adding::pace(&shared, &name, pace).await }).await
    }

    async fn remove_backup_target(&self, name: &str) -> Result<(), Problem> {
        let name = name.to_owned();
        self.0.to_the_end(|shared| async move { adding::remove_target(&shared, &name).await }).await
    }

    async fn backup_password(&self, target: &str) -> Result<BackupPassword, Problem> {
        let target = named(&self.0, Some(target), "no password was given out")?.1;
        let password = backup::password_of(&self.0, &target).await?;
        Ok(BackupPassword { place: target.place.told(&self.0), password: password.reveal().to_owned() })
    }

    async fn add_backup(&self, wish: NewBackup) -> Result<BackupStatus, Problem> {
        let name = wish.name.clone();
        self.0.to_the_end(|shared| async move { adding::backup(&shared, wish).await }).await?;
        listed(&self.0, &name)
    }

    async fn remove_backup(&self, name: &str) -> Result<(), Problem> {
        let name = name.to_owned();
        self.0.to_the_end(|shared| async move { adding::remove_backup(&shared, &name).await }).await
    }

    async fn back_up_now(&self, name: &str) -> Result<Vec<BackupAsked>, Problem> {
        let backup = backup_named(&self.0, name, "nothing was backed up")?;
        Ok(self.0.backups_of_files.ask(name, &backup.to))
    }

    async fn keep_backups(&self, name: &str, keep: BackupKeep) -> Result<BackupStatus, Problem> {
        let named = name.to_owned();
        let kept = |shared: Arc<Shared>| async move { adding::keep(&shared, &named, keep).await };
        self.0.to_the_end(kept).await?;
        listed(&self.0, name)
    }

    async fn meter_backup(&self, name: &str, wish: BackupMetered) -> Result<BackupStatus, Problem> {
        let named = name.to_owned();
        self.0.to_the_end(|shared| async move { adding::metered(&shared, &named, wish).await }).await?;
        listed(&self.0, name)
    }

    async fn accept_backup(&self, name: &str) -> Result<BackupStatus, Problem> {
        let backup = backup_named(&self.0, name, "nothing was accepted")?;
        self.0.backups_of_files.accept(name, &backup);
        listed(&self.0, name)
    }

    async fn unprotected(&self) -> Result<BackupUnprotected, Problem> {
        backup::guarding::unprotected(&self.0).await
    }

    async fn spare_from_backup(&self, wish: BackupSpare) -> Result<BackupUnprotected, Problem> {
        self.0.to_the_end(|shared| async move { backup::guarding::spare(&shared, wish).await }).await
    }

    async fn backup_snapshots(&self, place: BackupPlace) -> Result<Vec<BackupSnapshot>, Problem> {
        let (name, target) = named(&self.0, place.target.as_deref(), NOT_LOOKED)?;
        let listed = looked_at(&self.0, target, NOT_LOOKED, |repository| {
            repository.snapshots().map_err(|error| backup::problem(NOT_LOOKED, &error))
        })
        .await?;
        Ok(listed.iter().map(|one| snapshot(one, &name)).collect())
    }

    async fn backup_entries(&self, place: BackupPlace) -> Result<Vec<BackupEntry>, Problem> {
        let (_, target) = named(&self.0, place.target.as_deref(), NOT_LOOKED)?;
        let meant = Meant::of(&self.0, place.snapshot).with(place.path.as_deref());
        looked_at(&self.0, target, NOT_LOOKED, move |repository| {
            let snapshot = meant.among(repository, NOT_LOOKED)?;
            let listed = repository.list(&snapshot, place.path.as_deref().map(Path::new));
            let listed = listed.map_err(|error| backup::problem(NOT_LOOKED, &error))?;
            Ok(listed.iter().map(entry).collect())
        })
        .await
    }

    async fn seek_backup(&self, sought: BackupSought) -> Result<BackupFound, Problem> {
        seeking::seek(&self.0, sought).await
    }

    async fn mount_backup(&self, wish: BackupMount) -> Result<BackupEvents, Problem> {
        mounting::mount(&self.0, wish).await
    }

    async fn look_into_backups(&self, wish: BackupLook) -> Result<BackupMounted, Problem> {
        mounting::look(&self.0, wish).await
    }

    async fn mounted_nodes(&self, mount: &str, wish: BackupTree) -> Result<Vec<BackupNode>, Problem> {
        mounting::nodes(&self.0, mount, wish).await
    }

    async fn mounted_bytes(&self, mount: &str, wish: BackupRead) -> Result<Bytes, Problem> {
        mounting::bytes(&self.0, mount, wish).await
    }

    async fn restore_backup(&self, wish: BackupRestore) -> Result<BackupEvents, Problem> {
        let BackupRestore { from, to, dry_run } = wish;
        let to = PathBuf::from(to);
        if !backup::is_plain(&to) {
            let why = format!("{} is no absolute path", to.display());
            return Err(Problem::invalid(NOT_RESTORED, why, Some("freehold backup restore --to DIR")));
        }
        let (_, target) = named(&self.0, from.target.as_deref(), NOT_RESTORED)?;
        let meant = Meant::of(&self.0, from.snapshot).with(from.path.as_deref());
        events(&self.0, target, Rights::Append, NOT_RESTORED, move |repository| {
            let snapshot = meant.among(repository, NOT_RESTORED)?;
            if dry_run {
                return comparing::compared(repository, &snapshot, from.path.as_deref(), &to);
            }
            let restored = repository.restore(&snapshot, from.path.as_deref().map(Path::new), &to);
            let restored = restored.map_err(|error| backup::problem(NOT_RESTORED, &error))?;
            Ok(BackupEvent::Restored(BackupRestored {
                files: restored.files,
                bytes: restored.bytes,
                unchanged: restored.unchanged,
                failed: restored.failed,
                named: restored.named.iter().map(|f| format!("{}: {}", f.path.display(), f.why)).collect(),
            }))
        })
        .await
    }

    async fn check_backup(&self, wish: BackupCheck) -> Result<BackupEvents, Problem> {
        const NOT: &str = "nothing was checked";
        let (name, target) = named(&self.0, wish.target.as_deref(), NOT)?;
        let shared = Arc::clone(&self.0);
        events(&self.0, target, Rights::Append, NOT, move |repository| {
            let found = repository.check(wish.read).map_err(|error| backup::problem(NOT, &error))?;
            if wish.read {
                shared.backups_of_files.found(&name, &found);
            }
            let finding =
                |found: freehold_backup::Finding| BackupFinding { severe: found.severe, what: found.what };
            Ok(BackupEvent::Checked { findings: found.into_iter().map(finding).collect() })
        })
        .await
    }

    async fn forget_backups(&self, wish: BackupForget) -> Result<BackupEvents, Problem> {
        const NOT: &str = "nothing was forgotten";
        let (name, target) = named(&self.0, wish.target.as_deref(), NOT)?;
        let BackupForget { last, hourly, daily, weekly, monthly, yearly, .. } = wish;
        let policy = backup::policy(&BackupKeep { last, hourly, daily, weekly, monthly, yearly });
        if policy.is_empty() {
            let next = "freehold backup forget --daily 7 --weekly 5 --monthly 12 --dry-run";
            return Err(Problem::invalid(NOT, "it was not said what is to stay", Some(next)));
        }
        if let Some(remover) = target.place.remover(&self.0).filter(|_| !wish.dry_run) {
            return Err(only_adds(&self.0, NOT, &remover));
        }
        let rights = if wish.dry_run { Rights::Append } else { Rights::Prune };
        let alone = if wish.dry_run { None } else { Some(Alone::at(&self.0, &name, NOT).await?) };
        events(&self.0, target, rights, NOT, move |repository| {
            let _alone = alone;
            let failed = |error: BackupError| backup::problem(NOT, &error);
            let done = repository.forget(&policy, wish.dry_run).map_err(failed)?;
            if !wish.dry_run {
                let what = "what was forgotten still takes room";
                repository.prune().map_err(|error| backup::problem(what, &error))?;
            }
            Ok(BackupEvent::Forgotten(BackupForgotten {
                dry_run: wish.dry_run,
                kept: done.keep.iter().map(|(one, _)| snapshot(one, &name)).collect(),
                forgotten: done.forget.iter().map(|one| snapshot(one, &name)).collect(),
            }))
        })
        .await
    }
}

/// What can be added to from here and not removed, another machine removes.
fn only_adds(shared: &Shared, not: &str, remover: &Remover) -> Problem {
    let why =
        "this machine may add to what lies there and read it; whoever takes it cannot destroy what was kept";
    let me = shared.name_of(shared.me());
    let (why, next) = match remover {
        Remover::Keeper(keeper) => (
            why.to_owned(),
            format!("on {keeper}: freehold backup forget --from {me} --daily 7 --weekly 5 --monthly 12"),
        ),
        Remover::Lender => (
            format!("{why}; in room that another realm lends nothing is forgotten yet"),
            "ask for more room, or begin anew under another grant".to_owned(),
        ),
        Remover::OtherKey => (
            why.to_owned(),
            "on a machine whose access key may delete, add the bucket without --append-only, and forget there"
                .to_owned(),
        ),
    };
    Problem::refused(not, why, Some(next))
}

/// How one stands that was changed just now.
fn listed(shared: &Shared, name: &str) -> Result<BackupStatus, Problem> {
    let made = backup::told::of(shared, name);
    made.ok_or_else(|| Problem::bug("the backup was changed and is not listed", name, None::<&str>))
}

/// As long as it is there, no run begins at a target.
struct Alone(Arc<Shared>, String);

impl Alone {
    /// Waits a while for what is under way there.
    async fn at(shared: &Arc<Shared>, target: &str, not: &str) -> Result<Self, Problem> {
        let patience = tokio::time::Instant::now() + ALONE_WITHIN;
        while tokio::time::Instant::now() < patience {
            if shared.backups_of_files.prunes(target) {
                return Ok(Self(Arc::clone(shared), target.to_owned()));
            }
            tokio::time::sleep(TELL_EVERY).await;
        }
        let why = format!("something is under way at {target}, and has in it what no snapshot names yet");
        Err(Problem::conflict(not, why, Some("wait until it is over: freehold backup list")))
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.0.backups_of_files.is_pruned(&self.1);
    }
}

fn snapshot(one: &Snapshot, target: &str) -> BackupSnapshot {
    BackupSnapshot {
        id: one.id.clone(),
        target: target.to_owned(),
        made_ms: one.made.at.0,
        machine: one.host.clone(),
        paths: one.paths.iter().map(|path| path.display().to_string()).collect(),
        files: one.files,
        bytes: one.bytes,
    }
}

fn entry(one: &freehold_backup::Entry) -> BackupEntry {
    BackupEntry {
        path: one.path.display().to_string(),
        kind: match one.kind {
            Kind::File => BackupEntryKind::File,
            Kind::Dir => BackupEntryKind::Dir,
            Kind::Link => BackupEntryKind::Link,
            Kind::Other => BackupEntryKind::Other,
        },
        size: one.size,
        modified_ms: one.modified.map(|modified| modified.at.0),
    }
}

/// The target that is meant; without a name the only one.
fn named(shared: &Shared, wanted: Option<&str>, not: &str) -> Result<(String, Target), Problem> {
    let mut targets = shared.backups_of_files.plan().targets;
    let kept = shared.backups_of_files.shelves.whose().into_iter().map(|of| {
        (
            shared.name_of(of),
            Target { place: backup::Place::Kept { of }, password: String::new(), pace: None },
        )
    });
    // A name that somebody chose here goes before that of another machine, and where none is said only what was chosen
    // here is meant.
    if wanted.is_some() || targets.is_empty() {
        for (name, target) in kept {
            targets.entry(name).or_insert(target);
        }
    }
    let none = "freehold backup target add NAME PATH";
    match (wanted, targets.len()) {
        (_, 0) => Err(Problem::not_found(not, "there is no target for backups", Some(none))),
        (Some(name), _) => targets.remove_entry(name).ok_or_else(|| {
            Problem::not_found(not, format!("there is no target {name:?}"), Some("freehold backup list"))
        }),
        (None, 1) => targets.pop_first().ok_or_else(|| Problem::not_found(not, "there is none", Some(none))),
        (None, _) => {
            let names: Vec<&str> = targets.keys().map(String::as_str).collect();
            let why = format!("there are several targets: {}", names.join(", "));
            Err(Problem::invalid(not, why, Some("say which: freehold backup list")))
        }
    }
}

fn backup_named(shared: &Shared, name: &str, not: &str) -> Result<Backup, Problem> {
    shared.backups_of_files.plan().backups.remove(name).ok_or_else(|| {
        Problem::not_found(not, format!("there is no backup {name:?}"), Some("freehold backup list"))
    })
}

fn fault(not: &str, error: &tokio::task::JoinError) -> Problem {
    Problem::bug(not, error.to_string(), None::<&str>)
}

/// Looks something up in a repository.
async fn looked_at<T: Send + 'static>(
    shared: &Arc<Shared>,
    target: Target,
    not: &'static str,
    work: impl FnOnce(&Repository) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let password = backup::password_of(shared, &target).await?;
    let to_reach = Arc::clone(shared);
    let stop = StopsWhenDropped(Stop::default());
    let stopped = stop.0.clone();
    let looking = tokio::task::spawn_blocking(move || {
        let repository = target.open(&to_reach, Rights::Append, &password, &stopped);
        work(&repository.map_err(|error| backup::problem(not, &error))?)
    });
    looking.await.unwrap_or_else(|error| Err(fault(not, &error)))
}

/// Does something that takes long, and tells how far it is.
async fn events(
    shared: &Arc<Shared>,
    target: Target,
    rights: Rights,
    not: &'static str,
    work: impl FnOnce(&Repository) -> Result<BackupEvent, Problem> + Send + 'static,
) -> Result<BackupEvents, Problem> {
    let password = backup::password_of(shared, &target).await?;
    let to_reach = Arc::clone(shared);
    let stop = StopsWhenDropped(Stop::default());
    let (stopped, meter) = (stop.0.clone(), Arc::new(OnceLock::<Meter>::new()));
    let shown = Arc::clone(&meter);
    let working = tokio::task::spawn_blocking(move || {
        let repository = target.open(&to_reach, rights, &password, &stopped);
        let repository = repository.map_err(|error| backup::problem(not, &error))?;
        drop(shown.set(repository.meter().clone()));
        work(&repository)
    });
    let ends = shared.stop.clone();
    let state = Some((working, stop, meter, ends));
    Ok(futures::stream::unfold(state, move |state| async move {
        let (mut working, stop, meter, ends) = state?;
        tokio::select! {
            ended = &mut working => {
                let event = match ended {
                    Ok(Ok(event)) => event,
                    Ok(Err(problem)) => BackupEvent::Failed(problem),
                    Err(error) => BackupEvent::Failed(fault(not, &error)),
                };
                return Some((event, None));
            }
            () = ends.cancelled(), if !stop.0.is_asked() => stop.0.ask(),
            () = tokio::time::sleep(TELL_EVERY) => {}
        }
        let (done, total) = meter.get().map(|meter| (meter.done(), meter.total())).unwrap_or_default();
        let progress = BackupEvent::Progress(BackupProgress { done, total });
        Some((progress, Some((working, stop, meter, ends))))
    })
    .boxed())
}
