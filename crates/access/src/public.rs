//! What a bucket's owner says once and for all about strangers, and about whose the objects are.

use serde::{Deserialize, Serialize};

/// What keeps a bucket from being public by mistake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[expect(clippy::struct_excessive_bools, reason = "S3's own four switches")]
pub struct PublicAccessBlock {
    /// No list may be set that lets strangers in.
    #[serde(default)]
    pub block_public_acls: bool,
    /// What lists say of strangers counts for nothing.
    #[serde(default)]
    pub ignore_public_acls: bool,
    /// No policy may be set that lets everybody in.
    #[serde(default)]
    pub block_public_policy: bool,
    /// A policy that lets everybody in counts for the owner's own only.
    #[serde(default)]
    pub restrict_public_buckets: bool,
}

impl PublicAccessBlock {
    /// As it is kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What [`Self::to_bytes`] gave; `None` if it is something else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// Whose an object is that somebody else writes into a bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ownership {
    /// The bucket owner's; lists count for nothing.
    BucketOwnerEnforced,
    /// The bucket owner's if the writer asks for the list `bucket-owner-full-control`.
    BucketOwnerPreferred,
    /// The writer's.
    #[default]
    ObjectWriter,
}

impl Ownership {
    /// As S3 spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BucketOwnerEnforced => "BucketOwnerEnforced",
            Self::BucketOwnerPreferred => "BucketOwnerPreferred",
            Self::ObjectWriter => "ObjectWriter",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::BucketOwnerEnforced, Self::BucketOwnerPreferred, Self::ObjectWriter]
            .into_iter()
            .find(|one| one.name() == name)
    }

    /// Whether lists count.
    pub fn lists_count(self) -> bool {
        self != Self::BucketOwnerEnforced
    }
}
