//! What the machine asks of a log: to check operations from outside, to take them in, and to give
//! their bytes. What operations mean is the log's own business.

use freehold_wire::{KeyId, NodeId, OpId};

mod realm;

pub use self::realm::RealmRefusal;

/// An operation that is well formed and truly signed.
#[derive(Debug, Clone)]
pub struct Checked<T> {
    /// Its id.
    pub id: OpId,
    /// The operations that must be there before it.
    pub parents: Vec<OpId>,
    /// The operation as the log takes it.
    pub op: T,
}

/// How an operation stands to what the log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It is not there.
    New,
    /// It is there, but this copy has signatures that are not.
    MoreSignatures,
    /// It is there with all of its signatures.
    Known,
}

/// Whose fault a refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This node's, should it be the sender: it wrote the operation. Others may have heard, in good
    /// faith, of something that makes it fit.
    Author(NodeId),
    /// Nobody's: another log may hold it.
    Nobody,
}

/// A set of operations with parents.
pub trait Log {
    /// An operation, decoded.
    type Op;
    /// Why an operation is refused.
    type Refusal: std::fmt::Debug + std::fmt::Display;

    /// Decodes and verifies an operation from outside; it need not have its parents yet.
    ///
    /// # Errors
    /// The refusal, if nobody could ever accept these bytes.
    fn check(&self, bytes: &[u8]) -> Result<Checked<Self::Op>, Self::Refusal>;

    /// How it stands to what is here.
    fn known(&self, op: &Checked<Self::Op>) -> Known;

    /// The bytes to make durable for it: with the signatures that are here already, because they
    /// replace what is stored.
    fn merged(&self, op: &Checked<Self::Op>) -> Vec<u8>;

    /// Whether the log would not take an operation whose parents are all in it, and whether that is
    /// the fault of whoever sent it.
    fn refuses(&self, _: &Checked<Self::Op>) -> Option<(Self::Refusal, Fault)> {
        None
    }

    /// `after` waits and builds on `before`, which is about to be taken in.
    fn awaited(&mut self, _before: &Checked<Self::Op>, _after: &Checked<Self::Op>) {}

    /// Who made it, if that is anybody whom the log has heard of: nobody else's waits for its parents.
    fn author(&self, _: &Checked<Self::Op>) -> Option<KeyId> {
        Some(KeyId::from_bytes([0; 32]))
    }

    /// Takes in an operation that is durable and whose parents are here. Returns the operations
    /// whose bytes change by that, other than itself.
    ///
    /// # Errors
    /// The refusal, if this log does not take it after all.
    fn admit(&mut self, op: Self::Op) -> Result<Vec<OpId>, Self::Refusal>;

    /// The bytes of an operation that was admitted, with all signatures known.
    fn bytes(&self, id: &OpId) -> Option<Vec<u8>>;

    /// What two logs that have the same of an operation have in common, signatures included.
    fn mark(&self, id: &OpId) -> Option<Vec<u8>> {
        self.bytes(id)
    }

    /// Shows every operation whose causal past is complete, parents before children.
    fn each(&self, see: &mut dyn FnMut(OpId, &[OpId]));
}
