//! Where copies lie: a machine is emptied, another one is lost, regions are kept out, and all of it shows.

mod quota;

use std::path::Path;

use anyhow::{Result, ensure};
use freehold_api::{BucketStatus, NodeStatus};
use freehold_harness::{Node, Ready, Story, eventually, story, until};

const MIB: usize = 1 << 20;

fn put(node: &Node<'_>, ready: &Ready, file: &Path, to: &str) -> Result<()> {
    node.s3(ready)?.aws(&["s3", "cp", &file.to_string_lossy(), &format!("s3://{to}")])?.good()?;
    Ok(())
}

/// Puts a few objects of every size that matters.
fn fill(story: &Story, node: &Node<'_>, ready: &Ready, bucket: &str) -> Result<u64> {
    let sizes = [100, 70_000, 300_000, 2 * MIB];
    for (at, size) in sizes.into_iter().enumerate() {
        let file = story.file(&format!("{bucket}/{at}"), size, at as u64)?;
        put(node, ready, &file, &format!("{bucket}/{at}"))?;
    }
    Ok(sizes.len() as u64)
}

/// Reads every object back through a node.
fn identical(story: &Story, node: &Node<'_>, ready: &Ready, bucket: &str) -> Result<()> {
    let original = story.folder().join(bucket);
    let from = format!("fh:{bucket}");
    node.s3(ready)?.rclone(&["check", "--download", &original.to_string_lossy(), &from])?.good()?;
    Ok(())
}

/// Blobs in a node's depot.
fn blobs(folder: &Path) -> Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        count += if entry.file_type()?.is_dir() { blobs(&entry.path())? } else { 1 };
    }
    Ok(count)
}

fn bucket(node: &Node<'_>, name: &str, is_so: impl Fn(&BucketStatus) -> bool) -> Result<()> {
    until(60, "the bucket is so", || {
        let bucket = node.bucket(name)?;
        ensure!(is_so(&bucket), "{bucket:?}");
        Ok(())
    })
}

#[test]
fn one_machine_is_emptied_and_one_is_lost_and_nothing_with_them() -> Result<()> {
    story("one_machine_is_emptied_and_one_is_lost", |story| {
        let hosts = [story.host("alice")?, story.host("bob")?, story.host("carol")?, story.host("dave")?];
        let [alice, bob, carol, dave] = &hosts;
        let (mut one, mut two, mut three, mut four) =
            (alice.node()?, bob.node()?, carol.node()?, dave.node()?);
        let ready = one.up(&["--name", "smith"])?;
        for (node, name) in [(&mut two, "bob"), (&mut three, "carol")] {
            node.join(&one.invite(&[])?, name)?;
        }
        one.cli(&["bucket", "create", "photos", "--copies", "2", "--confirm", "2"])?.good()?;
        let objects = fill(story, &one, &ready, "photos")?;
        one.protected("photos", objects)?;

        // Nobody is removed who is needed.
        one.cli(&["node", "remove", "bob"])?
            .refused(1, &["holds copies that count", "freehold node drain bob"])?;
        two.cli(&["node", "drain", "carol"])?.refused(1, &["the node was not set"])?;
        let said = one.cli(&["node", "drain", "bob", "--dry-run"])?.good()?.out;
        ensure!(said.contains("bob") && said.contains("would be emptied"), "{said}");
        one.cli(&["node", "remove", "bob"])?.refused(1, &["holds copies that count"])?;
        let said = one.cli(&["node", "drain", "bob", "--wait"])?.good()?.out;
        ensure!(said.contains("Nothing depends on bob"), "{said}");
        let said = one.cli(&["node", "list"])?.good()?.out;
        ensure!(said.contains("being emptied, nothing depends on it"), "{said}");
        one.protected("photos", objects)?;
        // It still serves, and what is new does not go there.
        let held = blobs(&two.home().join("depot"))?;
        let file = story.file("photos/new", 300_000, 9)?;
        put(&one, &ready, &file, "photos/new")?;
        one.protected("photos", objects + 1)?;
        ensure!(blobs(&two.home().join("depot"))? == held, "a machine that is emptied was given a copy");
        one.cli(&["node", "remove", "bob", "--dry-run"])?.good()?;
        one.cli(&["node", "remove", "bob"])?.good()?;
        two.destroy()?;
        three.protected("photos", objects + 1)?;
        ensure!(one.status()?.nodes.len() == 2, "bob is there still");

        // Another one is lost: what it held is made anew on one that comes.
        let lost = three.status()?.this_node;
        three.destroy()?;
        one.cli(&["--yes", "node", "suspend", &lost])?.good()?;
        bucket(&one, "photos", |bucket| {
            bucket.waiting == objects + 1
                && bucket.bytes_waiting > 2 * MIB as u64
                && bucket.good_copies.first().is_some_and(|worst| worst.copies == 1)
        })?;
        let at_dave = four.join(&one.invite(&[])?, "dave")?;
        one.protected("photos", objects + 1)?;
        bucket(&one, "photos", |bucket| {
            bucket.bytes_waiting == 0 && bucket.good_copies.iter().all(|n| n.copies >= 2)
        })?;
        // What every holder has read, and since when, is known everywhere.
        for node in [&one, &four] {
            node.cli(&["bucket", "verify", "photos"])?.good()?;
        }
        for node in [&one, &four] {
            bucket(node, "photos", |bucket| {
                bucket.unchecked == 0 && bucket.checked_ms.is_some_and(|ms| ms < 600_000)
            })?;
        }
        one.cli(&["node", "remove", &lost])?.good()?;
        one.destroy()?;
        identical(story, &four, &at_dave, "photos")
    })
}

