//! A bucket is erased: no key that is left opens an older copy of a disk.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use freehold_api::{Erasure, ErasurePlan, ObjectErasurePlan, Standing};
use freehold_crypt::{Algorithm, Secret, SigningKey};
use freehold_harness::{Node, Ready, story, until};

use freehold_wire::NodeId;

use crate::{disk, get, keys, put};

/// A copy of what a node stores, without its keys.
pub(crate) fn copy(node: &Node<'_>, into: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(into)?;
    for file in disk::files(&node.home().join("depot"))? {
        let to = into.join(file.strip_prefix(node.home())?);
        std::fs::create_dir_all(to.parent().unwrap_or(into))?;
        std::fs::copy(&file, to)?;
    }
    std::fs::copy(node.home().join("entries.redb"), into.join("entries.redb"))?;
    Ok(into.to_owned())
}

/// Opens an older copy of a disk with all that a home holds now.
pub(crate) fn opened_with(older: &Path, home: &Path) -> Result<disk::Opened> {
    let secret = disk::box_secret(home)?;
    let secrets = std::slice::from_ref(&secret);
    let known = disk::open(home, secrets, &disk::Opened::default())?;
    disk::open(older, secrets, &known)
}

/// The same receipt as somebody would sign it who has seen one and has no key of the realm.
fn signed_by_a_stranger(receipt: &[u8], shown: &Erasure) -> Result<Vec<u8>> {
    let key = SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes([7; 32]));
    let stranger = key.verifying().ed25519_bytes().context("it is one")?;
    let end = receipt.len() - 66;
    let mut told = receipt.get(1..end).context("two fields")?.to_vec();
    let mut replaced = 0;
    for node in &shown.confirmed {
        let node: NodeId = node.id.parse()?;
        // Field 5, of 32 bytes.
        let field = [&[5, 0x58, 0x20], node.as_bytes().as_slice()].concat();
        if let Some(at) = told.windows(field.len()).rposition(|window| window == field) {
            told.splice(at + 3..at + field.len(), stranger);
            replaced += 1;
        }
    }
    ensure!(replaced == 1, "the field with the signer was found {replaced} times");
    let signature = key.sign(&[b"freehold 2026 erasure receipt", told.as_slice()].concat());
    Ok([&[0x82], told.as_slice(), &[0x58, 0x40], signature.as_bytes()].concat())
}

pub(crate) fn forgeries_are_refused(node: &Node<'_>, file: &str, shown: &Erasure) -> Result<()> {
    let receipt = std::fs::read(file)?;
    let mut altered = receipt.clone();
    let middle = altered.len() / 2;
    altered.iter_mut().skip(middle).take(1).for_each(|byte| *byte ^= 1);
    let forgeries =
        [(altered, "shows no erasure"), (signed_by_a_stranger(&receipt, shown)?, "no node of that realm")];
    for (forged, why) in forgeries {
        std::fs::OpenOptions::new().write(true).truncate(true).open(file)?.write_all(&forged)?;
        node.cli(&["receipt", "check", file])?.failed(&[why])?;
    }
    Ok(())
}

fn tells_that_it_waits_for_bob(node: &Node<'_>, receipt: &str, erasure: &str) -> Result<()> {
    let waits = format!("the erasure {erasure} of bucket");
    for (command, words) in [
        (&["receipt", "check", receipt][..], ["have not yet: bob", ""]),
        (&["receipt", "list"], ["have not yet: they do it when they are on: bob", ""]),
        (&["status"], ["Erasures that are not over", "off: bob"]),
        (&["doctor"], [&waits, "when they are on: bob"]),
    ] {
        let told = node.cli(command)?.good()?.out;
        ensure!(words.iter().all(|words| told.contains(words)), "{told}");
    }
    Ok(())
}

