//! What is written on one node is on the other as ciphertext, and survives the loss of either.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use freehold_api::Standing;
use freehold_harness::{Host, Node, Ready, Story, eventually, python, story, until};

const MIB: usize = 1 << 20;
/// Stands in one of the files, and must stand nowhere on a node's disk.
const MARK: &[u8] = b"the recipe that nobody else may read";

/// A folder of files of every size that matters: none, below and above a chunk, several parts.
fn photos(story: &Story) -> Result<PathBuf> {
    for (name, size) in
        [("empty", 0), ("small.txt", 100), ("a/photo.jpg", 300_000), ("a/b/film.mp4", 24 * MIB)]
    {
        story.file(&format!("photos/{name}"), size, 1 + size as u64)?;
    }
    let folder = story.folder().join("photos");
    let text: Vec<u8> = MARK.iter().copied().cycle().take(200_000).collect();
    std::io::Write::write_all(&mut std::fs::File::create(folder.join("secret-name.txt"))?, &text)?;
    Ok(folder)
}

fn upload(node: &Node<'_>, ready: &Ready, from: &Path) -> Result<()> {
    let parts = ["--s3-upload-cutoff", "8M", "--s3-chunk-size", "8M"];
    let from = from.to_string_lossy();
    node.s3(ready)?.rclone(&[&["copy", &from, "fh:photos"], parts.as_slice()].concat())?.good()?;
    Ok(())
}

/// Reads every object back through a node and compares it with the original.
fn identical(node: &Node<'_>, ready: &Ready, original: &Path) -> Result<bool> {
    let check = node.s3(ready)?.rclone(&["check", "--download", &original.to_string_lossy(), "fh:photos"])?;
    Ok(check.code == Some(0))
}

/// How many objects `photos` makes.
const OBJECTS: u64 = 5;

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else if entry.file_type()?.is_file() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// No file, and no file's name, of a home shows a word of what is in the realm.
fn sealed(home: &Path) -> Result<()> {
    for file in files(home)? {
        let bytes = std::fs::read(&file)?;
        for word in [MARK, b"secret-name", b"film.mp4"] {
            let found = bytes.windows(word.len()).any(|window| window == word);
            ensure!(!found, "{} shows `{}`", file.display(), String::from_utf8_lossy(word));
        }
        ensure!(!file.to_string_lossy().contains("secret-name"), "{}", file.display());
    }
    Ok(())
}

#[test]
fn an_admins_invitation_brings_everything_back_after_the_first_node_is_destroyed() -> Result<()> {
    story("an_admins_invitation_brings_everything_back", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let (mut one, mut other, mut third) = (alice.node()?, bob.node()?, carol.node()?);
        let original = photos(story)?;
        let ready = one.up(&["--name", "smith"])?;
        other.join(&one.invite(&["--device"])?, "bob")?;
        one.cli(&["bucket", "create", "photos", "--copies", "2"])?.good()?;
        upload(&one, &ready, &original)?;
        one.protected("photos", OBJECTS)?;
        let held: u64 = files(&other.home().join("depot"))?
            .iter()
            .map(|file| std::fs::metadata(file).map_or(0, |about| about.len()))
            .sum();
        ensure!(held > 24 * MIB as u64, "the second node holds {held} bytes only");
        sealed(one.home())?;
        sealed(other.home())?;

        let lost = one.status()?.this_node;
        one.destroy()?;
        let ready = third.join(&other.invite(&[])?, "carol")?;
        eventually(60, "every object reads back identical on the third", || {
            identical(&third, &ready, &original)
        })?;
        // What is gone counts as a copy until somebody says that it will not come back.
        other.cli(&["--yes", "node", "suspend", &lost])?.good()?;
        third.protected("photos", OBJECTS)?;
        other.protected("photos", OBJECTS)?;
        sealed(third.home())
    })
}

