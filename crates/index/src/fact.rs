//! What an opened entry says, in the words of the index.

use std::sync::Arc;

use freehold_seal::{Amendment, Aspect, Content, Deed, Manifest, Setting, SettingRow, Target, VersionId};

use crate::{Etag, Locks, Retention, Row, Stamp};

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A version, a marker, or that the null version is gone.
    Version {
        /// The object.
        key: Box<str>,
        /// The version.
        row: Row,
        /// What it was locked with when it was written.
        locks: Locks,
    },
    /// A kept version is gone for good.
    Removal {
        /// The object.
        key: Box<str>,
        /// The version.
        version: VersionId,
    },
    /// Something is said of a version.
    Said {
        /// The object.
        key: Box<str>,
        /// The version.
        target: Target,
        /// Of what.
        aspect: Aspect,
        /// What.
        says: Says,
    },
    /// Something is said of the bucket.
    Setting {
        /// Of what.
        setting: Setting,
        /// What.
        document: Option<Arc<[u8]>>,
        /// The generation of the key that it is sealed with.
        generation: u16,
    },
}

/// What the index needs to know of an amendment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Says {
    /// Whether there is a document; it takes back an earlier one otherwise.
    pub some: bool,
    /// What a retention's document says.
    pub retention: Option<Retention>,
    /// What a hold's document says.
    pub hold: bool,
}

impl Fact {
    /// What the content of the entry at `stamp` says; `None` for what says nothing of a bucket.
    pub fn of(content: &Content, stamp: Stamp) -> Option<Self> {
        match content {
            Content::Manifest(manifest) => Self::of_manifest(manifest, stamp),
            Content::Amendment(amendment) => Some(Self::of_amendment(amendment)),
            Content::Setting(SettingRow { setting, document }) => Some(Self::Setting {
                setting: *setting,
                document: document.as_ref().map(|document| document.as_bytes().into()),
                generation: 1,
            }),
            // What was sealed anew is the fact of another entry: whoever opens it knows which.
            Content::Row(_) | Content::Resealed(_) => None,
        }
    }

    /// The same, sealed with a key of this generation.
    #[must_use]
    pub fn sealed_with(mut self, sealed: u16) -> Self {
        match &mut self {
            Self::Version { row, .. } => row.generation = sealed,
            Self::Setting { generation, .. } => *generation = sealed,
            Self::Removal { .. } | Self::Said { .. } => {}
        }
        self
    }

    /// Whether it is a word of its writer's alone: nobody can say it for them, as they would by sealing
    /// it anew.
    pub const fn is_of_each(&self) -> bool {
        matches!(self, Self::Setting { setting, .. } if crate::is_of_each(*setting))
    }

    /// What a manifest says; `None` if it contradicts itself.
    pub fn of_manifest(manifest: &Manifest, stamp: Stamp) -> Option<Self> {
        let key: Box<str> = manifest.name.as_str().into();
        let deed = manifest.deed()?;
        if deed == Deed::Removal {
            return Some(Self::Removal { key, version: manifest.version });
        }
        let stored = manifest.stored.as_deref();
        let etag = stored.and_then(|stored| stored.etag.as_str().parse().ok());
        let row = Row {
            stamp,
            id: manifest.version,
            size: stored.map_or(0, |stored| stored.size),
            etag: etag.unwrap_or_else(|| Etag::single([0; 16])),
            modified: manifest.modified,
            deed,
            generation: 1,
        };
        let said = |aspect| stored.and_then(|stored| stored.annotation(aspect));
        Some(Self::Version { key, row, locks: Locks::of(said(Aspect::Retention), said(Aspect::Hold)) })
    }

    fn of_amendment(amendment: &Amendment) -> Self {
        let Amendment { name, target, aspect, document } = amendment;
        let bytes = document.as_ref().map(freehold_seal::Document::as_bytes);
        let of = |wanted| bytes.filter(|_| *aspect == wanted);
        let Locks { retention, hold } = Locks::of(of(Aspect::Retention), of(Aspect::Hold));
        let says = Says { some: bytes.is_some(), retention, hold };
        Self::Said { key: name.as_str().into(), target: *target, aspect: *aspect, says }
    }
}
