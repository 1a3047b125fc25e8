//! The only machine of a realm burns. What is left is a disk or a bucket with a backup, and the guardians' phrases.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use freehold_api::Backups;
use freehold_harness::{Host, Node, SeaweedFs, Story, story, until};

use super::person::{PATIENCE, furnished, same, target, text};

/// A file with some of the phrases, from which on.
fn phrases(story: &Story, all: &str, from: usize, to: &str) -> Result<String> {
    let some: Vec<&str> = all.lines().skip(from).collect();
    let file = story.folder().join(to);
    super::write(&file, some.join("\n").as_bytes())?;
    Ok(text(&file))
}

/// Brings all of it back on a machine that has nothing but the program.
fn comes_back(host: &Host, from: &[&str], two: &str, home: &Path) -> Result<()> {
    let mut node: Node<'_> = host.node()?;
    node.start(&[&["recover", "--guardians-file", two], from].concat())?;
    let status = node.status()?;
    ensure!(status.realm.name == "smith", "{:?}", status.realm);
    let all: Backups = node.ask(&["backup", "list"])?;
    let name = all.targets.first().context("what it came from is a target")?.name.clone();
    let to = host.folder().join("back");
    let restore = ["backup", "restore", "--from", &name, "--to", &text(&to)];
    until(PATIENCE, "it is restored", || node.cli(&restore)?.good())?;
    same(home, &to.join(home.strip_prefix("/")?))?;
    let secrets = fs::read_dir(node.home().join("backup"))?;
    let open = secrets.filter(|entry| {
        let mode = entry.as_ref().ok().and_then(|entry| entry.metadata().ok());
        mode.is_none_or(|meta| std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o077 != 0)
    });
    ensure!(open.count() == 0, "others read what came back");
    node.stop()
}

#[test]
fn phrases_and_a_backup_bring_back_a_realm_whose_only_machine_burned() -> Result<()> {
    story("phrases_and_a_backup_are_enough", |story| {
        let (laptop, far) = (story.host("laptop")?, story.host("vendor")?);
        let home = furnished(story)?;
        let mut node = laptop.node()?;
        node.up(&["--name", "smith"])?;
        let vendor = SeaweedFs::start(&far, &["attic"])?;
        let (endpoint, key, disk) =
            (vendor.endpoint(), text(&vendor.credentials()), story.folder().join("disk"));
        let bucket = ["--s3", &*endpoint, "--bucket", "attic", "--prefix", "ann", "--credentials", &key];
        target(&node, "disk", &disk)?;
        node.cli(&[&["backup", "target", "add", "offsite"], &bucket[..]].concat())?.good()?;
        node.cli(&["backup", "add", "home", &text(&home), "--to", "disk,offsite", "--exclude", "*.iso"])?
            .good()?;
        node.cli(&["backup", "now", "home"])?.good()?;
        let letters = disk.join("letters");
        // The passwords of both targets are in the last one.
        let many = |dir: &Path| Ok::<_, std::io::Error>(fs::read_dir(dir)?.count());
        ensure!(many(&letters)? >= 2, "{}", many(&letters)?);
        node.cli(&["backup", "now", "home"])?.good()?;
        let now = many(&letters)?;
        node.cli(&["backup", "now", "home"])?.good()?;
        ensure!(many(&letters)? == now, "nothing is new, and another one lies there");
        let all = fs::read_to_string(node.guardians())?;
        node.destroy()?;

        // The disk is another one's by now, and somebody has been at it.
        let stick = story.folder().join("stick");
        fs::rename(&disk, &stick)?;
        super::write(&stick.join("letters").join("00".repeat(32)), b"no letter at all")?;
        let (one, two) = (phrases(story, &all, 2, "one")?, phrases(story, &all, 1, "two")?);
        let (bob, carol) = (story.host("bob")?, story.host("carol")?);
        let try_it = |from: &[&str], papers: &str| {
            let fresh = bob.node()?;
            fresh.cli(&[&["recover", "--guardians-file", papers], from].concat())
        };
        try_it(&["--backup", &text(&stick)], &one)?
            .refused(1, &["no letter", "opened with these phrases"])?;
        try_it(&["--backup", &text(&home)], &two)?
            .refused(1, &["there is no backup", "backup target add"])?;
        comes_back(&carol, &["--backup", &text(&stick)], &two, &home)?;
        comes_back(&bob, &bucket, &two, &home)
    })
}
