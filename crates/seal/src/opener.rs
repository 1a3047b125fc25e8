//! Opening a blob, whole or in part.

use std::cmp::Ordering;
use std::ops::Range;

use freehold_crypt::stream::{Position, StreamKey, TAG_LEN, Tampered};
use freehold_wire::BlobName;

use crate::blob::{self, BlobHeader, HeaderError, SEALED_CHUNK_LEN, chunk_count};
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

    /// Opens neighbouring chunks in place: `buffer` holds the ciphertext of exactly these chunks of a
    /// blob of `plain_len` bytes. The plaintext is moved together at the buffer's start; its length
    /// is returned.
    ///
    /// # Errors
    /// [`OpenError::Chunk`], [`OpenError::Cut`] or [`OpenError::Excess`]; the buffer then holds
    /// nothing of use.
    pub fn open_run(
        &self,
        plain_len: u64,
        chunks: Range<u64>,
        buffer: &mut [u8],
    ) -> Result<usize, OpenError> {
        let last = chunk_count(plain_len) - 1;
        let (mut read, mut written) = (0, 0);
        for index in chunks {
            let sealed = sealed_len(plain_len, index).ok_or(OpenError::Excess)?;
            let window = buffer.get_mut(written..read + sealed).ok_or(OpenError::Cut { index })?;
            let at = Position { index, last: index == last };
            let len = self
                .stream
                .open_within(at, window, read - written)
                .map_err(|source| OpenError::Chunk { index, source })?;
            written += len;
            read += sealed;
        }
        if read < buffer.len() { Err(OpenError::Excess) } else { Ok(written) }
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

#[cfg(test)]
mod tests;
