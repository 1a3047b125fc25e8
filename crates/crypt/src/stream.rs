//! One sealed stream of chunks: AES-256-GCM in the STREAM construction (Hoang, Reyhanitabar,
//! Rogaway, Vizár, CRYPTO 2015) with a position and a last-chunk flag in the nonce, so that a cut,
//! a swap or a repetition of chunks does not open. A [`StreamKey`] belongs to one stream only and
//! is derived from a fresh salt, which is why counting nonces are safe; chunks can be opened in
//! any order. The key comes with a commitment (32 bytes, published beside the stream): AES-GCM
//! alone would let one ciphertext open under two keys.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use subtle::ConstantTimeEq as _;

use crate::Secret;

/// Bytes that sealing adds to each chunk.
pub const TAG_LEN: usize = 16;

/// A chunk does not open: altered, moved, cut, or another key's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed chunk does not open: it was altered, moved or cut")]
pub struct Tampered;

/// Where a chunk stands in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Counted from 0.
    pub index: u64,
    /// Whether the stream ends with this chunk.
    pub last: bool,
}

impl Position {
    fn nonce(self) -> Nonce {
        let mut nonce = [0; 12];
        let (_, counted) = nonce.split_at_mut(3);
        let (index, last) = counted.split_at_mut(8);
        index.copy_from_slice(&self.index.to_be_bytes());
        last.fill(u8::from(self.last));
        Nonce::assume_unique_for_key(nonce)
    }
}

/// The key of one sealed stream.
pub struct StreamKey {
    key: LessSafeKey,
    commitment: [u8; 32],
}

impl StreamKey {
    /// Derives the key of the stream that `salt` (fresh and random for each stream) and `binding`
    /// (all that the stream is, in canonical bytes) name, from a longer-lived `secret`.
    pub fn derive(secret: &Secret, salt: &[u8; 32], binding: &[u8]) -> Self {
        let mut out = zeroize::Zeroizing::new([0u8; 64]);
        let keyed = secret.derive("freehold 2026 stream key");
        blake3::Hasher::new_keyed(keyed.expose())
            .update(salt)
            .update(binding)
            .finalize_xof()
            .fill(out.as_mut_slice());
        let (key, commitment) = out.split_at(32);
        let mut committed = [0; 32];
        committed.copy_from_slice(commitment);
        let Ok(key) = UnboundKey::new(&AES_256_GCM, key) else { unreachable!("the key has 32 bytes") };
        Self { key: LessSafeKey::new(key), commitment: committed }
    }

    /// What is published beside the stream so that a reader knows the key is the one meant.
    pub const fn commitment(&self) -> &[u8; 32] {
        &self.commitment
    }

    /// Whether this key is the one that `commitment` was made for; in constant time.
    pub fn commits_to(&self, commitment: &[u8; 32]) -> bool {
        self.commitment.ct_eq(commitment).into()
    }

    /// Seals a chunk in place and returns the tag that belongs behind it.
    pub fn seal(&self, at: Position, chunk: &mut [u8]) -> [u8; TAG_LEN] {
        let Ok(tag) = self.key.seal_in_place_separate_tag(at.nonce(), Aad::empty(), chunk) else {
            unreachable!("a chunk is far below the 64 GiB limit of AES-GCM")
        };
        let mut out = [0; TAG_LEN];
        out.copy_from_slice(tag.as_ref());
        out
    }

    /// Opens a chunk (ciphertext and tag) in place and returns the plaintext's length.
    ///
    /// # Errors
    /// [`Tampered`]; the buffer then holds nothing of use.
    pub fn open(&self, at: Position, chunk: &mut [u8]) -> Result<usize, Tampered> {
        self.key.open_in_place(at.nonce(), Aad::empty(), chunk).map(|plain| plain.len()).map_err(|_| Tampered)
    }

    /// Opens the chunk that starts `offset` bytes into `window`, moving the plaintext to the start
    /// of `window` on the way, and returns its length: a run of chunks closes up without a copy.
    ///
    /// # Errors
    /// [`Tampered`]; the buffer then holds nothing of use.
    pub fn open_within(&self, at: Position, window: &mut [u8], offset: usize) -> Result<usize, Tampered> {
        if window.len() < offset {
            return Err(Tampered);
        }
        self.key
            .open_within(at.nonce(), Aad::empty(), window, offset..)
            .map(|plain| plain.len())
            .map_err(|_| Tampered)
    }
}

impl std::fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StreamKey(..)")
    }
}

#[cfg(test)]
mod tests;
