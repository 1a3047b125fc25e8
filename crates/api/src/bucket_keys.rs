//! Keys of buckets: who holds them, how old they are, and their renewal.

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{BucketAccess, BucketStatus, Erasure, ErasurePlan, ObjectErasurePlan, ObjectToErase, Problem};

/// How many versions of objects are sealed with one of a bucket's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sealed {
    /// Which key, counted from 1: the newest seals what is written now.
    pub key: u32,
    /// Living versions of objects that are sealed with it.
    pub versions: u64,
}

/// Somebody who holds a bucket's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyHolder {
    /// Id of the node or person, in hex.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Whether it is a person: then every machine that is a device of theirs.
    pub person: bool,
    /// Whether it only reads.
    pub read_only: bool,
}

/// The keys of one bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BucketKeys {
    /// The bucket's name.
    pub bucket: String,
    /// Which key seals what is written now, counted from 1.
    pub current: u32,
    /// What is sealed with which key.
    pub sealed: Vec<Sealed>,
    /// Whether only those hold its keys that are named, and not every node with the role `secrets`.
    pub private: bool,
    /// With whom it is shared by name.
    pub holders: Vec<KeyHolder>,
    /// Who knows the newest key and should not any more: rotate it.
    pub to_rotate: Vec<String>,
    /// What the node that tells this can do with the bucket.
    #[serde(default)]
    pub access: BucketAccess,
}

/// A wish for new keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// The bucket; without one, every key that somebody knows who should not any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
}

/// What a rotation did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rotated {
    /// What got a new key, in words.
    pub rotated: Vec<String>,
}

/// What sealing anew came to. Blobs stay as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rewrapped {
    /// Entries that are now sealed with the newest key.
    pub done: u64,
    /// Entries that stay under an earlier key: this node does not hold what they name.
    pub left: u64,
    /// Whether there are more: ask again.
    pub more: bool,
}

/// With whom to share a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// A node or a person: name, id, or start of an id.
    pub with: String,
    /// Whether they only read.
    #[serde(default)]
    pub read_only: bool,
}

/// A wish for a bucket whose key only the nodes get that are named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPrivateBucket {
    /// 3 to 63 lower-case letters, digits and hyphens, as S3 wants it.
    pub name: String,
    /// On how many nodes each object is to be; also nodes that cannot read it.
    pub copies: u16,
    /// How many must have it before a write is acknowledged.
    pub confirm: u16,
    /// Nodes by name, id, or start of an id. The one that is asked must be among them.
    pub only_for: Vec<String>,
}

/// What a node does with the keys of buckets.
#[async_trait]
pub trait KeyControl: Send + Sync {
    /// A bucket's keys.
    async fn bucket_keys(&self, bucket: &str) -> Result<BucketKeys, Problem>;
    /// Makes new keys.
    async fn rotate(&self, wish: Rotation) -> Result<Rotated, Problem>;
    /// Seals with the newest key what earlier ones sealed; not everything at once.
    async fn rewrap(&self, bucket: &str) -> Result<Rewrapped, Problem>;
    /// Lets somebody have a bucket's keys.
    async fn share(&self, bucket: &str, share: Share) -> Result<BucketKeys, Problem>;
    /// Takes that back: they get no key that is made from now on.
    async fn unshare(&self, bucket: &str, with: &str) -> Result<BucketKeys, Problem>;
    /// Makes a bucket whose key only those get who are named.
    async fn create_private(&self, wish: NewPrivateBucket) -> Result<BucketStatus, Problem>;
    /// What erasing a bucket would come to, if it may be erased.
    async fn plan_erasure(&self, bucket: &str) -> Result<ErasurePlan, Problem>;
    /// Erases a bucket with all that is in it.
    async fn erase(&self, bucket: &str) -> Result<Erasure, Problem>;
    /// What erasing an object would come to, if it may be erased.
    async fn plan_object_erasure(
        &self,
        bucket: &str,
        wish: ObjectToErase,
    ) -> Result<ObjectErasurePlan, Problem>;
    /// Erases an object with all its versions.
    async fn erase_object(&self, bucket: &str, wish: ObjectToErase) -> Result<Erasure, Problem>;
    /// Every erasure, the newest first.
    async fn erasures(&self) -> Result<Vec<Erasure>, Problem>;
    /// The receipt of an erasure, as a file.
    async fn receipt(&self, erasure: &str) -> Result<Bytes, Problem>;
}
