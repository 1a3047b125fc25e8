//! Deterministic CBOR (RFC 8949 section 4.2.1): integers in the shortest form, definite lengths,
//! map keys ascending. Types derive `minicbor`'s `Encode` and `Decode` with integer keys in
//! ascending order; [`from_canonical`] refuses every other spelling of the same value, because a
//! signed value with two spellings has two ids.

use minicbor::{Decode, Encode};

/// Why bytes are not the canonical encoding of a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not CBOR of the expected shape, or a bound was passed.
    #[error("not a valid encoding: {0}")]
    Malformed(String),
    /// The value was read, but its canonical encoding differs from the bytes given.
    #[error("valid, but not in the one canonical spelling")]
    NotCanonical,
    /// More bytes than any value of this type may take.
    #[error("{got} bytes, at most {max} are allowed")]
    TooLarge {
        /// Length of the input in bytes.
        got: usize,
        /// The largest length accepted, in bytes.
        max: usize,
    },
}

/// Encodes `value`; writing to memory cannot fail.
pub fn to_canonical<T: Encode<()>>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    match minicbor::encode(value, &mut out) {
        Ok(()) => out,
        // `Vec` as a writer has no failure, and our types raise no encode errors of their own.
        Err(_) => unreachable!("encoding to memory failed"),
    }
}

/// Decodes bytes from outside: at most `max` of them, nothing left over, canonical spelling only.
///
/// # Errors
/// [`DecodeError`] says which of the three was violated.
pub fn from_canonical<'b, T>(bytes: &'b [u8], max: usize) -> Result<T, DecodeError>
where
    T: Decode<'b, ()> + Encode<()>,
{
    if bytes.len() > max {
        return Err(DecodeError::TooLarge { got: bytes.len(), max });
    }
    let value: T = minicbor::decode(bytes).map_err(|e| DecodeError::Malformed(e.to_string()))?;
    if to_canonical(&value) == bytes { Ok(value) } else { Err(DecodeError::NotCanonical) }
}

#[cfg(test)]
mod tests;
