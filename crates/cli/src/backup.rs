//! `freehold backup`: files of this machine in restic's format, on targets of one's own.

pub(crate) mod args;
mod comparing;
mod guarding;
mod mounting;
mod told;
mod zfs;

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use freehold_api::words::{self, bytes, count, span};
use freehold_api::{
    BackupAsked, BackupCheck, BackupEntry, BackupEntryKind, BackupEvent, BackupFinding, BackupForget,
    BackupForgotten, BackupMetered, BackupPace, BackupPlace, BackupProgress, BackupRestore, BackupRestored,
    BackupSnapshot, BackupSought, BackupStanding, BackupStatus, Client, NewBackup, NewBackupTarget, NewStore,
    Problem,
};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use zeroize::Zeroizing;

use self::args::{AddArgs, BackupCommand, BucketArgs, ForgetArgs, FromArgs, RestoreArgs, TargetCommand};
use self::told::{adopted, kept, lines_of, list, target_line};
use crate::ask::show;
use crate::key::{not_written, private_file};
use crate::terminal::Terminal;

/// How often it is asked how far a run is.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A password of restic's is a line.
const PASSWORD_MAX: u64 = 4096;

pub(crate) async fn backup(
    terminal: Terminal,
    client: &Client,
    command: BackupCommand,
) -> Result<(), Problem> {
    match command {
        BackupCommand::Target { command } => target(terminal, client, command).await,
        BackupCommand::Add(wish) => {
            let made = client.add_backup(&new_backup(wish)?).await?;
            show(terminal, &made, |made| lines_of(made).join("\n"))
        }
        BackupCommand::List => show(terminal, &client.backups_of_files().await?, list),
        BackupCommand::Zfs { command } => zfs::zfs(terminal, client, command).await,
        BackupCommand::Now { name } => now(terminal, client, &name).await,
        BackupCommand::Keep { name, counts } => {
            let made = client.keep_backups(&name, &counts.keep()?).await?;
            show(terminal, &made, |made| format!("  {} {}.", made.name, kept(&made.keep)))
        }
        BackupCommand::Metered { name, what } => {
            let wish = BackupMetered { on_metered: what == args::OnMetered::Go };
            let made = client.meter_backup(&name, &wish).await?;
            show(terminal, &made, |made| lines_of(made).join("\n"))
        }
        BackupCommand::Accept { name } => {
            let made = client.accept_backup(&name).await?;
            show(terminal, &made, |made| {
                format!(
                    "  What {} covers now is what is usual; old snapshots are forgotten again.",
                    made.name
                )
            })
        }
        BackupCommand::Unprotected(wish) => guarding::unprotected(terminal, client, wish).await,
        BackupCommand::Snapshots { from } => {
            let place = BackupPlace { target: from, ..BackupPlace::default() };
            let all = client.backup_snapshots(&place).await?;
            show(terminal, &all, |all| match all.as_slice() {
                [] => "  none yet: freehold backup now NAME".to_owned(),
                all => all.iter().map(snapshot).collect::<Vec<_>>().join("\n"),
            })
        }
        BackupCommand::Ls { path, from } => {
            let all = client.backup_entries(&place(from, path.as_deref())?).await?;
            show(terminal, &all, |all| all.iter().map(entry).collect::<Vec<_>>().join("\n"))
        }
        BackupCommand::Find { pattern, from } => {
            let sought = BackupSought { pattern, target: from.from, snapshot: from.snapshot };
            find(terminal, client, &sought).await
        }
        BackupCommand::Restore(wish) => restore(terminal, client, wish).await,
        BackupCommand::Mount(wish) => mounting::mount(terminal, client, wish).await,
        BackupCommand::Check { target, read } => check(terminal, client, target, read).await,
        BackupCommand::Forget(wish) => forget(terminal, client, wish).await,
        BackupCommand::Password { target, out } => password(terminal, client, &target, out.as_deref()).await,
        BackupCommand::Remove { name } => {
            client.remove_backup(&name).await?;
            terminal.done(true, format!("{name} is backed up no longer; its snapshots stay where they are."));
            Ok(())
        }
    }
}

