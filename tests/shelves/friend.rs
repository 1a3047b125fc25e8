//! A friend's disk as the place of a backup: counted to the byte, opened by nobody there, destroyed by nobody who takes the
//! machine that writes it; and when everything else has burned, guardian phrases bring all of it back from there.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use freehold_api::{Backups, GrantOffered, GrantRoom, GrantStatus, RealmCard};
use freehold_harness::{Host, Node, Story, story, until};

use super::{PATIENCE, files, furnished, in_time, same, snapshots, standing, text, thief};

/// Stands in one of the files, and must stand nowhere on a friend's disk.
const MARK: &[u8] = b"the recipe that nobody else may read";

/// A realm on a first machine.
fn found(node: &mut Node<'_>, realm: &str, name: &str) -> Result<()> {
    node.up(&["--name", realm])?;
    let me = node.status()?.this_node;
    node.cli(&["node", "rename", &me, name])?.good().map(drop)
}

/// The one lends the other room, which is called `smith` there and `jones` here.
fn lends(smith: &Node<'_>, jones: &Node<'_>, room: &str) -> Result<()> {
    let card: RealmCard = jones.ask(&["grant", "card"])?;
    let offer = ["grant", "offer", "--to", &card.text, "--name", "jones", "--storage", room];
    let offer = [&offer[..], &["--egress", "1GiB/month", "--wind-down", "1"]].concat();
    let text = smith.ask::<GrantOffered>(&offer)?.text;
    jones.cli(&["grant", "accept", &text, "--name", "smith"])?.good().map(drop)
}

fn room(node: &Node<'_>, grant: &str) -> Result<GrantRoom> {
    let grant: GrantStatus = node.ask(&["grant", "show", grant])?;
    grant.room.with_context(|| format!("it is no room: {:?}", grant.name))
}

/// What lies there for others, but for notes: the bytes are what the meter says, and nothing is to be read in them.
fn counted_and_closed(smith: &Node<'_>) -> Result<()> {
    let lent = smith.home().join("net/lent");
    until(PATIENCE, "the meter says what lies there", || {
        let mut bytes = 0;
        for path in files(&lent)?.keys() {
            let told = text(path);
            if ["/objects/", "/repository/", "/letters/"].iter().any(|dir| told.contains(dir)) {
                bytes += path.metadata()?.len();
            }
        }
        let kept = room(smith, "jones")?.kept;
        ensure!(kept == Some(bytes) && bytes > 1 << 20, "{kept:?}, {bytes} bytes lie there");
        Ok(())
    })?;
    for path in files(&lent)?.keys() {
        let bytes = std::fs::read(path)?;
        for word in [MARK, b"letter.txt", b"sea.jpg", b"Joneses", b"laptop"] {
            let is_there = bytes.windows(word.len()).any(|window| window == word);
            ensure!(!is_there, "{} shows {}", path.display(), String::from_utf8_lossy(word));
        }
    }
    Ok(())
}

fn with_secret(story: &Story) -> Result<std::path::PathBuf> {
    let home = furnished(story)?;
    std::fs::File::create(home.join("papers/recipe"))?.write_all(MARK)?;
    Ok(home)
}

fn restored(node: &Node<'_>, host: &Host, home: &Path, to: &str) -> Result<std::path::PathBuf> {
    let to = host.folder().join(to);
    in_time(node, &["backup", "restore", &text(home), "--from", "friend", "--to", &text(&to)])?;
    Ok(to)
}

#[test]
fn a_friend_keeps_a_backup_and_learns_nothing() -> Result<()> {
    story("a_friend_keeps_a_backup", |story| {
        let (attic, den) = (story.host("attic")?, story.host("den")?);
        let (mut smith, mut jones) = (attic.node()?, den.node()?);
        found(&mut smith, "The Smiths", "attic")?;
        found(&mut jones, "The Joneses", "laptop")?;
        let home = with_secret(story)?;
        lends(&smith, &jones, "48MiB")?;
        in_time(&jones, &["backup", "target", "add", "friend", "--grant", "smith"])?;
        jones.cli(&["backup", "add", "home", &text(&home), "--to", "friend"])?.good()?;
        in_time(&jones, &["backup", "now", "home"])?;
        counted_and_closed(&smith)?;
        let original = restored(&jones, &den, &home, "original")?;
        same(&home, &original)?;
        jones
            .cli(&["--yes", "backup", "forget", "--from", "friend", "--last", "1"])?
            .refused(1, &["cannot destroy", "another realm lends"])?;

        // With the machine's keys and its rights at the friend's nothing is destroyed.
        let grant: GrantStatus = jones.ask(&["grant", "show", "smith"])?;
        let keeper = smith.status()?.this_node;
        let lent = smith.home().join("net/lent");
        let before = files(&lent)?;
        jones.stop()?;
        thief::comes((&den, &jones), (&attic, &keeper), Some(&grant.id))?;
        let after = files(&lent)?;
        for (path, hash) in before.iter().filter(|(path, _)| text(path).contains("/shelves/")) {
            ensure!(after.get(path) == Some(hash), "{} is gone, or another", path.display());
        }
        // Both start anew.
        smith.stop()?;
        smith.resume()?;
        jones.resume()?;
        in_time(&jones, &["backup", "now", "home"])?;
        counted_and_closed(&smith)?;

        // More than was promised is not taken in.
        story.file("ann/large", 60 << 20, 9)?;
        until(PATIENCE, "it is refused", || {
            jones.cli(&["backup", "now", "home"])?.refused(1, &["as much is stored as the grant allows"])
        })?;
        counted_and_closed(&smith)?;
        ensure!(
            room(&smith, "jones")?.kept.is_some_and(|kept| kept <= 48 << 20),
            "{:?}",
            room(&smith, "jones")?
        );
        std::fs::remove_file(home.join("large"))?;
        let first = snapshots(&jones, "friend")?.first().context("the first")?.id.clone();

        // At the end nothing more comes, and what is there is read.
        smith.cli(&["grant", "revoke", "jones"])?.good()?;
        until(PATIENCE, "it is closed", || {
            jones.cli(&["backup", "now", "home"])?.refused(1, &["nothing is taken in any more"])
        })?;
        let to = den.folder().join("afterwards");
        let back =
            ["backup", "restore", &text(&home), "--from", "friend", "--snapshot", &first, "--to", &text(&to)];
        in_time(&jones, &back)?;
        same(&original, &to)?;
        ensure!(standing(&jones, "friend")?.last.is_some(), "what was made is known");
        jones.stop()?;
        smith.stop()
    })
}

