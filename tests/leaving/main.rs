//! A member leaves: what is theirs goes from one realm to another while they go on working, without a loss, and with
//! writes refused for seconds at most. The move is killed and goes on; the old realm is not needed once all is there.
#![cfg(test)]

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use freehold_api::{TenantMoved, TenantStage};
use freehold_harness::{Answer, Host, Node, Ready, S3, Story, binary, python, story, until};
use serde_json::Value;

/// For how long writes may be refused, on a machine that is busy with other things: what people read is seconds.
const READ_ONLY_MAX_MS: u64 = 10_000;

/// A realm with one hosted member, who has a key and no machine in it.
struct Realm<'a> {
    node: Node<'a>,
    ready: Ready,
    key: PathBuf,
    endpoint: String,
}

impl<'a> Realm<'a> {
    fn found(host: &'a Host, name: &str, member: &str) -> Result<Self> {
        let mut node = host.node()?;
        let address = host.address().to_string();
        let ready = node.up(&["--name", name, "--s3-listen", &address])?;
        node.cli(&["person", "add", member])?.good()?;
        let key = host.folder().join("key-of-member");
        let out = key.to_string_lossy();
        let allow = "read,write,list,delete,admin";
        node.cli(&["key", "create", "--person", member, "--allow", allow, "--out", &out])?.good()?;
        let endpoint = ready.text("s3")?.trim_end_matches('/').to_owned();
        Ok(Self { node, ready, key, endpoint })
    }

    fn s3(&self) -> Result<S3<'a>> {
        self.node.s3_with(&self.ready, &self.key)
    }

    fn pair(&self) -> Result<[String; 2]> {
        let text = std::fs::read_to_string(&self.key)?;
        let find = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix('='));
            line.map(|value| value.trim().to_owned()).with_context(|| format!("no {name}"))
        };
        Ok([find("aws_access_key_id")?, find("aws_secret_access_key")?])
    }
}

/// The member's own machine, which is in neither realm.
struct Desk<'a> {
    host: &'a Host,
    folder: PathBuf,
}

impl Desk<'_> {
    fn command(&self, arguments: &[&str]) -> Result<std::process::Command> {
        let mut command = self.host.command(binary()?);
        command.args(["--json", "tenant"]).args(arguments);
        Ok(command)
    }

    fn run(&self, arguments: &[&str]) -> Result<Answer> {
        Host::answer(&mut self.command(arguments)?)
    }

    fn folder(&self) -> String {
        self.folder.to_string_lossy().into_owned()
    }

    fn begin(&self, old: &Realm<'_>, new: &Realm<'_>, more: &[&str]) -> Vec<String> {
        let (from, to) = (old.key.to_string_lossy(), new.key.to_string_lossy());
        let folder = self.folder();
        let first = ["move", &folder, "--from", &old.endpoint, "--from-key", &from];
        let then = ["--to", &new.endpoint, "--to-key", &to];
        first.iter().chain(&then).chain(more).map(|word| (*word).to_owned()).collect()
    }

    fn stage(&self) -> String {
        std::fs::read_to_string(self.folder.join("stage")).unwrap_or_default().trim().to_owned()
    }

    /// Lets the move run until it says this, and kills it in the midst of what it does.
    fn killed(&self, words: &[String], says: &str) -> Result<()> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let out = self.host.folder().join("answer");
        let mut process = self.command(&words)?.stdout(File::create(&out)?).stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(process.stderr.take().context("it is piped")?).lines();
        let mut said = Vec::new();
        let seen = lines.by_ref().map_while(Result::ok).any(|line| {
            said.push(line);
            said.last().is_some_and(|line| line.contains(says))
        });
        // It must have been at work, or the kill shows nothing.
        let ended = process.try_wait()?;
        process.kill()?;
        process.wait()?;
        let answer = std::fs::read_to_string(out)?;
        ensure!(seen && ended.is_none(), "it was not killed at {says:?} ({ended:?}): {said:?} {answer}");
        Ok(())
    }
}

/// The member at work.
struct Work {
    process: Child,
    did: PathBuf,
}

impl Work {
    fn begin(story: &Story, desk: &Desk<'_>, old: &Realm<'_>, new: &Realm<'_>) -> Result<Self> {
        let did = story.folder().join("did");
        let [key, secret] = new.pair()?;
        let s3 = old.s3()?;
        let mut command = s3.command(&python("python")?);
        let folder = desk.folder();
        let words = ["-c", include_str!("member.py"), "work", &folder, &new.endpoint, &key, &secret];
        let process = command.args(words).stdout(File::create(&did)?).spawn()?;
        let work = Self { process, did };
        until(30, "the member is at work", || {
            ensure!(work.lines()?.len() > 20, "not yet");
            Ok(())
        })?;
        Ok(work)
    }

