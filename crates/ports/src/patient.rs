//! A body that fails when its client goes quiet, so that it cannot hold a place for ever.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub enum BrokeOff<E> {
    /// Nothing came for too long.
    #[error("{} {} seconds", Self::QUIET, .0.as_secs())]
    Quiet(Duration),
    /// The connection failed.
    #[error("reading the request body")]
    Read(#[source] E),
}

impl<E> BrokeOff<E> {
    /// By these words the cause is known after somebody has turned it into text.
    pub const QUIET: &str = "the client sent nothing for";
}

/// A body with a limit on the time between two reads.
#[derive(Debug)]
pub struct Patient<B> {
    inner: B,
    idle: Duration,
    deadline: Pin<Box<Sleep>>,
    waiting: bool,
}

impl<B> Patient<B> {
    /// Waits for `idle` at each read.
    pub fn new(inner: B, idle: Duration) -> Self {
        Self { inner, idle, deadline: Box::pin(tokio::time::sleep(idle)), waiting: false }
    }
}

impl<B: Body + Unpin> Body for Patient<B> {
    type Data = B::Data;
    type Error = BrokeOff<B::Error>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Self::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.waiting = false;
            return Poll::Ready(frame.map(|f| f.map_err(BrokeOff::Read)));
        }
        // The clock runs only while we wait for the client, not while we are slow ourselves.
        if !this.waiting {
            this.waiting = true;
            let at = Instant::now() + this.idle;
            this.deadline.as_mut().reset(at);
        }
        ready!(this.deadline.as_mut().poll(cx));
        Poll::Ready(Some(Err(BrokeOff::Quiet(this.idle))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
