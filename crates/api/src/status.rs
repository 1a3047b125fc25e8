//! How the realm is, seen from one node.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{BucketStatus, ErasureUnderWay, NodeStatus};

/// Everything a person wants to know at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The realm.
    pub realm: RealmName,
    /// Id of the node that answers; it is in `nodes` too.
    pub this_node: String,
    /// Version of the program.
    pub version: String,
    /// How long the node has been running, in milliseconds.
    pub uptime_ms: u64,
    /// What needs attention; empty when all is well.
    pub alarms: Vec<Finding>,
    /// The parts of the node.
    pub planes: Vec<PlaneStatus>,
    /// The realm's nodes.
    pub nodes: Vec<NodeStatus>,
    /// The realm's buckets.
    pub buckets: Vec<BucketStatus>,
    /// The realm log.
    pub log: LogStatus,
    /// This node's disk.
    pub storage: StorageStatus,
    /// Where to reach this node.
    pub endpoints: Endpoints,
    /// What is worth doing once; nothing waits for it.
    pub checklist: Vec<ChecklistItem>,
    /// Recoveries that have not taken effect.
    pub recoveries: Vec<RecoveryStatus>,
    /// Erasures that are not over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub erasures: Vec<ErasureUnderWay>,
}

/// A recovery by guardians that has not taken effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecoveryStatus {
    /// Its id in hex.
    pub id: String,
    /// How long until it takes effect on this node, in milliseconds; `null` if it never will.
    pub effective_in_ms: Option<u64>,
}

/// A realm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RealmName {
    /// Its id in hex.
    pub id: String,
    /// The name its people gave it.
    pub name: String,
    /// How many guardians there are.
    pub guardians: u16,
    /// How many of them can recover it.
    pub guardians_needed: u16,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Looked at, and well.
    Good,
    /// Worth knowing.
    Notice,
    /// Redundancy, freshness or reachability is lost.
    Alarm,
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// How bad.
    pub level: Level,
    /// What is so.
    pub what: String,
    /// Why, or since when; may be empty.
    pub why: String,
    /// What to type or do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What `freehold doctor` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Doctor {
    /// Alarms first.
    pub findings: Vec<Finding>,
}

/// How a part of the node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlaneState {
    /// Not there yet.
    Starting,
    /// Doing its work.
    Running,
    /// Running, but something is wrong.
    Degraded,
    /// Not running.
    Stopped,
    /// Nobody has asked for what it does.
    Idle,
    /// Switched off, or not possible here; the node does without.
    Off,
}

/// A part of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlaneStatus {
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: PlaneState,
    /// In a few words.
    pub detail: String,
}

/// The realm log on this node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogStatus {
    /// Ids of the operations that nothing follows yet.
    pub heads: Vec<String>,
    /// How many operations are held.
    pub operations: u64,
    /// How many of them are refused.
    pub refused: u64,
    /// The highest epoch seen.
    pub epoch: u64,
    /// How long ago the newest checkpoint or recovery was made, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_ms: Option<u64>,
}

/// This node's disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StorageStatus {
    /// Bytes that the depot holds.
    pub used: u64,
    /// Bytes that are free.
    pub free: u64,
    /// Blobs that are still to come to this node.
    #[serde(default)]
    pub coming: u64,
    /// Their bytes.
    #[serde(default)]
    pub coming_bytes: u64,
}

/// Where to reach this node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Endpoints {
    /// The S3 endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<String>,
    /// Its other addresses, if it is open to the network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub s3_others: Vec<String>,
    /// File on this node with the S3 credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3_credentials: Option<String>,
    /// Addresses of the console.
    pub console: Vec<String>,
    /// SHA-256 of the console's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Address of the relay, if this node runs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<String>,
    /// Where this node answers for names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// Something worth doing once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChecklistItem {
    /// `second-node`, `backup`, `guardians-tested`, ...
    pub id: String,
    /// What it is about.
    pub title: String,
    /// Whether it is done.
    pub done: bool,
    /// What to type or do.
    pub how: String,
}
