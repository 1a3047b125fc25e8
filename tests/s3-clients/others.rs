//! Clients that people bring along: s3cmd, restic, rclone's own ways to compare and to sync both ways.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use freehold_harness::{S3, Story, story};

use crate::{MIB, same};

/// A folder with files of several sizes.
fn folder(story: &Story, name: &str) -> Result<String> {
    for (file, size) in
        [("a.txt", 11), ("empty", 0), ("deep/down/b.bin", 3 * MIB), ("Grüße & co.jpg", 70_000)]
    {
        story.file(&format!("{name}/{file}"), size, size as u64)?;
    }
    story.file(&format!("{name}/large.bin"), 33 * MIB, 7)?;
    Ok(story.folder().join(name).to_string_lossy().into_owned())
}

fn alike(one: &Path, other: &Path) -> Result<()> {
    for file in ["a.txt", "empty", "deep/down/b.bin", "Grüße & co.jpg", "large.bin"] {
        same(&one.join(file), &other.join(file))?;
    }
    Ok(())
}

#[test]
fn s3cmd_syncs_a_folder_there_and_back() -> Result<()> {
    story("s3cmd_syncs_a_folder_there_and_back", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let ready = node.up(&[])?;
        let s3 = node.s3(&ready)?;
        let (out, back) = (folder(story, "out")?, story.folder().join("back"));
        fs::create_dir(&back)?;
        s3.s3cmd(&["mb", "s3://files"])?.good()?;
        s3.s3cmd(&["sync", "--multipart-chunk-size-mb=10", &format!("{out}/"), "s3://files/x/"])?.good()?;
        let again = s3.s3cmd(&["sync", &format!("{out}/"), "s3://files/x/"])?.good()?;
        ensure!(!again.out.contains("upload:"), "it takes what is there for something else: {}", again.out);
        s3.s3cmd(&["sync", "s3://files/x/", &format!("{}/", back.display())])?.good()?;
        alike(Path::new(&out), &back)?;
        s3.s3cmd(&["mv", "s3://files/x/a.txt", "s3://files/y/a.txt"])?.good()?;
        s3.s3cmd(&["modify", "--add-header=Cache-Control:no-store", "s3://files/y/a.txt"])?.good()?;
        let about = s3.s3cmd(&["info", "s3://files/y/a.txt"])?.good()?;
        ensure!(about.out.contains("File size: 11"), "{}", about.out);
        s3.s3cmd(&["setacl", "--acl-public", "s3://files/y/a.txt"])?.good()?;
        let address = format!("{}/files/y/a.txt", s3.endpoint);
        let read = story.folder().join("read");
        host.run("curl", &["-sSf", "-o", &read.to_string_lossy(), &address])?.good()?;
        same(&Path::new(&out).join("a.txt"), &read)?;
        let sizes = s3.s3cmd(&["du", "s3://files/x/"])?.good()?;
        ensure!(sizes.out.contains("4 objects"), "{}", sizes.out);
        s3.s3cmd(&["del", "--recursive", "--force", "s3://files"])?.good()?;
        s3.s3cmd(&["rb", "s3://files"])?.good()?;
        node.stop()
    })
}

fn restic(s3: &S3<'_>, arguments: &[&str]) -> Result<()> {
    s3.restic("backups/laptop", arguments)?.good()?;
    Ok(())
}

#[test]
fn restic_backs_up_checks_and_restores() -> Result<()> {
    story("restic_backs_up_checks_and_restores", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let ready = node.up(&[])?;
        let s3 = node.s3(&ready)?;
        let (out, back) = (folder(story, "out")?, story.folder().join("back"));
        restic(&s3, &["init"])?;
        restic(&s3, &["backup", &out])?;
        story.file("out/a.txt", 12, 99)?;
        restic(&s3, &["backup", &out])?;
        let listed = s3.restic("backups/laptop", &["snapshots", "--json"])?.good()?;
        let listed: serde_json::Value = serde_json::from_str(&listed.out)?;
        ensure!(listed.as_array().context("a list")?.len() == 2, "{listed}");
        restic(&s3, &["check", "--read-data"])?;
        restic(&s3, &["restore", "latest", "--target", &back.to_string_lossy()])?;
        alike(Path::new(&out), &back.join(out.trim_start_matches('/')))?;
        restic(&s3, &["forget", "--keep-last=1", "--prune"])?;
        restic(&s3, &["check", "--read-data"])?;
        node.stop()
    })
}

#[test]
fn rclone_compares_and_syncs_both_ways() -> Result<()> {
    story("rclone_compares_and_syncs_both_ways", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let ready = node.up(&[])?;
        let s3 = node.s3(&ready)?;
        let out = folder(story, "out")?;
        let state = story.folder().join("state").to_string_lossy().into_owned();
        s3.rclone(&["mkdir", "fh:both"])?.good()?;
        let sync =
            |more: &[&str]| s3.rclone(&[&["bisync", &out, "fh:both", "--workdir", &state], more].concat());
        sync(&["--resync"])?.good()?;
        s3.rclone(&["check", &out, "fh:both"])?.good()?;
        // Something new on either side, something gone on either side.
        story.file("out/mine.txt", 4, 5)?;
        fs::remove_file(story.folder().join("out/empty"))?;
        let theirs = story.file("theirs.txt", 6, 1)?;
        s3.rclone(&["copyto", &theirs.to_string_lossy(), "fh:both/deep/theirs.txt"])?.good()?;
        s3.rclone(&["deletefile", "fh:both/a.txt"])?.good()?;
        s3.rclone(&["check", &out, "fh:both"])?.failed(&["differences found"])?;
        sync(&["--force"])?.good()?;
        s3.rclone(&["check", &out, "fh:both"])?.good()?;
        same(&theirs, &story.folder().join("out/deep/theirs.txt"))?;
        ensure!(!story.folder().join("out/a.txt").exists(), "what was deleted there is still here");
        let left = s3.rclone(&["lsf", "-R", "--files-only", "fh:both"])?.good()?;
        ensure!(left.out.contains("mine.txt") && !left.out.contains("empty"), "{}", left.out);
        node.stop()
    })
}

/// What a page would do: a form signed by boto3, sent by curl.
#[test]
fn a_browser_sends_a_form_that_boto3_signed() -> Result<()> {
    story("a_browser_sends_a_form_that_boto3_signed", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let ready = node.up(&[])?;
        let s3 = node.s3(&ready)?;
        let sign = "import boto3, json; s3 = boto3.client('s3'); s3.create_bucket(Bucket='inbox'); \
            print(json.dumps(s3.generate_presigned_post('inbox', 'in/${filename}', ExpiresIn=600)))";
        let signed: serde_json::Value = serde_json::from_str(&s3.boto3(sign, &[])?.good()?.out)?;
        let photo = story.file("photo.jpg", 5 * MIB, 3)?;
        let mut arguments = vec!["-sS".to_owned(), "-w".to_owned(), "%{http_code}".to_owned()];
        for (name, value) in signed["fields"].as_object().context("fields")? {
            arguments
                .extend(["--form-string".to_owned(), format!("{name}={}", value.as_str().context("text")?)]);
        }
        arguments.extend(["-F".to_owned(), format!("file=@{}", photo.display())]);
        arguments.push(signed["url"].as_str().context("an address")?.to_owned());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let answer = host.run("curl", &arguments)?.good()?;
        ensure!(answer.out == "204", "{}", answer.out);
        let back = story.folder().join("back.jpg");
        s3.aws(&["s3", "cp", "s3://inbox/in/photo.jpg", &back.to_string_lossy()])?.good()?;
        same(&photo, &back)?;
        node.stop()
    })
}