#[test]
fn a_machine_that_is_off_may_have_what_nobody_else_has() -> Result<()> {
    story("a_machine_that_is_off", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let (mut one, mut two, mut three) = (alice.node()?, bob.node()?, carol.node()?);
        one.up(&["--name", "smith"])?;
        let at_two = two.join(&one.invite(&[])?, "bob")?;
        let at_three = three.join(&one.invite(&["--roles", "gateway,secrets"])?, "carol")?;
        one.cli(&["bucket", "create", "photos", "--copies", "1"])?.good()?;
        for (node, ready, name) in [(&two, &at_two, "two"), (&three, &at_three, "three")] {
            let file = story.file(&format!("photos/{name}"), 1000, 1)?;
            until(60, "it has the bucket's key", || put(node, ready, &file, &format!("photos/{name}")))?;
        }
        one.cli(&["bucket", "set", "files", "--copies", "1"])?.good()?;
        one.cli(&["node", "drain", "bob", "--wait"])?.good()?;
        // Each takes a write that nobody else hears of.
        two.stop()?;
        three.stop()?;
        one.stop()?;
        for (node, name) in [(&mut two, "bob"), (&mut three, "carol")] {
            let ready = node.resume()?;
            let file = story.file(&format!("photos/{name}"), 300_000, 1)?;
            put(node, &ready, &file, &format!("photos/{name}"))?;
            node.stop()?;
        }
        let ready = one.resume()?;
        for name in ["bob", "carol"] {
            one.cli(&["node", "remove", name])?.refused(
                1,
                &["it is off", "writes that nobody else has", "freehold node suspend", "--force"],
            )?;
            let said = one.cli(&["node", "remove", name, "--force", "--dry-run"])?.good()?;
            ensure!(format!("{}{}", said.out, said.err).contains("writes that nobody else has"), "{said:?}");
        }
        for (node, name) in [(&mut two, "bob"), (&mut three, "carol")] {
            node.resume()?;
            until(60, "it may leave", || one.cli(&["node", "remove", name])?.good())?;
            node.alarmed(&["the realm does not count this node as one of its own", "removed"])?;
            let said = node.cli(&["doctor"])?.good()?.out;
            ensure!(!said.contains("not a member of the realm yet"), "{said}");
            node.destroy()?;
        }
        identical(story, &one, &ready, "photos")
    })
}

