use bytes::Bytes;

use super::{Piece, Recut};
use crate::body::BodyError;

/// Feeds `input` in pieces of `step` bytes; gives what came out, or the refusal.
fn recut(signed: bool, input: &[u8], step: usize) -> Result<(Vec<u8>, bool), BodyError> {
    let mut machine = Recut::new(signed);
    let mut pieces = input.chunks(step);
    let mut out = Vec::new();
    loop {
        match machine.next_piece() {
            Piece::Ready(bytes) => out.extend_from_slice(&bytes),
            Piece::Refused(error) => return Err(error),
            Piece::NeedMore => match pieces.next() {
                Some(piece) => machine.feed(Bytes::copy_from_slice(piece)),
                None => return Ok((out, machine.is_complete())),
            },
        }
    }
}

/// Decodes a well-formed body without signatures: the payload and what follows the last chunk.
fn decode(mut body: &[u8]) -> (Vec<u8>, Vec<u8>, usize) {
    let (mut payload, mut largest) = (Vec::new(), 0);
    loop {
        let end = body.windows(2).position(|w| w == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        body = &body[end + 2..];
        if size == 0 {
            return (payload, body.to_vec(), largest);
        }
        largest = largest.max(size);
        payload.extend_from_slice(&body[..size]);
        assert_eq!(&body[size..size + 2], b"\r\n");
        body = &body[size + 2..];
    }
}

#[test]
fn one_large_chunk_becomes_many_small_ones() {
    let payload: Vec<u8> = (0..100_000u32).map(|i| i.to_le_bytes()[0]).collect();
    let mut body = format!("{:X}\r\n", payload.len()).into_bytes();
    body.extend_from_slice(&payload);
    body.extend_from_slice(b"\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n");
    for step in [1, 7, 4096, 1 << 20] {
        let (out, complete) = recut(false, &body, step).unwrap();
        assert!(complete);
        let (decoded, trailer, largest) = decode(&out);
        assert_eq!(decoded, payload);
        assert_eq!(trailer, b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n");
        assert!(largest <= step);
    }
}

#[test]
fn signed_chunks_pass_unchanged() {
    let signature = "0".repeat(64);
    let body = format!(
        "5;chunk-signature={signature}\r\nhello\r\n3;chunk-signature={signature}\r\nabc\r\n0;chunk-signature={signature}\r\n\r\n"
    );
    for step in [1, 3, 1000] {
        let (out, complete) = recut(true, body.as_bytes(), step).unwrap();
        assert!(complete);
        assert_eq!(out, body.as_bytes());
    }
}

#[test]
fn a_signed_chunk_has_a_bound() {
    let body = format!("ffffffff;chunk-signature={}\r\n", "0".repeat(64));
    assert!(matches!(recut(true, body.as_bytes(), 10), Err(BodyError::ChunkTooLarge { .. })));
}

#[test]
fn a_body_without_its_closing_chunk_is_not_complete() {
    for cut in [b"5\r\nhel".as_slice(), b"5\r\nhello", b"5\r\nhello\r\n", b"", b"5"] {
        let (_, complete) = recut(false, cut, 2).unwrap();
        assert!(!complete, "{cut:?}");
    }
}

#[test]
fn malformed_size_lines_are_refused() {
    let long = [b'1'; 300];
    for body in
        [b"hello\r\n".as_slice(), b"-1\r\n", b"11111111111111111\r\n", b"\r\n", b"5\r\nhelloXX", &long]
    {
        assert!(matches!(recut(false, body, 3), Err(BodyError::Malformed)), "{body:?}");
    }
}
