//! The life of keys: who has them, next ones, and what nobody opens any more.

#![cfg(test)]

mod disk;
mod erasure;
mod person;
mod private;
mod tenant;
mod twice;
mod waiting;

use anyhow::{Context, Result, ensure};
use freehold_api::{Audit, BucketAccess, BucketKeys, Rewrapped, Sealed};
use freehold_harness::{Node, S3, story, until};

fn keys(node: &Node<'_>, bucket: &str) -> Result<BucketKeys> {
    node.ask(&["bucket", "keys", bucket])
}

fn put(s3: &S3<'_>, bucket: &str, name: &str, text: &str) -> Result<()> {
    const PUT: &str = "import boto3, sys\n\
        boto3.client('s3').put_object(Bucket=sys.argv[1], Key=sys.argv[2], Body=sys.argv[3])";
    s3.boto3(PUT, &[bucket, name, text])?.good().map(drop)
}

fn get(s3: &S3<'_>, bucket: &str, name: &str) -> Result<String> {
    const GET: &str = "import boto3, sys\n\
        print(boto3.client('s3').get_object(Bucket=sys.argv[1], Key=sys.argv[2])['Body'].read().decode(), end='')";
    Ok(s3.boto3(GET, &[bucket, name])?.good()?.out)
}

#[test]
fn a_machine_that_is_shut_out_cannot_read_what_is_written_afterwards() -> Result<()> {
    story("a_machine_that_is_shut_out_cannot_read_what_is_written_afterwards", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        let ready = one.up(&["--name", "smith"])?;
        other.join(&one.invite(&[])?, "bob")?;
        let s3 = one.s3(&ready)?;
        // So long that they are files of their own.
        let (old, new) = ("written before ".repeat(3000), "written after ".repeat(3000));
        put(&s3, "files", "before", &old)?;
        one.protected("files", 1)?;
        let sealed = |all: &[(u32, u64)]| -> Vec<Sealed> {
            all.iter().map(|(key, versions)| Sealed { key: *key, versions: *versions }).collect()
        };
        ensure!(keys(&one, "files")?.sealed == sealed(&[(1, 1)]), "{:?}", keys(&one, "files")?);
        until(30, "bob has the key", || {
            ensure!(keys(&other, "files")?.current == 1, "not yet");
            Ok(())
        })?;

        one.cli(&["node", "suspend", "bob"])?.good()?;
        let now = keys(&one, "files")?;
        ensure!(now.current == 2 && now.to_rotate.is_empty(), "it was not rotated: {now:?}");
        put(&s3, "files", "after", &new)?;
        ensure!(keys(&one, "files")?.sealed == sealed(&[(1, 1), (2, 1)]), "{:?}", keys(&one, "files")?);
        let depot = one.home().join("depot");
        let blobs = || -> Result<Vec<(std::path::PathBuf, Vec<u8>)>> {
            let mut all = disk::files(&depot)?;
            all.sort();
            all.into_iter().map(|file| Ok((file.clone(), std::fs::read(file)?))).collect()
        };
        let before = blobs()?;
        let rewrapped: Rewrapped = one.ask(&["bucket", "rotate", "files", "--rewrap"])?;
        ensure!(rewrapped.done >= 2 && rewrapped.left == 0, "{rewrapped:?}");
        ensure!(keys(&one, "files")?.sealed == sealed(&[(3, 2)]), "{:?}", keys(&one, "files")?);
        ensure!(blobs()? == before, "a blob was touched");
        for (name, text) in [("before", &old), ("after", &new)] {
            ensure!(get(&s3, "files", name)? == *text, "{name} reads otherwise");
        }
        one.kill()?;
        other.kill()?;
        let ready = one.resume()?;
        ensure!(get(&one.s3(&ready)?, "files", "after")? == new, "nor after a restart");
        ensure!(keys(&one, "files")?.sealed == sealed(&[(3, 2)]), "{:?}", keys(&one, "files")?);
        one.stop()?;

        // What bob has opens what was sealed while he was in, and nothing of what came then.
        let bobs = disk::open(other.home(), &[disk::box_secret(other.home())?], &disk::Opened::default())?;
        ensure!(bobs.objects.contains_key("before"), "he read it then: {:?}", bobs.names);
        let stolen = disk::open(one.home(), &[disk::box_secret(other.home())?], &bobs)?;
        ensure!(!stolen.objects.contains_key("after"), "the first machine's disk opens with his keys");
        let own = disk::open(one.home(), &[disk::box_secret(one.home())?], &disk::Opened::default())?;
        ensure!(own.objects.contains_key("after"), "its own keys open it");
        Ok(())
    })
}

