//! What a very large object costs in memory: the daemon's highest resident size.

use std::path::Path;

use anyhow::Result;
use freehold_harness::Story;

/// The largest object that one PUT may carry.
const GIB: u64 = 5;

/// One stream, then parts in parallel, each on a node of its own.
pub(crate) fn memory(story: &Story) -> Result<()> {
    let source = story.folder().join("large");
    // Without blocks on the disk: what is written is measured, not what is read.
    std::fs::File::create(&source)?.set_len(GIB << 30)?;
    one_stream(story, &source)?;
    in_parts(story, &source)
}

fn one_stream(story: &Story, source: &Path) -> Result<()> {
    let host = story.host("one-stream")?;
    let mut node = host.node()?;
    let ready = node.up(&[])?;
    let sign = "import boto3, sys\nfrom botocore.config import Config\n\
        s3 = boto3.client('s3', config=Config(signature_version='s3v4', s3={'addressing_style': 'path'}))\n\
        print(s3.generate_presigned_url(sys.argv[1], Params={'Bucket': 'files', 'Key': 'large'}))";
    let s3 = node.s3(&ready)?;
    let put = s3.boto3(sign, &["put_object"])?.good()?;
    host.run("curl", &["-sSf", "-T", &source.to_string_lossy(), put.out.trim()])?.good()?;
    say(&format!("PUT of {GIB} GiB in one stream"), node.peak_memory()?);
    let get = s3.boto3(sign, &["get_object"])?.good()?;
    host.run("curl", &["-sSf", "-o", "/dev/null", get.out.trim()])?.good()?;
    say(&format!("then GET of {GIB} GiB"), node.peak_memory()?);
    node.destroy()
}

fn in_parts(story: &Story, source: &Path) -> Result<()> {
    let host = story.host("in-parts")?;
    let mut node = host.node()?;
    let ready = node.up(&[])?;
    let source = source.to_string_lossy();
    node.s3(&ready)?.aws(&["s3", "cp", "--only-show-errors", &source, "s3://files/large"])?.good()?;
    say(&format!("PUT of {GIB} GiB by the AWS CLI, ten parts at once"), node.peak_memory()?);
    node.destroy()
}

fn say(what: &str, bytes: u64) {
    println!("| {what}, highest resident | {} MiB |", bytes >> 20);
}
