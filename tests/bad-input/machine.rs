//! A broken store, a full disk, a wrong clock.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use freehold_harness::{story, until};

use super::{still_there, with_an_object};

fn overwrite(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = std::fs::File::create(path)?;
    std::io::Write::write_all(&mut file, bytes)?;
    Ok(())
}

#[test]
fn a_corrupt_store_is_named_and_left_as_it_is() -> Result<()> {
    story("a_corrupt_store_is_named_and_left_as_it_is", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        with_an_object(&mut node, story)?;
        node.stop()?;
        for store in ["log.redb", "entries.redb"] {
            let path = node.home().join(store);
            let whole = std::fs::read(&path)?;
            let broken: Vec<u8> = whole
                .iter()
                .enumerate()
                .map(|(at, byte)| if at < 4096 { byte ^ 0x5A } else { *byte })
                .collect();
            overwrite(&path, &broken)?;
            node.launch(&["up"])?;
            let answer = node.ended()?;
            ensure!(answer.code != Some(0), "it ran on a corrupt {store}");
            answer.clone().refused(answer.code.unwrap_or(-1), &[store, "freehold"])?;
            ensure!(std::fs::read(&path)? == broken, "{store} was changed");
            overwrite(&path, &whole)?;
        }
        let ready = node.resume()?;
        still_there(&node.s3(&ready)?, story)
    })
}

#[test]
fn a_corrupt_object_is_found_and_the_others_are_served() -> Result<()> {
    story("a_corrupt_object_is_found_and_the_others_are_served", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let (_, s3) = with_an_object(&mut node, story)?;
        let before = blobs(&node.home().join("depot"))?;
        let file = story.file("damaged-one", 300_000, 6)?;
        s3.aws(&["s3", "cp", &file.to_string_lossy(), "s3://box/damaged-one"])?.good()?;
        let new = blobs(&node.home().join("depot"))?.into_iter().find(|path| !before.contains(path));
        let new = new.context("no new blob")?;
        let mut bytes = std::fs::read(&new)?;
        if let Some(byte) = bytes.get_mut(100_000) {
            *byte ^= 1;
        }
        overwrite(&new, &bytes)?;
        let back = story.folder().join("bad");
        let read = s3.aws(&["s3", "cp", "s3://box/damaged-one", &back.to_string_lossy()])?;
        ensure!(read.code != Some(0), "a corrupt object was served");
        let verify = node.cli(&["bucket", "verify", "box"])?;
        ensure!(
            format!("{}{}", verify.out, verify.err).contains("damaged-one"),
            "{}{}",
            verify.out,
            verify.err
        );
        still_there(&s3, story)
    })
}

fn blobs(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { found.extend(blobs(&path)?) } else { found.push(path) }
    }
    Ok(found)
}

#[test]
fn a_full_disk_refuses_writes_and_keeps_serving() -> Result<()> {
    story("a_full_disk_refuses_writes_and_keeps_serving", |story| {
        let host = story.host("alice")?;
        let disk = host.folder().join("disk");
        std::fs::create_dir_all(&disk)?;
        let disk_text = disk.to_string_lossy().into_owned();
        host.run("mount", &["-t", "tmpfs", "-o", "size=330m", "none", &disk_text])?.good()?;
        // The node keeps 256 MiB of a disk in reserve for its own books.
        let told = (|| {
            let mut node = host.node_at(&disk.join("home"))?;
            let (_, s3) = with_an_object(&mut node, story)?;
            let file = story.file("big", 100 << 20, 9)?;
            let put = s3.aws(&[
                "s3api",
                "put-object",
                "--bucket",
                "box",
                "--key",
                "big",
                "--body",
                &file.to_string_lossy(),
            ])?;
            ensure!(put.code != Some(0), "it took what does not fit");
            ensure!(
                put.err.to_lowercase().contains("full") || put.err.to_lowercase().contains("space"),
                "{}",
                put.err
            );
            still_there(&s3, story)?;
            // What the failed write took is given back, so that a small one fits.
            let small = story.file("small", 100_000, 10)?;
            until(20, "a small object fits again", || {
                s3.aws(&["s3", "cp", &small.to_string_lossy(), "s3://box/small"])?.good()
            })?;
            node.kill()?;
            let ready = node.resume()?;
            still_there(&node.s3(&ready)?, story)?;
            node.stop()
        })();
        host.run("umount", &["-l", &disk_text])?.good()?;
        told
    })
}

