//! Measures the release binary as a person would meet it, and prints rows for docs/benchmarks.md:
//! start, idle cost, the log's way to another node, what a large object costs, and one client's PUT
//! and GET beside SeaweedFS on the same disk.
//!
//! It must never be part of what passes or fails. Run it with `cargo xtask bench`.
#![expect(clippy::print_stdout, reason = "its output is a table for a page")]

mod daemon;
mod large;
mod log;
mod transfer;

use anyhow::Result;
use freehold_harness::story;

fn main() -> Result<()> {
    story("bench", |story| {
        daemon::start(story)?;
        daemon::idle(story)?;
        log::sync(story)?;
        transfer::compared(story)?;
        large::memory(story)
    })
}
