//! Which ciphertext a range of plaintext needs.

use std::ops::Range;

use crate::blob::{CHUNK_LEN, HEADER_LEN, SEALED_CHUNK_LEN, chunk_count, cipher_len};

/// A range that the blob does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// Ends behind the plaintext, or before it begins.
    #[error("bytes {start}..{end} of a part of {len}")]
    Outside {
        /// First byte asked for.
        start: u64,
        /// One past the last byte asked for.
        end: u64,
        /// Bytes there are.
        len: u64,
    },
    /// No blob is that long.
    #[error("a part of {0} bytes is longer than any")]
    TooLong(u64),
}

/// The chunks and the ciphertext bytes that hold a range of plaintext.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangePlan {
    /// Indexes of the chunks to open; never empty, so that even an empty range is vouched for.
    pub chunks: Range<u64>,
    /// Their bytes in the sealed blob, header not included.
    pub cipher: Range<u64>,
    /// Plaintext bytes of the first chunk that come before the range.
    pub skip: u64,
    /// Plaintext bytes in the range.
    pub take: u64,
    /// Plaintext bytes of the whole blob, which say which chunk is the last.
    pub plain_len: u64,
}

/// Plans to read `want` from a blob of `plain_len` bytes of plaintext.
///
/// # Errors
/// [`RangeError`] for a range that is not inside it.
pub fn plan_range(plain_len: u64, want: Range<u64>) -> Result<RangePlan, RangeError> {
    let Some(total) = cipher_len(plain_len) else {
        return Err(RangeError::TooLong(plain_len));
    };
    let Range { start, end } = want;
    if start > end || end > plain_len {
        return Err(RangeError::Outside { start, end, len: plain_len });
    }
    let chunk = CHUNK_LEN as u64;
    let count = chunk_count(plain_len);
    let first = (start / chunk).min(count - 1);
    let after = end.div_ceil(chunk).clamp(first + 1, count);
    let at = |index: u64| (HEADER_LEN as u64 + index * SEALED_CHUNK_LEN as u64).min(total);
    Ok(RangePlan {
        chunks: first..after,
        cipher: at(first)..at(after),
        skip: start - first * chunk,
        take: end - start,
        plain_len,
    })
}

#[cfg(test)]
mod tests;
