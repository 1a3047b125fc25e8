//! What the realm itself keeps is backed up as well: buckets and databases, and they come back by programs that everybody has.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use freehold_harness::{Host, Node, S3, story};
use serde_json::{Value, json};

use super::person::{restic, same, standing, target, text};

/// Keys as they come, some of which are no names of files.
const KEYS: [&str; 8] = ["2024/sea.jpg", "2024", "100%", "a//b", "a/", "b/../c", "letters/ü ö", "2024!"];

/// What moves from one account to the other is never in both, nor in none.
const WHOLE: u64 = 1_000;

fn put_all(s3: &S3<'_>, folder: &Path) -> Result<()> {
    for (number, key) in KEYS.iter().enumerate() {
        let file = folder.join(format!("object-{number}"));
        super::write(&file, format!("this is {key}").as_bytes())?;
        let said = ["--content-type", "text/plain", "--metadata", "by=ann"];
        let put = ["s3api", "put-object", "--bucket", "photos", "--key", key, "--body", &text(&file)];
        s3.aws(&[&put[..], &said].concat())?.good()?;
    }
    Ok(())
}

/// Sets both accounts in one write.
fn moved(node: &Node<'_>, file: &Path, one: u64) -> Result<()> {
    let put = |key: &str, value: u64| json!({"op": "put", "key": key, "value": value.to_string()});
    let write = json!({"operations": [put("account/1", one), put("account/9", WHOLE - one)]});
    super::write(file, write.to_string().as_bytes())?;
    node.cli(&["kv", "write", "shop", &text(file)])?.good().map(drop)
}

fn furnish(node: &Node<'_>, folder: &Path) -> Result<()> {
    node.cli(&["kv", "create", "shop", "--copies", "1"])?.good()?;
    for number in 0..40 {
        let lamp = json!({"name": format!("Lamp {number}"), "price": number}).to_string();
        node.cli(&["kv", "doc", "put", "shop", "lamps", &format!("lamp-{number}"), &lamp])?.good()?;
    }
    node.cli(&["kv", "index", "add", "shop", "lamps", "by-price", "price", "--wait"])?.good()?;
    node.cli(&["kv", "put", "shop", "note", "here for an hour", "--lasting", "3600"])?.good()?;
    moved(node, &folder.join("write"), 0)
}

/// The lines of a database that came back.
fn lines(file: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(file)?;
    text.lines().map(|line| serde_json::from_str(line).context("a line")).collect()
}

fn account(lines: &[Value], name: &str) -> Result<u64> {
    let found = lines.iter().find(|line| line.get("key") == Some(&json!(name)));
    let value = found.and_then(|line| line.get("value")?.as_str()).context("the account is there")?;
    Ok(value.parse()?)
}

/// Backs up while both accounts change, and answers what was in them at that moment.
fn at_one_moment(node: &Node<'_>, host: &Host, round: u64) -> Result<(u64, u64)> {
    let over = AtomicBool::new(false);
    let ended = std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            let mut one = round;
            while !over.load(Ordering::Relaxed) {
                one = (one + 7) % WHOLE;
                moved(node, &host.folder().join("write"), one)?;
            }
            Ok::<_, anyhow::Error>(())
        });
        let made = node.cli(&["backup", "now", "things"]).and_then(freehold_harness::Answer::good);
        over.store(true, Ordering::Relaxed);
        made.and(busy.join().map_err(|_| anyhow::anyhow!("whoever writes failed"))?)
    });
    ended?;
    let to = host.folder().join(format!("moment-{round}"));
    node.cli(&["backup", "restore", "/databases", "--snapshot", "things", "--to", &text(&to)])?.good()?;
    let all = lines(&to.join("shop.jsonl"))?;
    Ok((account(&all, "account/1")?, account(&all, "account/9")?))
}

