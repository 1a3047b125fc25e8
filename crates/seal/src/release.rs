//! What a node that reads a bucket tells those that only keep it: which entries were overwritten or
//! deleted, so that their payloads and blobs may go. It stands in clear, for those who have no key,
//! and says no more than that: not what took an entry's place, nor when.

use freehold_wire::{Bounded, DecodeError, NodeId, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

use crate::PAYLOAD_MAX;

const MAGIC: [u8; 2] = *b"FR";
const FORMAT: u8 = 1;
/// Origins in one release.
pub const ORIGINS_MAX: usize = 1024;
/// Entries of one origin in one release.
pub const RELEASED_MAX: usize = 10_000;

/// Entries of a bucket that nobody needs any more.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Release(#[n(0)] pub Bounded<Released, ORIGINS_MAX>);

/// Entries of one origin.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Released {
    /// The node that wrote them.
    #[n(0)]
    pub origin: NodeId,
    /// Their numbers.
    #[n(1)]
    pub numbers: Bounded<u64, RELEASED_MAX>,
}

/// Bytes that are not a release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseDecodeError {
    /// Something else.
    #[error("not a release")]
    NotARelease,
    /// Written by a later Freehold.
    #[error("a release of format {0}, this program reads format {FORMAT}: install a newer one")]
    Format(u8),
    /// The fields do not decode.
    #[error("reading a release's fields")]
    Fields {
        /// What is wrong with them.
        source: DecodeError,
    },
}

impl Release {
    /// The bytes of an entry's payload.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![MAGIC[0], MAGIC[1], FORMAT];
        out.extend_from_slice(&to_canonical(self));
        out
    }

    /// Reads [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`ReleaseDecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ReleaseDecodeError> {
        let ([a, b, format], fields) =
            bytes.split_first_chunk::<3>().ok_or(ReleaseDecodeError::NotARelease)?;
        if !Self::is_magic([*a, *b]) {
            return Err(ReleaseDecodeError::NotARelease);
        }
        if *format != FORMAT {
            return Err(ReleaseDecodeError::Format(*format));
        }
        from_canonical(fields, PAYLOAD_MAX).map_err(|source| ReleaseDecodeError::Fields { source })
    }

    /// Every entry: who wrote it, and its number.
    pub fn entries(&self) -> impl Iterator<Item = (NodeId, u64)> {
        self.0.iter().flat_map(|of| of.numbers.iter().map(|number| (of.origin, *number)))
    }

    pub(crate) fn is_magic(magic: [u8; 2]) -> bool {
        magic == MAGIC
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was_and_nothing_else_is_taken() {
        let of = |origin, numbers: &[u64]| Released {
            origin: NodeId::from_bytes([origin; 32]),
            numbers: Bounded::from_vec(numbers.to_vec()).unwrap(),
        };
        let release = Release(Bounded::from_vec(vec![of(1, &[3, 70_000]), of(2, &[1])]).unwrap());
        let bytes = release.to_bytes();
        assert_eq!(Release::decode(&bytes).unwrap(), release);
        let node = |n| NodeId::from_bytes([n; 32]);
        let entries: Vec<_> = release.entries().collect();
        assert_eq!(entries, [(node(1), 3), (node(1), 70_000), (node(2), 1)]);
        assert_eq!(Release::decode(b"FE\x01\x80"), Err(ReleaseDecodeError::NotARelease));
        assert_eq!(Release::decode(b"FR\x02\x80"), Err(ReleaseDecodeError::Format(2)));
        for cut in 3..bytes.len() {
            assert!(Release::decode(&bytes[..cut]).is_err());
        }
        assert!(Release::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
    }
}
