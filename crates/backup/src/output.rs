//! What a command prints, backed up as one file: a database's dump, which no file on the disk is at one moment. It is
//! streamed, and there is a snapshot of it only once the command has ended well: half a dump looks like a whole one.

use std::{
    io::{self, Read},
    os::fd::AsFd,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustic_core::{
    ErrorKind, ReadSource, ReadSourceEntry, ReadSourceOpen, RusticError, RusticResult,
    jiff::Zoned,
    repofile::{Metadata, Node, NodeType},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::Stop;

/// How long nobody looks whether it is to stop, or has ended.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// So long a command may take to end after it was asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(2);
/// So much of the end of what it complains of is told.
const COMPLAINT_MAX: usize = 1000;
/// Nobody but its owner reads what comes back.
const MODE: u32 = 0o600;

/// A command whose output is backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The program and its arguments; no shell reads them.
    pub command: Vec<String>,
    /// The absolute path that the file has in the snapshot.
    pub file: PathBuf,
    /// How long it may take.
    pub within: Duration,
}

/// What came of the command; nothing while it has not ended.
type Verdict = Arc<Mutex<Option<Result<(), String>>>>;

/// A source with one file: what the command prints.
pub(crate) struct Printed {
    output: Output,
    stop: Stop,
    verdict: Verdict,
}

impl Printed {
    pub(crate) fn new(output: Output, stop: Stop) -> Self {
        Self { output, stop, verdict: Verdict::default() }
    }

    /// Why there is to be no snapshot of it, if so.
    pub(crate) fn verdict(&self) -> Result<(), String> {
        let verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner).clone();
        verdict.unwrap_or_else(|| Err("it did not come to its end".to_owned()))
    }
}

impl ReadSource for Printed {
    type Open = Opening;
    type Iter = std::option::IntoIter<RusticResult<ReadSourceEntry<Opening>>>;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(None)
    }

    fn entries(&self) -> Self::Iter {
        let path = self.output.file.clone();
        let now = Some(Zoned::now().timestamp());
        let meta = Metadata { mode: Some(MODE), ..Metadata::default() };
        let mut node = Node::new_node(path.file_name().unwrap_or_default(), NodeType::File, meta);
        (node.meta.mtime, node.meta.ctime) = (now, now);
        let open = Opening {
            output: self.output.clone(),
            stop: self.stop.clone(),
            verdict: Arc::clone(&self.verdict),
        };
        Some(Ok(ReadSourceEntry { path, node, open: Some(open) })).into_iter()
    }
}

/// The command, not yet begun.
pub(crate) struct Opening {
    output: Output,
    stop: Stop,
    verdict: Verdict,
}

impl ReadSourceOpen for Opening {
    type Reader = Reading;

    fn open(self) -> RusticResult<Reading> {
        let Self { output, stop, verdict } = self;
        let begun = begin(&output);
        begun
            .map(|(child, out, complaints)| Reading {
                child,
                out,
                complaints: Some(complaints),
                complaint: Vec::new(),
                some: false,
                ends: Instant::now() + output.within,
                stop,
                verdict: Arc::clone(&verdict),
                ended: false,
            })
            .map_err(|error| {
                *verdict.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(Err(format!("it could not be run: {error}")));
                RusticError::with_source(ErrorKind::InputOutput, "a command could not be run", error)
            })
    }
}

fn begin(output: &Output) -> io::Result<(Child, ChildStdout, ChildStderr)> {
    let (program, arguments) =
        output.command.split_first().ok_or_else(|| io::Error::other("no command is named"))?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/").process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let (Some(out), Some(complaints)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(io::Error::other("it has no output"));
    };
    Ok((child, out, complaints))
}

