//! What whoever lent room says, signed, when all that lay there is deleted.

use freehold_crypt::{Signature, SigningKey, VerifyingKey};
use freehold_wire::{DecodeError, GrantId, Millis, NodeId, RealmId, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

use crate::PASS_MAX;

const TAG: &[u8] = b"freehold 2026 receipt of deletion\0";

/// What a receipt says: this machine keeps nothing of the grant any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Deletion {
    /// The grant.
    #[n(0)]
    pub grant: GrantId,
    /// The realm that lent.
    #[n(1)]
    pub lender: RealmId,
    /// The realm that borrowed.
    #[n(2)]
    pub borrower: RealmId,
    /// The machine that kept it.
    #[n(3)]
    pub node: NodeId,
    /// How many objects lay there at last.
    #[n(4)]
    pub objects: u64,
    /// How many bytes they had.
    #[n(5)]
    pub bytes: u64,
    /// When they were deleted.
    #[n(6)]
    pub at: Millis,
}

/// A deletion with the signature of the machine's own key, which its id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Receipt {
    /// What it says.
    #[n(0)]
    pub deletion: Deletion,
    #[n(1)]
    key: VerifyingKey,
    #[n(2)]
    signature: Signature,
}

impl Receipt {
    /// Signs it with the key of the machine that it names.
    pub fn sign(deletion: Deletion, key: &SigningKey) -> Self {
        let signature = key.sign(&said(&deletion));
        Self { deletion, key: key.verifying(), signature }
    }

    /// Whether the machine that it names has signed it.
    pub fn is_signed(&self) -> bool {
        let is_its =
            self.key.ed25519_bytes().is_some_and(|key| NodeId::from_bytes(key) == self.deletion.node);
        is_its && self.key.verify(&said(&self.deletion), &self.signature).is_ok()
    }

    /// The bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// Reads a receipt.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but the one encoding of one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, PASS_MAX)
    }
}

fn said(deletion: &Deletion) -> Vec<u8> {
    [TAG, &to_canonical(deletion)].concat()
}

#[cfg(test)]
mod tests {
    use freehold_crypt::{Algorithm, Secret};
    use proptest::prelude::*;

    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes([seed; 32]))
    }

    fn deletion(of: &SigningKey) -> Deletion {
        Deletion {
            grant: GrantId::from_bytes([1; 32]),
            lender: RealmId::from_bytes([2; 32]),
            borrower: RealmId::from_bytes([3; 32]),
            node: NodeId::from_bytes(of.verifying().ed25519_bytes().unwrap()),
            objects: 4,
            bytes: 5,
            at: Millis(6),
        }
    }

    #[test]
    fn only_the_machine_itself_says_so() {
        let receipt = Receipt::sign(deletion(&key(1)), &key(1));
        assert!(receipt.is_signed());
        assert_eq!(Receipt::from_bytes(&receipt.to_bytes()).unwrap(), receipt);
        assert!(!Receipt::sign(deletion(&key(1)), &key(2)).is_signed(), "another machine's key");
        let changed = Deletion { bytes: 6, ..receipt.deletion };
        assert!(!Receipt { deletion: changed, ..receipt }.is_signed());
    }

    proptest! {
        #[test]
        fn a_receipt_that_was_changed_is_none(at in 0usize..300, bit in 0u8..8) {
            let mut bytes = Receipt::sign(deletion(&key(1)), &key(1)).to_bytes();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            let read = Receipt::from_bytes(&bytes);
            prop_assert!(read.is_err() || !read.unwrap().is_signed());
        }
    }
}
