//! A bucket of an S3 as a target: a vendor's, which goes away and comes back, and a friend's, where whoever takes the
//! machine can destroy nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use freehold_api::Backups;
use freehold_harness::{Answer, Host, Node, S3, SeaweedFs, story, until};

use super::person::{PATIENCE, furnished, same, standing, text, tried};

/// Refuses every write that could replace something.
const NEVER_OVER: &str = r#"{"Version": "2012-10-17", "Statement": [{"Sid": "NeverOver", "Effect": "Deny",
    "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::attic/*",
    "Condition": {"Null": {"s3:if-none-match": "true"}}}]}"#;

fn add<'a>(more: &'a [&'a str]) -> Vec<&'a str> {
    [&["backup", "target", "add", "offsite"], more].concat()
}

/// Runs restic on the target by the vendor's key, with the password that the node gives out.
fn restic(s3: &S3<'_>, node: &Node<'_>, to: &Path, place: &str, arguments: &[&str]) -> Result<Answer> {
    if !to.exists() {
        node.cli(&["backup", "password", "offsite", "--out", &text(to)])?.good()?;
    }
    let mut command = s3.command(Path::new("restic"));
    command.args(["--no-cache", "--repo", place, "--password-file"]).arg(to).args(arguments);
    Host::answer(&mut command)?.good()
}

#[test]
fn a_bucket_at_a_vendor_is_a_target_like_any_other() -> Result<()> {
    story("a_bucket_at_a_vendor_is_a_target", |story| {
        let (host, far) = (story.host("laptop")?, story.host("vendor")?);
        let home = furnished(story)?;
        let mut node = host.node()?;
        node.up(&["--name", "smith"])?;
        let mut vendor = SeaweedFs::start(&far, &["attic"])?;
        let (endpoint, key) = (vendor.endpoint(), text(&vendor.credentials()));
        let at = ["--s3", &*endpoint, "--bucket", "attic", "--credentials", &key];
        let (with, wrong) = (|more: &[&'static str]| [&at, more].concat(), host.folder().join("wrong"));
        super::write(&wrong, b"aws_access_key_id = VENDORKEY\naws_secret_access_key = other\n")?;
        let keys = node.home().join("backup/keys");

        let typed = ["--s3", &endpoint, "--bucket", "attic", "--credentials", &text(&wrong)];
        node.cli(&add(&typed))?.refused(1, &["does not let this access key", "the key is let in"])?;
        let typed = ["--s3", &endpoint, "--bucket", "nowhere", "--credentials", &key];
        node.cli(&add(&typed))?.refused(1, &["no such bucket", "see that the bucket is there"])?;
        vendor
            .s3()?
            .aws(&["s3", "cp", &text(&home.join("photos/sea.jpg")), "s3://attic/other/sea.jpg"])?
            .good()?;
        node.cli(&add(&at))?.refused(1, &["something else lies there", "other", "--prefix"])?;
        ensure!(std::fs::read_dir(&keys)?.next().is_none(), "a key that is of no use stays");
        let said = node.cli(&add(&with(&["--prefix", "ann/laptop"])))?.good()?.out;
        ensure!(said.contains("an empty repository") && said.contains("s3:"), "{said}");
        node.cli(&["backup", "add", "home", &text(&home), "--to", "offsite", "--exclude", "*.iso"])?
            .good()?;
        node.cli(&["backup", "now", "home"])?.good()?;
        let first = standing(&node, "home", "offsite")?.last.context("it was made")?;
        ensure!(first.files >= 2 && first.unread == 0, "{first:?}");
        tried(&node, "home", "offsite")?;

        // The line is there for others as well.
        let slow = node.cli(&["backup", "target", "pace", "offsite", "600KiB"])?.good()?.out;
        ensure!(slow.contains("614 kB"), "{slow}");
        story.file("ann/photos/hill.jpg", 3_000_000, 12)?;
        let began = Instant::now();
        node.cli(&["backup", "now", "home"])?.good()?;
        ensure!(began.elapsed() > Duration::from_secs(4), "3 MB went in {:?}", began.elapsed());
        node.cli(&["backup", "target", "pace", "offsite", "fast"])?.refused(2, &["is no pace", "MiB"])?;
        node.cli(&["backup", "target", "pace", "offsite", "none"])?.good()?;
        let first = standing(&node, "home", "offsite")?.last.context("it was made")?;

        // Whoever has the password and the vendor's key needs nothing of ours.
        let s3 = vendor.s3()?;
        let (password, place) = (host.folder().join("password"), format!("s3:{endpoint}/attic/ann/laptop"));
        let back = host.folder().join("by-restic");
        restic(&s3, &node, &password, &place, &["check", "--read-data"])?;
        restic(&s3, &node, &password, &place, &["restore", "latest", "--target", &text(&back)])?;
        same(&home.join("photos"), &back.join(home.strip_prefix("/")?).join("photos"))?;
        restic(&s3, &node, &password, &place, &["backup", "--host", "other", &text(&home.join("papers"))])?;

        // The vendor is away: that alarms nobody yet, and what is missed is made up for.
        vendor.kill()?;
        story.file("ann/papers/second.txt", 4_000, 11)?;
        node.cli(&["backup", "now", "home"])?.failed(&["offsite", "refused"])?;
        let all: Backups = node.ask(&["backup", "list"])?;
        let at_it = all.backups.first().and_then(|made| made.to.first()).context("it goes there")?;
        ensure!(at_it.alarms.is_empty() && at_it.last.is_some(), "{at_it:?}");
        vendor.resume()?;
        until(PATIENCE, "it is backed up again", || node.cli(&["backup", "now", "home"])?.good())?;
        let last = standing(&node, "home", "offsite")?.last.context("it was made")?;
        ensure!(last.files > first.files, "{last:?}");
        let back = host.folder().join("back");
        node.cli(&["backup", "restore", "--snapshot", "home", "--to", &text(&back)])?.good()?;
        same(&home.join("papers"), &back.join(home.strip_prefix("/")?).join("papers"))?;
        node.cli(&["--yes", "backup", "forget", "--last", "1"])?.good()?;
        node.cli(&["backup", "check", "--read"])?.good()?;

        // It goes on with the password that the realm knows, and its access key goes with it.
        node.cli(&["backup", "remove", "home"])?.good()?;
        ensure!(std::fs::read_dir(&keys)?.count() == 1, "one target, one key");
        node.cli(&["backup", "target", "remove", "offsite"])?.good()?;
        ensure!(std::fs::read_dir(&keys)?.next().is_none(), "a key that is of no use stays");
        let said = node.cli(&add(&with(&["--prefix", "ann/laptop"])))?.good()?.out;
        ensure!(said.contains("goes on"), "{said}");
        Ok(())
    })
}

#[test]
fn whoever_takes_the_machine_destroys_nothing_in_a_bucket_that_only_grows() -> Result<()> {
    story("whoever_takes_the_machine_destroys_nothing", |story| {
        let (host, far) = (story.host("laptop")?, story.host("friend")?);
        let home = furnished(story)?;
        let (mut node, mut friend) = (host.node()?, far.node()?);
        node.up(&["--name", "smith"])?;
        let ready = friend.up(&["--name", "jones", "--s3-listen", &far.address().to_string()])?;
        friend.cli(&["bucket", "create", "attic", "--copies", "1"])?.good()?;
        let policy = ["s3api", "put-bucket-policy", "--bucket", "attic", "--policy", NEVER_OVER];
        friend.s3(&ready)?.aws(&policy)?.good()?;
        let key = far.folder().join("key-for-smith");
        let allow = ["--allow", "read,write,list", "--bucket", "attic", "--out"];
        friend.cli(&[&["key", "create"], &allow[..], &[&text(&key)]].concat())?.good()?;
        let endpoint = ready.text("s3")?.trim_end_matches('/').to_owned();
        let key = text(&key);
        let at = ["--s3", &endpoint, "--bucket", "attic", "--region", "freehold", "--credentials", &key];
        node.cli(&add(&[&at[..], &["--append-only"]].concat()))?.good()?;
        let keep = ["--keep-last", "1", "--exclude", "*.iso"];
        node.cli(&[&["backup", "add", "home", &text(&home), "--to", "offsite"], &keep[..]].concat())?
            .good()?;
        for n in 0..3 {
            story.file(&format!("ann/papers/letter-{n}.txt"), 40_000_000 * (n + 1) / 3, n as u64 + 20)?;
            node.cli(&["backup", "now", "home"])?.good()?;
        }
        node.cli(&["--yes", "backup", "forget", "--last", "1"])?.refused(1, &["may add", "--append-only"])?;

        // All that the machine has: its key, with which nothing is removed or replaced.
        let thief = friend.s3_with(&ready, Path::new(&key))?;
        let all = thief.aws(&["s3", "ls", "--recursive", "s3://attic"])?.good()?.out;
        let names: Vec<&str> = all.lines().filter_map(|line| line.split_whitespace().last()).collect();
        ensure!(names.len() > 8, "{all}");
        let junk = text(&story.file("junk", 100, 9)?);
        for name in &names {
            let path = format!("s3://attic/{name}");
            thief.aws(&["s3", "rm", &path])?.failed(&["AccessDenied"])?;
            thief.aws(&["s3", "cp", &junk, &path])?.failed(&["AccessDenied"])?;
        }
        thief.aws(&["s3api", "delete-bucket-policy", "--bucket", "attic"])?.failed(&["AccessDenied"])?;
        let after = thief.aws(&["s3", "ls", "--recursive", "s3://attic"])?.good()?.out;
        ensure!(after == all, "{all}\n{after}");
        let back = host.folder().join("back");
        node.cli(&["backup", "restore", "--snapshot", "home", "--to", &text(&back)])?.good()?;
        same(&home, &back.join(home.strip_prefix("/")?))?;
        Ok(())
    })
}
