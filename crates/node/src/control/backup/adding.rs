//! Targets and backups, added and removed.

use std::path::PathBuf;
use std::sync::Arc;

use freehold_api::{
    BackupKeep, BackupMetered, BackupPace, BackupTarget, BackupUpkeep, NewBackup, NewBackupTarget, Problem,
    words,
};
use freehold_backup::{BackupError, Password, Repository, Rights, Source, Stop};
use freehold_realm::Side;
use freehold_retention::Schedule;
use freehold_wire::{Millis, NodeId};
use zeroize::Zeroizing;

use super::super::realm::node_named;
use super::{backup_named, bucket, fault, kept, printing};
use crate::backup::{self, Backup, Lodging, Place, Plan, Target, There};
use crate::clock;
use crate::net::called;
use crate::net::lending::{homes, is_room};
use crate::shared::Shared;

pub(super) const NOT_ADDED: &str = "no target was added";
pub(super) const NOT_BACKED_UP: &str = "nothing is backed up";
pub(super) const USAGE: &str = "freehold backup add NAME PATH --to TARGET";
const NAME_MAX: usize = 32;

fn checked(name: &str, not: &str) -> Result<(), Problem> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(fits) || name == "latest" {
        let why = format!("{name:?} is no name for it: up to {NAME_MAX} small letters, digits and hyphens");
        return Err(Problem::invalid(not, why, Some("choose another name")));
    }
    Ok(())
}

pub(super) async fn target(shared: &Arc<Shared>, wish: NewBackupTarget) -> Result<BackupTarget, Problem> {
    let NewBackupTarget { name, password, .. } = &wish;
    if password.as_ref().is_some_and(String::is_empty) {
        let next = "name a file whose first line is the password: --password-file FILE";
        return Err(Problem::invalid(NOT_ADDED, "the password is empty", Some(next)));
    }
    let password = password.clone().map(|password| Password::known(Zeroizing::new(password)));
    checked(name, NOT_ADDED)?;
    let place = place(shared, &wish)?;
    let kept = bucket::keep_key(shared, &place, wish.s3.as_ref())?;
    let added = add_target(shared, (wish.name, wish.pace), place, password).await;
    if added.is_ok() {
        kept.stays();
    }
    added
}

async fn add_target(
    shared: &Arc<Shared>,
    (name, pace): (String, Option<u64>),
    place: Place,
    password: Option<Password>,
) -> Result<BackupTarget, Problem> {
    let backups = &shared.backups_of_files;
    let _turn = backups.turn.lock().await;
    let (plan, me) = (backups.plan(), shared.me());
    if let Some((known, target)) =
        plan.targets.iter().find(|(known, target)| **known == name || target.place.key(me) == place.key(me))
    {
        let why = format!("there is the target {known} already, at {}", target.place.told(shared));
        return Err(Problem::conflict(NOT_ADDED, why, Some("freehold backup list")));
    }
    let (at, to_reach) = (place.clone(), Arc::clone(shared));
    let there = tokio::task::spawn_blocking(move || at.look(&to_reach)).await;
    let there = there.map_err(|error| fault(NOT_ADDED, &error))?;
    let (kept, found) = match (there, password) {
        (There::Unfit(why), _) => {
            let next = match place {
                Place::Folder(_) => {
                    "name an empty directory, or one that is not there yet: freehold backup target add NAME PATH"
                }
                Place::Bucket { .. } => {
                    "see that the bucket is there and the key is let in; beside other things with --prefix NAME"
                }
                _ => "see that that machine runs and is reached, then type it again",
            };
            return Err(Problem::refused(NOT_ADDED, format!("{}: {why}", place.told(shared)), Some(next)));
        }
        (There::Nothing, Some(_)) => {
            let why = format!("there is no backup at {} that a password could open", place.told(shared));
            return Err(Problem::refused(
                NOT_ADDED,
                why,
                Some("leave --password-file out, or check the path"),
            ));
        }
        (There::Nothing, None) => (made(shared, &place).await?, false),
        (There::Repository, Some(password)) => {
            opened(shared, place.clone(), password.clone())
                .await?
                .map_err(|error| backup::problem(NOT_ADDED, &error))?;
            (backup::keep_password(shared, &place, &password).await?, true)
        }
        (There::Repository, None) => (found_again(shared, &place).await?, true),
    };
    let told = place.told(shared);
    let pace = pace.filter(|pace| *pace > 0);
    let target = Target { place, password: kept, pace };
    let at = target.place.clone();
    backups.choose(NOT_ADDED, |plan| drop(plan.targets.insert(name.clone(), target)))?;
    // Whatever burns from now on: with this the realm comes back from there.
    backup::letters::keep(shared, &at).await;
    Ok(BackupTarget { name, place: told, pace, found, upkeep: BackupUpkeep::default() })
}

