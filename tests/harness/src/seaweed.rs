//! A foreign S3: SeaweedFS, run by somebody else on a machine of theirs.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result, ensure};

use crate::binary::python;
use crate::host::Host;
use crate::s3::S3;
use crate::wait::until;

/// Each has ports of its own: it makes sockets in /tmp that are named by them, where namespaces do not
/// keep two apart.
static STARTED: AtomicU16 = AtomicU16::new(0);
/// How long it may take to begin, on a machine busy with other tests.
const START_SECONDS: u64 = 60;

/// A vendor's store, which lets one access key in.
#[derive(Debug)]
pub struct SeaweedFs<'a> {
    host: &'a Host,
    process: Option<Child>,
    port: u16,
}

impl<'a> SeaweedFs<'a> {
    /// Starts it, and makes buckets.
    pub fn start(host: &'a Host, buckets: &[&str]) -> Result<Self> {
        let number = STARTED.fetch_add(1, Ordering::Relaxed) % 8;
        let of_process = u16::try_from(std::process::id() % 500)?;
        let port = 20_000 + of_process * 40 + number * 5;
        let mut vendor = Self { host, process: None, port };
        std::fs::create_dir_all(vendor.disk())?;
        write(
            &vendor.credentials(),
            "aws_access_key_id = VENDORKEY\naws_secret_access_key = vendorsecret\n",
        )?;
        write(&vendor.owner(), "aws_access_key_id = OWNERKEY\naws_secret_access_key = ownersecret\n")?;
        // Who is an admin there makes a bucket by writing to it.
        let identity = |name: &str, key: &str, secret: &str, more: &str| {
            format!(
                r#"{{"name": "{name}", "credentials": [{{"accessKey": "{key}", "secretKey": "{secret}"}}],
                "actions": [{more}"Read", "Write", "List"]}}"#
            )
        };
        let identities = [
            identity("customer", "VENDORKEY", "vendorsecret", ""),
            identity("owner", "OWNERKEY", "ownersecret", r#""Admin", "#),
        ];
        write(
            &host.folder().join("identities.json"),
            &format!(r#"{{"identities": [{}]}}"#, identities.join(", ")),
        )?;
        vendor.resume()?;
        for bucket in buckets {
            vendor.make_bucket(bucket)?;
        }
        Ok(vendor)
    }

    /// Makes a bucket.
    pub fn make_bucket(&self, bucket: &str) -> Result<()> {
        let bucket = format!("s3://{bucket}");
        until(START_SECONDS, "SeaweedFS makes a bucket", || {
            let answer = self.s3()?.aws(&["s3", "mb", &bucket])?;
            // It may have done it and not said so in time.
            if answer.err.contains("BucketAlreadyOwnedByYou") { Ok(()) } else { answer.good().map(drop) }
        })
    }

    /// Starts it again, with what it had.
    pub fn resume(&mut self) -> Result<()> {
        let (ip, disk) = (self.host.address(), self.disk());
        let mut command = self.host.command(python("weed")?);
        command.args(["server", "-s3", "-ip.bind=0.0.0.0", "-volume.max=20", "-master.volumeSizeLimitMB=64"]);
        for (at, name) in (self.port..).zip(["s3", "master", "volume", "filer"]) {
            command.arg(format!("-{name}.port={at}"));
        }
        command.arg(format!("-s3.port.grpc={}", self.port + 10_004));
        command.arg(format!("-ip={ip}")).arg(format!("-dir={}", disk.display()));
        command.arg(format!("-s3.config={}", self.host.folder().join("identities.json").display()));
        let log = std::fs::File::create(self.host.folder().join("seaweedfs.log"))?;
        let mut process = command.stdout(Stdio::null()).stderr(log).spawn()?;
        ensure!(process.try_wait()?.is_none(), "SeaweedFS ended at once");
        self.process = Some(process);
        // It answers before it has room for anything.
        let trial = self.disk().join("trial");
        write(&trial, "trial")?;
        until(START_SECONDS, "SeaweedFS keeps what it is given", || {
            self.s3()?.aws(&["s3", "cp", &trial.to_string_lossy(), "s3://trial/trial"])?.good()
        })?;
        Ok(())
    }

    /// Ends it without warning.
    pub fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("SeaweedFS does not run")?;
        process.kill()?;
        process.wait()?;
        Ok(())
    }

    /// Its address.
    pub fn endpoint(&self) -> String {
        format!("http://{}:{}", self.host.address(), self.port)
    }

    /// The file with its owner's key.
    fn owner(&self) -> PathBuf {
        self.host.folder().join("owner-key")
    }

    /// The file with the key of a customer, who makes no buckets.
    pub fn credentials(&self) -> PathBuf {
        self.host.folder().join("vendor-key")
    }

    /// Its own disk, as its owner sees it.
    pub fn disk(&self) -> PathBuf {
        self.host.folder().join("seaweedfs")
    }

    /// S3 clients of its owner.
    pub fn s3(&self) -> Result<S3<'a>> {
        S3::new(self.host, &self.endpoint(), &self.owner(), None)
    }
}

fn write(path: &std::path::Path, text: &str) -> Result<()> {
    std::io::Write::write_all(&mut std::fs::File::create(path)?, text.as_bytes())?;
    Ok(())
}

impl Drop for SeaweedFs<'_> {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.kill());
            drop(process.wait());
        }
    }
}