#[test]
fn buckets_and_databases_are_backed_up_and_come_back() -> Result<()> {
    story("buckets_and_databases_are_backed_up", |story| {
        let host = story.host("laptop")?;
        let mut node = host.node()?;
        let ready = node.up(&["--name", "smith"])?;
        let s3 = node.s3(&ready)?;
        let (disk, folder) = (host.folder().join("disk"), host.folder());
        node.cli(&["bucket", "create", "photos", "--copies", "1"])?.good()?;
        put_all(&s3, folder)?;
        let film = text(&story.file("film", 20_000_000, 7)?);
        s3.aws(&["s3", "cp", &film, "s3://photos/films/film"])?.good()?;
        furnish(&node, folder)?;
        target(&node, "disk", &disk)?;

        // Nothing that cannot be meant, and nothing of the node's own.
        let add = |more: &[&str]| node.cli(&[&["backup", "add", "things", "--to", "disk"], more].concat());
        add(&["--bucket", "nowhere"])?.refused(1, &["there is no bucket", "bucket create"])?;
        add(&["--bucket", "backup/passwords"])?.refused(1, &["there is no bucket"])?;
        add(&["--database", "nowhere"])?.refused(1, &["there is no database"])?;
        add(&["--bucket", "photos", "/etc"])?.refused(2, &["--bucket"])?;
        add(&["--bucket", "photos", "--database", "shop"])?.good()?;
        node.cli(&["backup", "now", "things"])?.good()?;
        let first = standing(&node, "things", "disk")?.last.context("it was made")?;
        ensure!((first.files, first.unread) == (KEYS.len() as u64 + 2, 0), "{first:?}");

        // What is as it was is not read again: only the database is.
        node.cli(&["backup", "now", "things"])?.good()?;
        let second = standing(&node, "things", "disk")?.last.context("it was made")?;
        ensure!(second.files == first.files && second.added < 100_000, "{second:?}");
        for round in 1..4 {
            let (one, other) = at_one_moment(&node, &host, round * 100)?;
            ensure!(one + other == WHOLE, "{one} and {other} are of different moments");
        }

        // By restic, and back by rclone with what was said of each.
        let by_restic = folder.join("by-restic");
        restic(&host, &node, "disk", &disk, &["restore", "latest", "--target", &text(&by_restic)])?;
        ensure!(fs::read_to_string(by_restic.join("buckets/photos/2024%f"))? == "this is 2024");
        let back = folder.join("back");
        node.cli(&["backup", "restore", "--snapshot", "things", "--to", &text(&back)])?.good()?;
        same(&by_restic.join("buckets"), &back.join("buckets"))?;
        s3.aws(&["s3", "rm", "--recursive", "s3://photos"])?.good()?;
        s3.rclone(&["copy", "--metadata", &text(&back.join("buckets/photos")), "fh:photos"])?.good()?;
        let head = ["s3api", "head-object", "--bucket", "photos", "--key", "2024/sea.jpg"];
        let head: Value = serde_json::from_str(&s3.aws(&head)?.good()?.out)?;
        ensure!(head.pointer("/Metadata/by") == Some(&json!("ann")), "{head}");
        ensure!(head.pointer("/ContentType") == Some(&json!("text/plain")), "{head}");

        node.cli(&["--yes", "kv", "drop", "shop"])?.good()?;
        let file = text(&back.join("databases/shop.jsonl"));
        node.cli(&["kv", "import", "shop", &film])?.refused(2, &["no database's backup", "/databases"])?;
        node.cli(&["kv", "import", "shop", &file])?.good()?;
        let cheap = ["kv", "query", "shop", "lamps", "where price < 3 order by price select name"];
        let cheap = node.cli(&cheap)?.good()?.out;
        ensure!(cheap.contains("Lamp 2") && !cheap.contains("Lamp 3"), "{cheap}");
        let again = node.cli(&["kv", "scan", "shop", ""])?.good()?.out;
        ensure!(again.contains("account/1") && again.contains("note"), "{again}");

        // A bucket that is gone is no empty one.
        s3.aws(&["s3", "rm", "--recursive", "s3://photos"])?.good()?;
        node.cli(&["--yes", "bucket", "delete", "photos"])?.good()?;
        node.cli(&["backup", "now", "things"])?.failed(&["there is no bucket photos any more"])?;
        Ok(())
    })
}
