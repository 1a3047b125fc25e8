//! The letter to the guardians: what a new machine needs to be a backend's node again, boxed to the
//! realm's recovery key. It lies on each of the backend's stores. The guardians' shares, which give
//! back that key, are in it too: the realm's log, where they also are, may be lost with everything. The
//! node signs it, with how far its journal is, so that nobody else can leave one, nor cut the journal short.

use std::sync::Arc;

use freehold_crypt::{Algorithm, BoxError, BoxPublic, BoxSecret, Entropy, Secret, Signature};
use freehold_crypt::{SigningKey, VerifyingKey};
use freehold_wire::{Digest, Millis, NodeId, RealmId, from_canonical, to_canonical};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use object_store::ObjectStore;
use zeroize::Zeroizing;

use crate::Settings;
use crate::beside::Beside;

const INFO: &[u8] = b"freehold backend letter, format 1";
const SIGNED: &[u8] = b"freehold 2026 backend letter";
/// No letter is longer.
const MOST: usize = 256 << 10;

/// The store of a letter does not answer.
#[derive(Debug, thiserror::Error)]
#[error("its store does not answer")]
pub struct LetterError(#[from] object_store::Error);

/// What of a letter changes only with guardians and keys.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Sealed {
    /// The realm's guardians, as the realm's log has them.
    #[n(0)]
    guardians: ByteVec,
    #[n(1)]
    boxed: ByteVec,
}

/// How far the backend's node was when it signed a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Head {
    /// The node.
    #[n(0)]
    pub node: NodeId,
    /// The claim under which it runs.
    #[n(1)]
    pub claim: u64,
    /// When, by its clock; later with each letter.
    #[n(2)]
    pub time: Millis,
    /// The number of the first part of its journal that counts.
    #[n(3)]
    pub base: u64,
    /// The last part by its hash, which names the one before it.
    #[n(4)]
    pub last: Digest,
}

/// A letter as it lies there.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Letter {
    #[n(0)]
    sealed: Sealed,
    /// Which of the backend's stores this is, counted from 0.
    #[n(1)]
    at: u8,
    #[n(2)]
    head: Head,
    /// The node's, over all the rest.
    #[n(3)]
    signature: Signature,
}

/// What only the guardians read, together.
pub struct Inside {
    /// What the backend is called.
    pub name: String,
    /// The seed of its node's key.
    pub node: Secret,
    /// The seed of the key that opens what is boxed to it.
    pub node_box: Secret,
    /// The key of its packs.
    pub packs: Secret,
    /// Where its stores are, as in its home.
    pub settings: Settings,
    /// The claim under which it was written.
    pub claim: u64,
}

impl std::fmt::Debug for Inside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Inside({}, ..)", self.name)
    }
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct Row {
    #[n(0)]
    name: String,
    #[cbor(n(1), with = "minicbor::bytes")]
    node: [u8; 32],
    #[cbor(n(2), with = "minicbor::bytes")]
    node_box: [u8; 32],
    #[cbor(n(3), with = "minicbor::bytes")]
    packs: [u8; 32],
    #[n(4)]
    settings: String,
    #[n(5)]
    claim: u64,
}

impl Inside {
    /// As it is boxed.
    ///
    /// # Errors
    /// [`BoxError`] if the settings cannot be written down.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, BoxError> {
        let row = Row {
            name: self.name.clone(),
            node: *self.node.expose(),
            node_box: *self.node_box.expose(),
            packs: *self.packs.expose(),
            settings: toml::to_string(&self.settings).map_err(|_| BoxError)?,
            claim: self.claim,
        };
        Ok(Zeroizing::new(to_canonical(&row)))
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let row: Row = from_canonical(bytes, MOST).ok()?;
        let settings: Settings = toml::from_str(&row.settings).ok()?;
        settings.check().ok()?;
        Some(Self {
            name: row.name,
            node: Secret::from_bytes(row.node),
            node_box: Secret::from_bytes(row.node_box),
            packs: Secret::from_bytes(row.packs),
            settings,
            claim: row.claim,
        })
    }
}

