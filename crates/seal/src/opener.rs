//! Opening a blob, whole or in part.

use std::cmp::Ordering;
use std::ops::Range;

use freehold_crypt::stream::{Position, StreamKey, TAG_LEN, Tampered};
use freehold_wire::BlobName;

use crate::blob::{self, BlobHeader, HeaderError, SEALED_CHUNK_LEN, chunk_count};
use crate::range::{RangeError, RangePlan, plan_range};
use crate::{Binding, ObjectKey};

/// A blob does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The header cannot be read.
    #[error("reading the header of blob {}", .name.short())]
    Header {
        /// The blob asked for.
        name: BlobName,
        /// What is wrong with it.
        source: HeaderError,
    },
    /// The backend gave another blob than the one asked for.
    #[error("asked for blob {}, got blob {}: swapped or replayed", .wanted.short(), .got.short())]
    OtherBlob {
        /// The name asked for.
        wanted: BlobName,
        /// The name that the header shows.
        got: BlobName,
    },
    /// The key does not fit: the blob belongs to another object, version or part, or its
    /// commitment was altered.
    #[error("blob {} is not sealed for this object, version and part", .name.short())]
    NotForThis {
        /// The blob.
        name: BlobName,
    },
    /// A chunk was altered, moved, repeated or cut.
    #[error("chunk {index} does not open: altered, moved or cut")]
    Chunk {
        /// Its index.
        index: u64,
        /// What the cipher said.
        source: Tampered,
    },
    /// The ciphertext ends before the range does.
    #[error("the ciphertext ends inside chunk {index}: cut")]
    Cut {
        /// The chunk that is missing or not whole.
        index: u64,
    },
    /// More ciphertext than the range has.
    #[error("the ciphertext goes on behind its end")]
    Excess,
}

/// Opens one blob. Made from its first bytes; then chunks can be opened in any order.
pub struct BlobOpener {
    stream: StreamKey,
}

impl BlobOpener {
    /// Reads the header (the first [`crate::HEADER_LEN`] bytes; more do not harm) of the blob
    /// called `name`, and checks that it is that blob and that `key` opens it for this place.
    ///
    /// # Errors
    /// [`OpenError::Header`], [`OpenError::OtherBlob`] or [`OpenError::NotForThis`].
    pub fn new(
        key: &ObjectKey,
        binding: &Binding,
        part: u16,
        name: BlobName,
        header: &[u8],
    ) -> Result<Self, OpenError> {
        let header = BlobHeader::decode(header).map_err(|source| OpenError::Header { name, source })?;
        if header.name() != name {
            return Err(OpenError::OtherBlob { wanted: name, got: header.name() });
        }
        let binding = binding.of_part(&blob::prefix_of(header.algorithm), part);
        let stream = StreamKey::derive(key.secret(), &header.salt, &binding);
        if stream.commits_to(&header.commitment) {
            Ok(Self { stream })
        } else {
            Err(OpenError::NotForThis { name })
        }
    }

    /// Opens a run of neighbouring chunks in place: `buffer` holds the ciphertext of chunks
    /// `first..` of a blob of `plain_len` bytes, whole chunks only. The plaintext is moved
    /// together at the buffer's start; its length is returned.
    ///
    /// # Errors
    /// [`OpenError::Chunk`] or [`OpenError::Cut`]; the buffer then holds nothing of use.
    pub fn open_run(&self, plain_len: u64, first: u64, buffer: &mut [u8]) -> Result<usize, OpenError> {
        let last = chunk_count(plain_len) - 1;
        let (mut index, mut read, mut written) = (first, 0, 0);
        while read < buffer.len() {
            let sealed = sealed_len(plain_len, index).ok_or(OpenError::Excess)?;
            let window = buffer.get_mut(written..read + sealed).ok_or(OpenError::Cut { index })?;
            let at = Position { index, last: index == last };
            let len = self
                .stream
                .open_within(at, &[], window, read - written)
                .map_err(|source| OpenError::Chunk { index, source })?;
            written += len;
            read += sealed;
            index += 1;
        }
        Ok(written)
    }

