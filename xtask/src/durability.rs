//! Runs the simulation of two years and writes what it says into docs/durability.md.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};

use crate::run::{cargo, command};

const PAGE: &str = "docs/durability.md";
const BEGIN: &str = "<!-- simulated: written by `cargo xtask durability` -->\n";
const END: &str = "<!-- end of simulated -->";

/// `cargo xtask durability`: all worlds of the page; with a number, so many, which are shown and not written.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    let worlds = match arguments {
        [] => None,
        [worlds] if worlds.parse::<u64>().is_ok() => Some(*worlds),
        _ => bail!("cargo xtask durability [WORLDS]"),
    };
    // As the tests are built: what it says is the same.
    let run = ["run", "--locked", "-p", "freehold-sim", "--example", "durability", "--"];
    let out = command(root, cargo(), &run).args(worlds).stderr(Stdio::inherit()).output()?;
    ensure!(out.status.success(), "the simulation failed");
    let tables = String::from_utf8(out.stdout).context("it prints text")?;
    print!("{tables}");
    if worlds.is_some() {
        return Ok(());
    }
    let page = std::fs::read_to_string(root.join(PAGE)).context("read docs/durability.md")?;
    let (head, rest) = page.split_once(BEGIN).context("docs/durability.md has no mark")?;
    let (_, tail) = rest.split_once(END).context("docs/durability.md has no end mark")?;
    #[expect(clippy::disallowed_methods, reason = "a page under version control needs no fsync")]
    std::fs::write(root.join(PAGE), format!("{head}{BEGIN}\n{tables}\n{END}{tail}"))
        .context("write docs/durability.md")
}
