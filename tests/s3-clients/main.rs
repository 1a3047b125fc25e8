//! Daily use with the clients that people have: rclone, the AWS CLI, boto3, s3cmd, restic.

mod members;
mod others;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use freehold_harness::story;

const MIB: usize = 1 << 20;

fn same(one: &Path, other: &Path) -> Result<()> {
    let (left, right) = (std::fs::read(one)?, std::fs::read(other)?);
    ensure!(left == right, "{} and {} differ", one.display(), other.display());
    Ok(())
}

#[test]
fn rclone_copies_a_folder_there_and_back() -> Result<()> {
    story("rclone_copies_a_folder_there_and_back", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let ready = node.up(&[])?;
        let s3 = node.s3(&ready)?;
        for (name, size) in
            [("a.txt", 11), ("empty", 0), ("deep/down/b.bin", 3 * MIB), ("Grüße & co.jpg", 70_000)]
        {
            story.file(&format!("out/{name}"), size, size as u64)?;
        }
        story.file("out/big.bin", 40 * MIB, 7)?;
        let (out, back) = (story.folder().join("out"), story.folder().join("back"));
        let (out, back) = (out.to_string_lossy(), back.to_string_lossy());
        s3.rclone(&["mkdir", "fh:photos"])?.good()?;
        let small_parts = ["--s3-upload-cutoff", "16M", "--s3-chunk-size", "8M"];
        s3.rclone(&[&["copy", &out, "fh:photos/x"], small_parts.as_slice()].concat())?.good()?;
        s3.rclone(&["check", "--download", &out, "fh:photos/x"])?.good()?;
        s3.rclone(&["copy", "fh:photos/x", &back])?.good()?;
        for name in ["a.txt", "empty", "deep/down/b.bin", "Grüße & co.jpg", "big.bin"] {
            same(&story.folder().join("out").join(name), &story.folder().join("back").join(name))?;
        }
        s3.rclone(&["moveto", "fh:photos/x/a.txt", "fh:photos/y/a.txt"])?.good()?;
        s3.rclone(&["delete", "fh:photos/x"])?.good()?;
        let left = s3.rclone(&["lsf", "-R", "--files-only", "fh:photos"])?.good()?;
        ensure!(left.out.trim() == "y/a.txt", "left: {}", left.out);
        s3.rclone(&["purge", "fh:photos"])?.good()?;
        node.stop()
    })
}

#[test]
fn the_aws_cli_does_what_people_do_daily() -> Result<()> {
    story("the_aws_cli_does_what_people_do_daily", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let ready = node.up(&[])?;
        let s3 = node.s3(&ready)?;
        let file = story.file("movie.bin", 20 * MIB, 3)?;
        let (file_text, back) = (file.to_string_lossy(), story.folder().join("back.bin"));
        s3.aws(&["s3", "mb", "s3://films"])?.good()?;
        s3.aws(&["s3", "cp", &file_text, "s3://films/2026/movie.bin"])?.good()?;
        s3.aws(&["s3", "cp", "s3://films/2026/movie.bin", "s3://films/copy.bin"])?.good()?;
        s3.aws(&["s3", "cp", "s3://films/copy.bin", &back.to_string_lossy()])?.good()?;
        same(&file, &back)?;
        let listed = s3.aws(&["s3", "ls", "s3://films/"])?.good()?;
        ensure!(listed.out.contains("PRE 2026/") && listed.out.contains("copy.bin"), "{}", listed.out);
        let signed = s3.aws(&["s3", "presign", "s3://films/copy.bin"])?.good()?;
        let get = "import sys, urllib.request as r; print(len(r.urlopen(sys.argv[1]).read()))";
        let read = host.run("python3", &["-c", get, signed.out.trim()])?.good()?;
        ensure!(read.out.trim() == (20 * MIB).to_string(), "{}", read.out);
        s3.aws(&["s3", "rm", "s3://films/", "--recursive"])?.good()?;
        s3.aws(&["s3", "rb", "s3://films"])?.good()?;
        s3.aws(&["s3api", "list-objects-v2", "--bucket", "films"])?.failed(&["NoSuchBucket"])?;
        node.stop()
    })
}

#[test]
fn boto3_finds_every_daily_operation() -> Result<()> {
    story("boto3_finds_every_daily_operation", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let ready = node.up(&[])?;
        let done = node.s3(&ready)?.boto3(include_str!("daily.py"), &[])?.good()?;
        let last = done.out.lines().last().context("it says nothing")?;
        ensure!(last == "all as expected", "{}", done.out);
        node.stop()
    })
}

#[test]
fn a_large_object_passes_in_little_memory() -> Result<()> {
    story("a_large_object_passes_in_little_memory", |story| {
        let host = story.host("alice")?;
        let mut node = host.node()?;
        let ready = node.up(&[])?;
        let s3 = node.s3(&ready)?;
        let (file, back) = (story.folder().join("large"), story.folder().join("back"));
        std::fs::File::create(&file)?.set_len(1 << 30)?;
        s3.aws(&["s3", "mb", "s3://box"])?.good()?;
        // The program itself, not optimised, is more than the half of it.
        let before = node.peak_memory()?;
        let put =
            ["s3api", "put-object", "--bucket", "box", "--key", "large", "--body", &file.to_string_lossy()];
        s3.aws(&put)?.good()?;
        s3.aws(&["s3", "cp", "s3://box/large", &back.to_string_lossy()])?.good()?;
        ensure!(std::fs::metadata(&back)?.len() == 1 << 30, "it came back shorter");
        let more = node.peak_memory()?.saturating_sub(before);
        ensure!(more < 100 << 20, "the node took {} MiB more", more >> 20);
        node.stop()
    })
}
