//! The control socket of a running `tor`: a Unix socket in a folder of ours, with a cookie.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use data_encoding::HEXLOWER;
use freehold_disk::read_private;
use futures::StreamExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{sleep, timeout};
use tokio_util::codec::{FramedRead, LinesCodec};

use crate::said::{self, Said, Word};
use crate::{Folder, Trouble};

/// No line that is asked for is a tenth of it.
pub(crate) const LINE_MAX: usize = 16 << 10;
/// How long `tor` may take until it listens.
const OPENS_WITHIN: Duration = Duration::from_secs(20);
const TRY_EVERY: Duration = Duration::from_millis(100);
/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(10);
/// More events than come while an answer is waited for.
const WAITING: usize = 256;
const COOKIE: usize = 32;
/// What is told without being asked.
const EVENTS: &str = "SETEVENTS STATUS_CLIENT STATUS_GENERAL HS_DESC NETWORK_LIVENESS";

/// A connection that `tor` takes orders by.
pub(crate) struct Control {
    lines: FramedRead<OwnedReadHalf, LinesCodec>,
    write: OwnedWriteHalf,
    heard: VecDeque<Word>,
}

impl Control {
    /// Waits until `tor` listens, and takes it over: it ends with this connection.
    pub(crate) async fn open(folder: &Folder) -> Result<Self, Trouble> {
        let open = async {
            loop {
                if let Some((stream, cookie)) = reach(folder).await {
                    return (stream, cookie);
                }
                sleep(TRY_EVERY).await;
            }
        };
        let late = |_| Trouble::Silent("it does not listen at its control socket".into());
        let (stream, cookie) = timeout(OPENS_WITHIN, open).await.map_err(late)?;
        let (read, write) = stream.into_split();
        let lines = FramedRead::new(read, codec());
        let mut control = Self { lines, write, heard: VecDeque::new() };
        control.ask(&format!("AUTHENTICATE {cookie}")).await?;
        for order in ["TAKEOWNERSHIP", EVENTS, "GETINFO status/bootstrap-phase"] {
            control.ask(order).await?;
        }
        Ok(control)
    }

    /// It reads its settings, and who is let in, again.
    pub(crate) async fn reload(&mut self) -> Result<(), Trouble> {
        self.ask("SIGNAL RELOAD").await
    }

    /// The next thing that it tells. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Result<Word, Trouble> {
        if let Some(word) = self.heard.pop_front() {
            return Ok(word);
        }
        loop {
            if let Said::Event(word) = self.line().await.map_err(|error| lost(&error))? {
                return Ok(word);
            }
        }
    }

    /// One order, done.
    async fn ask(&mut self, order: &str) -> Result<(), Trouble> {
        let whole = async {
            self.write.write_all(format!("{order}\r\n").as_bytes()).await?;
            loop {
                match self.line().await? {
                    Said::Done => return Ok(Ok(())),
                    Said::Refused(why) => return Ok(Err(why)),
                    Said::Part(word) | Said::Event(word) => self.hear(word),
                    Said::Other => {}
                }
            }
        };
        match timeout(WITHIN, whole).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(why))) => Err(Trouble::Silent(format!("it refuses: {why}").into())),
            Ok(Err(error)) => Err(lost(&error)),
            Err(_) => Err(Trouble::Silent("no answer came in time".into())),
        }
    }

    fn hear(&mut self, word: Word) {
        if word != Word::Nothing && self.heard.len() < WAITING {
            self.heard.push_back(word);
        }
    }

    async fn line(&mut self) -> io::Result<Said> {
        match self.lines.next().await {
            Some(Ok(line)) => Ok(said::line(&line)),
            Some(Err(error)) => Err(io::Error::other(error)),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// How lines are cut.
pub(crate) fn codec() -> LinesCodec {
    LinesCodec::new_with_max_length(LINE_MAX)
}

fn lost(error: &io::Error) -> Trouble {
    Trouble::Silent(error.to_string().into())
}

async fn reach(folder: &Folder) -> Option<(UnixStream, String)> {
    let stream = UnixStream::connect(folder.control()).await.ok()?;
    let cookie = read_private(&folder.cookie()).ok()??;
    (cookie.len() == COOKIE).then(|| (stream, HEXLOWER.encode(&cookie)))
}
