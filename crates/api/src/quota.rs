//! What the realm, its members, services and buckets keep, and may keep.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whose room.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuotaWhose {
    /// All of the realm.
    Realm,
    /// The buckets of a member and of the services that act for them: a name, an id, or the start of one.
    Person(String),
    /// The buckets of a service, as its access key names it: `backup`, or `ann/backup`.
    Service(String),
    /// A bucket, by its name.
    Bucket(String),
    /// A database, by its name.
    Database(String),
}

/// What somebody keeps, and may keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageStatus {
    /// Whose, as a quota names it.
    pub of: QuotaWhose,
    /// What people call it.
    pub name: String,
    /// Its id, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Sealed bytes at most, all copies together; `null` for no bound.
    pub limit: Option<u64>,
    /// Sealed bytes kept, once for each copy that a bucket asks for.
    pub used: u64,
}

/// What somebody may keep from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaSetting {
    /// Whose.
    pub of: QuotaWhose,
    /// Sealed bytes at most, all copies together; `null` lifts the bound.
    pub bytes: Option<u64>,
}
