//! One version of one object, and what orders versions.

use std::fmt;
use std::str::FromStr;

use freehold_seal::{Deed, Target, VersionId};
use freehold_wire::{BucketId, Hlc, Millis, NodeId};

use crate::Etag;

/// Where an entry stands: bucket, origin, number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Locator {
    /// The bucket.
    pub bucket: BucketId,
    /// The node that wrote the entry.
    pub origin: NodeId,
    /// Its number there.
    pub seq: u64,
}

/// When an entry was written and by whom. Later wins; at the same time the greater origin, so that
/// all nodes agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// When.
    pub hlc: Hlc,
    /// By whom.
    pub origin: NodeId,
    /// Its number there.
    pub seq: u64,
}

impl Stamp {
    /// Where the entry stands.
    pub const fn locator(&self, bucket: BucketId) -> Locator {
        Locator { bucket, origin: self.origin, seq: self.seq }
    }
}

/// What people call a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// The one that was written while the bucket kept no versions: there is at most one.
    Null,
    /// One that was kept.
    Id(VersionId),
}

/// Text that is not a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a version: `null` or 32 hexadecimal digits are expected")]
pub struct VersionError;

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Id(id) => id.fmt(f),
        }
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        if text == "null" {
            return Ok(Self::Null);
        }
        text.parse().map(Self::Id).map_err(|_| VersionError)
    }
}

/// What is remembered of a version: just enough to list it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its entry.
    pub stamp: Stamp,
    /// What its parts are bound to; also its name if it is kept.
    pub id: VersionId,
    /// Bytes.
    pub size: u64,
    /// Its `ETag`.
    pub etag: Etag,
    /// When it was written, by the writer's clock.
    pub modified: Millis,
    /// What its entry did. A removal of the null version is remembered too: an older write may still
    /// arrive.
    pub deed: Deed,
    /// The generation of the bucket's key that sealed its entry, from 1.
    pub generation: u16,
}

impl Row {
    /// Whether there is something to read.
    pub const fn is_write(&self) -> bool {
        matches!(self.deed, Deed::NullWrite | Deed::KeptWrite)
    }

    /// Whether it says that the object was deleted.
    pub const fn is_marker(&self) -> bool {
        matches!(self.deed, Deed::NullMarker | Deed::KeptMarker)
    }

    /// Whether it is, or was, the null version.
    pub const fn is_null(&self) -> bool {
        matches!(self.deed, Deed::NullWrite | Deed::NullMarker | Deed::NullRemoval)
    }

    /// What people call it.
    pub const fn version(&self) -> Version {
        if self.is_null() { Version::Null } else { Version::Id(self.id) }
    }

    /// What amendments call it.
    pub const fn target(&self) -> Target {
        if self.is_null() { null_target(&self.stamp) } else { Target::Kept(self.id) }
    }

    /// Where its entry stands.
    pub const fn locator(&self, bucket: BucketId) -> Locator {
        self.stamp.locator(bucket)
    }
}

pub(crate) const fn null_target(stamp: &Stamp) -> Target {
    Target::Null(stamp.hlc, stamp.origin, stamp.seq)
}
