//! The keys: an object's, wrapped by its bucket's; a bucket's, which come one after another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use freehold_crypt::{
    BoxPublic, BoxSecret, Entropy, Secret, WrapError, WrappedKey, hash, unwrap_key, wrap_key,
};
use freehold_wire::{BucketId, Digest, RealmId, to_canonical};
use minicbor::{Decode, Encode};

use crate::Binding;
use crate::envelope::{self, Envelope, EnvelopeError, Link, Recipient};

/// The key of one version of one object. Random; kept only in wrapped form.
#[derive(Clone, PartialEq, Eq)]
pub struct ObjectKey(Secret);

impl ObjectKey {
    /// A fresh one.
    pub fn random(entropy: &mut dyn Entropy) -> Self {
        Self(entropy.secret())
    }

    /// From a secret kept elsewhere.
    pub const fn from_secret(secret: Secret) -> Self {
        Self(secret)
    }

    pub(crate) const fn secret(&self) -> &Secret {
        &self.0
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ObjectKey(..)")
    }
}

/// What a key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum KeyOf {
    /// The directory: names and addresses.
    #[n(0)]
    Directory,
    /// A bucket: its manifests, and through them its objects.
    #[n(1)]
    Bucket(#[n(0)] BucketId),
}

/// One version of a bucket's key, or of the directory's. The first is 1; after a node is removed the
/// next one keeps it out of what is written from then on. A later version has its generation, counted
/// from 1, in the high 16 bits and a random number in the low ones: two nodes that rotate apart make
/// two keys, all nodes know both, and seal with the higher.
#[derive(Clone, PartialEq, Eq)]
pub struct BucketKey {
    version: u32,
    secret: Secret,
}

impl BucketKey {
    /// A first key.
    pub fn random(entropy: &mut dyn Entropy) -> Self {
        Self { version: 1, secret: entropy.secret() }
    }

    /// From a secret kept elsewhere.
    pub const fn from_secret(version: u32, secret: Secret) -> Self {
        Self { version, secret }
    }

    /// Its version.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// How many keys there were up to it, one after another.
    pub const fn generation(&self) -> u32 {
        generation(self.version)
    }

    /// The secret, for the store that keeps it.
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The id of the bucket that has this as its first key. The realm log names the bucket by
    /// it, so a node without the key cannot pass off one of its own.
    pub fn bucket(&self) -> BucketId {
        BucketId::from_bytes(hash::digest("freehold 2026 bucket id", self.secret.expose()))
    }

    /// The same of a private bucket: who gets its key cannot take it for one that all keepers share.
    pub fn private_bucket(&self) -> BucketId {
        BucketId::from_bytes(hash::digest("freehold 2026 private bucket id", self.secret.expose()))
    }

    /// What the genesis of a realm says of the directory's first key: hidden by nothing but the
    /// key's own randomness, and made before the realm has an id.
    pub fn directory_root(&self) -> Digest {
        Digest::from_bytes(hash::digest("freehold 2026 directory root", self.secret.expose()))
    }

    /// Wraps the key of the object version that `binding` names.
    pub fn wrap(&self, binding: &Binding, key: &ObjectKey, entropy: &mut dyn Entropy) -> WrappedKey {
        wrap_key(&self.secret, &binding.of_object_key(self.version), key.secret(), entropy)
    }

    /// Undoes [`Self::wrap`].
    ///
    /// # Errors
    /// [`WrapError`] for another object, version or bucket key.
    pub fn unwrap(&self, binding: &Binding, wrapped: &WrappedKey) -> Result<ObjectKey, WrapError> {
        unwrap_key(&self.secret, &binding.of_object_key(self.version), wrapped).map(ObjectKey)
    }

    /// Proves that whoever made `next` held this key; tells nothing of either.
    fn link(&self, realm: RealmId, of: KeyOf, next: &Self) -> Digest {
        let mut hasher = hash::Hasher::new("freehold 2026 key succession");
        hasher.update(self.secret.expose());
        hasher.update(&to_canonical(&Succession { realm, of, version: next.version }));
        hasher.update(next.secret.expose());
        Digest::from_bytes(hasher.finish())
    }
}

/// The generation of a key's version.
pub const fn generation(version: u32) -> u32 {
    (version >> 16).saturating_add(1)
}

impl fmt::Debug for BucketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BucketKey(version {})", self.version)
    }
}

#[derive(Encode)]
#[cbor(array)]
struct Succession {
    #[n(0)]
    realm: RealmId,
    #[n(1)]
    of: KeyOf,
    #[n(2)]
    version: u32,
}