#[test]
fn what_was_erased_opens_with_no_key_that_is_left() -> Result<()> {
    story("what_was_erased_opens_with_no_key_that_is_left", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        let ready = one.up(&["--name", "smith"])?;
        other.join(&one.invite(&[])?, "bob")?;
        let s3 = one.s3(&ready)?;
        one.cli(&["bucket", "create", "letters"])?.good()?;
        put(&s3, "letters", "diary", "dear diary")?;
        put(&s3, "files", "recipe", "two eggs")?;
        for bucket in ["letters", "files"] {
            one.protected(bucket, 1)?;
            until(60, "bob has the key", || keys(&other, bucket).map(drop))?;
        }
        one.stop()?;
        other.stop()?;
        let older = [copy(&one, &story.folder().join("one"))?, copy(&other, &story.folder().join("other"))?];
        for (older, home) in older.iter().zip([one.home(), other.home()]) {
            let opened = opened_with(older, home)?;
            ensure!(opened.objects.contains_key("diary"), "without an erasure it opens: {:?}", opened.names);
        }

        // Bob is off when it is decided.
        let ready = one.resume()?;
        let s3 = one.s3(&ready)?;
        let plan: ErasurePlan = one.ask(&["bucket", "erase", "letters", "--dry-run"])?;
        ensure!((plan.objects, plan.nodes.len()) == (1, 2), "{plan:?}");
        ensure!(get(&s3, "letters", "diary")? == "dear diary", "it was only asked");
        let erased: Erasure = one.ask(&["bucket", "erase", "letters", "-y"])?;
        ensure!(erased.confirmed.len() == 1 && erased.pending.len() == 1, "{erased:?}");
        ensure!(erased.pending.iter().all(|node| node.name == "bob"), "{erased:?}");
        ensure!(get(&s3, "letters", "diary").is_err(), "it reads what was erased");
        ensure!(get(&s3, "files", "recipe")? == "two eggs", "another bucket reads otherwise");
        let file = story.folder().join("receipt");
        let file = file.to_string_lossy();
        one.cli(&["receipt", "save", &erased.id, &file])?.good()?;
        tells_that_it_waits_for_bob(&one, &file, &erased.id[..8])?;

        other.resume()?;
        until(120, "bob confirms", || {
            let all: Vec<Erasure> = one.ask(&["receipt", "list"])?;
            ensure!(all.iter().all(|one| one.pending.is_empty() && one.confirmed.len() == 2), "{all:?}");
            Ok(())
        })?;
        let shown = one.cli(&["status"])?.good()?;
        ensure!(!shown.out.contains("Erasures that are not over"), "{}", shown.out);
        one.cli(&["receipt", "save", &erased.id, &file, "--overwrite"])?.good()?;
        let shown: Erasure = one.ask(&["receipt", "check", &file])?;
        ensure!(shown.buckets == erased.buckets && shown.confirmed.len() == 2, "{shown:?}");
        forgeries_are_refused(&one, &file, &shown)?;
        one.stop()?;
        other.stop()?;

        for older in &older {
            for home in [one.home(), other.home()] {
                let opened = opened_with(older, home)?;
                ensure!(opened.objects.contains_key("recipe"), "what was not erased: {:?}", opened.names);
                ensure!(!opened.objects.contains_key("diary"), "the diary opens");
                ensure!(
                    !opened.names.iter().any(|name| name == "diary"),
                    "its name does: {:?}",
                    opened.names
                );
            }
        }
        // And they go on working.
        let ready = one.resume()?;
        let there = other.resume()?;
        let s3 = one.s3(&ready)?;
        put(&s3, "files", "note", "three eggs")?;
        let away = other.s3(&there)?;
        until(60, "bob reads with his new key", || {
            ensure!(get(&away, "files", "note")? == "three eggs", "something else");
            Ok(())
        })
    })
}