#[test]
fn everything_burned_and_one_friend_is_left() -> Result<()> {
    story("everything_burned_and_one_friend_is_left", |story| {
        let (attic, den, barn, far) =
            (story.host("attic")?, story.host("den")?, story.host("barn")?, story.host("far")?);
        let (mut smith, mut laptop, mut nas, mut new) =
            (attic.node()?, den.node()?, barn.node()?, far.node()?);
        found(&mut smith, "The Smiths", "attic")?;
        found(&mut laptop, "The Joneses", "laptop")?;
        nas.join(&laptop.invite(&[])?, "nas")?;
        let home = with_secret(story)?;
        lends(&smith, &laptop, "64MiB")?;
        for (node, what) in [(&laptop, "papers"), (&nas, "photos")] {
            in_time(node, &["backup", "target", "add", "friend", "--grant", "smith"])?;
            node.cli(&["backup", "add", "home", &text(&home.join(what)), "--to", "friend"])?.good()?;
            in_time(node, &["backup", "now", "home"])?;
        }
        let id = laptop.status()?.realm.id;
        let phrases = std::fs::read_to_string(laptop.guardians())?;
        let words: Vec<&str> = phrases.lines().collect();
        let original = story.folder().join("original");
        copy(&home, &original)?;
        laptop.destroy()?;
        nas.destroy()?;
        std::fs::remove_dir_all(&home)?;

        // What is left: the program, two papers, and what the friend says on the telephone.
        let card = smith.card()?;
        let file = far.folder().join("phrases");
        let write = |words: &[&str]| -> Result<()> {
            Ok(std::fs::File::create(&file)?.write_all(words.join("\n").as_bytes())?)
        };
        write(words.get(..1).context("a phrase")?)?;
        let recover = ["recover", "--card", &card, "--guardians-file", &text(&file), "--name", "new"];
        new.cli(&recover)?.refused(1, &["two of the three are needed"])?;
        write(words.get(1..).context("two phrases")?)?;
        new.start(&recover)?;
        let status = new.status()?;
        ensure!(status.realm.id == id, "another realm came back: {:?}", status.realm);
        ensure!(status.nodes.iter().any(|one| one.name == "nas"), "{:?}", status.nodes);
        let all: Backups = new.ask(&["backup", "list"])?;
        ensure!(all.targets.len() == 2, "{:?}", all.targets);
        for target in &all.targets {
            for snapshot in snapshots(&new, &target.name)? {
                let to = far.folder().join(&snapshot.id);
                let from = ["backup", "restore", "--from", &target.name, "--snapshot", &snapshot.id];
                new.cli(&[&from[..], &["--to", &text(&to)]].concat())?.good()?;
            }
        }
        let back = |what: &str| -> Result<bool> {
            let at = home.join(what);
            let below = at.strip_prefix("/")?;
            let all =
                std::fs::read_dir(far.folder())?.filter_map(|entry| Some(entry.ok()?.path().join(below)));
            Ok(all.into_iter().any(|one| one.is_dir() && same(&original.join(what), &one).is_ok()))
        };
        for what in ["papers", "photos"] {
            ensure!(back(what)?, "{what} did not come back");
        }
        // It is there after a restart, and nothing there is removed by it.
        new.stop()?;
        new.resume()?;
        let name = all.targets.first().context("a target")?.name.clone();
        ensure!(!snapshots(&new, &name)?.is_empty(), "they are there");
        new.cli(&["--yes", "backup", "forget", "--from", &name, "--last", "1"])?
            .refused(1, &["cannot destroy"])?;
        counted_and_closed(&smith)?;
        new.stop()?;
        smith.stop()
    })
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let out = std::process::Command::new("cp").arg("-a").args([from, to]).output()?;
    ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Ok(())
}
