//! Where things may lie, and where machines stand.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where the copies of a bucket may lie.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BucketRules {
    /// In how many zones at least; 0 if that does not matter.
    pub zones: u16,
    /// Only in these regions, by their two letters in ISO 3166-1; anywhere if there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// Never in these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_regions: Vec<String>,
}

impl BucketRules {
    /// Whether they say anything.
    pub fn is_silent(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a node may hold copies that stands there, or of which nobody has said where.
    pub fn allow(&self, region: Option<&str>) -> bool {
        let among = |all: &[String]| region.is_some_and(|region| all.iter().any(|one| one == region));
        let is_known = region.is_some() || (self.regions.is_empty() && self.not_regions.is_empty());
        is_known && (self.regions.is_empty() || among(&self.regions)) && !among(&self.not_regions)
    }

    /// As people say it; empty if they say nothing.
    pub fn words(&self) -> String {
        let mut out = Vec::new();
        if self.zones > 1 {
            out.push(format!("in {} zones at least", self.zones));
        }
        if !self.regions.is_empty() {
            out.push(format!("only in {}", self.regions.join(", ")));
        }
        if !self.not_regions.is_empty() {
            out.push(format!("never in {}", self.not_regions.join(", ")));
        }
        out.join(", ")
    }
}

/// What to change of a bucket; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BucketChange {
    /// On how many nodes each object is to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copies: Option<u16>,
    /// How many must have it before a write is acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm: Option<u16>,
    /// In how many zones at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zones: Option<u16>,
    /// Only in these regions; an empty list lifts that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<Vec<String>>,
    /// Never in these; an empty list lifts that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_regions: Option<Vec<String>>,
}

/// Where a node stands, and how much it is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodePlace {
    /// The name of its zone: machines that may fail together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Its region, two letters of ISO 3166-1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Bytes of copies that it fetches in a second at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<u64>,
    /// Whether it is to be emptied: it serves what it has, its copies do not count, it is given none.
    #[serde(default)]
    pub draining: bool,
    /// What depends on it still, if it is to be emptied; `null` until that is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burden: Option<Burden>,
}

/// What depends on a node that is to be emptied: what it holds and others do not have as they should.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Burden {
    /// Objects, and older versions of them.
    pub objects: u64,
    /// Their sealed bytes.
    pub bytes: u64,
}

/// What to change of a node; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NodeSetting {
    /// The name of its zone, which is made if there is none; an empty one takes the node out of its zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Its region, two letters of ISO 3166-1; an empty one says that nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Bytes of copies that it fetches in a second at most; 0 lifts the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pace: Option<u64>,
    /// Whether it is to be emptied: it serves what it has, its copies do not count, and it is given none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draining: Option<bool>,
}

/// How many objects have so many copies that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CopiesCount {
    /// Copies; the last number of the list stands for that many and more.
    pub copies: u16,
    /// Objects, and older versions of them.
    pub objects: u64,
}
