//! The home directory of a node: where things are, and the few settings that belong to the machine.

use std::path::{Path, PathBuf};

use freehold_api::Problem;
use freehold_disk::{HomeLock, LockError};

use crate::problem::own_problem;

/// Paths below a home. Made once, handed around.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The home at `root`; nothing is touched.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Refuses a home that others may write to, or have.
    ///
    /// # Errors
    /// A [`Problem`] with what to type.
    pub fn check(&self) -> Result<(), Problem> {
        freehold_disk::check_home(&self.root).map_err(|error| own_problem(&error))
    }

    /// Whether a node runs here, or is on its way down.
    pub fn is_in_use(&self) -> bool {
        self.root.is_dir() && matches!(HomeLock::take(&self.root), Err(LockError::Held { .. }))
    }

    /// Key files.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// Says that this home holds a node, and of which realm.
    pub fn identity(&self) -> PathBuf {
        self.root.join("node")
    }

    /// The store of the realm log.
    pub fn log(&self) -> PathBuf {
        self.root.join("log.redb")
    }

    /// How far the realm log has ever been here.
    pub fn log_seen(&self) -> PathBuf {
        self.root.join("log-seen")
    }

    /// The store of entries.
    pub fn entries(&self) -> PathBuf {
        self.root.join("entries.redb")
    }

    /// Sealed blobs.
    pub fn depot(&self) -> PathBuf {
        self.root.join("depot")
    }

    /// The socket that the command line talks to.
    pub fn control_socket(&self) -> PathBuf {
        self.root.join("control.sock")
    }

    /// S3 access key and secret, in the form that S3 clients read.
    pub fn s3_credentials(&self) -> PathBuf {
        self.root.join("s3-credentials")
    }

    /// Access keys of persons and services.
    pub fn access_keys(&self) -> PathBuf {
        self.root.join("access-keys")
    }

    /// Certificate of the console.
    pub fn console_certificate(&self) -> PathBuf {
        self.root.join("console.pem")
    }
}
