//! A person is erased: no key that is left opens what was theirs, or says what they were called.

use anyhow::{Context as _, Result, ensure};
use freehold_api::{Audit, Erasure, KeyStatus, PersonErasurePlan, PersonStatus};
use freehold_harness::{Node, Ready, S3, story, until};

use crate::erasure::{copy, forgeries_are_refused, opened_with};
use crate::{get, keys, put};

const NAME: &str = "quillfeather";

/// A key of somebody, in a file of that name.
fn pair<'a>(node: &Node<'a>, ready: &Ready, person: &str, file: &str) -> Result<S3<'a>> {
    let file = node.host().folder().join(file);
    let out = file.to_string_lossy();
    let allow = "read,write,list,delete,admin";
    node.cli(&["key", "create", "--person", person, "--allow", allow, "--out", &out])?.good()?;
    node.s3_with(ready, &file)
}

fn erasures_end(node: &Node<'_>, machines: usize) -> Result<()> {
    until(120, "all machines confirm", || {
        let all: Vec<Erasure> = node.ask(&["receipt", "list"])?;
        let over = |one: &Erasure| one.pending.is_empty() && one.confirmed.len() == machines;
        ensure!(all.iter().all(over), "{all:?}");
        Ok(())
    })
}

fn proven(node: &Node<'_>, file: &str, erased: &Erasure) -> Result<()> {
    node.cli(&["receipt", "save", &erased.id, file, "--overwrite"])?.good()?;
    let shown: Erasure = node.ask(&["receipt", "check", file])?;
    ensure!(shown.person.is_some() && shown.person == erased.person, "{shown:?}");
    ensure!(shown.buckets == erased.buckets && shown.confirmed.len() == 2, "{shown:?}");
    forgeries_are_refused(node, file, &shown)
}

/// What the person and others have: two buckets of theirs alone, one that others may use, and one of others.
fn fill<'a>(one: &Node<'a>, other: &Node<'_>, ready: &Ready) -> Result<S3<'a>> {
    const OPEN: &str = "import boto3\n\
        rule = '{\"Version\": \"2012-10-17\", \"Statement\": {\"Effect\": \"Allow\", \"Principal\": \"*\", \
            \"Action\": \"s3:GetObject\", \"Resource\": \"arn:aws:s3:::club/*\"}}'\n\
        boto3.client('s3').put_bucket_policy(Bucket='club', Policy=rule)";
    let theirs = pair(one, ready, NAME, "theirs")?;
    for (bucket, object) in [("journal", "diary"), ("attic", "letter"), ("club", "rules")] {
        theirs.aws(&["s3", "mb", &format!("s3://{bucket}")])?.good()?;
        put(&theirs, bucket, object, object)?;
    }
    theirs.boto3(OPEN, &[])?.good()?;
    let s3 = one.s3(ready)?;
    put(&s3, "files", "recipe", "two eggs")?;
    for bucket in ["journal", "attic", "club", "files"] {
        one.protected(bucket, 1)?;
        until(60, "bob has the key", || keys(other, bucket).map(drop))?;
    }
    Ok(theirs)
}

