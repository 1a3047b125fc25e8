//! What two peers say to each other about the log. Every message is canonical CBOR of at most
//! 256 KiB, and every list in it carries its bound.

use freehold_wire::{Bounded, DecodeError, OpId, from_canonical, to_canonical};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// The longest message, in bytes.
pub const MESSAGE_MAX: usize = 1 << 18;
/// The most heads told.
pub const HEADS_MAX: usize = 1024;
/// The most operations named in a want.
pub const HAVE_MAX: usize = 256;
/// The most operations in a message.
pub const OPERATIONS_MAX: usize = 4096;

/// A message between two peers.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Message {
    /// The operations that no other names as parent: who knows them all lacks nothing.
    #[n(0)]
    Heads {
        /// The heads, the newest [`HEADS_MAX`] if there are more.
        #[n(0)]
        heads: Bounded<OpId, HEADS_MAX>,
        /// How many operations there are.
        #[n(1)]
        total: u64,
        /// Sum over all operations of a hash of their bytes: two who have the same operations with
        /// different signatures find it out by this.
        #[n(2)]
        sum: u64,
    },
    /// Asks for everything that is not in the causal past of these.
    #[n(1)]
    Want {
        /// The asker's heads, and some older operations at growing distances: of heads that the
        /// other has never seen, their past still tells something.
        #[n(0)]
        have: Bounded<OpId, HAVE_MAX>,
    },
    /// Operations, parents before children.
    #[n(2)]
    Operations {
        /// Their bytes.
        #[n(0)]
        operations: Bounded<ByteVec, OPERATIONS_MAX>,
        /// How this message stands to a want.
        #[n(1)]
        answer: Answer,
    },
    /// The sum of [`Message::Heads`] by the first byte of the operations' ids.
    #[n(3)]
    Sums {
        /// 256 sums.
        #[n(0)]
        sums: Bounded<u64, 256>,
    },
}

/// How a message with operations stands to a want.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Answer {
    /// Nobody asked: they are new.
    #[n(0)]
    Push,
    /// More messages of the same answer follow.
    #[n(1)]
    Part,
    /// The answer ends here, and nothing is left to ask for.
    #[n(2)]
    End,
    /// The answer ends here for its length: ask again.
    #[n(3)]
    Cut,
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
            Self::Heads { .. } => "heads",
            Self::Want { .. } => "want",
            Self::Operations { .. } => "operations",
            Self::Sums { .. } => "sums",
        }
    }
}

#[cfg(test)]
mod tests;