/// A bucket that asks for two confirmations: what is acknowledged is on both machines at that moment,
/// and nothing is acknowledged while one of them is off.
#[test]
fn a_write_that_must_be_on_two_machines_is_acknowledged_by_two_or_refused() -> Result<()> {
    story("a_write_that_must_be_on_two_machines", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        let ready = one.up(&[])?;
        other.join(&one.invite(&[])?, "bob")?;
        one.cli(&["bucket", "create", "both", "--copies", "2", "--confirm", "2"])?.good()?;
        until(30, "bob hears of the bucket", || other.bucket("both"))?;
        let s3 = one.s3(&ready)?;
        let put = |name: &str| {
            let file = story.file(name, 300_000, 1)?;
            s3.aws(&["s3", "cp", &file.to_string_lossy(), &format!("s3://both/{name}")])
        };
        put("first")?.good()?;
        // At once, without waiting: the acknowledgement said so.
        one.kill()?;
        let kept = other.cli(&["bucket", "verify", "both", "--json"])?.good()?.json::<serde_json::Value>()?;
        ensure!(kept.pointer("/blobs").and_then(serde_json::Value::as_u64) == Some(1), "{kept}");
        other.stop()?;
        let ready = one.resume()?;
        let s3 = one.s3(&ready)?;
        let file = story.file("second", 300_000, 2)?;
        let mut once = s3.command(&python("aws")?);
        // Else the client tries again for minutes.
        once.env("AWS_MAX_ATTEMPTS", "1").args(["s3", "cp", &file.to_string_lossy(), "s3://both/second"]);
        let alone = Host::answer(&mut once)?;
        ensure!(alone.code != Some(0), "one machine acknowledged for two");
        ensure!(alone.err.contains("more copies"), "{}", alone.err);
        other.resume()?;
        until(60, "it is taken again", || {
            s3.aws(&["s3", "cp", &file.to_string_lossy(), "s3://both/second"])?.good()
        })?;
        Ok(())
    })
}

#[test]
fn guardian_phrases_bring_everything_back_after_the_only_admin_is_destroyed() -> Result<()> {
    story("guardian_phrases_bring_everything_back", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let dave = story.host("dave")?;
        let (mut one, mut other, mut third) = (alice.node()?, bob.node()?, carol.node()?);
        let mut witness = dave.node()?;
        let original = photos(story)?;
        let ready = one.up(&["--name", "smith"])?;
        other.join(&one.invite(&[])?, "bob")?;
        witness.join(&one.invite(&[])?, "dave")?;
        one.cli(&["bucket", "create", "photos", "--copies", "3"])?.good()?;
        upload(&one, &ready, &original)?;
        one.protected("photos", OBJECTS)?;
        let card = other.card()?;
        let phrases = std::fs::read_to_string(one.guardians())?;
        let lost = one.status()?.this_node;
        one.destroy()?;

        // Any two of the three.
        let two: Vec<&str> = phrases.lines().skip(1).collect();
        let file = story.folder().join("two-phrases");
        std::io::Write::write_all(&mut std::fs::File::create(&file)?, two.join("\n").as_bytes())?;
        let file = file.to_string_lossy();
        let ready = third.start(&["recover", "--card", &card, "--guardians-file", &file])?;
        eventually(60, "every object reads back identical on the third", || {
            identical(&third, &ready, &original)
        })?;
        // For 72 hours every machine shows the recovery, and nobody has stopped it: the new one is admin.
        until(30, "dave shows it as well", || {
            ensure!(witness.status()?.recoveries.len() == 1, "no recovery");
            Ok(())
        })?;
        for node in [&mut other, &mut third, &mut witness] {
            node.stop()?;
            node.set_clock(Some("+73h"));
        }
        other.resume()?;
        // Alone it has heard of no veto, and of nobody who could have.
        ensure!(other.status()?.recoveries.len() == 1, "it slept through the 72 hours and took effect");
        witness.resume()?;
        let third_ready = third.resume()?;
        until(60, "the new machine has made itself a node", || {
            let status = third.status()?;
            let mine = status.nodes.iter().find(|node| node.id == status.this_node);
            ensure!(mine.is_some_and(|node| node.standing == Standing::Member), "{:?}", status.nodes);
            Ok(())
        })?;
        // What is gone counts as a copy until somebody says that it will not come back: so it is said.
        for node in [&other, &third] {
            node.alarmed(&["silent for 3 days", "counts as a copy", "freehold node suspend"])?;
        }
        third.cli(&["--yes", "node", "suspend", &lost])?.good()?;
        third.protected("photos", OBJECTS)?;
        other.protected("photos", OBJECTS)?;
        for node in [&other, &third] {
            until(60, "nobody is missed any more", || {
                let alarms = node.status()?.alarms;
                ensure!(!alarms.iter().any(|alarm| alarm.what.contains("silent")), "{alarms:?}");
                Ok(())
            })?;
        }
        // The copies are real: what the old machine shared with the second is on the new one.
        other.destroy()?;
        ensure!(identical(&third, &third_ready, &original)?, "the new machine alone does not have it all");
        sealed(third.home())
    })
}

