//! Frames on a stream, and the numbers that bound everything a peer can make us hold.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use iroh::endpoint::{
    ConnectionError, ReadError, RecvStream, SendStream, TransportErrorCode, VarInt, WriteError,
};
use tokio::time::timeout;

use crate::Why;

/// The largest frame, in bytes.
pub const MAX_FRAME: usize = 1 << 20;

/// A read or write that makes no progress for this long ends its stream.
pub(crate) const STALL: Duration = Duration::from_mins(1);

/// A frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame of {0} bytes was announced")]
    TooLarge(usize),
    #[error("no progress for {STALL:?}")]
    Stalled,
    #[error("the stream ended within a frame")]
    Short,
    #[error("the stream broke off")]
    Read(#[source] ReadError),
    #[error("the stream does not take more")]
    Write(#[source] WriteError),
}

impl FrameError {
    /// Whether the peer broke the rules, as opposed to the line breaking.
    pub(crate) const fn is_violation(&self) -> bool {
        matches!(self, Self::TooLarge(_) | Self::Short)
    }
}

/// Writes a frame: its length as four bytes, most significant first, then the body.
pub(crate) async fn write_frame(stream: &mut SendStream, body: Bytes) -> Result<(), FrameError> {
    let length = u32::try_from(body.len()).map_err(|_| FrameError::TooLarge(body.len()))?;
    let mut parts = [Bytes::copy_from_slice(&length.to_be_bytes()), body];
    timeout(STALL, stream.write_all_chunks(&mut parts))
        .await
        .map_err(|_| FrameError::Stalled)?
        .map_err(FrameError::Write)
}

/// Where frames come from.
pub(crate) trait Pieces {
    /// The next bytes, at most `max`; none at the end.
    fn piece(&mut self, max: usize) -> impl Future<Output = Result<Option<Bytes>, ReadError>> + Send;
}

impl Pieces for RecvStream {
    fn piece(&mut self, max: usize) -> impl Future<Output = Result<Option<Bytes>, ReadError>> + Send {
        self.read_chunk(max)
    }
}

/// Reads a frame of at most `max` bytes; `None` at the end of the stream. Waits without limit for
/// a frame to begin, but not for it to go on.
pub(crate) async fn read_frame<S: Pieces>(stream: &mut S, max: usize) -> Result<Option<Bytes>, FrameError> {
    let mut head = BytesMut::with_capacity(4);
    let length = loop {
        if let Some(head) = head.first_chunk() {
            break usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX);
        }
        match stream.piece(4 - head.len()).await.map_err(FrameError::Read)? {
            Some(piece) => head.extend_from_slice(&piece),
            None if head.is_empty() => return Ok(None),
            None => return Err(FrameError::Short),
        }
    };
    if length > max {
        return Err(FrameError::TooLarge(length));
    }
    // Not the claimed length at once: it must be backed by bytes first.
    let mut body = BytesMut::with_capacity(length.min(1 << 16));
    while body.len() < length {
        let chunk = timeout(STALL, stream.piece(length - body.len()))
            .await
            .map_err(|_| FrameError::Stalled)?
            .map_err(FrameError::Read)?
            .ok_or(FrameError::Short)?;
        if body.is_empty() && chunk.len() == length {
            return Ok(Some(chunk));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.freeze()))
}

/// The code and nothing else: a reason in words would tell strangers about us.
pub(crate) const fn close_code(why: Why) -> VarInt {
    VarInt::from_u32(match why {
        Why::Left | Why::Shutdown | Why::Silent => 0,
        // A node that was suspended gets the answer that a stranger gets.
        Why::Refused | Why::Cut => 1,
        Why::Replaced => 2,
        Why::Broke => 3,
    })
}

/// What the end of a connection means, as far as the peer or the line ended it.
pub(crate) fn why_closed(error: &ConnectionError) -> Why {
    match error {
        ConnectionError::ApplicationClosed(close) => match close.error_code.into_inner() {
            1 => Why::Refused,
            2 => Why::Replaced,
            3 => Why::Broke,
            _ => Why::Left,
        },
        ConnectionError::TimedOut | ConnectionError::Reset => Why::Silent,
        ConnectionError::LocallyClosed => Why::Cut,
        // All paths died, or the peer is too busy for a handshake.
        ConnectionError::TransportError(error) if is_of_the_line(error.code) => Why::Silent,
        ConnectionError::ConnectionClosed(close) if is_of_the_line(close.error_code) => Why::Silent,
        ConnectionError::VersionMismatch
        | ConnectionError::TransportError(_)
        | ConnectionError::ConnectionClosed(_)
        | ConnectionError::CidsExhausted => Why::Broke,
    }
}

fn is_of_the_line(code: TransportErrorCode) -> bool {
    code == TransportErrorCode::NO_VIABLE_PATH || code == TransportErrorCode::CONNECTION_REFUSED
}
