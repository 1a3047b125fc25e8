//! Other people's servers, on the same machine and disk: each in one process, as it comes. They keep
//! what they get as it is, but for rclone, which seals it.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use freehold_harness::{Host, S3, python, until};

const GARAGE_SECRET: &str = "6c07ba5ba0ab5ea0a8ce9b2a1d3a2ee85a0d2a0d0bd6fa7e3b8fd3a4cd1c0f11";

/// A server that is measured.
pub(crate) struct Peer<'a> {
    pub(crate) name: &'static str,
    pub(crate) s3: S3<'a>,
    pub(crate) pid: u32,
    /// Whether it keeps what it gets as it is.
    pub(crate) plain: bool,
    child: Option<Child>,
}

impl Drop for Peer<'_> {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl<'a> Peer<'a> {
    /// Our own node.
    pub(crate) const fn ours(s3: S3<'a>, pid: u32) -> Self {
        Self { name: "Freehold", s3, pid, plain: false, child: None }
    }

    fn of(name: &'static str, s3: S3<'a>, child: Child) -> Self {
        Self { name, s3, pid: child.id(), plain: name != "rclone crypt", child: Some(child) }
    }

    pub(crate) fn seaweedfs(host: &'a Host, like: &S3<'a>) -> Result<Self> {
        let folder = host.folder().join("seaweedfs");
        std::fs::create_dir_all(&folder)?;
        let dir = format!("-dir={}", folder.display());
        let arguments =
            ["server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-volume.max=50", dir.as_str()];
        let child = start(host, &python("weed")?, &arguments, "seaweedfs", &[])?;
        let peer = Self::of("SeaweedFS", like.at("http://127.0.0.1:8333"), child);
        until(60, "SeaweedFS answers", || peer.s3.aws(&["s3", "mb", "s3://bench"])?.good())?;
        Ok(peer)
    }

    /// rclone's S3 over its own sealing. It asks for no key.
    pub(crate) fn rclone(host: &'a Host, like: &S3<'a>) -> Result<Self> {
        let folder = host.folder().join("rclone");
        std::fs::create_dir_all(&folder)?;
        let rclone = python("rclone")?;
        let hidden = host.run(&rclone, &["obscure", "a password of the benchmark"])?.good()?;
        let folder = folder.to_string_lossy().into_owned();
        let settings = [
            ("RCLONE_CONFIG", "/dev/null"),
            ("RCLONE_CONFIG_SEALED_TYPE", "crypt"),
            ("RCLONE_CONFIG_SEALED_REMOTE", folder.as_str()),
            ("RCLONE_CONFIG_SEALED_PASSWORD", hidden.out.trim()),
        ];
        let arguments = ["serve", "s3", "sealed:", "--addr", "127.0.0.1:8334"];
        let child = start(host, &rclone, &arguments, "rclone", &settings)?;
        let peer = Self::of("rclone crypt", like.at("http://127.0.0.1:8334"), child);
        until(60, "rclone answers", || peer.s3.aws(&["s3", "mb", "s3://bench"])?.good())?;
        Ok(peer)
    }

    /// One node of Garage, if it is here: `FREEHOLD_TEST_GARAGE`, or in the path.
    pub(crate) fn garage(host: &'a Host, like: &S3<'a>) -> Result<Option<Self>> {
        let given = std::env::var_os("FREEHOLD_TEST_GARAGE").map(PathBuf::from);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut known = std::env::split_paths(&path).map(|at| at.join("garage"));
        let Some(program) = given.or_else(|| known.find(|program| program.exists())) else {
            return Ok(None);
        };
        let folder = host.folder().join("garage");
        std::fs::create_dir_all(&folder)?;
        let at = folder.display();
        let text = format!(
            "metadata_dir = \"{at}/meta\"\ndata_dir = \"{at}/data\"\ndb_engine = \"lmdb\"\n\
             replication_factor = 1\nmetadata_fsync = true\ndata_fsync = true\n\
             rpc_bind_addr = \"127.0.0.1:8336\"\nrpc_public_addr = \"127.0.0.1:8336\"\n\
             rpc_secret = \"{GARAGE_SECRET}\"\n[s3_api]\ns3_region = \"freehold\"\n\
             api_bind_addr = \"127.0.0.1:8335\"\nroot_domain = \".s3.localhost\"\n"
        );
        let config = folder.join("garage.toml");
        std::io::Write::write_all(&mut std::fs::File::create(&config)?, text.as_bytes())?;
        let config = config.to_string_lossy().into_owned();
        let says = |arguments: &[&str]| {
            Ok(host.run(&program, &[&["-c", config.as_str()], arguments].concat())?.good()?.out)
        };
        let child = start(host, &program, &["-c", &config, "server"], "garage", &[])?;
        let id = until(30, "Garage has its id", || says(&["node", "id", "-q"]))?;
        let id = id.trim().split('@').next().unwrap_or_default().to_owned();
        until(30, "Garage takes its role", || says(&["layout", "assign", "-z", "z", "-c", "50G", &id]))?;
        says(&["layout", "apply", "--version", "1"])?;
        let made = until(60, "Garage makes a key", || says(&["key", "create", "bench"]))?;
        let find = |what: &str| -> Result<String> {
            let line = made.lines().find(|line| line.trim_start().starts_with(what));
            let value = line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned());
            value.with_context(|| format!("Garage says no {what}: {made}"))
        };
        says(&["key", "allow", "--create-bucket", "bench"])?;
        let s3 = like.at("http://127.0.0.1:8335").with(&find("Key ID")?, &find("Secret key")?);
        let peer = Self::of("Garage", s3, child);
        until(60, "Garage answers", || peer.s3.aws(&["s3", "mb", "s3://bench"])?.good())?;
        Ok(Some(peer))
    }
}

fn start(
    host: &Host,
    program: &Path,
    arguments: &[&str],
    name: &str,
    settings: &[(&str, &str)],
) -> Result<Child> {
    let mut command = host.command(program);
    command.args(arguments).envs(settings.iter().copied());
    let log = std::fs::File::create(host.folder().join(format!("{name}.log")))?;
    let mut child = command.stdout(Stdio::null()).stderr(log).spawn()?;
    ensure!(child.try_wait()?.is_none(), "{name} ended at once");
    Ok(child)
}
