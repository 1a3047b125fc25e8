//! A secret under another secret: the key of an object under its bucket's.

use minicbor::{Decode, Encode};

use crate::stream::{Position, StreamKey, TAG_LEN};
use crate::{Entropy, Secret};

/// A wrapped secret does not open: another key, another purpose, or altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a wrapped key does not open with this key for this purpose")]
pub struct WrapError;

/// A wrapped secret: salt (32 bytes), commitment (32), ciphertext and tag (48).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct WrappedKey {
    #[cbor(n(0), with = "minicbor::bytes")]
    salt: [u8; 32],
    #[cbor(n(1), with = "minicbor::bytes")]
    commitment: [u8; 32],
    #[cbor(n(2), with = "minicbor::bytes")]
    sealed: [u8; 32 + TAG_LEN],
}

impl WrappedKey {
    /// All zero: stands where it does not matter how a key is wrapped. It opens under none.
    pub const fn blank() -> Self {
        Self { salt: [0; 32], commitment: [0; 32], sealed: [0; 32 + TAG_LEN] }
    }
}

const ONLY: Position = Position { index: 0, last: true };

/// Wraps `key` under `under`; `binding` says in canonical bytes what the key is for, and must be
/// the same to unwrap it. A fresh salt for each wrapping makes nonces a non-question.
pub fn wrap_key(under: &Secret, binding: &[u8], key: &Secret, entropy: &mut dyn Entropy) -> WrappedKey {
    let salt = entropy.bytes32();
    let stream = StreamKey::derive(&under.derive("freehold 2026 key wrap"), &salt, binding);
    let mut sealed = [0; 32 + TAG_LEN];
    let (body, tag) = sealed.split_at_mut(32);
    body.copy_from_slice(key.expose());
    tag.copy_from_slice(&stream.seal(ONLY, body));
    WrappedKey { salt, commitment: *stream.commitment(), sealed }
}

/// Undoes [`wrap_key`].
///
/// # Errors
/// [`WrapError`] for another key or binding, or an altered wrapping.
pub fn unwrap_key(under: &Secret, binding: &[u8], wrapped: &WrappedKey) -> Result<Secret, WrapError> {
    let stream = StreamKey::derive(&under.derive("freehold 2026 key wrap"), &wrapped.salt, binding);
    if !stream.commits_to(&wrapped.commitment) {
        return Err(WrapError);
    }
    let mut buffer = zeroize::Zeroizing::new(wrapped.sealed);
    stream.open(ONLY, buffer.as_mut_slice()).map_err(|_| WrapError)?;
    let mut key = Secret::zeroed();
    let (body, _) = buffer.split_at(32);
    key.expose_mut().copy_from_slice(body);
    Ok(key)
}

#[cfg(test)]
mod tests;
