//! What replicas say to each other. Every message is canonical CBOR of at most [`MESSAGE_MAX`]
//! bytes, and every list in it carries its bound.

use freehold_wire::{BlobName, Bounded, BucketId, DecodeError, Millis, NodeId, from_canonical, to_canonical};
use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};

use crate::Entry;

/// The longest message, in bytes: the longest entry with the longest payload fits.
pub const MESSAGE_MAX: usize = (1 << 20) - 1024;
/// The most entries in one message.
pub const ROWS_MAX: usize = 1024;
/// The most vectors in one message.
pub(crate) const VECTORS_MAX: usize = 1024;
/// The most bytes of bits in one message: 65,536 numbers.
pub(crate) const BITS_MAX: usize = 8192;

/// The most buckets in one message about checks.
pub(crate) const CHECKS_MAX: usize = 1024;

/// A stream's history in short: whoever has the same has the same entries.
pub(crate) type Chain = ByteArray<16>;

/// An entry with its payload; without, if that was erased.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Row {
    /// The entry.
    #[n(0)]
    pub entry: Entry,
    /// Its payload.
    #[n(1)]
    pub payload: Option<ByteVec>,
}

/// What somebody has of one origin's entries in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Vector {
    /// The bucket, or the directory.
    #[n(0)]
    pub bucket: BucketId,
    /// Whose entries.
    #[n(1)]
    pub origin: NodeId,
    /// All up to this number.
    #[n(2)]
    pub seq: u64,
    /// Their history in short.
    #[n(3)]
    pub chain: Chain,
    /// Sum of the bits that say which of them are held with all their blobs.
    #[n(4)]
    pub held: u64,
}

/// A message between replicas.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Message {
    /// What the sender has.
    #[n(0)]
    Vectors {
        /// A line for each stream.
        #[n(0)]
        vectors: Bounded<Vector, VECTORS_MAX>,
        /// Whether this belongs to a telling of everything, as opposed to news.
        #[n(1)]
        whole: bool,
        /// Tells apart by what view of the realm the sender gives copies up.
        #[n(2)]
        view: u64,
    },
    /// Asks for entries.
    #[n(1)]
    Ask {
        /// The bucket.
        #[n(0)]
        bucket: BucketId,
        /// Whose entries.
        #[n(1)]
        origin: NodeId,
        /// The first number wanted.
        #[n(2)]
        from: u64,
        /// The asker's history before it.
        #[n(3)]
        chain: Chain,
    },
    /// Entries, ascending within a stream.
    #[n(2)]
    Entries {
        /// The entries with their payloads.
        #[n(0)]
        rows: Bounded<Row, ROWS_MAX>,
    },
    /// The sender's history up to a number, to find where two histories part.
    #[n(3)]
    Chain {
        /// The bucket.
        #[n(0)]
        bucket: BucketId,
        /// Whose entries.
        #[n(1)]
        origin: NodeId,
        /// Up to this number.
        #[n(2)]
        seq: u64,
        /// The history.
        #[n(3)]
        chain: Chain,
        /// Whether this answers such a message, and wants no answer itself.
        #[n(4)]
        reply: bool,
    },
    /// Asks which entries the other holds with all their blobs.
    #[n(4)]
    AskHolds {
        /// The bucket.
        #[n(0)]
        bucket: BucketId,
        /// Whose entries.
        #[n(1)]
        origin: NodeId,
    },
    /// Which entries the sender holds with all their blobs, and which not.
    #[n(5)]
    Holds {
        /// The bucket.
        #[n(0)]
        bucket: BucketId,
        /// Whose entries.
        #[n(1)]
        origin: NodeId,
        /// The number of the first bit.
        #[n(2)]
        from: u64,
        /// How many bits.
        #[n(3)]
        count: u32,
        /// The bits, lowest first.
        #[n(4)]
        bits: ByteVec,
    },
    /// The other's copy of a blob is missing or not what its entry says.
    #[n(6)]
    Bad {
        /// The bucket.
        #[n(0)]
        bucket: BucketId,
        /// The blob.
        #[n(1)]
        blob: BlobName,
    },
    /// When the sender began to read all that it holds of a bucket, the last time that it came to the end.
    #[n(7)]
    Checked {
        /// Buckets, and the sender's wall time.
        #[n(0)]
        rows: Bounded<(BucketId, Millis), CHECKS_MAX>,
    },
}

impl Message {
    /// Reads a message from a peer.
    ///
    /// # Errors
    /// [`DecodeError`] if it is too long, not a message, or not in its one spelling.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, MESSAGE_MAX)
    }

    /// Its one encoding.
    pub fn encode(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// One word, for traces and counters.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Vectors { .. } => "vectors",
            Self::Ask { .. } => "ask",
            Self::Entries { .. } => "entries",
            Self::Chain { .. } => "chain",
            Self::AskHolds { .. } => "ask-holds",
            Self::Holds { .. } => "holds",
            Self::Bad { .. } => "bad",
            Self::Checked { .. } => "checked",
        }
    }
}

#[cfg(test)]
mod tests;
