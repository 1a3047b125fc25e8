//! Bodies on their way through: as they come, never gathered, with a limit on their length and on how long
//! they may be quiet.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use freehold_ports::Busy;
use http::{HeaderMap, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, timeout};

use crate::inward::{Inward, Unread};
use crate::service::Slowest;
use crate::tally::Tally;
use crate::upstream::Lease;
use crate::visit::Use;

/// How long, and how much, of a body is read that nobody wants.
const FORGOTTEN: (Duration, usize) = (Duration::from_secs(1), 64 << 10);

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// Nothing came for too long.
    #[error("nothing came for {} s", .0.as_secs())]
    Quiet(Duration),
    /// It came too slowly.
    #[error("it comes too slowly")]
    Slow,
    /// More came than may.
    #[error("it is larger than it may be")]
    TooLarge,
    /// The connection broke.
    #[error("the connection broke")]
    Read(#[source] Unread),
}

/// Runs while somebody else is waited for; made when it is first needed.
#[derive(Debug)]
pub(crate) struct Patience {
    quiet: Duration,
    slowest: Option<Slowest>,
    alarm: Option<Pin<Box<Sleep>>>,
    /// Since when it runs.
    since: Option<Instant>,
    /// How long it has run before, altogether.
    waited: Duration,
    came: u64,
}

impl Patience {
    /// For somebody who may be quiet for so long, and not slower than that altogether.
    pub(crate) const fn new(quiet: Duration, slowest: Option<Slowest>) -> Self {
        Self { quiet, slowest, alarm: None, since: None, waited: Duration::ZERO, came: 0 }
    }

    fn moved(&mut self, bytes: u64) {
        self.came = self.came.saturating_add(bytes);
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
    }

    /// How long it may still take.
    fn left(&self) -> Option<Duration> {
        let slowest = self.slowest?;
        let earned = self.came.saturating_mul(1000) / u64::from(slowest.each_second.max(1));
        Some((slowest.grace + Duration::from_millis(earned)).saturating_sub(self.waited))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        let left = self.left().filter(|left| *left < self.quiet);
        if self.since.is_none() {
            let now = Instant::now();
            let at = now + left.unwrap_or(self.quiet);
            self.since = Some(now);
            match &mut self.alarm {
                Some(alarm) => alarm.as_mut().reset(at),
                None => self.alarm = Some(Box::pin(tokio::time::sleep_until(at))),
            }
        }
        let Some(alarm) = &mut self.alarm else { return Poll::Pending };
        ready!(alarm.as_mut().poll(cx));
        Poll::Ready(if left.is_some() { Broken::Slow } else { Broken::Quiet(self.quiet) })
    }
}

/// How far the body of a request has come, for who waits for the answer.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    state: AtomicU8,
    frames: AtomicU64,
}

/// Where the body of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Come {
    /// Still on its way; so many pieces have come.
    Coming(u64),
    /// All of it has come.
    Whole,
    /// It is too large.
    TooLarge,
    /// The client went quiet, or away.
    Gone,
}

impl Progress {
    pub(crate) fn come(&self) -> Come {
        match self.state.load(Relaxed) {
            0 => Come::Coming(self.frames.load(Relaxed)),
            1 => Come::Whole,
            2 => Come::TooLarge,
            _ => Come::Gone,
        }
    }
}

/// The body of a request.
#[derive(Debug)]
pub(crate) enum Ask {
    /// None.
    Empty,
    /// As the client sends it.
    Coming(Box<Coming>),
}

/// A body as the client sends it.
#[derive(Debug)]
pub(crate) struct Coming {
    body: Inward,
    patience: Patience,
    left: Option<u64>,
    tally: Arc<Tally>,
    progress: Arc<Progress>,
}

impl Ask {
    /// A body of at most `most` bytes that is waited for so patiently.
    pub(crate) fn new(
        body: Inward,
        most: Option<u64>,
        patience: Patience,
        tally: &Arc<Tally>,
    ) -> (Self, Option<Arc<Progress>>) {
        if body.is_end_stream() {
            return (Self::Empty, None);
        }
        let progress = Arc::new(Progress::default());
        let tally = Arc::clone(tally);
        let coming = Coming { body, patience, left: most, tally, progress: Arc::clone(&progress) };
        (Self::Coming(Box::new(coming)), Some(progress))
    }
}

