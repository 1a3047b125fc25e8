//! The body of a request, by whatever version of HTTP it comes.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::quic;

/// What comes from a client.
#[derive(Debug)]
pub(crate) enum Inward {
    /// By TCP.
    Tcp(Incoming),
    /// By HTTP/3.
    Quic(Box<quic::Coming>),
}

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    /// HTTP/1 and HTTP/2 say.
    #[error(transparent)]
    Tcp(#[from] hyper::Error),
    /// HTTP/3 says.
    #[error(transparent)]
    Quic(#[from] quic::Unread),
}

impl Body for Inward {
    type Data = Bytes;
    type Error = Unread;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Unread>>> {
        match &mut *self {
            Self::Tcp(body) => Pin::new(body).poll_frame(cx).map_err(Unread::Tcp),
            Self::Quic(body) => body.poll(cx).map_err(Unread::Quic),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Tcp(body) => body.is_end_stream(),
            Self::Quic(body) => body.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Tcp(body) => body.size_hint(),
            Self::Quic(body) => body.left().map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
