//! The network's parts beside other people's, in one run: names beside unbound, the door beside nginx, HAProxy, Caddy
//! and Traefik, the tunnel beside wireguard-go and nebula. Each is asked by the same client, one after the other, on
//! this machine alone. Needs root, for namespaces.

mod door;
mod names;
mod tunnel;

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Clock ticks of a second, as Linux shows them to programs.
const TICKS: f64 = 100.0;
/// Longer than any of them takes to start, a list of a million names included.
const STARTS: Duration = Duration::from_secs(90);

/// All of them, or the one that is named.
pub(crate) fn compared(only: Option<&str>) -> Result<()> {
    let mut measured = 0;
    for (what, measure) in [
        ("names", names::compared as fn() -> Result<()>),
        ("door", door::compared),
        ("tunnel", tunnel::compared),
    ] {
        if only.is_some_and(|only| only != what) {
            continue;
        }
        // One part that cannot be measured here says why, and the others are.
        match measure() {
            Ok(()) => measured += 1,
            Err(error) => println!("{what}: {error:#}"),
        }
    }
    ensure!(measured > 0, "nothing could be measured");
    Ok(())
}

/// Seconds of each measurement.
fn seconds() -> u32 {
    if std::env::var_os("FREEHOLD_BENCH_QUICK").is_some() { 1 } else { 6 }
}

/// One of our programs, as `cargo xtask bench net` has built it.
fn ours(variable: &str) -> Result<PathBuf> {
    let at = std::env::var_os(variable)
        .with_context(|| format!("{variable} says which; use `cargo xtask bench net`"))?;
    Ok(PathBuf::from(at))
}

/// What a command says, if it goes well.
fn said(program: &str, arguments: &[&str]) -> Result<String> {
    let done = Command::new(program).args(arguments).output().with_context(|| format!("run {program}"))?;
    let out = String::from_utf8_lossy(&done.stdout).into_owned();
    ensure!(
        done.status.success(),
        "{program} {}: {out}{}",
        arguments.join(" "),
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(out)
}

/// A program that is measured, with whatever it starts itself.
struct Running {
    name: &'static str,
    child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        // In order, so that nothing is left of its sockets and devices; then not.
        for pid in family(self.child.id()) {
            drop(Command::new("kill").arg(pid.to_string()).stderr(Stdio::null()).status());
        }
        for _ in 0..100 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Running {
    fn start(name: &'static str, command: &mut Command, folder: &Path) -> Result<Self> {
        let log = std::fs::File::create(folder.join(format!("{name}.log")))?;
        let command = command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        Ok(Self { name, child: command.spawn().with_context(|| format!("start {name}"))? })
    }

    /// Waits until something answers.
    fn ready(mut self, folder: &Path, answers: impl Fn() -> bool) -> Result<Self> {
        let begun = Instant::now();
        while !answers() {
            if self.child.try_wait()?.is_some() || begun.elapsed() > STARTS {
                let log = std::fs::read_to_string(folder.join(format!("{}.log", self.name)))?;
                bail!("{} does not answer: {}", self.name, log.lines().last().unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(self)
    }

    /// Processor seconds that it has used.
    fn seconds(&self) -> f64 {
        seconds_of(self.child.id())
    }

    /// MiB that it has in memory.
    fn memory(&self) -> u64 {
        memory_of(self.child.id())
    }
}

fn seconds_of(pid: u32) -> f64 {
    let ticks = |pid: u32| -> Option<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // After the name, which may hold anything, comes the third field; user and system time are 14 and 15.
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
    };
    family(pid).into_iter().filter_map(ticks).sum::<f64>() / TICKS
}

fn memory_of(pid: u32) -> u64 {
    let kib = |pid: u32| -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    family(pid).into_iter().filter_map(kib).sum::<u64>() >> 10
}

/// A process and those that it has started.
fn family(first: u32) -> Vec<u32> {
    let mut all = vec![first];
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        at += 1;
        let children =
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    }
    all
}

/// A port of this machine that nobody has.
fn port() -> Result<u16> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The word after a mark.
fn number_after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split(mark).nth(1)?.split_whitespace().next()
}