impl Coming {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            return match self.patience.poll(cx) {
                Poll::Ready(broken) => {
                    self.progress.state.store(3, Relaxed);
                    Poll::Ready(Some(Err(broken)))
                }
                Poll::Pending => Poll::Pending,
            };
        };
        let frame = match frame {
            None => {
                self.progress.state.store(1, Relaxed);
                return Poll::Ready(None);
            }
            Some(Err(error)) => {
                self.progress.state.store(3, Relaxed);
                return Poll::Ready(Some(Err(Broken::Read(error))));
            }
            Some(Ok(frame)) => frame,
        };
        self.progress.frames.fetch_add(1, Relaxed);
        let len = frame.data_ref().map_or(0, |data| data.remaining() as u64);
        self.patience.moved(len);
        self.tally.received.fetch_add(len, Relaxed);
        if let Some(left) = &mut self.left {
            let Some(rest) = left.checked_sub(len) else {
                self.progress.state.store(2, Relaxed);
                return Poll::Ready(Some(Err(Broken::TooLarge)));
            };
            *left = rest;
        }
        if self.body.is_end_stream() {
            self.progress.state.store(1, Relaxed);
        }
        Poll::Ready(Some(Ok(frame)))
    }
}

impl Body for Ask {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Coming(coming) => coming.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Coming(coming) => coming.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Coming(coming) => coming.body.size_hint(),
        }
    }
}

/// Reads the rest of a small body that nobody wants, for a moment: many clients hear no answer before they have
/// sent all. Who waits to be told to send is not told.
pub(crate) async fn forget(headers: &HeaderMap, mut body: Inward) {
    if body.is_end_stream() || headers.contains_key(header::EXPECT) {
        return;
    }
    let read = async {
        let mut left = FORGOTTEN.1;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, bytes::Buf::remaining));
            if left == 0 {
                return;
            }
        }
    };
    // After that time the answer is sent all the same.
    drop(timeout(FORGOTTEN.0, read).await);
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) struct Reply {
    from: From,
    /// The request is under way until the body has been sent.
    under_way: Option<(Use, Busy)>,
}

#[derive(Debug)]
enum From {
    Here(Option<Bytes>),
    There(Box<Going>),
}

#[derive(Debug)]
struct Going {
    body: Incoming,
    patience: Patience,
    /// The connection that it comes by, which is free when all has come.
    lease: Option<Lease>,
    tally: Arc<Tally>,
}

impl Reply {
    /// What the door says itself.
    pub(crate) const fn said(text: Bytes) -> Self {
        Self { from: From::Here(Some(text)), under_way: None }
    }

    /// Nothing.
    pub(crate) const fn empty() -> Self {
        Self { from: From::Here(None), under_way: None }
    }

    /// What a service sends.
    pub(crate) fn relayed(body: Incoming, lease: Option<Lease>, quiet: Duration, tally: &Arc<Tally>) -> Self {
        if body.is_end_stream() {
            // Dropped here, the lease gives its connection back.
            if let Some(lease) = lease {
                lease.done();
            }
            return Self::empty();
        }
        let going = Going { body, patience: Patience::new(quiet, None), lease, tally: Arc::clone(tally) };
        Self { from: From::There(Box::new(going)), under_way: None }
    }

    /// Holds what has to be held until all is sent.
    pub(crate) fn holding(mut self, under_way: Option<(Use, Busy)>) -> Self {
        self.under_way = under_way;
        self
    }
}

impl Going {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            return self.patience.poll(cx).map(|broken| Some(Err(broken)));
        };
        self.patience.moved(0);
        let frame = frame.transpose().map_err(|error| Broken::Read(error.into()))?;
        let len = frame.as_ref().and_then(Frame::data_ref).map_or(0, bytes::Buf::remaining);
        self.tally.sent.fetch_add(len as u64, Relaxed);
        if (frame.is_none() || self.body.is_end_stream())
            && let Some(lease) = self.lease.take()
        {
            lease.done();
        }
        Poll::Ready(frame.map(Ok))
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.from {
            From::Here(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            From::There(going) => going.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.from {
            From::Here(text) => text.is_none(),
            From::There(going) => going.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.from {
            From::Here(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            From::There(going) => going.body.size_hint(),
        }
    }
}
