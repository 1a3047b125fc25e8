//! Runs the coverage-guided fuzzer on every decoder, the way fuzz/README.md describes: with the
//! stable compiler and libFuzzer's own runtime, so that nothing has to be installed but a C++ one.

use std::path::Path;

use anyhow::{Context, Result};

use crate::run::{cargo, check, command};
use crate::tools;

/// How long each target runs unless told.
const SECONDS: &str = "60";
/// `--target` keeps the instrumentation off build scripts and macros.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";
const FLAGS: &str = "--cfg fuzzing -C passes=sancov-module -C codegen-units=1 \
                     -C llvm-args=-sanitizer-coverage-level=4 \
                     -C llvm-args=-sanitizer-coverage-inline-8bit-counters \
                     -C llvm-args=-sanitizer-coverage-pc-table \
                     -C llvm-args=-sanitizer-coverage-trace-compares";

/// `cargo xtask fuzz [TARGET [SECONDS]]`; all targets without a name.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    let (targets, seconds) = match arguments {
        [] => (targets(root)?, SECONDS),
        [target] => (vec![(*target).to_owned()], SECONDS),
        [target, seconds, ..] => (vec![(*target).to_owned()], *seconds),
    };
    let folder = root.join("fuzz");
    let built = tools::target(root).join("fuzz");
    let mut build = command(&folder, cargo(), &["build", "--release", "--locked", "--target", TRIPLE]);
    check(build.env("CARGO_TARGET_DIR", &built).env("RUSTFLAGS", FLAGS))?;
    for target in targets {
        let program = built.join(TRIPLE).join("release").join(&target);
        let grown = built.join("grown").join(&target);
        std::fs::create_dir_all(&grown)?;
        let corpus = folder.join("corpus").join(&target);
        let (grown, corpus) = (grown.to_string_lossy(), corpus.to_string_lossy());
        let limit = format!("-max_total_time={seconds}");
        // The first folder is where new inputs go; a crash is written into fuzz/.
        check(&mut command(&folder, program, &[&limit, "-max_len=4096", &grown, &corpus]))?;
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
