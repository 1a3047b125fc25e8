//! What lies in no backup.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What of a machine, and of its realm as far as that is for this machine, lies in no backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupUnprotected {
    /// Whether it is an alarm: where nothing is backed up, nobody is told.
    pub watched: bool,
    /// How many others are in one.
    pub protected: u64,
    /// What is in none.
    pub things: Vec<BackupThing>,
}

/// Something that lies in no backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupThing {
    /// What it is.
    pub kind: BackupThingKind,
    /// Its path, or its name.
    pub name: String,
    /// What in it is in a backup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub but_for: Vec<String>,
    /// Whether a person says that it is meant so, which ends the alarm.
    pub accepted: bool,
}

/// What may be worth a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackupThingKind {
    /// A directory of this machine.
    Directory,
    /// A bucket of the realm.
    Bucket,
    /// A database of the realm.
    Database,
}

impl BackupThingKind {
    /// Its name, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Bucket => "bucket",
            Self::Database => "database",
        }
    }
}

/// What a person says of what lies in no backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupSpare {
    /// Directories, with all below.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Buckets, by their names.
    #[serde(default)]
    pub buckets: Vec<String>,
    /// Databases, by their names.
    #[serde(default)]
    pub databases: Vec<String>,
    /// Whether it is meant so; if not, it is an alarm again.
    pub accept: bool,
}
