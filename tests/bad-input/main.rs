//! What goes wrong in houses: each is told plainly with the remedy, and loses nothing.

mod buckets;
mod doors;
mod machine;
mod network;
mod realm;
mod words;

use anyhow::{Result, ensure};
use freehold_harness::{Node, Ready, S3, Story};

/// A node with one object, to see afterwards that nothing was lost.
fn with_an_object<'a>(node: &mut Node<'a>, story: &Story) -> Result<(Ready, S3<'a>)> {
    let ready = node.up(&["--name", "smith"])?;
    let s3 = node.s3(&ready)?;
    let file = story.file("kept", 500_000, 5)?;
    s3.aws(&["s3", "mb", "s3://box"])?.good()?;
    s3.aws(&["s3", "cp", &file.to_string_lossy(), "s3://box/kept"])?.good()?;
    Ok((ready, s3))
}

/// The object is still there.
fn still_there(s3: &S3<'_>, story: &Story) -> Result<()> {
    let back = story.folder().join("back");
    s3.aws(&["s3", "cp", "s3://box/kept", &back.to_string_lossy()])?.good()?;
    ensure!(std::fs::read(&back)? == std::fs::read(story.folder().join("kept"))?, "the object changed");
    Ok(())
}
