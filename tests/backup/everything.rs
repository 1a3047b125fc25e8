//! A backup of everything has what came after it was set up, and brings back what is there today.

use std::fs;

use anyhow::{Context, Result, ensure};
use freehold_api::{BackupStanding, BackupUnprotected, NewBackup};
use freehold_harness::{Node, S3, story};
use serde_json::Value;

use super::person::{standing, target, text};

fn put(s3: &S3<'_>, node: &Node<'_>, file: &str, bucket: &str) -> Result<()> {
    node.cli(&["bucket", "create", bucket, "--copies", "1"])?.good()?;
    s3.aws(&["s3", "cp", file, &format!("s3://{bucket}/sea.jpg")])?.good().map(drop)
}

/// Backs up, and answers how that went.
fn made(node: &Node<'_>) -> Result<BackupStanding> {
    node.cli(&["backup", "now", "all"])?.good()?;
    let stands = standing(node, "all", "disk")?;
    ensure!(stands.last.as_ref().is_some_and(|last| last.unread == 0), "{stands:?}");
    Ok(stands)
}

#[test]
fn everything_has_what_came_later_and_comes_back() -> Result<()> {
    story("everything_has_what_came_later", |story| {
        let host = story.host("laptop")?;
        let mut node = host.node()?;
        let ready = node.up(&["--name", "smith"])?;
        let (s3, folder) = (node.s3(&ready)?, host.folder());
        let photo = text(&story.file("sea.jpg", 300_000, 3)?);
        put(&s3, &node, &photo, "photos")?;
        target(&node, "disk", &folder.join("disk"))?;
        node.cli(&["alarm", "add", "phone", "--webhook", "https://ntfy.example/a-secret-topic"])?.good()?;
        let add = ["backup", "add", "all", "--everything", "--to", "disk"];
        node.cli(&[&add[..], &["--bucket", "photos"]].concat())?.refused(2, &["--everything"])?;
        node.cli(&add)?.good()?;
        made(&node)?;

        // What came later is in the next one, by itself, and is no alarm.
        put(&s3, &node, &photo, "later")?;
        node.cli(&["kv", "create", "shop", "--copies", "1"])?.good()?;
        node.cli(&["kv", "put", "shop", "lamp", "oak, 30"])?.good()?;
        let all: BackupUnprotected = node.ask(&["backup", "unprotected"])?;
        for name in ["photos", "later", "shop"] {
            ensure!(all.things.iter().all(|thing| thing.name != name), "{name}: {all:?}");
        }
        made(&node)?;

        // By what everybody has, into a realm that has lost it.
        let back = folder.join("back");
        node.cli(&["backup", "restore", "--snapshot", "all", "--to", &text(&back)])?.good()?;
        s3.aws(&["s3", "rm", "--recursive", "s3://later"])?.good()?;
        node.cli(&["--yes", "bucket", "delete", "later"])?.good()?;
        node.cli(&["--yes", "kv", "drop", "shop"])?.good()?;
        node.cli(&["bucket", "create", "later", "--copies", "1"])?.good()?;
        s3.rclone(&["copy", "--metadata", &text(&back.join("buckets/later")), "fh:later"])?.good()?;
        node.cli(&["kv", "import", "shop", &text(&back.join("databases/shop.jsonl"))])?.good()?;
        s3.aws(&["s3", "cp", "s3://later/sea.jpg", &text(&folder.join("again.jpg"))])?.good()?;
        ensure!(fs::read(folder.join("again.jpg"))? == fs::read(&photo)?, "the photo");
        ensure!(node.cli(&["kv", "get", "shop", "lamp"])?.good()?.out.contains("oak, 30"), "the lamp");

        // What the machine was told, with nothing that lets anybody in.
        let read = |name: &str| fs::read_to_string(back.join("machine").join(name)).context(name.to_owned());
        let plan: Value = serde_json::from_str(&read("backups.json")?)?;
        let wish: NewBackup = serde_json::from_value(plan.pointer("/backups/0").context("one")?.clone())?;
        ensure!(wish.name == "all" && wish.everything && wish.to == ["disk"], "{plan}");
        ensure!(plan.pointer("/targets/0/name") == Some(&Value::from("disk")), "{plan}");
        ensure!(read("machine.json")?.contains("\"name\""), "the machine");
        let alarms = read("alarms.json")?;
        ensure!(alarms.contains("ntfy.example") && !alarms.contains("a-secret-topic"), "{alarms}");
        node.destroy()
    })
}
