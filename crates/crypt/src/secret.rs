//! Secret bytes: wiped when dropped, never printed.

use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// 32 secret bytes. Compared in constant time, shown as `Secret(..)`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// All zero, to be filled.
    pub const fn zeroed() -> Self {
        Self([0; 32])
    }

    /// Takes over 32 bytes; the caller wipes its own copy.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the few lines that must see them.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The bytes, to be filled.
    pub const fn expose_mut(&mut self) -> &mut [u8; 32] {
        &mut self.0
    }

    /// A secret for one purpose, from this one. `context` is a constant of the program, unique to
    /// the purpose (BLAKE3 `derive_key`).
    #[must_use]
    pub fn derive(&self, context: &'static str) -> Self {
        Self(blake3::derive_key(context, &self.0))
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests;
