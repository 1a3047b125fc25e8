//! Backups as a person makes them: through the daemon and its commands, read by the restic that everybody has.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use freehold_api::{
    BackupCompared, BackupFate, BackupFound, BackupSnapshot, BackupStanding, BackupStatus, Backups, Finding,
};
use freehold_harness::{Answer, Host, Node, Story, story, until};

use super::packs;

/// Twenty times what is seen on a machine that does nothing else.
pub(crate) const PATIENCE: u64 = 120;

/// A home with something in it, among that what is left out.
pub(crate) fn furnished(story: &Story) -> Result<PathBuf> {
    story.file("ann/papers/letter.txt", 3_000, 1)?;
    story.file("ann/photos/sea.jpg", 2_000_000, 2)?;
    story.file("ann/big.iso", 500_000, 3)?;
    std::os::unix::fs::symlink("papers", story.folder().join("ann/post"))?;
    Ok(story.folder().join("ann"))
}

pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// What is the same below both.
pub(crate) fn same(one: &Path, other: &Path) -> Result<()> {
    let mut diff = std::process::Command::new("diff");
    let out = diff.args(["-r", "--no-dereference", "--exclude=*.iso"]).arg(one).arg(other).output()?;
    ensure!(out.status.success(), "{}{}", String::from_utf8_lossy(&out.stdout), text(other));
    Ok(())
}

pub(crate) fn target(node: &Node<'_>, name: &str, at: &Path) -> Result<()> {
    node.cli(&["backup", "target", "add", name, &text(at)])?.good().map(drop)
}

/// Runs restic on a repository with the password that the node gives out.
pub(crate) fn restic(
    host: &Host,
    node: &Node<'_>,
    target: &str,
    at: &Path,
    arguments: &[&str],
) -> Result<Answer> {
    let file = host.folder().join(format!("password-{target}"));
    if !file.exists() {
        node.cli(&["backup", "password", target, "--out", &text(&file)])?.good()?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata()?.permissions());
        ensure!(mode & 0o777 == 0o600, "others read the password: {mode:o}");
    }
    let mut command = host.command("restic");
    command.args(["--no-cache", "--repo"]).arg(at).arg("--password-file").arg(file).args(arguments);
    Host::answer(&mut command)?.good()
}

pub(crate) fn standing(node: &Node<'_>, backup: &str, target: &str) -> Result<BackupStanding> {
    let all: Backups = node.ask(&["backup", "list"])?;
    let found = all.backups.into_iter().find(|made| made.name == backup).context("no such backup")?;
    found.to.into_iter().find(|at| at.target == target).context("it does not go there")
}

/// Waits until files were restored on trial.
pub(crate) fn tried(node: &Node<'_>, backup: &str, target: &str) -> Result<()> {
    until(PATIENCE, "it was tried to restore", || {
        let tried = standing(node, backup, target)?.tried.context("not yet")?;
        ensure!(tried.good && tried.files > 0 && tried.of >= tried.files, "{tried:?}");
        Ok(())
    })
}

/// Where several share a target, it is asked which is meant, but for a path that only one has.
fn asks_which(node: &Node<'_>, home: &Path) -> Result<()> {
    let (papers, photos) = (text(&home.join("papers")), text(&home.join("photos")));
    node.cli(&["backup", "ls"])?.refused(2, &["several machines or paths", "--snapshot"])?;
    node.cli(&["backup", "ls", &papers])?.refused(2, &["several machines or paths", "from other"])?;
    node.cli(&["backup", "ls", &photos])?.good().map(drop)
}