async fn target(terminal: Terminal, client: &Client, command: TargetCommand) -> Result<(), Problem> {
    match command {
        TargetCommand::Add { name, path, machine, grant, of, password_file, pace, bucket } => {
            let password = password_file.as_deref().map(typed_password).transpose()?;
            let path = path.as_deref().map(absolute).transpose()?.unwrap_or_default();
            let pace = pace.as_deref().map(crate::place::pace).transpose()?;
            let append_only = bucket.append_only;
            let s3 = store(terminal, *bucket)?;
            let wish = NewBackupTarget { name, path, machine, grant, s3, append_only, of, password, pace };
            let made = client.add_backup_target(&wish).await?;
            let there = BackupPlace { target: Some(made.name.clone()), ..BackupPlace::default() };
            // That it cannot be listed just now is no reason to say that it was not added.
            let there = if made.found { client.backup_snapshots(&there).await.ok() } else { None };
            show(terminal, &made, |made| {
                let typed = words::typed(&made.name);
                let how = if made.found {
                    format!(
                        "{}.\n  To see whether all of it is sound:\n    freehold backup check {typed} --read\n  Its",
                        adopted(there.as_deref().unwrap_or_default(), crate::key::now_ms())
                    )
                } else {
                    "an empty repository; its".to_owned()
                };
                format!(
                    "{}\n  {how} password is kept sealed with the realm's secrets. To have it outside as well:\n    \
                     freehold backup password {typed} --out FILE",
                    target_line(made),
                )
            })
        }
        TargetCommand::Pace { name, pace } => {
            let pace = BackupPace { pace: Some(crate::place::pace(&pace)?) };
            show(terminal, &client.pace_backup_target(&name, &pace).await?, target_line)
        }
        TargetCommand::Remove { name } => {
            client.remove_backup_target(&name).await?;
            terminal.done(true, format!("{name} is no target any more; what lies there stays."));
            Ok(())
        }
    }
}

/// The bucket that was typed, with its key.
fn store(terminal: Terminal, wish: BucketArgs) -> Result<Option<NewStore>, Problem> {
    let Some(endpoint) = wish.s3 else { return Ok(None) };
    Ok(Some(NewStore {
        endpoint,
        bucket: wish.bucket.unwrap_or_default(),
        region: wish.region,
        prefix: wish.prefix.unwrap_or_default(),
        virtual_host: wish.virtual_host,
        ca: wish.ca.as_deref().map(absolute).transpose()?,
        credentials: crate::backend::credentials(terminal, wish.credentials.as_deref())?.to_string(),
    }))
}

