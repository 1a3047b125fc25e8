//! Backups of ZFS datasets, and how they stand.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Problem;

/// A declaration of what goes where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ZfsDeclaration {
    /// The file, as it is.
    pub text: String,
    /// Only say what it comes to.
    #[serde(default)]
    pub dry_run: bool,
}

/// What this machine does of what is declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ZfsStatus {
    /// The mark of the declaration: machines with the same one have the same declaration.
    pub declaration: Option<String>,
    /// What is sent from here.
    pub backups: Vec<ZfsBackup>,
    /// What is kept here for others, or for this machine itself.
    pub kept: Vec<ZfsKept>,
    /// Why nothing is done.
    pub why: Option<String>,
}

/// A backup of datasets of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ZfsBackup {
    /// What it is called.
    pub name: String,
    /// The dataset.
    pub dataset: String,
    /// Whether those below it are meant.
    pub children: bool,
    /// Those that are left out.
    pub except: Vec<String>,
    /// How often a snapshot is taken.
    pub every_ms: u64,
    /// In how long the next one is.
    pub next_in_ms: Option<u64>,
    /// Why none could be taken, or why old ones stay.
    pub why: Option<String>,
    /// Each target.
    pub targets: Vec<ZfsTarget>,
}

/// A backup at a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ZfsTarget {
    /// What it is called.
    pub name: String,
    /// Whose pool it is.
    pub machine: String,
    /// Where it lies there.
    pub place: String,
    /// Whether something is sent at the moment.
    pub running: bool,
    /// The last question of those who asked for a round that one has answered since the node started.
    pub answered: u64,
    /// When the last one ended, in milliseconds before now.
    pub ago_ms: Option<u64>,
    /// Each dataset.
    pub datasets: Vec<ZfsDataset>,
}

/// A dataset at a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ZfsDataset {
    /// Its name here.
    pub name: String,
    /// When the newest snapshot that lies there was made, in milliseconds before now.
    pub newest_ago_ms: Option<u64>,
    /// Why the target has not the newest there is.
    pub why: Option<String>,
}

/// Datasets that this machine keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ZfsKept {
    /// The backup.
    pub backup: String,
    /// Whose it is.
    pub machine: String,
    /// Where it lies.
    pub place: String,
    /// When the newest snapshot came, in milliseconds before now.
    pub came_ago_ms: Option<u64>,
    /// What could not be done.
    pub why: Option<String>,
}

/// A round that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ZfsAsked {
    /// Of which backup.
    pub backup: String,
    /// At which target.
    pub target: String,
    /// It is over when this question, or a later one, is answered there.
    pub question: u64,
}

/// What a node does about datasets.
#[async_trait]
pub trait ZfsControl: Send + Sync {
    /// How they stand.
    async fn zfs(&self) -> Result<ZfsStatus, Problem>;
    /// Does from now on what a declaration says.
    async fn apply_zfs(&self, wish: ZfsDeclaration) -> Result<ZfsStatus, Problem>;
    /// Takes snapshots and sends them now.
    async fn zfs_now(&self) -> Result<Vec<ZfsAsked>, Problem>;
}