/// Looks what a restore would do, which does nothing.
fn would_come_back(node: &Node<'_>, home: &Path) -> Result<()> {
    let (letter, typed) = (home.join("papers/letter.txt"), ["backup", "restore", "--in-place", "--dry-run"]);
    let found: BackupCompared = node.ask(&[&typed[..], &[&text(&home.join("papers"))]].concat())?;
    ensure!((found.replaced.files, found.replaced.bytes) == (1, 3_000), "{found:?}");
    ensure!((found.new.files, found.same.files, found.unnamed) == (0, 0, 0), "{found:?}");
    let [one] = found.paths.as_slice() else { bail!("{found:?}") };
    ensure!(one.path == text(&letter) && one.fate == BackupFate::Replaced, "{one:?}");
    let said = node.cli(&[&typed[..], &["--snapshot", "home"]].concat())?.good()?.out;
    ensure!(said.contains("Nothing was changed") && said.contains("2 files"), "{said}");
    ensure!(said.contains("overwrite") && said.contains(&text(&letter)), "{said}");
    let to = text(&home.join("node/not-there"));
    let found: BackupCompared =
        node.ask(&["backup", "restore", &text(home), "--to", &to, "--dry-run", "--paths"])?;
    ensure!((found.new.files, found.paths.len()) == (3, 3) && !Path::new(&to).exists(), "{found:?}");
    ensure!(std::fs::read(&letter)? == b"spoilt", "a look changed something");
    Ok(())
}

/// Brings things back to where they were, over what has become of them.
fn comes_back_in_place(node: &Node<'_>, home: &Path) -> Result<()> {
    let (letter, photos) = (home.join("papers/letter.txt"), home.join("photos"));
    let before = (std::fs::read(&letter)?, std::fs::read(photos.join("sea.jpg"))?);
    super::write(&letter, b"spoilt")?;
    super::write(&photos.join("sea.jpg"), b"spoilt")?;
    super::write(&photos.join("later.jpg"), b"later")?;
    let typed = ["backup", "restore", &text(&letter), "--in-place"];
    would_come_back(node, home)?;
    node.cli(&typed)?.refused(1, &["nothing was restored", "--to DIR", "-y"])?;
    ensure!(std::fs::read(&letter)? == b"spoilt", "nobody was asked");
    node.cli(&[&["--yes"], &typed[..]].concat())?.good()?;
    ensure!(std::fs::read(&letter)? == before.0, "a file");
    node.cli(&["--yes", "backup", "restore", &text(&photos), "--in-place"])?.good()?;
    ensure!(std::fs::read(photos.join("sea.jpg"))? == before.1, "a directory");
    ensure!(photos.join("later.jpg").exists(), "what came later stays");
    super::write(&letter, b"spoilt")?;
    node.cli(&["--yes", "backup", "restore", "--snapshot", "home", "--in-place"])?.good()?;
    ensure!(std::fs::read(&letter)? == before.0, "everything");
    Ok(std::fs::remove_file(photos.join("later.jpg"))?)
}

/// Looks for what is there, and for what is not.
fn finds(node: &Node<'_>, home: &Path, snapshot: &str) -> Result<()> {
    let found: BackupFound = node.ask(&["backup", "find", "*.JPG"])?;
    let [sea] = found.found.as_slice() else { bail!("{found:?}") };
    ensure!(sea.entry.path == text(&home.join("photos/sea.jpg")) && sea.entry.size == 2_000_000, "{sea:?}");
    ensure!(sea.snapshot.id == snapshot && sea.snapshots >= 1 && !found.more, "{found:?}");
    let said = node.cli(&["backup", "find", "letter", "--snapshot", "home"])?.good()?.out;
    ensure!(said.contains("papers/letter.txt") && said.contains("backup restore"), "{said}");
    ensure!(node.cli(&["backup", "find", "iso"])?.good()?.out.contains("nothing of that name"), "an exclude");
    node.cli(&["backup", "find", "[a"])?.refused(2, &["no pattern"])?;
    node.cli(&["backup", "find", "sea", "--from", "nas"])?.refused(1, &["nas"])?;
    Ok(())
}

