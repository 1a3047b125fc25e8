//! What a restore would do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a restore would do. Directories are not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupCompared {
    /// Where it would come back to.
    pub to: String,
    /// What nothing is there of: it would be made.
    pub new: BackupShare,
    /// What is there otherwise, and would be overwritten.
    pub replaced: BackupShare,
    /// What is there, and of which only the owner, the mode or attributes would be set.
    pub marked: BackupShare,
    /// What is there as it was.
    pub same: BackupShare,
    /// What would not come back, since a directory has its name, which stays.
    pub blocked: BackupShare,
    /// How much of the backup cannot be read.
    pub failed: u64,
    /// The first of that, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named: Vec<String>,
    /// Each of them but what is the same, what is overwritten first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<BackupWould>,
    /// How many more there are of these than `paths` names.
    #[serde(default)]
    pub unnamed: u64,
}

/// How much of something there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupShare {
    /// How many files, links and the like.
    pub files: u64,
    /// Their bytes, as the backup has them.
    pub bytes: u64,
}

/// What a restore would do about something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupWould {
    /// What would come of it.
    pub fate: BackupFate,
    /// Where it would be.
    pub path: String,
    /// Its bytes in the backup.
    pub size: u64,
}

/// What would come of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackupFate {
    /// It would not come back: a directory has its name.
    Blocked,
    /// What is there would be overwritten.
    Replaced,
    /// Its owner, mode or attributes would be set.
    Marked,
    /// It would be made.
    New,
}
