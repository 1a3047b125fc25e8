//! Sealing a blob, in pieces of any size.

use freehold_crypt::Entropy;
use freehold_crypt::hash::Hasher;
use freehold_crypt::stream::{Position, StreamKey};
use freehold_wire::{BlobName, Digest};
use zeroize::Zeroizing;

use crate::blob::{self, Algorithm, BlobHeader, CHUNK_LEN, HEADER_LEN, PLAIN_MAX, SEALED_CHUNK_LEN};
use crate::{Binding, ObjectKey};

/// Sealing cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// One blob holds at most [`PLAIN_MAX`] bytes.
    #[error("a part holds at most {PLAIN_MAX} bytes: write the object in several parts")]
    TooLong,
}

/// What was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedSummary {
    /// The blob's name on every backend.
    pub name: BlobName,
    /// Bytes of plaintext.
    pub plain_len: u64,
    /// Bytes of ciphertext, header included.
    pub cipher_len: u64,
    /// Plain BLAKE3 of the ciphertext, as `b3sum` prints it: a holder without keys checks by it.
    pub hash: Digest,
}

/// Seals one blob: the plaintext of one part of one object, pushed in pieces of any size.
/// Ciphertext is appended to the caller's buffer, which the caller may empty between any two
/// calls; nothing but the chunk that is being filled is kept here.
pub struct BlobSealer {
    stream: StreamKey,
    header: BlobHeader,
    /// The chunk being filled. It is sealed only when more follows: only then it is not the last.
    pending: Zeroizing<Vec<u8>>,
    index: u64,
    plain_len: u64,
    hash: Hasher,
    begun: bool,
}

impl BlobSealer {
    /// Begins a blob. Its name is drawn here and is new each time: sealing the same part again
    /// gives another blob.
    pub fn new(key: &ObjectKey, binding: &Binding, part: u16, entropy: &mut dyn Entropy) -> Self {
        let algorithm = Algorithm::Aes256GcmStream;
        let salt = entropy.bytes32();
        let stream =
            StreamKey::derive(key.secret(), &salt, &binding.of_part(&blob::prefix_of(algorithm), part));
        let header = BlobHeader { algorithm, salt, commitment: *stream.commitment() };
        Self {
            stream,
            header,
            pending: Zeroizing::new(Vec::new()),
            index: 0,
            plain_len: 0,
            hash: Hasher::plain(),
            begun: false,
        }
    }

    /// The blob's name, for those who write while they seal.
    pub const fn name(&self) -> BlobName {
        self.header.name()
    }

    /// Plaintext bytes taken so far.
    pub const fn plain_len(&self) -> u64 {
        self.plain_len
    }

    /// Takes a piece of plaintext and appends what can be sealed of it to `out`.
    ///
    /// # Errors
    /// [`SealError::TooLong`] past [`PLAIN_MAX`]; nothing of the piece is then taken.
    pub fn push(&mut self, mut plain: &[u8], out: &mut Vec<u8>) -> Result<(), SealError> {
        let after = self.plain_len.saturating_add(plain.len() as u64);
        if after > PLAIN_MAX {
            return Err(SealError::TooLong);
        }
        self.plain_len = after;
        let start = out.len();
        self.begin(out);
        if !self.pending.is_empty() {
            let (fill, rest) = plain.split_at(plain.len().min(CHUNK_LEN - self.pending.len()));
            self.pending.extend_from_slice(fill);
            plain = rest;
            if !plain.is_empty() {
                out.reserve(SEALED_CHUNK_LEN);
                self.seal_pending(false, out);
            }
        }
        // Strictly more than a chunk: what may be the last chunk stays.
        while let Some((chunk, rest)) = plain.split_at_checked(CHUNK_LEN).filter(|(_, rest)| !rest.is_empty())
        {
            self.seal_chunk(chunk, false, out);
            plain = rest;
        }
        if !plain.is_empty() {
            if self.pending.capacity() == 0 {
                self.pending.reserve_exact(CHUNK_LEN);
            }
            self.pending.extend_from_slice(plain);
        }
        self.hash.update(out.get(start..).unwrap_or_default());
        Ok(())
    }

    /// Seals what is left as the last chunk and says what was made.
    pub fn finish(mut self, out: &mut Vec<u8>) -> SealedSummary {
        let start = out.len();
        self.begin(out);
        self.seal_pending(true, out);
        self.hash.update(out.get(start..).unwrap_or_default());
        SealedSummary {
            name: self.header.name(),
            plain_len: self.plain_len,
            cipher_len: HEADER_LEN as u64
                + self.plain_len
                + self.index * freehold_crypt::stream::TAG_LEN as u64,
            hash: Digest::from_bytes(self.hash.finish()),
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.begun {
            self.begun = true;
            out.extend_from_slice(&self.header.to_bytes());
        }
    }

    fn seal_pending(&mut self, last: bool, out: &mut Vec<u8>) {
        let mut chunk = std::mem::take(&mut self.pending);
        self.seal_chunk(&chunk, last, out);
        chunk.clear();
        self.pending = chunk;
    }

    fn seal_chunk(&mut self, plain: &[u8], last: bool, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(plain);
        let chunk = out.get_mut(start..).unwrap_or_default();
        let tag = self.stream.seal(Position { index: self.index, last }, chunk);
        out.extend_from_slice(&tag);
        self.index += 1;
    }
}

impl std::fmt::Debug for BlobSealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlobSealer({}, {} bytes)", self.name().short(), self.plain_len)
    }
}

#[cfg(test)]
mod tests;
