//! The outside of a sealed blob: its header and its lengths.

use freehold_wire::BlobName;

/// Plaintext bytes of every chunk but the last.
pub const CHUNK_LEN: usize = 1 << CHUNK_LOG2;
/// A full chunk with its tag.
pub const SEALED_CHUNK_LEN: usize = CHUNK_LEN + freehold_crypt::stream::TAG_LEN;
/// Bytes in front of the first chunk.
pub const HEADER_LEN: usize = 80;
/// The longest plaintext of one blob: 1 TiB, which keeps AES-GCM far inside its safe use
/// (2^36 blocks under one key: an advantage below 2^-55). Longer objects have several parts.
pub const PLAIN_MAX: u64 = 1 << 40;

pub(crate) const CHUNK_LOG2: u8 = 16;
const MAGIC: [u8; 8] = *b"FREEHOLD";
const FORMAT: u8 = 1;
const TAG: u64 = freehold_crypt::stream::TAG_LEN as u64;

/// How a blob's chunks are sealed; the number is what the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Algorithm {
    /// AES-256-GCM in the STREAM construction, keys and commitment by BLAKE3.
    Aes256GcmStream = 1,
}

/// Bytes that are not a header we can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Fewer bytes than a header has.
    #[error("a sealed blob starts with {HEADER_LEN} bytes of header, here are {0}")]
    Short(usize),
    /// Something else altogether.
    #[error("not a sealed blob")]
    NotABlob,
    /// Written by a later Freehold.
    #[error("sealed in format {0}, this program reads format {FORMAT}: install a newer one")]
    Format(u8),
    /// Sealed with an algorithm we do not have.
    #[error("sealed with algorithm {0}, which this program does not know: install a newer one")]
    Algorithm(u8),
    /// Chunks of a size we do not read.
    #[error("sealed in chunks of 2^{0} bytes, this program reads 2^{CHUNK_LOG2}")]
    ChunkSize(u8),
    /// Bytes that must be zero are not.
    #[error("the header's reserved bytes are not zero")]
    Reserved,
}

/// The first 80 bytes of a sealed blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobHeader {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Fresh and random for each sealing; also the blob's name.
    pub salt: [u8; 32],
    /// What tells a reader that its key is the one meant, before it opens anything.
    pub commitment: [u8; 32],
}

impl BlobHeader {
    /// The name of the blob that starts with this header: a backend that serves another blob,
    /// or an older one, under a name is found out by the first 80 bytes, even without a key.
    pub const fn name(&self) -> BlobName {
        BlobName::from_bytes(self.salt)
    }

    /// Reads the header at the start of `bytes`.
    ///
    /// # Errors
    /// [`HeaderError`] says what is not as expected.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let short = HeaderError::Short(bytes.len());
        let (magic, rest) = bytes.split_first_chunk::<8>().ok_or(short)?;
        let ([format, algorithm, log2, reserved @ ..], rest) = rest.split_first_chunk::<8>().ok_or(short)?;
        if *magic != MAGIC {
            return Err(HeaderError::NotABlob);
        }
        if *format != FORMAT {
            return Err(HeaderError::Format(*format));
        }
        if *algorithm != Algorithm::Aes256GcmStream as u8 {
            return Err(HeaderError::Algorithm(*algorithm));
        }
        if *log2 != CHUNK_LOG2 {
            return Err(HeaderError::ChunkSize(*log2));
        }
        if *reserved != [0; 5] {
            return Err(HeaderError::Reserved);
        }
        let (salt, rest) = rest.split_first_chunk::<32>().ok_or(short)?;
        let (commitment, _) = rest.split_first_chunk::<32>().ok_or(short)?;
        Ok(Self { algorithm: Algorithm::Aes256GcmStream, salt: *salt, commitment: *commitment })
    }

    /// Its 80 bytes.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        let (prefix, rest) = out.split_at_mut(16);
        let (salt, commitment) = rest.split_at_mut(32);
        prefix.copy_from_slice(&prefix_of(self.algorithm));
        salt.copy_from_slice(&self.salt);
        commitment.copy_from_slice(&self.commitment);
        out
    }
}

/// The header's first 16 bytes: all but salt and commitment.
pub(crate) const fn prefix_of(algorithm: Algorithm) -> [u8; 16] {
    let mut out = [0; 16];
    let (magic, fields) = out.split_at_mut(MAGIC.len());
    magic.copy_from_slice(&MAGIC);
    let (fields, _reserved) = fields.split_at_mut(3);
    fields.copy_from_slice(&[FORMAT, algorithm as u8, CHUNK_LOG2]);
    out
}

/// Chunks of a blob with `plain` bytes of plaintext. An empty one has one empty chunk, which says
/// that it was meant to be empty.
pub const fn chunk_count(plain: u64) -> u64 {
    if plain == 0 { 1 } else { plain.div_ceil(CHUNK_LEN as u64) }
}

/// Bytes of the sealed blob with `plain` bytes of plaintext; `None` past [`PLAIN_MAX`].
pub const fn cipher_len(plain: u64) -> Option<u64> {
    if plain > PLAIN_MAX { None } else { Some(HEADER_LEN as u64 + plain + chunk_count(plain) * TAG) }
}

/// Bytes of plaintext in a sealed blob of `cipher` bytes; `None` if no blob has that length.
pub const fn plain_len(cipher: u64) -> Option<u64> {
    let Some(body) = cipher.checked_sub(HEADER_LEN as u64 + TAG) else { return None };
    // With n chunks the body is plain + n tags, one of which is already off.
    let full = body / SEALED_CHUNK_LEN as u64;
    let plain = body - full * TAG;
    match cipher_len(plain) {
        Some(len) if len == cipher => Some(plain),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
