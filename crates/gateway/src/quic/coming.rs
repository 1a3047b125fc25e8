//! The body of a request as HTTP/3 brings it.

use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use h3::error::StreamError;
use h3::server::RequestStream;
use http::{HeaderMap, Method, header};
use http_body::Frame;

use super::streams::{Ahead, Receiving};

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    /// The connection or the stream ended.
    #[error("the stream broke")]
    Broke(#[source] StreamError),
    /// Another length was said (RFC 9114, 4.1.2).
    #[error("it has not the length that was said")]
    Length,
}

/// A body on its way.
pub(crate) struct Coming {
    stream: RequestStream<Receiving, Bytes>,
    ahead: Ahead,
    /// What was read to see whether there is anything.
    first: Option<Bytes>,
    left: Option<u64>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Data,
    Trailers,
    Over,
}

impl std::fmt::Debug for Coming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coming").field("left", &self.left).field("state", &self.state).finish_non_exhaustive()
    }
}

impl Coming {
    /// After a head that said so much.
    pub(crate) fn new(stream: RequestStream<Receiving, Bytes>, ahead: Ahead, headers: &HeaderMap) -> Self {
        let length =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        ahead.taken();
        Self { stream, ahead, first: None, left: length, state: State::Data }
    }

    /// Sees whether there is a body at all, which HTTP/3 need not say before. Where there is none as a rule, that is
    /// waited for.
    pub(crate) async fn begin(&mut self, method: &Method) -> Result<(), Unread> {
        if self.left == Some(0) {
            self.state = State::Over;
        }
        if self.left.is_some() {
            return Ok(());
        }
        let as_a_rule = [Method::GET, Method::HEAD, Method::OPTIONS, Method::DELETE].contains(method);
        let first = std::future::poll_fn(|cx| match self.poll_data(cx) {
            Poll::Pending if !as_a_rule => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
            Poll::Ready(first) => Poll::Ready(Some(first)),
        });
        match first.await.transpose()? {
            Some(None) => self.state = State::Over,
            Some(first) => self.first = first,
            None => {}
        }
        Ok(())
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    pub(crate) const fn left(&self) -> Option<u64> {
        self.left
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Unread>>> {
        if self.state == State::Data {
            let data = match self.first.take() {
                Some(first) => Some(Ok(first)),
                None => ready!(self.poll_data(cx)).transpose(),
            };
            if let Some(data) = data {
                return Poll::Ready(Some(data.and_then(|data| self.count(data)).map(Frame::data)));
            }
            self.state = State::Trailers;
            if self.left.is_some_and(|left| left > 0) {
                self.state = State::Over;
                return Poll::Ready(Some(Err(Unread::Length)));
            }
        }
        if self.state == State::Over {
            return Poll::Ready(None);
        }
        let trailers = ready!(self.stream.poll_recv_trailers(cx));
        self.state = State::Over;
        let trailers = trailers.map_err(Unread::Broke).transpose();
        Poll::Ready(trailers.map(|trailers| trailers.map(Frame::trailers)))
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Unread>> {
        let data = ready!(self.stream.poll_recv_data(cx)).map_err(Unread::Broke)?;
        self.ahead.taken();
        Poll::Ready(Ok(data.map(|mut data| data.copy_to_bytes(data.remaining()))))
    }

    fn count(&mut self, data: Bytes) -> Result<Bytes, Unread> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(data.len() as u64).ok_or(Unread::Length)?;
        }
        Ok(data)
    }
}
