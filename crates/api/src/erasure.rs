//! Erasing a bucket, and the receipt of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What erasing a bucket would come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErasurePlan {
    /// The bucket's name.
    pub bucket: String,
    /// Its id, in hex: two buckets can have one name.
    pub id: String,
    /// Objects in it.
    pub objects: u64,
    /// All their versions.
    pub versions: u64,
    /// The bytes of all versions.
    pub bytes: u64,
    /// The nodes that would carry it out, by name.
    pub nodes: Vec<String>,
}

/// An object that is to be erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectToErase {
    /// Its name.
    pub key: String,
    /// Also if it is retained under GOVERNANCE.
    #[serde(default)]
    pub bypass_governance: bool,
}

/// What erasing an object would come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ObjectErasurePlan {
    /// The bucket's name.
    pub bucket: String,
    /// The bucket's id, in hex.
    pub bucket_id: String,
    /// The object's name.
    pub key: String,
    /// Its versions, delete markers among them.
    pub versions: u64,
    /// The bytes of all of them.
    pub bytes: u64,
    /// Versions of other objects that get their keys sealed anew.
    pub renewed: u64,
    /// What stands for the name in the realm's log and in the receipt, in hex.
    pub digest: String,
    /// What shows, with the name, that the digest is of it, in hex.
    pub salt: String,
    /// The nodes that would carry it out, by name.
    pub nodes: Vec<String>,
}

/// A node that can have had keys of what was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErasureNode {
    /// Its id, in hex.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// When it has destroyed them, in milliseconds since 1970, as it says itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<u64>,
    /// Whether it is on, as far as the node knows that is asked; a receipt does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected: Option<bool>,
}

/// An erasure that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErasureUnderWay {
    /// Its id.
    pub id: String,
    /// What is erased, in words.
    pub what: String,
    /// How long ago the node that answers heard of it, in milliseconds.
    pub since_ms: u64,
    /// Nodes of the realm that have not confirmed it.
    pub pending: Vec<ErasureNode>,
    /// What the node that answers waits for, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<String>,
    /// Versions there that must be kept, and keep it from ending: under a retention, or a legal hold.
    #[serde(default)]
    pub kept: u64,
}

/// An erasure, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Erasure {
    /// Its id: that of the operation in the realm's log.
    pub id: String,
    /// The realm.
    pub realm: String,
    /// The person's id, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// The ids of the buckets: one, or those of a person, with the one that said what they are called.
    pub buckets: Vec<String>,
    /// What stands for the name of the object, if it was one: a digest, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// When it was decided, in milliseconds since 1970.
    pub decided_ms: u64,
    /// By which person.
    pub decided_by: String,
    /// Nodes that say, signed, that they have destroyed the keys.
    pub confirmed: Vec<ErasureNode>,
    /// Nodes of the realm that have not said so yet.
    pub pending: Vec<ErasureNode>,
    /// Nodes that have left the realm or are suspended, and never said so.
    pub gone: Vec<ErasureNode>,
    /// What the node that is asked waits for before it destroys keys, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<String>,
    /// Entries there that stay, sealed with keys that are destroyed: of them it cannot be told whether somebody
    /// needs them.
    #[serde(default)]
    pub unread: u64,
    /// What no erasure reaches.
    pub not_covered: Vec<String>,
    /// When the receipt was made, if this was read from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_ms: Option<u64>,
}
