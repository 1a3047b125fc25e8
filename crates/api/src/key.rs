//! Access keys of the S3 endpoint: who may use it, and for what.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::node::words;

words! {
    /// What an access key may do.
    KeyRight, "right" {
        /// Read objects.
        Read = "read",
        /// Write objects.
        Write = "write",
        /// Find out what there is.
        List = "list",
        /// Delete objects.
        Delete = "delete",
        /// Make, change and end buckets, and say who may use them.
        Admin = "admin",
    }
}

/// A wish for an access key of this node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Whose key it is: a person's name, id, or an unambiguous start of it; the realm owner's without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// The program that uses it: lower-case letters, digits and hyphens. It has buckets of its own, and of
    /// its person's only those named here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The only buckets it is for; all that its owner may use, if none are named.
    #[serde(default)]
    pub buckets: Vec<String>,
    /// What the keys of its objects begin with.
    #[serde(default)]
    pub prefix: String,
    /// What it may do.
    pub allow: Vec<KeyRight>,
    /// When it ends, in milliseconds since the Unix epoch; never, without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
}

/// An access key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyStatus {
    /// The half that is not secret.
    pub id: String,
    /// How policies and lists name its owner.
    pub principal: String,
    /// The only buckets it is for; all that its owner may use, if none are named.
    pub buckets: Vec<String>,
    /// What the keys of its objects begin with.
    pub prefix: String,
    /// What it may do.
    pub allow: Vec<KeyRight>,
    /// When it was made, in milliseconds since the Unix epoch.
    pub made_ms: u64,
    /// When it ends, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// Why it is refused at present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// An access key that has just been made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MadeKey {
    /// What it is.
    #[serde(flatten)]
    pub key: KeyStatus,
    /// Its secret half; shown only now.
    pub secret: String,
}

impl std::fmt::Debug for MadeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadeKey").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Drop for MadeKey {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.secret);
    }
}
