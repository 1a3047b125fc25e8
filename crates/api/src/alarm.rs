//! Where a node sends its alarms.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Problem;

/// A place that alarms go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlarmChannel {
    /// What it is called.
    pub name: String,
    /// Which host is told; the rest of its address may be a secret, and is not shown.
    pub host: String,
    /// When a message arrived last, in milliseconds before now.
    pub sent_ago_ms: Option<u64>,
    /// How many have failed since one arrived.
    pub failed: u32,
    /// Why the last one did.
    pub why: Option<String>,
}

/// A place that alarms are to go to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAlarmChannel {
    /// What it is called.
    pub name: String,
    /// Where a text is posted to, as ntfy takes it: `https://ntfy.example/topic`.
    pub webhook: String,
}

impl std::fmt::Debug for NewAlarmChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewAlarmChannel").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a node does about where its alarms go.
#[async_trait]
pub trait AlarmControl: Send + Sync {
    /// Where they go.
    async fn alarm_channels(&self) -> Result<Vec<AlarmChannel>, Problem>;
    /// Has them go somewhere else, too.
    async fn add_alarm_channel(&self, wish: NewAlarmChannel) -> Result<AlarmChannel, Problem>;
    /// Has them go there no longer.
    async fn remove_alarm_channel(&self, name: &str) -> Result<(), Problem>;
    /// Sends a message there now that says that it is a test.
    async fn test_alarm_channel(&self, name: &str) -> Result<AlarmChannel, Problem>;
}
