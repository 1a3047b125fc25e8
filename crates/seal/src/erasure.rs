//! A node's word that it has carried out an erasure. It is signed by itself, beside the directory's entry
//! that brings it: a receipt shows it to people who have none of the realm's keys.

use freehold_crypt::{Signature, SigningKey, VerifyingKey};
use freehold_wire::{Millis, NodeId, OpId, RealmId, to_canonical};
use minicbor::{Decode, Encode};

/// A node's word that it has destroyed what an operation of the realm log says, and the key that opened
/// earlier boxes with that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Erased {
    /// The node.
    #[n(0)]
    pub node: NodeId,
    /// The operation.
    #[n(1)]
    pub erasure: OpId,
    /// When it was done, by the node's clock.
    #[n(2)]
    pub at: Millis,
    /// The node's signature.
    #[n(3)]
    pub signature: Signature,
}

fn message(realm: RealmId, (node, erasure, at): (NodeId, OpId, Millis)) -> Vec<u8> {
    let mut out = b"freehold 2026 erased".to_vec();
    out.extend_from_slice(&to_canonical(&(realm, erasure, node, at)));
    out
}

impl Erased {
    /// Says it for `node`, whose key this is.
    pub fn sign(realm: RealmId, node: NodeId, erasure: OpId, at: Millis, key: &SigningKey) -> Self {
        Self { node, erasure, at, signature: key.sign(&message(realm, (node, erasure, at))) }
    }

    /// Whether that node said it.
    pub fn is_genuine(&self, realm: RealmId) -> bool {
        // A node's id is its Ed25519 key; algorithm 1 in front makes it a verifying key.
        let key = VerifyingKey::from_bytes(&[&[1], self.node.as_bytes().as_slice()].concat());
        let message = message(realm, (self.node, self.erasure, self.at));
        key.is_ok_and(|key| key.verify(&message, &self.signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use freehold_crypt::{Algorithm, Secret};

    use super::*;

    #[test]
    fn it_is_its_own_nodes_word_on_one_erasure() {
        let key = SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes([7; 32]));
        let node = NodeId::from_bytes(key.verifying().ed25519_bytes().unwrap());
        let realm = RealmId::from_bytes([1; 32]);
        let said = Erased::sign(realm, node, OpId::from_bytes([2; 32]), Millis(5), &key);
        assert!(said.is_genuine(realm));
        assert!(!said.is_genuine(RealmId::from_bytes([9; 32])));
        for forged in [
            Erased { node: NodeId::from_bytes([3; 32]), ..said },
            Erased { erasure: OpId::from_bytes([3; 32]), ..said },
            Erased { at: Millis(6), ..said },
            Erased { signature: Signature::from_bytes([0; 64]), ..said },
        ] {
            assert!(!forged.is_genuine(realm), "{forged:?}");
        }
    }
}
