//! The letter to the guardians: what a new machine needs to be a backend's node again, boxed to the
//! realm's recovery key. It lies on each of the backend's stores. The guardians' shares, which give
//! back that key, are in it too: the realm's log, where they also are, may be lost with everything.

use std::sync::Arc;

use freehold_crypt::{BoxError, BoxPublic, BoxSecret, Entropy, Secret};
use freehold_wire::{RealmId, from_canonical, to_canonical};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use object_store::ObjectStore;
use zeroize::Zeroizing;

use crate::Settings;
use crate::beside::Beside;

const INFO: &[u8] = b"freehold backend letter, format 1";
/// No letter is longer.
const MOST: usize = 256 << 10;

/// The store of a letter does not answer.
#[derive(Debug, thiserror::Error)]
#[error("its store does not answer")]
pub struct LetterError(#[from] object_store::Error);

/// A letter as it lies there.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Letter {
    /// The realm's guardians, as the realm's log has them.
    #[n(0)]
    guardians: ByteVec,
    #[n(1)]
    boxed: ByteVec,
    /// Which of the backend's stores this is, counted from 0.
    #[n(2)]
    at: u8,
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

impl Letter {
    /// Writes one.
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
        Ok(Self { guardians: guardians.into(), boxed: boxed.into(), at: 0 })
    }

    /// The realm's guardians, as its log has them. Nobody vouches for that: who reads it compares
    /// what comes of it with the log.
    pub fn guardians(&self) -> &[u8] {
        &self.guardians
    }

    /// The same for one of the backend's stores.
    #[must_use]
    pub fn of_store(&self, at: usize) -> Self {
        // There are 64 at most.
        Self { at: u8::try_from(at).unwrap_or(u8::MAX), ..self.clone() }
    }

    /// Which of the backend's stores it was found on, counted from 0.
    pub const fn store(&self) -> u8 {
        self.at
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`BoxError`] if it is for another key, or altered.
    pub fn open(&self, realm: RealmId, secret: &BoxSecret) -> Result<Inside, BoxError> {
        let plain = secret.open(&info(realm), &self.boxed)?;
        Inside::from_bytes(&plain).ok_or(BoxError)
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

#[cfg(test)]
mod tests {
    use freehold_disk::OsEntropy;
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn opens_to_the_recovery_key_of_its_realm_alone() {
        let (realm, other) = (RealmId::from_bytes([1; 32]), RealmId::from_bytes([2; 32]));
        let recovery = BoxSecret::from_seed(&OsEntropy.secret());
        let settings = Settings::new("https://s3.example.org", "attic");
        let inside = Inside {
            name: "offsite".into(),
            node: Secret::from_bytes([1; 32]),
            node_box: Secret::from_bytes([2; 32]),
            packs: Secret::from_bytes([3; 32]),
            settings: settings.clone(),
            claim: 7,
        };
        let to = recovery.public();
        let letter = Letter::write(realm, b"guardians".to_vec(), &to, &inside, &mut OsEntropy).unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let letter = letter.of_store(2);
        letter.leave(&store, realm, &settings).await.unwrap();
        assert_eq!(Letter::find(&store, other, &settings).await.unwrap(), None);
        let elsewhere = Settings::new("https://s3.example.org", "cellar");
        assert_eq!(Letter::find(&store, realm, &elsewhere).await.unwrap(), None);
        let found = Letter::find(&store, realm, &settings).await.unwrap().unwrap();
        assert_eq!((found.guardians(), found.store(), &found), (&b"guardians"[..], 2, &letter));
        let opened = found.open(realm, &recovery).unwrap();
        assert_eq!((opened.name.as_str(), opened.claim), ("offsite", 7));
        assert_eq!(opened.packs.expose(), inside.packs.expose());
        assert_eq!(opened.settings, settings);
        assert!(found.open(other, &recovery).is_err());
        assert!(found.open(realm, &BoxSecret::from_seed(&OsEntropy.secret())).is_err());
    }
}
