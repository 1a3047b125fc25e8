//! Measures the release binary as a person would meet it, and prints rows for docs/benchmarks.md:
//! the cipher alone, start, idle cost, the log's way to another node, what a large object costs, PUT and GET beside
//! SeaweedFS, Garage and rclone on the same disk, and YCSB's shapes on a database, etcd and SlateDB;
//! the network's parts beside others', and backups beside restic.
//!
//! It must never be part of what passes or fails. Run it with `cargo xtask bench`.
#![expect(clippy::print_stdout, reason = "its output is a table for a page")]

mod backup;
mod cipher;
mod daemon;
mod kv;
mod large;
mod load;
mod log;
mod net;
mod peers;
mod transfer;

use std::path::Path;

use anyhow::Result;
use freehold_harness::story;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((what, rest)) if what == "load" => return load::run(rest),
        Some((what, _)) if what == "transfer" => return story("bench", transfer::compared),
        Some((what, rest)) if what == "net" => return net::compared(rest.first().map(String::as_str)),
        Some((what, _)) if what == "backup" => {
            return story("bench", |story| backup::compared(story.folder()));
        }
        Some((what, [at])) if what == "tree" => return backup::tree::plant(Path::new(at)),
        Some((what, rest)) if what == "measured" => return backup::measured(rest),
        Some((what, _)) if what == "kv" => return story("bench", kv::shapes),
        _ => {}
    }
    story("bench", |story| {
        cipher::alone();
        daemon::start(story)?;
        daemon::idle(story)?;
        log::sync(story)?;
        transfer::compared(story)?;
        kv::shapes(story)?;
        large::memory(story)
    })
}
