//! Where a target's repository is. A directory is the first kind of place; what opens one and what asks how it is
//! stands here alone, so that others can come.

use std::path::{Path, PathBuf};

use freehold_backup::{BackupError, Folder, Password, Repository, Rights, Stop};
use serde::{Deserialize, Serialize};

/// A place for a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    /// A directory on this machine: a disk, a stick, or what is mounted there.
    Folder(PathBuf),
}

/// What lies at a place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum There {
    /// Nothing, or an empty directory.
    Nothing,
    /// A repository.
    Repository,
    /// No repository can be there, and why not.
    Unfit(String),
}

impl Place {
    /// In a line.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Folder(path) => path.display().to_string(),
        }
    }

    /// Looks what is there.
    pub(crate) fn look(&self) -> There {
        match self {
            Self::Folder(path) => look(path),
        }
    }

    fn folder(&self, rights: Rights, stop: &Stop) -> Folder {
        match self {
            Self::Folder(path) => Folder::new(path, rights).stopped_by(stop),
        }
    }

    /// Makes a repository there.
    pub(crate) fn create(&self, password: &Password) -> Result<Repository, BackupError> {
        Repository::create(self.folder(Rights::Append, &Stop::default()), password)
    }

    /// Opens the one that is there. It is never made here: what a disk holds that is not mounted would be missed.
    pub(crate) fn open(
        &self,
        rights: Rights,
        password: &Password,
        stop: &Stop,
    ) -> Result<Repository, BackupError> {
        Repository::open(self.folder(rights, stop), password)
    }
}

fn look(path: &Path) -> There {
    if path.join("config").is_file() && path.join("keys").is_dir() {
        return There::Repository;
    }
    match std::fs::read_dir(path) {
        Ok(mut entries) => match entries.find_map(|entry| {
            let name = entry.ok()?.file_name().to_string_lossy().into_owned();
            (name != "lost+found").then_some(name)
        }) {
            Some(name) => There::Unfit(format!("there are other files in it, for instance {name}")),
            None => There::Nothing,
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => match path.parent() {
            Some(above) if above.is_dir() => There::Nothing,
            _ => There::Unfit("the directory that it is to lie in is not there".to_owned()),
        },
        Err(error) => There::Unfit(error.to_string()),
    }
}
