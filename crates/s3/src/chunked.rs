//! Re-cutting of the `aws-chunked` encoding (chunks with a size line, then trailers).
//!
//! `s3s` decodes this encoding, but gathers each chunk in memory before it hands it on, and takes a
//! body that stops between two chunks for a complete one. Some clients send the whole object as one
//! chunk. So bodies pass through here first: chunks without a signature are cut to the pieces in
//! which they arrive (no byte is copied), chunks with a signature must be of a bounded size, and a
//! body without its closing chunk is an error. Signatures and trailers are still judged by `s3s`.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use crate::body::BodyError;

/// SDKs sign chunks of 64 KiB to 1 MiB.
const SIGNED_CHUNK_MAX_BYTES: u64 = 16 << 20;
/// A size line: up to 16 hexadecimal digits and a signature of 85 characters.
const LINE_MAX_BYTES: usize = 256;

/// What to do next.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Pass this on.
    Ready(Bytes),
    /// Read more and [`Recut::feed`] it.
    NeedMore,
    /// The body is not acceptable.
    Refused(BodyError),
}

#[derive(Debug)]
enum State {
    Line(BytesMut),
    Data {
        left: u64,
    },
    /// The line break after a chunk that was not re-cut passes through with it.
    Trailer,
}

/// The machine. It is fed what arrives and gives what `s3s` should see.
#[derive(Debug)]
pub(crate) struct Recut {
    signed: bool,
    state: State,
    /// True after a re-cut chunk: its own line break is still to be dropped.
    skip_line_break: u8,
    input: Bytes,
    output: VecDeque<Bytes>,
}

impl Recut {
    pub(crate) fn new(signed: bool) -> Self {
        Self {
            signed,
            state: State::Line(BytesMut::new()),
            skip_line_break: 0,
            input: Bytes::new(),
            output: VecDeque::new(),
        }
    }

    /// Hands in what arrived; only after [`Piece::NeedMore`].
    pub(crate) fn feed(&mut self, bytes: Bytes) {
        debug_assert!(self.input.is_empty(), "fed before the last piece was used up");
        self.input = bytes;
    }

    /// Whether the closing chunk was seen.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.state, State::Trailer)
    }

    pub(crate) fn next_piece(&mut self) -> Piece {
        loop {
            if let Some(bytes) = self.output.pop_front() {
                return Piece::Ready(bytes);
            }
            if self.input.is_empty() {
                return Piece::NeedMore;
            }
            if let Err(error) = self.step() {
                return Piece::Refused(error);
            }
        }
    }

    fn step(&mut self) -> Result<(), BodyError> {
        match &mut self.state {
            State::Trailer => self.output.push_back(std::mem::take(&mut self.input)),
            State::Data { left } => {
                let available = u64::try_from(self.input.len()).unwrap_or(u64::MAX);
                let take = available.min(*left);
                *left -= take;
                let done = *left == 0;
                let data = self.input.split_to(usize::try_from(take).unwrap_or(usize::MAX));
                if self.signed {
                    self.output.push_back(data);
                } else {
                    self.output.push_back(Bytes::from(format!("{:x}\r\n", data.len())));
                    self.output.push_back(data);
                    self.output.push_back(Bytes::from_static(b"\r\n"));
                }
                if done {
                    self.skip_line_break = 2;
                    self.state = State::Line(BytesMut::new());
                }
            }
            State::Line(_) => self.step_line()?,
        }
        Ok(())
    }

    fn step_line(&mut self) -> Result<(), BodyError> {
        while self.skip_line_break > 0 {
            let Some(&byte) = self.input.first() else { return Ok(()) };
            let wanted = if self.skip_line_break == 2 { b'\r' } else { b'\n' };
            if byte != wanted {
                return Err(BodyError::Malformed);
            }
            self.input.advance(1);
            self.skip_line_break -= 1;
            if self.skip_line_break == 0 && self.signed {
                self.output.push_back(Bytes::from_static(b"\r\n"));
            }
        }
        let State::Line(line) = &mut self.state else { return Ok(()) };
        let end = self.input.iter().position(|&b| b == b'\n').map(|i| i + 1);
        let part = self.input.split_to(end.unwrap_or(self.input.len()));
        line.extend_from_slice(&part);
        if line.len() > LINE_MAX_BYTES {
            return Err(BodyError::Malformed);
        }
        if end.is_none() {
            return Ok(());
        }
        let line = line.split().freeze();
        let size = chunk_size(&line).ok_or(BodyError::Malformed)?;
        if size == 0 {
            self.output.push_back(line);
            self.state = State::Trailer;
            return Ok(());
        }
        if self.signed {
            if size > SIGNED_CHUNK_MAX_BYTES {
                return Err(BodyError::ChunkTooLarge { size, max: SIGNED_CHUNK_MAX_BYTES });
            }
            self.output.push_back(line);
        }
        self.state = State::Data { left: size };
        Ok(())
    }
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let (digits, rest) = line.split_at_checked(digits)?;
    if !matches!(rest.first(), Some(b';' | b'\r')) || digits.len() > 16 {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests;