#[test]
fn an_erased_object_opens_with_no_key_that_is_left() -> Result<()> {
    story("an_erased_object_opens_with_no_key_that_is_left", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        let ready = one.up(&["--name", "smith"])?;
        let there = other.join(&one.invite(&[])?, "bob")?;
        let s3 = one.s3(&ready)?;
        put(&s3, "files", "diary", "dear diary")?;
        put(&s3, "files", "recipe", "two eggs")?;
        one.protected("files", 2)?;
        until(60, "bob has the key", || keys(&other, "files").map(drop))?;
        one.stop()?;
        let away = other.s3(&there)?;
        until(60, "bob reads", || {
            ensure!(get(&away, "files", "diary")? == "dear diary", "something else");
            Ok(())
        })?;
        // What he writes meanwhile is sealed with the first key.
        put(&away, "files", "late", "three eggs")?;
        other.stop()?;
        let older = [copy(&one, &story.folder().join("one"))?, copy(&other, &story.folder().join("other"))?];
        for (older, home) in older.iter().zip([one.home(), other.home()]) {
            let opened = opened_with(older, home)?;
            ensure!(opened.objects.contains_key("diary"), "without an erasure it opens: {:?}", opened.names);
        }

        // Bob is off when it is decided: he may have written what nobody else can seal anew.
        let ready = one.resume()?;
        let s3 = one.s3(&ready)?;
        let plan: ObjectErasurePlan = one.ask(&["object", "erase", "files", "diary", "--dry-run"])?;
        ensure!((plan.versions, plan.renewed, plan.nodes.len()) == (1, 1, 2), "{plan:?}");
        one.cli(&["object", "erase", "files", "dairy", "--yes"])?.failed(&["dairy was not erased"])?;
        let erased: Erasure = one.ask(&["object", "erase", "files", "diary", "--yes"])?;
        ensure!(erased.object.as_ref() == Some(&plan.digest), "{erased:?}");
        ensure!(erased.confirmed.is_empty() && erased.pending.len() == 2, "{erased:?}");
        let said = one.cli(&["receipt", "list"])?.good()?.out;
        ensure!(said.contains("this machine waits until"), "{said}");
        ensure!(get(&s3, "files", "diary").is_err(), "it reads what was erased");
        ensure!(get(&s3, "files", "recipe")? == "two eggs", "another object reads otherwise");

        let there = other.resume()?;
        confirmed(&one, 2)?;
        let away = other.s3(&there)?;
        for s3 in [&s3, &away] {
            until(60, "what was written late reads", || {
                ensure!(get(s3, "files", "late")? == "three eggs", "something else");
                Ok(())
            })?;
            let stays = get(s3, "files", "recipe")? == "two eggs";
            ensure!(stays && get(s3, "files", "diary").is_err(), "what stays");
        }
        let file = story.folder().join("receipt");
        let file = file.to_string_lossy();
        one.cli(&["receipt", "save", &erased.id, &file])?.good()?;
        let shown: Erasure = other.ask(&["receipt", "check", &file])?;
        ensure!(shown.object == erased.object && shown.confirmed.len() == 2, "{shown:?}");
        // Another one after it, said by the other's machine or not: what the first left lives on.
        put(&away, "files", "draft", "one egg")?;
        until(60, "the draft has come", || get(&s3, "files", "draft").map(drop))?;
        one.cli(&["object", "erase", "files", "draft", "--yes"])?.good()?;
        confirmed(&one, 2)?;
        for s3 in [&s3, &away] {
            ensure!(get(s3, "files", "late")? == "three eggs" && get(s3, "files", "draft").is_err(), "then");
        }
        one.stop()?;
        other.stop()?;
        for home in [one.home(), other.home()] {
            older.iter().try_for_each(|older| opens_what_stays(older, home))?;
        }
        Ok(())
    })
}

fn opens_what_stays(older: &Path, home: &Path) -> Result<()> {
    let secret = disk::box_secret(home)?;
    let now = disk::open(home, std::slice::from_ref(&secret), &disk::Opened::default())?;
    let stays = ["recipe", "late"].iter().all(|name| now.objects.contains_key(*name));
    ensure!(stays, "{:?}", now.names);
    let opened = opened_with(older, home)?;
    ensure!(!opened.objects.contains_key("diary"), "the diary opens");
    Ok(())
}

/// Waits until so many machines have confirmed every erasure, and nobody has not.
fn confirmed(node: &Node<'_>, machines: usize) -> Result<()> {
    until(120, "all have confirmed", || {
        let all: Vec<Erasure> = node.ask(&["receipt", "list"])?;
        let is_over = |one: &Erasure| one.pending.is_empty() && one.confirmed.len() == machines;
        ensure!(!all.is_empty() && all.iter().all(is_over), "{all:?}");
        Ok(())
    })
}

