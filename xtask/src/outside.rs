//! Long runs against what other people made: not part of what must pass on every change, because
//! what they need takes long to bring.

mod ceph;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::run::{cargo, check, command};

/// `cargo xtask outside NAME`.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    match arguments {
        ["garage"] => garage(root),
        ["ceph", checkout, rest @ ..] => ceph::run(root, checkout, rest),
        _ => bail!(
            "cargo xtask outside garage          backends over three nodes of Garage\n\
             cargo xtask outside ceph CHECKOUT   ceph's s3-tests, of which you bring a clone"
        ),
    }
}

/// The tests of backends over a cluster of Garage.
fn garage(root: &Path) -> Result<()> {
    let given = std::env::var_os("FREEHOLD_TEST_GARAGE").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        given.or_else(|| std::env::split_paths(&path).map(|at| at.join("garage")).find(|at| at.exists()));
    let Some(program) = found else {
        bail!(
            "this needs Garage: cargo install garage --version 2.5.0 --locked\n(or say where it is: \
             FREEHOLD_TEST_GARAGE=/path/to/garage)"
        );
    };
    let arguments = ["test", "--locked", "-p", "freehold-backend", "--test", "real", "--"];
    let arguments = [&arguments[..], &["--ignored", "--nocapture", "garage"]].concat();
    check(command(root, cargo(), &arguments).env("FREEHOLD_TEST_GARAGE", program))
}
