//! A pack: blobs one after another, zeros up to a length of the list, what lies where, and eight
//! bytes that say how long that is. All of it is sealed in chunks under a key of its own, made from
//! the backend's key and the pack's random name: another pack, or a part of it, does not open in
//! its place. docs/formats/backend.md has it byte by byte.

use std::ops::Range;

use freehold_crypt::Secret;
use freehold_crypt::hash::Hasher;
use freehold_crypt::stream::{Position, StreamKey, TAG_LEN, Tampered};
use freehold_wire::{BlobName, Bounded};
use minicbor::{Decode, Encode};

use crate::sizes::padded;

/// Plaintext of a chunk.
pub(crate) const CHUNK: u64 = 64 << 10;
/// The same, sealed.
const SEALED: u64 = CHUNK + TAG_LEN as u64;
/// Length of the index, and a mark.
const TRAILER: u64 = 8;
const MARK: &[u8; 4] = b"FHB1";
const BINDING: &[u8] = b"freehold backend pack, format 1";
/// Blobs of one pack.
pub(crate) const MOST: usize = 16 << 10;
/// Bytes of an index: each row has at most 46.
const INDEX_MAX: u64 = 1 << 20;

/// What lies in a pack.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Index {
    /// Packs of a backend are numbered.
    #[n(0)]
    pub(crate) seq: u64,
    /// When it was written, in milliseconds.
    #[n(1)]
    pub(crate) at: u64,
    /// Blobs in their order, each behind the one before.
    #[n(2)]
    pub(crate) blobs: Bounded<Row, MOST>,
}

/// A blob of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Row {
    #[n(0)]
    pub(crate) name: BlobName,
    #[n(1)]
    pub(crate) len: u64,
    /// When it came, in milliseconds.
    #[n(2)]
    pub(crate) at: u64,
}

fn stream_key(secret: &Secret, name: &[u8; 32]) -> StreamKey {
    StreamKey::derive(secret, name, BINDING)
}

/// Seals a pack from its first byte to its last.
pub(crate) struct Sealer {
    key: StreamKey,
    next: u64,
    chunk: Vec<u8>,
    hash: Hasher,
    /// Plaintext taken in.
    taken: u64,
    /// Sealed bytes given out.
    given: u64,
}

/// What a sealer says at the end.
pub(crate) struct Sealed {
    pub(crate) len: u64,
    pub(crate) hash: [u8; 32],
}

impl Sealer {
    pub(crate) fn new(secret: &Secret, name: &[u8; 32]) -> Self {
        Self {
            key: stream_key(secret, name),
            next: 0,
            chunk: Vec::new(),
            hash: Hasher::plain(),
            taken: 0,
            given: 0,
        }
    }

    /// Takes in bytes; sealed chunks are added to `out`.
    pub(crate) fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            // A full chunk waits until it is known not to be the last.
            if self.chunk.len() as u64 == CHUNK {
                self.seal(false, out);
            }
            let room = usize::try_from(CHUNK).unwrap_or(0).saturating_sub(self.chunk.len());
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.chunk.extend_from_slice(now);
            self.taken = self.taken.saturating_add(now.len() as u64);
            bytes = rest;
        }
    }

    /// How many zeros come before this index.
    pub(crate) fn padding(&self, index: &[u8]) -> u64 {
        let content = self.taken.saturating_add(index.len() as u64).saturating_add(TRAILER);
        padded(content).saturating_sub(content)
    }

    /// Ends with the index, after the zeros.
    pub(crate) fn finish(mut self, index: &[u8], out: &mut Vec<u8>) -> Sealed {
        self.push(index, out);
        let len = u32::try_from(index.len()).unwrap_or(u32::MAX);
        self.push(&len.to_be_bytes(), out);
        self.push(MARK, out);
        self.seal(true, out);
        Sealed { len: self.given, hash: self.hash.finish() }
    }

    fn seal(&mut self, last: bool, out: &mut Vec<u8>) {
        let tag = self.key.seal(Position { index: self.next, last }, &mut self.chunk);
        self.hash.update(&self.chunk).update(&tag);
        out.extend_from_slice(&self.chunk);
        out.extend_from_slice(&tag);
        self.given = self.given.saturating_add((self.chunk.len() + TAG_LEN) as u64);
        self.next += 1;
        self.chunk.clear();
    }
}

/// Whether a pack can be so long.
pub(crate) fn is_length(len: u64) -> bool {
    let plain = plain_of(len);
    plain.is_some_and(|(plain, _)| padded(plain) == plain)
}

