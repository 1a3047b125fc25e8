//! Backups in restic's repository format (version 2), so that whoever has the password and the plain `restic` needs
//! nothing of ours to get everything back. The one crate that names `rustic_core`: what is read, chunked, sealed and packed
//! is its doing. What lies on the disk, and what comes back from it, is ours: a [`Folder`] that writes whole files or none
//! and that refuses to replace or remove what its writer may only add to, and a restore that holds each blob against its
//! hash and goes on after what is damaged. It must never follow a link that a snapshot made, take a password from arguments
//! or the environment, or leave a file out without saying so. Everything here blocks: call it where that is allowed. Start
//! reading at [`Repository`].

mod ahead;
mod archiving;
mod auditing;
mod blobs;
mod browsing;
mod comparing;
mod cutting;
mod error;
mod folder;
mod given;
mod growing;
mod held;
mod keys;
mod known;
mod layout;
mod looking;
mod making;
mod meter;
mod output;
mod pacing;
mod packing;
mod password;
mod placing;
mod repository;
mod restoring;
mod retaining;
mod sealing;
mod seeking;
mod source;
mod store;
mod view;
mod walking;

pub use browsing::{Browsing, Leaf, LeafKind, Moved};
pub use comparing::{Compared, Fate, Share};
pub use error::BackupError;
pub use folder::{Folder, Rights};
pub use given::{Item, Items, Origin};
pub use looking::{Entry, Kind, Tried, Whole};
pub use making::{Made, Source, Unread};
pub use meter::Meter;
pub use output::Output;
pub use pacing::Pacing;
pub use password::Password;
pub use repository::{Finding, Repository, Snapshot};
pub use restoring::{Failed, Restored};
pub use retaining::Forgotten;
pub use seeking::{Hit, Hits, Sought};
pub use source::is_cache;
pub use store::{FileId, FileKind, Stop, Store};

#[cfg(test)]
mod tests;