#[test]
fn a_person_backs_up_and_gets_everything_back() -> Result<()> {
    story("a_person_backs_up_and_gets_everything_back", |story| {
        let host = story.host("laptop")?;
        let home = furnished(story)?;
        // A home as homes are: the node's own lies in it.
        let mut node = host.node_at(&home.join("node"))?;
        node.up(&["--name", "smith"])?;
        let (disk, copy) = (story.folder().join("disk"), story.folder().join("copy"));
        node.cli(&["backup", "snapshots"])?.refused(1, &["no target", "freehold backup target add"])?;
        target(&node, "disk", &disk)?;
        node.cli(&["backup", "target", "add", "papers", &text(&home.join("papers"))])?
            .refused(1, &["other files", "letter.txt"])?;
        node.cli(&["backup", "add", "home", &text(&home), "--to", "nas"])?
            .refused(1, &["no target", "nas"])?;
        let made: BackupStatus =
            node.ask(&["backup", "add", "home", &text(&home), "--to", "disk", "--exclude", "*.iso"])?;
        ensure!(made.every_ms == 3_600_000 && made.to.len() == 1, "{made:?}");
        node.cli(&["backup", "now", "home"])?.good()?;
        let first = standing(&node, "home", "disk")?.last.context("it was made")?;
        ensure!(first.files >= 2 && first.unread == 0, "{first:?}");
        tried(&node, "home", "disk")?;

        // Whoever has the password needs nothing of ours.
        let to = host.folder().join("by-restic");
        restic(&host, &node, "disk", &disk, &["check", "--read-data"])?;
        restic(&host, &node, "disk", &disk, &["restore", "latest", "--target", &text(&to)])?;
        same(&home.join("photos"), &to.join(home.strip_prefix("/")?).join("photos"))?;

        let all: Vec<BackupSnapshot> = node.ask(&["backup", "snapshots"])?;
        ensure!(all.last().is_some_and(|one| one.id == first.snapshot), "{all:?}");
        let listed = node.cli(&["backup", "ls", &text(&home)])?.good()?.out;
        ensure!(listed.contains("papers/") && !listed.contains("big.iso"), "{listed}");
        ensure!(!listed.contains("node"), "the node's own home is left out: {listed}");
        finds(&node, &home, &first.snapshot)?;
        comes_back_in_place(&node, &home)?;
        let photos = host.folder().join("photos");
        node.cli(&["backup", "restore", &text(&home.join("photos")), "--to", &text(&photos)])?.good()?;
        same(&home.join("photos"), &photos)?;
        let whole = host.folder().join("whole");
        node.cli(&["backup", "restore", "--snapshot", "home", "--to", &text(&whole)])?.good()?;
        same(&home.join("papers"), &whole.join(home.strip_prefix("/")?).join("papers"))?;
        node.cli(&["backup", "restore", "/no/such", "--to", &text(&whole)])?
            .refused(1, &["/no/such", "freehold backup ls"])?;

        // What restic wrote is gone on with.
        restic(&host, &node, "disk", &disk, &["backup", "--host", "other", &text(&home.join("papers"))])?;
        asks_which(&node, &home)?;
        node.cli(&["backup", "check", "--read"])?.good()?;
        std::fs::remove_file(home.join("papers/letter.txt"))?;
        node.cli(&["backup", "now", "home"])?.good()?;
        let would = node.cli(&["backup", "forget", "--last", "1", "--dry-run"])?.good()?.out;
        ensure!(would.contains("Would forget"), "{would}");
        let before = node.ask::<Vec<BackupSnapshot>>(&["backup", "snapshots"])?.len();
        node.cli(&["--yes", "backup", "forget", "--last", "1"])?.good()?;
        let after = node.ask::<Vec<BackupSnapshot>>(&["backup", "snapshots"])?.len();
        ensure!(after == 2 && before > after, "one of each machine stays: {before}, then {after}");

        // A repository goes on at another path, by the password that the realm knows.
        node.cli(&["backup", "target", "remove", "disk"])?.refused(1, &["home goes there"])?;
        node.cli(&["backup", "remove", "home"])?.good()?;
        node.cli(&["backup", "target", "remove", "disk"])?.good()?;
        std::fs::rename(&disk, &copy)?;
        let said = node.cli(&["backup", "target", "add", "disk", &text(&copy)])?.good()?.out;
        ensure!(said.contains("goes on"), "{said}");
        ensure!(node.ask::<Vec<BackupSnapshot>>(&["backup", "snapshots"])?.len() == 2, "its snapshots");

        // And one that somebody else made, by the password that they tell.
        let (theirs, password) = (story.folder().join("theirs"), story.folder().join("their-password"));
        super::write(&password, b"correct horse\n")?;
        let mut init = host.command("restic");
        init.args(["init", "--repo"]).arg(&theirs).arg("--password-file").arg(&password);
        Host::answer(&mut init)?.good()?;
        let mut made = host.command("restic");
        made.args(["--no-cache", "--repo"]).arg(&theirs).arg("--password-file").arg(&password);
        Host::answer(made.args(["backup", "--host", "attic"]).arg(home.join("papers")))?.good()?;
        node.cli(&["backup", "target", "add", "theirs", &text(&theirs)])?.refused(1, &["--password-file"])?;
        let file = text(&password);
        let adopted = ["backup", "target", "add", "theirs", &text(&theirs), "--password-file", &file];
        let said = node.cli(&adopted)?.good()?.out;
        ensure!(
            said.contains("1 snapshot of attic") && said.contains("backup check theirs --read"),
            "{said}"
        );
        node.cli(&["backup", "check", "theirs"])?.good()?;
        node.stop()
    })
}