/// The first line of a file, as restic reads one.
fn typed_password(file: &Path) -> Result<String, Problem> {
    let unreadable = |error: std::io::Error| {
        Problem::invalid(
            "no target was added",
            format!("cannot read {}: {error}", file.display()),
            Some("name the file with the password: --password-file FILE"),
        )
    };
    let mut text = Zeroizing::new(String::new());
    let read = std::fs::File::open(file).and_then(|file| file.take(PASSWORD_MAX).read_to_string(&mut text));
    read.map_err(unreadable)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn absolute(path: &Path) -> Result<String, Problem> {
    let odd = |why: String| {
        Problem::invalid(format!("cannot use {}", path.display()), why, Some("name a path as text"))
    };
    let mut path = std::path::absolute(path).map_err(|error| odd(error.to_string()))?;
    if path.components().any(|part| matches!(part, std::path::Component::ParentDir)) {
        path = path.canonicalize().map_err(|error| odd(error.to_string()))?;
    }
    path.into_os_string().into_string().map_err(|_| odd("it is no text".to_owned()))
}

fn new_backup(wish: AddArgs) -> Result<NewBackup, Problem> {
    let paths = wish.paths.iter().map(|path| absolute(path)).collect::<Result<_, _>>()?;
    Ok(NewBackup {
        name: wish.name,
        paths,
        command: wish.command,
        file: wish.file,
        buckets: wish.buckets,
        databases: wish.databases,
        everything: wish.everything,
        to: wish.to,
        every_ms: wish.every,
        exclude: wish.exclude,
        git_ignore: wish.git_ignore,
        one_file_system: wish.one_file_system,
        on_metered: wish.on_metered,
        keep: wish.keep.keep(),
    })
}

fn place(from: FromArgs, path: Option<&Path>) -> Result<BackupPlace, Problem> {
    let path = path.map(absolute).transpose()?;
    Ok(BackupPlace { target: from.from, snapshot: from.snapshot, path })
}

/// A bar on a terminal, and nothing elsewhere.
fn bar(terminal: Terminal) -> indicatif::ProgressBar {
    if terminal.is_interactive() {
        indicatif::ProgressBar::new_spinner()
    } else {
        indicatif::ProgressBar::hidden()
    }
}

fn progress(told: BackupProgress) -> String {
    match told.total {
        0 => bytes(told.done),
        total => format!("{} of {}", bytes(told.done), bytes(total)),
    }
}

async fn now(terminal: Terminal, client: &Client, name: &str) -> Result<(), Problem> {
    let asked = client.back_up_now(name).await?;
    let bar = bar(terminal);
    let made = loop {
        let all = client.backups_of_files().await?;
        let Some(made) = all.backups.into_iter().find(|made| made.name == name) else {
            return Err(Problem::refused(
                format!("{name} was not backed up"),
                "somebody has removed it meanwhile",
                Some("freehold backup list"),
            ));
        };
        if asked.iter().all(|asked| is_over(asked, &made)) {
            break made;
        }
        let running = |at: &BackupStanding| Some(format!("{} {}", at.target, progress(at.running?)));
        bar.set_message(made.to.iter().filter_map(running).collect::<Vec<_>>().join(", "));
        bar.tick();
        tokio::time::sleep(LOOK_EVERY).await;
    };
    bar.finish_and_clear();
    show(terminal, &made, |made| lines_of(made).join("\n"))?;
    let failed = |at: &BackupStanding| {
        let unread = at.last.as_ref().map_or(0, |last| last.unread);
        let unread = || Some(format!("{} could not be read", count(unread, "file"))).filter(|_| unread > 0);
        Some(format!("{}: {}", at.target, at.why.clone().or_else(unread)?))
    };
    let failed: Vec<String> = made.to.iter().filter_map(failed).collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(Problem::refused(
        format!("{name} is not, or not wholly, backed up to {}", count(failed.len() as u64, "target")),
        failed.join("; "),
        Some(format!("set right what it says, then: freehold backup now {}", words::typed(name))),
    ))
}

fn is_over(asked: &BackupAsked, made: &BackupStatus) -> bool {
    made.to.iter().find(|at| at.target == asked.target).is_none_or(|at| at.ended >= asked.ended)
}

/// What an answer of many lines ends with.
async fn to_the_end(
    terminal: Terminal,
    mut events: BoxStream<'static, Result<BackupEvent, Problem>>,
) -> Result<BackupEvent, Problem> {
    let bar = bar(terminal);
    while let Some(event) = events.next().await {
        match event? {
            BackupEvent::Progress(told) => {
                bar.set_message(progress(told));
                bar.tick();
            }
            BackupEvent::Failed(problem) => {
                bar.finish_and_clear();
                return Err(problem);
            }
            done => {
                bar.finish_and_clear();
                return Ok(done);
            }
        }
    }
    Err(Problem::unreachable("it broke off", "the node stopped answering", Some("freehold status")))
}

fn odd() -> Problem {
    Problem::bug("the answer makes no sense", "the node answered something else", None::<&str>)
}

/// The directory into which something comes back to where it was: a directory into itself, a file into the one above.
async fn where_it_was(terminal: Terminal, client: &Client, wish: &RestoreArgs) -> Result<String, Problem> {
    let place = place(wish.from.clone(), wish.path.as_deref())?;
    let to = match &place.path {
        None => "/".to_owned(),
        Some(path) => {
            let listed = client.backup_entries(&place).await?;
            // Of what is no directory, a list has that alone.
            let itself = |one: &BackupEntry| one.path == *path && one.kind != BackupEntryKind::Dir;
            let above = Path::new(path).parent().filter(|_| listed.iter().any(itself));
            above.map_or_else(|| path.clone(), |above| above.to_string_lossy().into_owned())
        }
    };
    if !wish.dry_run {
        terminal.is_meant(
            "nothing was restored",
            "restore",
            "freehold backup restore --in-place, with --dry-run or --to DIR first, then with",
        )?;
    }
    Ok(to)
}

async fn restore(terminal: Terminal, client: &Client, wish: RestoreArgs) -> Result<(), Problem> {
    let to = match &wish.to {
        Some(to) => absolute(to)?,
        None => where_it_was(terminal, client, &wish).await?,
    };
    let (dry_run, paths) = (wish.dry_run, wish.paths);
    let wish = BackupRestore { from: place(wish.from, wish.path.as_deref())?, to: to.clone(), dry_run };
    let done = match to_the_end(terminal, client.restore_backup(&wish).await?).await? {
        BackupEvent::Restored(done) if !dry_run => done,
        BackupEvent::Compared(found) if dry_run => return comparing::show(terminal, &found, paths),
        _ => return Err(odd()),
    };
    show(terminal, &done, |done| restored(done, &to))?;
    if done.failed == 0 {
        return Ok(());
    }
    Err(Problem::corrupt(
        format!("{} did not come back, or not as it was", count(done.failed, "thing")),
        done.named.join("; "),
        Some("try it from another target: freehold backup restore --from TARGET --to DIR"),
    ))
}

fn restored(done: &BackupRestored, to: &str) -> String {
    let unchanged = match done.unchanged {
        0 => String::new(),
        files => format!("; {} there already", count(files, "file")),
    };
    format!("Restored {}, {}, to {to}{unchanged}.", count(done.files, "file"), bytes(done.bytes))
}

async fn check(
    terminal: Terminal,
    client: &Client,
    target: Option<String>,
    read: bool,
) -> Result<(), Problem> {
    let wish = BackupCheck { target, read };
    let BackupEvent::Checked { findings } = to_the_end(terminal, client.check_backup(&wish).await?).await?
    else {
        return Err(odd());
    };
    show(terminal, &findings, |findings| match findings.as_slice() {
        [] => "  All that was looked at is as it ought to be.".to_owned(),
        all => all.iter().map(finding).collect::<Vec<_>>().join("\n"),
    })?;
    match findings.iter().filter(|found| found.severe).count() {
        0 => Ok(()),
        severe => Err(Problem::corrupt(
            "not everything can be restored from there",
            format!("{} damaged", count(severe as u64, "place")),
            Some("keep it as it is, and back up to another target: freehold backup target add NAME PATH"),
        )),
    }
}

fn finding(found: &BackupFinding) -> String {
    format!("  {} {}", if found.severe { "!" } else { "-" }, found.what)
}

async fn forget(terminal: Terminal, client: &Client, wish: ForgetArgs) -> Result<(), Problem> {
    let ForgetArgs { from, counts, dry_run } = wish;
    let args::CountArgs { last, hourly, daily, weekly, monthly, yearly } = counts;
    let wish = BackupForget { target: from, dry_run, last, hourly, daily, weekly, monthly, yearly };
    if !dry_run {
        let undone = "nothing was forgotten";
        terminal.is_meant(undone, "forget", "freehold backup forget, with --dry-run first, then with")?;
    }
    let BackupEvent::Forgotten(done) = to_the_end(terminal, client.forget_backups(&wish).await?).await?
    else {
        return Err(odd());
    };
    show(terminal, &done, forgotten)
}

fn forgotten(done: &BackupForgotten) -> String {
    let would = if done.dry_run { "Would forget" } else { "Forgot" };
    let kept = count(done.kept.len() as u64, "snapshot");
    let mut out =
        vec![format!("{would} {}, and keep {kept}.", count(done.forgotten.len() as u64, "snapshot"))];
    out.extend(done.forgotten.iter().map(snapshot));
    out.join("\n")
}

async fn password(
    terminal: Terminal,
    client: &Client,
    target: &str,
    out: Option<&Path>,
) -> Result<(), Problem> {
    let mut told = client.backup_password(target).await?;
    let text = Zeroizing::new(std::mem::take(&mut told.password));
    let Some(out) = out else {
        let shown = freehold_api::BackupPassword { place: told.place, password: text.to_string() };
        return show(terminal, &shown, |shown| shown.password.clone());
    };
    let mut file = private_file(out)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n"));
    written.and_then(|()| file.sync_all()).map_err(|error| not_written(out, &error))?;
    terminal.done(
        true,
        format!(
            "The password is in {}. Without Freehold:\n  restic --repo {} --password-file {} snapshots",
            out.display(),
            words::typed(&told.place),
            words::typed(&out.display().to_string())
        ),
    );
    Ok(())
}

async fn find(terminal: Terminal, client: &Client, sought: &BackupSought) -> Result<(), Problem> {
    let found = client.seek_backup(sought).await?;
    show(terminal, &found, |found| told::found(found, sought.target.as_deref()))?;
    if found.unread.is_empty() {
        return Ok(());
    }
    Err(Problem::corrupt(
        "not everything could be looked through",
        found.unread.join("; "),
        Some("freehold backup check    (says what is damaged)"),
    ))
}

fn snapshot(one: &BackupSnapshot) -> String {
    let size = one.bytes.map(|size| format!(", {}", bytes(size))).unwrap_or_default();
    let files = one.files.map(|files| format!(", {}", count(files, "file"))).unwrap_or_default();
    let id = one.id.get(..8).unwrap_or(&one.id);
    let ago = span(crate::key::now_ms().saturating_sub(one.made_ms));
    format!("  {id}  {ago} ago, {}: {}{files}{size}", one.machine, one.paths.join(", "))
}

pub(super) fn entry(one: &BackupEntry) -> String {
    let (size, mark) = match one.kind {
        BackupEntryKind::File => (bytes(one.size), ""),
        BackupEntryKind::Dir => (String::new(), "/"),
        BackupEntryKind::Link => ("link".to_owned(), ""),
        BackupEntryKind::Other => ("other".to_owned(), ""),
    };
    let when = one.modified_ms.map(words::date).unwrap_or_default();
    format!("  {size:>10}  {when:<20}  {}{mark}", one.path)
}