    fn lines(&self) -> Result<Vec<Value>> {
        let whole = BufReader::new(File::open(&self.did)?).lines();
        Ok(whole.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()).collect())
    }

    /// Waits until they have written in the new realm too, and says for how long they could write nowhere.
    fn ended(mut self) -> Result<(PathBuf, u64)> {
        let status = until(60, "the member has gone over", || self.process.try_wait()?.context("not yet"));
        if status.is_err() {
            self.process.kill()?;
            self.process.wait()?;
        }
        ensure!(status?.success(), "the member gave up: {:?}", self.lines()?.last());
        let lines = self.lines()?;
        let at = |line: &Value| line.get("at").and_then(Value::as_f64).unwrap_or_default();
        let is_new = |line: &&Value| line.get("new") == Some(&Value::Bool(true));
        let is_old = |line: &&Value| line.get("new") == Some(&Value::Bool(false));
        let last = lines.iter().rfind(is_old).map(at).context("nothing written in the old realm")?;
        let first = lines.iter().find(is_new).map(at).context("nothing written in the new one")?;
        let gap = std::time::Duration::from_secs_f64((first - last).max(0.0));
        Ok((self.did.clone(), u64::try_from(gap.as_millis())?))
    }
}

fn compared(old: &Realm<'_>, new: &Realm<'_>, did: &Path) -> Result<String> {
    let ([old_key, old_secret], [new_key, new_secret]) = (old.pair()?, new.pair()?);
    let did = did.to_string_lossy();
    let words = [&*old.endpoint, &old_key, &old_secret, &new.endpoint, &new_key, &new_secret, &did]
        .map(str::to_owned);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Ok(new.s3()?.boto3(include_str!("compare.py"), &words)?.good()?.out)
}

fn receipt_is_proof(desk: &Desk<'_>, moved: &TenantMoved) -> Result<()> {
    let folder = desk.folder();
    let shown: TenantMoved = desk.run(&["receipt", &folder])?.good()?.json()?;
    ensure!(shown.buckets == moved.buckets && shown.list_sha256.is_some(), "{shown:?}");
    let list = std::fs::read_to_string(desk.folder.join("list"))?;
    let versions: u64 = shown.buckets.iter().map(|bucket| bucket.versions + bucket.markers).sum();
    ensure!(list.lines().count() as u64 == versions, "{} lines, {versions} versions", list.lines().count());
    let sum = desk.host.run("sha256sum", &[&desk.folder.join("list").to_string_lossy()])?.good()?.out;
    ensure!(sum.split_whitespace().next() == shown.list_sha256.as_deref(), "{sum}");
    let receipt = std::fs::read_to_string(desk.folder.join("receipt"))?;
    let altered = receipt.replacen("\"objects\": ", "\"objects\": 1", 1);
    ensure!(altered != receipt, "nothing was altered");
    let forged = desk.host.folder().join("forged");
    std::io::Write::write_all(&mut File::create(&forged)?, altered.as_bytes())?;
    desk.run(&["receipt", &forged.to_string_lossy()])?.failed(&["altered"])?;
    Ok(())
}

#[test]
fn a_member_changes_their_provider_and_loses_nothing() -> Result<()> {
    story("a_member_changes_their_provider", |story| {
        let (town, village, home) = (story.host("town")?, story.host("village")?, story.host("desk")?);
        let mut old = Realm::found(&town, "Town", "quill")?;
        let new = Realm::found(&village, "Village", "quill")?;
        let desk = Desk { host: &home, folder: home.folder().join("leaving") };
        old.s3()?.boto3(include_str!("member.py"), &["fill"])?.good()?;
        let begin = desk.begin(&old, &new, &[]);
        let dry: Vec<&str> = begin.iter().map(String::as_str).chain(["--dry-run"]).collect();
        let planned: TenantMoved = desk.run(&dry)?.good()?.json()?;
        ensure!(planned.stage == TenantStage::Planned && planned.buckets.len() == 3, "{planned:?}");
        ensure!(!desk.folder.exists(), "a dry run leaves nothing");

        let work = Work::begin(story, &desk, &old, &new)?;
        for at in ["films: ", "papers: 100 of", "films: ", "papers: 200 of", "papers: 300 of", "read back"] {
            desk.killed(&begin, at)?;
        }
        ensure!(desk.stage() == "copying", "{}", desk.stage());
        // The end phase: the new realm counts, and the rest needs the old one no more.
        let go_on = ["move".to_owned(), desk.folder()];
        desk.killed(&go_on, "The new realm counts")?;
        old.node.kill()?;
        let moved: TenantMoved = desk.run(&["move", &desk.folder()])?.good()?.json()?;
        ensure!(moved.stage == TenantStage::Moved && moved.compared, "{moved:?}");
        let (did, gap) = work.ended()?;
        let refused = moved.read_only_ms.context("it says for how long")?;
        println!("writes were refused for {refused} ms, as the member saw it {gap} ms: {:?}", moved.buckets);
        ensure!(refused < READ_ONLY_MAX_MS && gap < READ_ONLY_MAX_MS, "{refused} ms, {gap} ms");
        ensure!(refused <= gap + 500, "the member waited for {gap} ms and is told {refused}");
        receipt_is_proof(&desk, &moved)?;
        // Run again, it says the same.
        let again: TenantMoved = desk.run(&["move", &desk.folder()])?.good()?.json()?;
        ensure!(again == moved, "{again:?}");
        desk.run(&["stay", &desk.folder()])?.failed(&["counts already"])?;

        old.ready = old.node.start(&["up", "--s3-listen", &town.address().to_string()])?;
        println!("{}", compared(&old, &new, &did)?);
        // The old realm still refuses, and the member may still read there.
        let refused = old.s3()?.aws(&["s3api", "delete-object", "--bucket", "papers", "--key", "x"])?;
        refused.failed(&["FreeholdMoving"])?;
        Ok(())
    })
}