/// The place that is meant.
fn place(shared: &Arc<Shared>, wish: &NewBackupTarget) -> Result<Place, Problem> {
    let usage = Some(
        "freehold backup target add NAME PATH, or NAME --machine MACHINE, --grant GRANT, or --s3 URL --bucket BUCKET",
    );
    if let Some(store) = &wish.s3 {
        let alone =
            wish.path.is_empty() && wish.machine.is_none() && wish.grant.is_none() && wish.of.is_none();
        if !alone {
            return Err(Problem::invalid(NOT_ADDED, "a target is one place", usage));
        }
        return bucket::place(store, wish.append_only);
    }
    if wish.append_only {
        let why = "of directories, the machine can remove what it can write";
        return Err(Problem::invalid(
            NOT_ADDED,
            why,
            Some("--append-only is for buckets; or: --machine MACHINE"),
        ));
    }
    let of = match &wish.of {
        Some(typed) => node_named(shared, typed)?,
        None => shared.me(),
    };
    match (wish.path.as_str(), &wish.machine, &wish.grant) {
        (path, None, None) if wish.of.is_none() => {
            let path = PathBuf::from(path);
            if !backup::is_plain(&path) {
                let why = format!("{} is no absolute path", path.display());
                return Err(Problem::invalid(NOT_ADDED, why, usage));
            }
            Ok(Place::Folder(path))
        }
        ("", Some(typed), None) => {
            let keeper = node_named(shared, typed)?;
            if keeper == shared.me() {
                let why = format!("{typed} is this machine");
                return Err(Problem::invalid(NOT_ADDED, why, Some("freehold backup target add NAME PATH")));
            }
            Ok(Place::Machine { keeper, of })
        }
        ("", None, Some(typed)) => room(shared, typed, of),
        _ => Err(Problem::invalid(NOT_ADDED, "a target is one place: a path, a machine, or a grant", usage)),
    }
}

/// The room that a grant lends, at its machine that keeps least so far.
fn room(shared: &Arc<Shared>, typed: &str, of: NodeId) -> Result<Place, Problem> {
    let view = shared.log.view();
    let grant = called(shared, view.state()).grant(typed)?;
    let is_one = view.state().grants.get(&grant).is_some_and(|known| is_room(known, Side::Borrows));
    if !is_one {
        let why = format!("{typed} lends this realm no room");
        return Err(Problem::refused(NOT_ADDED, why, Some("freehold grant list")));
    }
    let all = shared.rooms.standings(grant);
    let free = |home: &NodeId| {
        let about = all.get(home).and_then(|said| said.as_ref().ok());
        about.map_or(0, |about| about.room.saturating_sub(about.kept))
    };
    let home = homes(shared, grant).into_iter().max_by_key(free).ok_or_else(|| {
        let why = format!("no machine of {typed} lets this one in yet");
        Problem::unreachable(
            NOT_ADDED,
            why,
            Some(format!("wait a moment and try again; how it stands says: freehold grant show {typed}")),
        )
    })?;
    Ok(Place::Room { grant, home, of })
}

/// Makes a repository. Its password is kept before there is anything that it opens.
async fn made(shared: &Arc<Shared>, place: &Place) -> Result<String, Problem> {
    let drawn = Password::draw().map_err(|e| Problem::bug(NOT_ADDED, e.to_string(), None::<&str>))?;
    let kept = backup::keep_password(shared, place, &drawn).await?;
    let (at, to_reach) = (place.clone(), Arc::clone(shared));
    let made = tokio::task::spawn_blocking(move || at.create(&to_reach, &drawn).map(drop)).await;
    made.map_err(|error| fault(NOT_ADDED, &error))?.map_err(|error| backup::problem(NOT_ADDED, &error))?;
    Ok(kept)
}

async fn opened(
    shared: &Arc<Shared>,
    place: Place,
    password: Password,
) -> Result<Result<Repository, BackupError>, Problem> {
    let shared = Arc::clone(shared);
    let open = move || place.open(&shared, (Rights::Append, None), &password, &Stop::default());
    tokio::task::spawn_blocking(open).await.map_err(|error| fault(NOT_ADDED, &error))
}

