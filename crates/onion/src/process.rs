//! The `tor` of this system, as a process that ends with whoever started it.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;
use tokio_util::codec::{FramedRead, LinesCodec};

use crate::{Folder, Trouble, said};

/// Where it may be, besides in the search path: that of a person mostly has no `sbin`.
const PLACES: [&str; 3] = ["/usr/bin", "/usr/sbin", "/usr/local/bin"];
/// How long it may take to end by itself.
const ENDS_WITHIN: Duration = Duration::from_secs(3);
/// The longest line that is read of it.
const LINE_MAX: usize = 4096;

/// The system has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no tor on this machine")]
pub struct NoTor;

/// Where the system's `tor` is.
///
/// # Errors
/// [`NoTor`]
pub fn find_tor() -> Result<PathBuf, NoTor> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).filter(|place| place.is_absolute());
    let places = places.chain(PLACES.iter().map(PathBuf::from));
    places.map(|place| place.join("tor")).find(|tor| is_program(tor)).ok_or(NoTor)
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// A running `tor`.
pub(crate) struct Tor {
    child: Child,
    complaint: Arc<Mutex<Option<Arc<str>>>>,
    /// Reads what it says until it ends.
    out: Option<FramedRead<ChildStdout, LinesCodec>>,
}

impl Tor {
    pub(crate) fn start(program: &Path, folder: &Folder) -> Result<Self, Trouble> {
        let mut command = Command::new(program);
        // The system's own settings are for another service.
        command.args(["--defaults-torrc", "/dev/null", "-f"]).arg(folder.torrc());
        command.env_clear().env("HOME", folder.path()).current_dir(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        // A signal from the terminal is for the node, which ends it then.
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| Trouble::Start(error.to_string().into()))?;
        let out =
            child.stdout.take().map(|out| FramedRead::new(out, LinesCodec::new_with_max_length(LINE_MAX)));
        Ok(Self { child, complaint: Arc::default(), out })
    }

    /// Reads what it says until it has ended; may be dropped and called again.
    pub(crate) async fn ended(&mut self) -> Trouble {
        while let Some(out) = &mut self.out {
            match out.next().await {
                Some(Ok(line)) => self.hear(&line),
                // Too long, or no text: the next one may be better.
                Some(Err(tokio_util::codec::LinesCodecError::MaxLineLengthExceeded)) => {}
                Some(Err(_)) | None => self.out = None,
            }
        }
        let status = self.child.wait().await;
        let last = self.complaint.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let told = last.or_else(|| status.ok().map(word));
        Trouble::Ended { said: told }
    }

    fn hear(&self, line: &str) {
        let complains = line.contains("[err]") || line.contains("[warn]");
        let text = line.split_once("] ").map_or(line, |(_, text)| text);
        tracing::debug!(tor = %said::shown(text), "tor says");
        if complains {
            let text: Arc<str> = said::shown(text).into();
            *self.complaint.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        }
    }

    /// Ends it: asks it to, and then does not.
    pub(crate) async fn end(mut self) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended just now.
            kill_process(pid, Signal::TERM).unwrap_or_default();
        }
        // What it still says must find somebody who reads.
        if timeout(ENDS_WITHIN, self.ended()).await.is_err() {
            drop(self.child.kill().await);
        }
    }
}

fn word(status: ExitStatus) -> Arc<str> {
    status.to_string().into()
}