#[test]
fn a_bucket_is_shared_with_a_machine_and_taken_back() -> Result<()> {
    story("a_bucket_is_shared_with_a_machine_and_taken_back", |story| {
        let (alice, carol) = (story.host("alice")?, story.host("carol")?);
        let (mut one, mut store) = (alice.node()?, carol.node()?);
        let ready = one.up(&["--name", "smith"])?;
        let there = store.join(&one.invite(&["--roles", "storage,gateway"])?, "carol")?;
        let (s3, away) = (one.s3(&ready)?, store.s3(&there)?);
        put(&s3, "files", "letter", "dear carol")?;
        one.protected("files", 1)?;
        ensure!(get(&away, "files", "letter").is_err(), "a mere store reads it");
        let shared: BucketKeys = one.ask(&["bucket", "share", "files", "--with", "carol", "--read-only"])?;
        let holder = shared.holders.first().context("she is listed")?;
        ensure!(holder.name == "carol" && holder.read_only && !holder.person, "{holder:?}");
        until(60, "she reads it", || {
            ensure!(get(&away, "files", "letter")? == "dear carol", "something else");
            Ok(())
        })?;
        let refused = |key: &str, why: &str| -> Result<()> {
            let told = put(&away, "files", key, "dear alice").err().context("she writes")?;
            ensure!(format!("{told:#}").contains(why), "{told:#}");
            Ok(())
        };
        refused("answer", "may only read this bucket")?;
        let own = one.status()?.this_node;
        one.cli(&["bucket", "share", "files", "--with", &own, "--read-only"])?
            .failed(&["has the role secrets", "would restrict nothing"])?;
        one.cli(&["bucket", "share", "files", "--with", "carol"])?.good()?;
        until(60, "she writes", || put(&away, "files", "answer", "dear alice"))?;
        until(60, "it arrives", || {
            ensure!(get(&s3, "files", "answer")? == "dear alice", "something else");
            Ok(())
        })?;

        // She does not hear of it, and goes on with the key that she has.
        carol.unplug()?;
        let taken: BucketKeys = one.ask(&["bucket", "unshare", "files", "--with", "carol"])?;
        ensure!(taken.current == 2 && taken.holders.is_empty() && taken.to_rotate.is_empty(), "{taken:?}");
        put(&away, "files", "late", "too late")?;
        put(&away, "files", "letter", "dear nobody")?;
        carol.plug_in()?;
        until(90, "she hears of it", || {
            ensure!(keys(&store, "files")?.access == BucketAccess::TakenBack, "not yet");
            Ok(())
        })?;
        refused("more", "taken back from this node")?;
        store.cli(&["bucket", "list"])?.good()?.out.contains("taken back").then_some(()).context("list")?;
        ensure!(get(&away, "files", "letter")? == "dear carol", "on her machine it counts");
        let untouched = |s3: &S3<'_>| -> Result<()> {
            ensure!(get(s3, "files", "letter")? == "dear carol", "she overwrote it");
            ensure!(get(s3, "files", "late").is_err(), "she wrote it under the key that she had");
            ensure!(get(s3, "files", "answer")? == "dear alice", "what she wrote before is lost");
            Ok(())
        };
        untouched(&s3)?;
        one.kill()?;
        let ready = one.resume()?;
        let s3 = one.s3(&ready)?;
        untouched(&s3)?;
        // Given back, all that she wrote counts: so it had come.
        one.cli(&["bucket", "share", "files", "--with", "carol"])?.good()?;
        until(60, "it counts again", || {
            ensure!(get(&s3, "files", "late")? == "too late", "something else");
            Ok(())
        })?;

        let taken: BucketKeys = one.ask(&["bucket", "unshare", "files", "--with", "carol"])?;
        ensure!(taken.current == 3 && taken.holders.is_empty() && taken.to_rotate.is_empty(), "{taken:?}");
        put(&s3, "files", "secret", "not for carol")?;
        until(60, "it is stored with her", || {
            ensure!(one.bucket("files")?.waiting == 0, "it waits");
            Ok(())
        })?;
        ensure!(get(&away, "files", "secret").is_err(), "she reads what came afterwards");
        one.cli(&["bucket", "share", "files", "--with", "nobody"])?.failed(&["nobody"])?;
        one.cli(&["bucket", "unshare", "files", "--with", "carol"])?.failed(&["nobody"])?;
        Ok(())
    })
}

#[test]
fn a_bucket_is_shared_with_every_device_of_a_person() -> Result<()> {
    story("a_bucket_is_shared_with_every_device_of_a_person", |story| {
        let (alice, phone) = (story.host("alice")?, story.host("phone")?);
        let (mut one, mut device) = (alice.node()?, phone.node()?);
        let ready = one.up(&["--name", "smith"])?;
        let invitation = one.invite(&["--device", "--roles", "storage,gateway"])?;
        let there = device.join(&invitation, "phone")?;
        let (s3, away) = (one.s3(&ready)?, device.s3(&there)?);
        put(&s3, "files", "letter", "dear self")?;
        one.protected("files", 1)?;
        ensure!(get(&away, "files", "letter").is_err(), "it reads without the key");
        let exported = story.folder().join("log");
        let exported = exported.to_string_lossy();
        one.cli(&["realm", "export", &exported])?.good()?;
        let audit: Audit = one.ask(&["realm", "audit", &exported])?;
        let person = audit.state.admins.first().context("a realm has an admin")?;
        let person = person.get(..12).context("an id is longer")?;
        let shared: BucketKeys = one.ask(&["bucket", "share", "files", "--with", person])?;
        ensure!(shared.holders.iter().all(|holder| holder.person), "{shared:?}");
        until(60, "their device reads it", || {
            ensure!(get(&away, "files", "letter")? == "dear self", "something else");
            Ok(())
        })?;
        let taken: BucketKeys = one.ask(&["bucket", "unshare", "files", "--with", person])?;
        ensure!(taken.current == 2 && taken.holders.is_empty() && taken.to_rotate.is_empty(), "{taken:?}");
        Ok(())
    })
}
