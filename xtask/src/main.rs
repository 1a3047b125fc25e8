//! The project's own checks and chores, so that one command does each of them: `cargo xtask`.
//!
//! It must never be needed to build or run Freehold. Start reading at [`ci`].
#![expect(clippy::print_stdout, reason = "a tool for developers speaks on standard output")]

mod bench;
mod built;
mod ci;
mod durability;
mod fuzz;
mod layers;
mod outside;
mod run;
mod supply;
mod tidy;
mod tools;
mod zfs;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask ci [--from STEP]   everything that must pass, in order; installs the tools it needs
cargo xtask STEP               one of its steps (`cargo xtask ci --list`)
cargo xtask layers --write     write the crate table into ARCHITECTURE.md
cargo xtask fuzz [TARGET [SECONDS]]
cargo xtask bench [kv|net|build]  the numbers of docs/benchmarks.md
cargo xtask durability [WORLDS]   the tables of docs/durability.md; a number of worlds is only shown
cargo xtask outside [NAME]     long runs against what other people made, by name
cargo xtask zfs                backups of datasets between two machines in QEMU, with OpenZFS built for them
";

/// The top of the source tree.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        [] | ["help" | "--help"] => {
            println!("{HELP}");
            Ok(())
        }
        ["ci", "--list"] => {
            ci::list();
            Ok(())
        }
        ["ci"] => ci::all(&root(), None),
        ["ci", "--from", step] => ci::all(&root(), Some(step)),
        ["layers", "--write"] => layers::write(&root()),
        ["fuzz", rest @ ..] => fuzz::run(&root(), rest),
        ["bench", rest @ ..] => bench::run(&root(), rest),
        ["durability", rest @ ..] => durability::run(&root(), rest),
        ["outside", rest @ ..] => outside::run(&root(), rest),
        ["zfs"] => zfs::run(&root()),
        [step, rest @ ..] => ci::one(&root(), step, rest),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
