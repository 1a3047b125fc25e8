//! What lies in no backup is told to whoever makes backups, until it lies in one or they say that it is meant so.

use anyhow::{Context, Result, ensure};
use freehold_api::{BackupThing, BackupUnprotected};
use freehold_harness::{Node, story, until};

use super::person::{PATIENCE, target, text};

const WHAT: &str = "not everything is in a backup";

fn named(node: &Node<'_>, name: &str) -> Result<BackupThing> {
    let all: BackupUnprotected = node.ask(&["backup", "unprotected"])?;
    let found = all.things.iter().find(|thing| thing.name == name).cloned();
    found.with_context(|| format!("{name} is not among {all:?}"))
}

/// Waits until no alarm is about this.
fn calm(node: &Node<'_>, word: &str) -> Result<()> {
    until(PATIENCE, &format!("no alarm is about {word}"), || {
        let alarms = node.status()?.alarms;
        let is_it = |why: &str| why.contains(word);
        ensure!(!alarms.iter().any(|alarm| alarm.what == WHAT && is_it(&alarm.why)), "{alarms:?}");
        Ok(())
    })
}

fn counted(node: &Node<'_>, kind: &str) -> Result<u64> {
    let metrics = node.cli(&["metrics"])?.good()?.out;
    let line = format!("freehold_backup_unprotected{{kind=\"{kind}\"}} ");
    let count = metrics.lines().find_map(|at| at.strip_prefix(&line)).context(metrics.clone())?;
    Ok(count.parse()?)
}

#[test]
fn what_is_in_no_backup_is_an_alarm_until_it_is_meant_so() -> Result<()> {
    story("what_is_in_no_backup_is_an_alarm_until_it_is_meant_so", |story| {
        let host = story.host("laptop")?;
        for file in ["papers/letter", "music/bach/air", "cache/page", ".config/rules", "letters/old/one"] {
            let path = host.folder().join(file);
            std::fs::create_dir_all(path.parent().context("a directory")?)?;
            super::write(&path, file.as_bytes())?;
        }
        let tag = host.folder().join("cache/CACHEDIR.TAG");
        super::write(&tag, b"Signature: 8a477f597d28d172789f06886806bc55\n")?;
        let at = |name: &str| text(&host.folder().join(name));
        let mut node = host.node()?;
        node.up(&["--name", "smith"])?;
        // Who makes no backups may ask, and hears no alarm.
        let all: BackupUnprotected = node.ask(&["backup", "unprotected"])?;
        ensure!(!all.watched && all.things.iter().any(|thing| thing.name == at("music")), "{all:?}");
        ensure!(!node.status()?.alarms.iter().any(|alarm| alarm.what == WHAT), "nobody asked for backups");

        target(&node, "disk", &host.folder().join("disk"))?;
        node.cli(&["backup", "add", "papers", &at("papers"), "--to", "disk"])?.good()?;
        node.alarmed(&[WHAT, &at("music"), "freehold backup unprotected"])?;
        let all: BackupUnprotected = node.ask(&["backup", "unprotected"])?;
        for no in ["papers", "cache", ".config", "disk", "node"] {
            ensure!(all.things.iter().all(|thing| thing.name != at(no)), "{no}: {all:?}");
        }
        ensure!(all.watched && all.protected >= 1, "{all:?}");

        // A part is told as what it is.
        node.cli(&["backup", "add", "bach", &at("music/bach"), "--to", "disk"])?.good()?;
        ensure!(named(&node, &at("music"))?.but_for == [at("music/bach")], "{all:?}");
        let (before, wrong) = (counted(&node, "directory")?, at("musik"));
        node.cli(&["backup", "unprotected", "--accept", &wrong])?.refused(1, &["musik", "unprotected"])?;
        node.cli(&["backup", "unprotected", &at("music")])?.refused(2, &["--accept"])?;
        node.cli(&["backup", "unprotected", "--accept", &at("music")])?.good()?;
        calm(&node, &at("music"))?;
        ensure!(
            named(&node, &at("music"))?.accepted && counted(&node, "directory")? == before - 1,
            "meant so"
        );
        node.kill()?;
        node.resume()?;
        ensure!(named(&node, &at("music"))?.accepted, "it was forgotten");
        node.cli(&["backup", "unprotected", "--alarm-again", &at("music")])?.good()?;
        node.alarmed(&[WHAT, &at("music")])?;

        // A bucket and a database of a realm that has no other machine.
        node.cli(&["kv", "create", "shop", "--copies", "1"])?.good()?;
        ensure!(!named(&node, "shop")?.accepted && counted(&node, "database")? == 1, "a database");
        node.cli(&["backup", "add", "shop", "--database", "shop", "--to", "disk"])?.good()?;
        ensure!(named(&node, "shop").is_err(), "it is in one now");
        node.cli(&["backup", "add", "all", &text(host.folder()), "--to", "disk"])?.good()?;
        calm(&node, &at("letters"))?;
        node.destroy()
    })
}
