//! What a source asks of a target. There is no word that removes a snapshot, changes a dataset, or names one by a path: a
//! backup, a target and a dataset of the declaration are named, and the target works out by its own copy where that lies.

use freehold_wire::{DecodeError, Digest, from_canonical, to_canonical};
use freehold_zfs::Shown;
use minicbor::{Decode, Encode};

/// The longest question or answer, in bytes.
const WORDS_MAX: usize = 4 << 10;
/// The longest body, in bytes.
pub const BODY_MAX: usize = 8 << 20;

/// A backup at a target, by the declaration that the source has.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Pair {
    /// Of the declaration: both ends must have the same.
    #[n(0)]
    pub declaration: Digest,
    /// The backup's name.
    #[n(1)]
    pub backup: String,
    /// The target's.
    #[n(2)]
    pub target: String,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Ask {
    /// What there is.
    #[n(0)]
    Look(#[n(0)] Pair),
    /// A stream begins: of this dataset of the source, for a snapshot with this guid.
    #[n(1)]
    Begin(#[n(0)] Pair, #[n(1)] String, #[n(2)] u64),
    /// A part of it is in the body: of which stream, and the how manieth.
    #[n(2)]
    Part(#[n(0)] u64, #[n(1)] u64),
    /// It was the last.
    #[n(3)]
    End(#[n(0)] u64),
    /// What came in part of this dataset cannot be gone on with.
    #[n(4)]
    Abandon(#[n(0)] Pair, #[n(1)] String),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// What there is, in the body.
    #[n(0)]
    Shown,
    /// The stream has this number.
    #[n(1)]
    Ready(#[n(0)] u64),
    /// Done.
    #[n(2)]
    Done,
    /// The declarations are not the same.
    #[n(4)]
    Differs,
    /// Not done, and why.
    #[n(5)]
    Refused(#[n(0)] String),
}

impl Ask {
    /// As it goes over the mesh.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// Reads one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, WORDS_MAX)
    }
}

impl Answer {
    /// As it goes over the mesh.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// Reads one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, WORDS_MAX)
    }
}

/// What there is, in a body.
pub(crate) fn shown_to_bytes(shown: &Shown) -> Vec<u8> {
    to_canonical(shown)
}

pub(crate) fn shown_from_bytes(bytes: &[u8]) -> Result<Shown, DecodeError> {
    from_canonical(bytes, BODY_MAX)
}
