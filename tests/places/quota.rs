//! What may be kept: what does not fit is refused whole, and all else goes on.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use freehold_api::{QuotaWhose, UsageStatus};
use freehold_harness::{Answer, Host, Node, S3, eventually, python, story, until};

use super::{MIB, blobs, put};

/// Asks once: nothing is tried again.
fn once(s3: &S3<'_>, arguments: &[&str]) -> Result<Answer> {
    let mut command = s3.command(&python("aws")?);
    Host::answer(command.env("AWS_MAX_ATTEMPTS", "1").args(arguments))
}

fn usage(node: &Node<'_>, of: &QuotaWhose) -> Result<UsageStatus> {
    let all: Vec<UsageStatus> = node.ask(&["usage"])?;
    let found = all.iter().find(|usage| usage.of == *of).cloned();
    found.with_context(|| format!("{of:?} in {all:?}"))
}

/// Waits until what is kept is in these bounds.
fn kept(node: &Node<'_>, of: &QuotaWhose, least: u64, most: u64) -> Result<()> {
    until(30, "it is counted", || {
        let usage = usage(node, of)?;
        ensure!((least..=most).contains(&usage.used), "{usage:?}");
        Ok(())
    })
}

#[test]
fn what_does_not_fit_a_quota_is_refused_whole() -> Result<()> {
    story("what_does_not_fit_a_quota", |story| {
        let alice = story.host("alice")?;
        let mut one = alice.node()?;
        let ready = one.up(&["--name", "smith"])?;
        one.cli(&["bucket", "create", "docs", "--copies", "1"])?.good()?;
        one.cli(&["kv", "create", "notes", "--copies", "1"])?.good()?;
        one.cli(&["quota", "set", "--realm", "much"])?.refused(2, &["is no size"])?;
        one.cli(&["quota", "set", "--person", "nobody", "1MB"])?
            .refused(1, &["no quota was set", "no member"])?;
        one.cli(&["quota", "set", "--bucket", "nothing", "1MB"])?.refused(1, &["nothing"])?;
        one.cli(&["quota", "set", "--realm", "1MB"])?.good()?;
        let first = story.file("docs/first", 600_000, 1)?;
        put(&one, &ready, &first, "docs/first")?;
        kept(&one, &QuotaWhose::Realm, 600_000, 700_000)?;
        let before = blobs(&one.home().join("depot"))?;
        let s3 = one.s3(&ready)?;
        let file = first.to_string_lossy();
        // Uploads at one time do not all find the same room: none fits, and nothing of them stays.
        for name in ["second", "third"] {
            once(&s3, &["s3", "cp", &file, &format!("s3://docs/{name}")])?
                .failed(&["QuotaExceeded", "the quota of the realm is 1 MB"])?;
        }
        let listed = s3.aws(&["s3", "ls", "s3://docs/"])?.good()?.out;
        ensure!(listed.contains("first") && !listed.contains("second"), "{listed}");
        eventually(30, "nothing of it is kept", || Ok(blobs(&one.home().join("depot"))? == before))?;
        // In parts neither, and a copy takes room as well.
        let upload =
            ["s3api", "create-multipart-upload", "--bucket", "docs", "--key", "parts", "--query", "UploadId"];
        let id = s3.aws(&[&upload[..], &["--output", "text"]].concat())?.good()?.out;
        let part =
            ["s3api", "upload-part", "--bucket", "docs", "--key", "parts", "--part-number", "1", "--body"];
        once(&s3, &[&part[..], &[&file, "--upload-id", id.trim()]].concat())?.failed(&["QuotaExceeded"])?;
        once(&s3, &["s3", "cp", "s3://docs/first", "s3://docs/copy"])?.failed(&["QuotaExceeded"])?;
        // A database refuses what is put, and deletes.
        one.cli(&["kv", "put", "notes", "word", "before"])?.good()?;
        one.cli(&["quota", "set", "--realm", "600KB"])?.good()?;
        one.alarmed(&["the quota of the realm is used up", "freehold quota set"])?;
        one.cli(&["kv", "put", "notes", "more", "a word"])?
            .refused(1, &["nothing was written", "the quota of the realm", "freehold usage"])?;
        one.cli(&["kv", "delete", "notes", "word"])?.good()?;
        s3.aws(&["s3", "cp", "s3://docs/first", "-"])?.good()?;
        s3.aws(&["s3", "rm", "s3://docs/first"])?.good()?;
        one.cli(&["quota", "set", "--realm", "none"])?.good()?;
        one.cli(&["kv", "put", "notes", "more", "a word"])?.good()?;
        put(&one, &ready, Path::new(&*file), "docs/second")
    })
}

