//! BLAKE3, with a domain for each purpose so that a hash made for one cannot stand for another.

/// BLAKE3 in `derive_key` mode: `domain` is a constant of the program, unique to the purpose.
pub fn digest(domain: &'static str, bytes: &[u8]) -> [u8; 32] {
    Hasher::new(domain).update(bytes).finish()
}

/// The same, over several pieces. Pieces run together: fixed lengths or a length prefix are up to
/// the caller.
#[derive(Debug, Clone)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Starts a hash for one purpose.
    pub fn new(domain: &'static str) -> Self {
        Self(blake3::Hasher::new_derive_key(domain))
    }

    /// A plain BLAKE3 hash, as `b3sum` prints it: for ciphertext that others check with their own
    /// tools.
    pub fn plain() -> Self {
        Self(blake3::Hasher::new())
    }

    /// Adds a piece.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// The hash of everything added so far.
    pub fn finish(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

/// SHA-256, for what others compare with their own tools: a certificate's fingerprint.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    out
}

#[cfg(test)]
mod tests;
