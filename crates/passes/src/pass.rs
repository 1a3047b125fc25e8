//! What one of a grant's keys says of a machine.

use freehold_crypt::{Signature, SigningKey, VerifyingKey};
use freehold_wire::{DecodeError, GrantId, KeyId, Millis, NodeId, RealmId, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

/// The longest pass or recall, in bytes.
pub const PASS_MAX: usize = 512;
/// The longest that a pass holds: what is not heard of is over by itself.
pub const LIFE_MAX: Millis = Millis::from_hours(24);

const PASS_TAG: &[u8] = b"freehold 2026 pass\0";
const RECALL_TAG: &[u8] = b"freehold 2026 recall of passes\0";

/// What a pass says: this machine of the borrower's comes under this grant of the lender's. Both realms are in it, so
/// that it means the same nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Claim {
    /// The grant.
    #[n(0)]
    pub grant: GrantId,
    /// The realm that lends.
    #[n(1)]
    pub lender: RealmId,
    /// The realm that borrows.
    #[n(2)]
    pub borrower: RealmId,
    /// The machine.
    #[n(3)]
    pub node: NodeId,
    /// From when.
    #[n(4)]
    pub from: Millis,
    /// Until when.
    #[n(5)]
    pub until: Millis,
}

/// That the passes of a machine count no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Word {
    /// The grant.
    #[n(0)]
    pub grant: GrantId,
    /// The realm that lends.
    #[n(1)]
    pub lender: RealmId,
    /// The realm that borrows.
    #[n(2)]
    pub borrower: RealmId,
    /// The machine.
    #[n(3)]
    pub node: NodeId,
    /// Those that begin then or before.
    #[n(4)]
    pub before: Millis,
}

/// A claim with the signature of one of the grant's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Pass {
    /// What it says.
    #[n(0)]
    pub claim: Claim,
    /// Whose signature it is.
    #[n(1)]
    pub key: KeyId,
    #[n(2)]
    signature: Signature,
}

/// A word with the signature of one of the grant's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Recall {
    /// What it says.
    #[n(0)]
    pub word: Word,
    /// Whose signature it is.
    #[n(1)]
    pub key: KeyId,
    #[n(2)]
    signature: Signature,
}

fn said<T: Encode<()>>(tag: &[u8], what: &T) -> Vec<u8> {
    [tag, &to_canonical(what)].concat()
}

impl Pass {
    /// Signs it.
    pub fn sign(claim: Claim, key: &SigningKey) -> Self {
        let signature = key.sign(&said(PASS_TAG, &claim));
        Self { claim, key: key.verifying().id(), signature }
    }

    /// Whether the key is the one that it names, and has signed it.
    pub fn is_by(&self, key: &VerifyingKey) -> bool {
        key.id() == self.key && key.verify(&said(PASS_TAG, &self.claim), &self.signature).is_ok()
    }

    /// The bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but the one encoding of a pass.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, PASS_MAX)
    }
}

impl Recall {
    /// Signs it.
    pub fn sign(word: Word, key: &SigningKey) -> Self {
        let signature = key.sign(&said(RECALL_TAG, &word));
        Self { word, key: key.verifying().id(), signature }
    }

    /// Whether the key is the one that it names, and has signed it.
    pub fn is_by(&self, key: &VerifyingKey) -> bool {
        key.id() == self.key && key.verify(&said(RECALL_TAG, &self.word), &self.signature).is_ok()
    }

    /// The bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but the one encoding of a recall.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, PASS_MAX)
    }
}
