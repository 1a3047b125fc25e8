//! The clock is moved on between starts of the daemon, so that nobody waits for weeks.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use freehold_api::{BackupForgotten, BackupSnapshot, BackupStanding, BackupStatus, BackupTarget, Backups};
use freehold_harness::{Host, Node, Story, story, until};

/// Twenty times what is seen on a machine that does nothing else.
const PATIENCE: u64 = 120;
/// Just more than what is told as missing.
const FILM: usize = 70_000_000;

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A home with a letter and a film, and a node that backs it up to a disk.
fn set_up<'a>(story: &Story, host: &'a Host, film: usize, options: &[&str]) -> Result<(Node<'a>, PathBuf)> {
    story.file("ann/letter.txt", 3_000, 1)?;
    story.file("ann/film", film, 2)?;
    let mut node = host.node()?;
    node.up(&["--name", "smith"])?;
    let disk = story.folder().join("disk");
    node.cli(&["backup", "target", "add", "disk", &text(&disk)])?.good()?;
    let home = text(&story.folder().join("ann"));
    let mut add = vec!["backup", "add", "home", &home, "--to", "disk", "--every", "day"];
    add.extend(options);
    node.cli(&add)?.good()?;
    node.cli(&["backup", "now", "home"])?.good()?;
    Ok((node, disk))
}

fn told(node: &Node<'_>) -> Result<(BackupTarget, BackupStatus, BackupStanding)> {
    let mut all: Backups = node.ask(&["backup", "list"])?;
    let target = all.targets.pop().context("a target")?;
    let made = all.backups.pop().context("a backup")?;
    let at = made.to.first().cloned().context("it goes there")?;
    Ok((target, made, at))
}

fn snapshots(node: &Node<'_>) -> Result<usize> {
    Ok(node.ask::<Vec<BackupSnapshot>>(&["backup", "snapshots"])?.len())
}

/// Stops it, and starts it so much later; by itself it makes the backup that is due.
fn later(node: &mut Node<'_>, clock: &str) -> Result<()> {
    let before = told(node)?.2.last.context("it was made")?.snapshot;
    node.stop()?;
    node.set_clock(Some(clock));
    node.resume()?;
    until(PATIENCE, "the next one is made", || {
        let last = told(node)?.2.last.context("it was made")?;
        ensure!(last.snapshot != before, "not yet");
        Ok(())
    })
}

/// Waits until the head of the status has, or has not, an alarm of these words.
fn alarm(node: &Node<'_>, words: &str, stands: bool) -> Result<()> {
    until(PATIENCE, words, || {
        let alarms = node.status()?.alarms;
        ensure!(alarms.iter().any(|alarm| alarm.what.contains(words)) == stands, "{alarms:?}");
        Ok(())
    })
}

#[test]
fn what_is_old_is_forgotten_by_itself_and_never_while_files_are_missed() -> Result<()> {
    story("what_is_old_is_forgotten_by_itself_and_never_while_files_are_missed", |story| {
        let host = story.host("laptop")?;
        let (mut node, disk) = set_up(story, &host, FILM, &[])?;
        let said = node.cli(&["backup", "list"])?.good()?.out;
        ensure!(said.contains("keeps every snapshot"), "{said}");
        node.cli(&["backup", "keep", "home"])?.refused(2, &["--everything"])?;
        let said = node.cli(&["backup", "keep", "home", "--last", "2"])?.good()?.out;
        ensure!(said.contains("keeps 2 last"), "{said}");
        // A choice to keep nothing more than two is made once the first is there: nothing is old yet.
        until(PATIENCE, "it was looked what is old", || {
            let thinned = told(&node)?.0.upkeep.thinned.context("not yet")?;
            ensure!(thinned.forgotten == 0 && thinned.why.is_none(), "{thinned:?}");
            Ok(())
        })?;
        let first = snapshots(&node)?;
        for _ in 0..3 {
            node.cli(&["backup", "now", "home"])?.good()?;
        }
        ensure!(snapshots(&node)? == first + 3, "once a day is enough");

        // A day later the film is gone, and nobody has said that it was meant.
        std::fs::remove_file(story.folder().join("ann/film"))?;
        later(&mut node, "+25h")?;
        alarm(&node, "covers far less than usual", true)?;
        node.alarmed(&["backup home on disk", "freehold backup accept home"])?;
        node.cli(&["backup", "now", "home"])?.good()?;
        alarm(&node, "covers far less than usual", true)?;
        until(PATIENCE, "the first part of the bytes was read", || {
            let upkeep = told(&node)?.0.upkeep;
            let checked = upkeep.checked.context("not yet")?;
            ensure!((checked.part, checked.of, checked.damaged) == (1, 4, 0), "{checked:?}");
            ensure!(upkeep.next_check_in_ms.is_some_and(|next| next > 5 * 86_400_000), "a week later");
            Ok(())
        })?;
        ensure!(told(&node)?.2.held && snapshots(&node)? == first + 5, "nothing is forgotten now");
        let would: BackupForgotten = node.ask(&["backup", "forget", "--last", "2", "--dry-run"])?;
        ensure!(would.dry_run && would.forgotten.len() == first + 3, "{would:?}");

        node.cli(&["backup", "accept", "home"])?.good()?;
        alarm(&node, "covers far less than usual", false)?;
        until(PATIENCE, "what is old is forgotten", || {
            let thinned = told(&node)?.0.upkeep.thinned.context("it was looked before")?;
            ensure!(thinned.forgotten == first as u64 + 3 && thinned.why.is_none(), "{thinned:?}");
            Ok(())
        })?;
        ensure!(snapshots(&node)? == 2, "the newest two stay");
        node.cli(&["backup", "now", "home"])?.good()?;
        ensure!(!told(&node)?.2.held, "the smaller size is usual now");

        // What nobody needs is marked first, and removed a day later.
        let film = FILM as u64;
        ensure!(stored(&disk)? > film, "the film is there still");
        later(&mut node, "+51h")?;
        until(PATIENCE, "the film's room is free", || {
            ensure!(stored(&disk)? < film / 10, "not yet: {}", stored(&disk)?);
            Ok(())
        })?;
        node.cli(&["backup", "check", "--read"])?.good()?;
        let metrics = node.cli(&["metrics"])?.good()?.out;
        for name in ["target_thinned_age_seconds", "target_checked_age_seconds", "target_damaged", "held"] {
            let name = format!("freehold_backup_{name}{{");
            ensure!(metrics.lines().any(|line| line.starts_with(&name)), "{name} is not in {metrics}");
        }
        node.stop()
    })
}

