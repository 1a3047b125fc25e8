//! What `tor` says, read without a `tor`: for the fuzzer and the tests that replay what it found.

use bytes::BytesMut;
use tokio_util::codec::Decoder as _;

use crate::control;
use crate::said::{self, Said, Word};

/// What is believed of a line: how far it is, in percent, and a text that people may be shown.
#[must_use]
pub fn line(text: &str) -> (Option<u8>, Option<String>) {
    match said::line(text) {
        Said::Part(Word::Way { percent, warning }) | Said::Event(Word::Way { percent, warning }) => {
            (Some(percent), warning)
        }
        Said::Refused(why) => (None, Some(why)),
        _ => (None, None),
    }
}

/// The lines of what comes in pieces of `size`, until one is too long or no text.
#[must_use]
pub fn lines(stream: &[u8], size: usize) -> Vec<String> {
    let (mut codec, mut held, mut read) = (control::codec(), BytesMut::new(), Vec::new());
    for piece in stream.chunks(size.max(1)) {
        held.extend_from_slice(piece);
        loop {
            match codec.decode(&mut held) {
                Ok(Some(line)) => read.push(line),
                Ok(None) => break,
                Err(_) => return read,
            }
        }
    }
    read
}

/// The longest line that is taken, in bytes.
pub const LINE_MAX: usize = control::LINE_MAX;
