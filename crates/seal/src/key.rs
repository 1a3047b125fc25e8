//! The keys: an object's, wrapped by its bucket's; a bucket's, which come one after another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use freehold_crypt::{
    BoxPublic, BoxSecret, Entropy, Secret, WrapError, WrappedKey, hash, unwrap_key, wrap_key,
};
use freehold_wire::{BucketId, Digest, RealmId, to_canonical};
use minicbor::{Decode, Encode};

use crate::Binding;
use crate::envelope::{self, Envelope, EnvelopeError, Recipient};

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

/// What stands for an object where its name must not stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectMark {
    /// With it whoever knows the name can check the digest.
    pub salt: Digest,
    /// The digest.
    pub digest: Digest,
}

impl ObjectMark {
    /// That of a name with a salt.
    pub fn of(salt: Digest, name: &str) -> Self {
        let mut hasher = hash::Hasher::new("freehold 2026 erased object");
        hasher.update(salt.as_bytes());
        hasher.update(name.as_bytes());
        Self { salt, digest: Digest::from_bytes(hasher.finish()) }
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

/// One version of a bucket's key, or of the directory's. Version 1 is the root: it seals nothing, but vouches
/// for all others, so that each of them can be destroyed and each believed alone. Every other version has its
/// generation, counted from 1, in the high 16 bits and a random number in the low ones: two nodes that
/// rotate apart make two keys, all nodes know both, and seal with the higher. After a node is removed the next
/// one keeps it out of what is written from then on.
#[derive(Clone, PartialEq, Eq)]
pub struct BucketKey {
    version: u32,
    secret: Secret,
}

impl BucketKey {
    /// A root.
    pub fn random(entropy: &mut dyn Entropy) -> Self {
        Self { version: ROOT, secret: entropy.secret() }
    }

    /// From a secret kept elsewhere.
    pub const fn from_secret(version: u32, secret: Secret) -> Self {
        Self { version, secret }
    }

    /// Its version.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// How many keys that seal there were up to it, one after another; 0 for the root.
    pub const fn generation(&self) -> u32 {
        generation(self.version)
    }

    /// The secret, for the store that keeps it.
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The id of the bucket that has this as its root. The realm log names the bucket by
    /// it, so a node without the key cannot pass off one of its own.
    pub fn bucket(&self) -> BucketId {
        BucketId::from_bytes(hash::digest("freehold 2026 bucket id", self.secret.expose()))
    }

    /// The same of a private bucket: who gets its key cannot take it for one that all keepers share.
    pub fn private_bucket(&self) -> BucketId {
        BucketId::from_bytes(hash::digest("freehold 2026 private bucket id", self.secret.expose()))
    }

    /// What the genesis of a realm says of the directory's root: hidden by nothing but the
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

    /// Of a root: proves that whoever made `next` held it; tells nothing of either.
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
    version >> 16
}

/// The version of the key that vouches for all others.
const ROOT: u32 = 1;

/// Whether a version ends when it is said that of one bucket's keys `kept` stays and those of later generations:
/// also one that was made apart from it.
pub const fn ends_before(version: u32, kept: u32) -> bool {
    version != ROOT && version != kept && generation(version) <= generation(kept)
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
    /// A root that is not the one that the log means: somebody tries to pass off their own.
    #[error("not the first key that the realm log means: forged")]
    NotTheFirst,
    /// A version that must be known first: the root, or one of the generation before.
    #[error("key version {0} cannot be judged before an earlier one is known")]
    Missing(u32),
    /// Not made by a holder of the root.
    #[error("the first key does not vouch for key version {0}: forged")]
    NoSuccessor(u32),
    /// Another key with the same version is known.
    #[error("two different keys claim to be version {0}: rotate the key again")]
    Conflict(u32),
}

/// All versions of one bucket's key (or of the directory's) that this node holds, each vouched for
/// by the root, and that by the realm log: a bucket's id is a hash of its root, and the genesis has one of the
/// directory's.
#[derive(Clone)]
pub struct KeyRing {
    realm: RealmId,
    of: KeyOf,
    /// The hash of the first key.
    root: Digest,
    keys: BTreeMap<u32, Held>,
    /// Versions that somebody made or gave on who may, which matters in a private bucket alone.
    vouched: BTreeSet<u32>,
    /// The version before which the realm log has all others end.
    kept: Option<u32>,
}

/// A key, and what vouches for it; nothing for the root.
#[derive(Clone, PartialEq, Eq)]
struct Held {
    key: BucketKey,
    link: Option<Digest>,
}

impl KeyRing {
    /// An empty ring of a bucket.
    pub const fn of_bucket(realm: RealmId, bucket: BucketId) -> Self {
        let root = Digest::from_bytes(*bucket.as_bytes());
        Self {
            realm,
            of: KeyOf::Bucket(bucket),
            root,
            keys: BTreeMap::new(),
            vouched: BTreeSet::new(),
            kept: None,
        }
    }

    /// An empty ring of the directory; `root` is what the realm's genesis says.
    pub const fn of_directory(realm: RealmId, root: Digest) -> Self {
        Self {
            realm,
            of: KeyOf::Directory,
            root,
            keys: BTreeMap::new(),
            vouched: BTreeSet::new(),
            kept: None,
        }
    }

    /// The ring of a new realm's directory. The root came first: the genesis, and so the realm's
    /// id, says its [`BucketKey::directory_root`].
    pub fn found_directory(realm: RealmId, root: &BucketKey, entropy: &mut dyn Entropy) -> Self {
        Self::of_directory(realm, root.directory_root()).with_root(root.clone(), entropy)
    }

    /// A new bucket's ring; the bucket's id follows from the root.
    pub fn found_bucket(realm: RealmId, entropy: &mut dyn Entropy) -> (BucketId, Self) {
        let root = BucketKey::random(entropy);
        let bucket = root.bucket();
        (bucket, Self::of_bucket(realm, bucket).with_root(root, entropy))
    }

    /// The same for a bucket whose key only those get who are named.
    pub fn found_private(realm: RealmId, entropy: &mut dyn Entropy) -> (BucketId, Self) {
        let root = BucketKey::random(entropy);
        let bucket = root.private_bucket();
        (bucket, Self::of_bucket(realm, bucket).with_root(root, entropy))
    }

    fn with_root(mut self, root: BucketKey, entropy: &mut dyn Entropy) -> Self {
        self.keys.insert(ROOT, Held { key: root, link: None });
        self.vouched.insert(ROOT);
        self.make_next(0, entropy);
        self
    }

    /// What its keys open.
    pub const fn of(&self) -> KeyOf {
        self.of
    }

    /// Whether only those get the key who are named. So is a ring whose root is not known.
    pub fn is_private(&self) -> bool {
        let KeyOf::Bucket(bucket) = self.of else { return false };
        self.get(ROOT).is_none_or(|root| root.bucket() != bucket)
    }

    /// The newest key, which is the one to seal with; never the root. Whoever once held a private bucket's
    /// root can make another: of such a bucket only a key counts that is vouched for.
    pub fn current(&self) -> Option<&BucketKey> {
        let counts = |version: u32| self.is_vouched(version) && !self.is_ending(version);
        let mut sealing = self.sealing();
        sealing.rfind(|key| counts(key.version))
    }

    /// The keys that seal, oldest first: all but the root.
    pub fn sealing(&self) -> impl DoubleEndedIterator<Item = &BucketKey> {
        self.keys.values().map(|held| &held.key).filter(|key| key.version != ROOT)
    }

    /// Takes in which version the realm log says stays, with those of later generations. A private bucket's
    /// keys are nobody's business but its holders'.
    pub fn keep(&mut self, version: u32) {
        self.kept = Some(version);
    }

    /// The version that stays by what the realm log says, if it is here.
    pub fn kept(&self) -> Option<&BucketKey> {
        self.get(self.kept?).filter(|_| !self.is_private())
    }

    /// Whether a version is to be destroyed: it opens what it opens until then, and seals nothing. As long
    /// as the one that stays is not known, none is.
    pub fn is_ending(&self, version: u32) -> bool {
        self.kept().is_some_and(|kept| ends_before(version, kept.version))
    }

    /// Forgets the keys that end before one, of which it was said that it stays; but not the one that stays
    /// by what was said since.
    pub fn forget_before(&mut self, ended: u32) {
        if self.is_private() {
            return;
        }
        let stays = |version: u32| !ends_before(version, ended) || self.kept == Some(version);
        self.keys.retain(|version, _| stays(*version));
        self.vouched.retain(|version| stays(*version));
    }

    /// What stands for an object in the realm's log, so that only those tell its name by it who have the root,
    /// or are told its salt.
    pub fn mark(&self, name: &str) -> Option<ObjectMark> {
        let mut hasher = hash::Hasher::new("freehold 2026 erased object salt");
        hasher.update(self.get(ROOT)?.secret.expose());
        hasher.update(name.as_bytes());
        Some(ObjectMark::of(Digest::from_bytes(hasher.finish()), name))
    }

    /// Whether it holds the same keys as another one, to the same purpose.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.keys, &self.vouched, self.kept) == (&other.keys, &other.vouched, other.kept)
    }

    /// Whether a version is to be sealed with and given on; one that is not opens what it opens.
    pub fn is_vouched(&self, version: u32) -> bool {
        !self.is_private() || self.vouched.contains(&version)
    }

    /// The key of one version.
    pub fn get(&self, version: u32) -> Option<&BucketKey> {
        self.keys.get(&version).map(|held| &held.key)
    }

    /// Every key, oldest first; the root is among them.
    pub fn iter(&self) -> impl Iterator<Item = &BucketKey> {
        self.keys.values().map(|held| &held.key)
    }

    /// Makes the next version, and returns it; `None` if there is none that it could follow. It follows also
    /// the one that is to stay: if that never came here, nothing but a later one can take its place.
    pub fn rotate(&mut self, entropy: &mut dyn Entropy) -> Option<&BucketKey> {
        let kept = self.kept.filter(|_| !self.is_private()).map_or(0, generation);
        let after = self.current()?.generation().max(kept);
        self.make_next(after, entropy)
    }

    fn make_next(&mut self, after: u32, entropy: &mut dyn Entropy) -> Option<&BucketKey> {
        let [high, low, ..] = entropy.bytes32();
        let next = u16::try_from(after.saturating_add(1)).ok()?;
        let version = u32::from(next) << 16 | u32::from(u16::from_be_bytes([high, low]));
        let key = BucketKey { version, secret: entropy.secret() };
        let link = self.get(ROOT)?.link(self.realm, self.of, &key);
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

    /// Opens an envelope and takes its key, if the root that the log means vouches for it.
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

    /// Takes a root and the keys that it vouches for from a store of one's own.
    ///
    /// # Errors
    /// [`KeyRingError`] if the root is not the one that the log means.
    pub fn restore(
        &mut self,
        root: BucketKey,
        later: impl IntoIterator<Item = BucketKey>,
    ) -> Result<(), KeyRingError> {
        self.check(&root, None)?;
        for key in later {
            let link = root.link(self.realm, self.of, &key);
            self.vouched.insert(key.version);
            self.keys.insert(key.version, Held { key, link: Some(link) });
        }
        self.vouched.insert(ROOT);
        self.keys.insert(ROOT, Held { key: root, link: None });
        Ok(())
    }

    /// Whether a key is the root that the log means, or one that it vouches for.
    fn check(&self, key: &BucketKey, link: Option<Digest>) -> Result<(), KeyRingError> {
        let version = key.version;
        let Some(link) = link else {
            let root = self.root.as_bytes();
            let meant = match self.of {
                _ if version != ROOT => return Err(KeyRingError::NoSuccessor(version)),
                KeyOf::Bucket(_) => {
                    key.bucket().as_bytes() == root || key.private_bucket().as_bytes() == root
                }
                KeyOf::Directory => key.directory_root() == self.root,
            };
            return if meant { Ok(()) } else { Err(KeyRingError::NotTheFirst) };
        };
        if generation(version) == 0 {
            return Err(KeyRingError::NoSuccessor(version));
        }
        let root = self.get(ROOT).ok_or(KeyRingError::Missing(version))?;
        if root.link(self.realm, self.of, key) != link {
            return Err(KeyRingError::NoSuccessor(version));
        }
        // One by one: nobody uses them up by leaping. Those before what the log says stays may be gone.
        let kept = self.kept.filter(|_| !self.is_private());
        let newest = self.keys.keys().chain(&kept).map(|version| generation(*version)).max();
        if generation(version) > newest.unwrap_or_default().saturating_add(1) {
            return Err(KeyRingError::Missing(version));
        }
        Ok(())
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({:?}, versions {:?})", self.of, self.keys.keys())
    }
}

#[cfg(test)]
mod tests;
