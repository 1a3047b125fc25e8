//! What can go wrong with a store, and what a person does about it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The remedy that an error calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The stored bytes are not what was written.
    Damaged,
    /// Another process works on the same files.
    InUse,
    /// A newer program wrote it.
    Newer,
    /// The disk is full.
    NoSpace,
    /// Permissions or a read-only file system.
    NotAllowed,
    /// The device or file system failed.
    Failed,
}

/// A store cannot be opened, read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The file is not a store at all.
    #[error("{path} is not a Freehold store")]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// A checksum does not match, or a row is not what its key says.
    #[error("{path} is damaged: {detail}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was seen.
        detail: String,
    },
    /// Another process has it open.
    #[error("{path} is open in another process")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Written by a newer program.
    #[error("{path} has format {found}; this program knows formats up to {known}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Format found.
        found: u64,
        /// Newest format known.
        known: u64,
    },
    /// No room for a write; nothing of it was kept.
    #[error("no space left to write {path}")]
    NoSpace {
        /// The file.
        path: PathBuf,
    },
    /// Not permitted, or the file system is read-only.
    #[error("{path} may not be written: {source}")]
    NotAllowed {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The device or file system failed.
    #[error("{doing} {path} failed: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// An earlier failure closed the store; what was acknowledged before is kept.
    #[error("{path} was closed after an earlier failure")]
    Closed {
        /// The file.
        path: PathBuf,
    },
}

impl StoreError {
    /// The remedy it calls for.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::NotAStore { .. } | Self::Damaged { .. } => Kind::Damaged,
            Self::InUse { .. } => Kind::InUse,
            Self::Newer { .. } => Kind::Newer,
            Self::NoSpace { .. } => Kind::NoSpace,
            Self::NotAllowed { .. } => Kind::NotAllowed,
            Self::Io { .. } | Self::Closed { .. } => Kind::Failed,
        }
    }

    /// What to do about it, in a sentence.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::NotAStore { .. } | Self::Damaged { .. } => {
                "Move this file aside (do not delete it), start again, and let the other nodes send what is \
                 missing; with no other node, restore it from a backup."
            }
            Self::InUse { .. } => "Stop the other process, or use another home directory.",
            Self::Newer { .. } => "Use the newer program; an older one must not write this file.",
            Self::NoSpace { .. } => {
                "Free some space on this disk; writing then goes on. Nothing that was acknowledged is lost."
            }
            Self::NotAllowed { .. } => {
                "Make the home directory writable for the user that runs the program, or run it as its owner."
            }
            Self::Io { .. } | Self::Closed { .. } => {
                "Look at the system's log for disk errors, then start again; nothing that was acknowledged is lost."
            }
        }
    }

    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::NoSpace { path }
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::NotAllowed { path, source: Arc::new(source) }
            }
            _ => Self::Io { doing, path, source: Arc::new(source) },
        }
    }

    pub(crate) fn redb(doing: &'static str, path: &Path, error: redb::Error) -> Self {
        let path_buf = path.to_owned();
        match error {
            redb::Error::Io(source) => Self::io(doing, path, source),
            redb::Error::DatabaseAlreadyOpen => Self::InUse { path: path_buf },
            redb::Error::PreviousIo | redb::Error::DatabaseClosed => Self::Closed { path: path_buf },
            other => Self::Damaged { path: path_buf, detail: other.to_string() },
        }
    }
}