fn two_phrases(node: &Node<'_>, story: &Story) -> Result<String> {
    let phrases = std::fs::read_to_string(node.guardians())?;
    let two: Vec<&str> = phrases.lines().skip(1).collect();
    let file = story.folder().join("two-phrases");
    std::io::Write::write_all(&mut std::fs::File::create(&file)?, two.join("\n").as_bytes())?;
    Ok(file.to_string_lossy().into_owned())
}

#[test]
fn an_admin_stops_a_recovery_that_nobody_wanted() -> Result<()> {
    story("an_admin_stops_a_recovery_that_nobody_wanted", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let (mut one, mut other, mut third) = (alice.node()?, bob.node()?, carol.node()?);
        one.up(&["--name", "smith"])?;
        let at_bob = other.join(&one.invite(&["--device"])?, "bob")?;
        one.cli(&["realm", "veto"])?.refused(1, &["none waits"])?;
        one.cli(&["bucket", "create", "photos", "--copies", "2"])?.good()?;
        let file = story.file("photo", 300_000, 1)?.to_string_lossy().into_owned();
        until(30, "bob takes a photo", || {
            other.s3(&at_bob)?.aws(&["s3", "cp", &file, "s3://photos/before"])?.good()
        })?;
        one.protected("photos", 1)?;
        eventually(30, "the card names both", || Ok(one.connections()? == 1))?;
        let (card, phrases) = (one.card()?, two_phrases(&one, story)?);
        one.stop()?;
        // The first node that the card names is gone: the other one is asked beside it.
        let begun = std::time::Instant::now();
        let recover = ["recover", "--card", &card, "--guardians-file", &phrases, "--name", "carol"];
        let ready = third.start(&recover)?;
        ensure!(begun.elapsed() < Duration::from_secs(15), "it took {:?}", begun.elapsed());
        ensure!(ready.text("node")? == "carol", "{ready:?}");
        ensure!(ready.0.to_string().contains("takes effect in 72 hours"), "{ready:?}");
        ensure!(third.log()?.contains("72 hours"), "{}", third.log()?);
        third.cli(&["invite"])?.refused(1, &["no invitation was made", "takes effect in 72 hours"])?;
        let file = story.file("late", 10_000, 1)?.to_string_lossy().into_owned();
        let write = third.s3(&ready)?.aws(&["s3", "cp", &file, "s3://files/late"])?;
        write.failed(&["AccessDenied", "no member of the realm, or no gateway"])?;
        third.cli(&["bucket", "create", "more"])?.refused(1, &["takes effect in 72 hours"])?;

        eventually(30, "bob hears of it", || Ok(other.status()?.recoveries.len() == 1))?;
        let said = other.cli(&["status"])?.good()?.out;
        ensure!(said.contains("freehold realm veto") && said.contains("is recovering the realm"), "{said}");
        third.alarmed(&["bringing the realm back on this machine", "takes effect in 72 hours", "running"])?;
        let said = third.cli(&["node", "list"])?.good()?.out;
        ensure!(said.contains("carol") && said.contains("this machine, recovering"), "{said}");
        // It reads, also what is written now.
        let (at_carol, there) = (third.s3(&ready)?, other.s3(&at_bob)?);
        for name in ["before", "meanwhile"] {
            there.aws(&["s3", "cp", &file, &format!("s3://photos/{name}")])?.good()?;
            until(30, "carol reads", || {
                at_carol.aws(&["s3", "cp", &format!("s3://photos/{name}"), "-"])?.good()
            })?;
        }
        let visitor = third.status()?.this_node;
        other.cli(&["node", "suspend", &visitor])?.refused(1, &["freehold realm veto"])?;
        other.cli(&["realm", "veto", "0000000"])?.refused(1, &["none that waits"])?;
        other.cli(&["realm", "veto"])?.good()?;
        there.aws(&["s3", "cp", &file, "s3://photos/after"])?.good()?;
        let late = at_carol.aws(&["s3", "cp", "s3://photos/after", "-"])?;
        ensure!(late.code != Some(0), "a stopped machine reads what was written later");
        for node in [&other, &third] {
            eventually(30, "it will not take effect", || {
                let waiting = node.status()?.recoveries;
                Ok(matches!(waiting.as_slice(), [one] if one.effective_in_ms.is_none()))
            })?;
        }
        let said = other.cli(&["status"])?.good()?.out;
        ensure!(!said.contains("veto"), "an alarm still: {said}");
        third.alarmed(&["is stopped", "no node gives this machine anything more", "ask the admins"])?;
        third.cli(&["invite"])?.refused(1, &["vetoed", "ask the admins"])?;
        eventually(30, "bob no longer speaks with it", || Ok(other.status()?.nodes.len() == 2))?;
        third.stop()?;
        let ready = third.resume()?;
        let late = third.s3(&ready)?.aws(&["s3", "cp", "s3://photos/after", "-"])?;
        ensure!(late.code != Some(0), "it reads after a start");
        Ok(())
    })
}