    /// Begins to open `want` of a blob with `plain_len` bytes of plaintext.
    ///
    /// # Errors
    /// [`RangeError`] for a range that is not inside it.
    pub fn range(self, plain_len: u64, want: Range<u64>) -> Result<RangeOpener, RangeError> {
        let plan = plan_range(plain_len, want)?;
        let (next, skip, left) = (plan.chunks.start, plan.skip, plan.take);
        Ok(RangeOpener { opener: self, plan, next, skip, left, pending: Vec::new() })
    }
}

impl std::fmt::Debug for BlobOpener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BlobOpener(..)")
    }
}

/// Bytes of chunk `index` with its tag; `None` behind the last.
fn sealed_len(plain_len: u64, index: u64) -> Option<usize> {
    let last = chunk_count(plain_len) - 1;
    match index.cmp(&last) {
        Ordering::Less => Some(SEALED_CHUNK_LEN),
        Ordering::Equal => {
            let left = plain_len - index * blob::CHUNK_LEN as u64;
            usize::try_from(left).ok().map(|len| len + TAG_LEN)
        }
        Ordering::Greater => None,
    }
}

/// Opens a range from pieces of ciphertext of any size.
pub struct RangeOpener {
    opener: BlobOpener,
    plan: RangePlan,
    next: u64,
    skip: u64,
    left: u64,
    /// Ciphertext of a chunk that is not whole yet.
    pending: Vec<u8>,
}

impl RangeOpener {
    /// The ciphertext to read and push.
    pub const fn plan(&self) -> &RangePlan {
        &self.plan
    }

    /// Takes the next piece of [`RangePlan::cipher`] and appends the plaintext of the range that
    /// has become readable to `out`.
    ///
    /// # Errors
    /// [`OpenError::Chunk`] or [`OpenError::Excess`]; what was appended before is genuine.
    pub fn push(&mut self, mut cipher: &[u8], out: &mut Vec<u8>) -> Result<(), OpenError> {
        while !cipher.is_empty() {
            if self.next >= self.plan.chunks.end {
                return Err(OpenError::Excess);
            }
            let sealed = sealed_len(self.plan.plain_len, self.next).ok_or(OpenError::Excess)?;
            let (piece, rest) = cipher.split_at(cipher.len().min(sealed - self.pending.len()));
            cipher = rest;
            if self.pending.is_empty() && piece.len() == sealed {
                self.open_chunk(piece, out)?;
            } else {
                self.pending.extend_from_slice(piece);
                if self.pending.len() == sealed {
                    let mut chunk = std::mem::take(&mut self.pending);
                    self.open_chunk(&chunk, out)?;
                    chunk.clear();
                    self.pending = chunk;
                }
            }
        }
        Ok(())
    }

    /// Checks that the range was read to its end.
    ///
    /// # Errors
    /// [`OpenError::Cut`] if ciphertext is missing.
    pub fn finish(self) -> Result<(), OpenError> {
        if self.next == self.plan.chunks.end { Ok(()) } else { Err(OpenError::Cut { index: self.next }) }
    }

    fn open_chunk(&mut self, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), OpenError> {
        let start = out.len();
        out.extend_from_slice(sealed);
        let opened =
            self.opener.open_run(self.plan.plain_len, self.next, out.get_mut(start..).unwrap_or_default());
        let len = match opened {
            Ok(len) => len as u64,
            Err(error) => {
                out.truncate(start);
                return Err(error);
            }
        };
        let skip = self.skip.min(len);
        let take = (len - skip).min(self.left);
        self.skip -= skip;
        self.left -= take;
        self.next += 1;
        // Both are at most a chunk.
        let (skip, take) = (usize::try_from(skip).unwrap_or(0), usize::try_from(take).unwrap_or(0));
        out.truncate(start + skip + take);
        if skip > 0 {
            out.drain(start..start + skip);
        }
        Ok(())
    }
}

impl std::fmt::Debug for RangeOpener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RangeOpener({:?}, next chunk {})", self.plan, self.next)
    }
}

#[cfg(test)]
mod tests;
