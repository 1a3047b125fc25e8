//! What a node costs when nothing happens.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use freehold_harness::{Story, eventually};

/// How long idleness is watched.
const WATCHED: Duration = Duration::from_secs(20);
/// Clock ticks of a second, as Linux shows them to programs.
const TICKS: u64 = 100;

/// From the command to a node that answers, on a home that holds a realm.
pub(crate) fn start(story: &Story) -> Result<()> {
    let host = story.host("start")?;
    let mut node = host.node()?;
    let first = Instant::now();
    node.up(&[])?;
    println!("| `up`, new realm | {} ms |", first.elapsed().as_millis());
    node.stop()?;
    let mut best = u128::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        node.resume()?;
        best = best.min(begun.elapsed().as_millis());
        node.stop()?;
    }
    println!("| `up`, existing realm (best of 5; looked at every 100 ms) | {best} ms |");
    Ok(())
}

/// Memory and processor of a node that nobody uses.
pub(crate) fn idle(story: &Story) -> Result<()> {
    let host = story.host("idle")?;
    let mut node = host.node()?;
    node.up(&[])?;
    let pid = node.pid().context("it runs")?;
    let before = ticks(pid)?;
    let begun = Instant::now();
    eventually(WATCHED.as_secs() + 1, "the time is over", || Ok(begun.elapsed() >= WATCHED))?;
    let used = ticks(pid)?.saturating_sub(before);
    let resident = resident(pid)? >> 20;
    let share = (used * 1000) / (TICKS * begun.elapsed().as_secs());
    println!("| idle node, resident | {resident} MiB |");
    println!("| idle node, share of one core | {}.{} % |", share / 10, share % 10);
    node.stop()
}

/// Processor time of a process so far, in ticks.
pub(crate) fn ticks(pid: u32) -> Result<u64> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = line.rsplit_once(") ").context("stat has a name")?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next().context("user time")?.parse()?;
    let system: u64 = fields.next().context("system time")?.parse()?;
    Ok(user.saturating_add(system))
}

/// The most memory that a process ever had.
pub(crate) fn resident_peak(pid: u32) -> Result<u64> {
    field(pid, "VmHWM:")
}

fn resident(pid: u32) -> Result<u64> {
    field(pid, "VmRSS:")
}

fn field(pid: u32, name: &str) -> Result<u64> {
    let about = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line =
        about.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()?.saturating_mul(1024))
}
