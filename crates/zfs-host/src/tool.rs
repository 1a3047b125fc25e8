//! `zfs` as this machine has it: words of arguments, never a shell.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use freehold_wire::Millis;
use freehold_zfs::{
    BadOutput, Base, COLUMNS, Dataset, Kind, Seen, Shown, Token, holds, is_token, listed, told,
};
use thiserror::Error;
use tokio::process::{Child, Command};

/// What a question or a small change may take: a pool whose disks sleep needs a while.
const WITHIN: Duration = Duration::from_mins(5);
/// So much of what it says is told on.
const SAID_MAX: usize = 600;
/// So many snapshots are asked about at once.
const AT_ONCE: usize = 64;

/// The program.
#[derive(Debug, Clone)]
pub struct Tool {
    program: PathBuf,
}

/// What went wrong.
#[derive(Debug, Error)]
pub enum ToolError {
    /// It is not there.
    #[error("there is no {program}, so that this machine has no ZFS: install OpenZFS ({error})")]
    NotThere {
        /// What was called.
        program: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It did not do it.
    #[error("{what}: {said}")]
    Failed {
        /// What was asked of it.
        what: String,
        /// What it said.
        said: String,
    },
    /// It prints what is not known here.
    #[error(transparent)]
    Output(#[from] BadOutput),
}

/// What a program said, cut short.
pub(crate) fn short(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let words: Vec<&str> = said.split_whitespace().collect();
    words.join(" ").chars().take(SAID_MAX).collect()
}

impl Default for Tool {
    fn default() -> Self {
        Self { program: PathBuf::from("zfs") }
    }
}

impl Tool {
    /// A certain program, for tests.
    pub fn at(program: PathBuf) -> Self {
        Self { program }
    }

    fn command(&self, words: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
        // Debian keeps it where services look and people do not.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/local/sbin:/usr/sbin:/sbin"));
        command
    }

    fn not_there(&self, error: std::io::Error) -> ToolError {
        ToolError::NotThere { program: self.program.clone(), error }
    }

    /// Runs it to its end and gives what it printed.
    async fn run(&self, words: &[&str]) -> Result<String, ToolError> {
        let what = format!("zfs {}", words.join(" "));
        let run = self.command(words).output();
        let done = match tokio::time::timeout(WITHIN, run).await {
            Ok(done) => done.map_err(|error| self.not_there(error))?,
            Err(_) => {
                return Err(ToolError::Failed { what, said: "it did not end within 5 minutes".to_owned() });
            }
        };
        if done.status.success() {
            Ok(String::from_utf8_lossy(&done.stdout).into_owned())
        } else {
            Err(ToolError::Failed { what, said: short(&done.stderr) })
        }
    }

    /// Whether ZFS is here.
    pub async fn is_there(&self) -> Result<(), ToolError> {
        self.run(&["version"]).await.map(drop)
    }

    /// What there is of a dataset, and below it if that is asked; nothing if it is not there.
    pub async fn look(&self, dataset: &Dataset, below: bool) -> Result<Shown, ToolError> {
        let depth: &[&str] = if below { &["-r"] } else { &["-d", "1"] };
        let kinds = ["-t", "filesystem,volume,snapshot,bookmark", "-o", COLUMNS, dataset.as_str()];
        let words = [&["list", "-Hp"], depth, &kinds].concat();
        let mut shown = match self.run(&words).await {
            Ok(printed) => listed(&printed)?,
            Err(ToolError::Failed { said, .. }) if said.contains("does not exist") => Shown::new(),
            Err(error) => return Err(error),
        };
        if !below {
            shown.retain(|name, _| name == dataset);
        }
        let all = |(name, seen): (&Dataset, &Seen)| {
            seen.snapshots.iter().map(|snapshot| name.at(&snapshot.name)).collect::<Vec<_>>()
        };
        let snapshots: Vec<String> = shown.iter().flat_map(all).collect();
        for some in snapshots.chunks(AT_ONCE) {
            let names = some.iter().map(String::as_str);
            let words: Vec<&str> = ["holds", "-H"].into_iter().chain(names).collect();
            holds(&self.run(&words).await?, &mut shown)?;
        }
        Ok(shown)
    }

    /// What a token asks for; nothing if it is none, or `zfs` does not know it.
    pub async fn token(&self, token: &str) -> Option<Token> {
        if !is_token(token) {
            return None;
        }
        told(&self.run(&["send", "-nvP", "-t", token]).await.ok()?).ok()
    }

    /// Takes a snapshot of several datasets of one pool, all at the same moment.
    pub async fn take(&self, snapshots: &[String]) -> Result<(), ToolError> {
        let names = snapshots.iter().map(String::as_str);
        self.run(&["snapshot"].into_iter().chain(names).collect::<Vec<_>>()).await.map(drop)
    }

    /// Holds a snapshot.
    pub async fn hold(&self, tag: &str, snapshot: &str) -> Result<(), ToolError> {
        self.run(&["hold", tag, snapshot]).await.map(drop)
    }

    /// Lets it go.
    pub async fn release(&self, tag: &str, snapshot: &str) -> Result<(), ToolError> {
        self.run(&["release", tag, snapshot]).await.map(drop)
    }

    /// Makes a bookmark.
    pub async fn bookmark(&self, snapshot: &str, bookmark: &str) -> Result<(), ToolError> {
        self.run(&["bookmark", snapshot, bookmark]).await.map(drop)
    }

    /// Removes one snapshot or bookmark. A name without `@` or `#` would be a dataset with all its history.
    pub async fn remove(&self, name: &str) -> Result<(), ToolError> {
        if !name.contains(['@', '#']) {
            let said = "that is no snapshot".to_owned();
            return Err(ToolError::Failed { what: format!("zfs destroy {name}"), said });
        }
        self.run(&["destroy", name]).await.map(drop)
    }

    /// Sees to it that nobody writes to it.
    pub async fn readonly(&self, dataset: &Dataset) -> Result<(), ToolError> {
        self.run(&["set", "readonly=on", dataset.as_str()]).await.map(drop)
    }

    /// Notes when a snapshot came.
    pub async fn note(&self, snapshot: &str, at: Millis) -> Result<(), ToolError> {
        self.run(&["set", &format!("freehold:received={}", at.0), snapshot]).await.map(drop)
    }

    /// Makes the room of a machine, if it is not there, with a limit to what lies in it.
    pub async fn room(&self, room: &Dataset, limit: Option<u64>) -> Result<(), ToolError> {
        let quota = limit.map_or_else(|| "quota=none".to_owned(), |limit| format!("quota={limit}"));
        if !self.look(room, false).await?.is_empty() {
            return self.run(&["set", &quota, room.as_str()]).await.map(drop);
        }
        let words = ["create", "-o", "canmount=off", "-o", "mountpoint=none", "-o", &quota, room.as_str()];
        self.run(&words).await.map(drop)
    }

    /// Drops what came in part.
    pub async fn abandon(&self, dataset: &Dataset) -> Result<(), ToolError> {
        self.run(&["receive", "-A", dataset.as_str()]).await.map(drop)
    }

    /// Begins to send a snapshot as it lies.
    pub(crate) fn send(
        &self,
        dataset: &Dataset,
        base: Option<&Base>,
        snapshot: &str,
    ) -> Result<Child, ToolError> {
        let mut words = vec!["send".to_owned(), "-w".to_owned()];
        match base {
            Some(Base::Snapshot(base)) => words.extend(["-i".to_owned(), dataset.at(base)]),
            Some(Base::Bookmark(base)) => words.extend(["-i".to_owned(), dataset.mark(base)]),
            None => {}
        }
        words.push(dataset.at(snapshot));
        self.stream(&words)
    }

    /// Goes on with what a token says. Whoever calls has looked what that is.
    pub(crate) fn resume(&self, token: &str) -> Result<Child, ToolError> {
        self.stream(&["send".to_owned(), "-t".to_owned(), token.to_owned()])
    }

    fn stream(&self, words: &[String]) -> Result<Child, ToolError> {
        let mut command = self.command(words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().map_err(|error| self.not_there(error))
    }

    /// Begins to take in a stream. It is never mounted, nobody writes to it, and what came in part stays.
    pub(crate) fn receive(&self, dataset: &Dataset, kind: Kind) -> Result<Child, ToolError> {
        let mut words = vec!["receive", "-s", "-u", "-o", "readonly=on"];
        if kind == Kind::Filesystem {
            words.extend(["-o", "canmount=off"]);
        }
        words.push(dataset.as_str());
        let mut command = self.command(&words);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().map_err(|error| self.not_there(error))
    }
}