/// Tries the passwords that the vault knows on a repository that was made before, perhaps by another machine.
async fn found_again(shared: &Arc<Shared>, place: &Place) -> Result<String, Problem> {
    for (kept, password) in backup::known(shared, place).await? {
        match opened(shared, place.clone(), password).await? {
            Ok(_) => return Ok(kept),
            Err(BackupError::Password { .. }) => {}
            Err(error) => return Err(backup::problem(NOT_ADDED, &error)),
        }
    }
    Err(Problem::refused(
        NOT_ADDED,
        format!(
            "there is a backup at {} already, and no password that this realm knows opens it",
            place.told(shared)
        ),
        Some("freehold backup target add NAME PATH --password-file FILE"),
    ))
}

pub(super) async fn pace(
    shared: &Arc<Shared>,
    name: &str,
    pace: BackupPace,
) -> Result<BackupTarget, Problem> {
    const NOT: &str = "nothing was changed";
    let backups = &shared.backups_of_files;
    let _turn = backups.turn.lock().await;
    if !backups.plan().targets.contains_key(name) {
        let why = format!("there is no target {name:?}");
        return Err(Problem::not_found(NOT, why, Some("freehold backup list")));
    }
    backups.choose(NOT, |plan| {
        if let Some(target) = plan.targets.get_mut(name) {
            target.pace = pace.pace.filter(|pace| *pace > 0);
        }
    })?;
    let all = backup::told::status(shared).targets.into_iter().find(|target| target.name == name);
    all.ok_or_else(|| Problem::not_found(NOT, "it was removed meanwhile", Some("freehold backup list")))
}

pub(super) async fn remove_target(shared: &Arc<Shared>, name: &str) -> Result<(), Problem> {
    const NOT: &str = "no target was removed";
    let backups = &shared.backups_of_files;
    let _turn = backups.turn.lock().await;
    let plan = backups.plan();
    if !plan.targets.contains_key(name) {
        let why = format!("there is no target {name:?}");
        return Err(Problem::not_found(NOT, why, Some("freehold backup list")));
    }
    if let Some((used, _)) = plan.backups.iter().find(|(_, backup)| backup.to.contains(name)) {
        let next = format!("freehold backup remove {}", words::typed(used));
        return Err(Problem::refused(NOT, format!("the backup {used} goes there"), Some(next)));
    }
    let mut removed = None;
    backups.choose(NOT, |plan| removed = plan.targets.remove(name))?;
    if let Some(target) = removed {
        bucket::forget_key(shared, &target.place);
    }
    Ok(())
}

pub(super) async fn backup(shared: &Arc<Shared>, wish: NewBackup) -> Result<(), Problem> {
    checked(&wish.name, NOT_BACKED_UP)?;
    let every = Millis(wish.every_ms);
    Schedule::new(every)
        .map_err(|bad| Problem::invalid(NOT_BACKED_UP, bad.to_string(), Some("--every hour")))?;
    let backups = &shared.backups_of_files;
    let (buckets, databases) = (wish.buckets.clone(), wish.databases.clone());
    let lodged = Lodging { buckets, databases, everything: wish.everything };
    let paths = match (wish.command.is_empty(), lodged.is_nothing()) {
        (true, true) => paths(&wish, backups.never(&shared.home)).await?,
        (false, true) => vec![printing::file(&wish)?],
        (_, false) => kept::paths(shared, &wish)?,
    };
    let _turn = backups.turn.lock().await;
    let plan = backups.plan();
    if plan.backups.contains_key(&wish.name) {
        let why = format!("there is a backup {} already", wish.name);
        let next = format!("choose another name, or first: freehold backup remove {}", wish.name);
        return Err(Problem::conflict(NOT_BACKED_UP, why, Some(next)));
    }
    if let Some(unknown) = wish.to.iter().find(|target| !plan.targets.contains_key(*target)) {
        let why = format!("there is no target {unknown:?}");
        let next = format!("freehold backup target add {} PATH", words::typed(unknown));
        return Err(Problem::not_found(NOT_BACKED_UP, why, Some(next)));
    }
    if wish.to.is_empty() {
        return Err(Problem::invalid(NOT_BACKED_UP, "no target was named", Some(USAGE)));
    }
    is_alone(&wish, &paths, &plan)?;
    let made = Backup {
        id: backup::short_id(),
        paths,
        command: wish.command,
        kept: lodged,
        exclude: wish.exclude,
        git_ignore: wish.git_ignore,
        one_file_system: wish.one_file_system,
        on_metered: wish.on_metered,
        every_ms: wish.every_ms,
        to: wish.to.into_iter().collect(),
        added_ms: clock::wall().0,
        keep: wish.keep,
    };
    backups.choose(NOT_BACKED_UP, |plan| drop(plan.backups.insert(wish.name, made)))
}

