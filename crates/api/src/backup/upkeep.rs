//! What is kept of a backup, and what a target is told of itself: when snapshots were forgotten, and when its bytes were
//! read.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How many snapshots of a backup stay, by themselves; the rest is forgotten once a day. All zero: each stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackupKeep {
    /// The newest so many.
    pub last: u32,
    /// The newest of each of so many hours.
    pub hourly: u32,
    /// Of each of so many days.
    pub daily: u32,
    /// Of each of so many weeks.
    pub weekly: u32,
    /// Of each of so many months.
    pub monthly: u32,
    /// Of each of so many years.
    pub yearly: u32,
}

impl BackupKeep {
    /// Whether nothing is forgotten.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

/// What came of the upkeep of a target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct BackupUpkeep {
    /// The last time that snapshots were forgotten by themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinned: Option<BackupThinned>,
    /// In how long they are next, in milliseconds; nothing where nothing is to be forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_thinning_in_ms: Option<u64>,
    /// The last check of a part of its bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked: Option<BackupChecked>,
    /// Within how long every byte was read and found good, in milliseconds; nothing until all were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_checked_ms: Option<u64>,
    /// In how long the next part is checked, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_check_in_ms: Option<u64>,
}

/// Snapshots were forgotten, and what nobody needs was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupThinned {
    /// How long ago, in milliseconds.
    pub ago_ms: u64,
    /// How many.
    pub forgotten: u64,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A part of a target's bytes was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupChecked {
    /// How long ago, in milliseconds.
    pub ago_ms: u64,
    /// Which part, from 1 on; 0 for all of them.
    pub part: u32,
    /// Of how many.
    pub of: u32,
    /// Places that are damaged.
    pub damaged: u64,
    /// The first of them.
    pub named: Vec<String>,
    /// Why it could not be checked, if it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Over which networks a backup is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupMetered {
    /// Whether over one that costs by the byte, too.
    pub on_metered: bool,
}
