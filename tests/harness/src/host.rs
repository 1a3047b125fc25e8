//! One machine: a network namespace, an address, and programs that run on it.

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;

use crate::network::{Port, run};
use crate::node::Node;

/// Longest that a program may take which is waited for: the longest real one takes two minutes.
const ANSWER_LIMIT: Duration = Duration::from_mins(10);

/// A machine of the story.
#[derive(Debug)]
pub struct Host {
    name: String,
    port: Port,
    folder: PathBuf,
}

/// What a program answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The command line, for messages.
    pub line: String,
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Answer {
    /// The answer, if the program succeeded.
    pub fn good(self) -> Result<Self> {
        ensure!(self.code == Some(0), "{}: exit code {:?}\n{}{}", self.line, self.code, self.out, self.err);
        Ok(self)
    }

    /// The answer, if the program refused with this exit code and said each of these words.
    pub fn refused(self, code: i32, words: &[&str]) -> Result<Self> {
        let said = format!("{}{}", self.out, self.err).to_lowercase();
        ensure!(self.code == Some(code), "{}: exit code {:?}, not {code}\n{said}", self.line, self.code);
        for word in words {
            ensure!(said.contains(&word.to_lowercase()), "{}: does not say `{word}`:\n{said}", self.line);
        }
        ensure!(!said.contains("panicked"), "{}: panicked:\n{said}", self.line);
        Ok(self)
    }

    /// The answer, if the program failed, however, and said each of these words.
    pub fn failed(self, words: &[&str]) -> Result<Self> {
        let code = self.code.filter(|code| *code != 0);
        let code = code.with_context(|| format!("{}: should fail, ended with {:?}", self.line, self.code))?;
        self.refused(code, words)
    }

    /// Standard output as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(&self.out)
            .with_context(|| format!("{}: not JSON: {}{}", self.line, self.out, self.err))
    }
}

impl Host {
    pub(crate) fn new(name: &str, port: Port, folder: &Path) -> Result<Self> {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(Self { name: name.to_owned(), port, folder })
    }

    /// Its name in the story.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address on its network.
    pub fn address(&self) -> Ipv4Addr {
        self.port.address
    }

    /// Its files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A program that will run on this host.
    pub fn command<S: AsRef<OsStr>>(&self, program: S) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.port.space.0)).arg("--").arg(program);
        command
            .env("HOME", &self.folder)
            .env("NO_COLOR", "1")
            .env("RUST_BACKTRACE", "1")
            .env_remove("FREEHOLD_HOME")
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn answer(command: &mut Command) -> Result<Answer> {
        let words: Vec<String> =
            command.get_args().skip(2).map(|word| word.to_string_lossy().into_owned()).collect();
        let line = words.join(" ");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().with_context(|| format!("run {line}"))?;
        let pid = Pid::from_raw(i32::try_from(child.id())?).context("a process has an id")?;
        let (ended, end) = channel::<()>();
        // What never ends would take every later story with it, and say nothing.
        let (output, was_killed) = std::thread::scope(|scope| {
            let watch = scope.spawn(move || {
                let is_late = end.recv_timeout(ANSWER_LIMIT) == Err(RecvTimeoutError::Timeout);
                is_late && kill_process(pid, Signal::KILL).is_ok()
            });
            let output = child.wait_with_output();
            drop(ended);
            (output, watch.join().is_ok_and(|killed| killed))
        });
        let output = output?;
        ensure!(
            !was_killed,
            "{line}: had not ended after {} s\n{}{}",
            ANSWER_LIMIT.as_secs(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(Answer {
            line,
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs a program to its end on this host.
    pub fn run<S: AsRef<OsStr>>(&self, program: S, arguments: &[&str]) -> Result<Answer> {
        Self::answer(self.command(program).args(arguments))
    }

    /// A node of this host, not started; its home is not there yet.
    pub fn node(&self) -> Result<Node<'_>> {
        self.node_at(&self.folder.join("home"))
    }

    /// A node with its home elsewhere.
    pub fn node_at(&self, home: &Path) -> Result<Node<'_>> {
        Node::new(self, home)
    }

    /// Pulls the network cable.
    pub fn unplug(&self) -> Result<()> {
        let (switch, plug) = &self.port.plug;
        run("ip", &["-n", switch, "link", "set", plug, "down"])
    }

    /// Plugs it in again.
    pub fn plug_in(&self) -> Result<()> {
        let (switch, plug) = &self.port.plug;
        run("ip", &["-n", switch, "link", "set", plug, "up"])
    }
}
