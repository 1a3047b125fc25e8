//! Backups that other machines keep: the writer adds and reads, and whoever takes it destroys nothing; what is kept opens
//! with restic and the password; and kills on either side lose nothing.
#![cfg(test)]

mod friend;
mod thief;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use freehold_api::{BackupSnapshot, BackupStanding, Backups};
use freehold_harness::{Answer, Host, Node, Story, story, until};
use sha2::{Digest as _, Sha256};

/// Twenty times what is seen on a machine that does nothing else.
const PATIENCE: u64 = 180;

/// A home with something in it.
fn furnished(story: &Story) -> Result<PathBuf> {
    for (name, size, seed) in [("papers/letter.txt", 3_000, 1), ("photos/sea.jpg", 12_000_000, 2)] {
        story.file(&format!("ann/{name}"), size, seed)?;
    }
    Ok(story.folder().join("ann"))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// What is the same below both.
fn same(one: &Path, other: &Path) -> Result<()> {
    let mut diff = std::process::Command::new("diff");
    let out = diff.args(["-r", "--no-dereference"]).arg(one).arg(other).output()?;
    ensure!(out.status.success(), "{}{}", String::from_utf8_lossy(&out.stdout), text(other));
    Ok(())
}

/// All files below with the hashes of what is in them.
fn files(dir: &Path) -> Result<BTreeMap<PathBuf, [u8; 32]>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).with_context(|| text(dir))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            let hash = <[u8; 32]>::from(Sha256::digest(std::fs::read(&path)?));
            found.insert(path, hash);
        }
    }
    Ok(found)
}

/// The shelf that one machine has at another one.
fn shelf(keeper: &Node<'_>, of: &Node<'_>) -> Result<PathBuf> {
    Ok(keeper.home().join("backup/shelves").join(of.status()?.this_node))
}

fn snapshots(node: &Node<'_>, from: &str) -> Result<Vec<BackupSnapshot>> {
    node.ask(&["backup", "snapshots", "--from", from])
}

fn standing(node: &Node<'_>, target: &str) -> Result<BackupStanding> {
    let all: Backups = node.ask(&["backup", "list"])?;
    let all = all.backups.into_iter().flat_map(|made| made.to);
    all.into_iter().find(|at| at.target == target).context("it does not go there")
}

/// Runs restic on the keeper's directory with the password that the node gives out.
fn restic(host: &Host, node: &Node<'_>, target: &str, at: &Path, arguments: &[&str]) -> Result<Answer> {
    let file = host.folder().join(format!("password-{target}"));
    if !file.exists() {
        node.cli(&["backup", "password", target, "--out", &text(&file)])?.good()?;
    }
    let mut command = host.command("restic");
    command
        .args(["--no-cache", "--no-lock", "--repo"])
        .arg(at)
        .arg("--password-file")
        .arg(file)
        .args(arguments);
    Host::answer(&mut command)?.good()
}

/// Tries again what says that it is not so far yet.
fn in_time(node: &Node<'_>, arguments: &[&str]) -> Result<Answer> {
    until(PATIENCE, &arguments.join(" "), || node.cli(arguments)?.good())
}

