//! What an access key may be used for, at most: what its principal may not do, it may not either.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use freehold_wire::Millis;
use serde::{Deserialize, Serialize};

/// One kind of thing that a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// Read objects and what is said of them.
    Read,
    /// Write objects.
    Write,
    /// Find out what there is.
    List,
    /// Delete objects.
    Delete,
    /// Make, change and end buckets, and say who may use them.
    Admin,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Read, Self::Write, Self::List, Self::Delete, Self::Admin];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Rights that are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RightsError {
    /// There is no such right.
    #[error("{0:?} is no right: read, write, list, delete and admin are")]
    Unknown(String),
    /// A key with no right at all.
    #[error("a key needs at least one right")]
    None,
}

impl FromStr for Right {
    type Err = RightsError;

    fn from_str(text: &str) -> Result<Self, RightsError> {
        let named = Self::ALL.into_iter().find(|right| right.name() == text);
        named.ok_or_else(|| RightsError::Unknown(text.to_owned()))
    }
}

/// The rights of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rights {
    /// The only buckets it is for; empty if for all that its principal may use.
    #[serde(default)]
    pub buckets: BTreeSet<String>,
    /// What the keys of its objects begin with.
    #[serde(default)]
    pub prefix: String,
    /// What it may do.
    pub allow: BTreeSet<Right>,
    /// When it ends, in milliseconds since 1970.
    #[serde(default)]
    pub until_ms: Option<u64>,
}

impl Rights {
    /// No bounds but those of its principal.
    pub fn all() -> Self {
        Self {
            buckets: BTreeSet::new(),
            prefix: String::new(),
            allow: Right::ALL.into_iter().collect(),
            until_ms: None,
        }
    }

    /// Whether it is for this bucket by name, and so speaks for whoever made it there.
    pub fn names(&self, bucket: &str) -> bool {
        self.buckets.contains(bucket)
    }

    /// Whether it may be used for this bucket.
    pub fn reaches(&self, bucket: &str) -> bool {
        self.buckets.is_empty() || self.names(bucket)
    }

    /// Whether its time is over.
    pub fn ended(&self, now: Millis) -> bool {
        self.until_ms.is_some_and(|until| until <= now.0)
    }
}