/// A key is not taken into the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// An envelope for another realm's, bucket's or the directory's key.
    #[error("a key of {got:?} for the ring of {ring:?}")]
    OtherRing {
        /// What the ring is for.
        ring: KeyOf,
        /// What the key is for.
        got: KeyOf,
    },
    /// The envelope does not open.
    #[error("opening the envelope of key version {version}")]
    Envelope {
        /// The version it claims.
        version: u32,
        /// Why not.
        source: EnvelopeError,
    },
    /// A first key that is not the one that the log means: somebody tries to pass off their own.
    #[error("not the first key that the realm log means: forged")]
    NotTheFirst,
    /// The version that it follows must be admitted first.
    #[error("key version {0} must be known first")]
    Missing(u32),
    /// Not made by a holder of an earlier version.
    #[error("key version {0} does not follow from an earlier one: forged")]
    NoSuccessor(u32),
    /// Another key with the same version is known.
    #[error("two different keys claim to be version {0}: rotate the key again")]
    Conflict(u32),
}

/// All versions of one bucket's key (or of the directory's) that this node holds, each vouched for
/// by an earlier one, the first by the realm log: a bucket's id is a hash of its first key, and the
/// genesis has one of the directory's.
#[derive(Clone)]
pub struct KeyRing {
    realm: RealmId,
    of: KeyOf,
    /// The hash of the first key.
    root: Digest,
    keys: BTreeMap<u32, Held>,
    /// Versions that somebody made or gave on who may, which matters in a private bucket alone.
    vouched: BTreeSet<u32>,
}

/// A key, and what it follows from; nothing for the first.
#[derive(Clone)]
struct Held {
    key: BucketKey,
    link: Option<Link>,
}

impl KeyRing {
    /// An empty ring of a bucket.
    pub const fn of_bucket(realm: RealmId, bucket: BucketId) -> Self {
        let root = Digest::from_bytes(*bucket.as_bytes());
        Self { realm, of: KeyOf::Bucket(bucket), root, keys: BTreeMap::new(), vouched: BTreeSet::new() }
    }

    /// An empty ring of the directory; `root` is what the realm's genesis says.
    pub const fn of_directory(realm: RealmId, root: Digest) -> Self {
        Self { realm, of: KeyOf::Directory, root, keys: BTreeMap::new(), vouched: BTreeSet::new() }
    }

    /// The ring of a new realm's directory. The key came first: the genesis, and so the realm's
    /// id, says its [`BucketKey::directory_root`].
    pub fn found_directory(realm: RealmId, first: &BucketKey) -> Self {
        Self::of_directory(realm, first.directory_root()).with_first(first.clone())
    }

    /// A new bucket's ring; the bucket's id follows from the first key.
    pub fn found_bucket(realm: RealmId, entropy: &mut dyn Entropy) -> (BucketId, Self) {
        let key = BucketKey::random(entropy);
        let bucket = key.bucket();
        (bucket, Self::of_bucket(realm, bucket).with_first(key))
    }

    /// The same for a bucket whose key only those get who are named.
    pub fn found_private(realm: RealmId, entropy: &mut dyn Entropy) -> (BucketId, Self) {
        let key = BucketKey::random(entropy);
        let bucket = key.private_bucket();
        (bucket, Self::of_bucket(realm, bucket).with_first(key))
    }

    fn with_first(mut self, key: BucketKey) -> Self {
        self.keys.insert(1, Held { key, link: None });
        self.vouched.insert(1);
        self
    }

    /// What its keys open.
    pub const fn of(&self) -> KeyOf {
        self.of
    }

    /// Whether only those get the key who are named. So is a ring whose first key is not known.
    pub fn is_private(&self) -> bool {
        let KeyOf::Bucket(bucket) = self.of else { return false };
        self.get(1).is_none_or(|first| first.bucket() != bucket)
    }

    /// The newest key, which is the one to seal with. Whoever once held a private bucket's key can make
    /// another that follows from it: of such a bucket only a key counts that is vouched for.
    pub fn current(&self) -> Option<&BucketKey> {
        self.keys.iter().rev().find(|(version, _)| self.is_vouched(**version)).map(|(_, held)| &held.key)
    }

    /// Whether a version is to be sealed with and given on; one that is not opens what it opens.
    pub fn is_vouched(&self, version: u32) -> bool {
        !self.is_private() || self.vouched.contains(&version)
    }

    /// The key of one version.
    pub fn get(&self, version: u32) -> Option<&BucketKey> {
        self.keys.get(&version).map(|held| &held.key)
    }