#[test]
fn a_full_disk_takes_no_part_and_no_value_and_goes_on() -> Result<()> {
    story("a_full_disk_takes_no_part_and_no_value", |story| {
        let host = story.host("alice")?;
        let disk = host.folder().join("disk");
        std::fs::create_dir_all(&disk)?;
        let disk_text = disk.to_string_lossy().into_owned();
        host.run("mount", &["-t", "tmpfs", "-o", "size=400m", "none", &disk_text])?.good()?;
        let told = (|| {
            let mut node = host.node_at(&disk.join("home"))?;
            let (_, s3) = with_an_object(&mut node, story)?;
            node.cli(&["kv", "create", "notes"])?.good()?;
            node.cli(&["kv", "put", "notes", "a", "before"])?.good()?;
            let upload = ["s3api", "create-multipart-upload", "--bucket", "box", "--key", "parts"];
            let id =
                s3.aws(&[&upload[..], &["--query", "UploadId", "--output", "text"]].concat())?.good()?.out;
            // Less is left than the node keeps in reserve; its own books have room.
            let filler = disk.join("filler");
            overwrite(&filler, &vec![7; 160 << 20])?;
            let small = story.file("small", 100_000, 10)?.to_string_lossy().into_owned();
            s3.aws(&["s3", "cp", &small, "s3://box/small"])?.failed(&["InsufficientStorage", "full"])?;
            let part = ["s3api", "upload-part", "--bucket", "box", "--key", "parts", "--part-number", "1"];
            s3.aws(&[&part[..], &["--upload-id", id.trim(), "--body", &small]].concat())?
                .failed(&["InsufficientStorage"])?;
            let put = node.cli(&["kv", "put", "notes", "b", "after"])?;
            ensure!(put.code == Some(1) && put.err.contains("space"), "{put:?}");
            // What is there is read and deleted.
            still_there(&s3, story)?;
            node.cli(&["kv", "get", "notes", "a"])?.good()?;
            s3.aws(&["s3", "cp", "s3://box/kept", "s3://box/copy"])?.failed(&["InsufficientStorage"])?;
            s3.aws(&["s3", "rm", "s3://box/kept"])?.good()?;
            let listed = s3.aws(&["s3", "ls", "s3://box/"])?;
            ensure!(!listed.out.contains("small") && !listed.out.contains("kept"), "{listed:?}");
            std::fs::remove_file(&filler)?;
            s3.aws(&["s3", "cp", &small, "s3://box/small"])?.good()?;
            until(60, "databases go on", || node.cli(&["kv", "put", "notes", "b", "after"])?.good())?;
            node.stop()
        })();
        host.run("umount", &["-l", &disk_text])?.good()?;
        told
    })
}

/// Fills a disk to its last byte.
fn fill(disk: &Path) -> Result<std::path::PathBuf> {
    let filler = disk.join("filler");
    let mut out = std::fs::File::create(&filler)?;
    for size in [1 << 20, 4096, 1] {
        while out.write_all(&vec![7; size]).is_ok() {}
    }
    Ok(filler)
}

#[test]
fn what_a_full_disk_did_not_keep_was_not_done() -> Result<()> {
    story("what_a_full_disk_did_not_keep_was_not_done", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let disk = alice.folder().join("disk");
        std::fs::create_dir_all(&disk)?;
        let disk_text = disk.to_string_lossy().into_owned();
        alice.run("mount", &["-t", "tmpfs", "-o", "size=330m", "none", &disk_text])?.good()?;
        let told = (|| {
            let (mut one, mut other) = (alice.node_at(&disk.join("home"))?, bob.node()?);
            one.up(&["--name", "smith"])?;
            other.join(&one.invite(&["--device"])?, "bob")?;
            let filler = fill(&disk)?;
            // Its files have some room inside.
            let refused = until(60, "the log does not fit any more", || {
                let answer = one.cli(&["invite"])?;
                ensure!(answer.code != Some(0), "there was room");
                Ok(answer)
            })?;
            refused.refused(1, &["no space"])?;
            // Nor is what the others say.
            let text = other.invite(&["--roles", "storage"])?;
            other.cli(&["bucket", "create", "theirs"])?.good()?;
            one.cli(&["invite"])?.refused(1, &["no space"])?;
            std::fs::remove_file(&filler)?;
            until(60, "it goes on where it was", || one.invite(&["--roles", "storage"]))?;
            until(60, "what the others said meanwhile comes", || one.bucket("theirs"))?;
            let carol = story.host("carol")?;
            let mut third = carol.node()?;
            third.join(&text, "carol")?;
            one.cli(&["bucket", "create", "ours"])?.good()?;
            until(60, "and goes to the others", || other.bucket("ours"))?;
            for node in [&one, &other] {
                ensure!(node.status()?.log.refused == 0, "something contradicts itself");
            }
            one.stop()
        })();
        alice.run("umount", &["-l", &disk_text])?.good()?;
        told
    })
}

#[test]
fn a_clock_years_off_is_told_and_harms_nothing() -> Result<()> {
    story("a_clock_years_off_is_told_and_harms_nothing", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        with_an_object(&mut node, story)?;
        node.stop()?;
        for clock in ["-3y", "+3y"] {
            node.set_clock(Some(clock));
            node.launch(&["up"])?;
            if node.ready().is_ok() {
                if clock == "-3y" {
                    let doctor = node.cli(&["doctor"])?;
                    let said = format!("{}{}{}", doctor.out, doctor.err, node.log()?).to_lowercase();
                    ensure!(said.contains("clock"), "{clock}: nobody speaks of the clock: {said}");
                }
                node.stop()?;
            } else {
                node.ended()?.refused(1, &["clock"])?;
            }
            node.set_clock(None);
        }
        let ready = node.resume()?;
        let s3 = node.s3(&ready)?;
        still_there(&s3, story)?;
        let file = story.file("after", 1_000, 11)?;
        s3.aws(&["s3", "cp", &file.to_string_lossy(), "s3://box/after"])?.good()?;
        Ok(())
    })
}
