//! What a peer's bytes go through before anything is believed, without a network: for the fuzzer and
//! the tests that replay what it found.

use std::collections::VecDeque;

use bytes::Bytes;
use freehold_crypt::{SigningKey, VerifyingKey};
use freehold_wire::NodeId;
use iroh::endpoint::ReadError;

use crate::blob::{QUESTION, question, read_question};
use crate::door::{read_pass, relay_pass};
use crate::frame::{Pieces, read_frame};
use crate::hello::{START, Start};

/// The first word on a connection, read and written again.
pub fn start(bytes: &[u8]) -> Option<Vec<u8>> {
    let bytes: [u8; START] = bytes.try_into().ok()?;
    Some(Start::from_bytes(bytes)?.to_bytes().to_vec())
}

/// A question for a part of a blob, read and written again.
pub fn blob_question(bytes: &[u8]) -> Option<Vec<u8>> {
    let bytes: [u8; QUESTION] = bytes.try_into().ok()?;
    let (haste, blob, range) = read_question(bytes)?;
    Some(question(haste, blob, &range))
}

/// What a newcomer shows to a relay.
pub fn pass(keys: &[&SigningKey], newcomer: NodeId) -> Option<String> {
    relay_pass(keys, newcomer).ok()
}

/// The keys that a pass proves.
pub fn proven(pass: &str, newcomer: NodeId) -> Option<Vec<VerifyingKey>> {
    read_pass(pass, newcomer).map(|proof| proof.keys)
}

struct Cut(VecDeque<Bytes>);

impl Pieces for Cut {
    async fn piece(&mut self, max: usize) -> Result<Option<Bytes>, ReadError> {
        let Some(mut first) = self.0.pop_front() else { return Ok(None) };
        if first.len() > max {
            self.0.push_front(first.split_off(max));
        }
        Ok(Some(first))
    }
}

/// The frames of a stream whose bytes come in pieces of `size`, and whether it ended as it should.
pub async fn frames(stream: &[u8], size: usize, max: usize) -> (Vec<Bytes>, bool) {
    let pieces = stream.chunks(size.max(1)).map(Bytes::copy_from_slice);
    let mut stream = Cut(pieces.collect());
    let mut read = Vec::new();
    loop {
        match read_frame(&mut stream, max).await {
            Ok(Some(frame)) => read.push(frame),
            Ok(None) => return (read, true),
            Err(_) => return (read, false),
        }
    }
}