#[test]
fn a_machine_keeps_what_another_one_may_only_add_to() -> Result<()> {
    story("a_machine_keeps_what_another_one_may_only_add_to", |story| {
        let (lap, den) = (story.host("laptop")?, story.host("nas")?);
        let home = furnished(story)?;
        let (mut laptop, mut nas) = (lap.node()?, den.node()?);
        laptop.up(&["--name", "smith"])?;
        let me = laptop.status()?.this_node;
        laptop.cli(&["node", "rename", &me, "laptop"])?.good()?;
        nas.join(&laptop.invite(&[])?, "nas")?;
        laptop
            .cli(&["backup", "target", "add", "self", "--machine", "laptop"])?
            .refused(2, &["is this machine", "NAME PATH"])?;
        in_time(&laptop, &["backup", "target", "add", "nas", "--machine", "nas"])?;
        laptop.cli(&["backup", "add", "home", &text(&home), "--to", "nas"])?.good()?;
        laptop.cli(&["backup", "now", "home"])?.good()?;
        let first = snapshots(&laptop, "nas")?.pop().context("it was made")?;
        let original = lap.folder().join("original");
        laptop
            .cli(&["backup", "restore", &text(&home), "--from", "nas", "--to", &text(&original)])?
            .good()?;
        same(&home, &original)?;

        // Whoever has the keeper's disk and the password needs nothing of ours.
        let shelf = shelf(&nas, &laptop)?;
        let repository = shelf.join("repository");
        restic(&den, &nas, "laptop", &repository, &["check", "--read-data"])?;
        let to = den.folder().join("by-restic");
        restic(&den, &nas, "laptop", &repository, &["restore", "latest", "--target", &text(&to)])?;
        same(&home, &to.join(home.strip_prefix("/")?))?;
        ensure!(!files(&shelf.join("received"))?.is_empty(), "it is noted when it came");
        let told = nas.cli(&["backup", "list"])?.good()?.out;
        ensure!(told.contains("laptop") && told.contains("backs up to this machine"), "{told}");

        // The machine is taken, with its keys, its password and its program.
        laptop
            .cli(&["--yes", "backup", "forget", "--from", "nas", "--last", "1"])?
            .refused(1, &["cannot destroy", "on nas: freehold backup forget --from laptop"])?;
        let (before, keeper) = (files(&shelf)?, nas.status()?.this_node);
        laptop.stop()?;
        thief::comes((&lap, &laptop), (&den, &keeper), None)?;
        let after = files(&shelf)?;
        for (path, hash) in &before {
            ensure!(after.get(path) == Some(hash), "{} is gone, or another", path.display());
        }
        laptop.resume()?;
        std::fs::remove_file(home.join("papers/letter.txt"))?;
        story.file("ann/photos/sea.jpg", 12_000_000, 3)?;
        for _ in 0..3 {
            in_time(&laptop, &["backup", "now", "home"])?;
        }
        let back = den.folder().join("back");
        let id = first.id.as_str();
        let args =
            ["backup", "restore", &text(&home), "--from", "laptop", "--snapshot", id, "--to", &text(&back)];
        nas.cli(&args)?.good()?;
        same(&original, &back)?;

        // Who keeps it forgets and prunes.
        let count = snapshots(&nas, "laptop")?.len();
        in_time(&nas, &["--yes", "backup", "forget", "--from", "laptop", "--last", "2"])?;
        ensure!(count >= 4 && snapshots(&nas, "laptop")?.len() == 2, "{count} before");
        laptop.cli(&["backup", "now", "home"])?.good()?;
        nas.cli(&["backup", "check", "laptop", "--read"])?.good()?;

        // Away is not damaged.
        nas.stop()?;
        laptop.cli(&["backup", "now", "home"])?.refused(1, &["nas", "is away"])?;
        ensure!(
            laptop.status()?.alarms.iter().all(|alarm| !alarm.what.contains("backup home")),
            "no alarm at once"
        );
        nas.resume()?;
        in_time(&laptop, &["backup", "now", "home"])?;
        laptop.stop()?;
        nas.stop()
    })
}

#[test]
fn a_kill_on_either_side_loses_nothing() -> Result<()> {
    story("a_kill_on_either_side_loses_nothing", |story| {
        const FILM: usize = 8 << 20;
        let (lap, den) = (story.host("laptop")?, story.host("nas")?);
        for number in 0..16 {
            story.file(&format!("films/{number}"), FILM, number + 1)?;
        }
        let films = story.folder().join("films");
        let (mut laptop, mut nas) = (lap.node()?, den.node()?);
        laptop.up(&["--name", "smith"])?;
        nas.join(&laptop.invite(&[])?, "nas")?;
        in_time(&laptop, &["backup", "target", "add", "nas", "--machine", "nas"])?;
        let packs = shelf(&nas, &laptop)?.join("repository/data");
        let come = |least: usize| {
            until(PATIENCE, "some of it is on the shelf", || {
                let there = if packs.exists() { files(&packs)?.len() } else { 0 };
                ensure!(there >= least, "{there} packs");
                Ok(there)
            })
        };
        laptop.cli(&["backup", "add", "films", &text(&films), "--to", "nas"])?.good()?;
        come(1)?;
        laptop.kill()?;
        let before = files(&packs)?;
        laptop.resume()?;
        // It goes on by itself; the other side is killed now.
        let there = come(before.len() + 1)?;
        nas.kill()?;
        ensure!(snapshot_files(&packs)? == 0, "it was over before anything was killed: {there} packs");
        nas.resume()?;
        let last = until(PATIENCE, "it goes on", || {
            // Whoever asks need not wait for the next hour.
            drop(laptop.cli(&["backup", "now", "films"])?);
            standing(&laptop, "nas")?.last.context("not made yet")
        })?;
        ensure!(last.bytes == 16 * FILM as u64 && last.unread == 0, "{last:?}");
        let repository = packs.parent().context("it lies in something")?;
        for (path, hash) in before {
            ensure!(files(&packs)?.get(&path) == Some(&hash), "{} was sent twice", path.display());
        }
        restic(&den, &nas, &laptop_name(&laptop)?, repository, &["check", "--read-data"])?;
        let to = den.folder().join("back");
        restic(
            &den,
            &nas,
            &laptop_name(&laptop)?,
            repository,
            &["restore", "latest", "--target", &text(&to)],
        )?;
        same(&films, &to.join(films.strip_prefix("/")?))
    })
}

fn snapshot_files(packs: &Path) -> Result<usize> {
    let dir = packs.with_file_name("snapshots");
    if dir.exists() { Ok(files(&dir)?.len()) } else { Ok(0) }
}

fn laptop_name(node: &Node<'_>) -> Result<String> {
    let status = node.status()?;
    let me = status.nodes.into_iter().find(|one| one.id == status.this_node).context("it knows itself")?;
    Ok(me.name)
}
