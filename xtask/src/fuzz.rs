//! Runs the coverage-guided fuzzer on the decoders and the simulation.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::run::{cargo, check, command, succeeds};

/// How long each target runs unless told.
const SECONDS: &str = "30";

/// `cargo xtask fuzz [TARGET [SECONDS]]`; all targets without a name.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    if !succeeds(&mut command(root, cargo(), &["fuzz", "--version"])) {
        bail!("cargo-fuzz is missing: cargo install cargo-fuzz --locked");
    }
    let (targets, seconds) = match arguments {
        [] => (targets(root)?, SECONDS),
        [target] => (vec![(*target).to_owned()], SECONDS),
        [target, seconds, ..] => (vec![(*target).to_owned()], *seconds),
    };
    for target in targets {
        let limit = format!("-max_total_time={seconds}");
        // The stable compiler has the instrumentation; only the flag that asks for it is unstable.
        check(
            command(root, cargo(), &["fuzz", "run", "--sanitizer", "none", &target, "--", &limit])
                .env("RUSTC_BOOTSTRAP", "1"),
        )?;
    }
    Ok(())
}

fn targets(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root.join("fuzz/fuzz_targets")).context("read fuzz/fuzz_targets")? {
        let path = entry?.path();
        if let Some(name) = path.file_stem().and_then(|name| name.to_str()) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}