/// The command, as it prints.
pub(crate) struct Reading {
    child: Child,
    out: ChildStdout,
    /// Nothing once it is closed.
    complaints: Option<ChildStderr>,
    /// The end of what came there.
    complaint: Vec<u8>,
    /// Whether it has printed anything.
    some: bool,
    ends: Instant,
    stop: Stop,
    verdict: Verdict,
    ended: bool,
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.may_go_on()?;
            if self.has_printed()? {
                match self.out.read(buffer) {
                    Ok(0) if !buffer.is_empty() => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    read => {
                        self.some = true;
                        return read;
                    }
                }
            }
        }
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            self.may_go_on()?;
            // Whoever closes its output has nearly ended.
            std::thread::sleep(LOOK_EVERY / 10);
            self.hear()?;
        };
        self.ended = true;
        while self.hear()? {}
        self.judged(self.judge(status)).map(|()| 0)
    }
}

impl Reading {
    fn may_go_on(&self) -> io::Result<()> {
        self.stop.check()?;
        if Instant::now() < self.ends {
            return Ok(());
        }
        self.judged(Err("it had not ended in its time".to_owned()))
    }

    /// Waits for something on either way out; whether it is on the one that is backed up.
    fn has_printed(&mut self) -> io::Result<bool> {
        let mut ways = vec![PollFd::from_borrowed_fd(self.out.as_fd(), PollFlags::IN)];
        ways.extend(self.complaints.as_ref().map(|way| PollFd::from_borrowed_fd(way.as_fd(), PollFlags::IN)));
        match poll(&mut ways, Some(&span(LOOK_EVERY))) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let said: Vec<bool> = ways.iter().map(|way| !way.revents().is_empty()).collect();
        drop(ways);
        if said.get(1) == Some(&true) {
            self.listen();
        }
        Ok(said.first() == Some(&true))
    }

    /// Takes what it complains of, if there is anything now; whether there was.
    fn hear(&mut self) -> io::Result<bool> {
        let Some(way) = self.complaints.as_ref() else { return Ok(false) };
        let mut ways = [PollFd::from_borrowed_fd(way.as_fd(), PollFlags::IN)];
        if poll(&mut ways, Some(&span(Duration::ZERO)))? == 0 {
            return Ok(false);
        }
        self.listen();
        Ok(self.complaints.is_some())
    }

    fn listen(&mut self) {
        let mut bytes = [0; 4096];
        let Some(way) = self.complaints.as_mut() else { return };
        match way.read(&mut bytes) {
            Ok(0) => self.complaints = None,
            Ok(read) => {
                self.complaint.extend(bytes.iter().take(read));
                let more = self.complaint.len().saturating_sub(COMPLAINT_MAX);
                self.complaint.drain(..more);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.complaints = None,
        }
    }

    fn judge(&self, status: ExitStatus) -> Result<(), String> {
        if status.success() && self.some {
            return Ok(());
        }
        let why =
            if status.success() { "it printed nothing".to_owned() } else { format!("it failed ({status})") };
        let said = String::from_utf8_lossy(&self.complaint);
        // What a program writes is shown on terminals.
        let said: String = said.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Err(if said.is_empty() { why } else { format!("{why}: {said}") })
    }

    fn judged(&self, judgement: Result<(), String>) -> io::Result<()> {
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(judgement.clone());
        judgement.map_err(io::Error::other)
    }
}

fn span(span: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: span.subsec_nanos().into(),
    }
}

impl Drop for Reading {
    /// Nothing that it has begun stays behind.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let group = Pid::from_child(&self.child);
        // Not waited for until all are told: its number stays its own, and nobody else's.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let until = Instant::now() + ENDS_WITHIN;
        kill_process_group(group, Signal::TERM).ok();
        while matches!(waitid(WaitId::Pid(group), look), Ok(None)) && Instant::now() < until {
            std::thread::sleep(LOOK_EVERY / 10);
        }
        kill_process_group(group, Signal::KILL).ok();
        if let Err(error) = self.child.wait() {
            tracing::warn!(%error, "a command whose output was backed up does not end");
        }
    }
}
