//! The realm log as a log.

use freehold_realm::{Body, InsertError, Inserted, Op, OpError, OpSet};
use freehold_wire::{KeyId, NodeId, OpId};

use super::{Checked, Fault, Known, Log};

/// Why an operation is not taken into the realm log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RealmRefusal {
    /// It is not an operation.
    #[error("not an operation")]
    Decode(#[source] OpError),
    /// The set does not take it.
    #[error("the set of operations does not take it: {0}")]
    Insert(#[source] InsertError),
}

impl RealmRefusal {
    /// The operation, if it was the set that did not take it: it is of no use on the disk then.
    pub const fn kept_out(&self) -> Option<OpId> {
        match self {
            Self::Insert(InsertError::Stranger(op) | InsertError::Unheard(op) | InsertError::Surplus(op)) => {
                Some(*op)
            }
            _ => None,
        }
    }
}

impl Log for OpSet {
    type Op = Op;
    type Refusal = RealmRefusal;

    fn check(&self, bytes: &[u8]) -> Result<Checked<Op>, RealmRefusal> {
        let op = Op::decode(bytes).map_err(RealmRefusal::Decode)?;
        let (ours, theirs) = (self.realm(), op.realm());
        if ours != theirs {
            return Err(RealmRefusal::Insert(InsertError::OtherRealm { theirs, ours }));
        }
        let checked = Checked { id: op.id(), parents: op.parents().collect(), op };
        // Signatures of what is here already were verified when it came.
        if self.known(&checked) != Known::Known {
            let Checked { id, op, .. } = &checked;
            op.verify().map_err(|why| RealmRefusal::Insert(InsertError::Verify { op: *id, why }))?;
        }
        Ok(checked)
    }

    fn known(&self, checked: &Checked<Op>) -> Known {
        match self.weigh(&checked.op) {
            Inserted::New => Known::New,
            Inserted::Known => Known::Known,
            Inserted::MoreSignatures => Known::MoreSignatures,
        }
    }

    fn refuses(&self, checked: &Checked<Op>) -> Option<(RealmRefusal, Fault)> {
        let why = self.hear(&checked.op).err()?;
        let author = checked.op.head().author.ed25519_bytes().map(NodeId::from_bytes);
        let fault = match (&why, author) {
            (InsertError::Unheard(_), Some(node)) => Fault::Author(node),
            _ => Fault::Nobody,
        };
        Some((RealmRefusal::Insert(why), fault))
    }

    fn awaited(&mut self, before: &Checked<Op>, after: &Checked<Op>) {
        self.spare(&before.op, &after.op);
    }

    fn author(&self, checked: &Checked<Op>) -> Option<KeyId> {
        let author = checked.op.head().author.id();
        self.has_heard_of(&author).then_some(author)
    }

    fn merged(&self, checked: &Checked<Op>) -> Vec<u8> {
        OpSet::merged(self, &checked.op).to_bytes()
    }

    fn admit(&mut self, op: Op) -> Result<Vec<OpId>, RealmRefusal> {
        let touched = match op.body() {
            Body::Endorse(endorse) => vec![endorse.op],
            _ => Vec::new(),
        };
        self.take_in(op).map_err(RealmRefusal::Insert)?;
        Ok(touched)
    }

    fn bytes(&self, id: &OpId) -> Option<Vec<u8>> {
        self.get(id).map(Op::to_bytes)
    }

    /// Its id and whose signatures it has: of a key's many signatures each log may hold another one.
    fn mark(&self, id: &OpId) -> Option<Vec<u8>> {
        let op = self.get(id)?;
        let signers = op.signatures().iter().flat_map(|s| *s.key.id().as_bytes());
        Some(id.as_bytes().iter().copied().chain(signers).collect())
    }

    fn each(&self, see: &mut dyn FnMut(OpId, &[OpId])) {
        let mut parents = Vec::new();
        for op in self.iter() {
            parents.clear();
            parents.extend(op.parents());
            see(op.id(), &parents);
        }
    }
}