    /// Every key, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &BucketKey> {
        self.keys.values().map(|held| &held.key)
    }

    /// Makes the next version, and returns it; `None` if the ring is empty.
    pub fn rotate(&mut self, entropy: &mut dyn Entropy) -> Option<&BucketKey> {
        let newest = self.current()?;
        let after = newest.version;
        let [high, low, ..] = entropy.bytes32();
        let next = u16::try_from(generation(after)).ok()?;
        let version = u32::from(next) << 16 | u32::from(u16::from_be_bytes([high, low]));
        let key = BucketKey { version, secret: entropy.secret() };
        let link = Link { after, proof: newest.link(self.realm, self.of, &key) };
        self.keys.insert(version, Held { key, link: Some(link) });
        self.vouched.insert(version);
        self.get(version)
    }

    /// Boxes one version for `to`, whose key is `public`.
    ///
    /// # Errors
    /// [`KeyRingError::Missing`] if the ring lacks that version;
    /// [`KeyRingError::Envelope`] if `public` is not a usable key.
    pub fn envelope(
        &self,
        version: u32,
        to: Recipient,
        public: &BoxPublic,
        entropy: &mut dyn Entropy,
    ) -> Result<Envelope, KeyRingError> {
        let Held { key, link } = self.keys.get(&version).ok_or(KeyRingError::Missing(version))?;
        envelope::seal_envelope(self.realm, self.of, key, *link, to, public, entropy)
            .map_err(|source| KeyRingError::Envelope { version, source })
    }

    /// Opens an envelope and takes its key, if the chain from what the log says leads to it.
    /// Envelopes are admitted in the order of their versions. `Ok(false)`: was known.
    ///
    /// # Errors
    /// [`KeyRingError`]; the ring is then unchanged.
    pub fn admit(
        &mut self,
        envelope: &Envelope,
        to: Recipient,
        secret: &BoxSecret,
    ) -> Result<bool, KeyRingError> {
        if envelope.key_of != self.of {
            return Err(KeyRingError::OtherRing { ring: self.of, got: envelope.key_of });
        }
        let key = envelope::open_envelope(self.realm, envelope, to, secret)
            .map_err(|source| KeyRingError::Envelope { version: envelope.version, source })?;
        self.check(&key, envelope.link)?;
        match self.get(key.version) {
            Some(known) if *known == key => Ok(false),
            Some(_) => Err(KeyRingError::Conflict(key.version)),
            None => {
                self.keys.insert(key.version, Held { key, link: envelope.link });
                Ok(true)
            }
        }
    }

    /// The same from somebody who vouches for the key: of two with one version it is the one that counts.
    ///
    /// # Errors
    /// [`KeyRingError`]; the ring is then unchanged.
    pub fn admit_vouched(
        &mut self,
        envelope: &Envelope,
        to: Recipient,
        secret: &BoxSecret,
    ) -> Result<bool, KeyRingError> {
        let before = match self.admit(envelope, to, secret) {
            Ok(was_new) => return Ok(self.vouched.insert(envelope.version) || was_new),
            Err(KeyRingError::Conflict(version)) if !self.vouched.contains(&version) => {
                self.keys.remove(&version)
            }
            Err(error) => return Err(error),
        };
        match self.admit(envelope, to, secret) {
            Ok(_) => Ok(self.vouched.insert(envelope.version)),
            Err(error) => {
                self.keys.extend(before.map(|before| (envelope.version, before)));
                Err(error)
            }
        }
    }

    /// Takes the first key from a store of one's own.
    ///
    /// # Errors
    /// [`KeyRingError`] if it is not the one that the log means.
    pub fn restore(&mut self, first: BucketKey) -> Result<(), KeyRingError> {
        self.check(&first, None)?;
        self.keys.insert(1, Held { key: first, link: None });
        self.vouched.insert(1);
        Ok(())
    }

    /// Whether a key is the first that the log means, or follows from one that is known.
    fn check(&self, key: &BucketKey, link: Option<Link>) -> Result<(), KeyRingError> {
        let version = key.version;
        let Some(link) = link else {
            let root = self.root.as_bytes();
            let meant = match self.of {
                _ if version != 1 => return Err(KeyRingError::NoSuccessor(version)),
                KeyOf::Bucket(_) => {
                    key.bucket().as_bytes() == root || key.private_bucket().as_bytes() == root
                }
                KeyOf::Directory => key.directory_root() == self.root,
            };
            return if meant { Ok(()) } else { Err(KeyRingError::NotTheFirst) };
        };
        // One by one: nobody uses them up by leaping.
        if generation(link.after).checked_add(1) != Some(generation(version)) {
            return Err(KeyRingError::NoSuccessor(version));
        }
        let before = self.get(link.after).ok_or(KeyRingError::Missing(link.after))?;
        if before.link(self.realm, self.of, key) == link.proof {
            Ok(())
        } else {
            Err(KeyRingError::NoSuccessor(version))
        }
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({:?}, versions {:?})", self.of, self.keys.keys())
    }
}

#[cfg(test)]
mod tests;
