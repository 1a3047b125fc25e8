//! A person is erased: no key that is left opens what was theirs, or says what they were called.

use anyhow::{Context as _, Result, ensure};
use freehold_api::{Audit, Erasure, KeyStatus, PersonErasurePlan, PersonStatus, Standing};
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

/// Bob has not heard of it, and their key works there still: what they make so is told, and nothing more.
fn came_back(one: &mut Node<'_>, other: &mut Node<'_>, late: &S3<'_>, id: &str) -> Result<()> {
    one.stop()?;
    let ready = other.resume()?;
    late.at(ready.text("s3")?).aws(&["s3", "mb", "s3://comeback"])?.good()?;
    other.stop()?;
    one.resume()?;
    other.resume()?;
    until(60, "it is told", || {
        let told = one.cli(&["status"])?.good()?.out;
        ensure!(told.contains("bucket comeback came back of person") && told.contains(id), "{told}");
        ensure!(!told.contains("bucket album came back"), "{told}");
        Ok(())
    })?;
    ensure!(one.bucket("comeback")?.objects == 0, "nobody decided that it goes");
    let plan: PersonErasurePlan = one.ask(&["person", "erase", id, "--dry-run"])?;
    ensure!(plan.erased.iter().any(|bucket| bucket.name == "comeback"), "{plan:?}");
    one.cli(&["person", "erase", id, "-y"])?.good()?;
    let told = one.cli(&["status"])?.good()?.out;
    ensure!(!told.contains("came back"), "{told}");
    Ok(())
}

