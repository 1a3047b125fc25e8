//! The packet filter's table, held: a running `nft` to which the table belongs, so that it is there as long as this
//! process is and not a moment longer.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use rustix::thread::{CapabilitySet, capabilities, configure_capability_in_ambient_set, set_capabilities};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};
use tokio::time::timeout;

use crate::filter::Table;

/// Where it lies, also for people whose path names no programs of administrators.
const PROGRAMS: [&str; 5] =
    ["/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft", "/usr/bin/nft", "/run/current-system/sw/bin/nft"];
/// How long it may take to do what it is told.
const PATIENCE: Duration = Duration::from_secs(10);
/// No more is kept of what it says.
const SAID_MAX: usize = 500;

/// The machine's packet filter does not have the table.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// No program to tell it with.
    #[error(
        "this machine has no program nft, so whoever is in the network around can ask at this machine's address \
         in the realm, past its rules: sudo apt install nftables    (or dnf, pacman, apk add)"
    )]
    NoProgram,
    /// No right, or the kernel has no such filter.
    #[error(
        "the kernel's packet filter is not to be had: {0}; it needs the right CAP_NET_ADMIN and nf_tables"
    )]
    NotAllowed(String),
    /// It was not taken.
    #[error("the kernel's packet filter refused a table: {0}")]
    Refused(String),
    /// The program ended, or does not answer.
    #[error("the program nft does not answer")]
    Gone(#[source] io::Error),
}

/// Starts a program that has the right to change the network, if we have it. On a thread of its own, which is
/// given it to hand on: nothing else that this process starts gets it.
fn with_the_right(start: impl FnOnce() -> io::Result<Child> + Send) -> io::Result<Child> {
    let runtime = tokio::runtime::Handle::current();
    let hand_on = || {
        let mut sets = capabilities(None)?;
        if !sets.inheritable.contains(CapabilitySet::NET_ADMIN) {
            sets.inheritable |= CapabilitySet::NET_ADMIN;
            set_capabilities(None, sets)?;
        }
        configure_capability_in_ambient_set(CapabilitySet::NET_ADMIN, true)
    };
    std::thread::scope(|scope| {
        let started = scope.spawn(|| {
            let _inside = runtime.enter();
            // Without it, it says itself what it lacks.
            if let Err(error) = hand_on() {
                tracing::debug!(%error, "no right to hand on");
            }
            start()
        });
        started.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
    })
}

/// The program, and how often it was told something.
#[derive(Debug)]
pub(crate) struct Nft {
    child: Child,
    to: ChildStdin,
    said: Lines<BufReader<ChildStderr>>,
    told: u64,
}

impl Nft {
    /// Starts it; it ends with its handle or this process.
    pub(crate) fn start() -> Result<Self, FilterError> {
        let program = PROGRAMS.iter().find(|path| std::path::Path::new(path).exists());
        let mut command = Command::new(program.ok_or(FilterError::NoProgram)?);
        // Its editor of lines writes a history into a home, if there is one.
        command.arg("-i").env_clear().env("LC_ALL", "C").env("HOME", "/dev/null").env("TERM", "dumb");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = with_the_right(|| command.spawn()).map_err(FilterError::Gone)?;
        let ends = child.stdin.take().zip(child.stderr.take());
        let (to, said) = ends.ok_or_else(|| FilterError::Gone(io::ErrorKind::BrokenPipe.into()))?;
        Ok(Self { child, to, said: BufReader::new(said).lines(), told: 0 })
    }

    /// Waits until it ends, which it does not by itself.
    pub(crate) async fn ended(&mut self) {
        // Whatever comes of it: it is not there any more.
        drop(self.child.wait().await);
    }

    /// Makes the table so: all of it or, with an error, nothing.
    pub(crate) async fn make(&mut self, table: &Table) -> Result<(), FilterError> {
        let said = timeout(PATIENCE, self.tell(&table.script())).await;
        let said = said.map_err(|_| FilterError::Gone(io::ErrorKind::TimedOut.into()))??;
        if said.is_empty() { Ok(()) } else { Err(FilterError::Refused(said)) }
    }

    /// What it says to a line; nothing if it did it.
    async fn tell(&mut self, line: &str) -> Result<String, FilterError> {
        self.told += 1;
        // It says nothing of what it did, but complains of what is not there: then it is through with the line.
        let done = format!("done-{}", self.told);
        let typed = format!("{line}\nlist table inet {done}\n");
        // If it has ended, it has said why.
        let wrote = self.to.write_all(typed.as_bytes()).await;
        let mut said: Vec<String> = Vec::new();
        while let Some(heard) = self.said.next_line().await.map_err(FilterError::Gone)? {
            if heard.ends_with(&done) {
                // The complaint stands on the line before.
                said.pop();
                // A line of carets came after the last one.
                said.retain(|line| !line.trim().is_empty() && !line.trim().bytes().all(|byte| byte == b'^'));
                return Ok(short(&said));
            }
            if said.len() < 16 {
                said.push(heard);
            }
        }
        match (short(&said), wrote) {
            (said, _) if !said.is_empty() => Err(FilterError::NotAllowed(said)),
            (_, Err(error)) => Err(FilterError::Gone(error)),
            _ => Err(FilterError::Gone(io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

/// The complaints, without the lines that they are about.
fn short(said: &[String]) -> String {
    let words: Vec<&str> =
        said.iter().map(|line| line.trim()).filter(|line| !line.starts_with("add ")).collect();
    words.join("; ").chars().take(SAID_MAX).collect()
}
