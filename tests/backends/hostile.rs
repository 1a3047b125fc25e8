//! Whoever runs the store gives back less than lies there, or what lay there on an earlier day.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use freehold_api::{BackendState, Standing};
use freehold_harness::{Node, SeaweedFs, eventually, story, until};

use super::burned::{journaled, recovery, two_phrases, words};
use super::{OBJECTS, attach, files, identical, is, photos, upload};

/// Keeps what lies on the store as it is now.
fn keep(vendor: &SeaweedFs<'_>, folder: &Path) -> Result<()> {
    vendor.s3()?.aws(&["s3", "cp", "--recursive", "s3://attic", &folder.to_string_lossy()])?.good()?;
    Ok(())
}

/// Puts back what was kept, and nothing else.
fn put_back(vendor: &SeaweedFs<'_>, folder: &Path) -> Result<()> {
    vendor.s3()?.aws(&["s3", "rm", "--recursive", "s3://attic"])?.good()?;
    vendor.s3()?.aws(&["s3", "cp", "--recursive", &folder.to_string_lossy(), "s3://attic"])?.good()?;
    Ok(())
}

/// What is in both under one name, with other bytes.
fn written_over(older: &Path, newer: &Path) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    for file in files(older)? {
        let name = file.file_name().context("a file has a name")?.to_owned();
        let now = newer.join(&name);
        if now.exists() && std::fs::read(&file)? != std::fs::read(&now)? {
            names.push(name);
        }
    }
    Ok(names)
}

#[test]
fn a_store_that_gives_back_less_is_seen() -> Result<()> {
    story("a_store_gives_back_less", |story| {
        let (alice, far, bob) = (story.host("alice")?, story.host("vendor")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        let vendor = SeaweedFs::start(&far, &["attic"])?;
        let original = photos(story)?;
        let ready = one.up(&["--name", "smith"])?;
        one.cli(&["bucket", "create", "photos", "--copies", "2"])?.good()?;
        attach(&one, &vendor, "offsite", &[])?.good()?;
        let (card, file) = (one.card()?, two_phrases(story, &one)?);
        upload(&one, &ready, &original)?;
        one.protected("photos", OBJECTS)?;
        // At its start the letter follows at once.
        one.stop()?;
        one.resume()?;
        is(&one, "offsite", BackendState::Up)?;
        journaled(&one, "offsite")?;
        one.stop()?;
        let (older, newer) = (story.folder().join("older"), story.folder().join("newer"));
        keep(&vendor, &older)?;
        one.resume()?;
        is(&one, "offsite", BackendState::Up)?;
        one.cli(&["bucket", "create", "later"])?.good()?;
        journaled(&one, "offsite")?;
        one.stop()?;
        one.resume()?;
        is(&one, "offsite", BackendState::Up)?;
        journaled(&one, "offsite")?;
        one.destroy()?;
        keep(&vendor, &newer)?;

        // The letter is the newest, and what came last before it is gone: all is as it was but what was
        // written over. (Packs that came later may have taken in what was there before.)
        let command = recovery(&card, &file, &[&vendor]);
        put_back(&vendor, &older)?;
        let written_over = written_over(&older, &newer)?;
        ensure!(written_over.len() == 1, "the letter alone: {written_over:?}");
        for name in &written_over {
            let letter = newer.join(name).to_string_lossy().into_owned();
            vendor.s3()?.aws(&["s3", "cp", &letter, "s3://attic"])?.good()?;
        }
        other.cli(&words(&command))?.failed(&[
            "the realm was not recovered",
            "is not whole",
            "parts of the journal",
            "--incomplete",
        ])?;

        // All of it put back, nothing is missing.
        put_back(&vendor, &newer)?;
        other.launch(&words(&command))?;
        let ready = until(90, "the node is up", || other.ready())?;
        is(&other, "offsite", BackendState::Up)?;
        eventually(90, "everything reads back identical", || identical(&other, &ready, &original))?;
        let said = other.cli(&["bucket", "list"])?.good()?.out;
        ensure!(said.contains("later"), "{said}");
        Ok(())
    })
}

/// The store is a bucket at a friend's Freehold. What it gives back is three days old: nobody else wrote it, and
/// dates tell. Somebody who has looked takes it; and 72 hours later the new machine is an admin's.
#[test]
fn what_is_old_is_taken_by_who_has_looked_and_three_days_later_is_theirs() -> Result<()> {
    story("what_is_old_is_taken", |story| {
        let (alice, far, bob) = (story.host("alice")?, story.host("friend")?, story.host("bob")?);
        let (mut one, mut friend, mut other) = (alice.node()?, far.node()?, bob.node()?);
        let listen = far.address().to_string();
        let at_friend = friend.up(&["--name", "friend", "--s3-listen", &listen])?;
        friend.cli(&["bucket", "create", "attic", "--copies", "1"])?.good()?;
        let key = Path::new(at_friend.text("s3_credentials")?).to_path_buf();
        let key = key.to_string_lossy();
        let store = ["--s3", at_friend.text("s3")?, "--bucket", "attic", "--region", "freehold"];
        let store = [&store[..], &["--credentials", &key]].concat();
        let ready = one.up(&["--name", "smith"])?;
        one.cli(&["bucket", "create", "photos", "--copies", "2"])?.good()?;
        one.cli(&[&["backend", "attach", "offsite"], &store[..]].concat())?.good()?;
        let (card, phrases) = (one.card()?, two_phrases(story, &one)?);
        upload(&one, &ready, &photos(story)?)?;
        one.protected("photos", OBJECTS)?;
        journaled(&one, "offsite")?;
        one.destroy()?;

        let later = |friend: &mut Node<'_>, other: &mut Node<'_>, clock: &str| -> Result<()> {
            friend.stop()?;
            friend.set_clock(Some(clock));
            other.set_clock(Some(clock));
            friend.start(&["up", "--s3-listen", &listen])?;
            Ok(())
        };
        later(&mut friend, &mut other, "+3d")?;
        let recover = ["recover", "--card", &card, "--guardians-file", &phrases, "--name", "new"];
        let recover = [&recover[..], &store[..]].concat();
        let refused =
            other.cli(&recover)?.failed(&["the store may have given an older state back", "with -y"])?;
        ensure!(refused.err.contains("(3 days ago)"), "{refused:?}");
        other.launch(&recover)?;
        until(90, "the node is up", || other.ready())?;
        is(&other, "offsite", BackendState::Up)?;
        ensure!(other.status()?.recoveries.len() == 1, "{:?}", other.status()?);
        other.cli(&["bucket", "create", "more"])?.refused(1, &["takes effect in 72 hours"])?;
        other.cli(&["bucket", "verify", "photos"])?.good()?;

        other.stop()?;
        later(&mut friend, &mut other, "+147h")?;
        other.resume()?;
        is(&other, "offsite", BackendState::Up)?;
        until(90, "the new machine has made itself a node", || {
            let status = other.status()?;
            let mine = status.nodes.iter().find(|node| node.id == status.this_node).context("not there")?;
            ensure!(mine.standing == Standing::Member && status.recoveries.is_empty(), "{status:?}");
            Ok(())
        })?;
        other.cli(&["bucket", "create", "after", "--copies", "2"])?.good()?;
        let said = other.cli(&["bucket", "list"])?.good()?.out;
        ensure!(["photos", "after"].iter().all(|name| said.contains(name)), "{said}");
        Ok(())
    })
}
