//! Runs the benchmarks whose numbers stand in docs/benchmarks.md.

use std::path::Path;

use anyhow::Result;

use crate::run::{cargo, check, command};

/// `cargo xtask bench [NAME]`.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    let mut bench = vec!["bench", "--workspace", "--benches"];
    bench.extend(arguments);
    check(&mut command(root, cargo(), &bench))
}