#[test]
fn who_is_lost_while_an_object_is_erased_takes_nothing_else_with_it() -> Result<()> {
    story("lost_while_an_object_is_erased", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let dave = story.host("dave")?;
        let (mut one, mut store, mut third) = (alice.node()?, bob.node()?, carol.node()?);
        let mut witness = dave.node()?;
        let ready = one.up(&["--name", "smith"])?;
        store.join(&one.invite(&["--roles", "storage"])?, "bob")?;
        witness.join(&one.invite(&["--roles", "storage"])?, "dave")?;
        let s3 = one.s3(&ready)?;
        put(&s3, "files", "diary", "dear diary")?;
        put(&s3, "files", "recipe", "two eggs")?;
        one.protected("files", 2)?;
        let lost = one.status()?.this_node;
        let card = store.card()?;
        one.stop()?;

        // Of what a clock that is ahead writes nobody takes anything in before its time. But the word of the log comes.
        one.set_clock(Some("+5h"));
        one.resume()?;
        let erased: Erasure = one.ask(&["object", "erase", "files", "diary", "--yes"])?;
        ensure!(erased.confirmed.is_empty() && !erased.waits.is_empty(), "{erased:?}");
        for node in [&store, &witness] {
            until(60, "they hear of it", || {
                let all: Vec<Erasure> = node.ask(&["receipt", "list"])?;
                ensure!(all.len() == 1 && all.iter().all(|one| one.confirmed.is_empty()), "{all:?}");
                ensure!(all.iter().all(|one| !one.waits.is_empty()), "it says nothing: {all:?}");
                Ok(())
            })?;
        }
        let file = two_phrases(&one, &story.folder().join("two-phrases"))?;
        one.destroy()?;

        let ready = third.start(&["recover", "--card", &card, "--guardians-file", &file])?;
        let s3 = third.s3(&ready)?;
        until(90, "the guardians have it back", || {
            ensure!(get(&s3, "files", "recipe")? == "two eggs", "something else");
            Ok(())
        })?;
        until(30, "both show it", || {
            for node in [&store, &witness] {
                ensure!(node.status()?.recoveries.len() == 1, "no recovery");
            }
            Ok(())
        })?;
        for node in [&mut store, &mut third, &mut witness] {
            node.stop()?;
            node.set_clock(Some("+78h"));
        }
        store.resume()?;
        witness.resume()?;
        let ready = third.resume()?;
        until(60, "the new machine has made itself a node", || is_member(&third))?;
        third.cli(&["--yes", "node", "suspend", &lost])?.good()?;
        // The key that was to stay burned with the machine: another erasure brings the next one.
        third.cli(&["object", "erase", "files", "diary", "--yes"])?.good()?;
        until(120, "all that are left have confirmed", || {
            let all: Vec<Erasure> = third.ask(&["receipt", "list"])?;
            ensure!(all.len() == 2 && all.iter().all(|one| one.pending.is_empty()), "{all:?}");
            Ok(())
        })?;
        reads(&third, &ready)?;
        third.stop()?;
        let ready = third.resume()?;
        reads(&third, &ready)
    })
}

/// A file with two of the realm's phrases.
fn two_phrases(node: &Node<'_>, into: &Path) -> Result<String> {
    let phrases = std::fs::read_to_string(node.guardians())?;
    let two: Vec<&str> = phrases.lines().skip(1).collect();
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(into)?
        .write_all(two.join("\n").as_bytes())?;
    Ok(into.to_string_lossy().into_owned())
}

fn is_member(node: &Node<'_>) -> Result<()> {
    let status = node.status()?;
    let mine = status.nodes.iter().find(|node| node.id == status.this_node);
    ensure!(mine.is_some_and(|node| node.standing == Standing::Member), "{:?}", status.nodes);
    Ok(())
}

/// Whether the recipe is there and the diary is not, asked by a client that does not mind clocks.
fn reads(node: &Node<'_>, ready: &Ready) -> Result<()> {
    let s3 = node.s3(ready)?;
    let read = s3.rclone(&["cat", "fh:files/recipe"])?.good()?.out;
    ensure!(read == "two eggs", "{read}");
    let list = s3.rclone(&["lsf", "fh:files"])?.good()?.out;
    ensure!(list.trim() == "recipe", "{list}");
    Ok(())
}

#[test]
fn what_must_be_kept_is_not_erased_and_an_admin_alone_erases() -> Result<()> {
    const LOCKED: &str = "import boto3, datetime, sys\n\
        s3 = boto3.client('s3')\n\
        s3.create_bucket(Bucket='books', ObjectLockEnabledForBucket=True)\n\
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=2)\n\
        s3.put_object(Bucket='books', Key='2026', Body=b'sums', ObjectLockMode='COMPLIANCE',\n\
            ObjectLockRetainUntilDate=until)";
    story("what_must_be_kept_is_not_erased_and_an_admin_alone_erases", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        let ready = one.up(&["--name", "smith"])?;
        other.join(&one.invite(&[])?, "bob")?;
        let s3 = one.s3(&ready)?;
        s3.boto3(LOCKED, &[])?.good()?;
        one.cli(&["bucket", "erase", "books"])?.failed(&["COMPLIANCE"])?;
        one.cli(&["object", "erase", "books", "2026", "--yes", "--bypass-governance"])?
            .failed(&["2026 was not erased", "must be kept"])?;
        put(&s3, "files", "recipe", "two eggs")?;
        until(60, "bob has the key", || keys(&other, "files").map(drop))?;
        other.cli(&["bucket", "erase", "files", "-y"])?.failed(&["admin"])?;
        ensure!(get(&s3, "files", "recipe")? == "two eggs", "it was erased");
        one.cli(&["receipt", "save", "0000", "-"])?.failed(&["no erasure"])?;
        Ok(())
    })
}