#[test]
fn a_bucket_lies_where_it_may_and_nowhere_else() -> Result<()> {
    story("a_bucket_lies_where_it_may", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let (mut one, mut two, mut three) = (alice.node()?, bob.node()?, carol.node()?);
        let ready = one.up(&["--name", "smith"])?;
        let at_bob = two.join(&one.invite(&[])?, "bob")?;
        three.join(&one.invite(&[])?, "carol")?;
        let first = one.status()?.this_node;
        one.cli(&["bucket", "create", "home", "--regions", "DE,FR"])?
            .refused(1, &["no node could hold", "only in DE, FR", "freehold node set"])?;
        one.cli(&["node", "set", &first, "--region", "de", "--zone", "attic"])?.good()?;
        one.cli(&["node", "set", "bob", "--region", "US", "--zone", "office"])?.good()?;
        let said = one.cli(&["node", "list"])?.good()?.out;
        ensure!(said.contains("zone attic, DE") && said.contains("zone office, US"), "{said}");
        two.cli(&["node", "set", "bob", "--region", "DE"])?.refused(1, &["the node was not set"])?;

        let said = one.cli(&["bucket", "create", "home", "--regions", "DE,FR"])?.good()?.out;
        ensure!(said.contains("only 1 node may hold it"), "{said}");
        let objects = fill(story, &one, &ready, "home")?;
        one.alarmed(&["bucket home is not fully protected", "only 1 node may hold it"])?;
        // A machine in the wrong place takes no write, and cannot change that.
        bucket(&two, "home", |bucket| bucket.objects == objects)?;
        let file = story.file("late", 1000, 5)?.to_string_lossy().into_owned();
        let write = two.s3(&at_bob)?.aws(&["s3", "cp", &file, "s3://home/late"])?;
        write.failed(&["AccessDenied", "must not lie where this node stands"])?;
        two.cli(&["bucket", "set", "home", "--regions", "none"])?.refused(1, &["an admin or an operator"])?;
        // One that nobody knows the place of holds nothing, until somebody says where it stands.
        bucket(&three, "home", |bucket| bucket.objects == objects)?;
        for node in [&two, &three] {
            ensure!(blobs(&node.home().join("depot"))? == 0, "a copy where it must not lie");
        }
        one.cli(&["node", "set", "carol", "--region", "FR", "--zone", "attic"])?.good()?;
        one.protected("home", objects)?;
        ensure!(blobs(&two.home().join("depot"))? == 0, "a copy where it must not lie");
        // Both are in the attic.
        one.cli(&["bucket", "set", "home", "--zones", "2"])?.good()?;
        one.alarmed(&["bucket home is not fully protected", "stand in 1 zone, and it wants 2"])?;
        one.cli(&["node", "set", "carol", "--zone", "cellar"])?.good()?;
        one.protected("home", objects)?;

        // What lies in a region leaves it when people say so.
        one.cli(&["bucket", "create", "plain", "--copies", "3"])?.good()?;
        let objects = fill(story, &one, &ready, "plain")?;
        one.protected("plain", objects)?;
        ensure!(blobs(&two.home().join("depot"))? > 0, "bob has no copy");
        one.cli(&["bucket", "set", "plain", "--copies", "2", "--not-regions", "US"])?.good()?;
        eventually(90, "bob's copies are gone", || Ok(blobs(&two.home().join("depot"))? == 0))?;
        one.protected("plain", objects)?;
        identical(story, &two, &at_bob, "plain")
    })
}

#[test]
fn copies_come_no_faster_than_they_may_and_it_shows_how_many_are_to_come() -> Result<()> {
    story("copies_come_no_faster_than_they_may", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, mut two) = (alice.node()?, bob.node()?);
        let ready = one.up(&["--name", "smith"])?;
        two.join(&one.invite(&[])?, "bob")?;
        one.cli(&["node", "set", "bob", "--pace", "10"])?.refused(2, &["in a second are too few"])?;
        one.cli(&["node", "set", "bob", "--pace", "512KiB"])?.good()?;
        until(30, "bob knows his pace", || {
            let me = two.status()?.this_node;
            let nodes: Vec<NodeStatus> = two.ask(&["node", "list"])?;
            let mine = nodes.iter().find(|node| node.id == me);
            ensure!(mine.is_some_and(|node| node.place.pace == Some(512 << 10)), "{nodes:?}");
            Ok(())
        })?;
        one.cli(&["bucket", "create", "films", "--copies", "2"])?.good()?;
        let file = story.file("films/film", 4 * MIB, 1)?;
        let begun = std::time::Instant::now();
        put(&one, &ready, &file, "films/film")?;
        until(30, "it shows what is to come", || {
            let coming = two.status()?.storage;
            ensure!(coming.coming == 1 && coming.coming_bytes > 4 * MIB as u64, "{coming:?}");
            Ok(())
        })?;
        one.protected("films", 1)?;
        let took = begun.elapsed().as_secs();
        ensure!(took >= 6, "4 MiB at 512 KiB/s came in {took} s");
        eventually(30, "it is here", || Ok(two.status()?.storage.coming == 0))
    })
}