#[test]
fn a_person_who_was_erased_opens_with_no_key_that_is_left() -> Result<()> {
    story("a_person_who_was_erased_opens_with_no_key_that_is_left", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        let ready = one.up(&["--name", "smith"])?;
        other.join(&one.invite(&[])?, "bob")?;
        let made: PersonStatus = one.ask(&["person", "add", NAME])?;
        one.cli(&["person", "add", NAME])?.failed(&["somebody else is called so"])?;
        until(60, "bob hears what they are called", || {
            let all: Vec<PersonStatus> = other.ask(&["person", "list"])?;
            ensure!(all.iter().any(|person| person.id == made.id && person.name == NAME), "{all:?}");
            Ok(())
        })?;
        let theirs = fill(&one, &other, &ready)?;
        one.stop()?;
        other.stop()?;
        let older = [copy(&one, &story.folder().join("one"))?, copy(&other, &story.folder().join("other"))?];
        for (older, home) in older.iter().zip([one.home(), other.home()]) {
            let opened = opened_with(older, home)?;
            ensure!(["diary", "letter"].iter().all(|name| opened.objects.contains_key(*name)), "{opened:?}");
            ensure!(opened.names.iter().any(|name| name == NAME), "{:?}", opened.names);
        }

        // Bob is off when it is decided.
        let ready = one.resume()?;
        let (s3, theirs) = (one.s3(&ready)?, theirs.at(ready.text("s3")?));
        let plan: PersonErasurePlan = one.ask(&["person", "erase", NAME, "--dry-run"])?;
        let named = |all: &[freehold_api::BucketOfPerson]| -> Vec<String> {
            let mut names: Vec<String> = all.iter().map(|bucket| bucket.name.clone()).collect();
            names.sort();
            names
        };
        ensure!(named(&plan.erased) == ["attic", "journal"] && named(&plan.stays) == ["club"], "{plan:?}");
        ensure!(plan.keys.len() == 1 && plan.refused.is_empty() && plan.member, "{plan:?}");
        one.cli(&["person", "erase", NAME])?.failed(&["whether it is meant"])?;
        ensure!(get(&theirs, "journal", "diary")? == "diary", "it was only asked");
        let erased: Erasure = one.ask(&["person", "erase", NAME, "-y"])?;
        ensure!(erased.person.as_ref() == Some(&made.id) && erased.buckets.len() == 3, "{erased:?}");
        ensure!(erased.confirmed.len() == 1 && erased.pending.len() == 1, "{erased:?}");
        theirs.aws(&["s3", "ls"])?.failed(&["InvalidAccessKeyId"])?;
        let left: Vec<KeyStatus> = one.ask(&["key", "list"])?;
        ensure!(left.is_empty(), "{left:?}");
        ensure!(get(&s3, "journal", "diary").is_err(), "it reads what was erased");
        ensure!(get(&s3, "files", "recipe")? == "two eggs", "another bucket reads otherwise");
        ensure!(get(&s3, "club", "rules")? == "rules", "what others may use has gone");
        let people: Vec<PersonStatus> = one.ask(&["person", "list"])?;
        ensure!(people.iter().all(|person| person.id != made.id), "{people:?}");
        one.cli(&["person", "erase", NAME, "-y"])?.failed(&["no member"])?;
        // Whoever made it cannot be named any more, but their id still owns it.
        let again: Erasure = one.ask(&["person", "erase", &made.id, "--also-shared", "club", "-y"])?;
        ensure!(again.person == erased.person && again.buckets.len() == 1, "{again:?}");
        ensure!(get(&s3, "club", "rules").is_err(), "it reads what was named");

        other.resume()?;
        erasures_end(&one, 2)?;
        let file = story.folder().join("receipt");
        proven(&one, &file.to_string_lossy(), &erased)?;
        one.stop()?;
        other.stop()?;
        for older in older.iter().map(std::path::PathBuf::as_path).chain([one.home(), other.home()]) {
            for home in [one.home(), other.home()] {
                let opened = opened_with(older, home)?;
                ensure!(opened.objects.contains_key("recipe"), "what was not erased: {:?}", opened.names);
                for gone in ["diary", "letter", NAME] {
                    let is_there =
                        opened.objects.contains_key(gone) || opened.names.iter().any(|name| name == gone);
                    ensure!(!is_there, "{gone} opens: {:?}", opened.names);
                }
            }
        }
        Ok(())
    })
}

#[test]
fn nobody_is_erased_whose_things_must_be_kept_nor_the_last_admin() -> Result<()> {
    const LOCKED: &str = "import boto3, datetime\n\
        s3 = boto3.client('s3')\n\
        s3.create_bucket(Bucket='books', ObjectLockEnabledForBucket=True)\n\
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=2)\n\
        s3.put_object(Bucket='books', Key='2026', Body=b'sums', ObjectLockMode='COMPLIANCE',\n\
            ObjectLockRetainUntilDate=until)";
    story("nobody_is_erased_whose_things_must_be_kept_nor_the_last_admin", |story| {
        let alice = story.host("alice")?;
        let mut one = alice.node()?;
        let ready = one.up(&["--name", "smith"])?;
        one.cli(&["person", "add", "heron"])?.good()?;
        one.cli(&["person", "rename", "heron", NAME])?.good()?;
        pair(&one, &ready, NAME, "theirs")?.boto3(LOCKED, &[])?.good()?;
        one.cli(&["person", "erase", NAME, "-y"])?.failed(&["COMPLIANCE", "books"])?;
        let plan: PersonErasurePlan = one.ask(&["person", "erase", NAME, "--dry-run"])?;
        ensure!(plan.refused.len() == 1 && plan.erased.iter().any(|bucket| bucket.kept == 1), "{plan:?}");
        let people: Vec<PersonStatus> = one.ask(&["person", "list"])?;
        ensure!(people.iter().any(|person| person.name == NAME && person.buckets == ["books"]), "{people:?}");

        let log = story.folder().join("log");
        one.cli(&["realm", "export", &log.to_string_lossy()])?.good()?;
        let audit: Audit = one.ask(&["realm", "audit", &log.to_string_lossy()])?;
        let admin = audit.state.admins.first().context("a realm has an admin")?;
        one.cli(&["person", "erase", admin, "-y"])?.failed(&["last admin"])?;
        one.cli(&["person", "erase", "nobody", "-y"])?.failed(&["no member"])?;
        Ok(())
    })
}