fn stored(disk: &Path) -> Result<u64> {
    let mut bytes = 0;
    for pack in packs(disk)? {
        bytes += pack.metadata()?.len();
    }
    Ok(bytes)
}

fn packs(disk: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for dir in std::fs::read_dir(disk.join("data"))? {
        for pack in std::fs::read_dir(dir?.path())? {
            found.push(pack?.path());
        }
    }
    Ok(found)
}

#[test]
fn everything_is_restored_on_trial_and_damage_is_told_until_it_is_mended() -> Result<()> {
    story("everything_is_restored_on_trial_and_damage_is_told_until_it_is_mended", |story| {
        let host = story.host("laptop")?;
        let (mut node, disk) =
            set_up(story, &host, 3_000_000, &["--keep-daily", "7", "--keep-monthly", "12"])?;
        ensure!(told(&node)?.1.keep.daily == 7 && told(&node)?.1.keep.monthly == 12, "as it was said");
        later(&mut node, "+31d")?;
        until(PATIENCE, "everything was restored on trial", || {
            let at = told(&node)?.2;
            let whole = at.tried_whole.context("not yet")?;
            ensure!(whole.good && (whole.files, whole.of) == (2, 2), "{whole:?}");
            ensure!(at.next_whole_in_ms.is_some_and(|next| next > 29 * 86_400_000), "a month later");
            Ok(())
        })?;
        until(PATIENCE, "a part was read", || {
            ensure!(told(&node)?.0.upkeep.checked.context("not yet")?.damaged == 0, "nothing is damaged");
            Ok(())
        })?;

        // The disk decays while it lies there.
        node.stop()?;
        let before: Vec<(PathBuf, Vec<u8>)> = packs(&disk)?
            .into_iter()
            .map(|pack| Ok((pack.clone(), std::fs::read(&pack)?)))
            .collect::<Result<_>>()?;
        for (pack, bytes) in &before {
            let mut bytes = bytes.clone();
            bytes[40] ^= 1;
            write(pack, &bytes)?;
        }
        node.set_clock(Some("+39d"));
        node.resume()?;
        alarm(&node, "the backups on disk are damaged", true)?;
        node.alarmed(&["the backups on disk are damaged", "freehold backup check disk --read"])?;
        let metrics = node.cli(&["metrics"])?.good()?.out;
        let damaged =
            |line: &&str| line.starts_with("freehold_backup_target_damaged{") && !line.ends_with(" 0");
        ensure!(metrics.lines().any(|line| damaged(&line)), "{metrics}");
        for (pack, bytes) in &before {
            write(pack, bytes)?;
        }
        node.cli(&["backup", "check", "--read"])?.good()?;
        alarm(&node, "the backups on disk are damaged", false)?;
        node.stop()
    })
}

#[expect(clippy::disallowed_methods, reason = "a file of a test")]
fn write(path: &Path, content: &[u8]) -> Result<()> {
    Ok(std::fs::write(path, content)?)
}
