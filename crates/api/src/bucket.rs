//! Buckets, and whether what is in them is safe.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{BucketRules, CopiesCount, Problem};

/// Whether every object is on as many nodes as its bucket asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// All of it; also an empty bucket.
    Full,
    /// Some of it.
    Partly,
    /// Nothing of it.
    NotYet,
}

/// What a node can do with a bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BucketAccess {
    /// Read and write it.
    #[default]
    Writes,
    /// Read it: nobody takes in what it would write.
    Reads,
    /// Read what it could read before the bucket was taken back from it, and write nothing.
    TakenBack,
    /// Store what it cannot read: it has no key.
    Stores,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BucketStatus {
    /// Its id in hex.
    pub id: String,
    /// The name people use.
    pub name: String,
    /// On how many nodes each object is to be.
    pub copies: u16,
    /// How many must have it before a write is acknowledged.
    pub confirm: u16,
    /// How many objects it holds.
    pub objects: u64,
    /// Their bytes, unsealed.
    pub bytes: u64,
    /// Whether all of it is on `copies` nodes.
    pub protected: Protection,
    /// How many objects wait for a copy.
    pub waiting: u64,
    /// How long the oldest of them has been waiting, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_unprotected_ms: Option<u64>,
    /// Where copies may lie.
    #[serde(default, skip_serializing_if = "BucketRules::is_silent")]
    pub rules: BucketRules,
    /// How many objects have how many copies that count, fewest first; empty if that is not known yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub good_copies: Vec<CopiesCount>,
    /// Sealed bytes of the copies that are still to be made.
    #[serde(default)]
    pub bytes_waiting: u64,
    /// How long ago the oldest check of any node's copies began, in milliseconds; of a node that has told
    /// of none, when the oldest of its copies was written. `null` if nobody holds anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_ms: Option<u64>,
    /// How many nodes hold copies and have told of no check yet.
    #[serde(default)]
    pub unchecked: u16,
    /// What stands in the way of protection, whatever is copied; `null` if nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacks: Option<String>,
    /// What the node that tells this can do with it.
    #[serde(default)]
    pub access: BucketAccess,
    /// When it was made, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_ms: Option<u64>,
    /// Who made it, and where, if another bucket has the same name: two machines apart can give one name to two. Then
    /// only their ids tell them apart, and commands take those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<String>,
}

/// A wish for a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBucket {
    /// 3 to 63 lower-case letters, digits and hyphens, as S3 wants it.
    pub name: String,
    /// On how many nodes each object is to be.
    pub copies: u16,
    /// How many must have it before a write is acknowledged; 1 is this node alone.
    pub confirm: u16,
    /// Where copies may lie.
    #[serde(default)]
    pub rules: BucketRules,
}

/// What is wrong with a sealed object on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    /// It is not here.
    Missing,
    /// It is shorter or longer than it was.
    Cut,
    /// Another one, or an older one, lies in its place.
    Swapped,
    /// Its bytes are not those that were written.
    Altered,
    /// It does not open with its object's key.
    NotForThisObject,
}

/// A damaged part of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifyFinding {
    /// The object, where this node can read its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Name of the sealed blob in the depot.
    pub blob: String,
    /// What is wrong.
    pub damage: Damage,
    /// Whether a good copy has been put in its place.
    pub repaired: bool,
}

/// What a verification saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifyReport {
    /// Entries of the index looked at.
    pub entries: u64,
    /// Entries that are not what was signed.
    pub bad_entries: u64,
    /// Sealed blobs read.
    pub blobs: u64,
    /// Sealed bytes read.
    pub bytes: u64,
    /// What was damaged.
    pub findings: Vec<VerifyFinding>,
}

impl VerifyReport {
    /// Whether something is wrong still.
    pub fn is_damaged(&self) -> bool {
        self.bad_entries > 0 || self.findings.iter().any(|finding| !finding.repaired)
    }
}

/// One line of a verification's answer: progress now and then, and one end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum VerifyEvent {
    /// So far.
    Progress {
        /// Sealed blobs read.
        blobs: u64,
        /// Sealed bytes read.
        bytes: u64,
    },
    /// It came to its end.
    Done(VerifyReport),
    /// It could not go on.
    Failed(Problem),
}