impl Sealed {
    /// Seals what only the guardians may read.
    ///
    /// # Errors
    /// [`BoxError`] if that is no key.
    pub fn write(
        realm: RealmId,
        guardians: Vec<u8>,
        to: &BoxPublic,
        inside: &Inside,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, BoxError> {
        let boxed = to.seal(&info(realm), &inside.to_bytes()?, entropy)?;
        Ok(Self { guardians: guardians.into(), boxed: boxed.into() })
    }

    /// The letter for one of the backend's stores, counted from 0, signed with the node's key.
    pub fn sign(&self, realm: RealmId, head: Head, store: usize, node: &SigningKey) -> Letter {
        // There are 64 at most.
        let at = u8::try_from(store).unwrap_or(u8::MAX);
        let signature = node.sign(&message(realm, self, at, &head));
        Letter { sealed: self.clone(), at, head, signature }
    }
}

impl Letter {
    /// The realm's guardians, as its log has them. Whoever reads it compares that with the log.
    pub fn guardians(&self) -> &[u8] {
        &self.sealed.guardians
    }

    /// How far the node was.
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// Which of the backend's stores it was found on, counted from 0.
    pub const fn store(&self) -> u8 {
        self.at
    }

    /// Whether the node that it names has signed it. Whether that node is one of the realm, its log says.
    pub fn is_signed(&self, realm: RealmId) -> bool {
        // A node's id is its Ed25519 key; algorithm 1 in front makes it a verifying key.
        let key = VerifyingKey::from_bytes(&[&[1], self.head.node.as_bytes().as_slice()].concat());
        let message = message(realm, &self.sealed, self.at, &self.head);
        key.is_ok_and(|key| key.verify(&message, &self.signature).is_ok())
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`BoxError`] if it is for another key, altered, or does not hold the key of the node that signed it.
    pub fn open(&self, realm: RealmId, secret: &BoxSecret) -> Result<Inside, BoxError> {
        let plain = secret.open(&info(realm), &self.sealed.boxed)?;
        let inside = Inside::from_bytes(&plain).ok_or(BoxError)?;
        let node = SigningKey::from_seed(Algorithm::Ed25519, &inside.node).verifying();
        let whole =
            node.ed25519_bytes() == Some(*self.head.node.as_bytes()) && inside.claim == self.head.claim;
        if whole { Ok(inside) } else { Err(BoxError) }
    }

    /// Reads the realm's letter on a store; nothing if there is none.
    ///
    /// # Errors
    /// [`LetterError`]
    pub async fn find(
        store: &Arc<dyn ObjectStore>,
        realm: RealmId,
        settings: &Settings,
    ) -> Result<Option<Self>, LetterError> {
        let letters = Beside::letters(realm);
        let found = letters.get(store, &name(&letters, settings)).await?;
        Ok(found.and_then(|bytes| from_canonical(&bytes, MOST).ok()))
    }

    /// Puts it there in the place of the one before.
    ///
    /// # Errors
    /// [`LetterError`]
    pub async fn leave(
        &self,
        store: &Arc<dyn ObjectStore>,
        realm: RealmId,
        settings: &Settings,
    ) -> Result<(), LetterError> {
        let letters = Beside::letters(realm);
        Ok(letters.put(store, &name(&letters, settings), &to_canonical(self)).await?)
    }
}

/// Another bucket's letter has another name, so that two vendors do not see that they have one customer.
fn name(letters: &Beside, settings: &Settings) -> [u8; 32] {
    letters.name(&[settings.bucket.as_bytes(), settings.prefix.as_bytes()])
}

fn info(realm: RealmId) -> Vec<u8> {
    [INFO, realm.as_bytes()].concat()
}

fn message(realm: RealmId, sealed: &Sealed, at: u8, head: &Head) -> Vec<u8> {
    [SIGNED, realm.as_bytes(), &to_canonical(&(sealed, at, head))].concat()
}

#[cfg(test)]
pub(crate) mod tests {
    use freehold_disk::OsEntropy;
    use object_store::memory::InMemory;
    use proptest::prelude::*;

    use super::*;

    const REALM: RealmId = RealmId::from_bytes([1; 32]);

    fn inside(settings: &Settings) -> Inside {
        Inside {
            name: "offsite".into(),
            node: Secret::from_bytes([1; 32]),
            node_box: Secret::from_bytes([2; 32]),
            packs: Secret::from_bytes([3; 32]),
            settings: settings.clone(),
            claim: 7,
        }
    }

    fn node(seed: u8) -> SigningKey {
        SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes([seed; 32]))
    }

    fn head(seed: u8) -> Head {
        let node = NodeId::from_bytes(node(seed).verifying().ed25519_bytes().unwrap());
        Head { node, claim: 7, time: Millis(1000), base: 3, last: Digest::from_bytes([4; 32]) }
    }

