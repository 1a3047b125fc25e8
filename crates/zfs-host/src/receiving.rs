//! A stream that comes in. Its head is read before `zfs receive` is begun, so that what is not raw, or not what was
//! announced, reaches nothing.

use std::time::Instant;

use bytes::Bytes;
use freehold_zfs::{Dataset, HEAD, Head};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin};
use tokio::sync::Mutex;

use crate::tool::{Tool, short};

/// So much of what `zfs` complains about is read.
const SAID_MAX: u64 = 8 << 10;

/// One stream.
#[derive(Debug)]
pub(crate) struct Receiving {
    /// Of which backup and target.
    pub(crate) of: (String, String),
    pub(crate) place: Dataset,
    guid: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    next: u64,
    touched: Instant,
    child: Option<(Child, Option<ChildStdin>)>,
}

impl Receiving {
    pub(crate) fn new(of: (String, String), place: Dataset, guid: u64) -> Self {
        let state = State { next: 0, touched: Instant::now(), child: None };
        Self { of, place, guid, state: Mutex::new(state) }
    }

    /// Takes a part in; the first has the head in it.
    pub(crate) async fn part(&self, tool: &Tool, number: u64, body: &Bytes) -> Result<(), String> {
        let mut state = self.state.lock().await;
        state.touched = Instant::now();
        if number != state.next {
            return Err(format!("part {number} came where {} was to come", state.next));
        }
        if state.child.is_none() {
            let head = body.first_chunk::<HEAD>().ok_or("it is no stream of zfs")?;
            let head = Head::read(head).map_err(|why| why.to_string())?;
            if head.guid != self.guid {
                return Err("it is another snapshot than was announced".to_owned());
            }
            let mut child = tool.receive(&self.place, head.kind).map_err(|error| error.to_string())?;
            let input = child.stdin.take();
            state.child = Some((child, input));
        }
        let Some((_, Some(input))) = state.child.as_mut() else { return Err("it is over".to_owned()) };
        if input.write_all(body).await.is_err() {
            let (child, _) = state.child.take().ok_or("it is over")?;
            return Err(ended(child).await.err().unwrap_or_else(|| "zfs took no more of it".to_owned()));
        }
        state.next += 1;
        Ok(())
    }

    /// It was all: waits until it lies there.
    pub(crate) async fn end(&self) -> Result<(), String> {
        let mut state = self.state.lock().await;
        state.touched = Instant::now();
        let (child, input) = state.child.take().ok_or("nothing of it came")?;
        drop(input);
        ended(child).await
    }

    /// Breaks it off. What came stays, to be gone on with.
    pub(crate) async fn break_off(&self) {
        let mut state = self.state.lock().await;
        if let Some((child, input)) = state.child.take() {
            // At the end of its input it writes down how far it came.
            drop(input);
            drop(ended(child).await);
        }
    }

    /// For how long nothing has come.
    pub(crate) async fn idle(&self) -> std::time::Duration {
        self.state.lock().await.touched.elapsed()
    }
}

/// How a program ended, with what it said if it failed.
pub(crate) async fn ended(mut child: Child) -> Result<(), String> {
    let mut said = Vec::new();
    if let Some(errors) = child.stderr.take() {
        // Nothing is lost with what cannot be read of a complaint.
        drop(errors.take(SAID_MAX).read_to_end(&mut said).await);
    }
    match child.wait().await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) if said.is_empty() => Err(format!("zfs ended with {status}")),
        Ok(_) => Err(short(&said)),
        Err(error) => Err(error.to_string()),
    }
}
