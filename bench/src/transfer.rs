//! One client's PUT and GET: sealed by Freehold, plain by SeaweedFS, same disk, same client.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use freehold_harness::{Host, S3, Story, python, until};

/// How many objects of a size are moved; the median counts.
const ROUNDS: usize = 9;
const MIB: usize = 1 << 20;

/// Writes a presigned URL for each call, so that the client is curl and costs little.
const SIGN: &str = "import boto3, sys\nfrom botocore.config import Config\n\
    s3 = boto3.client('s3', config=Config(signature_version='s3v4', s3={'addressing_style': 'path'}))\n\
    for i in range(int(sys.argv[2])):\n    for call in ('put_object', 'get_object'):\n        \
    print(s3.generate_presigned_url(call, Params={'Bucket': 'bench', 'Key': f'{sys.argv[1]}/{i}'}))";

pub(crate) fn compared(story: &Story) -> Result<()> {
    let host = story.host("transfer")?;
    let mut node = host.node()?;
    let ready = node.up(&[])?;
    let ours = node.s3(&ready)?;
    node.cli(&["bucket", "create", "bench", "--copies", "1"])?.good()?;
    let other = SeaweedFs::start(&host)?;
    let theirs = ours.at("http://127.0.0.1:8333");
    until(60, "SeaweedFS answers", || theirs.aws(&["s3", "mb", "s3://bench"])?.good())?;
    for (name, size) in [("64 MiB", 64 * MIB), ("1 MiB", MIB)] {
        let file = story.file(&format!("source-{size}"), size, 1)?;
        let (our_put, our_get) = rates(&host, &ours, &file, size)?;
        let (their_put, their_get) = rates(&host, &theirs, &file, size)?;
        row(&format!("PUT {name}"), our_put, their_put);
        row(&format!("GET {name}"), our_get, their_get);
    }
    drop(other);
    node.stop()
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate"
)]
fn row(what: &str, ours: f64, theirs: f64) {
    let rate = |bytes: f64| (bytes / MIB as f64) as u64;
    println!(
        "| {what}, one client | sealed {} MiB/s; SeaweedFS, plain, {} MiB/s; ratio {:.2} |",
        rate(ours),
        rate(theirs),
        ours / theirs
    );
}

/// Median bytes a second, there and back.
#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn rates(host: &Host, s3: &S3<'_>, file: &Path, size: usize) -> Result<(f64, f64)> {
    let signed = s3.boto3(SIGN, &[&size.to_string(), &ROUNDS.to_string()])?.good()?;
    let urls: Vec<&str> = signed.out.lines().collect();
    let (mut puts, mut gets) = (Vec::new(), Vec::new());
    for pair in urls.chunks(2) {
        let [put, get] = pair else { continue };
        puts.push(seconds(host, &["-T", &file.to_string_lossy(), put])?);
        gets.push(seconds(host, &[get])?);
    }
    Ok((size as f64 / median(puts)?, size as f64 / median(gets)?))
}

fn seconds(host: &Host, arguments: &[&str]) -> Result<f64> {
    let told = ["-sS", "-f", "-o", "/dev/null", "-H", "Expect:", "-w", "%{time_total}"];
    let answer = host.run("curl", &[&told, arguments].concat())?.good()?;
    answer.out.trim().parse().with_context(|| format!("curl said {}", answer.out))
}

fn median(mut values: Vec<f64>) -> Result<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().context("nothing was measured")
}

/// The other server, in one process with its own defaults.
struct SeaweedFs(Child);

impl SeaweedFs {
    fn start(host: &Host) -> Result<Self> {
        let folder: PathBuf = host.folder().join("seaweedfs");
        std::fs::create_dir_all(&folder)?;
        let mut command = host.command(python("weed")?);
        command.args(["server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-volume.max=50"]);
        command.arg(format!("-dir={}", folder.display()));
        let log = std::fs::File::create(host.folder().join("seaweedfs.log"))?;
        let mut child = command.stdout(Stdio::null()).stderr(log).spawn()?;
        ensure!(child.try_wait()?.is_none(), "SeaweedFS ended at once");
        Ok(Self(child))
    }
}

impl Drop for SeaweedFs {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
