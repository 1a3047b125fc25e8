//! What is said of an object or a bucket beside its bytes: documents that are sealed with a
//! manifest, and the payloads that replace them later.

use freehold_crypt::Entropy;
use freehold_wire::{Bounded, Hlc, NodeId, PersonId, Text, TooLong};
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

use crate::payload::{self, CONTENT_MAX, PayloadError};
use crate::{Blinding, BucketKey, DirectoryRow, Manifest, PayloadPlace, VersionId, manifest};

/// Bytes of one document at most.
pub const DOCUMENT_MAX: usize = 1 << 16;

const AMENDMENT: u8 = 3;
const SETTING: u8 = 4;
const RESEALED: u8 = 5;

/// A document: bytes to this crate. What is in it, its aspect or setting says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document(Vec<u8>);

impl Document {
    /// Takes over `bytes`.
    ///
    /// # Errors
    /// [`TooLong`] if there are more than [`DOCUMENT_MAX`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, TooLong> {
        if bytes.len() > DOCUMENT_MAX {
            return Err(TooLong { got: bytes.len(), max: DOCUMENT_MAX });
        }
        Ok(Self(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl<C> Encode<C> for Document {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Document {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        Self::new(d.bytes()?.to_vec()).map_err(|_| decode::Error::message("document longer than its bound"))
    }
}

/// What a document says of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Aspect {
    /// Its tags, as `a=b&c=d`, percent-encoded.
    #[n(1)]
    Tags,
    /// Until when it must be kept, and how strictly.
    #[n(2)]
    Retention,
    /// Whether it must be kept until somebody says otherwise.
    #[n(3)]
    Hold,
    /// Who else may do what with it.
    #[n(4)]
    Acl,
}

/// What a document says of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Setting {
    /// Whether versions are kept.
    #[n(1)]
    Versioning,
    /// That versions can be locked, and how they are by default.
    #[n(2)]
    ObjectLock,
    /// When what is removed.
    #[n(3)]
    Lifecycle,
    /// Whose it is.
    #[n(4)]
    Owner,
    /// The policy.
    #[n(5)]
    Policy,
    /// The access control list.
    #[n(6)]
    Acl,
    /// What of policy and lists does not count because it would let everybody in.
    #[n(7)]
    PublicAccessBlock,
    /// Who owns what others write.
    #[n(8)]
    OwnershipControls,
    /// Which pages of other sites may read it.
    #[n(9)]
    Cors,
    /// The bucket's tags.
    #[n(10)]
    Tags,
    /// How objects are to be sealed by default.
    #[n(11)]
    Encryption,
    /// How it is shown as a site.
    #[n(12)]
    Website,
    /// Who is told of what happens.
    #[n(13)]
    Notification,
    /// Where requests are written down.
    #[n(14)]
    Logging,
    /// Who else holds its key: [`Holders`]. Each node's word stands by itself.
    #[n(15)]
    Holders,
    /// A private bucket's name, which the directory does not hold. Each node's word stands by itself.
    #[n(16)]
    Name,
}

/// Whoever else gets a bucket's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Holder {
    /// A node.
    #[n(0)]
    Node(#[n(0)] NodeId),
    /// A person: every node on a machine that is a device of theirs.
    #[n(1)]
    Person(#[n(0)] PersonId),
}

/// What a holder may do. Of two that are said in one turn the later in this order holds: removal wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Right {
    /// Reads and writes, and says who else holds a private bucket's key.
    #[n(1)]
    Writes,
    /// Reads.
    #[n(2)]
    Reads,
    /// Nothing any more.
    #[n(3)]
    Gone,
}

/// Nodes of one holder at most whose last number is said.
pub const LAST_MAX: usize = 64;

/// What is said of one holder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(array)]
pub struct HolderRow {
    /// Of whom.
    #[n(0)]
    pub holder: Holder,
    /// In which turn: one more than whoever says it knew of. The highest holds.
    #[n(1)]
    pub turn: u32,
    /// What.
    #[n(2)]
    pub right: Right,
    /// Of a holder that does not write any more: the number of the last entry that counts of each of
    /// its nodes. Of a node that is not there none counts.
    #[n(3)]
    pub last: Bounded<(NodeId, u64), LAST_MAX>,
}

/// Holders of one bucket's key at most, beside those that hold all keys, and those that once did.
pub const HOLDERS_MAX: usize = 512;

/// The document of [`Setting::Holders`]: who else gets the key, as far as one node knows.
pub type Holders = Bounded<HolderRow, HOLDERS_MAX>;

/// Which version an [`Amendment`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Target {
    /// A version with an id of its own.
    #[n(0)]
    Kept(#[n(0)] VersionId),
    /// The null version that this entry wrote: when, who, number.
    #[n(1)]
    Null(#[n(0)] Hlc, #[n(1)] NodeId, #[n(2)] u64),
}

/// Says something new of a version that is there: the latest one of an aspect holds, before what the
/// manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Amendment {
    /// The object's name.
    #[n(0)]
    pub name: Text<1024>,
    /// The version.
    #[n(1)]
    pub target: Target,
    /// What it says something about.
    #[n(2)]
    pub aspect: Aspect,
    /// What it says; absent to take back what was said.
    #[n(3)]
    pub document: Option<Document>,
}

/// Says something of the bucket: the latest one of a setting holds.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct SettingRow {
    /// Of what.
    #[n(0)]
    pub setting: Setting,
    /// What it says; absent to take back what was said.
    #[n(1)]
    pub document: Option<Document>,
}

