//! The request body as the rest of the crate sees it: it fails when the client goes quiet, and an
//! `aws-chunked` body is re-cut so that `s3s`, which holds one chunk in memory at a time, holds little.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use freehold_ports::{BrokeOff, Patient};
use futures::Stream;
use http_body::Body;
use hyper::body::Incoming;
use s3s::StdError;
use s3s::stream::{ByteStream, RemainingLength};

use crate::chunked::{Piece, Recut};

/// By these words a cause is known after `s3s` has turned it into text.
pub(crate) const IDLE: &str = BrokeOff::<hyper::Error>::QUIET;
pub(crate) const MALFORMED: &str = "malformed chunk header";
pub(crate) const CHUNK_TOO_LARGE: &str = "a signed chunk is too large";

/// Why a request body broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the aws-chunked body ended before its last chunk")]
    Truncated,
    #[error("aws-chunked: {MALFORMED}")]
    Malformed,
    #[error("aws-chunked: {CHUNK_TOO_LARGE}: {size} bytes, at most {max} are accepted")]
    ChunkTooLarge { size: u64, max: u64 },
}

/// A request body with a limit on the time between two reads.
pub(crate) type PatientBody = Patient<Incoming>;

/// An `aws-chunked` request body, cut into chunks of the size in which it arrives.
pub(crate) struct RecutBody {
    inner: PatientBody,
    recut: Recut,
    ended: bool,
}

impl RecutBody {
    pub(crate) fn new(inner: PatientBody, recut: Recut) -> Self {
        Self { inner, recut, ended: false }
    }
}

impl Stream for RecutBody {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if this.ended {
                return Poll::Ready(None);
            }
            match this.recut.next_piece() {
                Piece::Ready(bytes) => return Poll::Ready(Some(Ok(bytes))),
                Piece::Refused(error) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(Box::new(error))));
                }
                Piece::NeedMore => {}
            }
            match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        this.recut.feed(data);
                    }
                }
                Some(Err(error)) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(Box::new(error))));
                }
                None if this.recut.is_complete() => this.ended = true,
                None => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(Box::new(BodyError::Truncated))));
                }
            }
        }
    }
}

impl ByteStream for RecutBody {
    fn remaining_length(&self) -> RemainingLength {
        RemainingLength::unknown()
    }
}
