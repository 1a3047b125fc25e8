//! A member's move from one realm to another, as it is wished and told. No node is asked: whoever moves runs it
//! themselves, over the S3 endpoints of both realms.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A realm, as a member reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantSide {
    /// The address of its S3 endpoint.
    pub endpoint: String,
    /// The file with the member's access key there.
    pub key_file: PathBuf,
    /// A file with certificates that count in place of the system's.
    pub ca: Option<PathBuf>,
}

/// A move that somebody wants.
#[expect(clippy::struct_excessive_bools, reason = "each is a word that people type")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantMove {
    /// The folder of the move.
    pub folder: PathBuf,
    /// The old realm and the new one; none to go on with the move that is in the folder.
    pub sides: Option<(TenantSide, TenantSide)>,
    /// These buckets; without any, all that the key sees.
    pub buckets: Vec<String>,
    /// Other names for them in the new realm.
    pub renamed: BTreeMap<String, String>,
    /// Only say what would be moved.
    pub dry_run: bool,
    /// Stop before the old buckets are closed.
    pub only_copy: bool,
    /// Nobody writes, so that they need not be.
    pub nobody_writes: bool,
    /// The old realm will not answer any more.
    pub old_is_gone: bool,
}

/// How far a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantStage {
    /// Nothing was done.
    Planned,
    /// Everything is in the new realm, and writes go on in the old one.
    Copied,
    /// The new realm counts.
    Moved,
}

/// A bucket of a move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantBucket {
    /// Its name in the old realm.
    pub name: String,
    /// Its name in the new one.
    pub now: String,
    /// Versions of objects.
    pub versions: u64,
    /// Delete markers.
    pub markers: u64,
    /// Bytes of all versions.
    pub bytes: u64,
    /// Whether the new realm had one of that name already.
    pub taken: bool,
    /// How it was set, by the names of what was carried over.
    pub settings: Vec<String>,
    /// What was not moved.
    pub left: Vec<String>,
}

/// What came of it, or what a receipt says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantMoved {
    /// How far it is.
    pub stage: TenantStage,
    /// The old realm's endpoint and the new one's; none of a move that only goes on.
    pub endpoints: Option<(String, String)>,
    /// Each bucket.
    pub buckets: Vec<TenantBucket>,
    /// For how long writes were refused.
    pub read_only_ms: Option<u64>,
    /// When the new realm began to count.
    pub moved_ms: Option<u64>,
    /// Whether the old realm was compared to the last.
    pub compared: bool,
    /// The SHA-256 of the list of everything.
    pub list_sha256: Option<String>,
    /// The key that signed the receipt.
    pub key: Option<String>,
    /// The file with the receipt.
    pub receipt: Option<PathBuf>,
}
