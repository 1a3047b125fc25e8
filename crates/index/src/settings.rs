//! How a bucket is set: documents, of which the last writer's counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use freehold_seal::Setting;
use freehold_wire::{from_canonical, to_canonical};
use minicbor::{Decode, Encode};

use crate::{Lifecycle, ObjectLock, Stamp};

/// Whether a bucket keeps versions: the document of the setting. Without one it never did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Versioning {
    /// Every write is kept beside the earlier ones.
    #[n(1)]
    Enabled,
    /// Those that there are stay; new writes take each other's place.
    #[n(2)]
    Suspended,
}

impl Versioning {
    /// The document.
    pub fn to_bytes(self) -> Vec<u8> {
        to_canonical(&self)
    }
}

/// Why a bucket cannot be set so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsettable {
    /// A bucket that keeps versions, or did, can at most cease to keep new ones.
    #[error("keeping versions can be suspended, not taken back")]
    VersionsStay,
    /// A bucket with object lock keeps versions.
    #[error("a bucket with object lock keeps versions")]
    Locked,
    /// Rules that cannot be read.
    #[error("the rules are not such as can be kept")]
    Malformed,
    /// Object lock is for ever.
    #[error("object lock cannot be taken back")]
    LockStays,
}

/// What holds for a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    documents: BTreeMap<Setting, Arc<[u8]>>,
    versioning: Option<Versioning>,
    lock: Option<ObjectLock>,
    lifecycle: Option<Arc<Lifecycle>>,
}

impl Settings {
    /// Whether versions are kept; `None` if they never were. A bucket with object lock keeps them,
    /// whatever else is said.
    pub const fn versioning(&self) -> Option<Versioning> {
        if self.lock.is_some() { Some(Versioning::Enabled) } else { self.versioning }
    }

    /// Object lock, if it is on.
    pub const fn object_lock(&self) -> Option<&ObjectLock> {
        self.lock.as_ref()
    }

    /// The rules of what is removed when.
    pub const fn lifecycle(&self) -> Option<&Arc<Lifecycle>> {
        self.lifecycle.as_ref()
    }

    /// What was said of a setting.
    pub fn document(&self, setting: Setting) -> Option<&[u8]> {
        self.documents.get(&setting).map(|document| &**document)
    }

    /// Whether a setting may become `document`.
    ///
    /// # Errors
    /// [`Unsettable`] says why not.
    pub fn may_set(&self, setting: Setting, document: Option<&[u8]>) -> Result<(), Unsettable> {
        let mut then = Self::default();
        then.documents.extend(document.map(|bytes| (setting, bytes.into())));
        then.read(setting);
        match setting {
            Setting::Versioning if then.versioning.is_none() => Err(Unsettable::VersionsStay),
            Setting::Versioning if self.lock.is_some() && then.versioning != Some(Versioning::Enabled) => {
                Err(Unsettable::Locked)
            }
            Setting::ObjectLock if then.lock.is_none() => Err(Unsettable::LockStays),
            Setting::Lifecycle if document.is_some() && then.lifecycle.is_none() => {
                Err(Unsettable::Malformed)
            }
            _ => Ok(()),
        }
    }

    fn read(&mut self, setting: Setting) {
        let document = self.documents.get(&setting).map(|document| &**document);
        match setting {
            Setting::Versioning => {
                self.versioning = document.and_then(|bytes| from_canonical(bytes, 8).ok());
            }
            Setting::Lifecycle => {
                self.lifecycle = document.and_then(|bytes| Lifecycle::decode(bytes).ok()).map(Arc::new);
            }
            Setting::ObjectLock => self.lock = document.and_then(|bytes| ObjectLock::decode(bytes).ok()),
            _ => {}
        }
    }
}

/// The settings of a bucket with the entries that they come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Register {
    said: BTreeMap<Setting, Stamp>,
    pub(crate) holds: Arc<Settings>,
}

impl Register {
    /// Takes a document in. Returns the entry that it overtook, or that overtook it, and the winner.
    pub(crate) fn put(
        &mut self,
        setting: Setting,
        stamp: Stamp,
        document: Option<Arc<[u8]>>,
    ) -> Option<(Stamp, Stamp)> {
        let there = self.said.get(&setting).copied();
        if let Some(there) = there.filter(|there| *there >= stamp) {
            return (there != stamp).then_some((stamp, there));
        }
        self.said.insert(setting, stamp);
        let holds = Arc::make_mut(&mut self.holds);
        match document {
            Some(document) => holds.documents.insert(setting, document),
            None => holds.documents.remove(&setting),
        };
        holds.read(setting);
        there.map(|there| (there, stamp))
    }

    /// The entry that a setting comes from.
    pub(crate) fn entry(&self, setting: Setting) -> Option<Stamp> {
        self.said.get(&setting).copied()
    }

    /// The entries that all settings come from.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Stamp> {
        self.said.values().copied()
    }

    /// Forgets what an entry said that does not count. What it had overtaken must be put in again.
    pub(crate) fn hide(&mut self, is_cut: impl Fn(&Stamp) -> bool) -> Vec<Setting> {
        let gone: Vec<Setting> =
            self.said.iter().filter(|(_, stamp)| is_cut(stamp)).map(|(setting, _)| *setting).collect();
        for setting in &gone {
            self.said.remove(setting);
            let holds = Arc::make_mut(&mut self.holds);
            holds.documents.remove(setting);
            holds.read(*setting);
        }
        gone
    }
}