/// The content of any sealed payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Sort 1.
    Manifest(Manifest),
    /// Sort 2, in the directory.
    Row(DirectoryRow),
    /// Sort 3.
    Amendment(Amendment),
    /// Sort 4.
    Setting(SettingRow),
    /// Sort 5.
    Resealed(Resealed),
}

/// What an earlier entry of the bucket said, sealed anew, with a newer key of the bucket: it takes that
/// entry's place, at its date. The entry that carries it names the same blobs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Resealed {
    /// When that entry was written.
    #[n(0)]
    pub hlc: Hlc,
    /// Who wrote it.
    #[n(1)]
    pub origin: NodeId,
    /// Its number there.
    #[n(2)]
    pub seq: u64,
    /// What it said: sort and fields, but for the object's key, which is wrapped anew.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub content: Vec<u8>,
    /// With it, that is what the entry's digest is of. It counts as the entry for nobody if it is not.
    #[n(4)]
    pub blinding: Blinding,
}

impl Resealed {
    /// What the entry said.
    ///
    /// # Errors
    /// [`PayloadError`] if it is nothing that a bucket's entry can say.
    pub fn content(&self) -> Result<Content, PayloadError> {
        match Content::decode(&self.content)? {
            Content::Row(_) | Content::Resealed(_) => {
                Err(PayloadError::Content { got: self.content.first().copied().unwrap_or(0), wanted: 1 })
            }
            content => Ok(content),
        }
    }
}

impl Content {
    /// Seals it for the entry at `place`.
    ///
    /// # Errors
    /// [`PayloadError::TooLarge`].
    pub fn seal(
        &self,
        key: &BucketKey,
        place: &PayloadPlace,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<u8>, PayloadError> {
        match self {
            Self::Manifest(manifest) => manifest.seal(key, place, entropy),
            Self::Row(row) => row.seal(key, place, entropy),
            Self::Amendment(amendment) => payload::seal_value(AMENDMENT, amendment, key, place, entropy),
            Self::Setting(row) => payload::seal_value(SETTING, row, key, place, entropy),
            Self::Resealed(resealed) => payload::seal_value(RESEALED, resealed, key, place, entropy),
        }
    }

    /// Sort and fields, as they are sealed.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Manifest(manifest) => payload::content_of(manifest::SORT, manifest),
            Self::Row(row) => payload::content_of(crate::directory::SORT, row),
            Self::Amendment(amendment) => payload::content_of(AMENDMENT, amendment),
            Self::Setting(row) => payload::content_of(SETTING, row),
            Self::Resealed(resealed) => payload::content_of(RESEALED, resealed),
        }
    }

    /// Opens what [`Self::seal`] sealed.
    ///
    /// # Errors
    /// [`PayloadError`].
    pub fn open(key: &BucketKey, place: &PayloadPlace, payload: &[u8]) -> Result<Self, PayloadError> {
        payload::with_opened(key, place, payload, Self::decode)
    }

    /// Reads opened content, for those who opened the payload themselves.
    ///
    /// # Errors
    /// [`PayloadError::Content`] or [`PayloadError::Fields`].
    pub fn decode(content: &[u8]) -> Result<Self, PayloadError> {
        match content.first() {
            Some(&AMENDMENT) => payload::value_of(AMENDMENT, content).map(Self::Amendment),
            Some(&SETTING) => payload::value_of(SETTING, content).map(Self::Setting),
            Some(&RESEALED) => payload::value_of(RESEALED, content).map(Self::Resealed),
            Some(&sort) if sort != manifest::SORT => DirectoryRow::decode(content).map(Self::Row),
            _ => Manifest::decode(content).map(Self::Manifest),
        }
    }
}

const _: () = assert!(DOCUMENT_MAX + 2048 < CONTENT_MAX, "a document fits into a payload");

#[cfg(test)]
mod tests;