/// What the person and others have: three buckets of theirs alone, two that others may use, and one of others.
fn fill<'a>(one: &Node<'a>, other: &Node<'_>, ready: &Ready, id: &str) -> Result<S3<'a>> {
    const OPEN: &str = "import boto3\n\
        rule = '{\"Version\": \"2012-10-17\", \"Statement\": {\"Effect\": \"Allow\", \"Principal\": \"*\", \
            \"Action\": \"s3:GetObject\", \"Resource\": \"arn:aws:s3:::club/*\"}}'\n\
        boto3.client('s3').put_bucket_policy(Bucket='club', Policy=rule)";
    // Rules that let in nobody else, and an object that everybody may read.
    const CLOSED: &str = "import boto3, json, sys\n\
        s3 = boto3.client('s3')\n\
        rule = lambda effect, who: {'Effect': effect, 'Principal': {'AWS': who}, 'Action': 's3:*',\n\
            'Resource': 'arn:aws:s3:::notes/*'}\n\
        rules = [rule('Allow', sys.argv[1]), rule('Deny', '123456789012')]\n\
        s3.put_bucket_policy(Bucket='notes', Policy=json.dumps({'Version': '2012-10-17', 'Statement': rules}))\n\
        s3.put_object(Bucket='album', Key='cover', Body=b'a face', ACL='public-read')";
    let theirs = pair(one, ready, NAME, "theirs")?;
    let own =
        [("journal", "diary"), ("attic", "letter"), ("club", "rules"), ("notes", "list"), ("album", "back")];
    for (bucket, object) in own {
        theirs.aws(&["s3", "mb", &format!("s3://{bucket}")])?.good()?;
        put(&theirs, bucket, object, object)?;
    }
    theirs.boto3(OPEN, &[])?.good()?;
    theirs.boto3(CLOSED, &[id])?.good()?;
    let s3 = one.s3(ready)?;
    put(&s3, "files", "recipe", "two eggs")?;
    for bucket in ["journal", "attic", "club", "notes", "album", "files"] {
        one.protected(bucket, if bucket == "album" { 2 } else { 1 })?;
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
        let joined = other.join(&one.invite(&[])?, "bob")?;
        let made: PersonStatus = one.ask(&["person", "add", NAME])?;
        one.cli(&["person", "add", NAME])?.failed(&["somebody else is called so"])?;
        until(60, "bob hears what they are called", || {
            let all: Vec<PersonStatus> = other.ask(&["person", "list"])?;
            ensure!(all.iter().any(|person| person.id == made.id && person.name == NAME), "{all:?}");
            Ok(())
        })?;
        let theirs = fill(&one, &other, &ready, &made.id)?;
        let late = pair(&other, &joined, &made.id, "late")?;
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
        ensure!(named(&plan.erased) == ["attic", "journal", "notes"], "{plan:?}");
        ensure!(named(&plan.stays) == ["album", "club"], "{plan:?}");
        let by = |name: &str| {
            plan.stays.iter().find(|bucket| bucket.name == name).map(|found| found.shared_by.join(""))
        };
        ensure!(by("album").is_some_and(|by| by.contains("list of an object")), "{plan:?}");
        ensure!(plan.keys.len() == 1 && plan.refused.is_empty() && plan.member, "{plan:?}");
        let again = format!("freehold person erase {NAME} --also-shared club -y");
        one.cli(&["person", "erase", NAME, "--also-shared", "club"])?
            .failed(&["whether it is meant", &again])?;
        ensure!(get(&theirs, "journal", "diary")? == "diary", "it was only asked");
        let erased: Erasure = one.ask(&["person", "erase", NAME, "-y"])?;
        ensure!(erased.person.as_ref() == Some(&made.id) && erased.buckets.len() == 4, "{erased:?}");
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

        came_back(&mut one, &mut other, &late, &made.id)?;
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

#[test]
fn machines_that_hold_keys_of_one_bucket_each_do_not_wait_for_each_other() -> Result<()> {
    story("machines_that_hold_keys_of_one_bucket_each_do_not_wait_for_each_other", |story| {
        let hosts = [story.host("alice")?, story.host("bob")?, story.host("carol")?];
        let [alice, bob, carol] = &hosts;
        let (mut one, mut two, mut three) = (alice.node()?, bob.node()?, carol.node()?);
        let ready = one.up(&["--name", "smith"])?;
        for (node, name) in [(&mut two, "bob"), (&mut three, "carol")] {
            node.join(&one.invite(&["--roles", "storage,gateway"])?, name)?;
        }
        one.cli(&["person", "add", NAME])?.good()?;
        let theirs = pair(&one, &ready, NAME, "theirs")?;
        for (bucket, node, name) in [("journal", &two, "bob"), ("attic", &three, "carol")] {
            theirs.aws(&["s3", "mb", &format!("s3://{bucket}")])?.good()?;
            put(&theirs, bucket, "page", "a line")?;
            one.cli(&["bucket", "share", bucket, "--with", name])?.good()?;
            until(60, "the key has come", || keys(node, bucket).map(drop))?;
        }
        let both = ["--also-shared", "journal", "--also-shared", "attic"];
        let erased: Erasure = one.ask(&[&["person", "erase", NAME, "-y"], &both[..]].concat())?;
        ensure!(erased.buckets.len() == 3, "{erased:?}");
        erasures_end(&one, 3)
    })
}

#[test]
fn who_is_suspended_reaches_nothing_until_that_is_lifted() -> Result<()> {
    story("who_is_suspended_reaches_nothing", |story| {
        let alice = story.host("alice")?;
        let mut one = alice.node()?;
        let ready = one.up(&["--name", "smith"])?;
        let made: PersonStatus = one.ask(&["person", "add", NAME])?;
        let theirs = pair(&one, &ready, NAME, "theirs")?;
        theirs.aws(&["s3", "mb", "s3://journal"])?.good()?;
        put(&theirs, "journal", "diary", "today")?;
        let would = one.cli(&["person", "suspend", NAME, "--dry-run"])?.good()?.out;
        ensure!(would.contains("would be suspended: their devices"), "{would}");
        ensure!(get(&theirs, "journal", "diary")? == "today", "it was only asked");

        let standing = || -> Result<Standing> {
            let all: Vec<PersonStatus> = one.ask(&["person", "list"])?;
            Ok(all.into_iter().find(|person| person.id == made.id).context("they are a member")?.standing)
        };
        one.cli(&["person", "suspend", NAME])?.good()?;
        ensure!(standing()? == Standing::Suspended, "{:?}", standing()?);
        ensure!(get(&theirs, "journal", "diary").is_err(), "their key is taken");
        one.cli(&["person", "suspend", NAME])?.good()?;
        one.cli(&["person", "resume", NAME])?.good()?;
        ensure!(standing()? == Standing::Member, "{:?}", standing()?);
        ensure!(get(&theirs, "journal", "diary")? == "today", "what was theirs is theirs again");

        let all: Vec<PersonStatus> = one.ask(&["person", "list"])?;
        let me = all.iter().find(|person| person.admin).context("there is an admin")?;
        one.cli(&["person", "suspend", &me.id])?.failed(&["acts for that person"])?;
        one.cli(&["person", "suspend", "nobody"])?.failed(&["no member"])?;
        Ok(())
    })
}