fn is_open(realm: &Realm<'_>, bucket: &str) -> Result<()> {
    let s3 = realm.s3()?;
    s3.aws(&["s3api", "get-bucket-policy", "--bucket", bucket])?.failed(&["NoSuchBucketPolicy"])?;
    s3.aws(&["s3api", "put-object", "--bucket", bucket, "--key", "open"])?.good()?;
    Ok(())
}

fn tags(realm: &Realm<'_>, key: &str) -> Result<Answer> {
    let set = "TagSet=[{Key=a,Value=b}]";
    realm.s3()?.aws(&["s3api", "put-object-tagging", "--bucket", "notes", "--key", key, "--tagging", set])
}

#[test]
fn a_move_is_given_up_killed_while_closed_and_ends_without_the_old_realm() -> Result<()> {
    story("a_move_is_given_up_and_ends", |story| {
        let (town, village, home) = (story.host("town")?, story.host("village")?, story.host("desk")?);
        let mut old = Realm::found(&town, "Town", "quill")?;
        let new = Realm::found(&village, "Village", "quill")?;
        let desk = Desk { host: &home, folder: home.folder().join("leaving") };
        for bucket in ["notes", "drafts"] {
            old.s3()?.aws(&["s3", "mb", &format!("s3://{bucket}")])?.good()?;
            for n in 0..12 {
                let file = story.file(&format!("{bucket}-{n}"), 1000 * (1 + n), n as u64)?;
                old.s3()?
                    .aws(&["s3", "cp", &file.to_string_lossy(), &format!("s3://{bucket}/{n}")])?
                    .good()?;
            }
        }

        // Everything is copied, and the member stays: writes went on, and the bucket is as it was.
        let notes = desk.begin(&old, &new, &["--bucket", "notes", "--as", "notes=papers"]);
        let copy: Vec<&str> = notes.iter().map(String::as_str).chain(["--only-copy"]).collect();
        let copied: TenantMoved = desk.run(&copy)?.good()?.json()?;
        ensure!(copied.stage == TenantStage::Copied, "{copied:?}");
        ensure!(copied.buckets.iter().map(|one| one.versions).sum::<u64>() == 12, "{copied:?}");
        old.s3()?.aws(&["s3api", "put-object", "--bucket", "notes", "--key", "later"])?.good()?;
        tags(&old, "1")?.failed(&["FreeholdMovingSayings"])?;
        desk.run(&["stay", &desk.folder()])?.good()?;
        is_open(&old, "notes")?;
        tags(&old, "open")?.good()?;

        // They leave after all, and the machine that moves fails while writes are refused.
        desk.killed(&notes, "refuse writes from now on")?;
        ensure!(desk.stage() == "closed", "{}", desk.stage());
        let again = ["move", &desk.folder()].map(str::to_owned);
        let words: Vec<&str> = again.iter().map(String::as_str).collect();
        let moved: TenantMoved = desk.run(&words)?.good()?.json()?;
        ensure!(moved.stage == TenantStage::Moved && moved.compared, "{moved:?}");
        ensure!(moved.buckets.first().is_some_and(|one| one.versions == 14), "{moved:?}");
        let shown = new.s3()?.aws(&["s3", "ls", "s3://papers/"])?.good()?.out;
        ensure!(shown.contains("later") && shown.contains("open"), "{shown}");

        // The old realm burns before the second bucket was compared to the last: what was copied counts, and it is told.
        let rest = Desk { host: &home, folder: home.folder().join("rest") };
        let taken = rest.begin(&old, &new, &["--bucket", "drafts", "--as", "drafts=papers"]);
        let taken: Vec<&str> = taken.iter().map(String::as_str).collect();
        rest.run(&taken)?.failed(&["papers already", "--as"])?;
        let rest = Desk { host: &home, folder: home.folder().join("rest-again") };
        let drafts = rest.begin(&old, &new, &["--bucket", "drafts", "--only-copy"]);
        rest.run(&drafts.iter().map(String::as_str).collect::<Vec<_>>())?.good()?;
        old.node.destroy()?;
        rest.run(&["move", &rest.folder()])?.failed(&["the old realm does not answer", "--old-is-gone"])?;
        let saved: TenantMoved = rest.run(&["move", &rest.folder(), "--old-is-gone"])?.good()?.json()?;
        ensure!(saved.stage == TenantStage::Moved && !saved.compared, "{saved:?}");
        let shown = new.s3()?.aws(&["s3", "ls", "s3://drafts/"])?.good()?.out;
        ensure!(shown.lines().count() == 12, "{shown}");
        Ok(())
    })
}