#[test]
fn a_target_that_is_down_stops_no_other_and_is_an_alarm() -> Result<()> {
    story("a_target_that_is_down_stops_no_other_and_is_an_alarm", |story| {
        let host = story.host("laptop")?;
        let home = furnished(story)?;
        let mut node = host.node()?;
        node.up(&["--name", "smith"])?;
        let (disk, stick) = (story.folder().join("disk"), story.folder().join("stick"));
        target(&node, "disk", &disk)?;
        target(&node, "stick", &stick)?;
        // It is not plugged in.
        let away = story.folder().join("away");
        std::fs::rename(&stick, &away)?;
        node.cli(&["backup", "add", "home", &text(&home), "--to", "disk,stick"])?.good()?;
        for _ in 0..3 {
            node.cli(&["backup", "now", "home"])?.refused(1, &["stick", "plugged in and mounted"])?;
        }
        ensure!(!stick.exists(), "nothing is made up in the place of a disk that is not there");
        ensure!(standing(&node, "home", "disk")?.failed == 0, "the other goes on");
        ensure!(
            node.ask::<Vec<BackupSnapshot>>(&["backup", "snapshots", "--from", "disk"])?.len() >= 3,
            "as asked"
        );
        let of_home = |node: &Node<'_>| -> Result<Vec<Finding>> {
            Ok(node.status()?.alarms.into_iter().filter(|alarm| alarm.what.contains("backup home")).collect())
        };
        ensure!(of_home(&node)?.is_empty(), "one that lies in a drawer for a day is no alarm");
        // It is plugged in, and damaged.
        std::fs::rename(&away, &stick)?;
        std::fs::rename(stick.join("keys"), &away)?;
        for _ in 0..3 {
            node.cli(&["backup", "now", "home"])?.refused(1, &["stick"])?;
        }
        node.alarmed(&["backup home on stick fails", "in a row failed", "freehold backup now home"])?;
        let metrics = node.cli(&["metrics"])?.good()?.out;
        let failed = |line: &&str| line.starts_with("freehold_backup_failed{") && !line.ends_with(" 0");
        ensure!(metrics.lines().filter(failed).count() == 1, "{metrics}");
        ensure!(!metrics.contains("stick"), "a name is nobody's business who reads metrics");

        std::fs::rename(&away, stick.join("keys"))?;
        node.cli(&["backup", "now", "home"])?.good()?;
        tried(&node, "home", "stick")?;
        until(PATIENCE, "nothing is wrong with backups", || {
            let alarms = of_home(&node)?;
            ensure!(alarms.is_empty(), "{alarms:?}");
            Ok(())
        })?;
        // What was chosen and what came of it is there after a restart.
        let before = standing(&node, "home", "stick")?.last.context("it was made")?;
        node.stop()?;
        node.resume()?;
        let after = standing(&node, "home", "stick")?.last.context("it is remembered")?;
        ensure!(before.snapshot == after.snapshot, "{before:?} {after:?}");
        restic(&host, &node, "stick", &stick, &["check", "--read-data"])?;
        node.stop()
    })
}

