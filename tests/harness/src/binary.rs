//! Where the programs are that a story runs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The `freehold` binary: the one that the environment names, or a fresh build, made once.
pub fn binary() -> Result<PathBuf> {
    static BUILT: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| locate().map_err(|error| format!("{error:#}")));
    built.clone().map_err(anyhow::Error::msg)
}

fn locate() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("FREEHOLD_TEST_BINARY") {
        // Cargo runs a test in its crate's folder; whoever types a path means the project's.
        return std::fs::canonicalize(root().join(&path))
            .with_context(|| format!("FREEHOLD_TEST_BINARY={}", path.display()));
    }
    let status =
        Command::new("cargo").args(["build", "--quiet", "-p", "freehold"]).current_dir(root()).status()?;
    if !status.success() {
        bail!("cargo build -p freehold: {status}");
    }
    std::fs::canonicalize(root().join("target/debug/freehold")).context("find the binary")
}

/// A program of the Python environment that `cargo xtask tools` makes.
pub fn python(program: &str) -> Result<PathBuf> {
    let folder = std::env::var_os("FREEHOLD_TEST_PYTHON")
        .map_or_else(|| root().join("target/tools/python/bin"), PathBuf::from);
    let path = folder.join(program);
    if !path.exists() {
        bail!("{} is missing: cargo xtask tools", path.display());
    }
    std::path::absolute(path).context("make the path absolute")
}

/// systemd-resolved, and the folder of its command: as installed, or as `cargo xtask tools` unpacked them.
pub fn resolved() -> Result<(PathBuf, PathBuf)> {
    let unpacked = std::env::var_os("FREEHOLD_TEST_RESOLVED")
        .map_or_else(|| root().join("target/tools/resolved"), PathBuf::from);
    let program = |root: &Path| root.join("lib/systemd/systemd-resolved");
    let root = [unpacked, PathBuf::from("/")].into_iter().find(|root| program(root).exists());
    let root = root.context("systemd-resolved is missing: cargo xtask tools")?;
    Ok((program(&std::path::absolute(&root)?), std::path::absolute(root.join("usr/bin"))?))
}

/// Gives a program another clock.
pub(crate) fn set_clock(command: &mut Command, offset: &str) -> Result<()> {
    // The library itself: its wrapper would keep signals from the program.
    command.env("LD_PRELOAD", faketime()?).env("FAKETIME", offset);
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
    Ok(())
}

/// The library that gives a process another clock.
fn faketime() -> Result<PathBuf> {
    for entry in std::fs::read_dir("/usr/lib")? {
        let library = entry?.path().join("faketime/libfaketimeMT.so.1");
        if library.exists() {
            return Ok(library);
        }
    }
    bail!("libfaketime is missing: cargo xtask tools")
}