/// The paths that are to be backed up, once it was seen that they can be.
async fn paths(wish: &NewBackup, never: Vec<PathBuf>) -> Result<Vec<PathBuf>, Problem> {
    let paths: Vec<PathBuf> = wish.paths.iter().map(PathBuf::from).collect();
    if paths.is_empty() {
        return Err(Problem::invalid(NOT_BACKED_UP, "no path was named", Some(USAGE)));
    }
    for path in &paths {
        if !backup::is_plain(path) {
            let why = format!("{} is no absolute path", path.display());
            return Err(Problem::invalid(NOT_BACKED_UP, why, Some(USAGE)));
        }
    }
    let source = source(wish, &paths);
    let readable = tokio::task::spawn_blocking(move || readable(&source, &never));
    readable.await.map_err(|error| fault(NOT_BACKED_UP, &error))??;
    Ok(Source::in_order(paths))
}

fn source(wish: &NewBackup, paths: &[PathBuf]) -> Source {
    Source {
        paths: paths.to_vec(),
        excludes: wish.exclude.clone(),
        git_ignore: wish.git_ignore,
        one_file_system: wish.one_file_system,
        ..Source::default()
    }
}

/// Refuses what the first run would fail at, as the system says it: a service's user may not look into a person's home.
fn readable(source: &Source, never: &[PathBuf]) -> Result<(), Problem> {
    let next = Some("name a path that this node can read, and patterns as in a .gitignore");
    source.check().map_err(|error| Problem::refused(NOT_BACKED_UP, error.to_string(), next))?;
    let never: Vec<PathBuf> = never.iter().filter_map(|path| path.canonicalize().ok()).collect();
    for path in &source.paths {
        let within = |real: PathBuf| never.iter().any(|never| real.starts_with(never));
        if path.canonicalize().is_ok_and(within) {
            let why = format!(
                "{} lies in what is in no backup: a target, or the node's own folder",
                path.display()
            );
            return Err(Problem::refused(NOT_BACKED_UP, why, Some("name another path")));
        }
    }
    Ok(())
}

/// Snapshots are told apart by what they are of: two things by the same name would be one history.
fn is_alone(wish: &NewBackup, paths: &[PathBuf], plan: &Plan) -> Result<(), Problem> {
    let are_files =
        wish.command.is_empty() && wish.buckets.is_empty() && wish.databases.is_empty() && !wish.everything;
    let differs = |other: &Backup| {
        other.paths == paths && !(are_files && other.command.is_empty() && other.kept.is_nothing())
    };
    let Some((other, _)) = plan.backups.iter().find(|(_, other)| differs(other)) else { return Ok(()) };
    let why = format!("snapshots of {other} are called as those would be, and one could not tell them apart");
    let next = "name something besides; or give the file another name: --file NAME";
    Err(Problem::conflict(NOT_BACKED_UP, why, Some(next)))
}

pub(super) async fn remove_backup(shared: &Arc<Shared>, name: &str) -> Result<(), Problem> {
    const NOT: &str = "nothing was changed";
    let backups = &shared.backups_of_files;
    let _turn = backups.turn.lock().await;
    backup_named(shared, name, NOT)?;
    backups.choose(NOT, |plan| drop(plan.backups.remove(name)))
}

pub(super) async fn keep(shared: &Arc<Shared>, name: &str, keep: BackupKeep) -> Result<(), Problem> {
    const NOT: &str = "nothing was changed";
    let backups = &shared.backups_of_files;
    let _turn = backups.turn.lock().await;
    backup_named(shared, name, NOT)?;
    backups.choose(NOT, |plan| {
        if let Some(backup) = plan.backups.get_mut(name) {
            backup.keep = keep;
        }
    })
}

pub(super) async fn metered(shared: &Arc<Shared>, name: &str, wish: BackupMetered) -> Result<(), Problem> {
    const NOT: &str = "nothing was changed";
    let backups = &shared.backups_of_files;
    let _turn = backups.turn.lock().await;
    backup_named(shared, name, NOT)?;
    backups.choose(NOT, |plan| {
        if let Some(backup) = plan.backups.get_mut(name) {
            backup.on_metered = wish.on_metered;
        }
    })
}