#[test]
fn a_daemon_that_is_killed_while_it_backs_up_goes_on_by_itself() -> Result<()> {
    story("a_daemon_that_is_killed_while_it_backs_up_goes_on_by_itself", |story| {
        const FILM: usize = 8 << 20;
        let host = story.host("laptop")?;
        for number in 0..20 {
            story.file(&format!("films/{number}"), FILM, number + 1)?;
        }
        let films = story.folder().join("films");
        let mut node = host.node()?;
        node.up(&["--name", "smith"])?;
        let disk = story.folder().join("disk");
        target(&node, "disk", &disk)?;
        // Nobody asks: what was never made is due.
        node.cli(&["backup", "add", "films", &text(&films), "--to", "disk"])?.good()?;
        until(PATIENCE, "some of it is on the disk", || {
            ensure!(packs(&disk.join("data"))?.0 >= 2, "not yet");
            Ok(())
        })?;
        node.kill()?;
        let (_, before) = packs(&disk.join("data"))?;
        ensure!(
            std::fs::read_dir(disk.join("snapshots"))?.next().is_none(),
            "it was over before it was killed"
        );
        node.resume()?;
        let last =
            until(PATIENCE, "it goes on", || standing(&node, "films", "disk")?.last.context("not made yet"))?;
        let total = 20 * FILM as u64;
        ensure!(last.bytes == total && last.unread == 0, "{last:?}");
        ensure!(last.added < total - before + (1 << 20), "{before} bytes were there: {last:?}");
        tried(&node, "films", "disk")?;
        restic(&host, &node, "disk", &disk, &["check", "--read-data"])?;
        // Told to stop while it runs, it does not keep anybody waiting, and makes no snapshot of a part.
        for number in 20..40 {
            story.file(&format!("films/{number}"), FILM, number + 1)?;
        }
        let count = packs(&disk.join("data"))?.0;
        let mut now = node.command(&["backup", "now", "films"])?.spawn()?;
        until(PATIENCE, "more is on the disk", || {
            ensure!(packs(&disk.join("data"))?.0 > count, "not yet");
            Ok(())
        })?;
        node.stop()?;
        now.wait()?;
        ensure!(std::fs::read_dir(disk.join("snapshots"))?.count() == 1, "a part is no snapshot");
        Ok(())
    })
}

#[test]
fn phrases_and_a_disk_bring_files_back_after_the_machine_burned() -> Result<()> {
    story("phrases_and_a_disk_bring_files_back_after_the_machine_burned", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let home = furnished(story)?;
        let (mut one, mut other, mut third) = (alice.node()?, bob.node()?, carol.node()?);
        one.up(&["--name", "smith"])?;
        let disk = story.folder().join("disk");
        // Before there is another machine: the password comes to it later.
        target(&one, "disk", &disk)?;
        one.cli(&["backup", "add", "home", &text(&home), "--to", "disk"])?.good()?;
        other.join(&one.invite(&[])?, "bob")?;
        one.cli(&["backup", "now", "home"])?.good()?;
        let told = |node: &Node<'_>| -> Result<bool> {
            Ok(node.status()?.alarms.iter().any(|alarm| alarm.what.contains("not fully protected")))
        };
        until(PATIENCE, "bob keeps a copy of the password", || {
            let metrics = other.status()?;
            ensure!(metrics.storage.used > 0 && !told(&one)? && !told(&other)?, "{:?}", metrics.storage);
            Ok(())
        })?;
        let card = other.card()?;
        let phrases = std::fs::read_to_string(one.guardians())?;
        one.destroy()?;
        let two: Vec<&str> = phrases.lines().skip(1).collect();
        let file = story.folder().join("two-phrases");
        super::write(&file, two.join("\n").as_bytes())?;
        third.start(&["recover", "--card", &card, "--guardians-file", &text(&file)])?;
        let said = until(PATIENCE, "the disk is opened by the password that came back", || {
            node_says(&third, &["backup", "target", "add", "disk", &text(&disk)])
        })?;
        ensure!(said.contains("goes on"), "{said}");
        let to = carol.folder().join("back");
        third.cli(&["backup", "restore", &text(&home), "--to", &text(&to)])?.good()?;
        same(&home, &to)
    })
}

fn node_says(node: &Node<'_>, arguments: &[&str]) -> Result<String> {
    Ok(node.cli(arguments)?.good()?.out)
}