/// The bytes that are sealed in so many, and in how many chunks.
fn plain_of(len: u64) -> Option<(u64, u64)> {
    let chunks = len.div_ceil(SEALED);
    let plain = len.checked_sub(chunks.checked_mul(TAG_LEN as u64)?)?;
    (plain > TRAILER && plain.div_ceil(CHUNK) == chunks).then_some((plain, chunks))
}

/// Opens a pack of a given length, any part of it.
pub(crate) struct Opener {
    key: StreamKey,
    /// Plaintext in all.
    plain: u64,
    chunks: u64,
}

impl Opener {
    /// `None` if no pack has that length.
    pub(crate) fn new(secret: &Secret, name: &[u8; 32], len: u64) -> Option<Self> {
        let (plain, chunks) = plain_of(len)?;
        Some(Self { key: stream_key(secret, name), plain, chunks })
    }

    /// The sealed bytes that hold a range.
    pub(crate) fn sealed(&self, range: &Range<u64>) -> Range<u64> {
        let total = self.plain + self.chunks * TAG_LEN as u64;
        (range.start / CHUNK * SEALED).min(total)..(range.end.div_ceil(CHUNK) * SEALED).min(total)
    }

    /// Opens a range from the bytes that [`Self::sealed`] named.
    ///
    /// # Errors
    /// [`Tampered`] if they are not those that were stored.
    pub(crate) fn open(&self, range: &Range<u64>, mut sealed: Vec<u8>) -> Result<Vec<u8>, Tampered> {
        let want = self.sealed(range);
        if sealed.len() as u64 != want.end - want.start || range.end > self.plain {
            return Err(Tampered);
        }
        let first = range.start / CHUNK;
        let mut filled = 0usize;
        for index in first..range.end.div_ceil(CHUNK) {
            let at = usize::try_from((index - first) * SEALED).map_err(|_| Tampered)?;
            let end = sealed.len().min(at + usize::try_from(SEALED).unwrap_or(usize::MAX));
            let place = Position { index, last: index + 1 == self.chunks };
            let window = sealed.get_mut(filled..end).ok_or(Tampered)?;
            filled += self.key.open_within(place, window, at - filled)?;
        }
        let skip = usize::try_from(range.start - first * CHUNK).map_err(|_| Tampered)?;
        let take = usize::try_from(range.end - range.start).map_err(|_| Tampered)?;
        sealed.truncate(skip.saturating_add(take).min(filled));
        sealed.drain(..skip.min(sealed.len()));
        if sealed.len() == take { Ok(sealed) } else { Err(Tampered) }
    }

    /// Whether a whole pack has that length.
    pub(crate) fn is_whole(&self) -> bool {
        padded(self.plain) == self.plain
    }

    /// Whether these are the first bytes of a pack of this name that was longer.
    pub(crate) fn begins(&self, mut first: Vec<u8>) -> bool {
        self.key.open(Position { index: 0, last: false }, &mut first).is_ok()
    }

    /// The range of the last bytes, which say how long the index is; all of the last chunk, since it
    /// is opened anyway.
    pub(crate) fn tail(&self) -> Range<u64> {
        (self.chunks - 1) * CHUNK..self.plain
    }

    /// Where the index lies, from what [`Self::tail`] named.
    pub(crate) fn index_range(&self, tail: &[u8]) -> Option<Range<u64>> {
        let (rest, mark) = tail.split_last_chunk::<4>()?;
        let (_, len) = rest.split_last_chunk::<4>()?;
        let len = u64::from(u32::from_be_bytes(*len));
        let end = self.plain - TRAILER;
        (mark == MARK && len <= INDEX_MAX).then_some(())?;
        Some(end.checked_sub(len)?..end)
    }
}

impl Index {
    pub(crate) fn encode(&self) -> Vec<u8> {
        freehold_wire::to_canonical(self)
    }

    /// Reads an index, and checks that what it names lies before it.
    pub(crate) fn decode(bytes: &[u8], before: u64) -> Option<Self> {
        let max = usize::try_from(INDEX_MAX).unwrap_or(0);
        let index: Self = freehold_wire::from_canonical(bytes, max).ok()?;
        let sum = index.blobs.iter().try_fold(0u64, |sum, row| sum.checked_add(row.len))?;
        (sum <= before).then_some(index)
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "lengths here are small")]
mod tests;
#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "lengths here are small")]
mod vectors;