    /// One for the vectors, whose box nobody opens.
    pub(crate) fn example(realm: RealmId, last: Digest) -> Letter {
        let sealed = Sealed { guardians: b"guardians".to_vec().into(), boxed: b"box".to_vec().into() };
        sealed.sign(realm, Head { last, ..head(1) }, 2, &node(1))
    }

    fn written(to: &BoxPublic) -> Sealed {
        let settings = Settings::new("https://s3.example.org", "attic");
        Sealed::write(REALM, b"guardians".to_vec(), to, &inside(&settings), &mut OsEntropy).unwrap()
    }

    #[tokio::test]
    async fn opens_to_the_recovery_key_of_its_realm_alone() {
        let other = RealmId::from_bytes([2; 32]);
        let recovery = BoxSecret::from_seed(&OsEntropy.secret());
        let settings = Settings::new("https://s3.example.org", "attic");
        let letter = written(&recovery.public()).sign(REALM, head(1), 2, &node(1));
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        letter.leave(&store, REALM, &settings).await.unwrap();
        assert_eq!(Letter::find(&store, other, &settings).await.unwrap(), None);
        let elsewhere = Settings::new("https://s3.example.org", "cellar");
        assert_eq!(Letter::find(&store, REALM, &elsewhere).await.unwrap(), None);
        let found = Letter::find(&store, REALM, &settings).await.unwrap().unwrap();
        assert_eq!((found.guardians(), found.store(), &found), (&b"guardians"[..], 2, &letter));
        let opened = found.open(REALM, &recovery).unwrap();
        assert_eq!((opened.name.as_str(), opened.claim), ("offsite", 7));
        assert_eq!(opened.packs.expose(), inside(&settings).packs.expose());
        assert_eq!(opened.settings, settings);
        assert!(found.open(other, &recovery).is_err());
        assert!(found.open(REALM, &BoxSecret::from_seed(&OsEntropy.secret())).is_err());
    }

    #[test]
    fn nobody_but_the_node_that_is_in_it_can_sign_it() {
        let recovery = BoxSecret::from_seed(&OsEntropy.secret());
        let sealed = written(&recovery.public());
        let ours = sealed.sign(REALM, head(1), 0, &node(1));
        assert!(ours.is_signed(REALM) && !ours.is_signed(RealmId::from_bytes([2; 32])));
        let altered = [
            Letter { at: 1, ..ours.clone() },
            Letter { head: Head { claim: 8, ..head(1) }, ..ours.clone() },
            Letter { head: Head { time: Millis(1001), ..head(1) }, ..ours.clone() },
            Letter { head: Head { base: 1, ..head(1) }, ..ours.clone() },
            Letter { head: Head { last: Digest::from_bytes([5; 32]), ..head(1) }, ..ours.clone() },
            Letter { head: head(9), ..ours.clone() },
            Letter {
                sealed: Sealed { guardians: b"others".to_vec().into(), ..sealed.clone() },
                ..ours.clone()
            },
            Letter { sealed: written(&recovery.public()), ..ours.clone() },
            sealed.sign(REALM, head(1), 0, &node(9)),
        ];
        assert!(altered.iter().all(|letter| !letter.is_signed(REALM)));
        // Another node may sign what it found, but the key in it is not its own.
        let stolen = sealed.sign(REALM, head(9), 0, &node(9));
        assert!(stolen.is_signed(REALM) && stolen.open(REALM, &recovery).is_err());
        let elsewhen = sealed.sign(REALM, Head { claim: 8, ..head(1) }, 0, &node(1));
        assert!(elsewhen.is_signed(REALM) && elsewhen.open(REALM, &recovery).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_are_taken_for_a_letter_that_are_none(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            drop(Inside::from_bytes(&bytes));
            if let Ok(letter) = from_canonical::<Letter>(&bytes, MOST) {
                prop_assert_eq!(to_canonical(&letter), bytes);
            }
        }

        #[test]
        fn a_damaged_letter_is_none_or_nobody_signed_it(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let recovery = BoxSecret::from_seed(&Secret::from_bytes([6; 32]));
            let mut bytes = to_canonical(&written(&recovery.public()).sign(REALM, head(1), 0, &node(1)));
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(letter) = from_canonical::<Letter>(&bytes, MOST) {
                prop_assert!(!letter.is_signed(REALM));
            }
        }
    }
}