#[test]
fn members_services_and_buckets_have_quotas_of_their_own() -> Result<()> {
    story("members_services_and_buckets_have_quotas", |story| {
        let alice = story.host("alice")?;
        let mut one = alice.node()?;
        let ready = one.up(&["--name", "smith"])?;
        let log = story.folder().join("log").to_string_lossy().into_owned();
        one.cli(&["realm", "export", &log])?.good()?;
        let audit: freehold_api::Audit = one.ask(&["realm", "audit", &log])?;
        let person = audit.state.admins.first().cloned().context("nobody is an admin")?;
        let rights = ["--allow", "read,write,list,delete,admin"];
        let pair = |whose: &[&str], file: &str| -> Result<S3<'_>> {
            let file = story.folder().join(file);
            let out = file.to_string_lossy().into_owned();
            one.cli(&[&["key", "create"], whose, &rights[..], &["--out", &out]].concat())?.good()?;
            one.s3_with(&ready, &file)
        };
        let theirs = pair(&["--person", &person], "person")?;
        let service = pair(&["--service", "backup"], "service")?;
        theirs.aws(&["s3", "mb", "s3://mine"])?.good()?;
        service.aws(&["s3", "mb", "s3://nightly"])?.good()?;
        one.cli(&["bucket", "create", "others", "--copies", "1"])?.good()?;
        one.cli(&["quota", "set", "--person", &person[..12], "1MB"])?.good()?;
        one.cli(&["quota", "set", "--service", "backup", "1MB"])?.good()?;
        one.cli(&["quota", "set", "--bucket", "others", "1MB"])?.good()?;
        let file = story.file("file", 400_000, 1)?.to_string_lossy().into_owned();
        let backup = QuotaWhose::Service("freehold/backup".to_owned());
        for (s3, bucket, of) in
            [(&theirs, "mine", QuotaWhose::Person(person.clone())), (&service, "nightly", backup)]
        {
            // Its bucket asks for two copies.
            s3.aws(&["s3", "cp", &file, &format!("s3://{bucket}/first")])?.good()?;
            kept(&one, &of, 800_000, 900_000)?;
            once(s3, &["s3", "cp", &file, &format!("s3://{bucket}/second")])?
                .failed(&["QuotaExceeded", "1 MB"])?;
        }
        let owner = one.s3(&ready)?;
        for name in ["first", "second"] {
            owner.aws(&["s3", "cp", &file, &format!("s3://others/{name}")])?.good()?;
        }
        kept(&one, &QuotaWhose::Bucket("others".to_owned()), 800_000, 900_000)?;
        once(&owner, &["s3", "cp", &file, "s3://others/third"])?
            .failed(&["the quota of the bucket others"])?;
        // It outlives a restart.
        one.stop()?;
        let ready = one.resume()?;
        let owner = one.s3(&ready)?;
        once(&owner, &["s3", "cp", &file, "s3://others/third"])?
            .failed(&["the quota of the bucket others"])?;
        Ok(())
    })
}

#[test]
fn of_gateways_that_are_apart_each_fills_what_was_left_and_no_more() -> Result<()> {
    story("of_gateways_that_are_apart", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, mut two) = (alice.node()?, bob.node()?);
        let at_one = one.up(&["--name", "smith"])?;
        let at_two = two.join(&one.invite(&[])?, "bob")?;
        one.cli(&["bucket", "create", "docs", "--copies", "1"])?.good()?;
        one.cli(&["quota", "set", "--bucket", "docs", "3MiB"])?.good()?;
        let docs = QuotaWhose::Bucket("docs".to_owned());
        until(30, "bob hears of the quota", || {
            ensure!(usage(&two, &docs)?.limit == Some(3 << 20), "not yet");
            Ok(())
        })?;
        bob.unplug()?;
        let file = story.file("file", MIB, 1)?.to_string_lossy().into_owned();
        for (node, ready, name) in [(&one, &at_one, "one"), (&two, &at_two, "two")] {
            let s3 = node.s3(ready)?;
            for at in 0..2 {
                s3.aws(&["s3", "cp", &file, &format!("s3://docs/{name}-{at}")])?.good()?;
            }
            once(&s3, &["s3", "cp", &file, &format!("s3://docs/{name}-2")])?.failed(&["QuotaExceeded"])?;
        }
        bob.plug_in()?;
        // Both keep what they acknowledged, and take no more.
        for (node, ready) in [(&one, &at_one), (&two, &at_two)] {
            kept(node, &docs, 4 << 20, 5 << 20)?;
            let small = story.file("small", 1000, 1)?.to_string_lossy().into_owned();
            once(&node.s3(ready)?, &["s3", "cp", &small, "s3://docs/small"])?.failed(&["QuotaExceeded"])?;
        }
        Ok(())
    })
}