#[test]
fn phrases_that_cannot_do_are_told_at_once() -> Result<()> {
    story("phrases_that_cannot_do_are_told_at_once", |story| {
        let (alice, carol) = (story.host("alice")?, story.host("carol")?);
        let (mut one, third) = (alice.node()?, carol.node()?);
        one.up(&[])?;
        let card = one.card()?;
        let phrases = std::fs::read_to_string(one.guardians())?;
        let first = phrases.lines().next().context("no phrase")?;
        let typo = first.replace(' ', ", ").replacen(", ", "x, ", 1);
        for (name, lines, why) in [
            ("empty", "\n", "there is no phrase in it"),
            ("doubled", &format!("{first}\n1. {first}"), "line 2: this phrase stands above"),
            ("typo", &format!("{first}\n{typo}"), "line 2: word 1 is not one"),
        ] {
            let file = story.folder().join(name);
            std::io::Write::write_all(&mut std::fs::File::create(&file)?, lines.as_bytes())?;
            let file = file.to_string_lossy();
            third.cli(&["recover", "--card", &card, "--guardians-file", &file])?.refused(2, &[why])?;
        }
        Ok(())
    })
}

#[test]
fn one_phrase_or_a_wrong_one_recovers_nothing() -> Result<()> {
    story("one_phrase_or_a_wrong_one_recovers_nothing", |story| {
        let (alice, carol) = (story.host("alice")?, story.host("carol")?);
        let (mut one, third) = (alice.node()?, carol.node()?);
        one.up(&[])?;
        let card = one.card()?;
        let phrases = std::fs::read_to_string(one.guardians())?;
        let first = phrases.lines().next().context("no phrase")?;
        let stranger = format!("{}about", "abandon ".repeat(11));
        for (name, lines) in [("alone", first.to_owned()), ("strange", format!("{first}\n{stranger}"))] {
            let file = story.folder().join(name);
            std::io::Write::write_all(&mut std::fs::File::create(&file)?, lines.as_bytes())?;
            let answer =
                third.cli(&["recover", "--card", &card, "--guardians-file", &file.to_string_lossy()])?;
            ensure!(answer.code.is_some_and(|code| code != 0), "{name}: it was let in");
            ensure!(answer.err.contains("phrase"), "{name}: {}", answer.err);
            ensure!(!third.home().join("log.redb").exists(), "{name}: it left half a node");
        }
        Ok(())
    })
}

#[test]
fn what_a_hostile_disk_does_to_a_copy_is_found_and_mended() -> Result<()> {
    story("what_a_hostile_disk_does_to_a_copy_is_found_and_mended", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        let original = photos(story)?;
        let ready = one.up(&[])?;
        other.join(&one.invite(&[])?, "bob")?;
        one.cli(&["bucket", "create", "photos", "--copies", "2"])?.good()?;
        upload(&one, &ready, &original)?;
        one.protected("photos", OBJECTS)?;

        let mut blobs = files(&one.home().join("depot"))?;
        blobs.sort_by_key(|file| std::fs::metadata(file).map_or(0, |about| about.len()));
        let [.., small, middle, large] = blobs.as_slice() else { anyhow::bail!("{} blobs", blobs.len()) };
        let mut flipped = std::fs::read(large)?;
        if let Some(byte) = flipped.get_mut(1_000_000) {
            *byte ^= 1;
        }
        let cut = std::fs::read(small)?;
        let swapped = std::fs::read(middle)?;
        replace(large, &flipped)?;
        replace(middle, cut.get(..cut.len() / 2).context("it is empty")?)?;
        replace(small, &swapped)?;

        one.cli(&["bucket", "verify", "photos", "--no-repair"])?.refused(1, &["--no-repair"])?;
        one.alarmed(&["photos is damaged on this node", "3 parts"])?;
        let report = one.cli(&["bucket", "verify", "photos"])?;
        let said = format!("{}{}", report.out, report.err);
        // A part that is not as long as it was counts as missing, and is fetched again without anybody's asking.
        let mended = said.matches("repaired from a good copy").count();
        ensure!(
            (2..=3).contains(&mended) && said.matches("film.mp4").count() <= 3,
            "it should mend three: {said}"
        );
        ensure!(identical(&one, &ready, &original)?, "not mended: {said}");
        one.cli(&["bucket", "verify", "photos", "--no-repair"])?.good()?;
        until(30, "no alarm says so any more", || {
            let alarms = one.status()?.alarms;
            ensure!(!alarms.iter().any(|alarm| alarm.what.contains("damaged")), "{alarms:?}");
            Ok(())
        })
    })
}

fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::remove_file(path)?;
    std::io::Write::write_all(&mut std::fs::File::create(path)?, bytes)?;
    Ok(())
}

#[test]
fn what_others_hold_and_who_was_copied_is_remembered_over_a_restart() -> Result<()> {
    story("what_others_hold_is_remembered", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        let ready = one.up(&[])?;
        other.join(&one.invite(&[])?, "bob")?;
        one.cli(&["bucket", "create", "photos", "--copies", "2"])?.good()?;
        let file = story.file("photo", 300_000, 1)?;
        let file = file.to_string_lossy();
        one.s3(&ready)?.aws(&["s3", "cp", &file, "s3://photos/one"])?.good()?;
        one.protected("photos", 1)?;
        other.protected("photos", 1)?;
        other.stop()?;
        one.stop()?;
        let before = std::process::Command::new("cp")
            .args(["-a", &other.home().to_string_lossy(), &story.folder().join("before").to_string_lossy()])
            .status()?;
        ensure!(before.success(), "bob's home was not copied");

        // Nobody else is there: what bob said last counts, and how long ago that was is shown.
        one.resume()?;
        one.protected("photos", 1)?;
        let away = one.peer("bob")?;
        ensure!(!away.connected && away.last_heard_ms.is_some(), "{away:?}");

        // Bob writes; then an older copy of its disk is put back and writes too, heard by nobody.
        let ready = other.resume()?;
        other.s3(&ready)?.aws(&["s3", "cp", &file, "s3://photos/two"])?.good()?;
        one.protected("photos", 2)?;
        other.destroy()?;
        std::fs::rename(story.folder().join("before"), other.home())?;
        bob.unplug()?;
        let ready = other.resume()?;
        other.s3(&ready)?.aws(&["s3", "cp", &file, "s3://photos/other"])?.good()?;
        bob.plug_in()?;
        let alarmed = |node: &Node<'_>| -> Result<bool> {
            Ok(node.status()?.alarms.iter().any(|alarm| alarm.why.contains("two entries with one number")))
        };
        for node in [&one, &other] {
            eventually(60, "a copied disk is an alarm", || alarmed(node))?;
        }
        other.stop()?;
        one.stop()?;
        one.resume()?;
        eventually(30, "the alarm is remembered", || alarmed(&one))?;
        other.resume()?;
        eventually(30, "the copy remembers", || alarmed(&other))?;
        let refused = other.s3(&ready)?.aws(&["s3", "cp", &file, "s3://photos/more"])?;
        ensure!(refused.code != Some(0), "the copy writes on");
        Ok(())
    })
}
